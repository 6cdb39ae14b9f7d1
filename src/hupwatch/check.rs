//! Readiness by asking: a command is run again and again until it succeeds.

use std::ffi::{CString, OsStr};
use std::io;

use machine::{Pid, Tick};
use sys::environ;
use sys::exec::{Prepared, c_string};
use sys::process::{self, Change, Signal};

use crate::service::processes::signalled;

/// From the end of one try to the next, in nanoseconds.
const PAUSE: u64 = 100_000_000;

/// The variable that tells the command which process it is about.
const COPY: &str = "HUPWATCH_PID";

/// The command, for one copy.
pub(super) struct Check {
    copy: Pid,
    argv: [CString; 3],
    state: State,
}

enum State {
    Running(process::Pid),
    Pausing(Tick),
}

impl Check {
    /// Nothing is run before [`turn`](Check::turn).
    pub(super) fn new(copy: Pid, command: &OsStr, now: Tick) -> Check {
        Check { copy, argv: [c"sh".to_owned(), c"-c".to_owned(), c_string(command)], state: State::Pausing(now) }
    }

    /// Whom it is about.
    pub(super) fn copy(&self) -> Pid {
        self.copy
    }

    /// When it is to be run again.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Pausing(until) => Some(until),
            State::Running(_) => None,
        }
    }

    /// Runs the command if it is time to.
    pub(super) fn turn(&mut self, now: Tick) -> io::Result<()> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let changes = [(COPY, Some(self.copy.0.to_string().into_bytes()))];
        let environment = environ::changed(&changes);
        let shell = Prepared::new(&self.argv, Some(&environment));
        let become_shell = || {
            // By its group it can be ended with all that it has started.
            match process::new_group() {
                Ok(()) => shell.exec(c"/bin/sh"),
                Err(error) => error,
            }
        };
        // Should the last run have taken no time: the pause is one all the same.
        self.state = State::Pausing(now.after(PAUSE));
        self.state = State::Running(process::spawn(become_shell, drop)?);
        Ok(())
    }

    /// Whether `pid` is that of the command. If so, and it has succeeded, the second is true.
    pub(super) fn hear(&mut self, now: Tick, pid: process::Pid, change: Change) -> (bool, bool) {
        match self.state {
            State::Running(own) if own == pid => {
                if matches!(change, Change::Exited(_) | Change::Killed(_)) {
                    self.state = State::Pausing(now.after(PAUSE));
                }
                (true, change == Change::Exited(0))
            }
            State::Running(_) | State::Pausing(_) => (false, false),
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if let State::Running(pid) = self.state {
            signalled(process::kill_group(pid, Signal::SIGKILL));
        }
    }
}
