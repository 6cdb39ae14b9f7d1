//! The lines for stderr. Whoever reads them may be slow, and no log is to wait for that long.

use crate::patience::Patience;

/// How many bytes are collected before they are written.
const BUFFER: usize = 65_536;
/// How long the reader of stderr may take to make room, in nanoseconds.
const READING: u64 = 5_000_000_000;

/// The lines that are not written yet.
pub(crate) struct Alerts {
    lines: Vec<u8>,
    /// Whether stderr had no room for the last write.
    unread: bool,
}

impl Alerts {
    /// None yet. `wanted` says whether there will be any, for which memory is to be there.
    pub fn new(wanted: bool) -> Alerts {
        Alerts { lines: Vec::with_capacity(if wanted { BUFFER } else { 0 }), unread: false }
    }

    /// Returns whether so many bytes can be taken before the next flush.
    pub fn has_room(&self, count: usize) -> bool {
        self.lines.len() + count <= BUFFER
    }

    /// Takes bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.lines.extend_from_slice(bytes);
    }

    /// Writes the lines. Errors are ignored. The reader has some time to make room; after that the lines are dropped, and so are
    /// all others until there is room again.
    pub fn flush(&mut self, patience: &mut Patience) {
        for piece in self.lines.chunks(sys::fd::PIECE) {
            let limit = if self.unread { 0 } else { READING };
            self.unread = !patience.wait_for_room(sys::fd::stderr(), limit);
            if self.unread || sys::fd::write_all(sys::fd::stderr(), piece).is_err() {
                break;
            }
        }
        self.lines.clear();
    }
}
