//! Many services at a time.
//!
//! This is a target of its own that runs one test after the other, since it keeps the machine busy. Measurements are printed, but never
//! asserted.

mod many;
#[cfg(target_os = "linux")]
mod takeover;
#[cfg(target_os = "linux")]
mod upgrade;
#[cfg(target_os = "linux")]
mod waiting;

use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::{Scratch, skip, wait_until};

/// The right to run, as long as it is held.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is room for so many services with two processes each, and what else runs here; if not, a line says so.
fn room_for(services: usize) -> bool {
    let room = room_for_processes() >= 3 * services;
    if !room {
        skip(&format!("needs room for {} processes", 3 * services));
    }
    room
}

/// Processes that this user may have, and the system.
fn room_for_processes() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap_or_default().to_owned();
    let own = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(usize::MAX);
    let pids = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|max| max.trim().parse().ok());
    own.min(pids.unwrap_or(usize::MAX))
}

/// Makes the services `scan/s0` and so on. Each says `up` when it is started.
fn make_services(scratch: &Scratch, count: usize) {
    // All have one directory's contents, through links inside.
    let run = scratch.script("run", "echo up; exec sleep 1000");
    for number in 0..count {
        let dir = scratch.mkdir(format!("scan/s{number}"));
        symlink(&run, dir.join("run")).expect("a link");
    }
}

/// Waits until all of these are up.
#[track_caller]
fn wait_all_up(scratch: &Scratch, count: usize) {
    let mut left: Vec<String> = (0..count).map(|number| format!("scan/s{number}")).collect();
    for _ in 0..4 {
        // As many deadlines as it takes on a slow machine, as long as it goes on.
        let before = left.len();
        wait_until("more services are up", || {
            left.retain(|dir| !is_up(scratch, dir));
            left.len() <= before.saturating_sub(count.div_ceil(4))
        });
    }
    assert!(left.is_empty());
}

/// Whether a service is up by its record.
fn is_up(scratch: &Scratch, dir: &str) -> bool {
    pid(scratch, dir) != 0
}

/// The pid in the record of a service; 0 if it is down.
fn pid(scratch: &Scratch, dir: &str) -> u32 {
    let record = scratch.read(format!("{dir}/supervise/status"));
    record.get(12..16).and_then(|pid| pid.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Says how long something took, past the test harness.
fn tell(what: &str, took: Duration) {
    let _ = std::io::stderr().write_all(format!("{what} in {:.3} s\n", took.as_secs_f64()).as_bytes());
}
