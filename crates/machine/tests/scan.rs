//! The machine of svscan in random worlds, against a model of the scan directory and the kernel.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::rc::Rc;

use machine::scan::{Action, HandedOverService, Id, Need, PACE, PATIENCE, QUIET, Reader, Role, Scan};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;

/// A pipe that counts how many are open.
struct Pipe(Rc<Cell<i32>>);

impl Pipe {
    fn new(open: &Rc<Cell<i32>>) -> Pipe {
        open.set(open.get() + 1);
        Pipe(Rc::clone(open))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Directory {
    complete: bool,
    has_log: bool,
}

#[derive(Clone, Debug)]
enum Happening {
    /// A name is (now) that of a directory.
    Link(u8, u64),
    Unlink(u8),
    /// A directory gets its `run`.
    Fill(u64),
    /// A directory gets or loses its `log`.
    Log(u64, bool),
    /// The n-th of the running supervises ends, with that code or by a signal.
    Dies(usize, Option<u8>),
    /// All names are looked at.
    Pass,
    Time(u64),
    ForksWork(bool),
    /// svscan is killed, and another one begins: all supervises are somebody else's.
    Takeover,
    /// svscan becomes its new file, and goes on from what was kept.
    Upgrade,
    /// A pid that is none of ours ends.
    Stranger(u32),
}

struct World {
    scan: Scan<Pipe>,
    now: Tick,
    names: BTreeMap<OsString, Id>,
    directories: BTreeMap<Id, Directory>,
    running: BTreeMap<Pid, (Id, Role)>,
    last_start: BTreeMap<(Id, Role), Tick>,
    /// How often in a row it could not begin.
    failures: BTreeMap<(Id, Role), u32>,
    not_before: BTreeMap<(Id, Role), Tick>,
    next_pid: u32,
    forks_work: bool,
    /// Those of the running ones that are no children of this svscan, and whether it knows of them.
    others: BTreeMap<Pid, bool>,
    pipes: Rc<Cell<i32>>,
    released: Vec<Id>,
    /// Whether services without a logger get a copier.
    prefix: bool,
    /// Those of the running ones that are copiers.
    copiers: BTreeSet<Pid>,
}

fn id(inode: u64) -> Id {
    Id { device: 1, inode }
}

fn name(letter: u8) -> OsString {
    char::from(b'a' + letter).to_string().into()
}

impl World {
    fn new(complete: &[bool], prefix: bool) -> World {
        let directory = |&complete: &bool| Directory { complete, has_log: false };
        World {
            scan: Scan::default(),
            now: Tick(SECOND),
            names: BTreeMap::new(),
            directories: complete.iter().map(directory).enumerate().map(|(at, d)| (id(at as u64), d)).collect(),
            running: BTreeMap::new(),
            last_start: BTreeMap::new(),
            failures: BTreeMap::new(),
            not_before: BTreeMap::new(),
            next_pid: 1,
            forks_work: true,
            others: BTreeMap::new(),
            pipes: Rc::default(),
            released: Vec::new(),
            prefix,
            copiers: BTreeSet::new(),
        }
    }

    fn is_listed(&self, id: Id) -> bool {
        self.names.values().any(|&known| known == id)
    }

    fn runs(&self, id: Id, role: Role) -> bool {
        self.running.values().any(|&known| known == (id, role))
    }

    /// Where a supervise runs already there is nothing to wait for.
    fn is_complete(&self, id: Id) -> bool {
        self.directories[&id].complete || self.runs(id, Role::Main)
    }

    fn look(&mut self, name: &OsString) {
        match self.names.get(name) {
            Some(&id) => self.scan.seen(self.now, name, id, self.is_complete(id)),
            None => self.scan.unlisted(self.now, name),
        }
    }

    /// Does what the machine says, until it has nothing more to say.
    fn act(&mut self) {
        for _ in 0..1000 {
            match self.scan.next(self.now) {
                None => return,
                Some(Action::Rescan) => self.pass(),
                Some(Action::Start(id, role)) => self.start(id, role),
                Some(Action::Look(id, role)) => {
                    let other = self.running.iter().find(|(_, known)| **known == (id, role)).map(|(&pid, _)| pid);
                    if let Some(pid) = other {
                        assert_eq!(self.others.insert(pid, true), Some(false), "looked for one of ours");
                        self.scan.found(self.now, id, role, Some(pid));
                    }
                }
                Some(Action::Release(id, pid)) => self.release(id, pid),
            }
        }
        panic!("it never has enough");
    }

    fn start(&mut self, id: Id, role: Role) {
        assert!(self.is_listed(id), "started {id:?}, which is not listed");
        let name = self.scan.name(id).expect("it has a name");
        assert_eq!(self.names.get(&*name), Some(&id), "started under a name of something else");
        if role == Role::Main {
            self.see_to_pipe(id);
        } else {
            assert!(self.scan.pipe(id).is_some(), "a logger without a pipe");
        }
        if let Some((&pid, _)) = self.running.iter().find(|(_, known)| **known == (id, role)) {
            let known = self.others.insert(pid, true);
            assert_eq!(known, Some(false), "a second {role:?} supervise of {id:?}");
            return self.scan.found(self.now, id, role, (pid.0 % 2 == 0).then_some(pid));
        }
        self.check_pace(id, role);
        if !self.forks_work {
            return self.scan.start_failed(self.now, id, role);
        }
        let pid = Pid(self.next_pid);
        self.next_pid += 1;
        self.running.insert(pid, (id, role));
        self.last_start.insert((id, role), self.now);
        if role == Role::Log && self.wanted(id) == Some(Reader::Copier) {
            self.copiers.insert(pid);
            self.scan.copier_started(self.now, id, pid);
        } else {
            self.scan.started(self.now, id, role, pid);
        }
    }

    /// What shall read the output of a service.
    fn wanted(&self, id: Id) -> Option<Reader> {
        match (self.directories[&id].has_log, self.prefix) {
            (true, _) => Some(Reader::Logger),
            (false, true) => Some(Reader::Copier),
            (false, false) => None,
        }
    }

    fn see_to_pipe(&mut self, id: Id) {
        let wanted = self.wanted(id);
        match self.scan.need(id, wanted) {
            Need::Nothing => assert!(self.scan.pipe(id).is_none() || self.scan.runs(id, Role::Log)),
            Need::Reopen => assert!(self.scan.pipe(id).is_some()),
            Need::Make => self.scan.set_pipe(id, Some(Pipe::new(&self.pipes))),
            Need::Close => self.scan.set_pipe(id, None),
            Need::Replace => {
                let copier = self.running.iter().find(|(_, known)| **known == (id, Role::Log)).map(|(&pid, _)| pid);
                let copier = copier.filter(|pid| self.copiers.remove(pid)).expect("only a copier leaves its place");
                self.running.remove(&copier);
                self.scan.change_pipe(id, Pipe::new(&self.pipes));
            }
        }
        if wanted == Some(Reader::Logger) {
            assert!(!self.scan.runs(id, Role::Log) || self.scan.reader(id) == Reader::Logger, "a logger has its place");
        }
    }

    fn check_pace(&self, id: Id, role: Role) {
        if let Some(&last) = self.last_start.get(&(id, role)) {
            assert!(last.until(self.now) >= PACE, "started again after {} ns", last.until(self.now));
        }
        assert!(self.not_before.get(&(id, role)).is_none_or(|&tick| tick <= self.now), "hammered");
    }

    fn release(&mut self, id: Id, pid: Pid) {
        assert_eq!(self.running.get(&pid), Some(&(id, Role::Log)), "released something else");
        assert!(!self.is_listed(id) && !self.runs(id, Role::Main), "released a service that is there");
        if !self.forks_work {
            return self.scan.release_failed(self.now, id);
        }
        self.scan.released(id);
        self.released.push(id);
    }

    fn pass(&mut self) {
        self.scan.begin_pass();
        for (name, id) in self.names.clone() {
            self.scan.seen(self.now, &name, id, self.is_complete(id));
        }
        self.scan.end_pass(self.now);
    }

    fn time(&mut self, nanoseconds: u64) {
        let end = self.now.after(nanoseconds);
        while let Some(deadline) = self.scan.deadline().filter(|&deadline| deadline <= end) {
            self.now = deadline.max(self.now);
            self.act();
        }
        self.now = end;
    }

    fn dies(&mut self, index: usize, code: Option<u8>) {
        let Some((&pid, &(id, role))) = self.running.iter().nth(index % self.running.len().max(1)) else {
            return;
        };
        self.running.remove(&pid);
        self.copiers.remove(&pid);
        if let Some(known) = self.others.remove(&pid) {
            // Whatever it exited, nobody can tell.
            self.forget_pace(id, role);
            if known {
                self.scan.lost(self.now, id, role);
            }
            return;
        }
        let failed = code == Some(111) && self.last_start[&(id, role)].until(self.now) < PACE;
        let failures = self.failures.entry((id, role)).or_default();
        *failures = if failed { *failures + 1 } else { 0 };
        if *failures > 1 {
            self.not_before.insert((id, role), self.now.after(PATIENCE));
        }
        assert_eq!(self.scan.died(self.now, pid, code), Some((id, role)));
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Link(letter, inode) => {
                let name = name(letter);
                self.names.insert(name.clone(), id(inode));
                self.look(&name);
            }
            Happening::Unlink(letter) => {
                self.names.remove(&name(letter));
                self.look(&name(letter));
            }
            Happening::Fill(inode) => {
                self.directories.entry(id(inode)).or_default().complete = true;
                let names: Vec<_> =
                    self.names.iter().filter(|(_, known)| **known == id(inode)).map(|(n, _)| n.clone()).collect();
                names.iter().for_each(|name| self.look(name));
            }
            Happening::Log(inode, has_log) => self.directories.entry(id(inode)).or_default().has_log = has_log,
            Happening::Dies(index, code) => self.dies(index, code),
            Happening::Pass => self.pass(),
            Happening::Time(nanoseconds) => self.time(nanoseconds),
            Happening::ForksWork(work) => self.forks_work = work,
            Happening::Takeover => self.take_over(),
            Happening::Upgrade => self.upgrade(),
            Happening::Stranger(offset) => {
                assert_eq!(self.scan.died(self.now, Pid(self.next_pid + offset), Some(0)), None);
            }
        }
        self.act();
        self.lose_sight();
        self.forget();
        self.check();
    }

    /// A supervise of another svscan that this one does not know of is nobody's once its service is not listed (any more), or has no
    /// logger (any more).
    fn lose_sight(&mut self) {
        let listed: Vec<Id> = self.names.values().copied().collect();
        let (others, directories) = (&self.others, &self.directories);
        self.running.retain(|pid, (id, role)| {
            let seen = listed.contains(id) && (*role == Role::Main || directories[id].has_log);
            seen || others.get(pid) != Some(&false)
        });
    }

    fn take_over(&mut self) {
        self.scan = Scan::default();
        // A copier reads no FIFO by which it could be found: it ends when nobody writes to it any more.
        self.running.retain(|pid, _| !self.copiers.contains(pid));
        self.copiers.clear();
        self.others = self.running.keys().map(|&pid| (pid, false)).collect();
        // It cannot know when they were started and how the last ones ended.
        self.last_start.clear();
        self.failures.clear();
        self.not_before.clear();
        self.pass();
    }

    fn upgrade(&mut self) {
        let old = std::mem::take(&mut self.scan);
        for kept in old.kept() {
            let pipe = kept.pipe.map(|_| Pipe::new(&self.pipes));
            let HandedOverService { id, names, main, log, reader, released, .. } = kept;
            self.scan.restore(self.now, HandedOverService { id, names, main, log, reader, pipe, released });
        }
        drop(old);
        // How often is not handed over.
        self.failures.clear();
        self.pass();
    }

    fn forget_pace(&mut self, id: Id, role: Role) {
        self.last_start.remove(&(id, role));
        self.failures.remove(&(id, role));
        self.not_before.remove(&(id, role));
    }

    /// A service that is neither listed nor runs is a new one when it comes again.
    fn forget(&mut self) {
        for id in self.directories.keys().copied().collect::<Vec<_>>() {
            if !self.is_listed(id) && !self.runs(id, Role::Main) && !self.runs(id, Role::Log) {
                for role in [Role::Main, Role::Log] {
                    self.forget_pace(id, role);
                }
            }
        }
    }

    fn check(&self) {
        assert!(self.scan.deadline().is_none_or(|deadline| deadline > self.now), "a deadline in the past");
        for id in self.directories.keys().filter(|&&id| self.is_listed(id) && !self.runs(id, Role::Main)) {
            assert!(self.scan.deadline().is_some(), "{id:?} is listed, down, and nothing is due");
        }
        let known = self
            .directories
            .keys()
            .filter(|&&id| self.is_listed(id) || self.runs(id, Role::Main) || self.runs(id, Role::Log));
        assert_eq!(self.scan.len(), known.count(), "slots are those that are listed or run");
        assert!(self.pipes.get() <= self.scan.len() as i32, "a pipe of no slot is open");
    }
}

const DIRECTORIES: u64 = 4;

fn any_happening() -> impl Strategy<Value = Happening> {
    let inode = 0..DIRECTORIES;
    prop_oneof![
        5 => (0..4u8, inode.clone()).prop_map(|(letter, inode)| Happening::Link(letter, inode)),
        3 => (0..4u8).prop_map(Happening::Unlink),
        2 => inode.clone().prop_map(Happening::Fill),
        3 => (inode, any::<bool>()).prop_map(|(inode, has_log)| Happening::Log(inode, has_log)),
        5 => (0..8usize, prop::sample::select(&[None, Some(0), Some(100), Some(111)][..])).prop_map(|(at, code)| Happening::Dies(at, code)),
        1 => Just(Happening::Pass),
        4 => (0..2 * SECOND).prop_map(Happening::Time),
        2 => (0..8 * SECOND).prop_map(Happening::Time),
        1 => any::<bool>().prop_map(Happening::ForksWork),
        1 => Just(Happening::Takeover),
        2 => Just(Happening::Upgrade),
        1 => (0..100u32).prop_map(Happening::Stranger),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_world_makes_it_break_a_promise(
        complete in prop::collection::vec(any::<bool>(), DIRECTORIES as usize),
        prefix in any::<bool>(),
        happenings in prop::collection::vec(any_happening(), 0..80),
    ) {
        let mut world = World::new(&complete, prefix);
        for happening in &happenings {
            world.happen(happening);
        }
        // In the end everything that is listed runs, and nothing is due any more.
        world.happen(&Happening::ForksWork(true));
        world.happen(&Happening::Time(3 * PATIENCE));
        for &id in world.directories.keys() {
            prop_assert!(world.runs(id, Role::Main) || !world.is_listed(id));
            prop_assert!(!prefix || world.runs(id, Role::Log) || !world.is_listed(id));
        }
        prop_assert_eq!(world.scan.deadline(), None);
        // And when all is gone, nothing is kept.
        (0..4).for_each(|letter| world.happen(&Happening::Unlink(letter)));
        while !world.running.is_empty() {
            world.happen(&Happening::Dies(0, Some(0)));
        }
        prop_assert!(world.scan.is_empty());
        prop_assert_eq!(world.scan.deadline(), None);
        prop_assert_eq!(world.pipes.get(), 0);
    }
}

fn listed(complete: bool) -> World {
    let mut world = World::new(&[complete], false);
    world.happen(&Happening::Link(0, 0));
    world
}

#[test]
fn a_new_service_is_started_in_the_same_moment() {
    assert!(listed(true).runs(id(0), Role::Main));
}

#[test]
fn a_directory_that_is_being_filled_is_started_after_some_quiet() {
    let mut world = listed(false);
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Fill(0));
    world.happen(&Happening::Time(QUIET - 1));
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Time(1));
    assert!(world.runs(id(0), Role::Main));
}

#[test]
fn a_directory_without_run_is_started_after_five_seconds_as_the_original_would() {
    let mut world = listed(false);
    world.happen(&Happening::Time(PATIENCE - 1));
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Time(1));
    assert!(world.runs(id(0), Role::Main));
}

#[test]
fn a_dead_supervise_is_back_at_once_or_after_its_second() {
    let mut world = listed(true);
    world.happen(&Happening::Time(2 * SECOND));
    world.happen(&Happening::Dies(0, Some(0)));
    assert!(world.runs(id(0), Role::Main), "it had run for longer than a second");
    world.happen(&Happening::Dies(0, None));
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Time(PACE));
    assert!(world.runs(id(0), Role::Main));
}

#[test]
fn a_quick_exit_111_is_tried_again_after_a_second_then_after_five() {
    let mut world = listed(true);
    world.happen(&Happening::Dies(0, Some(111)));
    world.happen(&Happening::Time(PACE - 1));
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Time(1));
    assert!(world.runs(id(0), Role::Main));
    world.happen(&Happening::Dies(0, Some(111)));
    world.happen(&Happening::Time(PATIENCE - 1));
    assert!(!world.runs(id(0), Role::Main));
    world.happen(&Happening::Time(1));
    assert!(world.runs(id(0), Role::Main));
}

#[test]
fn two_names_are_one_service_and_it_lives_while_one_is_left() {
    let mut world = listed(true);
    world.happen(&Happening::Link(1, 0));
    assert_eq!((world.scan.len(), world.running.len()), (1, 1));
    world.happen(&Happening::Unlink(0));
    world.happen(&Happening::Time(2 * SECOND));
    world.happen(&Happening::Dies(0, Some(0)));
    assert!(world.runs(id(0), Role::Main));
    assert_eq!(world.scan.name(id(0)).as_deref(), Some(name(1).as_os_str()));
}

#[test]
fn a_log_that_comes_later_is_seen_when_the_service_is_started_again() {
    let mut world = listed(true);
    world.happen(&Happening::Log(0, true));
    world.happen(&Happening::Time(2 * SECOND));
    assert!(!world.runs(id(0), Role::Log));
    world.happen(&Happening::Dies(0, Some(0)));
    assert!(world.runs(id(0), Role::Log));
}

#[test]
fn a_release_that_failed_is_asked_for_again() {
    let mut world = World::new(&[true], false);
    world.happen(&Happening::Log(0, true));
    world.happen(&Happening::Link(0, 0));
    world.happen(&Happening::Unlink(0));
    world.forks_work = false;
    world.happen(&Happening::Dies(0, Some(0)));
    world.forks_work = true;
    world.happen(&Happening::Time(PATIENCE - 1));
    assert!(world.released.is_empty());
    world.happen(&Happening::Time(1));
    assert_eq!(world.released, [id(0)]);
}

#[test]
fn the_logger_of_a_service_that_is_gone_is_released_once() {
    let mut world = World::new(&[true], false);
    world.happen(&Happening::Log(0, true));
    world.happen(&Happening::Link(0, 0));
    world.happen(&Happening::Unlink(0));
    assert!(world.released.is_empty(), "the service still runs");
    world.happen(&Happening::Dies(0, Some(0)));
    assert_eq!(world.released, [id(0)]);
    world.happen(&Happening::Pass);
    assert_eq!(world.released, [id(0)], "once");
    // Listed again, it is started at once; the old logger is replaced when it has ended.
    world.happen(&Happening::Time(PACE));
    world.happen(&Happening::Link(0, 0));
    assert!(world.runs(id(0), Role::Main));
    world.happen(&Happening::Dies(0, Some(0)));
    assert!(world.runs(id(0), Role::Log));
    assert_eq!(world.pipes.get(), 1);
}

#[test]
fn a_supervise_that_holds_the_lock_is_found_before_the_five_seconds_are_over() {
    let mut world = listed(true);
    world.happen(&Happening::Dies(0, Some(111)));
    // It was started by a svscan that died, and had not shown itself yet.
    let other = Pid(1000);
    world.running.insert(other, (id(0), Role::Main));
    world.others.insert(other, false);
    world.happen(&Happening::Time(QUIET));
    assert_eq!(world.others.get(&other), Some(&true), "it is known");
    world.happen(&Happening::Dies(0, None));
    assert!(world.runs(id(0), Role::Main), "when it ends, another is started at once");
}

#[test]
fn a_service_with_another_pipe_gets_another_logger_and_the_old_one_is_nobodys() {
    let (service, open) = (id(0), Rc::default());
    let (mut scan, mut now) = (Scan::default(), Tick(SECOND));
    scan.seen(now, &name(0), service, true);
    for (role, pid) in [(Role::Main, 1), (Role::Log, 2)] {
        assert_eq!(scan.next(now), Some(Action::Start(service, role)));
        if role == Role::Main {
            scan.set_pipe(service, Some(Pipe::new(&open)));
        }
        scan.started(now, service, role, Pid(pid));
    }
    now = now.after(PACE);
    assert_eq!(scan.died(now, Pid(1), Some(0)), Some((service, Role::Main)));
    assert_eq!(scan.next(now), Some(Action::Start(service, Role::Main)));
    scan.change_pipe(service, Pipe::new(&open));
    scan.started(now, service, Role::Main, Pid(3));
    assert_eq!(scan.next(now), Some(Action::Start(service, Role::Log)));
    scan.started(now, service, Role::Log, Pid(4));
    assert_eq!(scan.died(now, Pid(2), Some(0)), None);
    assert_eq!((scan.next(now), scan.runs(service, Role::Log), open.get()), (None, true, 1));
}

#[test]
fn a_name_that_cannot_be_looked_at_stays_what_it_is() {
    let (service, now) = (id(0), Tick(SECOND));
    let mut scan: Scan<()> = Scan::default();
    scan.seen(now, &name(0), service, true);
    for (looked_at, listed) in [(true, 1), (false, 0)] {
        scan.begin_pass();
        scan.still_listed(&name(1));
        if looked_at {
            scan.still_listed(&name(0));
        }
        scan.end_pass(now);
        assert_eq!(scan.names(service).len(), listed);
    }
}
