//! In the original anything called `log` counts as a logger, is looked at once, and what is left in its pipe is lost when the
//! service is removed; messages of a logger's supervise are about `log`, whosever it is. In ours `log` must be a directory, so
//! that nobody writes into a pipe that nobody reads; it is looked at whenever the service's supervise is started; a removed
//! service's logger reads its pipe to the end; and messages name the service.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::{Scratch, wait_until};

use crate::world::{lines, pid, process, svc, svstat, wait_up};

#[test]
fn a_log_that_is_a_file_is_said_and_the_service_runs_without() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("service/a", "echo seen; exec sleep 1000");
    scratch.write("service/a/log", "");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_until("its output is svscan's", || scratch.text("svscan.out") == "seen\n");
    let said = "svscan: warning: starting a without a logger: a/log: not a directory\n";
    assert_eq!(scratch.text("svscan.err"), said);
}

#[test]
fn a_log_that_cannot_be_examined_does_not_hold_the_service_back() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 1000");
    symlink("log", scratch.path("service/a/log")).expect("a link");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_up(&scratch, "service/a");
    let said = "svscan: warning: unable to stat a/log: symbolic link loop\n";
    assert_eq!(scratch.text("svscan.err"), said);
}

#[test]
fn a_log_that_came_later_is_used_from_the_next_supervise_on() {
    let scratch = Scratch::new();
    scratch.service("service/a", "echo line; exec sleep 1000");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_until("the first line is svscan's", || scratch.text("svscan.out") == "line\n");
    scratch.script("service/a/log/run", "exec cat >>got");
    svc(&scratch, "-dx", "service/a");
    wait_until("the logger gets the next", || scratch.text("service/a/log/got") == "line\n");
    assert_eq!(scratch.text("svscan.out"), "line\n");
}

#[test]
fn messages_of_a_loggers_supervise_name_the_service() {
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 1000");
    scratch.mkdir("service/a/log");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let said = "supervise: fatal: unable to start a/log/run: file does not exist\n";
    wait_until("said", || scratch.text("svscan.err").contains(said));
    assert!(process(&scratch, &["a/log"]).is_some(), "ps shows it too");
}

/// A service that leaves 50 lines in the pipe when it ends, and a logger that reads only when it is told to.
fn a_lazy_logger(scratch: &Scratch) {
    let body = "trap 'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; done; exit' TERM; echo up; : >hears; while :; do sleep 0.05; done";
    scratch.service("a", body);
    scratch.script("a/log/run", "while [ ! -e ../read ]; do sleep 0.05; done; exec cat >>../got");
    scratch.mkdir("service");
    symlink("../a", scratch.path("service/a")).expect("a link");
}

#[test]
fn the_logger_of_a_removed_service_reads_to_the_end_and_leaves() {
    let scratch = Scratch::new();
    a_lazy_logger(&scratch);
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_up(&scratch, "service/a");
    wait_up(&scratch, "service/a/log");
    wait_until("it hears TERM", || scratch.path("a/hears").exists());
    fs::remove_file(scratch.path("service/a")).expect("removes");
    svc(&scratch, "-dx", "a");
    wait_until("the service is gone", || svstat(&scratch, "a") == "supervise not running");
    scratch.write("a/read", "");
    wait_until("the logger is gone", || svstat(&scratch, "a/log") == "supervise not running");
    assert_eq!(lines(&scratch, "a/got"), 51, "{}", scratch.text("a/got"));
}

#[test]
fn a_service_that_is_listed_again_while_its_logger_still_reads_uses_the_same_pipe() {
    let scratch = Scratch::new();
    a_lazy_logger(&scratch);
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let first = wait_up(&scratch, "service/a");
    let logger = wait_up(&scratch, "service/a/log");
    wait_until("it hears TERM", || scratch.path("a/hears").exists());
    fs::remove_file(scratch.path("service/a")).expect("removes");
    svc(&scratch, "-dx", "a");
    wait_until("the service is gone", || svstat(&scratch, "a") == "supervise not running");
    symlink("../a", scratch.path("service/a")).expect("a link");
    assert_ne!(wait_up(&scratch, "service/a"), first);
    assert_eq!(pid(&scratch, "a/log"), Some(logger), "it still reads");
    scratch.write("a/read", "");
    wait_until("both runs' lines are there", || lines(&scratch, "a/got") == 52);
}
