//! The log lines of hupwatch on stderr, in the form of the original: `=> HUP watch [LEVEL   ]: TEXT`.

use std::fmt;

use machine::Pid;
use machine::hupwatch::Say;
use machine::overlap::Why;
use svdir::Exit;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        }
    }
}

/// The log, with the lowest level that is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    lowest: Option<Level>,
}

impl Log {
    /// Makes the log for a number of `-v` options.
    pub(super) const fn of(verbose: u8) -> Log {
        let lowest = match verbose {
            0 => None,
            1 => Some(Level::Error),
            2 => Some(Level::Warning),
            3.. => Some(Level::Debug),
        };
        Log { lowest }
    }

    /// Prints one line in one write.
    pub(super) fn line(self, level: Level, text: fmt::Arguments<'_>) {
        if self.lowest.is_some_and(|lowest| level <= lowest) {
            cli::print_error(format!("=> HUP watch [{:<8}]: {text}\n", level.name()).as_bytes());
        }
    }

    /// Prints the lines for an event that the machine reports.
    pub(super) fn say(self, say: Say) {
        use Level::{Debug, Info, Warning};
        match say {
            Say::FirstStarted(Pid(pid)) => self.line(Info, format_args!("Child process {pid} started")),
            Say::ReloadBegins => self.line(Debug, format_args!("HUP: >>>")),
            Say::ReloadEnds => self.line(Debug, format_args!("HUP: <<<")),
            Say::Remembered => self.line(Info, format_args!("HUP: Received HUP during a reload. Defer.")),
            Say::WarmsUp(Pid(pid)) => {
                self.line(Debug, format_args!("HUP: Waiting for process ({pid}) to warm up"));
            }
            Say::OldIsTold(Pid(pid)) => {
                self.line(Debug, format_args!("HUP: Sending SIGTERM to old process ({pid})"));
                self.line(Debug, format_args!("HUP: Waiting for process ({pid}) to quit..."));
            }
            Say::OldQuit(exit) => self.line(Info, format_args!("HUP: Old process quit with code: {}", Code(exit))),
            Say::NewQuit(exit) => self.line(Info, format_args!("HUP: New process quit with code: {}", Code(exit))),
            Say::Killed(Pid(pid)) => {
                self.line(Warning, format_args!("Process ({pid}) did not quit in time. Killing it!"));
            }
            Say::GivenUp(why) => self.given_up(why),
            Say::ChildQuit => self.line(Info, format_args!("CHLD: Child process quit")),
            Say::PrimaryIsUp => self.line(Info, format_args!("CHLD: Primary process is up, continuing...")),
            Say::PrimaryQuit(exit) => {
                self.line(Warning, format_args!("CHLD: Primary child process quit, quitting"));
                self.line(Info, format_args!("CHLD: Primary process quit with code: {}", Code(exit)));
            }
            Say::PutOff => {
                self.line(Info, format_args!("TERM: TERM/ALARM received during other signal handling. Defer."))
            }
            Say::KillAtExit => self.line(
                Warning,
                format_args!("TERM: Quiting with --kill-at-exit and running child process. Killing it!"),
            ),
            Say::Detached => self.line(
                Warning,
                format_args!(
                    "TERM: Quiting with running child process. Doing nothing, child will be detached to new parent."
                ),
            ),
            Say::NotUp => self.line(Debug, format_args!("Child process not up. Quiting.")),
        }
    }

    fn given_up(self, why: Why) {
        let error = |text: fmt::Arguments<'_>| self.line(Level::Error, text);
        error(format_args!("HUP: new process failed to start. Abort reload"));
        match why {
            // The reason was printed when the start failed.
            Why::NotStarted => {}
            Why::Died(Pid(pid), Exit::Code(0)) => error(format_args!(
                "HUP: new process ({pid}) quit with code: 0, so it has put itself into the background. Killing its process group!"
            )),
            Why::Died(Pid(pid), exit) => {
                error(format_args!("HUP: new process ({pid}) quit with code: {}", Code(exit)));
            }
            Why::NotReady(Pid(pid)) => error(format_args!("HUP: new process ({pid}) was not ready in time")),
            Why::Cancelled(Pid(pid)) => error(format_args!("HUP: new process ({pid}) is not wanted any more")),
        }
    }
}

/// An exit code as Python shows it: a signal is a negative number.
struct Code(Exit);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(code) => write!(f, "{code}"),
            Exit::Signal(signal) => write!(f, "-{signal}"),
            Exit::Unknown => f.write_str("unknown"),
        }
    }
}
