//! The [`System`] of a world: it answers the calls of the loop.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use machine::scan::{Id, Role};
use machine::{Pid, SECOND, Tick};
use svdir::{Command, Record};
use sys::process::{Change, Signal};

use super::descriptors::{Fifo, Pipe};
use super::essential::{note_end, record};
use super::order::{check_turn, needs};
use super::promises::{check_look, check_look_by_child, check_release, check_sleep, check_start};
use super::script::{Fault, Log, Target, id};
use super::world::{BIRTH, End, Job, Open, World};
use crate::service::log_pipe::PipeEnds;
use crate::svscan::dependencies::Needed;
use crate::svscan::leftovers::Spared;
use crate::svscan::system::{Known, Look, Pass, Sight, Spawned, Start, System, Woken};
use crate::svscan::upgrade::ScanState;

/// The number of calls in one turn that counts as an endless loop.
const TURN: u32 = 3000;

/// The world as the loop sees it.
#[derive(Clone)]
pub struct Model(pub Rc<RefCell<World>>);

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Model {
    /// Counts a call of the loop, and lets the steps of the script happen that are due.
    fn call(&self) {
        let mut world = self.0.borrow_mut();
        world.calls += 1;
        assert!(world.calls < TURN, "a turn without an end");
        world.run_processes();
        while let Some(step) = world.script.front_mut() {
            if step.calls > 0 {
                step.calls -= 1;
                return;
            }
            let what = step.what.clone();
            world.script.pop_front();
            if let Some(end) = world.happen(what) {
                drop(world);
                resume_unwind(Box::new(end));
            }
        }
    }

    /// Lets time pass until there is a reason to wake.
    fn sleep(&self, others: &[Known<Fifo>], changes: bool, deadline: Option<Tick>) -> Woken {
        loop {
            let mut world = self.0.borrow_mut();
            world.run_processes();
            let lives = |fifo: &Fifo| match world.open[&fifo.number] {
                Open::Fifo(pid) => world.processes.contains_key(&pid),
                _ => false,
            };
            let ended: Vec<usize> =
                others.iter().enumerate().filter(|(_, other)| !lives(&other.2)).map(|(place, _)| place).collect();
            let changed = changes && world.watching && !world.changes.is_empty();
            if world.came || changed || !ended.is_empty() || deadline.is_some_and(|deadline| deadline <= world.now) {
                return Woken { signalled: world.came, changed, ended };
            }
            check_sleep(&world, deadline);
            world.end_readers();
            let Some(step) = world.script.front() else {
                let Some(end) = world.end else {
                    world.rest();
                    continue;
                };
                let next = [world.event(), deadline, Some(end)].into_iter().flatten().min();
                world.now = next.unwrap_or(end).max(world.now);
                if world.now >= end {
                    return Woken::default();
                }
                continue;
            };
            let (what, happens) = (step.what.clone(), world.now.after(step.after));
            let next = [world.event(), deadline].into_iter().flatten().min();
            if let Some(next) = next.filter(|&next| next < happens) {
                let passed = world.now.until(next);
                world.now = world.now.max(next);
                if let Some(step) = world.script.front_mut() {
                    step.after -= passed;
                }
                continue;
            }
            world.now = happens;
            world.script.pop_front();
            if let Some(end) = world.happen(what) {
                drop(world);
                resume_unwind(Box::new(end));
            }
        }
    }
}

impl System for Model {
    type Pipe = Pipe;
    type Fifo = Fifo;

    fn now(&self) -> Tick {
        self.0.borrow().now
    }

    fn wait(&mut self, others: &[Known<Fifo>], changes: bool, deadline: Option<Tick>) -> io::Result<Woken> {
        self.call();
        if self.0.borrow().fails(Fault::Wait) {
            return Err(error(sys::ENOMEM));
        }
        let woken = self.sleep(others, changes, deadline);
        let mut world = self.0.borrow_mut();
        world.calls = 0;
        world.shown.clear();
        world.looked_at.clear();
        Ok(woken)
    }

    fn rest(&mut self) {
        let mut world = self.0.borrow_mut();
        world.calls = 0;
        world.pass(SECOND);
        // No step is left that would end the fault.
        if world.script.is_empty() {
            world.faults.remove(&Fault::Wait);
        }
    }

    fn reap(&mut self) -> Option<(Pid, Change)> {
        self.call();
        let mut world = self.0.borrow_mut();
        let ended = world.zombies.pop_front();
        if let Some((pid, change)) = ended
            && let Some(name) = world.looks.remove(&pid)
        {
            let (now, came_back) = (world.now, matches!(change, Change::Exited(_)));
            if came_back { &mut world.proved } else { &mut world.failed }.insert(name, now);
        }
        ended
    }

    fn drain(&mut self) {
        self.call();
        self.0.borrow_mut().came = false;
    }

    fn arrived(&mut self, signal: Signal) -> bool {
        self.call();
        self.0.borrow_mut().arrived.remove(&signal)
    }

    fn hold_signals(&mut self, hold: bool) {
        self.call();
        let mut world = self.0.borrow_mut();
        world.held = hold;
        if !hold {
            let pending = std::mem::take(&mut world.pending);
            pending.into_iter().for_each(|signal| world.signal(signal));
        }
    }

    fn look_into_directory(&mut self) -> Pass {
        self.call();
        let mut world = self.0.borrow_mut();
        world.watching |= !world.fails(Fault::Watch);
        let watched = if world.watching { Ok(()) } else { Err(error(sys::EMFILE)) };
        let names = match world.fails(Fault::Names) {
            true => Err(error(sys::EMFILE)),
            false => Ok(world.names.keys().cloned().collect()),
        };
        Pass { watched, locked_by_a_stranger: false, names }
    }

    fn changes(&mut self) -> io::Result<Vec<Look>> {
        self.call();
        let mut world = self.0.borrow_mut();
        let changes = std::mem::take(&mut world.changes);
        if world.fails(Fault::Changes) {
            world.watching = false;
            world.filling.clear();
            return Err(error(sys::ENOMEM));
        }
        Ok(changes)
    }

    fn watch_filling(&mut self, name: &OsStr, id: Id) {
        self.call();
        let mut world = self.0.borrow_mut();
        if world.watching && world.id_of(name) == Some(id) {
            world.filling.insert(id);
        }
    }

    fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool) {
        self.call();
        self.0.borrow_mut().filling.retain(|&id| waited_for(id));
    }

    fn examine(&self, path: &Path) -> Sight {
        self.call();
        let mut world = self.0.borrow_mut();
        check_look(&world, path);
        let mut words = path.iter();
        let name = words.next().unwrap_or_default();
        if words.next().is_some() {
            let log = world.id_of(name).and_then(|id| world.logs.get(&id.inode)).copied();
            return match log.unwrap_or_default() {
                Log::There => Sight::Directory(Id { device: 2, inode: 1 }),
                Log::Missing => Sight::Gone,
                Log::Unclear => Sight::Unclear(error(sys::EIO)),
            };
        }
        world.unseen.remove(name);
        world.looked_at.insert(name.into());
        match world.names.get(name) {
            Some(Target::Directory(inode)) => Sight::Directory(id(*inode)),
            Some(Target::File) => Sight::Other,
            Some(Target::Dangling) => Sight::Unclear(error(sys::ENOENT)),
            None => Sight::Gone,
        }
    }

    fn has_rested(&self, _dir: &Path) -> bool {
        self.call();
        true
    }

    fn can_run(&self, path: &Path) -> bool {
        self.call();
        let world = self.0.borrow();
        check_look(&world, path);
        world.place(path).is_some_and(|(id, _)| world.complete.contains(&id.inode))
    }

    fn leads_elsewhere(&mut self, name: &OsStr) -> bool {
        self.call();
        let mut world = self.0.borrow_mut();
        let elsewhere = world.elsewhere.contains(name);
        if elsewhere {
            world.known_elsewhere.insert(name.into());
        } else {
            world.known_elsewhere.remove(name);
        }
        elsewhere
    }

    fn look_by_child(&mut self, name: &OsStr) -> io::Result<Spawned> {
        self.call();
        let mut world = self.0.borrow_mut();
        check_look_by_child(&world, name);
        if world.fails(Fault::Fork) {
            let now = world.now;
            world.failed.insert(name.into(), now);
            return Err(error(sys::EAGAIN));
        }
        Ok(world.look(name))
    }

    fn find_supervise(&mut self, dir: &Path) -> io::Result<Option<(Fifo, Option<Pid>)>> {
        self.call();
        let found = {
            let world = self.0.borrow();
            check_look(&world, dir);
            if world.fails(Fault::Find) {
                return Err(error(sys::EMFILE));
            }
            world.place(dir).and_then(|(id, role)| world.holder(id, role))
        };
        self.0.borrow_mut().shown.extend(found);
        Ok(found.map(|pid| (Fifo::open(&self.0, Open::Fifo(pid)), Some(pid))))
    }

    fn record(&self, dir: &Path) -> Option<Record> {
        self.call();
        record(&self.0.borrow(), dir)
    }

    fn note_end(&mut self, dir: &Path) -> io::Result<()> {
        self.call();
        note_end(&mut self.0.borrow_mut(), dir)
    }

    fn was_left_behind(&self, dir: &Path) -> bool {
        self.call();
        let world = self.0.borrow();
        world
            .place(dir)
            .is_some_and(|(id, role)| world.services.contains_key(&(id, role)) && world.holder(id, role).is_none())
    }

    fn start(&mut self, start: Start<'_>, pipe: Option<&Pipe>) -> io::Result<Spawned> {
        self.call();
        let end = pipe.map(|pipe| (pipe.id(), pipe.writer.is_some()));
        let mut world = self.0.borrow_mut();
        if world.fails(Fault::Fork) {
            return Err(error(sys::EAGAIN));
        }
        let (dir, role) = match start {
            Start::Supervise { dir, role, .. } => (dir, role),
            Start::Copier(name) => (name, Role::Log),
        };
        let end = end.filter(|(_, is_open)| role == Role::Log || *is_open).map(|(pipe, _)| pipe);
        let fails = world.fails(Fault::Exec);
        world.starts += 1;
        let place = world.place(Path::new(dir));
        let first = Path::new(dir).iter().next().unwrap_or_default();
        let astray = world.unseen.contains(first);
        world.strayed |= astray;
        let pid = match (start, place) {
            (Start::Supervise { .. }, Some(place)) => {
                check_start(&world, dir, place, end);
                world.make(Job::Supervise(place.0, place.1), true, end, astray)
            }
            (Start::Copier(_), Some((id, _))) => world.make(Job::Copier(id), true, end, astray),
            // It does not find its directory, and will die.
            (_, None) => world.make(Job::Successor, true, None, true),
        };
        if fails || place.is_none() {
            world.dies(pid, Some(111));
        }
        Ok(Spawned { pid, unable: None, oom: None })
    }

    fn tell(&mut self, dir: &Path, letters: &[u8]) -> io::Result<Option<Fifo>> {
        self.call();
        assert!(letters.contains(&Command::Exit.letter()), "{letters:?}");
        let mut world = self.0.borrow_mut();
        let Some(place) = world.place(dir) else { return Err(error(sys::ENOENT)) };
        let (id, role) = place;
        check_turn(&mut world, place, letters);
        world.letters.insert(place);
        let (holder, stubborn, leaves) = (world.holder(id, role), world.fails(Fault::Stubborn), world.now.after(BIRTH));
        if let Some(process) = holder.and_then(|pid| world.processes.get_mut(&pid)) {
            process.leaves = (role == Role::Main && !stubborn).then_some(leaves);
            return Ok(None);
        }
        drop(world);
        Ok(Some(Fifo::open(&self.0, Open::Fifo(Pid(0)))))
    }

    fn release(&mut self, logger: Pid) -> io::Result<bool> {
        self.call();
        let mut world = self.0.borrow_mut();
        let Some(process) = world.processes.get(&logger) else { return Ok(false) };
        check_release(&world, process);
        let Job::Supervise(id, role) = process.job else { return Ok(false) };
        if world.fails(Fault::Release) {
            return Err(error(sys::EMFILE));
        }
        world.letters.insert((id, role));
        Ok(true)
    }

    fn recover_pipe(&mut self, name: &OsStr) -> io::Result<Pipe> {
        self.call();
        let found = self.0.borrow().pipe_of(name);
        match found {
            Some(pipe) => Ok(Pipe::open(&self.0, pipe)),
            None => self.new_pipe(),
        }
    }

    fn new_pipe(&mut self) -> io::Result<Pipe> {
        self.call();
        if self.0.borrow().fails(Fault::Pipe) {
            return Err(error(sys::EMFILE));
        }
        let pipe = self.0.borrow_mut().next();
        Ok(Pipe::open(&self.0, pipe))
    }

    fn reopen(&mut self, pipe: &mut Pipe) -> io::Result<()> {
        self.call();
        if pipe.writer.is_none() {
            if self.0.borrow().fails(Fault::Reopen) {
                return Err(error(sys::EMFILE));
            }
            pipe.reopen();
        }
        Ok(())
    }

    fn close_writer(&mut self, pipe: &mut Pipe) {
        self.call();
        pipe.close_writer();
    }

    fn has_unread(&self, pipe: &Pipe) -> bool {
        let pipe = pipe.id();
        !self.0.borrow().processes.values().any(|process| process.pipe == Some(pipe))
    }

    fn pipe_id(&self, pipe: &Pipe) -> Option<u64> {
        Some(pipe.id())
    }

    fn state(&self) -> ScanState {
        ScanState::default()
    }

    fn pipe_ends(&self, pipe: &Pipe) -> PipeEnds {
        (pipe.reader, pipe.writer)
    }

    fn fifo_number(&self, fifo: &Fifo) -> i32 {
        fifo.number
    }

    fn inherit_pipe(&mut self, (reader, writer): PipeEnds) -> io::Result<Pipe> {
        let mut world = self.0.borrow_mut();
        let taken = [Some(reader), writer].into_iter().flatten().all(|number| world.kept.remove(&number));
        assert!(taken, "a pipe that was not left open");
        drop(world);
        Ok(Pipe::inherit(&self.0, reader, writer))
    }

    fn inherit_fifo(&mut self, number: i32) -> io::Result<Fifo> {
        assert!(self.0.borrow_mut().kept.remove(&number), "a FIFO that was not left open");
        Ok(Fifo::inherit(&self.0, number))
    }

    fn ask_successor(&mut self, state: &[u8]) {
        self.call();
        assert!(ScanState::decode(state).is_some(), "nobody would understand it");
        let mut world = self.0.borrow_mut();
        assert!(world.stopping.is_none(), "an upgrade in the stop");
        if !world.fails(Fault::Fork) {
            world.make(Job::Successor, true, None, false);
        }
    }

    fn hear_answer(&mut self, _: Pid, change: Change) -> Option<PathBuf> {
        self.call();
        (change == Change::Exited(99)).then(|| PathBuf::from("svscan"))
    }

    fn succeed(&mut self, _: &Path, state: &[u8], pipes: &[&Pipe], others: &[Known<Fifo>]) {
        self.call();
        let mut world = self.0.borrow_mut();
        assert!(world.held, "a signal would be lost");
        let stop = [Signal::SIGTERM, Signal::SIGINT].iter().any(|signal| world.arrived.contains(signal));
        assert!(!stop, "told to stop, and it did not hear");
        if world.fails(Fault::Upgrade) {
            return;
        }
        world.exec = true;
        world.kept = pipes.iter().flat_map(|pipe| [Some(pipe.reader), pipe.writer]).flatten().collect();
        world.kept.extend(others.iter().map(|(_, _, fifo)| fifo.number));
        drop(world);
        resume_unwind(Box::new(End::Upgraded(state.to_vec())));
    }

    fn begin_stop(&mut self) {
        self.call();
        let mut world = self.0.borrow_mut();
        assert!(world.init && world.stopping.is_none(), "a stop that nobody asked for");
        (world.stopping, world.unsure) = (Some(world.now), !world.unseen.is_empty());
    }

    fn needs(&mut self, dir: &Path, id: Id) -> Needed {
        self.call();
        needs(&mut self.0.borrow_mut(), dir, id)
    }

    fn remember_session(&mut self, _: Option<Pid>, _: Option<&Path>) {
        self.call();
    }

    fn signal_leftovers(&mut self, _: &Spared, signal: Signal) {
        self.call();
        if signal == Signal::SIGKILL {
            let mut world = self.0.borrow_mut();
            world.faults.remove(&Fault::Stubborn);
            let (leaves, letters) = (world.now.after(BIRTH), world.letters.clone());
            for process in world.processes.values_mut().filter(|process| process.holds && process.leaves.is_none()) {
                if let Job::Supervise(id, role) = process.job
                    && letters.contains(&(id, role))
                {
                    process.leaves = Some(leaves);
                }
            }
        }
    }

    fn kill_all(&mut self, _: &[Pid]) {
        self.call();
        let all: Vec<Pid> = self.0.borrow().processes.keys().copied().collect();
        all.into_iter().for_each(|pid| self.0.borrow_mut().dies(pid, None));
    }
}
