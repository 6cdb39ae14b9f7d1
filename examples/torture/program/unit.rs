//! What is known of one supervised directory, a service or its logger, and what is expected of it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Instant;

use super::line::{Micros, now};
use super::rules::Rules;
use super::suite::Op;
use super::told::{Overlaps, Told};

/// What shall be the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It runs, and comes back if it dies.
    Up,
    /// It runs, but is stopped; if it dies it comes back and runs.
    Paused,
    /// It runs, and stays down if it dies.
    Once,
    /// It does not run.
    Down,
    /// Whoever was given the last command may have been killed before it was obeyed.
    Unknown,
}

/// What may be wrong with a unit. Each is a violation if it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// There is no supervise.
    Unsupervised,
    /// There is more than one.
    Supervises,
    /// It does not run, but should.
    Down,
    /// It runs, but should not.
    Up,
    /// It is stopped and should not be, or the other way round.
    Paused,
    /// What runs is not what the status says.
    Unknown,
}

/// A fault that was seen.
pub struct Seen {
    /// When it began.
    pub since: Instant,
    /// It is in the list of violations already.
    pub told: bool,
}

/// A command whose effect is waited for.
pub struct Pending {
    /// What was asked for.
    pub op: Op,
    /// The process that ran then.
    pub process: Option<u32>,
    /// The supervise that was given it.
    pub supervise: Option<u32>,
}

/// A process of the unit that was seen for sure.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its pid.
    pub pid: u32,
    /// Since when it is known.
    pub since: Instant,
    /// We have done something that ends it.
    pub doomed: bool,
}

/// A supervise was killed, and what it watched was not.
pub struct Takeover {
    /// What it watched.
    pub process: u32,
    /// When it was killed.
    pub since: Instant,
}

/// A supervise was told to become its new program.
pub struct Upgrade {
    /// Which.
    pub supervise: u32,
    /// What watched it then.
    pub file: (u64, u64),
}

/// So many kills are remembered.
const KEPT: usize = 6;

/// One directory.
pub struct Unit {
    /// `NAME` or `NAME/log`.
    pub name: String,
    /// Where it is.
    pub dir: PathBuf,
    /// Whether it is a logger.
    pub logger: bool,
    /// What shall be the case.
    pub expect: Expect,
    /// The last command, until it is obeyed.
    pub pending: Option<Pending>,
    /// The last time that something was done to it.
    pub disturbed: Instant,
    /// What is wrong.
    pub faults: BTreeMap<Fault, Seen>,
    /// Its supervise.
    pub supervise: Option<Known>,
    /// The service or logger itself.
    pub process: Option<Known>,
    /// A supervise that was seen once; it may be gone at the next look.
    pub candidate: Option<u32>,
    /// Who was killed lately: a dying process can still be seen for a moment.
    killed: VecDeque<u32>,
    /// Waiting to be taken over.
    pub takeover: Option<Takeover>,
    /// A supervise was told to leave. If it is killed before it has left, the next one leaves in its place.
    pub may_leave: bool,
    /// Waiting to be upgraded.
    pub upgrade: Option<Upgrade>,
    /// When it may have two copies.
    pub overlaps: Overlaps,
    /// What follows its end.
    pub rules: Rules,
    /// It was seen to be over: nobody has told it to be down, and yet it is not started again.
    pub over: bool,
    /// This process was killed, and that is to be the last end, unless its supervise is killed before it has seen it.
    pub final_due: Option<u32>,
    /// This process is to be ended since its `health` fails, from this time on.
    pub sick: Option<(u32, Instant)>,
    /// This process was said to be ready.
    pub ready: Option<u32>,
    /// Its start may wait for another service now.
    pub waits: bool,
    /// When its start may have waited last.
    pub waited: Instant,
    /// When something was done after which no descriptors are kept for it.
    pub unwanted: Vec<Micros>,
    /// When something was done that ends its process.
    pub ends: Vec<Micros>,
    /// When something was done that ends its process and does not count as asked for.
    pub unasked: Vec<Micros>,
    /// When something that is run about it was killed.
    pub hook_kills: Vec<Micros>,
    /// How often its supervise was killed.
    pub supervise_kills: usize,
    /// When its process was killed: from before until after.
    pub kills: Vec<(Micros, Micros)>,
    /// When its pipe may have gone with all who had it.
    pub pipes_lost: Vec<(Micros, Micros)>,
    /// What was done to it, and when.
    pub history: Vec<(Micros, String)>,
}

impl Unit {
    /// One that is to be up.
    pub fn new(name: String, dir: PathBuf, logger: bool, rules: Rules) -> Unit {
        Unit {
            name,
            dir,
            logger,
            expect: Expect::Up,
            pending: None,
            disturbed: Instant::now(),
            faults: BTreeMap::new(),
            supervise: None,
            process: None,
            candidate: None,
            killed: VecDeque::new(),
            takeover: None,
            may_leave: false,
            upgrade: None,
            overlaps: Overlaps::default(),
            rules,
            over: false,
            final_due: None,
            sick: None,
            ready: None,
            waits: false,
            waited: Instant::now(),
            unwanted: Vec::new(),
            ends: Vec::new(),
            unasked: Vec::new(),
            hook_kills: Vec::new(),
            supervise_kills: 0,
            kills: Vec::new(),
            pipes_lost: Vec::new(),
            history: Vec::new(),
        }
    }

    /// What its supervise tells.
    pub fn told(&self) -> Option<Told> {
        let read = |name: &str| std::fs::read(self.dir.join("supervise").join(name));
        Told::read(&read("status").ok()?, &read("record").unwrap_or_default())
    }

    /// Notes what was done to it.
    pub fn note(&mut self, what: String) {
        self.disturbed = Instant::now();
        self.history.push((now(), what));
    }

    /// What is known of a process that was seen for sure.
    pub fn recognize(&self, pid: u32) -> Known {
        Known { pid, since: Instant::now(), doomed: self.was_killed(pid) }
    }

    /// What was done to it in this time.
    pub fn history(&self, from: Micros, to: Micros) -> String {
        let then = self.history.iter().filter(|(when, _)| (from..=to).contains(when));
        then.map(|(_, what)| what.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Whether this process was killed lately.
    pub fn was_killed(&self, pid: u32) -> bool {
        self.killed.contains(&pid)
    }

    fn killed(&mut self, pid: u32) {
        self.killed.push_back(pid);
        if self.killed.len() > KEPT {
            self.killed.pop_front();
        }
        self.in_doubt();
    }

    /// Its supervise was killed. A command that it may not have obeyed is in doubt.
    pub fn supervise_killed(&mut self, pid: u32) {
        self.killed(pid);
        self.supervise_kills += 1;
        self.final_due = None;
        self.upgrade = None;
        if let Some(supervise) = &mut self.supervise {
            supervise.doomed = true;
        }
        self.takeover = self
            .process
            .filter(|process| !process.doomed)
            .map(|process| Takeover { process: process.pid, since: Instant::now() });
    }

    /// Its process was killed.
    pub fn process_killed(&mut self, pid: u32) {
        self.killed(pid);
        self.ends.push(now());
        self.unasked.push(now());
        if self.expect == Expect::Once {
            self.unwanted.push(now());
        }
        self.doom();
        self.expect = match self.expect {
            Expect::Paused => Expect::Up,
            Expect::Once => Expect::Down,
            other => other,
        };
    }

    /// What became of the last command cannot be told.
    pub fn in_doubt(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.expect = Expect::Unknown;
            if pending.op.replaces() {
                self.overlaps.doubt();
            }
        }
    }

    /// What we did ends the process.
    pub fn doom(&mut self) {
        self.takeover = None;
        if let Some(process) = &mut self.process {
            process.doomed = true;
        }
    }
}
