//! The original says that it cannot write the status file each time it wants to. Ours says each cause once, and again when it comes
//! back: a full disk shall not fill the log as well. The service runs on either way.
//!
//! That it cannot wait, cannot read its FIFO or cannot signal its service is seen in `src/supervise/worlds`: no test of the programs can bring it about.

use std::fs;
use std::os::unix::fs::MetadataExt;

use testkit::{Scratch, wait_until};

use crate::world::{lines, svc, wait_up};

#[test]
fn a_status_that_cannot_be_written_is_said_once_and_the_service_runs_on() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start; exec sleep 1000");
    let mut supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_up(&scratch, "a");
    wait_until("it was started", || lines(&scratch, "supervise.out") == 1);
    // A directory of that name cannot be opened for writing, not even by root.
    fs::create_dir(scratch.path("a/supervise/status.new")).expect("a directory");
    for start in 2..=4 {
        svc(&scratch, "-t", "a");
        wait_until("it was started again", || lines(&scratch, "supervise.out") == start);
    }
    let said = "supervise: warning: unable to open a/supervise/status.new: is a directory\n";
    assert_eq!(scratch.text("supervise.err"), said);
    let before = status(&scratch);
    fs::remove_dir(scratch.path("a/supervise/status.new")).expect("it is empty");
    svc(&scratch, "-c", "a");
    wait_until("it was written", || status(&scratch) != before);
    // It may be written twice: for the command, and because a second is over.
    wait_until("there is no file", || fs::create_dir(scratch.path("a/supervise/status.new")).is_ok());
    svc(&scratch, "-c", "a");
    wait_until("said again", || scratch.text("supervise.err") == said.repeat(2));
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
}

/// Which file the status is, and of when, since a number is given again: another one each time it could be written.
fn status(scratch: &Scratch) -> (u64, i64, i64) {
    let status = fs::metadata(scratch.path("a/supervise/status")).expect("there is one");
    (status.ino(), status.ctime(), status.ctime_nsec())
}
