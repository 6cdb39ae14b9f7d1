//! What copies that have ended have left behind, in the record.

use std::num::NonZeroU32;

use super::sections::{Fields, Writer};
use crate::KillMode;

/// What is left of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The process group that the copy has led.
    pub group: NonZeroU32,
    /// The mode in which the copy was started.
    pub mode: KillMode,
    /// One of the processes that are left, if one is known.
    pub pid: Option<NonZeroU32>,
    /// It gets KILL if it does not end in time.
    pub kill_due: bool,
}

/// What is left of all copies that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// What is left of each.
    pub rests: [Option<Rest>; 2],
    /// The main copy has ended, and what follows that waits for them.
    pub ending: bool,
    /// That begins with `finish`.
    pub finish: bool,
}

impl Leftovers {
    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        matches!(self.rests, [None, None])
    }

    /// One of the processes that are left: the lowest pid of those that are known.
    pub fn pid(&self) -> Option<NonZeroU32> {
        self.rests.into_iter().flatten().filter_map(|rest| rest.pid).min()
    }

    /// Writes two flags; then for each that is left: group, mode, pid and a flag.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        section.flags([self.ending, self.finish]);
        for rest in self.rests.iter().flatten() {
            section.number(rest.group.get());
            section.byte(rest.mode.number());
            section.number(rest.pid.map_or(0, NonZeroU32::get));
            section.flags([rest.kill_due]);
        }
    }

    /// What [`encode`](Leftovers::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Leftovers {
        let [ending, finish] = section.flags();
        let mut rest = || {
            let (group, mode) = (NonZeroU32::new(section.number()), KillMode::from_number(section.byte()));
            let (pid, [kill_due]) = (NonZeroU32::new(section.number()), section.flags());
            Some(Rest { group: group?, mode, pid, kill_due })
        };
        let rests = [rest(), rest()];
        // Nothing waits for nothing.
        let ending = ending && rests != [None, None];
        Leftovers { rests, ending, finish: finish && ending }
    }
}
