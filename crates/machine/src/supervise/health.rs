//! `health`: what is run about the main copy, again and again, to find out whether it still works.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | idle | the copy is not judged: it is not ready, paused, told to end, or not the main one | it is judged: due |
//! | due | to be run at a deadline | the deadline: running; the copy is not judged any more: idle |
//! | running | its process runs | its end: due; the deadline: it gets KILL; the copy is not judged any more: it gets KILL, and does not count: idle |
//!
//! There is one run at a time. The first is made one interval after the copy is judged for the first time, each further one an interval after the end of the
//! one before. A run fails if it does not exit 0, or takes longer than the interval or [`LIMIT`], whichever is less. A copy is unhealthy if so many runs in a row have failed.

use std::num::NonZeroU32;

use svdir::record;

use crate::runs::{Action, Runs};
use crate::{Pid, SECOND, Tick};

/// The default of `health-interval`, in nanoseconds.
pub const INTERVAL: u64 = 30 * SECOND;
/// The default of `health-fails`.
pub const FAILS: u8 = 3;
/// The longest time that one run may take, in nanoseconds.
pub const LIMIT: u64 = 10 * SECOND;

/// What the service directory says about the runs of `health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the end of one run to the next, in nanoseconds.
    pub interval: u64,
    /// How many must fail in a row.
    pub fails: u8,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { interval: INTERVAL, fails: FAILS }
    }
}

/// The runs of `health` about one copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    runs: Runs,
    /// In nanoseconds; 0 if there is no `health`.
    interval: u64,
    /// How many runs have failed since the last success.
    fails: u8,
    /// When the first of them had failed.
    since: Tick,
}

impl Health {
    /// For a copy about which `health` is run at this interval, in nanoseconds; 0 if there is no `health`.
    pub fn new(interval: u64) -> Health {
        Health { interval, ..Health::default() }
    }

    /// Goes on where the same process stopped before an upgrade. The time of a run begins anew.
    pub fn resume(now: Tick, interval: u64, left: Option<record::Health>) -> Health {
        let mut health = Health::new(interval);
        if let Some(left) = left {
            (health.fails, health.since) = (left.fails, Tick(left.since));
            if let Some(pid) = left.pid {
                health.started(now, Pid(pid.get()));
            }
        }
        health
    }

    /// Plans the next run if the copy is judged; otherwise calls off what is planned. Returns the process that runs, which is to be killed.
    pub fn judge(&mut self, now: Tick, judged: bool) -> Option<Pid> {
        if judged && self.interval > 0 {
            if self.runs == Runs::Idle {
                self.runs = Runs::Due(now.after(self.interval));
            }
            return None;
        }
        self.runs.stop()
    }

    /// The process that runs, if one does.
    pub const fn pid(&self) -> Option<Pid> {
        self.runs.pid()
    }

    /// The time at which [`timeout`](Health::timeout) is to be called.
    pub const fn deadline(&self) -> Option<Tick> {
        self.runs.deadline()
    }

    /// Returns the action that is due.
    pub fn timeout(&mut self, now: Tick) -> Option<Action> {
        self.runs.timeout(now, LIMIT)
    }

    /// Notes that `health` was started as this process.
    pub fn started(&mut self, now: Tick, pid: Pid) {
        self.runs = Runs::Running(pid, now.after(self.interval.min(LIMIT)));
    }

    /// Notes that `health` could not be run, which says nothing about the copy. If it is `gone`, it is not run again.
    pub fn not_started(&mut self, now: Tick, gone: bool) {
        if gone {
            *self = Health::default();
        } else {
            self.runs = Runs::Due(now.after(self.interval));
        }
    }

    /// Takes in the end of the run. If the copy is unhealthy, returns how many have failed in a row.
    pub fn ended(&mut self, now: Tick, success: bool, settings: Settings) -> Option<u8> {
        self.interval = settings.interval;
        self.runs = Runs::Due(now.after(self.interval));
        if success {
            self.fails = 0;
            return None;
        }
        if self.fails == 0 {
            self.since = now;
        }
        self.fails = self.fails.saturating_add(1);
        (self.fails >= settings.fails).then_some(self.fails)
    }

    /// What stands in the record.
    pub fn record(&self) -> Option<record::Health> {
        let pid = self.pid().and_then(|pid| NonZeroU32::new(pid.0));
        let since = if self.fails > 0 { self.since.0 } else { 0 };
        (pid.is_some() || self.fails > 0).then_some(record::Health { pid, fails: self.fails, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { interval: 4 * SECOND, fails: 3 };

    /// Runs it about a copy that is judged from 0 on: each run takes no time, and ends as said. Returns what each says of the copy.
    fn run(ends: &[bool]) -> Vec<Option<u8>> {
        let (mut health, mut now, mut found) = (Health::new(SETTINGS.interval), Tick(0), Vec::new());
        for (count, &success) in ends.iter().enumerate() {
            assert_eq!(health.judge(now, true), None);
            let deadline = health.deadline().expect("one is planned");
            assert_eq!((now.until(deadline), health.timeout(now)), (SETTINGS.interval, None));
            now = deadline;
            assert_eq!(health.timeout(now), Some(Action::Run));
            health.started(now, Pid(count as u32 + 1));
            found.push(health.ended(now, success, SETTINGS));
        }
        found
    }

    #[test]
    fn failures_count_only_in_a_row() {
        let found = run(&[true, false, false, true, false, false, false]);
        assert_eq!(found, [None, None, None, None, None, None, Some(3)]);
    }

    #[test]
    fn one_that_takes_too_long_is_killed_and_fails() {
        let mut health = Health::new(SETTINGS.interval);
        health.started(Tick(1), Pid(7));
        assert_eq!(health.timeout(Tick(SETTINGS.interval)), None);
        let late = Tick(1 + SETTINGS.interval);
        assert_eq!((health.deadline(), health.timeout(late)), (Some(late), Some(Action::Kill(Pid(7)))));
        assert_eq!((health.ended(late, false, SETTINGS), health.record().map(|left| left.fails)), (None, Some(1)));
        let mut seldom = Health::new(60 * SECOND);
        seldom.started(Tick(1), Pid(7));
        assert_eq!(seldom.deadline(), Some(Tick(1 + LIMIT)));
    }

    #[test]
    fn what_is_not_judged_is_left_alone() {
        let mut health = Health::new(SETTINGS.interval);
        health.judge(Tick(0), true);
        assert_eq!((health.judge(Tick(1), false), health.deadline()), (None, None));
        health.judge(Tick(2), true);
        assert_eq!(health.deadline(), Some(Tick(2 + SETTINGS.interval)));
        health.started(Tick(3), Pid(7));
        assert_eq!((health.judge(Tick(4), false), health.pid()), (Some(Pid(7)), None));
        let mut none = Health::new(0);
        assert_eq!((none.judge(Tick(0), true), none.deadline()), (None, None));
    }

    #[test]
    fn what_was_counted_goes_through_an_upgrade() {
        let mut health = Health::new(SETTINGS.interval);
        assert_eq!(health.record(), None);
        health.started(Tick(1), Pid(7));
        health.ended(Tick(2), false, SETTINGS);
        health.started(Tick(3), Pid(8));
        let next = Health::resume(Tick(4), SETTINGS.interval, health.record());
        assert_eq!((next.pid(), next.record()), (Some(Pid(8)), health.record()));
        assert_eq!(Health::resume(Tick(4), SETTINGS.interval, None), Health::new(SETTINGS.interval));
    }
}
