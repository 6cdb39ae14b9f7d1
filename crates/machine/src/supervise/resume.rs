//! What a successor makes of the record that its predecessor has left.

use svdir::record::{self, Role};

use super::copy::Copy;
use super::knobs::{Knobs, WARM_UP};
use crate::Tick;
use crate::overlap::{Overlap, Readiness, Second, Settings};
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
    /// Whether the service can be heard: one that cannot is not ended for its silence.
    pub heard: bool,
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
        let mut second = self.main(now, left);
        // Records of the first layout do not say this of a second copy.
        second.declares |= matches!(self.knobs.readiness, Readiness::Declared(_));
        match role {
            Role::Warming if self.checks && !second.ready && !left.check_over && second.probe.is_over() => {
                second.probe.begin(now);
            }
            Role::Warming => {}
            Role::EndingOld | Role::EndingNew => second.probe = Probe::default(),
        }
        second
    }
}

/// The overlap that a predecessor has left behind. What was to be waited for is waited for anew. A group is not known: the copy
/// may have ended meanwhile, and its pid be somebody else's.
pub(super) fn overlap(now: Tick, second: Option<(Role, Copy)>, again: bool, knobs: Knobs) -> Overlap {
    let settings = knobs.settings();
    let Some((role, Copy { pid, ready, .. })) = second else {
        return Overlap::new();
    };
    // One that has told that it is ready, and still warms up, does not tell it again.
    let settings = if ready { Settings { readiness: Readiness::WarmUp(WARM_UP), ..settings } } else { settings };
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
