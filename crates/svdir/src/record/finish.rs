//! `finish` in the record, and the service that is down for good by itself.

use std::num::NonZeroU32;

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
    /// It has failed: its `finish` says so.
    Finish,
    /// It has failed, for a reason that a later release knows.
    Unknown,
}

impl Over {
    /// Writes the kind.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.byte(match self {
            Over::Unknown => 0,
            Over::Finish => 1,
        });
    }

    /// What [`encode`](Over::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Over {
        match section.byte() {
            1 => Over::Finish,
            _ => Over::Unknown,
        }
    }
}
