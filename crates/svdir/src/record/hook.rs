//! The scripts that stand in the way of a start or of rest, in the record, and what they have done.

use std::num::NonZeroU32;

use super::sections::{Fields, Writer};
use crate::names;

/// A script that is run before or after `run`, and for which the service waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// `start`: once when the service comes up.
    Start,
    /// `control/u`: before each start of `run`.
    Up,
    /// `finish`: after each end of `run`.
    Finish,
    /// `stop`: once when the service is down.
    Stop,
}

impl Script {
    /// Its name in the service directory.
    pub const fn name(self) -> &'static str {
        match self {
            Script::Start => names::START,
            Script::Up => names::CONTROL_UP,
            Script::Finish => names::FINISH,
            Script::Stop => names::STOP,
        }
    }
}

/// The script that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Which one it is.
    pub script: Script,
    /// Its process.
    pub pid: NonZeroU32,
    /// It was told to end.
    pub told: bool,
}

impl Hook {
    /// The `finish` that runs as this process.
    pub const fn finish(pid: NonZeroU32) -> Hook {
        Hook { script: Script::Finish, pid, told: false }
    }

    /// Writes the pid; and for all but `finish`, of which the first release with one wrote nothing else, which script it is and flags.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.number(self.pid.get());
        let script = match self.script {
            Script::Finish => return,
            Script::Start => 1,
            Script::Up => 2,
            Script::Stop => 3,
        };
        section.byte(script);
        section.flags([self.told]);
    }

    /// What [`encode`](Hook::encode) wrote. `None` if there is no pid, or it is a script that is not known.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<Hook> {
        let pid = NonZeroU32::new(section.number())?;
        let script = match section.byte() {
            0 => return Some(Hook::finish(pid)),
            1 => Script::Start,
            2 => Script::Up,
            3 => Script::Stop,
            _ => return None,
        };
        let [told] = section.flags();
        Some(Hook { script, pid, told })
    }
}

/// What `start` and `run` have set up, and `stop` has not taken down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The service has come up: `start` is not run again before it has gone down.
    pub prepared: bool,
    /// `start` or `run` has run since `stop` has.
    pub used: bool,
    /// It stays so until a command says otherwise.
    pub kept: bool,
}

impl Setup {
    /// Writes flags.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.flags([self.prepared, self.used, self.kept]);
    }

    /// What [`encode`](Setup::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Setup {
        let [prepared, used, kept] = section.flags();
        Setup { prepared, used, kept }
    }
}
