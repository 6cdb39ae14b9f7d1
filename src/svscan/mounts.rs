//! What is mounted, as it was read in the last second: a link whose target lies in a file system of this machine needs no child that looks first.

use std::path::Path;

use machine::{SECOND, Tick};
use sys::mounts::Mounts;

/// How long the table is believed, in nanoseconds. What is mounted meanwhile below one of its places is noticed all the same.
const BELIEVED: u64 = SECOND;

/// The table of mounts, if it was read.
#[derive(Default)]
pub struct RecentMounts(Option<(Tick, Mounts)>);

impl RecentMounts {
    /// Returns whether `name` is a link that leads into a local file system and nowhere else.
    pub fn hold_target_of(&mut self, now: Tick, name: &Path) -> bool {
        let recent = self.0.take().filter(|(read, _)| read.after(BELIEVED) > now);
        let Some(recent) = recent.or_else(|| Some((now, Mounts::read().ok()?))) else {
            return false;
        };
        let (_, mounts) = self.0.insert(recent);
        mounts.hold_target_of(name)
    }
}
