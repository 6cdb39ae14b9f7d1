//! What the tests of supervise and svscan have in common.

use std::time::Duration;

use testkit::{Scratch, wait_for, wait_until};

/// Longer than the original's time from one look at the scan directory to the next.
pub const A_LOOK: Duration = Duration::from_secs(7);

/// What svstat says of a service, without its name.
pub fn svstat(scratch: &Scratch, dir: &str) -> String {
    let line = scratch.run("svstat", &["--", dir]).out();
    line.strip_prefix(&format!("{dir}: ")).unwrap_or(&line).trim_end().to_owned()
}

/// The pid of a service that is up.
pub fn pid(scratch: &Scratch, dir: &str) -> Option<u32> {
    let line = svstat(scratch, dir);
    line.strip_prefix("up (pid ")?.split(')').next()?.parse().ok()
}

/// Waits until the service is up, and returns its pid.
#[track_caller]
pub fn wait_up(scratch: &Scratch, dir: &str) -> u32 {
    wait_for(&format!("{dir} is up"), || pid(scratch, dir))
}

/// Waits until the service is down.
#[track_caller]
pub fn wait_down(scratch: &Scratch, dir: &str) {
    wait_until(&format!("{dir} is down"), || svstat(scratch, dir).starts_with("down "));
}

/// Sends letters.
#[track_caller]
pub fn svc(scratch: &Scratch, letters: &str, dir: &str) {
    let sent = scratch.run("svc", &[letters, dir]);
    assert_eq!((sent.code, sent.err().as_str()), (0, ""));
}

/// How many lines a file has.
pub fn lines(scratch: &Scratch, name: &str) -> usize {
    scratch.read(name).iter().filter(|&&byte| byte == b'\n').count()
}

/// A process of the suite that was started as `words`, by its command line.
pub fn process(scratch: &Scratch, words: &[&str]) -> Option<u32> {
    scratch.processes().into_iter().find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0)
            .skip(1)
            .map(String::from_utf8_lossy)
            .filter(|word| !word.is_empty())
            .eq(words.iter().copied())
    })
}
