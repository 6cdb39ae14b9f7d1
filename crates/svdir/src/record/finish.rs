//! `finish` in the record, and the service that is down for good by itself.

use std::num::NonZeroU32;

use super::Exit;
use super::sections::{Fields, Writer};

/// The `finish` that runs about the main copy, which has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Its process.
    pub pid: NonZeroU32,
}

impl Finish {
    /// Writes the pid.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.number(self.pid.get());
    }

    /// What [`encode`](Finish::encode) wrote. `None` if there is no pid.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<Finish> {
        Some(Finish { pid: NonZeroU32::new(section.number())? })
    }
}

/// Why a service is down for good though nobody has told it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is done: it has exited 0, and that is final.
    Done,
    /// It has failed: it has ended so, and that is final.
    Ended(Exit),
    /// It has failed: it has ended so often in so many seconds, and nobody had asked for that.
    Often {
        /// How often.
        times: u8,
        /// In how many seconds.
        seconds: u32,
    },
    /// It has failed: its `finish` says so.
    Finish,
    /// It has failed, for a reason that a later release knows.
    Unknown,
}

impl Over {
    /// Writes the kind; how it has ended, as [`super::Pace`] does; how often, and in how many seconds.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        let (kind, exit) = match self {
            Over::Unknown => (0, None),
            Over::Finish => (1, None),
            Over::Done => (2, None),
            Over::Ended(exit) => (3, Some(exit)),
            Over::Often { .. } => (4, None),
        };
        section.byte(kind);
        section.put(&Exit::bytes(exit));
        if let Over::Often { times, seconds } = self {
            section.byte(times);
            section.number(seconds);
        }
    }

    /// What [`encode`](Over::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Over {
        let (kind, exit) = (section.byte(), Exit::from_bytes(section.array()));
        match kind {
            1 => Over::Finish,
            2 => Over::Done,
            3 => Over::Ended(exit.unwrap_or(Exit::Unknown)),
            4 => Over::Often { times: section.byte(), seconds: section.number() },
            _ => Over::Unknown,
        }
    }
}
