//! `health` in the record.

use std::num::NonZeroU32;

use super::sections::{Fields, Writer};

/// The runs of `health` about the main copy, if one runs or has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The process of the one that runs.
    pub pid: Option<NonZeroU32>,
    /// How many have failed in a row.
    pub fails: u8,
    /// When the first of them had failed, in nanoseconds on the clock of the machine; 0 if none has.
    pub since: u64,
}

impl Health {
    /// Writes the pid, 0 for none; the number of failures; and the time of the first.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.number(self.pid.map_or(0, NonZeroU32::get));
        section.byte(self.fails);
        section.long(self.since);
    }

    /// What [`encode`](Health::encode) wrote. `None` if nothing runs and nothing has failed.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<Health> {
        let (pid, fails, since) = (NonZeroU32::new(section.number()), section.byte(), section.long());
        let health = Health { pid, fails, since: if fails > 0 { since } else { 0 } };
        (pid.is_some() || fails > 0).then_some(health)
    }
}
