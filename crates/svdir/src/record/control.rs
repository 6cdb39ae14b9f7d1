//! The scripts of `control/` that run, in the record.

use std::num::NonZeroU32;

use super::sections::{Fields, Writer};
use crate::Command;

/// How many run at a time at most.
pub const CONTROLS: usize = 2;

/// A script of `control/` that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The command whose letter the script has.
    pub script: Command,
    /// The command that came, and is carried out when the script has ended.
    pub command: Command,
    /// The process of the script.
    pub pid: NonZeroU32,
    /// It is about the second copy.
    pub second: bool,
    /// There is a `control/d` to be run behind it.
    pub behind: bool,
}

impl Control {
    /// Writes both letters, the pid and flags.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        let Control { script, command, pid, second, behind } = self;
        section.put(&[script.letter(), command.letter()]);
        section.number(pid.get());
        section.flags([second, behind]);
    }

    /// What [`encode`](Control::encode) wrote. `None` if there is no pid, or a letter is not known.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<Control> {
        let [script, command] = section.array().map(Command::from_letter);
        let (pid, [second, behind]) = (NonZeroU32::new(section.number()), section.flags());
        Some(Control { script: script?, command: command?, pid: pid?, second, behind })
    }
}
