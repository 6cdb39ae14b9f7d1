//! The processes of a world. A process is remembered after its end, so no other process gets its pid.

use std::collections::VecDeque;

use machine::supervise::{Job, Left, Slot};
use machine::{Pid, Signal, Tick};
use svdir::record::{CONTROLS, Record};
use sys::process::Change;

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Lives,
    /// A zombie: its parent has not reaped it.
    Ended(Change),
    Gone(Option<Change>),
}

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Run,
    /// What a process of the service has made, in its process group.
    Helper,
    /// `start`, `control/u`, `finish` or `stop`.
    Hook,
    /// A script of `control/`.
    Control,
    /// `check` or `health`.
    Check,
    NewFile,
    Listener,
    Stranger,
}

/// A process.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    /// The pid of its parent; 0 for a child of supervise.
    pub parent: u32,
    pub what: What,
    /// The leader of its process group, if that is one of the service.
    pub group: Option<u32>,
    pub life: Life,
    /// It is a child of the present supervise.
    pub is_child: bool,
    /// It serves, or is going to: no second process may do so unless that is meant.
    pub serves: bool,
    /// The service has named it as its main process, and supervise has read that.
    pub is_named: bool,
    pub born: Tick,
    pub obeys: bool,
    pub told_to_end: bool,
    pub has_pipe: bool,
    /// It has written to its pipe, and supervise has not read that yet.
    pub has_written: bool,
    /// Its stops and continues that supervise has not seen yet.
    pub changes: VecDeque<Change>,
}

/// All processes that there ever were.
#[derive(Default)]
pub struct Processes(Vec<Process>);

impl Processes {
    pub fn make(&mut self, what: What, life: Life, born: Tick) -> &mut Process {
        let pid = 100 + u32::try_from(self.0.len()).expect("a few");
        self.0.push(Process {
            pid,
            parent: 0,
            what,
            group: None,
            life,
            is_child: true,
            serves: false,
            is_named: false,
            born,
            obeys: true,
            told_to_end: false,
            has_pipe: false,
            has_written: false,
            changes: VecDeque::new(),
        });
        self.0.last_mut().expect("it was pushed")
    }

    pub fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        self.0.iter_mut()
    }

    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.0.iter().find(|process| process.pid == pid)
    }

    pub fn get_mut(&mut self, pid: u32) -> Option<&mut Process> {
        self.0.iter_mut().find(|process| process.pid == pid)
    }

    /// Returns the first process of this kind that lives.
    pub fn first(&self, what: What) -> Option<u32> {
        self.0.iter().find(|process| process.what == what && process.life == Life::Lives).map(|process| process.pid)
    }

    /// Returns the process at this place among those of the service that live.
    pub fn copy(&self, place: usize) -> Option<u32> {
        let copies = self.0.iter().filter(|process| process.what == What::Run && process.life == Life::Lives);
        copies.map(|process| process.pid).nth(place)
    }

    pub fn lives(&self, pid: u32) -> bool {
        self.get(pid).is_some_and(|process| process.life == Life::Lives)
    }

    /// Returns the process of the script that a killed supervise has left behind, if that lives.
    pub fn hook_of(&self, left: &Record) -> Option<u32> {
        let hook = self.get(left.decided.hook?.pid.get())?;
        (hook.life == Life::Lives && hook.born.0 == left.observed.hook.latest).then_some(hook.pid)
    }

    /// Returns the processes of the scripts of `control/` that a killed supervise has left behind, those that live.
    pub fn controls_of(&self, left: &Record) -> [Option<u32>; CONTROLS] {
        std::array::from_fn(|place| {
            let process = self.get(left.decided.controls[place]?.pid.get())?;
            let is_it = process.born.0 == left.observed.controls[place].latest;
            (process.life == Life::Lives && is_it).then_some(process.pid)
        })
    }

    /// Returns the processes that serve.
    pub fn serving(&self) -> impl Iterator<Item = &Process> {
        self.0.iter().filter(|process| process.serves && process.life == Life::Lives)
    }

    /// Returns whether the process is a child that was not reaped.
    pub fn is_unreaped(&self, Pid(pid): Pid) -> bool {
        self.get(pid).is_some_and(|process| process.is_child && !matches!(process.life, Life::Gone(_)))
    }

    pub fn descends(&self, pid: u32, from: u32) -> bool {
        let parent = |pid: u32| self.get(pid).map(|process| process.parent).filter(|&parent| parent > 0);
        std::iter::successors(Some(pid), |&pid| parent(pid)).any(|pid| pid == from)
    }

    /// Ends a process if it lives. Returns whether supervise, as its parent, gets a signal for that.
    pub fn end(&mut self, pid: u32, change: Change) -> bool {
        let Some(process) = self.get_mut(pid).filter(|process| process.life == Life::Lives) else {
            return false;
        };
        process.life = if process.is_child { Life::Ended(change) } else { Life::Gone(Some(change)) };
        process.changes.clear();
        let is_child = process.is_child;
        for orphan in self.0.iter_mut().filter(|orphan| orphan.what == What::Helper && orphan.parent == pid) {
            (orphan.parent, orphan.is_child) = (0, is_child);
        }
        is_child
    }

    /// Makes the process lead a group, with another process in it if it `helps`.
    pub fn lead(&mut self, pid: u32, helps: bool, obeys: bool, now: Tick) {
        self.join(pid, pid);
        if helps {
            let helper = self.make(What::Helper, Life::Lives, now);
            (helper.parent, helper.is_child, helper.obeys, helper.group) = (pid, false, obeys, Some(pid));
        }
    }

    /// Puts a process into the group of another one, or of itself if it is the same.
    pub fn join(&mut self, pid: u32, other: u32) {
        let group = if pid == other { Some(pid) } else { self.get(other).and_then(|other| other.group) };
        if let Some(process) = self.get_mut(pid) {
            process.group = group;
        }
    }

    /// Sends a signal to all in the group but this process. Returns whether supervise, as the parent of one, gets a
    /// signal for that.
    pub fn signal_group(&mut self, leader: u32, but: Option<u32>, signal: Signal) -> bool {
        let ends = ![Signal::STOP, Signal::CONT].contains(&signal);
        let members = self.members(leader).filter(|process| ends && Some(process.pid) != but);
        let ended = members.filter(|process| process.obeys || signal == Signal::KILL).map(|process| process.pid);
        let ended: Vec<_> = ended.collect();
        let told: Vec<_> = ended.into_iter().map(|pid| self.end(pid, Change::Killed(signal.0.into()))).collect();
        told.contains(&true)
    }

    /// Looks for what is left of a group.
    pub fn look(&self, Pid(leader): Pid) -> Option<Left> {
        assert!(self.members(leader).all(|process| !process.serves), "the group of a copy that lives");
        let told = self.members(leader).any(|process| process.is_child);
        self.members(leader).next().map(|first| Left { pid: Some(Pid(first.pid)), told })
    }

    /// Returns the processes of this group that live.
    pub fn members(&self, leader: u32) -> impl Iterator<Item = &Process> {
        self.0.iter().filter(move |process| process.group == Some(leader) && process.life == Life::Lives)
    }

    /// Returns a process that a copy has left in its process group. `known` are the copies whose end was not heard.
    pub fn left_behind(&self, known: [Option<u32>; 2]) -> Option<u32> {
        let known = known.into_iter().flatten().filter_map(|pid| self.get(pid));
        let served: Vec<_> = self.serving().chain(known).map(|process| process.group).collect();
        let is_served = |group| served.contains(&Some(group));
        let mut all = self.0.iter().filter(|process| process.life == Life::Lives && !process.serves);
        all.find(|process| process.group.is_some_and(|group| !is_served(group))).map(|process| process.pid)
    }

    /// Returns the next change of a child. Each change is returned once.
    pub fn reap(&mut self) -> Option<(u32, Change)> {
        for process in self.0.iter_mut().filter(|process| process.is_child) {
            if let Some(change) = process.changes.pop_front() {
                return Some((process.pid, change));
            }
            if let Life::Ended(change) = process.life {
                process.life = Life::Gone(Some(change));
                return Some((process.pid, change));
            }
        }
        None
    }

    /// Makes all processes orphans, since supervise is dead. `recorded` are the pids that its successor knows.
    pub fn are_orphaned(&mut self, recorded: &[u32]) {
        for process in &mut self.0 {
            process.is_child = false;
            process.changes.clear();
            process.life = match process.life {
                Life::Ended(change) => Life::Gone(Some(change)),
                // Checks and helpers end by themselves.
                Life::Lives if !matches!(process.what, What::Run | What::Helper | What::Hook | What::Control) => {
                    Life::Gone(None)
                }
                life => life,
            };
            // A message that was read but not recorded is lost with its supervise.
            process.serves = recorded.contains(&process.pid) || (process.serves && !process.is_named);
        }
    }
}

/// The index of what is known of a copy, or of a script for which the service waits.
pub fn place(slot: Slot) -> usize {
    match slot {
        Slot::Main | Slot::Job(Job::Check(_) | Job::Health(_)) => 0,
        Slot::Second => 1,
        Slot::Job(Job::Hook(_)) => 2,
        Slot::Job(Job::Control(_, place)) => 3 + place,
    }
}
