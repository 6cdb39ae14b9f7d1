//! What the service directory says about signals and replacing. It comes with the event that needs it, read anew each time.

use svdir::Command;

use crate::overlap::{Readiness, Settings};
use crate::{SECOND, Signal};

/// So long one that hangs may take to end, in nanoseconds, unless [`Knobs::timeout_kill`] says how long.
pub const HUNG_GRACE: u64 = 10 * SECOND;
/// How long a new copy that tells when it is ready may take to get there, in nanoseconds.
pub const PATIENCE: u64 = 60 * SECOND;
/// How long a new copy must live before the old one goes, in nanoseconds, where it does not tell when it is ready.
pub const WARM_UP: u64 = SECOND;

/// The knobs of a service that matter to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Ends the service.
    pub down_signal: Signal,
    /// Makes it read its configuration again.
    pub reload_signal: Signal,
    /// How long it may take to end before it gets KILL, in nanoseconds; for ever if `None`.
    pub timeout_kill: Option<u64>,
    /// How long a new copy that tells when it is ready may take to get there, in nanoseconds; for ever if `None`.
    pub patience: Option<u64>,
    /// How long a new copy that does not tell so must live before the old one goes, in nanoseconds.
    pub warm_up: u64,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            down_signal: Signal::TERM,
            reload_signal: Signal::HUP,
            timeout_kill: None,
            patience: Some(PATIENCE),
            warm_up: WARM_UP,
        }
    }
}

impl Knobs {
    /// When a new copy takes the place of the old one, which depends on whether it tells that it is ready.
    pub const fn readiness(&self, declares: bool) -> Readiness {
        if declares { Readiness::Declared(self.patience) } else { Readiness::WarmUp(self.warm_up) }
    }

    /// How a replacement by such a copy is done.
    pub const fn settings(&self, declares: bool) -> Settings {
        Settings { readiness: self.readiness(declares), grace: self.timeout_kill, give_up_grace: self.timeout_kill }
    }

    /// How long one that hangs may take to end, in nanoseconds.
    pub fn hung_grace(&self) -> u64 {
        self.timeout_kill.unwrap_or(HUNG_GRACE)
    }
}

/// Which knobs a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// It needs no knobs.
    Nothing,
    /// It needs the knobs about signals.
    Signals,
    /// It needs those about signals, and how a new copy gets ready.
    Replacing,
}

impl Needs {
    /// The knobs that this command needs.
    pub const fn of(command: Command) -> Needs {
        match command {
            Command::Replace => Needs::Replacing,
            // Every other signal may be the one that ends the service.
            Command::Down
            | Command::Restart
            | Command::Reload
            | Command::Exit
            | Command::Hup
            | Command::Alarm
            | Command::Interrupt
            | Command::Quit
            | Command::Usr1
            | Command::Usr2
            | Command::Winch => Needs::Signals,
            Command::Up | Command::Once | Command::Pause | Command::Continue | Command::Term | Command::Kill => {
                Needs::Nothing
            }
        }
    }
}
