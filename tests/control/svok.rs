//! svok.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use testkit::{Finished, Scratch, finish};

use super::fabricated::{Fabricated, dead, link_loop};

fn silent(code: i32) -> Finished {
    Finished { code, stdout: Vec::new(), stderr: Vec::new() }
}

fn fatal(line: &str) -> Finished {
    Finished { code: 111, stdout: Vec::new(), stderr: format!("svok: fatal: {line}\n").into_bytes() }
}

#[test]
fn a_running_supervise_is_exit_code_0() {
    let scratch = Scratch::new();
    let _service = Fabricated::new(&scratch, "a");
    assert_eq!(scratch.run("svok", &["a"]), silent(0));
}

#[test]
fn a_supervise_that_left_is_exit_code_100() {
    let scratch = Scratch::new();
    dead(&scratch, "a");
    assert_eq!(scratch.run("svok", &["a"]), silent(100));
}

#[test]
fn a_directory_that_was_never_supervised_is_exit_code_100() {
    let scratch = Scratch::new();
    scratch.mkdir("a/supervise");
    scratch.mkdir("b");
    assert_eq!(scratch.run("svok", &["a"]), silent(100));
    assert_eq!(scratch.run("svok", &["b"]), silent(100));
}

#[test]
fn no_operand_gets_the_usage() {
    let usage = Finished { code: 100, stdout: Vec::new(), stderr: b"svok: usage: svok dir\n".to_vec() };
    assert_eq!(Scratch::new().run("svok", &[]), usage);
}

#[test]
fn further_operands_are_ignored() {
    let scratch = Scratch::new();
    let _service = Fabricated::new(&scratch, "a");
    dead(&scratch, "dead");
    assert_eq!(scratch.run("svok", &["a", "dead", "missing"]), silent(0));
    assert_eq!(scratch.run("svok", &["dead", "a"]), silent(100));
}

#[test]
fn there_are_no_options() {
    let scratch = Scratch::new();
    let _services = ["-x", "--"].map(|name| Fabricated::new(&scratch, name));
    assert_eq!(scratch.run("svok", &["-x"]), silent(0));
    assert_eq!(scratch.run("svok", &["--", "missing"]), silent(0));
    assert_eq!(scratch.run("svok", &["--foo"]), fatal("unable to chdir to --foo: file does not exist"));
}

#[test]
fn each_way_not_to_get_in_has_its_reason() {
    let scratch = Scratch::new();
    for (name, reason) in scratch.no_way_in() {
        assert_eq!(scratch.run("svok", &[&name]), fatal(&format!("unable to chdir to {name}: {reason}")));
    }
}

#[test]
fn each_way_not_to_open_ok_has_its_reason() {
    let scratch = Scratch::new();
    scratch.mkdir("directory/supervise/ok");
    scratch.mkdir("loop/supervise");
    link_loop(&scratch.path("loop/supervise/ok"));
    scratch.write("file/supervise", "");
    for (name, reason) in [("directory", "is a directory"), ("loop", "symbolic link loop"), ("file", "not a directory")]
    {
        assert_eq!(scratch.run("svok", &[name]), fatal(&format!("unable to open {name}/supervise/ok: {reason}")));
    }
}

#[test]
fn an_ordinary_user_is_kept_out_by_the_modes() {
    let scratch = Scratch::new();
    let _services = ["closed", "private"].map(|name| Fabricated::new(&scratch, name));
    let close =
        |path: &str| fs::set_permissions(scratch.give(path), PermissionsExt::from_mode(0o000)).expect("by owner");
    close("closed");
    close("private/supervise");
    let svok = |name: &str| finish(&mut scratch.ordinary("svok", &[name]));
    assert_eq!(svok("closed"), fatal("unable to chdir to closed: access denied"));
    assert_eq!(svok("private"), fatal("unable to open private/supervise/ok: access denied"));
}

#[test]
fn a_name_that_is_no_text_is_said_as_it_is() {
    let scratch = Scratch::new();
    let ran = finish(scratch.command("svok", &[]).arg(OsStr::from_bytes(b"s\xff")));
    assert_eq!(ran.stderr, b"svok: fatal: unable to chdir to s\xff: file does not exist\n");
    let _service = Fabricated::new(&scratch, OsStr::from_bytes(b"t\xff"));
    assert_eq!(finish(scratch.command("svok", &[]).arg(OsStr::from_bytes(b"t\xff"))), silent(0));
}
