//! A simulated world: a scan directory, processes and pipes, and what happens to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use cli::text;
use machine::scan::{Id, Role};
use machine::{Pid, SECOND, Tick};
use svdir::names;
use sys::process::{Change, Signal};

use super::script::{Fault, Happening, Log, Step, Target, id, name};
use crate::svscan::system::{Look, Spawned};

/// How long the world goes on after the end of the script, in nanoseconds.
const REST: u64 = 60 * SECOND;
/// How long a new process takes to show itself, in nanoseconds. A process that was told to end takes as long.
pub const BIRTH: u64 = SECOND / 100;

/// The end of one svscan, which unwinds through the loop like a panic.
pub enum End {
    /// svscan was killed.
    Killed,
    /// svscan has executed its new file, with this state.
    Upgraded(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    Supervise(Id, Role),
    Copier(Id),
    Proof(OsString),
    Successor,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub job: Job,
    /// Whether it is a child of the svscan that runs.
    pub child: bool,
    /// Whether it does its job, has the lock, and shows itself. Before that it is a new process.
    pub holds: bool,
    /// When `holds` becomes true.
    pub begins: Tick,
    /// When it ends by itself, if it does.
    pub leaves: Option<Tick>,
    /// The id of the log pipe that is its stdout or stdin.
    pub pipe: Option<u64>,
    /// Whether it was started by a name that led, unknown to svscan, to another directory.
    pub astray: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    Reader(u64),
    Writer(u64),
    Fifo(Pid),
}

#[derive(Default)]
pub struct World {
    pub now: Tick,
    pub script: VecDeque<Step>,
    /// The end of the world, once the script is over.
    pub end: Option<Tick>,
    pub init: bool,
    pub names: BTreeMap<OsString, Target>,
    /// The names that have changed since svscan last looked at them.
    pub unseen: BTreeSet<OsString>,
    pub elsewhere: BTreeSet<OsString>,
    /// The names of which svscan knows that they lead elsewhere.
    pub known_elsewhere: BTreeSet<OsString>,
    /// The children that look at a name for this svscan, until it hears of their end.
    pub looks: BTreeMap<Pid, OsString>,
    pub proved: BTreeMap<OsString, Tick>,
    /// When svscan learned that a child could not look at a name.
    pub failed: BTreeMap<OsString, Tick>,
    pub complete: BTreeSet<u64>,
    pub logs: BTreeMap<u64, Log>,
    /// The names that each directory says its service needs.
    pub needs: BTreeMap<u64, BTreeSet<OsString>>,
    pub processes: BTreeMap<Pid, Process>,
    /// The services that run, each with its pipe. A service goes on if its supervise is killed.
    pub services: BTreeMap<(Id, Role), Option<u64>>,
    /// The pipe of the last supervise of each place.
    pub recorded: BTreeMap<(Id, Role), Option<u64>>,
    /// The places whose last supervise has exited by itself.
    pub left: BTreeSet<(Id, Role)>,
    /// The places whose last supervise was killed.
    pub killed: BTreeSet<(Id, Role)>,
    /// The essential services that are down for good, with which no svscan has ended yet.
    pub ended: BTreeSet<Id>,
    pub letters: BTreeSet<(Id, Role)>,
    pub zombies: VecDeque<(Pid, Change)>,
    pub open: BTreeMap<i32, Open>,
    /// The descriptors that are left open for the next program.
    pub kept: BTreeSet<i32>,
    pub exec: bool,
    pub last: u64,
    pub faults: BTreeSet<Fault>,
    pub watching: bool,
    pub filling: BTreeSet<Id>,
    pub changes: Vec<Look>,
    pub came: bool,
    pub held: bool,
    pub arrived: BTreeSet<Signal>,
    pub pending: BTreeSet<Signal>,
    pub calls: u32,
    pub stopping: Option<Tick>,
    /// Names lead elsewhere in the stop than svscan knows.
    pub unsure: bool,
    /// What the services need, as this svscan has read it for its stop.
    pub asked: BTreeMap<Id, BTreeSet<Id>>,
    /// The services that were told to end in a stop, each with the time.
    pub told: Vec<(Id, Tick)>,
    /// TERM or INT has come.
    pub told_to_stop: bool,
    pub starts: u32,
    /// The names that were looked at in this turn.
    pub looked_at: BTreeSet<OsString>,
    /// The supervises that were found in this turn.
    pub shown: BTreeSet<Pid>,
    /// Whether any process or logger was ever astray.
    pub strayed: bool,
}

impl World {
    pub fn new(complete: BTreeSet<u64>, init: bool, script: Vec<Step>) -> World {
        // The first pid must not be 1, the pid of an init.
        World { now: Tick(SECOND), script: script.into(), complete, init, last: 2, ..World::default() }
    }

    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn fails(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub fn id_of(&self, name: &OsStr) -> Option<Id> {
        match self.names.get(name)? {
            Target::Directory(inode) => Some(id(*inode)),
            Target::File | Target::Dangling => None,
        }
    }

    pub fn is_listed(&self, id: Id) -> bool {
        self.names.keys().any(|name| self.id_of(name) == Some(id))
    }

    /// Returns the supervise of this place that has the lock.
    pub fn holder(&self, id: Id, role: Role) -> Option<Pid> {
        let holds = |process: &Process| process.holds && process.job == Job::Supervise(id, role);
        self.processes.iter().find(|(_, process)| holds(process)).map(|(&pid, _)| pid)
    }

    pub fn told(&mut self, look: Look) {
        if self.watching {
            self.changes.push(look);
        }
    }

    pub fn signal(&mut self, signal: Signal) {
        self.told_to_stop |= [Signal::SIGTERM, Signal::SIGINT].contains(&signal);
        if self.held {
            self.pending.insert(signal);
        } else {
            self.arrived.insert(signal);
            self.came = true;
        }
    }

    pub fn dies(&mut self, pid: Pid, code: Option<u8>) {
        let Some(process) = self.processes.remove(&pid) else { return };
        if let (Job::Supervise(id, role), None) = (&process.job, code) {
            self.killed.insert((*id, *role));
        }
        if let Job::Supervise(id, role) = process.job
            && process.holds
        {
            self.letters.remove(&(id, role));
            // A supervise that is killed leaves its service behind.
            if code.is_some() {
                self.services.remove(&(id, role));
                self.left.insert((id, role));
            }
        }
        if process.child {
            self.zombies.push_back((pid, code.map_or(Change::Killed(9), Change::Exited)));
            self.signal(Signal::SIGCHLD);
        }
    }

    /// An essential service is down for good, and its supervise, which an init has started, exits.
    fn ends_for_good(&mut self, id: Id) {
        if let Some(supervise) = self.holder(id, Role::Main).filter(|_| self.init) {
            self.ended.insert(id);
            self.dies(supervise, Some(0));
        }
    }

    pub fn make(&mut self, job: Job, child: bool, pipe: Option<u64>, astray: bool) -> Pid {
        let pid = Pid(self.next() as u32);
        let begins = self.now.after(BIRTH);
        self.processes.insert(pid, Process { job, child, holds: false, begins, leaves: None, pipe, astray });
        pid
    }

    /// Makes a child that looks at a name. If it cannot be executed, it ends without a look.
    pub fn look(&mut self, name: &OsStr) -> Spawned {
        if self.fails(Fault::Exec) {
            let pid = self.make(Job::Successor, true, None, false);
            self.dies(pid, Some(111));
            self.failed.insert(name.into(), self.now);
            let unable = (text!("unable to start svok ", name), io::Error::from_raw_os_error(sys::EIO));
            return Spawned { pid, unable: Some(unable), oom: None };
        }
        let pid = self.make(Job::Proof(name.into()), true, None, false);
        self.looks.insert(pid, name.into());
        Spawned { pid, unable: None, oom: None }
    }

    /// Returns the next time at which a process does something by itself.
    pub fn event(&self) -> Option<Tick> {
        let of = |process: &Process| if process.holds { process.leaves } else { Some(process.begins) };
        self.processes.values().filter_map(of).min()
    }

    pub fn run_processes(&mut self) {
        while let Some((&pid, process)) = self.processes.iter().find(|(_, process)| {
            if process.holds { process.leaves } else { Some(process.begins) }.is_some_and(|at| at <= self.now)
        }) {
            let process = process.clone();
            if process.holds {
                self.leave(pid, &process.job);
            } else {
                self.begin(pid, &process);
            }
        }
    }

    pub fn begin(&mut self, pid: Pid, process: &Process) {
        if let Job::Supervise(id, role) = process.job {
            if self.holder(id, role).is_some() {
                return self.dies(pid, Some(111));
            }
            self.left.remove(&(id, role));
            self.killed.remove(&(id, role));
            self.services.entry((id, role)).or_insert(process.pipe);
            self.recorded.insert((id, role), process.pipe);
        }
        let (now, stubborn, slow) = (self.now, self.fails(Fault::Stubborn), self.fails(Fault::Proof));
        let told = matches!(process.job, Job::Supervise(id, role) if self.letters.contains(&(id, role)));
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.holds = true;
        process.leaves = match process.job {
            Job::Proof(_) if slow => None,
            Job::Proof(_) | Job::Successor => Some(now),
            // It finds in the record that svscan is to end, and leaves.
            Job::Supervise(id, Role::Main) if self.init && self.ended.contains(&id) => Some(now),
            Job::Supervise(..) => (told && !stubborn).then(|| now.after(BIRTH)),
            Job::Copier(_) => None,
        };
    }

    pub fn leave(&mut self, pid: Pid, job: &Job) {
        match job {
            Job::Proof(_) => self.dies(pid, Some(100)),
            Job::Successor => self.dies(pid, Some(if self.fails(Fault::Answer) { 1 } else { 99 })),
            Job::Supervise(..) | Job::Copier(_) => self.dies(pid, Some(0)),
        }
    }

    /// Ends each copier, and each logger that was told to end, when nobody can write to its pipe any more.
    pub fn end_readers(&mut self) {
        let written: BTreeSet<u64> = self
            .open
            .values()
            .filter_map(|open| if let Open::Writer(pipe) = open { Some(*pipe) } else { None })
            .chain(self.services.iter().filter(|((_, role), _)| *role == Role::Main).filter_map(|(_, pipe)| *pipe))
            .chain(self.mains().filter_map(|process| process.pipe))
            .collect();
        let now = self.now;
        let letters = self.letters.clone();
        for process in self.processes.values_mut().filter(|process| process.holds && process.leaves.is_none()) {
            let told = match process.job {
                Job::Supervise(id, Role::Log) => letters.contains(&(id, Role::Log)),
                Job::Copier(_) => true,
                _ => false,
            };
            if told && process.pipe.is_none_or(|pipe| !written.contains(&pipe)) {
                process.leaves = Some(now.after(BIRTH));
            }
        }
    }

    pub fn mains(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| matches!(process.job, Job::Supervise(_, Role::Main)))
    }

    pub fn happen(&mut self, what: Happening) -> Option<End> {
        use Happening::{Link, Retarget, Unlink};
        self.unsure |= self.stopping.is_some() && matches!(what, Link(..) | Unlink(_) | Retarget(..));
        match what {
            Happening::Link(letter, target) => {
                self.names.insert(name(letter), target);
                self.unseen.insert(name(letter));
                self.told(Look::Name(name(letter)));
            }
            Happening::Unlink(letter) => {
                self.names.remove(&name(letter));
                self.unseen.insert(name(letter));
                self.told(Look::Name(name(letter)));
            }
            Happening::Retarget(letter, target) => {
                if let Some(known) = self.names.get_mut(&name(letter)) {
                    *known = target;
                    self.unseen.insert(name(letter));
                }
            }
            Happening::Elsewhere(letter, elsewhere) => {
                if elsewhere {
                    self.elsewhere.insert(name(letter));
                } else {
                    self.elsewhere.remove(&name(letter));
                }
            }
            Happening::Fill(inode) => {
                self.complete.insert(inode);
                if self.filling.contains(&id(inode)) {
                    self.told(Look::Filling(id(inode)));
                }
            }
            Happening::Log(inode, log) => {
                // A logger that runs goes on in a directory that has no name any more.
                let is_logger = |process: &Process| process.job == Job::Supervise(id(inode), Role::Log);
                self.strayed |= log == Log::Missing && self.processes.values().any(is_logger);
                self.logs.insert(inode, log);
            }
            Happening::Needs(inode, letter) => {
                self.needs.entry(inode).or_default().insert(name(letter));
            }
            Happening::Dies(index, code) => {
                let index = index % self.processes.len().max(1);
                if let Some(&pid) = self.processes.keys().nth(index) {
                    self.dies(pid, code);
                }
            }
            Happening::EndsForGood(inode) => self.ends_for_good(id(inode)),
            Happening::ByHand(inode, role) => drop(self.make(Job::Supervise(id(inode), role), false, None, true)),
            Happening::Kill => return Some(End::Killed),
            Happening::Signal(signal) => {
                if self.init || ![Signal::SIGTERM, Signal::SIGINT].contains(&signal) {
                    self.signal(signal);
                }
            }
            Happening::Fault(fault, fails) => {
                if fails {
                    self.faults.insert(fault);
                } else {
                    self.faults.remove(&fault);
                }
            }
            Happening::Overflow => {
                if self.watching {
                    self.changes = vec![Look::Everything];
                }
            }
        }
        None
    }

    /// Ends all faults, tells svscan to look at everything, and sets the end of the world.
    pub fn rest(&mut self) {
        self.faults.clear();
        self.elsewhere.clear();
        self.logs.values_mut().filter(|log| **log == Log::Unclear).for_each(|log| *log = Log::There);
        let proofs: Vec<Pid> = self
            .processes
            .iter()
            .filter(|(_, process)| matches!(process.job, Job::Proof(_)))
            .map(|(&pid, _)| pid)
            .collect();
        proofs.into_iter().for_each(|pid| self.dies(pid, Some(100)));
        self.signal(Signal::SIGHUP);
        self.end = Some(self.now.after(REST));
    }

    /// Deals with all that belonged to a svscan that was killed or has executed its new file.
    pub fn leave_behind(&mut self, end: &End) {
        (self.calls, self.held, self.watching) = (0, false, false);
        self.filling.clear();
        self.changes.clear();
        self.arrived.clear();
        self.known_elsewhere.clear();
        self.proved.clear();
        self.failed.clear();
        self.looks.clear();
        match end {
            End::Killed => {
                self.unseen = self.names.keys().cloned().collect();
                self.stopping = None;
                self.asked.clear();
                (self.came, self.pending) = (false, BTreeSet::new());
                self.zombies.clear();
                let of_svscan = |job: &Job| matches!(job, Job::Proof(_) | Job::Successor | Job::Copier(_));
                self.processes.retain(|_, process| !(of_svscan(&process.job) && process.child));
                self.processes.values_mut().for_each(|process| process.child = false);
                // The next svscan is started a second later.
                self.pass(SECOND);
                assert_eq!(self.open.len(), 0, "descriptors of nobody");
            }
            End::Upgraded(_) => {
                self.exec = false;
                let pending = std::mem::take(&mut self.pending);
                pending.into_iter().for_each(|signal| self.signal(signal));
                let kept = std::mem::take(&mut self.kept);
                assert!(self.open.keys().eq(kept.iter()), "closed over the exec: {:?}, {kept:?}", self.open);
                self.kept = kept;
            }
        }
    }

    /// Lets this many nanoseconds pass.
    pub fn pass(&mut self, time: u64) {
        let until = self.now.after(time);
        loop {
            self.end_readers();
            let Some(event) = self.event().filter(|&event| event <= until) else { break };
            self.now = self.now.max(event);
            self.run_processes();
        }
        self.now = until;
    }

    /// Returns the place to which a path leads: a directory and a role. The path begins with a name in the scan directory, or with `/proc`.
    pub fn place(&self, path: &Path) -> Option<(Id, Role)> {
        if let Ok(rest) = path.strip_prefix("/proc") {
            let pid = rest.iter().next()?.to_str()?.parse().ok()?;
            let Job::Supervise(id, role) = self.processes.get(&Pid(pid))?.job else { return None };
            return Some((id, role));
        }
        let mut words = path.iter().filter(|word| *word != ".");
        let id = self.id_of(words.next()?)?;
        Some((id, if words.next().is_some_and(|word| word == names::LOG) { Role::Log } else { Role::Main }))
    }

    /// Returns the pipe that still connects the service with this name and its logger, if there is one.
    pub fn pipe_of(&self, name: &OsStr) -> Option<u64> {
        let id = self.id_of(name)?;
        let supervise = |role| self.processes[&self.holder(id, role)?].pipe;
        // A supervise that was killed has left a record. It counts if the service that it has left behind still has the same pipe.
        let service = |role| {
            let pipe = self.services.get(&(id, role))?;
            (self.recorded.get(&(id, role)) == Some(pipe)).then_some(*pipe)?
        };
        let [main, log] = [Role::Main, Role::Log];
        supervise(main).or_else(|| supervise(log)).or_else(|| service(main)).or_else(|| service(log))
    }

    /// Returns whether a child of svscan is astray.
    pub fn is_astray(&self) -> bool {
        self.processes.values().any(|process| process.astray && process.child)
    }
}
