//! How a successor begins from the record of its predecessor.

use svdir::record::{self, Decided, Health as Runs, Reload, Role};

use super::copy::Copy;
use super::health::Health;
use super::knobs::Knobs;
use super::patience::Patience;
use crate::overlap::{Overlap, Readiness, Second};
use crate::probe::Probe;
use crate::{Pid, Tick};

/// What a successor knows besides the record.
#[derive(Clone, Copy, Debug)]
pub struct Resumed {
    /// When the last start was made, if that is known.
    pub last_start: Option<Tick>,
    /// The knobs of the service directory now.
    pub knobs: Knobs,
    /// Whether the service says by `check` that it is ready.
    pub checks: bool,
    /// Whether the service says in whatever way that it is ready. It counts only if the record does not say it for a
    /// copy.
    pub declares: bool,
    /// The interval of `health` in nanoseconds; 0 if there is no `health`.
    pub health: u64,
    /// How long a copy may take to get ready that has to be in time and has not been yet, in nanoseconds; 0 for no limit.
    pub patience: u64,
    /// Whether messages of the service can be received. If not, its watchdog does not count.
    pub heard: bool,
    /// How long the script may take that runs, and for which the service waits, in nanoseconds; for ever if `None`.
    pub hook_limit: Option<u64>,
    /// The predecessor was this same process (an upgrade), so its children are children of this process.
    pub ours: bool,
}

impl Resumed {
    /// The main copy, from its part of the record.
    pub(super) fn main(&self, now: Tick, left: &record::Copy, more: (Option<Runs>, Option<Reload>)) -> Copy {
        let (health, reload) = more;
        let kill_at = now.after(self.knobs.hung_grace());
        let copy = Copy::resume(now, left, kill_at, self.checks, self.ours);
        let health = Health::resume(now, self.health, health.filter(|_| self.ours));
        // Earlier releases do not say that a copy can tell.
        let reload = reload.or_else(|| (self.heard && copy.declares).then(Reload::default));
        let patience = Patience::new(now, if left.awaited { self.patience } else { 0 });
        Copy { watchdog: if self.heard { copy.watchdog } else { 0 }, health, reload, patience, ..copy }
    }

    /// The second copy, from its part of the record.
    pub(super) fn second(&self, now: Tick, role: Role, left: &record::Copy) -> Copy {
        let declares = left.declares || (left.undeclared && self.declares);
        let mut second = self.main(now, &record::Copy { declares, ..*left }, (None, None));
        if role != Role::Warming {
            second.probe = Probe::default();
        }
        second
    }
}

/// The processes of the main copy and of the second, in the record of a predecessor.
pub(super) fn pids(left: &Decided) -> [Option<Pid>; 2] {
    let second = left.second.as_ref().map(|(_, second)| second);
    [left.main.as_ref(), second].map(|copy| copy.map(|copy| Pid(copy.pid.get())))
}

/// Takes over the overlap of a predecessor. All times begin anew. The process group is not known: the copy may have ended
/// meanwhile, and another process may have its pid.
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
