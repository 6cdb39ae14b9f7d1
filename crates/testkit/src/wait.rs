//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen: far longer than it takes, since the machine may be very busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How long a quick sequence may take at most, for tests that claim that nothing waits for a retry or for the next minute.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` returns true.
///
/// # Panics
/// If it does not within [`PATIENCE`]; the message contains `what`.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `look` returns a value, and returns that.
///
/// # Panics
/// If it does not within [`PATIENCE`]; the message contains `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        pause(begin);
    }
}

/// Waits until `look` returns a value, and returns the same for all of `period`; returns that.
///
/// # Panics
/// If it does not within [`PATIENCE`]; the message contains `what`.
#[track_caller]
pub fn wait_rest<T: PartialEq>(what: &str, period: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let mut last = (look(), Instant::now());
    wait_for(what, || {
        let found = look();
        if found != last.0 {
            last = (found, Instant::now());
        }
        if last.0.is_some() && last.1.elapsed() >= period { last.0.take() } else { None }
    })
}

/// Sleeps between two looks of a wait that started at `begin`: from 1 to 20 milliseconds, the longer the wait, the longer the sleep.
pub(crate) fn pause(begin: Instant) {
    thread::sleep((begin.elapsed() / 16).clamp(Duration::from_millis(1), Duration::from_millis(20)));
}

/// Checks for `period` that `condition` stays true, for something that must not happen.
///
/// # Panics
/// As soon as it is false; the message contains `what`.
#[track_caller]
pub fn holds_for(period: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while begin.elapsed() < period {
        assert!(condition(), "after {:?}: {what}", begin.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
}
