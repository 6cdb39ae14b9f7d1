//! pgrphack.

use std::os::unix::process::CommandExt;

use testkit::{Scratch, finish};

/// pid, process group, session and terminal, as /proc/PID/stat has them.
fn stat(text: &str) -> Vec<i64> {
    let fields: Vec<&str> = text.trim().split(' ').collect();
    [0, 4, 5, 6].iter().map(|&at| fields[at].parse().expect("a number")).collect()
}

#[test]
fn the_child_leads_a_new_session_and_group_without_a_terminal() {
    let scratch = Scratch::new();
    let ran = scratch.run("pgrphack", &["cat", "/proc/self/stat"]);
    let own = stat(&ran.out());
    assert_eq!(own[1..], [own[0], own[0], 0], "{}", ran.out());
}

#[test]
fn the_leader_of_a_group_runs_its_child_all_the_same() {
    let scratch = Scratch::new();
    let ran = finish(scratch.command("pgrphack", &["cat", "/proc/self/stat"]).process_group(0));
    let own = stat(&ran.out());
    assert_eq!((ran.code, own[1]), (0, own[0]));
    assert_ne!(own[2], own[0], "setsid fails for it");
}
