//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen. Far longer than it takes, since the machine may be very busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How long at the most what is quick may take all together: for claims that nothing waits for the next look or the next minute.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// When it does not within [`PATIENCE`].
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

/// Lets others work before the next look at what was begun at that time: the longer it takes, the seldomer one looks.
pub(crate) fn pause(begin: Instant) {
    thread::sleep((begin.elapsed() / 16).clamp(Duration::from_millis(1), Duration::from_millis(20)));
}

/// Watches for `period` that `condition` holds all the time: for what must not happen.
///
/// # Panics
/// As soon as it does not hold; `what` says what was expected.
#[track_caller]
pub fn holds_for(period: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while begin.elapsed() < period {
        assert!(condition(), "after {:?}: {what}", begin.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
}
