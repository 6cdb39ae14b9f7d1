//! To a parent that ignores SIGCHLD the ends of its children are not told, and ignoring is inherited: under such a one
//! the processors of daemontools 0.76 never seem to end well, and the log stands still. Ours waits for them whatever it
//! inherited.

use std::process::Command;

use testkit::{Scratch, Suite, finish_with};

#[test]
fn an_ignored_sigchld_does_not_make_processors_fail() {
    let scratch = Scratch::with(Suite::under_test());
    let mut command = Command::new("sh");
    command.arg("-c").arg("trap '' CHLD; exec \"$0\" s4096 '!tr 0 o' ./log").arg(scratch.suite().path("multilog"));
    command.current_dir(scratch.root());
    let finished = finish_with(&mut command, "0123456789\n".repeat(250).as_bytes());
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    assert!(scratch.text("log/current").len() < 1000, "it was rotated");
}
