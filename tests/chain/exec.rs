//! How a child is found, and why not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use testkit::{Scratch, finish, make_executable};

use super::common::{chains, printed, refused, sh, with};

/// Files that cannot be executed, and the reason that is given.
fn obstacles(scratch: &Scratch) -> Vec<(String, &'static str)> {
    scratch.write("plain", "#!/bin/sh\n");
    scratch.mkdir("directory");
    make_executable(&scratch.write("text", "echo hi\n"));
    make_executable(&scratch.write("empty", ""));
    make_executable(&scratch.write("orphan", "#!/nonexistent/interpreter\n"));
    symlink("loop", scratch.path("loop")).expect("a link");
    symlink("nowhere", scratch.path("dangling")).expect("a link");
    vec![
        ("nosuchprogram".to_owned(), "file does not exist"),
        ("./nosuch".to_owned(), "file does not exist"),
        ("./dangling".to_owned(), "file does not exist"),
        ("./orphan".to_owned(), "file does not exist"),
        ("./plain".to_owned(), "access denied"),
        ("./directory".to_owned(), "access denied"),
        ("/".to_owned(), "access denied"),
        (String::new(), "access denied"),
        ("./text".to_owned(), "exec format error"),
        ("./empty".to_owned(), "exec format error"),
        ("./loop".to_owned(), "symbolic link loop"),
        ("plain/x".to_owned(), "not a directory"),
        ("x".repeat(256), "file name too long"),
        (format!("./{}", "x/".repeat(3000)), "file name too long"),
    ]
}

#[test]
fn a_child_that_cannot_run_is_named_with_the_reason() {
    let scratch = Scratch::new();
    let obstacles = obstacles(&scratch);
    for chain in chains(&scratch) {
        for (name, reason) in &obstacles {
            let ran = scratch.run(chain.0, &with(&chain, &[name, "word"]));
            refused(&ran, 111, &format!("{}: fatal: unable to run {name}: {reason}\n", chain.0));
        }
    }
}

#[test]
fn names_that_are_not_text_are_shown_as_they_are() {
    let scratch = Scratch::new();
    for chain in chains(&scratch) {
        let ran = finish(scratch.command(chain.0, chain.1).arg(OsStr::from_bytes(b"./a\xff\n\x01")));
        let expected = [chain.0.as_bytes(), b": fatal: unable to run ./a\xff\n\x01: file does not exist\n"].concat();
        assert_eq!((ran.code, ran.stderr), (111, expected));
    }
}

#[test]
fn a_stderr_that_cannot_be_written_changes_no_exit_code() {
    let scratch = Scratch::new();
    for chain in chains(&scratch) {
        let call = with(&chain, &["nosuch"]).join(" ");
        for redirection in ["2>/dev/full", "2>&-", "0<&- 1>&- 2>&-"] {
            let ran = sh(&scratch, &format!("{} {call} {redirection}", chain.0));
            refused(&ran, 111, "");
        }
    }
}

#[test]
fn the_name_and_the_words_arrive_as_they_were_given() {
    let scratch = Scratch::new();
    let words: [&[u8]; 6] = [b"-x", b"", b"--", b"a b\n", b"\xff\xfe", b"--help"];
    for chain in chains(&scratch) {
        let mut command = scratch.command(chain.0, chain.1);
        command.arg("cat").arg("/proc/self/cmdline").arg("--").args(words.map(OsStr::from_bytes));
        let ran = finish(&mut command);
        let expected = [&b"cat\0/proc/self/cmdline\0--\0"[..], &words.join(&0), b"\0"].concat();
        assert!(ran.stdout == expected, "{}: {}", chain.0, ran.out());
    }
}

/// `here` lies in the test's directory, `hidden` in the directory `bin` below it, and both say which one ran.
fn scripts(scratch: &Scratch) {
    scratch.script("here", "echo here");
    scratch.script("bin/hidden", "echo hidden");
    scratch.write("denied/hidden", "");
    scratch.write("file", "");
}

#[test]
fn an_empty_element_of_path_is_the_current_directory() {
    let scratch = Scratch::new();
    scripts(&scratch);
    for chain in chains(&scratch) {
        for path in ["", ":/bin", "/bin:", "/nosuch::/bin", ":"] {
            let ran = finish(scratch.command(chain.0, &with(&chain, &["here"])).env("PATH", path));
            printed(&ran, "here\n");
        }
        let ran = finish(scratch.command(chain.0, &with(&chain, &["here"])).env("PATH", "/bin:/nosuch"));
        refused(&ran, 111, &format!("{}: fatal: unable to run here: file does not exist\n", chain.0));
    }
}

#[test]
fn without_path_the_child_is_looked_for_in_bin_and_usr_bin() {
    let scratch = Scratch::new();
    scripts(&scratch);
    for chain in chains(&scratch) {
        let ran = finish(scratch.command(chain.0, &with(&chain, &["echo", "hi"])).env_remove("PATH"));
        printed(&ran, "hi\n");
        let ran = finish(scratch.command(chain.0, &with(&chain, &["here"])).env_remove("PATH"));
        refused(&ran, 111, &format!("{}: fatal: unable to run here: file does not exist\n", chain.0));
    }
}

#[test]
fn what_may_not_be_executed_is_passed_over_but_remembered() {
    let scratch = Scratch::new();
    scripts(&scratch);
    for chain in chains(&scratch) {
        let ran = finish(scratch.command(chain.0, &with(&chain, &["hidden"])).env("PATH", "denied:bin:/bin"));
        printed(&ran, "hidden\n");
        let ran = finish(scratch.command(chain.0, &with(&chain, &["hidden"])).env("PATH", "denied:/nosuch:/bin"));
        refused(&ran, 111, &format!("{}: fatal: unable to run hidden: access denied\n", chain.0));
    }
}

#[test]
fn an_unreadable_element_of_path_is_remembered_too() {
    let scratch = Scratch::new();
    scripts(&scratch);
    let closed = scratch.mkdir("closed");
    scratch.give("closed");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).expect("its owner may chmod");
    for (program, words) in [("envuidgid", &["root", "nosuch"][..]), ("pgrphack", &["nosuch"]), ("fghack", &["nosuch"])]
    {
        let ran = finish(scratch.ordinary(program, words).env("PATH", "closed:/bin"));
        refused(&ran, 111, &format!("{program}: fatal: unable to run nosuch: access denied\n"));
    }
}

#[test]
fn any_other_error_ends_the_search() {
    let scratch = Scratch::new();
    scripts(&scratch);
    symlink("loop", scratch.path("loop")).expect("a link");
    make_executable(&scratch.write("text/hidden", "echo hi\n"));
    for (path, reason) in [
        ("file:bin", "not a directory"),
        ("denied:file:bin", "not a directory"),
        ("loop:bin", "symbolic link loop"),
        ("text:bin", "exec format error"),
    ] {
        for chain in chains(&scratch) {
            let ran = finish(scratch.command(chain.0, &with(&chain, &["hidden"])).env("PATH", path));
            refused(&ran, 111, &format!("{}: fatal: unable to run hidden: {reason}\n", chain.0));
        }
    }
}

#[test]
fn a_path_of_any_length_is_searched_to_its_end() {
    let scratch = Scratch::new();
    scripts(&scratch);
    let path = format!("{}bin", "/nosuch/directory:".repeat(5000));
    for chain in chains(&scratch) {
        let ran = finish(scratch.command(chain.0, &with(&chain, &["hidden"])).env("PATH", &path));
        printed(&ran, "hidden\n");
    }
}
