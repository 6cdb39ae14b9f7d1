//! The start that waits for another service, in the record. The name of that service stands in the same section ([`super::Observed::awaited`]).

use super::sections::{Fields, Writer};

/// A start that is held back, because another service is not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Since when, on the monotonic clock, in nanoseconds.
    pub since: u64,
}

impl Gate {
    /// Writes the moment.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.long(self.since);
    }

    /// Reads what [`encode`](Gate::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Gate {
        Gate { since: section.long() }
    }
}
