//! The scripts of `control/` that run, in the record.

use std::num::NonZeroU32;

use super::sections::{Fields, Writer};
use crate::Command;

/// How many run at a time at most.
pub const CONTROLS: usize = 2;

/// Which copy something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The main copy.
    Main,
    /// The second copy.
    Second,
    /// One that has ended.
    Gone,
}

/// A script of `control/` that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The command whose letter the script has.
    pub script: Command,
    /// The command that came, and is carried out when the script has ended.
    pub command: Command,
    /// The process of the script.
    pub pid: NonZeroU32,
    /// The copy that it is about.
    pub about: About,
    /// There is a `control/d` to be run behind it.
    pub behind: bool,
}

impl Control {
    /// Writes both letters, the pid and flags.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        let Control { script, command, pid, about, behind } = self;
        section.put(&[script.letter(), command.letter()]);
        section.number(pid.get());
        // Before there was the third flag, one that has ended was written as the second.
        section.flags([about != About::Main, behind, about == About::Gone]);
    }

    /// What [`encode`](Control::encode) wrote. `None` if there is no pid, or a letter is not known.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<Control> {
        let [script, command] = section.array().map(Command::from_letter);
        let (pid, [other, behind, gone]) = (NonZeroU32::new(section.number()), section.flags());
        let about = match (other, gone) {
            (_, true) => About::Gone,
            (true, false) => About::Second,
            (false, false) => About::Main,
        };
        Some(Control { script: script?, command: command?, pid: pid?, about, behind })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sections::Sections;
    use super::*;

    #[test]
    fn the_copy_that_it_is_about_is_the_main_one_the_second_or_gone() {
        for (about, flags) in [(About::Main, 0), (About::Second, 1), (About::Gone, 5)] {
            let pid = NonZeroU32::new(0x0102).expect("not 0");
            let control = Control { script: Command::Term, command: Command::Down, pid, about, behind: false };
            let mut bytes = [0; 16];
            let mut writer = Writer::new(&mut bytes);
            writer.section(9, |section| control.encode(section));
            let length = writer.finish().expect("room");
            let fields = || Sections(&bytes[..length]).next().expect("one").expect("whole").1;
            assert_eq!(fields().rest(), [b't', b'd', 2, 1, 0, 0, flags]);
            assert_eq!(Control::decode(&mut fields()), Some(control));
        }
    }
}
