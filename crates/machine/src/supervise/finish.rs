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

use super::Actions;
use super::events::{Action, Say, Target};
use crate::{Pid, SECOND, Signal, Tick};

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
    pub(super) fn resume(now: Tick, left: Option<record::Finish>, limit: Option<u64>) -> Finish {
        let mut finish = Finish { limit, ..Finish::default() };
        left.into_iter().for_each(|left| finish.started(now, Pid(left.pid.get())));
        finish
    }

    /// A copy has ended, which has led this process group. A `finish` that is run about that may take so long.
    pub(super) const fn plan(&mut self, group: Option<Pid>, limit: Option<u64>) {
        *self = Finish { state: State::Idle, limit, group };
    }

    /// The loop starts it.
    pub(super) const fn begin(&mut self) {
        self.state = State::Starting;
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

    /// Kills it, with its group, if it has had its time.
    pub(super) fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        if let State::Running { pid, kill_at } = &mut self.state
            && kill_at.take_if(|at| *at <= now).is_some()
        {
            todo.push(Action::Say(Say::FinishLate(*pid)));
            todo.push(Action::Signal(Target::Job(*pid), Signal::KILL));
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

    /// How much is to be done at this time: it is said, and killed.
    fn timeout(finish: &mut Finish, now: u64) -> usize {
        let mut todo = Actions::default();
        finish.timeout(Tick(now), &mut todo);
        todo.into_iter().count()
    }

    #[test]
    fn one_that_takes_too_long_is_killed_once() {
        let mut finish = Finish::default();
        finish.plan(None, Some(7));
        finish.begin();
        assert_eq!((finish.pid(), finish.deadline()), (None, None));
        finish.started(Tick(1), Pid(9));
        assert_eq!((finish.deadline(), timeout(&mut finish, 7)), (Some(Tick(8)), 0));
        assert_eq!((timeout(&mut finish, 8), timeout(&mut finish, 9)), (2, 0));
        assert_eq!((finish.pid(), finish.deadline()), (Some(Pid(9)), None), "it has not ended yet");
        finish.end();
        assert_eq!(finish, Finish::default());
    }

    #[test]
    fn one_without_a_limit_may_take_for_ever() {
        let mut finish = Finish::default();
        finish.plan(None, None);
        finish.begin();
        finish.started(Tick(1), Pid(9));
        assert_eq!((finish.deadline(), timeout(&mut finish, u64::MAX)), (None, 0));
    }
}
