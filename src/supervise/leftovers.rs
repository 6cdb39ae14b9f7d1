//! The processes that a service leaves behind: supervise becomes their parent, so that it is told when they end, and
//! looks for them.
//!
//! A process group exists as long as it has a member, and so long no other process or group gets its number. supervise
//! looks at the end of a process before it reaps it, so it can signal the group of that process before its number may be
//! another's.

use machine::Pid;
use machine::supervise::{Left, Machine};
use svdir::KillMode;
use svdir::record::Observed;
use sys::proc;
use sys::process::{self, Change};

use super::processes::{is_anothers, pid_of, process_of};
use super::tree::{Own, Trees};

/// The children of supervise, among them those that have lost their parent.
#[derive(Default)]
pub struct Children {
    /// supervise is the parent of what loses its parent below it.
    adopts: bool,
    /// The child whose end was told, and that was not reaped yet.
    ended: Option<process::Pid>,
    /// What was seen below copies whose mode is `tree`.
    pub trees: Trees,
}

impl Children {
    /// Makes supervise the parent of what loses its parent below it, or not any more.
    pub fn adopt(&mut self, adopt: bool) {
        if std::mem::replace(&mut self.adopts, adopt) != adopt {
            process::adopt_orphans(adopt);
        }
    }

    /// Goes on with the copies of a predecessor, and with what it has noted of them.
    pub fn resume(machine: &Machine, told: &Observed) -> Children {
        let mut children = Children::default();
        children.adopt(machine.overview().leads());
        let overview = machine.overview();
        let copies = overview.copies.map(|copy| copy.map(|(pid, _)| pid));
        for (copy, seen) in copies.into_iter().zip([told.main, told.second]) {
            copy.into_iter().for_each(|pid| children.trees.lives_in(pid, seen.life, copies));
        }
        let own = Own { copies, jobs: overview.jobs.into_iter().flatten().collect() };
        for copy in [machine.main(), machine.second()].into_iter().flatten() {
            if let Some(first) = copy.group.filter(|_| copy.mode == KillMode::Tree) {
                children.trees.see(copy.pid, first, &own);
            }
        }
        children
    }

    /// Returns the next change of a child. Where supervise adopts, a child that has ended is reaped only by the next
    /// call.
    pub fn reap(&mut self) -> Option<(Pid, Change)> {
        self.bury();
        if !self.adopts {
            return process::reap().map(|(pid, change)| (pid_of(pid), change));
        }
        let (pid, change) = process::peek()?;
        self.ended = Some(pid).filter(|_| matches!(change, Change::Exited(_) | Change::Killed(_)));
        Some((pid_of(pid), change))
    }

    /// Reaps the child whose end was told.
    pub fn bury(&mut self) {
        if let Some(pid) = self.ended.take() {
            // It has ended, so this does not fail.
            let _ = process::try_wait(pid);
        }
    }

    /// Looks for what is left of the copy that was started as `leader`, with this mode, and has ended. `known` was found
    /// before, and `own` are not left behind.
    #[inline(never)]
    pub fn look(&mut self, leader: Pid, mode: KillMode, known: Option<Pid>, own: &Own) -> Option<Left> {
        self.bury();
        if mode == KillMode::Tree {
            return self.trees.look(leader, own);
        }
        let group = process_of(leader);
        // While the group has members, no process gets the pid of its leader.
        if !process::group_exists(group) || is_anothers(group) {
            return None;
        }
        let told = process::has_child_in(group);
        if let Some(pid) = known.filter(|&pid| is_member(process_of(pid), group)) {
            return Some(Left { pid: Some(pid), told });
        }
        // A process may be born while the others are looked at, with a pid that was looked at before.
        match [members(group), members(group)] {
            // What only waits to be reaped by another process does nothing any more.
            [Members::Ended, Members::Ended] => None,
            [Members::Lives(pid), _] | [_, Members::Lives(pid)] => Some(Left { pid: Some(pid_of(pid)), told }),
            [Members::Unknown, _] | [_, Members::Unknown] => Some(Left { pid: None, told }),
        }
    }
}

/// Returns whether the process lives and is in the group.
fn is_member(pid: process::Pid, group: process::Pid) -> bool {
    proc::stat(pid).is_ok_and(|stat| stat.group == group && stat.lives())
}

/// The members of a process group, as far as `/proc` shows them.
enum Members {
    /// This one lives, and none with a lower pid.
    Lives(process::Pid),
    /// All have ended, and were not reaped.
    Ended,
    /// None are shown.
    Unknown,
}

/// Finds the members of a process group.
fn members(group: process::Pid) -> Members {
    let mut members = Members::Unknown;
    for pid in proc::pids().into_iter().flatten() {
        let Some(stat) = proc::stat(pid).ok().filter(|stat| stat.group == group) else {
            continue;
        };
        members = match members {
            Members::Lives(lowest) if !stat.lives() || lowest <= pid => Members::Lives(lowest),
            _ if stat.lives() => Members::Lives(pid),
            _ => Members::Ended,
        };
    }
    members
}
