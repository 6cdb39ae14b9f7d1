//! The processes that the machine knows, and what the modes of the copies ask of the loop.

use svdir::KillMode;

use super::copies::Copies;
use super::hook::Hook;
use super::leftovers::Leftovers;
use crate::Pid;

/// All that runs. Nothing of this is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The copies, the main one first.
    pub copies: [Option<(Pid, KillMode)>; 2],
    /// The script for which the service waits, what is run about the copies, and the scripts of `control/`.
    pub jobs: [Option<Pid>; 7],
    /// Something is left of copies that have ended, and of which mode the copies were.
    pub left: [Option<KillMode>; 2],
}

impl Overview {
    /// That of a service.
    pub(super) fn of(copies: &Copies, hook: &Hook, leftovers: &Leftovers) -> Overview {
        let all = [copies.main(), copies.second()];
        let [check, second_check] = all.map(|copy| copy.and_then(|copy| copy.probe.pid()));
        let [health, second_health] = all.map(|copy| copy.and_then(|copy| copy.health.pid()));
        let [control, second_control] = copies.controls.pids();
        Overview {
            copies: all.map(|copy| copy.map(|copy| (copy.pid, copy.mode))),
            jobs: [hook.pid(), check, health, second_check, second_health, control, second_control],
            left: leftovers.modes(),
        }
    }

    fn modes(&self) -> impl Iterator<Item = KillMode> {
        self.copies.into_iter().flatten().map(|(_, mode)| mode).chain(self.left.into_iter().flatten())
    }

    /// Whether a copy counts as its process group or more, or something of such a copy may be left.
    pub fn leads(&self) -> bool {
        self.modes().any(KillMode::leads)
    }

    /// Whether a copy counts as all that descends from it, or something of such a copy may be left.
    pub fn has_tree(&self) -> bool {
        self.modes().any(|mode| mode == KillMode::Tree)
    }

    /// Whether the end of this process is to come with the knobs about signals, in [`Rules::signals`](super::Rules::signals): to end what it leaves behind.
    pub fn needs_signals(&self, pid: Pid) -> bool {
        self.copies.into_iter().flatten().any(|(copy, mode)| copy == pid && mode.tells())
    }
}
