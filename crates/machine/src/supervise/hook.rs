//! The script for which the service waits: `start` or `control/u` before `run`, `finish` after it, `stop` when the service is down. There is one at a time.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | idle | none runs | what comes before or after a main copy, where there is such a script: starting |
//! | starting | the loop forks in this moment | the fork's success: running; its failure: idle |
//! | running | its process runs | its end: idle; the deadline: its process group gets KILL, once |
//!
//! `finish` is run once for each life of the service: not for a copy that was replaced or given up, since the service did not end, nor for a process that could not
//! become `run`. `start` has no time limit; but a `d` tells it, and `control/u`, to end, which then must be over within the time that `run` would have. Whatever comes of
//! the others, they are over at some time, and the service goes on.

use std::num::NonZeroU32;

use svdir::record::{self, Script};

use crate::{Pid, SECOND, Tick};

/// How long `finish` or `stop` may take, in nanoseconds, where nothing else is said: as in s6.
pub const LIMIT: u64 = 5 * SECOND;
/// How long `control/u` may take, in nanoseconds.
pub const CONTROL_LIMIT: u64 = 10 * SECOND;
/// By this exit code `finish` says that the service has failed, and shall not be started again: as in s6.
pub const FAILED: u8 = 125;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Starting,
    Running {
        script: Script,
        pid: Pid,
        kill_at: Option<Tick>,
        told: bool,
    },
}

/// The state of the script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    state: State,
    /// The process group that the copy which has ended has led.
    group: Option<Pid>,
}

impl Hook {
    /// The one that a predecessor has left running. Its time begins anew, which is `grace` nanoseconds if it was told to end.
    pub(super) fn resume(now: Tick, left: record::Hook, limit: Option<u64>, grace: u64) -> Hook {
        let mut hook = Hook::default();
        hook.started(now, left.script, Pid(left.pid.get()), limit);
        if left.told {
            hook.tell_to_end(now, grace);
        }
        hook
    }

    /// A copy has ended, which has led this process group.
    pub(super) const fn plan(&mut self, group: Option<Pid>) {
        *self = Hook { state: State::Idle, group };
    }

    /// The loop starts `finish` or `stop`.
    pub(super) const fn begin(&mut self) {
        self.state = State::Starting;
    }

    /// It runs, and may take so many nanoseconds; for ever if `None`.
    pub(super) fn started(&mut self, now: Tick, script: Script, pid: Pid, limit: Option<u64>) {
        let kill_at = limit.map(|limit| now.after(limit));
        self.state = State::Running { script, pid, kill_at, told: false };
    }

    /// It has ended, or was not started. Returns whether it was told to end.
    pub(super) fn end(&mut self) -> bool {
        let was_told = matches!(self.state, State::Running { told: true, .. });
        *self = Hook::default();
        was_told
    }

    /// Returns whether the loop is making its process.
    pub const fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting)
    }

    /// The script that runs, and its process.
    pub const fn running(&self) -> Option<(Script, Pid)> {
        match self.state {
            State::Running { script, pid, .. } => Some((script, pid)),
            State::Idle | State::Starting => None,
        }
    }

    /// Its process, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.running().map(|(_, pid)| pid)
    }

    /// The process group that the copy which has ended has led, if it led one.
    pub const fn group(&self) -> Option<Pid> {
        self.group
    }

    /// The service is not to come up any more: tells what comes before `run` to end within so many nanoseconds. Returns its process, if it was not told before.
    pub(super) fn tell_to_end(&mut self, now: Tick, grace: u64) -> Option<Pid> {
        match &mut self.state {
            State::Running { script: Script::Start | Script::Up, pid, kill_at, told } if !*told => {
                let by = now.after(grace);
                (*told, *kill_at) = (true, Some(kill_at.map_or(by, |at| at.min(by))));
                Some(*pid)
            }
            State::Idle | State::Starting | State::Running { .. } => None,
        }
    }

    /// When [`timeout`](Hook::timeout) is to be asked.
    pub(super) const fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Running { kill_at, .. } => kill_at,
            State::Idle | State::Starting => None,
        }
    }

    /// Whom to kill now, with its group: it has had its time.
    pub(super) fn timeout(&mut self, now: Tick) -> Option<(Script, Pid)> {
        match &mut self.state {
            State::Running { script, pid, kill_at, .. } if kill_at.is_some_and(|at| at <= now) => {
                *kill_at = None;
                Some((*script, *pid))
            }
            State::Idle | State::Starting | State::Running { .. } => None,
        }
    }

    /// What stands in the record.
    pub(super) fn record(&self) -> Option<record::Hook> {
        let State::Running { script, pid, told, .. } = self.state else {
            return None;
        };
        Some(record::Hook { script, pid: NonZeroU32::new(pid.0)?, told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_takes_too_long_is_killed_once() {
        let mut hook = Hook::default();
        hook.plan(None);
        hook.begin();
        assert_eq!((hook.pid(), hook.deadline()), (None, None));
        hook.started(Tick(1), Script::Finish, Pid(9), Some(7));
        assert_eq!((hook.deadline(), hook.timeout(Tick(7))), (Some(Tick(8)), None));
        assert_eq!((hook.timeout(Tick(8)), hook.timeout(Tick(9))), (Some((Script::Finish, Pid(9))), None));
        assert_eq!((hook.pid(), hook.deadline()), (Some(Pid(9)), None), "it has not ended yet");
        assert!(!hook.end());
        assert_eq!(hook, Hook::default());
    }

    #[test]
    fn one_without_a_limit_may_take_for_ever() {
        let mut hook = Hook::default();
        hook.plan(None);
        hook.begin();
        hook.started(Tick(1), Script::Finish, Pid(9), None);
        assert_eq!((hook.deadline(), hook.timeout(Tick(u64::MAX))), (None, None));
        assert_eq!(hook.tell_to_end(Tick(2), 5), None, "what follows is not called off");
    }

    #[test]
    fn what_comes_before_run_is_told_to_end_once_and_killed_in_its_time() {
        for (script, limit, killed) in [(Script::Start, None, 12), (Script::Up, Some(4), 5), (Script::Up, Some(60), 12)]
        {
            let mut hook = Hook::default();
            hook.started(Tick(1), script, Pid(9), limit);
            assert_eq!((hook.tell_to_end(Tick(2), 10), hook.tell_to_end(Tick(3), 10)), (Some(Pid(9)), None));
            assert_eq!(hook.deadline(), Some(Tick(killed)));
            let left = hook.record().expect("it runs");
            assert!(left.told && Hook::resume(Tick(3), left, limit, 10).end());
            assert_eq!(hook.timeout(Tick(killed)), Some((script, Pid(9))));
            assert!(hook.end());
        }
    }
}
