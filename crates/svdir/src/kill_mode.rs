//! `kill-mode`: what of the service must have ended before it is started again, and who is told to end with it.
//!
//! | word | who is told to end | who is killed when the time for that is over | what is left when `run` has ended |
//! |---|---|---|---|
//! | `process` | the process | the process | lives on, as with daemontools |
//! | `mixed` | the process | its process group | is killed |
//! | `group` | its process group | its process group | is told to end, then killed |
//! | `tree` | the process | all that descends from it | is told to end, then killed, whatever group or parent it has by then |
//!
//! With all but the first, `run` leads a process group, and the next start comes only when nothing is left.

use crate::knob::{self, Wrong};

/// What is told to end, and what may be left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KillMode {
    /// Only the process that was started counts.
    #[default]
    Process,
    /// The process is told to end. What is left of its group then is killed.
    Mixed,
    /// The whole group is told to end.
    Group,
    /// The process is told to end, and then all that descends from it.
    Tree,
}

impl KillMode {
    const WORDS: [(&'static [u8], KillMode); 4] = [
        (b"process", KillMode::Process),
        (b"mixed", KillMode::Mixed),
        (b"group", KillMode::Group),
        (b"tree", KillMode::Tree),
    ];

    /// The mode in the contents of the file `kill-mode`.
    ///
    /// # Errors
    /// The word, if it is none of these; otherwise why there is no word.
    pub fn parse(bytes: &[u8]) -> Result<KillMode, Unknown<'_>> {
        let word = knob::value(bytes, knob::LONGEST).map_err(Unknown::NoWord)?;
        let known = KillMode::WORDS.into_iter().find(|(known, _)| *known == word);
        known.map(|(_, mode)| mode).ok_or(Unknown::Word(word))
    }

    /// Whether `run` leads a process group, and nothing of that may be left at the next start.
    pub fn leads(self) -> bool {
        self != KillMode::Process
    }

    /// Whether what is left behind is told to end before it is killed.
    pub const fn tells(self) -> bool {
        matches!(self, KillMode::Group | KillMode::Tree)
    }

    /// The number that stands for it in a record.
    pub const fn number(self) -> u8 {
        match self {
            KillMode::Process => 0,
            KillMode::Mixed => 1,
            KillMode::Group => 2,
            KillMode::Tree => 3,
        }
    }

    /// The mode with this [`number`](KillMode::number). One that only a later release knows is taken for `mixed`: nothing may be left.
    pub const fn from_number(number: u8) -> KillMode {
        match number {
            0 => KillMode::Process,
            2 => KillMode::Group,
            3 => KillMode::Tree,
            _ => KillMode::Mixed,
        }
    }
}

/// Why a file `kill-mode` says nothing that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown<'a> {
    /// This word is none of those that are known.
    Word(&'a [u8]),
    /// There is no word.
    NoWord(Wrong),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_words_are_known() {
        for (word, mode) in KillMode::WORDS {
            assert_eq!(KillMode::parse(word), Ok(mode));
            assert_eq!(KillMode::parse(&[word, b"\n\n"].concat()), Ok(mode));
            assert_eq!((KillMode::from_number(mode.number()), mode.leads()), (mode, word != b"process"));
        }
        assert_eq!(KillMode::from_number(99), KillMode::Mixed);
        for word in [&b"cgroup"[..], b"Mixed", b"mixed\0", b"\0", b"mixe"] {
            assert_eq!(KillMode::parse(word), Err(Unknown::Word(word)));
        }
        for (wrong, why) in [
            (&b""[..], Wrong::Empty),
            (b"\n\n", Wrong::Empty),
            (b"mixed group", Wrong::Spaces),
            (b"mixed\ngroup", Wrong::Spaces),
            (&[b'm'; knob::LONGEST + 1], Wrong::TooLarge),
        ] {
            assert_eq!(KillMode::parse(wrong), Err(Unknown::NoWord(why)));
        }
    }
}
