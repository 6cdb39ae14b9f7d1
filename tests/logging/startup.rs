//! What multilog says and does when it cannot begin.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use testkit::{Finished, Scratch, finish, finish_with, needs_root};

use super::{Logger, log, multilog, set_mode, wait_for_text};

/// It says this one line and exits 111.
#[track_caller]
fn refuses(scratch: &Scratch, words: &[&str], line: &str) {
    let finished = multilog(scratch, words, "a\n");
    assert_eq!((finished.code, finished.err()), (111, format!("multilog: fatal: {line}\n")));
}

#[test]
fn a_directory_that_cannot_be_is_fatal() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    symlink("loop", scratch.path("loop")).expect("a link");
    refuses(&scratch, &["./no/such"], "unable to open directory ./no/such: file does not exist");
    refuses(&scratch, &["./file"], "unable to open directory ./file: not a directory");
    refuses(&scratch, &["./loop"], "unable to open directory ./loop: symbolic link loop");
    let long = format!("./{}", "x".repeat(256));
    refuses(&scratch, &[&long], &format!("unable to open directory {long}: file name too long"));
}

#[test]
fn a_directory_whose_name_is_no_text_is_named_by_its_bytes() {
    let scratch = Scratch::new();
    let run = |name: &[u8]| {
        let mut command = scratch.command("multilog", &[]);
        command.arg(OsStr::from_bytes(name));
        finish_with(&mut command, b"a\n")
    };
    let failed = run(b"./a\xff/b\xfe");
    assert_eq!(failed.stderr, b"multilog: fatal: unable to open directory ./a\xff/b\xfe: file does not exist\n");
    assert_eq!(run(b"./a\xff").code, 0);
    assert_eq!(scratch.read(OsStr::from_bytes(b"a\xff/current")), b"a\n");
}

#[test]
fn a_directory_that_is_in_use_is_fatal() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("a\n");
    wait_for_text(&scratch, "log/current", "a\n");
    refuses(&scratch, &["./log"], "unable to lock directory ./log: temporary failure");
    assert_eq!(scratch.text("log/current"), "a\n");
    assert_eq!(logger.end(), 0);
    log(&scratch, &["./log"], "b\n");
}

#[test]
fn a_directory_that_the_script_names_twice_is_fatal() {
    let scratch = Scratch::new();
    refuses(&scratch, &["./log", "./log/"], "unable to lock directory ./log/: temporary failure");
}

#[test]
fn files_that_are_something_else_are_fatal() {
    for (setup, line) in [
        ("mkdir log/lock", "unable to lock directory ./log: is a directory"),
        ("mkfifo log/lock", "unable to lock directory ./log: device not configured"),
        ("ln -s no/such log/lock", "unable to lock directory ./log: file does not exist"),
        ("mkdir log/current", "unable to append to ./log/current: is a directory"),
        ("ln -s no/such log/current", "unable to write to ./log/current: file does not exist"),
        ("ln -s current log/current", "unable to stat ./log/current: symbolic link loop"),
        ("mkdir log/state", "unable to write to ./log/state: is a directory"),
        ("ln -s processed log/processed", "unable to stat ./log/processed: symbolic link loop"),
    ] {
        let scratch = Scratch::new();
        scratch.mkdir("log");
        assert_eq!(finish(Command::new("sh").args(["-c", setup]).current_dir(scratch.root())).code, 0);
        refuses(&scratch, &["./log"], line);
    }
}

#[test]
fn a_status_file_that_cannot_be_is_fatal() {
    let scratch = Scratch::new();
    scratch.mkdir("directory");
    refuses(&scratch, &["=directory"], "unable to create directory: is a directory");
    refuses(&scratch, &["="], "unable to create : file does not exist");
    refuses(&scratch, &["=no/such"], "unable to create no/such: file does not exist");
    assert_eq!(finish(Command::new("mkfifo").arg(scratch.path("fifo"))).code, 0);
    refuses(&scratch, &["=fifo"], "unable to create fifo: device not configured");
}

#[test]
fn status_files_are_opened_first_and_then_the_directories_in_order() {
    let scratch = Scratch::new();
    refuses(&scratch, &["./one", "=no/1", "=no/2"], "unable to create no/1: file does not exist");
    assert!(!scratch.path("one").exists());
    refuses(
        &scratch,
        &["./one", "./no/2", "./three", "=status"],
        "unable to open directory ./no/2: file does not exist",
    );
    assert!(scratch.path("one/current").exists() && scratch.path("status").exists());
    assert!(!scratch.path("three").exists());
}

/// multilog as an ordinary user: by itself, or as root under another account.
fn as_ordinary_user(scratch: &Scratch, words: &[&str], root: bool) -> Finished {
    // Where the programs lie that user may not get in.
    let program = scratch.path("multilog");
    // By cp: a descriptor of ours that writes it might be open in a child of another test, and make it busy.
    let copied = finish(Command::new("cp").arg(scratch.suite().path("multilog")).arg(&program));
    assert_eq!(copied.code, 0);
    let mut command = Command::new(program);
    command.args(words).current_dir(scratch.root());
    if root {
        command.uid(65_534).gid(65_534);
    }
    finish_with(&mut command, b"a\n")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[test]
fn a_directory_that_may_not_be_written_is_fatal() {
    let scratch = Scratch::new();
    scratch.mkdir("log");
    set_mode(scratch.path("log"), 0o555);
    let finished = as_ordinary_user(&scratch, &["./log"], is_root());
    let expected = "multilog: fatal: unable to lock directory ./log: access denied\n";
    assert_eq!((finished.code, finished.err().as_str()), (111, expected));
}

#[test]
fn a_directory_that_may_not_be_entered_is_fatal() {
    let scratch = Scratch::new();
    scratch.mkdir("log");
    set_mode(scratch.path("log"), 0o600);
    let finished = as_ordinary_user(&scratch, &["./log"], is_root());
    let expected = "multilog: fatal: unable to open directory ./log: access denied\n";
    assert_eq!((finished.code, finished.err().as_str()), (111, expected));
}

#[test]
fn a_current_of_another_user_is_fatal() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    log(&scratch, &["./log"], "mine\n");
    set_mode(scratch.path("log"), 0o777);
    set_mode(scratch.path("log/lock"), 0o666);
    let finished = as_ordinary_user(&scratch, &["./log"], true);
    let expected = "multilog: fatal: unable to append to ./log/current: access denied\n";
    assert_eq!((finished.code, finished.err().as_str()), (111, expected));
    assert_eq!(scratch.text("log/current"), "mine\n");
}
