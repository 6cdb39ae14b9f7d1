//! The service that is down for good by itself, in the record.

use super::Exit;
use super::sections::{Fields, Writer};

/// Why a service is down for good though nobody has told it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is done: it has exited 0, and that is final; or its `start` has, and there is no `run`.
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
    /// It has failed: its `start` has ended so.
    Start(Exit),
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
            Over::Start(exit) => (5, Some(exit)),
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
            5 => Over::Start(exit.unwrap_or(Exit::Unknown)),
            _ => Over::Unknown,
        }
    }
}
