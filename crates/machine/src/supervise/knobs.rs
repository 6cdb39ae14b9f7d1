//! The knobs of the service directory about signals and replacing. They come with the event that needs them, and are read
//! anew each time.

use svdir::Command;

use super::controls::Scripts;
use crate::overlap::{Readiness, Settings};
use crate::{SECOND, Signal};

/// How long a copy that hangs may take to end, in nanoseconds, if there is no [`Knobs::timeout_kill`].
pub const HUNG_GRACE: u64 = 10 * SECOND;
/// The default of `timeout-ready`, in nanoseconds.
pub const PATIENCE: u64 = 60 * SECOND;
/// The default of `warmup`, in nanoseconds.
pub const WARM_UP: u64 = SECOND;

/// The knobs of a service that matter to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// The signal that ends the service.
    pub down_signal: Signal,
    /// The signal that makes the service read its configuration again.
    pub reload_signal: Signal,
    /// How long the service may take to end before it gets KILL, in nanoseconds; `None` for no limit.
    pub timeout_kill: Option<u64>,
    /// How long a new copy that says when it is ready may take to get ready, in nanoseconds; `None` for no limit.
    pub patience: Option<u64>,
    /// How long a new copy that does not say so must live before the old one is told to end, in nanoseconds.
    pub warm_up: u64,
    /// The scripts of `control/` that matter to the command.
    pub controls: Scripts,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            down_signal: Signal::TERM,
            reload_signal: Signal::HUP,
            timeout_kill: None,
            patience: Some(PATIENCE),
            warm_up: WARM_UP,
            controls: Scripts::default(),
        }
    }
}

impl Knobs {
    /// Takes those that came with this command. A replacement may be in progress or remembered, so its knobs stay unless the command is about that.
    pub fn learn(&mut self, command: Command, knobs: Knobs) {
        let Knobs { patience, warm_up, controls, .. } = *self;
        match Needs::of(command) {
            Needs::Nothing => {}
            Needs::Signals => *self = Knobs { patience, warm_up, controls, ..knobs },
            Needs::Replacing => *self = knobs,
        }
    }

    /// The signal that a command sends to the service; `None` if it sends another one, or none.
    pub const fn signal_of(&self, command: Command) -> Option<Signal> {
        match command {
            Command::Hup => Some(Signal::HUP),
            Command::Alarm => Some(Signal::ALRM),
            Command::Interrupt => Some(Signal::INT),
            Command::Quit => Some(Signal::QUIT),
            Command::Usr1 => Some(Signal::USR1),
            Command::Usr2 => Some(Signal::USR2),
            Command::Winch => Some(Signal::WINCH),
            Command::Reload => Some(self.reload_signal),
            Command::Up
            | Command::Once
            | Command::Down
            | Command::Restart
            | Command::Exit
            | Command::Pause
            | Command::Continue
            | Command::Term
            | Command::Kill
            | Command::Replace => None,
        }
    }

    /// When a new copy counts as ready; `declares` says whether it says so itself.
    pub const fn readiness(&self, declares: bool) -> Readiness {
        if declares { Readiness::Declared(self.patience) } else { Readiness::WarmUp(self.warm_up) }
    }

    /// The settings of a replacement by a copy that `declares` its readiness or does not.
    pub const fn settings(&self, declares: bool) -> Settings {
        Settings { readiness: self.readiness(declares), grace: self.timeout_kill, give_up_grace: self.timeout_kill }
    }

    /// How long a copy that hangs may take to end, in nanoseconds.
    pub fn hung_grace(&self) -> u64 {
        self.timeout_kill.unwrap_or(HUNG_GRACE)
    }
}

/// The signal of this command that a script of `control/` may keep back.
pub fn signal_of(command: Command) -> Option<Signal> {
    match command {
        Command::Pause => Some(Signal::STOP),
        Command::Continue => Some(Signal::CONT),
        Command::Term => Some(Signal::TERM),
        Command::Kill => Some(Signal::KILL),
        Command::Reload => None,
        other => Knobs::default().signal_of(other),
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
