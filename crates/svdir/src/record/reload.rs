//! The reloads of the service in the record.

use super::sections::{Fields, Writer};

/// What the main copy has told about its last reload. It is there for a copy that can tell: one that has a notify socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// When the reload began, as the copy has told, in nanoseconds on the monotonic clock, and never later than it was told; 0 if it has told of
    /// none, or not when.
    pub began: u64,
    /// The copy has not told since then that it is ready.
    pub under_way: bool,
}

impl Reload {
    /// Writes when it began, and a flag.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.long(self.began);
        section.flags([self.under_way]);
    }

    /// What [`encode`](Reload::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Reload {
        let (began, [under_way]) = (section.long(), section.flags());
        Reload { began, under_way }
    }
}
