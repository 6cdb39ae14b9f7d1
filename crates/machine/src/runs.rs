//! The runs of a program about a copy of the service, one at a time: when the next one is due, and which process runs.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | idle | none is planned | its owner plans one: due |
//! | due | one is to be made at a deadline | the deadline: its owner starts it, and it is running |
//! | running | its process runs | its end: what its owner plans; the deadline: it gets KILL |

use crate::{Pid, Tick};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the program, and report the outcome.
    Run,
    /// Kill the process that runs.
    Kill(Pid),
}

/// The state of the runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// None is planned.
    #[default]
    Idle,
    /// One is to be made at this time.
    Due(Tick),
    /// This process runs, and gets KILL at this time.
    Running(Pid, Tick),
}

impl Runs {
    /// Plans no more. Returns the process that runs, which is to be killed.
    pub fn stop(&mut self) -> Option<Pid> {
        let runs = self.pid();
        *self = Runs::Idle;
        runs
    }

    /// The process that runs, if one does.
    pub const fn pid(&self) -> Option<Pid> {
        match *self {
            Runs::Running(pid, _) => Some(pid),
            Runs::Idle | Runs::Due(_) => None,
        }
    }

    /// The time at which [`timeout`](Runs::timeout) is to be called.
    pub const fn deadline(&self) -> Option<Tick> {
        match *self {
            Runs::Idle => None,
            Runs::Due(at) | Runs::Running(_, at) => Some(at),
        }
    }

    /// Returns the action that is due. KILL works; if it should not, it is sent again after `again` nanoseconds.
    pub fn timeout(&mut self, now: Tick, again: u64) -> Option<Action> {
        match *self {
            Runs::Due(at) if at <= now => Some(Action::Run),
            Runs::Running(pid, at) if at <= now => {
                *self = Runs::Running(pid, now.after(again));
                Some(Action::Kill(pid))
            }
            Runs::Idle | Runs::Due(_) | Runs::Running(..) => None,
        }
    }
}
