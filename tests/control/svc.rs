//! svc.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use testkit::{Finished, Scratch, Suite, finish, start, wait_until};

use super::fabricated::{Fabricated, dead, link_loop};

/// The options that the original has; ours names its own behind them.
const OPTIONS: &str =
    "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill";

/// Checks that svc has said `line`, and then its options.
#[track_caller]
fn lists_options(ran: &Finished, line: impl AsRef<[u8]>) {
    let rest = ran.stderr.strip_prefix([line.as_ref(), b"\n", OPTIONS.as_bytes()].concat().as_slice());
    let rest = rest.unwrap_or_else(|| panic!("{}", ran.err()));
    let ours = |rest: &[u8]| rest.starts_with(b", ") && rest.iter().filter(|&&byte| byte == b'\n').count() == 1;
    assert!(if Suite::under_test().is_original() { rest == b"\n" } else { ours(rest) }, "{}", ran.err());
}

/// Sends `words` and a service directory to svc; returns what arrives there.
fn sent(words: &[&str]) -> String {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    let ran = scratch.run("svc", &[words, &["a"]].concat());
    assert_eq!((ran.code, ran.err().as_str(), ran.out().as_str()), (0, "", ""), "{words:?}");
    service.received()
}

/// What svc says when it is called with `words`. It says it on stderr, and its exit code is 0.
fn said(scratch: &Scratch, words: &[&str]) -> String {
    let ran = scratch.run("svc", words);
    assert_eq!((ran.code, ran.out().as_str()), (0, ""), "{words:?}: {}", ran.err());
    ran.err()
}

#[test]
fn every_letter_is_sent_as_it_is() {
    for letter in "udopchaitkx".chars() {
        assert_eq!(sent(&[&format!("-{letter}")]), letter.to_string());
    }
}

#[test]
fn letters_are_sent_in_order_of_appearance() {
    assert_eq!(sent(&["-dx"]), "dx");
    assert_eq!(sent(&["-x", "-d"]), "xd");
    assert_eq!(sent(&["-ut", "-k", "-pc"]), "utkpc");
    assert_eq!(sent(&["-xktiahcpodu"]), "xktiahcpodu");
}

#[test]
fn a_letter_is_sent_once_however_often_it_is_given() {
    assert_eq!(sent(&["-uuu"]), "u");
    assert_eq!(sent(&["-dud", "-u", "-d", "-k"]), "duk");
}

#[test]
fn two_dashes_end_the_options() {
    assert_eq!(sent(&["-u", "--"]), "u");
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "-d");
    assert_eq!(said(&scratch, &["-t", "--", "-d"]), "");
    assert_eq!(service.received(), "t");
}

#[test]
fn the_first_operand_ends_the_options() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    assert_eq!(said(&scratch, &["-u", "a", "-d"]), "svc: warning: unable to chdir to -d: file does not exist\n");
    assert_eq!(service.received(), "u");
}

#[test]
fn one_dash_is_a_service() {
    let scratch = Scratch::new();
    assert_eq!(said(&scratch, &["-u", "-"]), "svc: warning: unable to chdir to -: file does not exist\n");
}

#[test]
fn every_service_gets_the_letters_wherever_they_lie() {
    let scratch = Scratch::new();
    let mut services: Vec<Fabricated> =
        ["a", "b/c", "b"].map(|name| Fabricated::new(&scratch, name)).into_iter().collect();
    let absolute = scratch.path("b").into_os_string().into_string().expect("a name of ours");
    assert_eq!(said(&scratch, &["-tk", "a", "b/../b/c", &absolute]), "");
    for service in &mut services {
        assert_eq!(service.received(), "tk", "{:?}", service.dir);
    }
}

#[test]
fn a_service_that_fails_does_not_keep_the_next_from_its_letters() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "z");
    dead(&scratch, "dead");
    scratch.mkdir("new");
    assert_eq!(
        said(&scratch, &["-u", "missing", "dead", "new", "z"]),
        "svc: warning: unable to chdir to missing: file does not exist\n\
         svc: warning: unable to control dead: supervise not running\n\
         svc: warning: unable to control new: file does not exist\n"
    );
    assert_eq!(service.received(), "u");
}

#[test]
fn without_services_nothing_happens() {
    let scratch = Scratch::new();
    assert_eq!(said(&scratch, &[]), "");
    assert_eq!(said(&scratch, &["-dx"]), "");
}

#[test]
fn without_letters_nothing_is_sent_but_the_dead_are_named() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    dead(&scratch, "dead");
    assert_eq!(said(&scratch, &["a", "dead"]), "svc: warning: unable to control dead: supervise not running\n");
    assert_eq!(service.received(), "");
}

#[test]
fn an_unknown_option_gets_the_usage_and_nothing_is_sent() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    for (words, illegal) in [(["-z", "a"], "z"), (["-uz", "a"], "z"), (["-u-", "a"], "-"), (["-:", "a"], ":")] {
        let ran = scratch.run("svc", &words);
        assert_eq!(ran.code, 100, "{words:?}");
        lists_options(&ran, format!("svc: illegal option -- {illegal}"));
        assert_eq!(ran.out(), "");
    }
    assert_eq!(service.received(), "");
}

#[test]
fn the_first_unknown_option_is_the_one_that_is_named() {
    let scratch = Scratch::new();
    lists_options(&scratch.run("svc", &["-uyz", "a"]), "svc: illegal option -- y");
}

#[test]
fn a_byte_that_is_no_text_is_an_unknown_option() {
    let scratch = Scratch::new();
    let ran = finish(scratch.command("svc", &[]).arg(OsStr::from_bytes(b"-\xff")));
    assert_eq!(ran.code, 100);
    lists_options(&ran, b"svc: illegal option -- \xff");
}

#[test]
fn the_scanner_talks_under_the_name_that_the_file_is_called_by() {
    let scratch = Scratch::new();
    symlink(scratch.suite().path("svc"), scratch.path("other")).expect("a link");
    let ran = finish(Command::new(scratch.path("other")).arg("-z"));
    assert_eq!(ran.code, 100);
    lists_options(&ran, "other: illegal option -- z");
}

#[test]
fn each_way_not_to_get_in_has_its_reason() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    link_loop(&scratch.path("loop"));
    let long = "n".repeat(256);
    for (name, reason) in [
        ("file", "not a directory"),
        ("file/x", "not a directory"),
        ("loop", "symbolic link loop"),
        ("", "file does not exist"),
        (&long, "file name too long"),
    ] {
        assert_eq!(said(&scratch, &["-u", name]), format!("svc: warning: unable to chdir to {name}: {reason}\n"));
    }
}

#[test]
fn each_way_not_to_open_control_has_its_reason() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("directory/supervise/control")).expect("a directory");
    scratch.mkdir("loop/supervise");
    link_loop(&scratch.path("loop/supervise/control"));
    scratch.mkdir("dangling/supervise");
    symlink("nowhere", scratch.path("dangling/supervise/control")).expect("a link");
    scratch.write("file/supervise", "");
    for (name, reason) in [
        ("directory", "is a directory"),
        ("loop", "symbolic link loop"),
        ("dangling", "file does not exist"),
        ("file", "not a directory"),
    ] {
        assert_eq!(said(&scratch, &["-u", name]), format!("svc: warning: unable to control {name}: {reason}\n"));
    }
}

#[test]
fn an_ordinary_user_is_kept_out_by_the_modes() {
    let scratch = Scratch::new();
    let mut services = ["closed", "private"].map(|name| Fabricated::new(&scratch, name));
    let close =
        |path: &str| fs::set_permissions(scratch.give(path), PermissionsExt::from_mode(0o000)).expect("by owner");
    close("closed");
    close("private/supervise");
    let ran = finish(&mut scratch.ordinary("svc", &["-u", "closed", "private"]));
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.err(),
        "svc: warning: unable to chdir to closed: access denied\n\
         svc: warning: unable to control private: access denied\n"
    );
    assert_eq!(services.each_mut().map(Fabricated::received), ["", ""]);
}

#[test]
fn names_that_are_no_text_are_said_as_they_are() {
    let scratch = Scratch::new();
    let name = OsStr::from_bytes(b"s\xff\n");
    let ran = finish(scratch.command("svc", &["-u"]).arg(name));
    assert_eq!(ran.stderr, b"svc: warning: unable to chdir to s\xff\n: file does not exist\n");
    let mut service = Fabricated::new(&scratch, name);
    assert_eq!(finish(scratch.command("svc", &["-u"]).arg(name)).stderr, b"");
    assert_eq!(service.received(), "u");
}

#[test]
fn thousands_of_failures_are_each_said_and_the_exit_code_is_zero() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..3000).map(|number| format!("missing{number}")).collect();
    let words: Vec<&str> = std::iter::once("-u").chain(names.iter().map(String::as_str)).collect();
    let expected: String =
        names.iter().map(|name| format!("svc: warning: unable to chdir to {name}: file does not exist\n")).collect();
    assert_eq!(said(&scratch, &words), expected);
}

#[test]
fn a_closed_stderr_changes_nothing() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>&-", "sh"]).arg(scratch.suite().path("svc")).args(["-u", "missing", "a"]);
    assert_eq!(finish(shell.current_dir(scratch.root())).code, 0);
    assert_eq!(service.received(), "u");
}

/// Starts `svc -u` on a service whose FIFO is full, and waits until it has the FIFO open.
fn start_blocked(command: &mut Command, service: &Fabricated) -> testkit::Running {
    service.fill();
    let running = start(command.stdin(Stdio::null()).stderr(Stdio::piped()));
    let control = fs::canonicalize(service.dir.join("supervise/control")).expect("it is there");
    wait_until("svc opens the FIFO", || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", running.pid())).into_iter().flatten().flatten();
        descriptors.map(|entry| fs::read_link(entry.path())).any(|target| target.is_ok_and(|path| path == control))
    });
    running
}

fn stderr(running: &mut testkit::Running) -> String {
    let code = running.end();
    let mut text = String::new();
    std::io::Read::read_to_string(running.child().stderr.as_mut().expect("piped"), &mut text).expect("text");
    format!("{code} {text}")
}

#[test]
fn a_full_fifo_is_waited_for() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    let mut running = start_blocked(&mut scratch.command("svc", &["-dx", "a"]), &service);
    assert_eq!(running.ended(), None);
    let mut letters = String::new();
    wait_until("the letters come", || {
        letters.push_str(service.received().trim_start());
        letters == "dx"
    });
    assert_eq!(stderr(&mut running), "0 ");
}

#[test]
fn a_supervise_that_leaves_before_it_has_read_is_a_warning() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    let mut running = start_blocked(&mut scratch.command("svc", &["-u", "a"]), &service);
    drop(service);
    assert_eq!(stderr(&mut running), "0 svc: warning: error writing commands to a: broken pipe\n");
}

#[test]
fn a_current_directory_that_cannot_be_opened_is_fatal() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    let home = scratch.mkdir_given("home");
    fs::set_permissions(&home, PermissionsExt::from_mode(0o300)).expect("by owner");
    let ran = finish(scratch.ordinary("svc", &["-u"]).arg(&service.dir).current_dir(&home));
    assert_eq!((ran.code, ran.err().as_str()), (111, "svc: fatal: unable to open current directory: access denied\n"));
    assert_eq!(service.received(), "");
}

#[test]
fn a_current_directory_that_cannot_be_returned_to_is_fatal() {
    let scratch = Scratch::new();
    let mut service = Fabricated::new(&scratch, "a");
    scratch.give("a/supervise/control");
    let home = scratch.mkdir_given("home");
    let mut command = scratch.ordinary("svc", &["-u"]);
    let mut running = start_blocked(command.arg(&service.dir).current_dir(&home), &service);
    fs::set_permissions(&home, PermissionsExt::from_mode(0o000)).expect("by owner");
    wait_until("the letter comes", || service.received().ends_with('u'));
    assert_eq!(stderr(&mut running), "111 svc: fatal: unable to set directory: access denied\n");
}
