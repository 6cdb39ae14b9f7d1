//! What copies that have ended have left behind: processes of the process groups that they have led. Nothing is started as long as there are any.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | none | nothing is left, or nobody asks | the end of a copy whose mode is not `process`: looked for |
//! | looked for | the loop looks for them in this moment | what it finds: none, or waited for |
//! | waited for | they were told to end, or killed | another look that finds nothing: none; the deadline for that: they get KILL, once |
//!
//! In the mode `mixed` they get KILL at once. In the modes `group` and `tree` they are told to end if they were not yet, and get KILL when the time for that is
//! over; in the mode `tree`, so does whatever is found later. Those of a new copy that has come to nothing get KILL at once in every mode.
//!
//! Where supervise is told of the end of one of them, the loop looks again then. Otherwise it looks again every [`PAUSE`].

use std::num::NonZeroU32;

use svdir::{KillMode, record};

use super::Actions;
use super::events::{Action, Left, Say, Target};
use super::knobs::Knobs;
use super::phase::Phase;
use crate::{Pid, Signal, Tick};

/// The time from one look to the next, in nanoseconds, where nobody tells of an end.
pub const PAUSE: u64 = 100_000_000;

/// A copy that has ended, and may have left something behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The process group that it has led.
    pub group: Pid,
    /// The mode in which it was started.
    pub mode: KillMode,
    /// Nothing of it may go on, whatever the mode.
    pub lost: bool,
    /// All of it was told to end.
    pub stopped: bool,
    /// When it would have got KILL.
    pub kill_at: Option<Tick>,
}

/// What is left of one copy, or is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    group: Pid,
    mode: KillMode,
    /// The record says that it is left: a look has found something.
    is_known: bool,
    /// One of the processes.
    pid: Option<Pid>,
    /// When they get KILL; `None` if they have got it.
    kill_at: Option<Tick>,
    /// When the loop looks again, unless it is told of an end before.
    look_at: Option<Tick>,
}

/// What is left of all copies that have ended. There are at most two, since nothing is started meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers([Option<Rest>; 2]);

impl Leftovers {
    /// Those of a predecessor. Their time begins anew, and is `grace` nanoseconds.
    pub(super) fn resume(now: Tick, left: &record::Leftovers, grace: u64) -> Leftovers {
        Leftovers(left.rests.map(|rest| {
            let record::Rest { group, mode, pid, kill_due } = rest?;
            let (group, pid) = (Pid(group.get()), pid.map(|pid| Pid(pid.get())));
            let kill_at = kill_due.then(|| now.after(grace));
            Some(Rest { group, mode, is_known: true, pid, kill_at, look_at: None })
        }))
    }

    /// Whether nothing is left, as far as is known.
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, [None, None])
    }

    /// The modes of the copies of which something is left.
    pub fn modes(&self) -> [Option<KillMode>; 2] {
        self.0.map(|rest| rest.map(|rest| rest.mode))
    }

    /// A copy has ended. Tells what is left of it to end, or kills it. A look must follow.
    pub(super) fn begin(&mut self, now: Tick, ended: Ended, knobs: Knobs, todo: &mut Actions) {
        let Ended { group, mode, lost, stopped, kill_at } = ended;
        let kill_at = if lost || mode == KillMode::Mixed {
            todo.push(Action::Signal(target(group, mode), Signal::KILL));
            None
        } else if stopped {
            Some(kill_at.unwrap_or(now.after(knobs.hung_grace())))
        } else {
            todo.push(Action::Signal(target(group, mode), knobs.down_signal));
            todo.push(Action::Signal(target(group, mode), Signal::CONT));
            Some(now.after(knobs.hung_grace()))
        };
        let free = self.0.iter_mut().find(|rest| rest.is_none());
        debug_assert!(free.is_some(), "more is left than there was");
        if let Some(free) = free {
            *free = Some(Rest { group, mode, is_known: false, pid: None, kill_at, look_at: None });
        }
    }

    /// Looks for all of them.
    pub(super) fn look(&self, todo: &mut Actions) {
        self.0.iter().flatten().for_each(|rest| todo.push(Action::Look(rest.group, rest.mode, rest.pid)));
    }

    /// Takes in what a look for this group has found: nothing if `None`. Returns whether the record says something else now.
    pub(super) fn found(&mut self, now: Tick, group: Pid, left: Option<Left>, todo: &mut Actions) -> bool {
        let Some(place) = self.0.iter_mut().find(|rest| rest.is_some_and(|rest| rest.group == group)) else {
            return false;
        };
        let (Some(rest), Some(Left { pid, told })) = (place.as_mut(), left) else {
            *place = None;
            if self.0[0].is_none() {
                self.0.swap(0, 1);
            }
            return true;
        };
        rest.look_at = (!told).then(|| now.after(PAUSE));
        // It may have been born as the others were killed. A group is killed as a whole.
        if rest.kill_at.is_none() && rest.mode == KillMode::Tree {
            todo.push(Action::Signal(target(group, rest.mode), Signal::KILL));
        }
        let was = (std::mem::replace(&mut rest.is_known, true), std::mem::replace(&mut rest.pid, pid));
        was != (true, pid)
    }

    /// When [`timeout`](Leftovers::timeout) is to be called.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.0.iter().flatten().flat_map(|rest| [rest.kill_at, rest.look_at]).flatten().min()
    }

    /// Kills those that have had their time, and looks for the others where that is due.
    pub(super) fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        let is_due = |at: &mut Tick| *at <= now;
        for rest in self.0.iter_mut().flatten() {
            if rest.kill_at.take_if(is_due).is_some() {
                todo.push(Action::Say(Say::LeftLate(rest.group, rest.mode)));
                todo.push(Action::Signal(target(rest.group, rest.mode), Signal::KILL));
                todo.push(Action::Announce);
            }
            if rest.look_at.take_if(is_due).is_some() {
                todo.push(Action::Look(rest.group, rest.mode, rest.pid));
            }
        }
    }

    /// What stands in the record, in this phase of the service.
    pub(super) fn record(&self, phase: Phase) -> record::Leftovers {
        let rests = self.0.map(|rest| {
            let Rest { group, mode, pid, kill_at, .. } = rest?;
            let pid = pid.and_then(|pid| NonZeroU32::new(pid.0));
            Some(record::Rest { group: NonZeroU32::new(group.0)?, mode, pid, kill_due: kill_at.is_some() })
        });
        match phase {
            Phase::Leaving { finish, .. } => record::Leftovers { rests, ending: true, finish },
            _ => record::Leftovers { rests, ..record::Leftovers::default() },
        }
    }
}

/// What is left of the copy that was started as this process.
fn target(first: Pid, mode: KillMode) -> Target {
    if mode == KillMode::Tree { Target::Orphans(first) } else { Target::Group(first) }
}
