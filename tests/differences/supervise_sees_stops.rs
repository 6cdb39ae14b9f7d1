//! The original shows a service as paused if `svc -p` was the last word, whatever the process really does. Ours watches:
//! a process that somebody else stopped is shown as paused, and one that was continued is not. Why: the status shall say what is.

use std::process::Command;

use testkit::{Scratch, finish, state, wait_until};

use crate::world::{svc, svstat, wait_up};

fn kill(signal: &str, pid: u32) {
    assert_eq!(finish(Command::new("kill").args([signal, &pid.to_string()])).code, 0);
}

#[test]
fn a_stop_by_somebody_else_is_seen() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    let pid = wait_up(&scratch, "a");
    kill("-STOP", pid);
    wait_until("paused", || svstat(&scratch, "a").ends_with(" seconds, paused"));
    kill("-CONT", pid);
    wait_until("not paused", || svstat(&scratch, "a").ends_with(" seconds"));
    svc(&scratch, "-p", "a");
    // The status is written before the signal is sent.
    wait_until("stopped", || state(pid) == Some('T'));
    assert!(svstat(&scratch, "a").ends_with(" seconds, paused"));
    kill("-CONT", pid);
    wait_until("not paused", || svstat(&scratch, "a").ends_with(" seconds"));
}
