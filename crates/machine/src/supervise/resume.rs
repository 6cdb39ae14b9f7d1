//! What a successor makes of the record that its predecessor has left.

use svdir::record::{self, Role};

use super::copy::Copy;
use super::knobs::Knobs;
use crate::Tick;
use crate::overlap::{Overlap, Readiness, Second};
use crate::probe::Probe;

/// What a successor knows besides the record.
#[derive(Clone, Copy, Debug)]
pub struct Resumed {
    /// When the last start was made, if that can be told.
    pub last_start: Option<Tick>,
    /// What the service directory says now.
    pub knobs: Knobs,
    /// Whether the service tells by `check` when it is ready.
    pub checks: bool,
    /// Whether it tells so in whatever way. That is asked only where the record does not say it of a copy.
    pub declares: bool,
    /// Whether the service can be heard: one that cannot is not ended for its silence.
    pub heard: bool,
    /// How long a `finish` that runs may take, in nanoseconds; for ever if `None`.
    pub finish_limit: Option<u64>,
    /// The predecessor was in the same process, so its children are ours.
    pub ours: bool,
}

impl Resumed {
    /// The main copy of which `left` tells.
    pub(super) fn main(&self, now: Tick, left: &record::Copy) -> Copy {
        let kill_at = now.after(self.knobs.hung_grace());
        let copy = Copy::resume(now, left, kill_at, self.checks, self.ours);
        Copy { watchdog: if self.heard { copy.watchdog } else { 0 }, ..copy }
    }

    /// The second copy of which `left` tells.
    pub(super) fn second(&self, now: Tick, role: Role, left: &record::Copy) -> Copy {
        let declares = left.declares || (left.undeclared && self.declares);
        let mut second = self.main(now, &record::Copy { declares, ..*left });
        if role != Role::Warming {
            second.probe = Probe::default();
        }
        second
    }
}

/// The overlap that a predecessor has left behind. What was to be waited for is waited for anew. A group is not known: the copy
/// may have ended meanwhile, and its pid be somebody else's.
pub(super) fn overlap(now: Tick, second: Option<(Role, Copy)>, again: bool, knobs: Knobs) -> Overlap {
    let Some((role, Copy { pid, declares, .. })) = second else {
        return Overlap::new();
    };
    let settings = knobs.settings(declares);
    let kill_at = settings.grace.map(|grace| now.after(grace));
    let leaving = |new| Second::Leaving { pid, new, group: None, kill_at };
    let second = match role {
        Role::Warming => {
            let until = match settings.readiness {
                Readiness::WarmUp(time) => Some(now.after(time)),
                Readiness::Declared(limit) => limit.map(|limit| now.after(limit)),
            };
            Second::Warming { pid, group: None, settings, until }
        }
        Role::EndingOld => leaving(false),
        Role::EndingNew => leaving(true),
    };
    Overlap::resume_with(second, again.then_some(settings))
}
