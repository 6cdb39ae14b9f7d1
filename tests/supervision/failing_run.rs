//! A `run` that cannot be executed: one line for each attempt, and supervise goes on trying.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use testkit::{Scratch, start, wait_until};

use super::world::{MORTAL, Service, scratch};

/// Supervises the service directory `a` until the message has come twice; then `run` is made right, and the service is
/// up without another word.
fn fails(scratch: &Scratch, reason: &str) {
    let mut service = Service::of(scratch, "a");
    let line = format!("supervise: fatal: unable to start a/run: {reason}\n");
    wait_until(&format!("two lines, not {:?}", service.stderr()), || service.stderr() == line.repeat(2));
    assert_eq!(service.record().want, b'u');
    let run = service.dir.join("run");
    let _ = fs::remove_dir(&run);
    scratch.script("right", &format!("echo >>ran; {MORTAL}"));
    fs::rename(scratch.path("right"), &run).expect("both are ours");
    service.wait_file("ran", "\n");
    service.wait_up();
    assert_eq!(service.stderr().replace(&line, ""), "");
    service.svc("dx");
    assert_eq!(service.end(), 0);
}

#[test]
fn a_missing_run() {
    let scratch = scratch();
    scratch.mkdir("a");
    fails(&scratch, "file does not exist");
}

#[test]
fn a_run_that_is_a_dangling_link() {
    let scratch = scratch();
    symlink("nowhere", scratch.mkdir("a").join("run")).expect("a link");
    fails(&scratch, "file does not exist");
}

#[test]
fn a_run_whose_interpreter_is_missing() {
    let scratch = scratch();
    let run = scratch.write("a/run", "#!/nonexistent/interpreter\n");
    testkit::make_executable(&run);
    fails(&scratch, "file does not exist");
}

#[test]
fn a_run_that_is_not_executable() {
    let scratch = scratch();
    let run = scratch.write("a/run", "#!/bin/sh\n");
    fs::set_permissions(run, fs::Permissions::from_mode(0o644)).expect("by owner");
    fails(&scratch, "access denied");
}

#[test]
fn a_run_that_is_a_directory() {
    let scratch = scratch();
    scratch.mkdir("a/run");
    fails(&scratch, "access denied");
}

#[test]
fn a_run_that_is_a_fifo() {
    let scratch = scratch();
    let run = scratch.mkdir("a").join("run");
    sys::fd::make_fifo(&run).expect("a FIFO");
    testkit::make_executable(&run);
    fails(&scratch, "access denied");
}

#[test]
fn a_run_without_an_interpreter_line() {
    let scratch = scratch();
    let run = scratch.write("a/run", "exec sleep 100000\n");
    testkit::make_executable(&run);
    fails(&scratch, "exec format error");
}

#[test]
fn an_empty_run() {
    let scratch = scratch();
    let run = scratch.write("a/run", "");
    testkit::make_executable(&run);
    fails(&scratch, "exec format error");
}

#[test]
fn a_run_that_is_a_link_to_itself() {
    let scratch = scratch();
    symlink("run", scratch.mkdir("a").join("run")).expect("a link");
    fails(&scratch, "symbolic link loop");
}

#[test]
fn a_run_whose_interpreter_is_a_directory() {
    let scratch = scratch();
    let run = scratch.write("a/run", "#!/\n");
    testkit::make_executable(&run);
    fails(&scratch, "access denied");
}

#[test]
fn a_name_that_is_no_text_is_said_as_it_is() {
    let scratch = scratch();
    let name = OsStr::from_bytes(b"s\xff");
    scratch.mkdir(name);
    let stderr = fs::File::create(scratch.path("err")).expect("a file");
    let mut command = scratch.command("supervise", &[]);
    let _supervise = start(command.arg(name).stdin(Stdio::null()).stderr(stderr));
    wait_until("it is said", || {
        scratch.read("err").starts_with(b"supervise: fatal: unable to start s\xff/run: file does not exist\n")
    });
}

#[test]
fn a_run_that_cannot_be_started_once_is_not_tried_again() {
    let scratch = scratch();
    scratch.write("a/down", "");
    let mut service = Service::of(&scratch, "a");
    service.svc("ox");
    assert_eq!(service.end(), 0);
    assert_eq!(service.stderr(), "supervise: fatal: unable to start a/run: file does not exist\n");
    assert_eq!((service.record().pid, service.record().want), (0, 0));
}
