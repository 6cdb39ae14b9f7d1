//! The decisions of `svscan`: which supervises run, and when one is started (again).
//!
//! A slot is one service: one directory, known by device and inode whatever names it has in the scan directory. It has a main supervise and, if there
//! is a `log/`, a log supervise and the pipe between the two.
//!
//! With `--prefix`, a service without a logger has a copier, which is started in the place of the log supervise. If a `log/` comes later, it gets a
//! pipe of its own when the service's supervise is next started; the copier reads the old pipe to its end.
//!
//! | slot | meaning | leaves it by |
//! |---|---|---|
//! | filling | the directory has no executable `run` yet | 50 ms of quiet with one, or 5 s after it was first seen: due |
//! | due | a supervise is to be started at a deadline | the deadline |
//! | running | the supervise runs, as a child of this svscan or of an earlier one | its death: due again if the service is still listed |
//! | unlisted | no name is left | main supervise gone: released, see below; both gone: forgotten, and the pipe with it |
//! | released | the write end of the pipe is closed and the log supervise was told to exit at end of file | the log supervise's death: forgotten; a new name: due, with the write end opened again |
//!
//! At least one second passes between two starts of one supervise. If a supervise exits 111 within a second of its start (because it could not get
//! the lock, for example), svscan looks again whether a supervise runs there: the one that holds the lock may just have been started by a svscan that
//! died. If that happens twice in a row, five seconds pass before the next start. A start that failed is tried again after five seconds.

mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::rc::Rc;

pub use slot::{HandedOverService, HandedOverSupervise, Id, Life, Need, Reader, Role};
use slot::{Slot, Supervise};

use crate::{Pid, SECOND, Tick};

/// The least time between two starts of a supervise, in nanoseconds.
pub const PACE: u64 = SECOND;
/// The time after which something is tried or looked at again if no event will come, in nanoseconds: the interval
/// between two looks of the original.
pub const PATIENCE: u64 = 5 * SECOND;
/// How long a directory that is being filled must not change before its service is started, in nanoseconds.
pub const QUIET: u64 = SECOND / 20;
/// Exit code of a supervise that could not begin.
const COULD_NOT_BEGIN: u8 = 111;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at every name in the scan directory.
    Rescan,
    /// Start a supervise unless one runs there already, and report the outcome by [`Scan::started`], [`Scan::found`] or
    /// [`Scan::start_failed`].
    Start(Id, Role),
    /// Look whether a supervise runs there that is not a child of this svscan; if so, report it by [`Scan::found`].
    Look(Id, Role),
    /// Tell the log supervise with this pid to exit, and close the write end of the pipe. Then call [`Scan::released`], or
    /// [`Scan::release_failed`] if it is to be tried again later.
    Release(Id, Pid),
}

/// The services of one scan directory. `P` is the pipe between a service and its logger, which this module only keeps.
#[derive(Debug)]
pub struct Scan<P> {
    slots: BTreeMap<Id, Slot<P>>,
    names: BTreeMap<Rc<OsStr>, (Id, u64)>,
    pids: BTreeMap<Pid, (Id, Role)>,
    due: BTreeSet<(Tick, Id, Role)>,
    looks: BTreeSet<(Tick, Id, Role)>,
    release: BTreeSet<(Tick, Id)>,
    pass: u64,
    rescan: Option<Tick>,
}

impl<P> Default for Scan<P> {
    fn default() -> Scan<P> {
        Scan {
            slots: BTreeMap::new(),
            names: BTreeMap::new(),
            pids: BTreeMap::new(),
            due: BTreeSet::new(),
            looks: BTreeSet::new(),
            release: BTreeSet::new(),
            pass: 0,
            rescan: None,
        }
    }
}

impl<P> Scan<P> {
    /// All services but those that are still being filled, for an upgrade.
    pub fn kept(&self) -> impl Iterator<Item = HandedOverService<&P>> {
        let kept = |supervise: &Supervise| HandedOverSupervise { life: supervise.life, earliest: supervise.earliest };
        self.slots.iter().filter(|(_, slot)| slot.filling.is_none()).map(move |(&id, slot)| HandedOverService {
            id,
            names: slot.names.clone(),
            main: kept(&slot.main),
            log: kept(&slot.log),
            reader: slot.reader,
            pipe: slot.pipe.as_ref(),
            released: slot.released,
        })
    }

    /// Takes over a service at an upgrade. A look at every name must follow.
    pub fn restore(&mut self, now: Tick, kept: HandedOverService<P>) {
        let HandedOverService { id, names, main, log, reader, pipe, released } = kept;
        for name in &names {
            self.names.insert(Rc::clone(name), (id, self.pass));
        }
        for (role, supervise) in [(Role::Main, main), (Role::Log, log)] {
            if let Life::Child(pid) = supervise.life {
                self.pids.insert(pid, (id, role));
            }
        }
        let [main, log] =
            [main, log].map(|kept| Supervise { life: kept.life, earliest: kept.earliest, ..Supervise::default() });
        self.slots.insert(id, Slot { names, main, log, reader, pipe, filling: None, released });
        self.settle(now, id);
    }

    /// The time at which [`next`](Scan::next) has something to do without an event; `None` if nothing is due.
    pub fn deadline(&self) -> Option<Tick> {
        let first = |entries: &BTreeSet<(Tick, Id, Role)>| entries.first().map(|&(tick, ..)| tick);
        let release = self.release.first().map(|&(tick, _)| tick);
        [first(&self.due), first(&self.looks), release, self.rescan].into_iter().flatten().min()
    }

    /// Returns the next action that is due now; `None` if there is none (any more).
    pub fn next(&mut self, now: Tick) -> Option<Action> {
        if self.rescan.is_some_and(|tick| tick <= now) {
            self.rescan = None;
            return Some(Action::Rescan);
        }
        while let Some(id) = self.pop_release(now) {
            if let Some(pid) = self.slots.get(&id).filter(|slot| slot.is_drained()).and_then(|slot| slot.log.life.pid())
            {
                return Some(Action::Release(id, pid));
            }
        }
        while let Some(&look) = self.looks.first().filter(|(tick, ..)| *tick <= now) {
            self.looks.remove(&look);
            let (_, id, role) = look;
            if self.slots.get_mut(&id).is_some_and(|slot| !slot.supervise(role).runs()) {
                return Some(Action::Look(id, role));
            }
        }
        let &(tick, id, role) = self.due.first()?;
        if tick > now {
            return None;
        }
        self.unschedule(id, role);
        Some(Action::Start(id, role))
    }

    fn pop_release(&mut self, now: Tick) -> Option<Id> {
        let &(tick, id) = self.release.first()?;
        (tick <= now && self.release.pop_first().is_some()).then_some(id)
    }

    /// Begins a look at every name.
    pub fn begin_pass(&mut self) {
        self.pass += 1;
    }

    /// Ends a look at every name: names that it has not seen are not listed any more.
    pub fn end_pass(&mut self, now: Tick) {
        let pass = self.pass;
        let gone: Vec<_> =
            self.names.iter().filter(|(_, entry)| entry.1 != pass).map(|(name, _)| Rc::clone(name)).collect();
        for name in gone {
            self.unlisted(now, &name);
        }
    }

    /// Asks for a look at every name in five seconds, unless one is due earlier.
    pub fn rescan_later(&mut self, now: Tick) {
        self.rescan.get_or_insert(now.after(PATIENCE));
    }

    /// Returns whether the directory is still being filled, or is not known yet: then [`seen`](Scan::seen) needs to know
    /// whether `run` can be executed.
    pub fn is_new(&self, id: Id) -> bool {
        self.slots.get(&id).is_none_or(|slot| slot.filling.is_some())
    }

    /// Returns whether the directory is still being filled.
    pub fn is_filling(&self, id: Id) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.filling.is_some())
    }

    /// Notes that the directory `id` is listed as `name`. `complete` says whether its `run` can be executed; it matters
    /// only if the directory [`is_new`](Scan::is_new).
    pub fn seen(&mut self, now: Tick, name: &OsStr, id: Id, complete: bool) {
        let old = self.names.get(name).map(|&(old, _)| old);
        if old.is_some_and(|old| old != id) {
            self.unlisted(now, name);
        }
        let name = self.list(name, id);
        let Some(slot) = self.slots.get_mut(&id) else {
            return self.open(now, name, id, complete);
        };
        if old != Some(id) {
            slot.names.push(name);
            slot.released = false;
            self.release.retain(|&(_, due)| due != id);
            self.settle(now, id);
        }
        self.fill(now, id, complete);
    }

    /// Notes that the name is there, but cannot be examined now: it stays what it is.
    pub fn still_listed(&mut self, name: &OsStr) {
        if let Some((_, seen)) = self.names.get_mut(name) {
            *seen = self.pass;
        }
    }

    fn list(&mut self, name: &OsStr, id: Id) -> Rc<OsStr> {
        let name = self.names.get_key_value(name).map_or_else(|| Rc::from(name), |(known, _)| Rc::clone(known));
        self.names.insert(Rc::clone(&name), (id, self.pass));
        name
    }

    fn open(&mut self, now: Tick, name: Rc<OsStr>, id: Id, complete: bool) {
        let slot = Slot {
            names: vec![name],
            main: Supervise::default(),
            log: Supervise::default(),
            reader: Reader::default(),
            pipe: None,
            filling: (!complete).then_some(now),
            released: false,
        };
        self.slots.insert(id, slot);
        self.schedule(id, Role::Main, if complete { now } else { now.after(PATIENCE) });
    }

    /// Notes that a directory that is being filled has changed.
    fn fill(&mut self, now: Tick, id: Id, complete: bool) {
        let Some(since) = self.slots.get(&id).and_then(|slot| slot.filling) else {
            return;
        };
        let last = since.after(PATIENCE);
        self.schedule(id, Role::Main, if complete { last.min(now.after(QUIET)) } else { last });
    }

    /// Notes that the name is not in the scan directory any more, or is not the name of a directory.
    pub fn unlisted(&mut self, now: Tick, name: &OsStr) {
        let Some((id, _)) = self.names.remove(name) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.names.retain(|known| **known != *name);
        }
        self.settle(now, id);
    }

    /// Acts on a slot whose names or supervises have changed.
    fn settle(&mut self, now: Tick, id: Id) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if !slot.names.is_empty() {
            return self.settle_listed(now, id);
        }
        let (idle, drained) = (slot.is_idle(), slot.is_drained());
        self.unschedule(id, Role::Main);
        self.unschedule(id, Role::Log);
        if idle {
            self.slots.remove(&id);
        } else if drained {
            self.release.insert((now, id));
        }
    }

    fn settle_listed(&mut self, now: Tick, id: Id) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        if slot.filling.is_some() {
            return;
        }
        let main = slot.main.is_forgotten();
        let log = slot.log.is_forgotten() && slot.pipe.is_some();
        for (role, forgotten) in [(Role::Main, main), (Role::Log, log)] {
            if forgotten {
                self.schedule_restart(now, id, role);
            }
        }
    }

    /// Notes that the log supervise was told to exit, and that the write end is closed.
    pub fn released(&mut self, id: Id) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.released = true;
        }
    }

    /// Notes that [`Action::Release`] failed: it is asked for again in five seconds.
    pub fn release_failed(&mut self, now: Tick, id: Id) {
        self.release.insert((now.after(PATIENCE), id));
    }

    /// Takes in the end of a child. Returns the service and which of its supervises it was; `None` if it was neither. `code` is
    /// the exit code, `None` if a signal killed it.
    pub fn died(&mut self, now: Tick, pid: Pid, code: Option<u8>) -> Option<(Id, Role)> {
        let (id, role) = self.pids.remove(&pid)?;
        let slot = self.slots.get_mut(&id)?;
        let supervise = slot.supervise(role);
        supervise.life = Life::None;
        // `earliest` is still that of its start: it ended within a second.
        let quick = now < supervise.earliest;
        let failed = quick && code == Some(COULD_NOT_BEGIN);
        if failed {
            supervise.earliest = now.after(if supervise.failed { PATIENCE } else { PACE });
            self.looks.insert((now.after(QUIET), id, role));
        }
        supervise.failed = failed;
        self.settle(now, id);
        Some((id, role))
    }

    /// Notes that [`Action::Start`] has made this process.
    pub fn started(&mut self, now: Tick, id: Id, role: Role, pid: Pid) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.supervise(role).earliest = now.after(PACE);
        self.pids.insert(pid, (id, role));
        self.note_running(now, id, role, Life::Child(pid));
    }

    /// Notes that [`Action::Start`] has made a copier in the place of a log supervise.
    pub fn copier_started(&mut self, now: Tick, id: Id, pid: Pid) {
        self.started(now, id, Role::Log, pid);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.reader = Reader::Copier;
        }
    }

    /// Notes that a supervise runs there that is not a child of this svscan, so there was nothing to start. Its end is
    /// reported by [`lost`](Scan::lost).
    pub fn found(&mut self, now: Tick, id: Id, role: Role, pid: Option<Pid>) {
        self.unschedule(id, role);
        if let Some(slot) = self.slots.get_mut(&id) {
            // This explains why a supervise of this svscan could not begin.
            let supervise = slot.supervise(role);
            (supervise.earliest, supervise.failed) = (now, false);
        }
        self.note_running(now, id, role, Life::Other(pid));
    }

    fn note_running(&mut self, now: Tick, id: Id, role: Role, life: Life) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.supervise(role).life = life;
        slot.filling = None;
        match role {
            Role::Main => self.settle(now, id),
            Role::Log => slot.reader = Reader::Logger,
        }
    }

    /// Notes that a supervise that is not a child of this svscan has ended.
    pub fn lost(&mut self, now: Tick, id: Id, role: Role) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Life::Other(_) = slot.supervise(role).life {
            slot.supervise(role).life = Life::None;
            self.settle(now, id);
        }
    }

    /// Notes that [`Action::Start`] failed.
    pub fn start_failed(&mut self, now: Tick, id: Id, role: Role) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.filling = None;
            slot.supervise(role).earliest = now.after(PATIENCE);
            self.schedule_restart(now, id, role);
        }
    }

    /// A name of the service in the scan directory.
    pub fn name(&self, id: Id) -> Option<Rc<OsStr>> {
        self.slots.get(&id)?.names.first().cloned()
    }

    /// The service that has this name in the scan directory.
    pub fn named(&self, name: &OsStr) -> Option<Id> {
        self.names.get(name).map(|&(id, _)| id)
    }

    /// All names of the service in the scan directory, oldest first.
    pub fn names(&self, id: Id) -> Vec<Rc<OsStr>> {
        self.slots.get(&id).map(|slot| slot.names.clone()).unwrap_or_default()
    }

    /// The pipe to the service's logger.
    pub fn pipe(&mut self, id: Id) -> Option<&mut P> {
        self.slots.get_mut(&id)?.pipe.as_mut()
    }

    /// Whether a logger or a copier has the place of the log supervise.
    pub fn reader(&self, id: Id) -> Reader {
        self.slots.get(&id).map(|slot| slot.reader).unwrap_or_default()
    }

    /// What is to be done about the pipe before a start of the service whose output `wanted` is to read.
    pub fn need(&self, id: Id, wanted: Option<Reader>) -> Need {
        self.slots.get(&id).map_or(Need::Nothing, |slot| slot.need(wanted))
    }

    /// Returns whether that supervise runs.
    pub fn runs(&self, id: Id, role: Role) -> bool {
        self.slots.get(&id).is_some_and(|slot| match role {
            Role::Main => slot.main.runs(),
            Role::Log => slot.log.runs(),
        })
    }

    /// Sets the pipe to the logger for the next start of the service; `None` for no logger.
    pub fn set_pipe(&mut self, id: Id, pipe: Option<P>) {
        if pipe.is_none() {
            self.unschedule(id, Role::Log);
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.pipe = pipe;
        }
    }

    /// Sets another pipe for the next start of the service. The reader of the old pipe is not tracked any more; it ends at the end of file.
    pub fn change_pipe(&mut self, id: Id, pipe: P) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Life::Child(pid) = std::mem::take(&mut slot.log.life) {
            self.pids.remove(&pid);
        }
        (slot.pipe, slot.reader) = (Some(pipe), Reader::Logger);
    }

    /// The number of known services.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether no service is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Makes a start due as soon as the pace allows.
    fn schedule_restart(&mut self, now: Tick, id: Id, role: Role) {
        if let Some(slot) = self.slots.get_mut(&id) {
            let earliest = slot.supervise(role).earliest;
            self.schedule(id, role, earliest.max(now));
        }
    }

    fn schedule(&mut self, id: Id, role: Role, tick: Tick) {
        self.unschedule(id, role);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.supervise(role).due = Some(tick);
            self.due.insert((tick, id, role));
        }
    }

    fn unschedule(&mut self, id: Id, role: Role) {
        if let Some(tick) = self.slots.get_mut(&id).and_then(|slot| slot.supervise(role).due.take()) {
            self.due.remove(&(tick, id, role));
        }
    }
}
