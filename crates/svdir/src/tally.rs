//! The death tally, `supervise/death_tally`: how the last lives of a service have ended, in the format of s6.
//!
//! Each death has 14 bytes, the oldest first: a TAI64N label (12), an exit code (1) and a signal (1). Where a signal has ended the service, the exit code is
//! 128 and the signal; the signal alone if the kernel has killed it because memory ran out, which s6 does not tell. s6 knows how each of its services has ended; where we do not, as when nobody supervised it, both bytes are 255.

use tai::Label;

use crate::Exit;

/// The length of a death in bytes.
pub const DEATH: usize = Label::PACKED + 2;
/// The greatest number of deaths that are kept: that of s6.
pub const MOST: u16 = 4096;

/// The exit code and the signal of an end that nobody has seen.
const UNSEEN: [u8; 2] = [255, 255];

/// The end of a life of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// When it was.
    pub at: Label,
    /// How it was.
    pub exit: Exit,
    /// The kernel had killed it because memory ran out. This is kept only if a signal has ended it.
    pub memory: bool,
}

impl Death {
    /// Returns the bytes of this death.
    pub fn encode(self) -> [u8; DEATH] {
        let end = match self.exit {
            Exit::Code(code) => [code, 0],
            Exit::Signal(signal) if self.memory => [signal, signal],
            Exit::Signal(signal) => [signal.wrapping_add(128), signal],
            Exit::Unknown => UNSEEN,
        };
        let mut bytes = [0; DEATH];
        let (label, rest) = bytes.split_at_mut(Label::PACKED);
        label.copy_from_slice(&self.at.pack());
        rest.copy_from_slice(&end);
        bytes
    }

    /// Reads what [`encode`](Death::encode) wrote.
    pub fn decode(bytes: &[u8; DEATH]) -> Death {
        let [label @ .., code, signal] = *bytes;
        let exit = match [code, signal] {
            UNSEEN => Exit::Unknown,
            [code, 0] => Exit::Code(code),
            [_, signal] => Exit::Signal(signal),
        };
        let at = Label::unpack(label);
        let memory = matches!(exit, Exit::Signal(signal) if signal == code);
        Death { at, exit, memory }
    }
}

/// Returns the deaths in the contents of the file. What is left at its end does not count.
pub fn deaths(bytes: &[u8]) -> impl DoubleEndedIterator<Item = Death> + ExactSizeIterator {
    bytes.as_chunks().0.iter().map(Death::decode)
}

/// Returns the contents with one more death, of which `most` are kept.
pub fn with(bytes: &[u8], death: Death, most: u16) -> Vec<u8> {
    let kept = bytes.as_chunks::<DEATH>().0;
    let first = (kept.len() + 1).saturating_sub(usize::from(most.min(MOST)));
    let kept = kept.get(first..).unwrap_or_default();
    [kept.as_flattened(), &death.encode()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(seconds: i64, exit: Exit) -> Death {
        Death { at: Label::from_unix(seconds, 7), exit, memory: false }
    }

    #[test]
    fn the_bytes_are_those_of_s6() {
        // As s6-supervise has written it.
        let bytes = [0x40, 0, 0, 0, 0x6b, 0x0b, 0x26, 0x3e, 0x12, 0x6b, 0x70, 0x8d, 3, 0];
        let read = Death::decode(&bytes);
        assert_eq!((read.exit, read.encode()), (Exit::Code(3), bytes));
        assert_eq!(&read.at.text()[..], b"@400000006b0b263e126b708d");
        assert_eq!(death(1, Exit::Signal(11)).encode()[Label::PACKED..], [139, 11]);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let exits = [Exit::Code(0), Exit::Code(255), Exit::Signal(9), Exit::Signal(64), Exit::Unknown];
        for exit in exits {
            assert_eq!(Death::decode(&death(5, exit).encode()), death(5, exit));
        }
        for (exit, kept) in [(Exit::Signal(9), true), (Exit::Code(9), false), (Exit::Unknown, false)] {
            let death = Death { memory: true, ..death(5, exit) };
            assert_eq!(Death::decode(&death.encode()), Death { memory: kept, ..death });
        }
    }

    #[test]
    fn the_oldest_goes() {
        let mut bytes = Vec::new();
        for second in 0..5 {
            bytes = with(&bytes, death(second, Exit::Code(1)), 3);
        }
        let seconds: Vec<i64> = deaths(&bytes).map(|death| death.at.unix_seconds()).collect();
        assert_eq!(seconds, [2, 3, 4]);
        // A torn end, and less room than before.
        bytes.extend([1, 2, 3]);
        assert_eq!(with(&bytes, death(9, Exit::Code(1)), 1), death(9, Exit::Code(1)).encode());
        assert_eq!(deaths(&with(&bytes, death(9, Exit::Code(1)), u16::MAX)).len(), 4);
    }
}
