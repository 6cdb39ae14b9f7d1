//! `finish`: what is run when the main copy has ended, and before it is started again.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | idle | it does not run | the end of a main copy, where there is a `finish`: starting |
//! | starting | the loop forks in this moment | the fork's success: running; its failure: idle |
//! | running | its process runs | its end: idle; the deadline: its process group gets KILL, once |
//!
//! It is run once for each life of the service: not for a copy that was replaced or given up, since the service did not end, nor for a process that could not
//! become `run`. Whatever comes of it, it is over at some time, and the service goes on.

use std::num::NonZeroU32;

use svdir::record;

use crate::{Pid, SECOND, Tick};

/// How long it may take, in nanoseconds, where nothing else is said: as in s6.
pub const LIMIT: u64 = 5 * SECOND;
/// By this exit code it says that the service has failed, and shall not be started again: as in s6.
pub const FAILED: u8 = 125;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Starting,
    Running {
        pid: Pid,
        kill_at: Option<Tick>,
    },
}

/// The state of `finish`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    state: State,
    /// How long it may take, in nanoseconds; for ever if `None`.
    limit: Option<u64>,
    /// The process group that the copy which has ended has led.
    group: Option<Pid>,
}

impl Finish {
    /// The one that a predecessor has left running. Its time begins anew.
    pub(super) fn resume(now: Tick, left: record::Finish, limit: Option<u64>) -> Finish {
        let mut finish = Finish { limit, ..Finish::default() };
        finish.started(now, Pid(left.pid.get()));
        finish
    }

    /// A copy has ended, which has led this process group, and the loop starts a `finish`.
    pub(super) const fn begin(&mut self, group: Option<Pid>, limit: Option<u64>) {
        *self = Finish { state: State::Starting, limit, group };
    }

    /// It runs.
    pub(super) fn started(&mut self, now: Tick, pid: Pid) {
        self.state = State::Running { pid, kill_at: self.limit.map(|limit| now.after(limit)) };
    }

    /// It has ended, or was not started.
    pub(super) fn end(&mut self) {
        *self = Finish::default();
    }

    /// Its process, if it runs.
    pub const fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } => Some(pid),
            State::Idle | State::Starting => None,
        }
    }

    /// The process group that the copy which has ended has led, if it led one.
    pub const fn group(&self) -> Option<Pid> {
        self.group
    }

    /// When [`timeout`](Finish::timeout) is to be asked.
    pub(super) const fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Running { kill_at, .. } => kill_at,
            State::Idle | State::Starting => None,
        }
    }

    /// Whom to kill now, with its group: it has had its time.
    pub(super) fn timeout(&mut self, now: Tick) -> Option<Pid> {
        match &mut self.state {
            State::Running { pid, kill_at } if kill_at.is_some_and(|at| at <= now) => {
                *kill_at = None;
                Some(*pid)
            }
            State::Idle | State::Starting | State::Running { .. } => None,
        }
    }

    /// What stands in the record.
    pub(super) fn record(&self) -> Option<record::Finish> {
        Some(record::Finish { pid: NonZeroU32::new(self.pid()?.0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_takes_too_long_is_killed_once() {
        let mut finish = Finish::default();
        finish.begin(None, Some(7));
        assert_eq!((finish.pid(), finish.deadline()), (None, None));
        finish.started(Tick(1), Pid(9));
        assert_eq!((finish.deadline(), finish.timeout(Tick(7))), (Some(Tick(8)), None));
        assert_eq!((finish.timeout(Tick(8)), finish.timeout(Tick(9))), (Some(Pid(9)), None));
        assert_eq!((finish.pid(), finish.deadline()), (Some(Pid(9)), None), "it has not ended yet");
        finish.end();
        assert_eq!(finish, Finish::default());
    }

    #[test]
    fn one_without_a_limit_may_take_for_ever() {
        let mut finish = Finish::default();
        finish.begin(None, None);
        finish.started(Tick(1), Pid(9));
        assert_eq!((finish.deadline(), finish.timeout(Tick(u64::MAX))), (None, None));
    }
}
