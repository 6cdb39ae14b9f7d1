//! The times at which a service's `check` is run: soon after the start, then after longer and longer pauses, until it succeeds for
//! the first time.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | idle | nobody waits for the service to be ready | [`Probe::begin`]: due |
//! | due | to be run at a deadline | the deadline: running |
//! | running | its process runs | its end: idle if it succeeded, else due; the deadline: it gets KILL |
//!
//! There is one run at a time, and each may take [`LIMIT`]. A service that is ready at once is found ready at once, and a service
//! that never gets ready costs one process a second.

pub use crate::runs::Action;
use crate::runs::Runs;
use crate::{Pid, SECOND, Tick};

/// The pause from the start of the service to the first run, and from the failure of that to the second, in
/// nanoseconds.
pub const FIRST_PAUSE: u64 = SECOND / 100;
/// The longest pause between two runs, in nanoseconds.
pub const LONGEST_PAUSE: u64 = SECOND;
/// The limit of one run, in nanoseconds: a run that takes longer has failed.
pub const LIMIT: u64 = 10 * SECOND;

/// The state of the checks of one start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    runs: Runs,
    pause: u64,
}

impl Probe {
    /// Begins the checks of a service that was just started.
    pub fn begin(&mut self, now: Tick) {
        self.pause = FIRST_PAUSE;
        self.runs = Runs::Due(now.after(self.pause));
    }

    /// Ends the checks. Returns the process that runs, which is to be killed.
    pub fn stop(&mut self) -> Option<Pid> {
        self.runs.stop()
    }

    /// The process that runs, if one does.
    pub const fn pid(&self) -> Option<Pid> {
        self.runs.pid()
    }

    /// Returns whether no check is to be run any more.
    pub fn is_over(&self) -> bool {
        self.runs == Runs::Idle
    }

    /// The time at which [`timeout`](Probe::timeout) is to be called.
    pub const fn deadline(&self) -> Option<Tick> {
        self.runs.deadline()
    }

    /// Returns the action that is due; the outcome of a run is reported by [`Probe::started`] or [`Probe::not_started`].
    pub fn timeout(&mut self, now: Tick) -> Option<Action> {
        self.runs.timeout(now, LIMIT)
    }

    /// Notes that `check` was started as this process.
    pub fn started(&mut self, now: Tick, pid: Pid) {
        self.runs = Runs::Running(pid, now.after(LIMIT));
    }

    /// Notes that `check` could not be run.
    pub fn not_started(&mut self, now: Tick) {
        self.again(now);
    }

    /// Takes in the end of a process. `None` if it was not the check that runs; otherwise whether the service is ready.
    pub fn ended(&mut self, now: Tick, pid: Pid, success: bool) -> Option<bool> {
        match self.runs {
            Runs::Running(check, _) if check == pid => {
                if success {
                    self.runs = Runs::Idle;
                } else {
                    self.again(now);
                }
                Some(success)
            }
            Runs::Idle | Runs::Due(_) | Runs::Running(..) => None,
        }
    }

    fn again(&mut self, now: Tick) {
        self.runs = Runs::Due(now.after(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A check that fails for so many times, each at once.
    fn runs_until(failures: u32) -> Vec<Tick> {
        let (mut probe, mut now, mut runs) = (Probe::default(), Tick(0), Vec::new());
        probe.begin(now);
        while let Some(deadline) = probe.deadline() {
            assert!(deadline > now && probe.timeout(now).is_none());
            now = deadline;
            assert_eq!(probe.timeout(now), Some(Action::Run));
            runs.push(now);
            let pid = Pid(runs.len() as u32);
            probe.started(now, pid);
            assert_eq!(probe.ended(now, Pid(999), true), None, "a stranger");
            let success = runs.len() as u32 > failures;
            assert_eq!(probe.ended(now, pid, success), Some(success));
        }
        runs
    }

    #[test]
    fn it_runs_until_its_first_success_and_less_and_less_often() {
        assert_eq!(runs_until(0), [Tick(FIRST_PAUSE)]);
        let runs = runs_until(20);
        assert_eq!(runs.len(), 21);
        let pauses: Vec<u64> = runs.windows(2).map(|pair| pair[0].until(pair[1])).collect();
        assert!(pauses.is_sorted() && pauses[0] == FIRST_PAUSE && pauses[19] == LONGEST_PAUSE);
    }

    #[test]
    fn one_that_hangs_is_ended_and_run_again() {
        let mut probe = Probe::default();
        probe.begin(Tick(0));
        probe.started(Tick(1), Pid(7));
        assert_eq!(probe.timeout(Tick(LIMIT)), None);
        assert_eq!(probe.timeout(Tick(1 + LIMIT)), Some(Action::Kill(Pid(7))));
        assert_eq!(probe.ended(Tick(2 + LIMIT), Pid(7), false), Some(false));
        assert_eq!(probe.deadline(), Some(Tick(2 + LIMIT + FIRST_PAUSE)));
    }

    #[test]
    fn when_nobody_waits_nothing_is_due() {
        let mut probe = Probe::default();
        assert_eq!((probe.deadline(), probe.stop(), probe.timeout(Tick(9))), (None, None, None));
        probe.begin(Tick(0));
        probe.started(Tick(1), Pid(7));
        assert_eq!(probe.stop(), Some(Pid(7)));
        assert_eq!((probe.deadline(), probe.ended(Tick(2), Pid(7), true)), (None, None));
    }

    #[test]
    fn one_that_cannot_be_run_is_tried_again() {
        let mut probe = Probe::default();
        probe.begin(Tick(0));
        probe.not_started(Tick(5));
        assert_eq!(probe.deadline(), Some(Tick(5 + FIRST_PAUSE)));
    }
}
