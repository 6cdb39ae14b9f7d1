//! setlock: the lock, the file, and who holds it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use testkit::{Running, Scratch, finish, needs_program, start, wait_until};

use super::common::{printed, refused, sh, shell};

const TAKEN: &str = "setlock: fatal: unable to lock lock: temporary failure\n";

/// A setlock whose program runs until a line, or the end of its input, comes.
fn holder(scratch: &Scratch) -> Running {
    let mut running =
        start(scratch.command("setlock", &["lock", "sh", "-c", ": >held; read line"]).stdin(Stdio::piped()));
    wait_until("the lock is held", || {
        assert_eq!(running.ended(), None);
        scratch.path("held").exists()
    });
    running
}

#[track_caller]
fn release(mut holder: Running) {
    let _ = holder.child().stdin.take().expect("piped").write_all(b"\n");
    assert_eq!(holder.end(), 0);
}

#[test]
fn the_file_is_created_for_its_owner_only() {
    let scratch = Scratch::new();
    printed(&sh(&scratch, "umask 0; setlock lock echo hi"), "hi\n");
    let file = fs::metadata(scratch.path("lock")).expect("it is there");
    assert_eq!((file.permissions().mode() & 0o7777, file.len()), (0o600, 0));
    printed(&sh(&scratch, "umask 0277; setlock other stat -c %a other"), "400\n");
}

#[test]
fn a_file_that_exists_is_not_changed() {
    let scratch = Scratch::new();
    let path = scratch.write("lock", "contents\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its owner may chmod");
    printed(&scratch.run("setlock", &["lock", "cat", "lock"]), "contents\n");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777, 0o644);
}

#[test]
fn a_lock_that_is_taken_is_complained_about_without_waiting() {
    let scratch = Scratch::new();
    let holder = holder(&scratch);
    for options in [&["-n"][..], &["-Nn"], &["-x", "-nX"], &["-n", "-nn", "--"]] {
        refused(&scratch.run("setlock", &[options, &["lock", "echo", "hi"]].concat()), 111, TAKEN);
    }
    release(holder);
    printed(&scratch.run("setlock", &["-n", "lock", "echo", "hi"]), "hi\n");
}

#[test]
fn x_keeps_still_about_a_lock_that_is_taken() {
    let scratch = Scratch::new();
    let _holder = holder(&scratch);
    for options in [&["-nx"][..], &["-xn"], &["-n", "-Xx"], &["-N", "-nx", "--"]] {
        printed(&scratch.run("setlock", &[options, &["lock", "echo", "hi"]].concat()), "");
    }
}

#[test]
fn the_lock_is_waited_for() {
    let scratch = Scratch::new();
    for options in [&[][..], &["-nN"], &["-x"]] {
        let _ = fs::remove_file(scratch.path("held"));
        let holder = holder(&scratch);
        let mut waiter = scratch.start("waiter", "setlock", &[options, &["lock", "echo", "got it"]].concat());
        let pid = format!(" {} ", waiter.pid());
        wait_until("it waits", || {
            let locks = fs::read_to_string("/proc/locks").expect("readable");
            locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&pid))
        });
        assert_eq!((waiter.ended(), scratch.text("waiter.out").as_str()), (None, ""));
        release(holder);
        assert_eq!((waiter.end(), scratch.text("waiter.out").as_str()), (0, "got it\n"));
        fs::remove_file(scratch.path("waiter.out")).expect("it is there");
    }
}

#[test]
fn a_child_in_the_background_prolongs_the_lock() {
    let scratch = Scratch::new();
    let mut leaves = shell(&scratch, "mkfifo end; setlock lock sh -c 'read line <end & :' </dev/null >/dev/null 2>&1");
    assert_eq!(finish(&mut leaves).code, 0);
    refused(&scratch.run("setlock", &["-n", "lock", "true"]), 111, TAKEN);
    fs::write(scratch.path("end"), "\n").expect("it is read");
    wait_until("the lock is free", || scratch.run("setlock", &["-nx", "lock", "echo", "hi"]).out() == "hi\n");
}

#[test]
fn a_program_that_closes_the_descriptor_gives_the_lock_up() {
    let scratch = Scratch::new();
    printed(&scratch.run("setlock", &["lock", "sh", "-c", "exec 3>&-; setlock -n lock echo hi"]), "hi\n");
    refused(&scratch.run("setlock", &["lock", "setlock", "-n", "lock", "echo", "hi"]), 111, TAKEN);
}

#[test]
fn the_lock_is_one_of_flock() {
    if needs_program("flock").is_none() {
        return;
    }
    let scratch = Scratch::new();
    let held = scratch.run("setlock", &["lock", "flock", "-n", "-E", "7", "lock", "true"]);
    assert_eq!(held.code, 7);
    refused(&sh(&scratch, "flock lock setlock -n lock true"), 111, TAKEN);
}

#[test]
fn the_program_inherits_the_lowest_free_descriptor() {
    let scratch = Scratch::new();
    let list = "for fd in 0 1 2 3 4 5; do [ /proc/$$/fd/$fd -ef lock ] && found=$fd; done; echo $found >&9";
    for (redirections, fd) in [("", 3), ("<&-", 0), (">&-", 1), ("2>&-", 2), ("3</dev/null", 4), ("<&- 2>&-", 0)] {
        let script = format!("exec 3<&- 4<&- 5<&- 9>&1; setlock lock sh -c '{list}' {redirections}");
        printed(&sh(&scratch, &script), &format!("{fd}\n"));
    }
    let flags = scratch.run("setlock", &["lock", "sed", "-n", "s/flags:[^0-9]*//p", "/proc/self/fdinfo/3"]);
    let bits = i64::from_str_radix(flags.out().trim(), 8).expect("octal");
    // O_WRONLY, O_APPEND and O_NONBLOCK are the same everywhere; O_LARGEFILE and O_CLOEXEC are not looked at and not there.
    assert_eq!(bits & 0o6003, 0o6001, "{}", flags.out());
}

#[test]
fn with_stderr_closed_the_complaint_goes_into_the_file() {
    // It is no feature, but follows from descriptors being the lowest that are free.
    let scratch = Scratch::new();
    refused(&sh(&scratch, "setlock lock nosuch 2>&-"), 111, "");
    assert_eq!(scratch.text("lock"), "setlock: fatal: unable to run nosuch: file does not exist\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_named_or_kept_still_about() {
    let scratch = Scratch::new();
    scratch.mkdir("directory");
    scratch.write("file", "");
    assert_eq!(sh(&scratch, "mkfifo fifo && ln -s loop loop").code, 0);
    let long = "x".repeat(256);
    for (name, reason) in [
        ("nosuch/lock", "file does not exist"),
        ("", "file does not exist"),
        ("directory", "is a directory"),
        ("directory/new/", "is a directory"),
        ("file/lock", "not a directory"),
        ("fifo", "device not configured"),
        ("loop", "symbolic link loop"),
        (&long, "file name too long"),
    ] {
        let expected = format!("setlock: fatal: unable to open {name}: {reason}\n");
        refused(&scratch.run("setlock", &[name, "echo", "hi"]), 111, &expected);
        refused(&scratch.run("setlock", &["-xXn", name, "echo", "hi"]), 111, &expected);
        printed(&scratch.run("setlock", &["-x", name, "echo", "hi"]), "");
    }
}

#[test]
fn a_file_that_may_not_be_written_is_named() {
    let scratch = Scratch::new();
    fs::set_permissions(scratch.write("lock", ""), fs::Permissions::from_mode(0o444)).expect("its owner may chmod");
    scratch.give("lock");
    let ran = finish(&mut scratch.ordinary("setlock", &["lock", "echo", "hi"]));
    refused(&ran, 111, "setlock: fatal: unable to open lock: access denied\n");
    printed(&finish(&mut scratch.ordinary("setlock", &["-x", "lock", "echo", "hi"])), "");
}

#[test]
fn a_fifo_with_a_reader_can_be_locked() {
    let scratch = Scratch::new();
    printed(&sh(&scratch, "mkfifo lock; exec 9<>lock; setlock lock echo hi"), "hi\n");
}

#[test]
fn x_does_not_keep_still_about_a_program_that_cannot_run() {
    let scratch = Scratch::new();
    refused(
        &scratch.run("setlock", &["-nx", "lock", "nosuch"]),
        111,
        "setlock: fatal: unable to run nosuch: file does not exist\n",
    );
}
