//! The original writes its status through a link that stands in the place of `supervise/status.new`, and its lock likewise. Below a state directory that others may
//! write, that link could lead to any file of root's. Ours follows no link there.

use std::os::unix::fs::symlink;

use testkit::{Scratch, wait_until};

use crate::world::svc;

#[test]
fn a_link_in_place_of_the_status_is_a_warning_and_not_followed() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let kept = scratch.write("kept", "kept");
    symlink(&kept, scratch.mkdir("a/supervise").join("status.new")).expect("a link");
    let mut supervise = scratch.start("supervise", "supervise", &["a"]);
    let warning = "supervise: warning: unable to open a/supervise/status.new: symbolic link loop\n";
    wait_until("it is said", || scratch.text("supervise.err") == warning);
    wait_until("it is supervised", || scratch.run("svok", &["a"]).code == 0);
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
    assert_eq!(scratch.text("kept"), "kept");
}

#[test]
fn a_link_in_place_of_the_lock_or_the_record_is_not_followed() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let kept = scratch.write("kept", "kept");
    symlink(&kept, scratch.mkdir("a/supervise").join("lock")).expect("a link");
    let ran = scratch.run("supervise", &["a"]);
    assert_eq!(ran.err(), "supervise: fatal: unable to acquire a/supervise/lock: symbolic link loop\n");
    assert_eq!((ran.code, scratch.text("kept").as_str()), (111, "kept"));
    std::fs::remove_file(scratch.path("a/supervise/lock")).expect("it is there");
    symlink(&kept, scratch.path("a/supervise/record")).expect("a link");
    let mut supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_until("it is said", || {
        scratch.text("supervise.err").contains("unable to write a/supervise/record: symbolic link loop")
    });
    wait_until("it is supervised", || scratch.run("svok", &["a"]).code == 0);
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
    assert_eq!(scratch.text("kept"), "kept");
}
