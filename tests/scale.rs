//! The original serves at most 1,000 services and looks each of them up in a table from the front. Ours has no limit but the
//! system's, and finds a service by its directory at once.
//!
//! A target of its own, since nothing else gets much done while this runs.

use std::os::unix::fs::symlink;

use testkit::{Scratch, skip, wait_until};

const MANY: usize = 5_000;

/// Processes that this user may have, and the system.
fn room_for_processes() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap_or_default().to_owned();
    let own = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(usize::MAX);
    let pids = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|max| max.trim().parse().ok());
    own.min(pids.unwrap_or(usize::MAX))
}

#[test]
fn five_thousand_services_are_all_served() {
    if room_for_processes() < 3 * MANY {
        return skip("needs room for 15,000 processes");
    }
    let scratch = Scratch::new();
    // Each is supervised and up; all have one directory's contents, through links inside.
    let run = scratch.script("run", "echo up; exec sleep 1000");
    for number in 0..MANY {
        let dir = scratch.mkdir(format!("service/s{number}"));
        symlink(&run, dir.join("run")).expect("a link");
    }
    let svscan = scratch.start("svscan", "svscan", &["service"]);
    let mut left: Vec<String> = (0..MANY).map(|number| format!("service/s{number}/supervise/status")).collect();
    for _ in 0..4 {
        // As many deadlines as it takes on a slow machine, as long as it goes on.
        let before = left.len();
        wait_until("more services are up", || {
            left.retain(|status| !is_up(&scratch, status));
            left.len() <= before.saturating_sub(MANY / 4)
        });
    }
    assert!(left.is_empty());
    assert_eq!(scratch.text("svscan.err"), "");
    // One more is found among them.
    let dir = scratch.service("one-more", "exec sleep 1000");
    symlink(dir, scratch.path("service/one-more")).expect("a link");
    wait_until("it is up", || is_up(&scratch, "service/one-more/supervise/status"));
    drop(svscan);
}

/// Whether a status file names a pid.
fn is_up(scratch: &Scratch, status: &str) -> bool {
    scratch.read(status).get(12..16).is_some_and(|pid| pid != [0; 4])
}
