//! A service at work, and what an operator does to it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::{Scratch, lives, wait_for, wait_until};

/// A `run` of which two at a time would show: the second cannot have the lock, and says so on stderr.
pub const ALONE: &str = "echo >>starts\nexec setlock -n alone sleep 1000";

/// The pid in the record of a service, if it is up.
pub fn pid(scratch: &Scratch, dir: &str) -> Option<u32> {
    let record = scratch.read(Path::new(dir).join("supervise/status"));
    let pid = record.get(12..16)?.try_into().ok().map(u32::from_le_bytes)?;
    (pid != 0).then_some(pid)
}

/// The pid of the supervise in `dir`, from its record.
pub fn supervise_of(scratch: &Scratch, dir: &str) -> u32 {
    testkit::record(scratch.path(dir)).expect("a record").observed.supervise.pid
}

/// Waits until the service is up by its record and in truth, and returns its pid.
#[track_caller]
pub fn wait_up(scratch: &Scratch, dir: &str) -> u32 {
    wait_for(&format!("{dir} is up"), || pid(scratch, dir).filter(|&pid| lives(pid)))
}

/// The same for another pid than `old`.
#[track_caller]
pub fn wait_up_again(scratch: &Scratch, dir: &str, old: u32) -> u32 {
    wait_for(&format!("{dir} is up again"), || pid(scratch, dir).filter(|&pid| pid != old && lives(pid)))
}

/// Waits until the service is down by its record.
#[track_caller]
pub fn wait_down(scratch: &Scratch, dir: &str) {
    wait_until(&format!("{dir} is down"), || pid(scratch, dir).is_none());
}

/// Whether a supervise runs in `dir`.
pub fn is_supervised(scratch: &Scratch, dir: &str) -> bool {
    sys::fd::open_write(&scratch.path(dir).join("supervise/ok")).is_ok()
}

/// Sends command letters, as svc does.
#[track_caller]
pub fn svc(scratch: &Scratch, letters: &str, dir: &str) {
    let control = sys::fd::open_write(&scratch.path(dir).join("supervise/control"));
    control.expect("supervise reads it").write_all(letters.as_bytes()).expect("there is room");
}

/// Waits until the service is up under another pid. A patient operator asks for it again as long as it is not.
#[track_caller]
pub fn insist_up_again(scratch: &Scratch, dir: &str, old: u32) -> u32 {
    let mut asked = Instant::now();
    wait_for(&format!("{dir} is up again"), || {
        if asked.elapsed() > Duration::from_millis(500) && !pid(scratch, dir).is_some_and(lives) {
            svc(scratch, "u", dir);
            asked = Instant::now();
        }
        pid(scratch, dir).filter(|&pid| pid != old && lives(pid))
    })
}

/// Processes that work in the directory `dir`, by the names of their programs.
pub fn processes(scratch: &Scratch, dir: &str) -> Vec<String> {
    let here = fs::canonicalize(scratch.path(dir)).expect("it exists");
    let inside = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == here);
    let all = scratch.processes().into_iter().filter(inside).filter(|&pid| lives(pid));
    let mut names: Vec<String> = all.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok()).collect();
    names.sort();
    names.iter().map(|name| name.trim_end().to_owned()).collect()
}

/// Checks that nothing but these lines was said, and each once at most.
#[track_caller]
pub fn assert_said_once(said: &str, lines: &[String]) {
    let mut rest = lines.to_vec();
    for line in said.lines() {
        let Some(at) = rest.iter().position(|expected| expected == line) else {
            panic!("said something else than each of these once: {lines:?}\n{said}");
        };
        rest.swap_remove(at);
    }
}
