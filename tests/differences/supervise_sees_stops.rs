//! The original shows a service as paused if `svc -p` was the last word, whatever the process really does. Ours watches:
//! a process that somebody else stopped is shown as paused, and one that was continued is not. Why: the status shall say what is.

use std::process::Command;

use testkit::{Scratch, wait_until};

use crate::world::{svc, svstat, wait_up};

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs").success());
}

/// Whether the process is stopped, as the kernel says.
fn is_stopped(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
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
    wait_until("stopped", || is_stopped(pid));
    assert!(svstat(&scratch, "a").ends_with(" seconds, paused"));
    kill("-CONT", pid);
    wait_until("not paused", || svstat(&scratch, "a").ends_with(" seconds"));
}
