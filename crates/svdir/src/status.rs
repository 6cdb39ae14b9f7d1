//! The status record, `supervise/status`.
//!
//! | offset | size | contents |
//! |---|---|---|
//! | 0 | 12 | TAI64N label of the last change of pid |
//! | 12 | 4 | pid, little-endian; 0 when down |
//! | 16 | 1 | 1 when paused |
//! | 17 | 1 | want: `u`, `d`, or 0 for once |
//! | 18 | 1 | 1 when TERM was sent to this pid (runit's `sv` reads it) |
//! | 19 | 1 | 0 down, 1 run, 2 finish (runit) |
//!
//! Bytes 0 to 17 are those of daemontools 0.76, 18 and 19 those of runit; there are exactly 20, since strict readers exist. A reader takes the
//! first 18 bytes, and of the others those that it knows: other suites write 18, 20, 35 or 40 bytes, and this suite once wrote more
//! ([`crate::record::layout1`]).

use tai::Label;

/// What the operator wants of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Want {
    /// Start it, and again whenever it dies.
    #[default]
    Up,
    /// Leave it down.
    Down,
    /// Neither: a run that ends is not repeated (once).
    Once,
}

impl Want {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Want::Up => b'u',
            Want::Down => b'd',
            Want::Once => 0,
        }
    }

    /// Decodes the byte in the status; any byte but `u` and `d` is once.
    pub(crate) const fn from_byte(byte: u8) -> Want {
        match byte {
            b'u' => Want::Up,
            b'd' => Want::Down,
            _ => Want::Once,
        }
    }
}

/// What runs, in the terms of runit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Run {
    /// Nothing.
    #[default]
    Down,
    /// `run`.
    Run,
    /// `finish`.
    Finish,
    /// Any other value in the status of another suite.
    Other(u8),
}

impl Run {
    const fn byte(self) -> u8 {
        match self {
            Run::Down => 0,
            Run::Run => 1,
            Run::Finish => 2,
            Run::Other(byte) => byte,
        }
    }

    const fn from_byte(byte: u8) -> Run {
        match byte {
            0 => Run::Down,
            1 => Run::Run,
            2 => Run::Finish,
            other => Run::Other(other),
        }
    }
}

/// One status record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The time of the last change of pid.
    pub since: Label,
    /// The process that runs: the service's, or that of its `finish`; `None` for none.
    pub pid: Option<std::num::NonZeroU32>,
    /// The process is stopped by STOP.
    pub paused: bool,
    /// What the operator wants.
    pub want: Want,
    /// TERM was sent to this pid.
    pub got_term: bool,
    /// What runs.
    pub run: Run,
}

/// Fewer bytes than a status record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort;

impl Status {
    /// Length in bytes.
    pub const SIZE: usize = 20;
    /// Length in bytes of the shortest record that can be read: daemontools 0.76's.
    pub const LEAST: usize = 18;

    /// Encodes the status for the file.
    pub fn encode(&self) -> [u8; Status::SIZE] {
        let mut bytes = [0; Status::SIZE];
        bytes[..12].copy_from_slice(&self.since.pack());
        bytes[12..16].copy_from_slice(&self.pid.map_or(0, |pid| pid.get()).to_le_bytes());
        bytes[16] = u8::from(self.paused);
        bytes[17] = self.want.byte();
        bytes[18] = u8::from(self.got_term);
        bytes[19] = self.run.byte();
        bytes
    }

    /// Decodes a status of any suite of the family. Bytes after the known ones are ignored.
    ///
    /// # Errors
    /// [`TooShort`] for fewer than 18 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Status, TooShort> {
        let (&since, rest) = bytes.split_first_chunk::<12>().ok_or(TooShort)?;
        let (&pid, rest) = rest.split_first_chunk::<4>().ok_or(TooShort)?;
        let (&[paused, want], rest) = rest.split_first_chunk::<2>().ok_or(TooShort)?;
        let (got_term, run) = match rest {
            [got_term, run, ..] => (*got_term != 0, Run::from_byte(*run)),
            [] | [_] => (false, Run::default()),
        };
        Ok(Status {
            since: Label::unpack(since),
            pid: std::num::NonZeroU32::new(u32::from_le_bytes(pid)),
            paused: paused != 0,
            want: Want::from_byte(want),
            got_term,
            run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observed on daemontools 0.76: up, pid 10073, want up.
    const KNOWN: [u8; 18] = [0x40, 0, 0, 0, 0x6b, 0x01, 0xef, 0x84, 0x38, 0x87, 0x1f, 0x6c, 0x59, 0x27, 0, 0, 0, b'u'];

    #[test]
    fn a_record_of_daemontools_is_read() {
        let status = Status::decode(&KNOWN).expect("18 bytes");
        assert_eq!(status.pid.map(|pid| pid.get()), Some(10073));
        assert_eq!((status.paused, status.want), (false, Want::Up));
        assert_eq!(status.since.nanos, 0x3887_1f6c);
    }

    #[test]
    fn the_first_18_bytes_are_written_as_daemontools_does() {
        let status = Status::decode(&KNOWN).expect("18 bytes");
        let bytes = Status { run: Run::Run, got_term: true, ..status }.encode();
        assert_eq!(bytes[..18], KNOWN);
        assert_eq!(bytes[18..], [1, 1]);
    }

    #[test]
    fn every_length_is_met_without_harm() {
        for length in 0..64 {
            let bytes = vec![0xff; length];
            assert_eq!(Status::decode(&bytes).is_ok(), length >= Status::LEAST, "{length} bytes");
        }
    }

    #[test]
    fn every_want_byte_is_a_want() {
        for byte in 0..=255 {
            let mut bytes = KNOWN;
            bytes[17] = byte;
            let want = Status::decode(&bytes).expect("18 bytes").want;
            assert_eq!(want == Want::Up, byte == b'u');
            assert_eq!(want == Want::Down, byte == b'd');
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for want in [Want::Up, Want::Down, Want::Once] {
            for run in [Run::Down, Run::Run, Run::Finish, Run::Other(3)] {
                let status = Status { want, run, paused: true, got_term: true, ..Status::default() };
                assert_eq!(Status::decode(&status.encode()), Ok(status));
            }
        }
    }
}
