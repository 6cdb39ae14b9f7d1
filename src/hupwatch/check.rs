//! `--ready check:`: a command is run again and again until it succeeds, at the times that [`machine::probe`] decides.

use std::ffi::{CString, OsStr};
use std::io;

use machine::probe::{Action, Probe as Timing};
use machine::{Pid, Tick};
use sys::environ;
use sys::exec::{Prepared, c_string};
use sys::process::{self, Change, Signal};

use crate::service::processes::signalled;

/// The variable in which the command gets the pid of the copy.
const COPY: &str = "HUPWATCH_PID";

/// The runs of the command for one copy.
pub(super) struct Check {
    copy: Pid,
    argv: [CString; 3],
    timing: Timing,
}

impl Check {
    /// Begins the check of `copy`, which was just started. Nothing is run before [`turn`](Check::turn).
    pub(super) fn new(copy: Pid, command: &OsStr, now: Tick) -> Check {
        let mut timing = Timing::default();
        timing.begin(now);
        Check { copy, argv: [c"sh".to_owned(), c"-c".to_owned(), c_string(command)], timing }
    }

    /// The copy that the command is about.
    pub(super) fn copy(&self) -> Pid {
        self.copy
    }

    /// The time at which [`turn`](Check::turn) is due.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.timing.deadline()
    }

    /// Runs the command if it is due, or kills a run that takes too long.
    ///
    /// # Errors
    /// If the command cannot be run. It is tried again after a pause.
    pub(super) fn turn(&mut self, now: Tick) -> io::Result<()> {
        match self.timing.timeout(now) {
            None => Ok(()),
            Some(Action::Kill(pid)) => {
                kill(pid);
                Ok(())
            }
            Some(Action::Run) => match self.run() {
                Ok(pid) => {
                    self.timing.started(now, Pid(pid.as_raw().unsigned_abs()));
                    Ok(())
                }
                Err(error) => {
                    self.timing.not_started(now);
                    Err(error)
                }
            },
        }
    }

    /// Starts the command in a process group of its own, so that it can be killed with everything that it has started.
    fn run(&self) -> io::Result<process::Pid> {
        let changes = [(COPY, Some(self.copy.0.to_string().into_bytes()))];
        let environment = environ::changed(&changes);
        let shell = Prepared::new(&self.argv, Some(&environment));
        process::spawn(|| process::new_group().err().unwrap_or_else(|| shell.exec(c"/bin/sh")), drop)
    }

    /// Takes in the end of a process. `None` if it was not that of the command; otherwise whether the command has
    /// succeeded.
    pub(super) fn ended(&mut self, now: Tick, pid: process::Pid, change: Change) -> Option<bool> {
        self.timing.ended(now, Pid(pid.as_raw().unsigned_abs()), change == Change::Exited(0))
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if let Some(pid) = self.timing.stop() {
            kill(pid);
        }
    }
}

fn kill(Pid(pid): Pid) {
    signalled(process::kill_group(process::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL));
}
