//! What descends from a copy, whatever process group, session or parent it has by now.
//!
//! supervise is the parent of what loses its parent below it. So everything that a copy has left behind descends from
//! supervise, and nothing is left when supervise has no child. While another copy runs, nobody can tell whose orphans
//! they are: then what was there when that other one was started counts as the old one's, and what was below it when it
//! was told to end. A copy that was taken over leaves its orphans to others, so only what was below it counts.

use machine::Pid;
use machine::stop::{Process, victims};
use machine::supervise::Left;
use sys::adopted::{Adopted, Birth};
use sys::proc::{self, Stat};
use sys::process;

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

/// What was seen below copies while they lived.
#[derive(Default)]
pub struct Trees(Vec<Seen>);

impl Trees {
    /// Notes what is below the process `copy`, which was started as `first`, and what it has left behind so far.
    #[inline(never)]
    pub fn see(&mut self, copy: Pid, first: Pid, own: &Own) {
        let all = Table::read();
        let found = all.below(copy, &[]).chain(self.left(&all, Some(copy), first, own));
        let below = found.map(|(pid, stat)| (pid, Birth::of(stat))).collect();
        self.forget(first);
        self.0.push(Seen { first, below });
    }

    /// Forgets what was seen below this copy.
    pub fn forget(&mut self, first: Pid) {
        self.0.retain(|seen| seen.first != first);
    }

    /// Sends a signal to all that is below the process `copy`, or to all that it has left behind if it has ended.
    #[inline(never)]
    pub fn signal(&self, copy: Option<Pid>, first: Pid, own: &Own, signal: u8) {
        let all = Table::read();
        let below = copy.into_iter().flat_map(|copy| all.below(copy, &[]));
        for (pid, stat) in below.chain(self.left(&all, copy, first, own)) {
            send(pid, Birth::of(stat), signal);
        }
    }

    /// Looks for what this copy, which has ended, has left behind.
    #[inline(never)]
    pub fn look(&mut self, first: Pid, own: &Own) -> Option<Left> {
        let is_alone = own.copies == [None; 2];
        // A process may be born, or lose its parent, while the others are looked at.
        let lowest = [(); 2].map(|()| {
            let all = Table::read();
            let left = self.left(&all, None, first, own);
            left.filter(|(_, stat)| stat.lives()).map(|(pid, _)| pid).min()
        });
        let pid = lowest.into_iter().flatten().min().map(pid_of);
        let told = is_alone && process::has_children();
        let is_sure = !is_alone || !own.jobs.is_empty() || !told;
        if pid.is_none() && is_sure {
            self.forget(first);
            return None;
        }
        Some(Left { pid, told })
    }

    /// What this copy has left behind, in the table: all that descends from supervise and is not its own, if no copy runs
    /// but perhaps this one; and what was seen below it, with all that descends from that.
    fn left<'t>(
        &self,
        all: &'t Table,
        copy: Option<Pid>,
        first: Pid,
        own: &Own,
    ) -> impl Iterator<Item = (process::Pid, &'t Stat)> {
        let spared: Vec<Pid> = own.copies.into_iter().flatten().chain(own.jobs.iter().copied()).collect();
        let is_alone = own.copies.into_iter().flatten().all(|other| Some(other) == copy);
        let seen = self.0.iter().filter(|seen| seen.first == first).flat_map(|seen| &seen.below);
        let seen = seen.filter(|(pid, birth)| all.get(*pid).is_some_and(|stat| Birth::of(stat) == *birth));
        let seen: Vec<Pid> = seen.map(|(pid, _)| pid_of(*pid)).collect();
        let us = is_alone.then(|| pid_of(process::own_pid()));
        let roots = us.into_iter().chain(seen.iter().copied());
        let mut found: Vec<Pid> = roots.flat_map(|root| victims(root, &all.parents, &[], &spared)).collect();
        found.extend(seen);
        found.sort_unstable_by_key(|pid| pid.0);
        found.dedup();
        found.into_iter().filter_map(|pid| Some((process_of(pid), all.get(process_of(pid))?)))
    }
}

/// The processes of one moment.
struct Table {
    stats: Vec<(process::Pid, Stat)>,
    parents: Vec<Process>,
}

impl Table {
    fn read() -> Table {
        let pids = proc::pids().into_iter().flatten();
        let stats: Vec<_> = pids.filter_map(|pid| Some((pid, proc::stat(pid).ok()?))).collect();
        let parent = |(pid, stat): &(_, Stat)| Process { pid: pid_of(*pid), parent: pid_of(stat.parent) };
        let parents = stats.iter().map(parent).collect();
        Table { stats, parents }
    }

    fn get(&self, pid: process::Pid) -> Option<&Stat> {
        self.stats.iter().find(|(known, _)| *known == pid).map(|(_, stat)| stat)
    }

    /// All that descends from this process.
    fn below(&self, root: Pid, spared: &[Pid]) -> impl Iterator<Item = (process::Pid, &Stat)> {
        let found = victims(root, &self.parents, &[], spared).into_iter();
        found.filter_map(|pid| Some((process_of(pid), self.get(process_of(pid))?)))
    }
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
