//! The start that waits for another service, or has waited for one, in the record. The name of that service stands in the same section
//! ([`super::Observed::awaited`]).

use super::sections::{Fields, Writer};
use super::text::Text;

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

/// The last start that has waited for other services, while none waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// For how long, for all of them, in nanoseconds.
    pub nanoseconds: u64,
}

impl Waited {
    /// Writes the time, and as much of the name as there is room for behind everything else: a name that is cut ends with three dots. Where there is not even room for
    /// these, all of it is left out.
    pub(super) fn encode(self, tag: u8, name: &Text<64>, writer: &mut Writer<'_>) {
        const DOTS: &[u8] = b"...";
        let name = name.bytes();
        let Some(room) = writer.room_in_a_section().checked_sub(size_of::<u64>()) else {
            return;
        };
        let (begin, dots) = match room.checked_sub(DOTS.len()) {
            _ if name.len() <= room => (name, &b""[..]),
            Some(room) => (name.get(..room).unwrap_or_default(), DOTS),
            None => return,
        };
        writer.section(tag, |section| {
            section.long(self.nanoseconds);
            section.put(begin);
            section.put(dots);
        });
    }

    /// Reads what [`encode`](Waited::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Waited {
        Waited { nanoseconds: section.long() }
    }
}
