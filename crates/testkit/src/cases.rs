//! Runs the cases of one test at the same time, since they wait most of the time.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex};
use std::thread;

/// Runs `check` for each case, many at a time.
///
/// # Panics
/// If `check` has panicked for any case. It panics after all cases have ended, and names the failed ones.
pub fn for_each<T: Sync + Debug>(cases: &[T], check: impl Fn(&T) + Sync) {
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for case in cases {
            let (check, failed) = (&check, &failed);
            // Messages, such as that a test was skipped, contain the name of the thread, so it gets the name of the test.
            let named = thread::Builder::new().name(thread::current().name().unwrap_or("a test").to_owned());
            let run = move || {
                let _turn = Turn::wait();
                if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                    failed.lock().expect("nobody panics with it").push(format!("{case:?}"));
                }
            };
            named.spawn_scoped(scope, run).expect("a thread");
        }
    });
    let failed = failed.into_inner().expect("nobody panics with it");
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// The right to run a case. All tests of this process together run at most 64 cases at a time, since each svscan among them takes one of the 128
/// inotify instances that a user may have.
struct Turn;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(64), Condvar::new());

impl Turn {
    fn wait() -> Turn {
        let free = FREE.0.lock().expect("nobody panics with it");
        *FREE.1.wait_while(free, |free| *free == 0).expect("nobody panics with it") -= 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *FREE.0.lock().expect("nobody panics with it") += 1;
        FREE.1.notify_one();
    }
}
