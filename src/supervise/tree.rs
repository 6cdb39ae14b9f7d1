//! What descends from a copy, whatever process group, session or parent it has by now.
//!
//! supervise is the parent of what loses its parent below it. So everything that a copy has left behind descends from
//! supervise, and nothing is left when supervise has no child. While another copy runs, nobody can tell whose orphans
//! they are: then what was there when that other one was started counts as the old one's, and what was below it when it
//! was told to end. A copy that was taken over leaves its orphans to others, so only what was below it counts.
//!
//! If the service has a cgroup, whatever lives in that of a life that is over is left behind too, wherever it descends
//! from: so nothing is missed after a takeover either.

use std::collections::BTreeMap;

use machine::Pid;
use machine::stop::{Process, victims};
use machine::supervise::Left;
use sys::adopted::{Adopted, Birth};
use sys::cgroup::Cgroup;
use sys::proc::{self, Stat};
use sys::process;
use sys::process::Signal;

use super::cgroup;
use super::processes::{pid_of, process_of};

/// The processes of supervise itself.
#[derive(Default)]
pub struct Own {
    /// The copies that run.
    pub copies: [Option<Pid>; 2],
    /// What supervise has started besides.
    pub jobs: Vec<Pid>,
}

/// What was seen below a copy.
struct Seen {
    /// The process as which it was started.
    first: Pid,
    below: Vec<(process::Pid, Birth)>,
}

/// What was seen below copies while they lived, and where they live.
#[derive(Default)]
pub struct Trees {
    seen: Vec<Seen>,
    /// The process of a copy, and the number of its life in the cgroup of the service.
    lives: Vec<(Pid, u32)>,
}

impl Trees {
    /// Notes that the process of a copy lives in this life in the cgroup of the service; 0 for none. `others` are the
    /// copies that run besides.
    pub fn lives_in(&mut self, copy: Pid, life: u32, others: [Option<Pid>; 2]) {
        self.lives.retain(|(pid, _)| *pid != copy && others.contains(&Some(*pid)));
        if life != 0 {
            self.lives.push((copy, life));
        }
    }

    /// Notes that another process is that of the copy now.
    pub fn moved(&mut self, old: Pid, new: Pid) {
        self.lives.iter_mut().filter(|(pid, _)| *pid == old).for_each(|(pid, _)| *pid = new);
    }

    /// Notes what is below the process `copy`, which was started as `first`, and what it has left behind so far.
    #[inline(never)]
    pub fn see(&mut self, copy: Pid, first: Pid, own: &Own) {
        let all = Table::read(self.roots(Some(copy), first, &[], own));
        let found = all.below(copy, &[]).chain(self.left(&all, Some(copy), first, &[], own));
        let below = found.map(|(pid, stat)| (pid, Birth::of(stat))).collect();
        self.forget(first);
        self.seen.push(Seen { first, below });
    }

    /// Forgets what was seen below this copy.
    pub fn forget(&mut self, first: Pid) {
        self.seen.retain(|seen| seen.first != first);
    }

    /// Sends a signal to all that is below the process `copy`, or to all that it has left behind if it has ended.
    #[inline(never)]
    pub fn signal(&self, copy: Option<Pid>, first: Pid, own: &Own, signal: u8) {
        let cgroups = self.cgroups(copy, own);
        if signal == Signal::SIGKILL as u8 {
            // Where the kernel cannot do that, they are killed one by one.
            cgroups.iter().for_each(|life| drop(life.kill()));
        }
        let members = members(&cgroups);
        let all = Table::read(self.roots(copy, first, &members, own));
        let below = copy.into_iter().flat_map(|copy| all.below(copy, &[]));
        for (pid, stat) in below.chain(self.left(&all, copy, first, &members, own)) {
            send(pid, Birth::of(stat), signal);
        }
    }

    /// Looks for what this copy, which has ended, has left behind.
    #[inline(never)]
    pub fn look(&mut self, first: Pid, own: &Own) -> Option<Left> {
        let is_alone = own.copies == [None; 2];
        let cgroups = self.cgroups(None, own);
        let mut has_strangers = false;
        // A process may be born, or lose its parent, while the others are looked at.
        let lowest = [(); 2].map(|()| {
            let members = members(&cgroups);
            let all = Table::read(self.roots(None, first, &members, own));
            has_strangers |= members.iter().any(|&member| !all.descends(member));
            let left = self.left(&all, None, first, &members, own);
            left.filter(|(_, stat)| stat.lives()).map(|(pid, _)| pid).min()
        });
        let pid = lowest.into_iter().flatten().min().map(pid_of);
        // Nobody tells of the end of what lost its parent before this supervise was there.
        let told = is_alone && !has_strangers && process::has_children();
        let is_sure = !is_alone || !own.jobs.is_empty() || !told;
        if pid.is_none() && is_sure {
            self.forget(first);
            return None;
        }
        Some(Left { pid, told })
    }

    /// Where to look: at supervise, the copies, what was seen below this one, and the members of its cgroups, with all that descends from each.
    fn roots(&self, copy: Option<Pid>, first: Pid, members: &[process::Pid], own: &Own) -> Vec<process::Pid> {
        let seen =
            self.seen.iter().filter(|seen| seen.first == first).flat_map(|seen| &seen.below).map(|(pid, _)| *pid);
        let copies = own.copies.into_iter().flatten().chain(copy).map(process_of);
        [process::own_pid()].into_iter().chain(copies).chain(seen).chain(members.iter().copied()).collect()
    }

    /// The cgroups of the lives that are over, and that of `copy`.
    fn cgroups(&self, copy: Option<Pid>, own: &Own) -> Vec<Cgroup> {
        let others: Vec<Pid> = own.copies.into_iter().flatten().filter(|&other| Some(other) != copy).collect();
        let spared = self.lives.iter().filter(|(pid, _)| others.contains(pid)).map(|&(_, life)| life);
        let mut found = cgroup::lives_but(&spared.collect::<Vec<u32>>());
        // Nothing that runs is taken for what it has left behind, whatever is known of it.
        found.retain(|life| !members(std::slice::from_ref(life)).into_iter().any(|pid| others.contains(&pid_of(pid))));
        found
    }

    /// What this copy has left behind, in the table: all that descends from supervise and is not its own, if no copy runs
    /// but perhaps this one; what was seen below it, and its `members`, with all that descends from these.
    fn left<'t>(
        &self,
        all: &'t Table,
        copy: Option<Pid>,
        first: Pid,
        members: &[process::Pid],
        own: &Own,
    ) -> impl Iterator<Item = (process::Pid, &'t Stat)> {
        let spared: Vec<Pid> = own.copies.into_iter().flatten().chain(own.jobs.iter().copied()).collect();
        let is_alone = own.copies.into_iter().flatten().all(|other| Some(other) == copy);
        let seen = self.seen.iter().filter(|seen| seen.first == first).flat_map(|seen| &seen.below);
        let seen = seen.filter(|(pid, birth)| all.get(*pid).is_some_and(|stat| Birth::of(stat) == *birth));
        let seen = seen.map(|(pid, _)| pid_of(*pid)).chain(members.iter().copied().map(pid_of));
        let seen: Vec<Pid> = seen.filter(|pid| !spared.contains(pid)).collect();
        let us = is_alone.then(|| pid_of(process::own_pid()));
        let roots = us.into_iter().chain(seen.iter().copied());
        let mut found: Vec<Pid> = roots.flat_map(|root| victims(root, &all.parents, &[], &spared)).collect();
        found.extend(seen);
        found.sort_unstable_by_key(|pid| pid.0);
        found.dedup();
        found.into_iter().filter_map(|pid| Some((process_of(pid), all.get(process_of(pid))?)))
    }
}

/// The processes that matter, in one moment.
struct Table {
    stats: BTreeMap<process::Pid, Stat>,
    parents: Vec<Process>,
}

impl Table {
    /// Reads those that descend from `roots`; all that there are, where the kernel does not tell the children of a process.
    fn read(roots: Vec<process::Pid>) -> Table {
        let stats = proc::family(&roots).unwrap_or_else(|| {
            let pids = proc::pids().into_iter().flatten();
            pids.filter_map(|pid| Some((pid, proc::stat(pid).ok()?))).collect()
        });
        let parent = |(pid, stat): (&_, &Stat)| Process { pid: pid_of(*pid), parent: pid_of(stat.parent) };
        let parents = stats.iter().map(parent).collect();
        Table { stats, parents }
    }

    fn get(&self, pid: process::Pid) -> Option<&Stat> {
        self.stats.get(&pid)
    }

    /// Whether this process descends from supervise, or has ended.
    fn descends(&self, pid: process::Pid) -> bool {
        let mut next = pid;
        // There are no more steps than processes.
        for _ in &self.stats {
            match self.get(next) {
                _ if next == process::own_pid() => return true,
                None => return next == pid,
                Some(stat) => next = stat.parent,
            }
        }
        false
    }

    /// All that descends from this process.
    fn below(&self, root: Pid, spared: &[Pid]) -> impl Iterator<Item = (process::Pid, &Stat)> {
        let found = victims(root, &self.parents, &[], spared).into_iter();
        found.filter_map(|pid| Some((process_of(pid), self.get(process_of(pid))?)))
    }
}

/// The processes that live in these cgroups.
fn members(cgroups: &[Cgroup]) -> Vec<process::Pid> {
    cgroups.iter().filter_map(|life| life.processes().ok()).flatten().collect()
}

/// Sends a signal to the process that was born then, if it lives.
fn send(pid: process::Pid, birth: Birth, signal: u8) {
    // It may have ended, or be another user's by now.
    let _ = match Adopted::find(pid, birth) {
        Ok(Some(found)) => found.signal(signal),
        Ok(None) => Ok(()),
        // Without pidfds, what was just read must do.
        Err(_) => process::signal(pid, signal),
    };
}
