//! `final-exits`: which ends of a service are final.
//!
//! A list without blanks, with commas between: exit codes (`3`), ranges of them (`100-103`), signals (`SIGSEGV`, `sig11`, in upper or lower case), or `any`. s6-permafailon has the
//! same for what it counts.

use crate::Exit;
use crate::knob::{Named, Wrong, digits, signal_of, value};

/// The greatest length of the file, in bytes: a hundred codes and more have room.
pub const LONGEST: usize = 512;

/// A set of ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finals {
    /// A bit for each exit code.
    codes: [u64; 4],
    /// A bit for each signal, the first for signal 1.
    signals: u64,
    /// Also one that nobody has seen.
    unseen: bool,
}

impl Finals {
    /// Every end.
    pub const ANY: Finals = Finals { codes: [u64::MAX; 4], signals: u64::MAX, unseen: true };

    /// What stands in a file. `number_of` knows the system's signals, as for [`crate::knob::signal`].
    ///
    /// # Errors
    /// For what is no such list.
    pub fn parse(bytes: &[u8], number_of: impl Fn(Named<'_>) -> Option<u8>) -> Result<Finals, Wrong> {
        let mut finals = Finals::default();
        for part in value(bytes, LONGEST)?.split(|&byte| byte == b',') {
            finals.add(part, &number_of).ok_or(Wrong::NoExits)?;
        }
        Ok(finals)
    }

    /// These ends, and this exit code.
    #[must_use]
    pub const fn and(mut self, code: u8) -> Finals {
        self.codes[(code / 64) as usize] |= 1 << (code % 64);
        self
    }

    fn add(&mut self, part: &[u8], number_of: &impl Fn(Named<'_>) -> Option<u8>) -> Option<()> {
        let code = |bytes| digits(bytes).and_then(|number| u8::try_from(number).ok());
        let part = part.to_ascii_uppercase();
        if part == b"ANY" {
            *self = Finals::ANY;
        } else if part.starts_with(b"SIG") {
            self.signals |= signal_bit(signal_of(&part, number_of).ok()?)?;
        } else {
            let mut ends = part.splitn(2, |&byte| byte == b'-').map(code);
            let first = ends.next()??;
            let last = ends.next().unwrap_or(Some(first))?;
            if last < first {
                return None;
            }
            for code in first..=last {
                *self = self.and(code);
            }
        }
        Some(())
    }

    /// Whether this end is one of them.
    pub fn holds(&self, exit: Exit) -> bool {
        match exit {
            Exit::Code(code) => self.codes[usize::from(code / 64)] & 1 << (code % 64) != 0,
            Exit::Signal(signal) => signal_bit(signal).is_some_and(|bit| self.signals & bit != 0),
            Exit::Unknown => self.unseen,
        }
    }
}

fn signal_bit(signal: u8) -> Option<u64> {
    1_u64.checked_shl(u32::from(signal.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of(signal: Named<'_>) -> Option<u8> {
        match signal {
            Named::Number(number) => (1..=64).contains(&number).then_some(number),
            Named::Name("SIGSEGV") => Some(11),
            Named::Name("SIGRTMAX") => Some(64),
            Named::Name(_) => None,
        }
    }

    fn all() -> impl Iterator<Item = Exit> {
        (0..=255).map(Exit::Code).chain((0..=255).map(Exit::Signal)).chain([Exit::Unknown])
    }

    #[test]
    fn a_list_holds_what_stands_in_it_and_nothing_else() {
        use Exit::{Code, Signal};
        for (text, listed) in [
            ("0", vec![Code(0)]),
            ("255\n", vec![Code(255)]),
            ("0,100-103,SIGSEGV", vec![Code(0), Code(100), Code(101), Code(102), Code(103), Signal(11)]),
            ("sig9,sigsegv,SigRtMax", vec![Signal(9), Signal(11), Signal(64)]),
            ("63-64,127-128,5-5", vec![Code(5), Code(63), Code(64), Code(127), Code(128)]),
            ("3,3", vec![Code(3)]),
        ] {
            let finals = Finals::parse(text.as_bytes(), number_of).expect(text);
            let held: Vec<_> = all().filter(|&exit| finals.holds(exit)).collect();
            assert_eq!(held, listed, "{text:?}");
        }
        assert!(all().all(|exit| !Finals::default().holds(exit)));
    }

    #[test]
    fn any_holds_every_end() {
        for text in ["any", "ANY\n", "3,any", "any,3"] {
            let finals = Finals::parse(text.as_bytes(), number_of).expect(text);
            let ends = (0..=255).map(Exit::Code).chain((1..=64).map(Exit::Signal)).chain([Exit::Unknown]);
            assert!(ends.into_iter().all(|exit| finals.holds(exit)), "{text}");
        }
    }

    #[test]
    fn all_codes_in_a_row_are_not_too_long() {
        let twice = (100..=227).map(|code| code.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(twice.len(), LONGEST - 1);
        let finals = Finals::parse(twice.as_bytes(), number_of).expect("a list");
        assert!(finals.holds(Exit::Code(227)) && !finals.holds(Exit::Code(228)));
    }

    #[test]
    fn nonsense_is_no_list() {
        for text in [
            "256", "3,", ",3", "3,,4", "5-3", "3-", "3-4-5", "SEGV", "SIG", "SIG0", "SIG65", "SIGNONE", "x", "+3",
            "0x3", "3;4", "1-256", "any-3", "3\0",
        ] {
            assert_eq!(Finals::parse(text.as_bytes(), number_of), Err(Wrong::NoExits), "{text:?}");
        }
        let long = "3,".repeat(LONGEST / 2) + "3";
        for (text, wrong) in
            [("", Wrong::Empty), ("1 2", Wrong::Spaces), ("-1", Wrong::Negative), (&long, Wrong::TooLarge)]
        {
            assert_eq!(Finals::parse(text.as_bytes(), number_of), Err(wrong), "{text:?}");
        }
    }
}
