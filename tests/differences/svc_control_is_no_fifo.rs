//! The original's svc writes its letters into whatever `supervise/control` is: they are left in a regular file, where
//! the next supervise finds them or nobody does, and svc says nothing. Ours sends nothing and says that it is no FIFO, since a
//! command that reached nobody is worth a warning, and a file that is not ours is not to be changed. The exit code stays 0.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::Scratch;

#[test]
fn a_control_that_is_a_file_is_left_alone_and_said() {
    let scratch = Scratch::new();
    let control = scratch.write("a/supervise/control", "kept");
    let ran = scratch.run("svc", &["-u", "a"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.err(), "svc: warning: unable to control a: supervise/control is not a FIFO\n");
    assert_eq!(fs::read(control).expect("it is there"), b"kept");
}

#[test]
fn a_control_that_leads_to_a_device_is_said() {
    let scratch = Scratch::new();
    symlink("/dev/null", scratch.mkdir("a/supervise").join("control")).expect("a link");
    let ran = scratch.run("svc", &["-dx", "a"]);
    assert_eq!((ran.code, ran.out().as_str()), (0, ""));
    assert_eq!(ran.err(), "svc: warning: unable to control a: supervise/control is not a FIFO\n");
}
