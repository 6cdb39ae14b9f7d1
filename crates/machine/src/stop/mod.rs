//! The decisions of the orderly stop of `svscan --init`: what each supervise is told, and when the rest is killed.
//!
//! | service | meaning | leaves it by |
//! |---|---|---|
//! | needed | it runs as ever, since others need it that are still there | all those are over: up |
//! | up | its main supervise was told to take the service down and to exit | that supervise has exited: closing |
//! | closing | the write end of the log pipe is to be closed | it is closed: draining if there is a logger, otherwise gone |
//! | draining | the log supervise was told to exit; the logger reads to the end of file and ends by itself | the log supervise has exited: gone |
//! | gone | nothing runs | |
//!
//! A supervise that ends in any other way than by exiting as told was killed, and its service lives on. So it is started again, takes the service
//! over, and is told again when its turn has come. A copier, which reads the output of a service without a logger, counts as its log supervise; it need
//! not be told, since it ends at the end of file.
//!
//! | phase | meaning | leaves it by |
//! |---|---|---|
//! | asking | it is not known yet what the services need, and nothing is told | it is known, or [`LONGEST_LOOK`]: orderly |
//! | orderly | every service has the time that it needs; when all are down, the processes that they have left behind get TERM, and KILL after [`LAST_LINES`] | the end of the grace, or a second request to stop: killing |
//! | killing | every process that is neither a supervise nor a logger gets KILL, and those that have begun since get it after half the time, so that the loggers come to the end of file | [`LAST_LINES`]: last |
//! | last | every process that is left gets KILL | [`LAST_LOOK`]: over |
//! | over | nothing is left, or nothing can be done about it | |
//!
//! Every phase ends as soon as all services are gone. The grace begins with the stop, whatever the services need: when it is over, those that were not told yet
//! are told with all others.

mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::scan::{Id, Role};
use crate::{Pid, SECOND, Tick};

pub use turns::Needs;
use turns::Turns;

/// How long loggers may take to write the rest after the writers were killed, and how long processes that services have left behind may take
/// to end on TERM, in nanoseconds.
pub const LAST_LINES: u64 = SECOND;
/// How long the kernel may take to end killed processes, in nanoseconds.
pub const LAST_LOOK: u64 = SECOND / 2;
/// How long it may take at most to find out what the services need, in nanoseconds. An eighth of the grace, if that is less.
pub const LONGEST_LOOK: u64 = SECOND;
/// How often a supervise that was killed is started again.
const TRIES: u8 = 3;

/// What a supervise is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take the service down, and exit.
    Down,
    /// Take the service down by KILL, and exit.
    Kill,
    /// Exit when the logger has ended.
    Exit,
    /// Start the logger if it does not run, since there is something to read, and exit when it has ended.
    Drain,
}

/// How a supervise ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has exited because it was told to, and its service is down.
    Exited,
    /// It ended in any other way: its service may live.
    Killed,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call [`Stop::order`] with what is known by now.
    Order,
    /// Tell a supervise, which may have been started a moment ago.
    Tell(Id, Role, Order),
    /// Close the write end of the log pipe if there is one, and call [`Stop::closed`].
    Close(Id),
    /// Start a supervise, and report the outcome by [`Stop::started`] or [`Stop::start_failed`].
    Start(Id, Role),
    /// Send TERM to [`victims`]: only loggers should still run.
    EndLeftovers,
    /// Send KILL to [`victims`].
    KillServices,
    /// Send KILL to everything that is left.
    KillAll,
}

/// The state of a supervise when the stop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// None runs, and no service is left of a killed one.
    Nothing,
    /// It runs.
    Runs,
    /// It was killed and not started again yet: its service may live.
    LeftBehind,
}

/// The state of a service when the stop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its directory.
    pub id: Id,
    /// Its main supervise.
    pub main: Found,
    /// Its log supervise.
    pub log: Found,
}

impl Running {
    /// Takes in the end of a supervise before anything is done about it.
    fn ended(&mut self, role: Role, end: End) {
        let found = match role {
            Role::Main => &mut self.main,
            Role::Log => &mut self.log,
        };
        *found = match end {
            End::Exited => Found::Nothing,
            End::Killed => Found::LeftBehind,
        };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Asking,
    Orderly,
    Killing,
    Last,
    Over,
}

/// The processes that services have left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftovers {
    /// Not known yet: while services run, they cannot be told apart from those.
    Unknown,
    /// They were sent TERM, and get KILL at this time.
    Asked(Tick),
    /// They were sent KILL.
    Killed,
}

#[derive(Debug)]
struct Slot {
    main: bool,
    log: bool,
    /// The main supervise is to be started, and the outcome is not known yet. It counts as running.
    starts: bool,
    closed: bool,
    tries: u8,
}

impl Slot {
    fn runs(&mut self, role: Role) -> &mut bool {
        match role {
            Role::Main => &mut self.main,
            Role::Log => &mut self.log,
        }
    }

    fn is_gone(&self) -> bool {
        !self.main && self.closed && !self.log
    }
}

/// An orderly stop.
#[derive(Debug)]
pub struct Stop {
    /// The services that nothing was done about yet, before it is known what they need.
    running: Vec<Running>,
    slots: BTreeMap<Id, Slot>,
    turns: Turns,
    phase: Phase,
    /// The end of the phase; while that is asking, of the grace.
    until: Tick,
    /// When what the services need must be known, unless that was said.
    order_by: Option<Tick>,
    todo: VecDeque<Action>,
    leftovers: Leftovers,
    /// Whether there may be more processes to kill.
    sweep: bool,
    /// When there may be more without an event: a supervise runs `finish` when its `run` was killed.
    second_sweep: Option<Tick>,
    /// The supervises that had not exited when the phase of killing began; `None` if it did not begin.
    late: Option<Vec<(Id, Role)>>,
    /// Whether the stop was asked for by a signal: it may have begun by `--exit-with` or an essential service.
    asked: bool,
}

impl Stop {
    /// Begins a stop, with `grace` nanoseconds until the first KILL. Nothing is done before [`order`](Stop::order).
    pub fn new(now: Tick, grace: u64, services: impl IntoIterator<Item = Running>) -> Stop {
        Stop {
            running: services.into_iter().collect(),
            slots: BTreeMap::new(),
            turns: Turns::default(),
            phase: Phase::Asking,
            until: now.after(grace),
            order_by: Some(now.after(LONGEST_LOOK.min(grace / 8))),
            todo: VecDeque::new(),
            leftovers: Leftovers::Unknown,
            sweep: false,
            second_sweep: None,
            late: None,
            asked: false,
        }
    }

    /// Says what the services need, as far as that is known; those that are left out need nothing. It is said once; what is said later is too late.
    pub fn order(&mut self, needs: &BTreeMap<Id, Needs>) {
        if self.phase != Phase::Asking {
            return;
        }
        (self.phase, self.order_by) = (Phase::Orderly, None);
        let running = std::mem::take(&mut self.running);
        let ended = running.iter().map(|&Running { id, main, .. }| (id, main == Found::Nothing)).collect();
        self.turns = Turns::new(&ended, needs);
        for Running { id, main, log } in running {
            let [runs_main, runs_log] = [main, log].map(|found| found != Found::Nothing);
            let starts = main == Found::LeftBehind;
            self.slots.insert(id, Slot { main: runs_main, log: runs_log, starts, closed: false, tries: TRIES });
            if log == Found::LeftBehind {
                self.todo.push_back(Action::Start(id, Role::Log));
            }
            match main {
                Found::Nothing => self.todo.push_back(Action::Close(id)),
                Found::Runs => self.tell(id),
                Found::LeftBehind => self.todo.push_back(Action::Start(id, Role::Main)),
            }
        }
        self.settle();
    }

    /// Tells a service to end, if its turn has come and its supervise is there.
    fn tell(&mut self, id: Id) {
        let is_there = self.slots.get(&id).is_some_and(|slot| slot.main && !slot.starts);
        if is_there && self.phase == Phase::Orderly && self.turns.has_come(id) {
            self.todo.push_back(Action::Tell(id, Role::Main, Order::Down));
        }
    }

    /// Takes note that no main supervise of a service will run any more.
    fn main_ended(&mut self, id: Id) {
        self.todo.push_back(Action::Close(id));
        for next in self.turns.ended(id) {
            self.tell(next);
        }
    }

    /// The time at which [`next`](Stop::next) has something to do without an event; `None` once the stop is over.
    pub fn deadline(&self) -> Option<Tick> {
        match (self.phase, self.leftovers) {
            (Phase::Over, _) => None,
            (Phase::Asking, _) => Some(self.order_by.map_or(self.until, |order_by| order_by.min(self.until))),
            (Phase::Orderly, Leftovers::Asked(kill)) => Some(self.until.min(kill)),
            _ => Some(self.second_sweep.map_or(self.until, |second| second.min(self.until))),
        }
    }

    /// Returns whether everything is done that can be done.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The supervises that had not exited when the grace was over, one for each service: its main supervise, or its log
    /// supervise if the main one had exited. `None` if the grace was never over.
    pub fn late(&self) -> Option<&[(Id, Role)]> {
        self.late.as_deref()
    }

    /// Returns the next action that is due now; `None` if there is none (any more).
    pub fn next(&mut self, now: Tick) -> Option<Action> {
        if self.until <= now {
            self.go_on(now);
        }
        if self.order_by.take_if(|order_by| *order_by <= now).is_some() {
            return Some(Action::Order);
        }
        if self.second_sweep.take_if(|second| *second <= now).is_some() {
            self.sweep = true;
        }
        if let Some(action) = self.todo.pop_front() {
            return Some(action);
        }
        if self.phase == Phase::Orderly && self.finds_leftovers(now) {
            return Some(Action::EndLeftovers);
        }
        match self.phase {
            Phase::Asking | Phase::Over => None,
            Phase::Orderly | Phase::Killing => std::mem::take(&mut self.sweep).then_some(Action::KillServices),
            Phase::Last => std::mem::take(&mut self.sweep).then_some(Action::KillAll),
        }
    }

    /// Returns whether now only loggers run, for the first time: every other process was left behind.
    fn finds_leftovers(&mut self, now: Tick) -> bool {
        match self.leftovers {
            Leftovers::Unknown if self.slots.values().all(|slot| !slot.main && slot.closed) => {
                self.leftovers = Leftovers::Asked(now.after(LAST_LINES));
                true
            }
            Leftovers::Asked(kill) if kill <= now => {
                (self.leftovers, self.sweep) = (Leftovers::Killed, true);
                false
            }
            _ => false,
        }
    }

    /// Returns whether processes that are neither supervises nor loggers get KILL.
    fn kills(&self) -> bool {
        matches!(self.phase, Phase::Killing | Phase::Last | Phase::Over) || self.leftovers == Leftovers::Killed
    }

    /// Begins the next phase, since the time of this one is over.
    fn go_on(&mut self, now: Tick) {
        match self.phase {
            Phase::Asking | Phase::Orderly => self.hurry(now),
            Phase::Killing => {
                (self.phase, self.until, self.sweep) = (Phase::Last, now.after(LAST_LOOK), true);
            }
            Phase::Last => self.phase = Phase::Over,
            Phase::Over => {}
        }
    }

    /// Notes a request to stop by a signal. The second one cuts the grace short.
    pub fn ask(&mut self, now: Tick) {
        if std::mem::replace(&mut self.asked, true) {
            self.hurry(now);
        }
    }

    /// Begins the phase of killing.
    fn hurry(&mut self, now: Tick) {
        self.order(&BTreeMap::new());
        if self.phase != Phase::Orderly {
            return;
        }
        (self.phase, self.until, self.sweep) = (Phase::Killing, now.after(LAST_LINES), true);
        self.second_sweep = Some(now.after(LAST_LINES / 2));
        let late = |(&id, slot): (&Id, &Slot)| match (slot.main, slot.log) {
            (true, _) => Some((id, Role::Main)),
            (false, true) => Some((id, Role::Log)),
            (false, false) => None,
        };
        self.late = Some(self.slots.iter().filter_map(late).collect());
        // Those that are to be started are told behind that.
        let up = self.slots.iter().filter(|(_, slot)| slot.main && !slot.starts);
        self.todo.extend(up.map(|(&id, _)| Action::Tell(id, Role::Main, Order::Kill)));
    }

    /// Takes in the end of a supervise.
    pub fn ended(&mut self, id: Id, role: Role, end: End) {
        self.sweep |= self.kills();
        if let Some(running) = self.running.iter_mut().find(|running| running.id == id) {
            return running.ended(role, end);
        }
        let orderly = self.phase == Phase::Orderly;
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| match role {
            Role::Main => slot.main,
            Role::Log => slot.log,
        }) else {
            return;
        };
        *slot.runs(role) = false;
        if end == End::Killed && orderly && slot.tries > 0 {
            slot.tries -= 1;
            // It counts as running until the outcome of its start is known.
            *slot.runs(role) = true;
            slot.starts |= role == Role::Main;
            self.todo.push_back(Action::Start(id, role));
        } else if role == Role::Main {
            self.main_ended(id);
        }
        self.settle();
    }

    /// Notes that the write end is closed. `unread` says whether the pipe holds anything.
    pub fn closed(&mut self, id: Id, unread: bool) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.closed = true;
        if slot.log {
            let order = if unread { Order::Drain } else { Order::Exit };
            self.todo.push_back(Action::Tell(id, Role::Log, order));
        } else if unread && self.phase == Phase::Orderly && slot.tries > 0 {
            slot.tries -= 1;
            slot.log = true;
            self.todo.push_back(Action::Start(id, Role::Log));
        }
        self.settle();
    }

    /// Notes that [`Action::Start`] was done.
    pub fn started(&mut self, id: Id, role: Role) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let closed = slot.closed;
        slot.starts &= role != Role::Main;
        match (role, self.phase) {
            (Role::Main, Phase::Asking | Phase::Orderly) => self.tell(id),
            (Role::Main, Phase::Killing | Phase::Last | Phase::Over) => {
                self.todo.push_back(Action::Tell(id, role, Order::Kill));
            }
            // It starts the logger by itself. If the pipe is not closed yet, it is told to exit when that is done.
            (Role::Log, _) if closed => self.todo.push_back(Action::Tell(id, role, Order::Exit)),
            (Role::Log, _) => {}
        }
    }

    /// Notes that [`Action::Start`] failed.
    pub fn start_failed(&mut self, id: Id, role: Role) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        *slot.runs(role) = false;
        if role == Role::Main {
            slot.starts = false;
            self.main_ended(id);
        }
        self.settle();
    }

    /// Notes that an unknown process ended: its children may have become children of svscan.
    pub fn orphan_ended(&mut self) {
        self.sweep |= self.kills();
    }

    fn settle(&mut self) {
        if self.slots.values().all(Slot::is_gone) {
            self.phase = Phase::Over;
        }
    }
}

/// A process and its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
}

/// Returns every descendant of `own`, parents first, but for the processes in `spared`, and for those in
/// `spared_with_descendants` with all their descendants.
pub fn victims(own: Pid, processes: &[Process], spared: &[Pid], spared_with_descendants: &[Pid]) -> Vec<Pid> {
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let (mut victims, mut seen, mut open) = (Vec::new(), BTreeSet::from([own]), VecDeque::from([own]));
    while let Some(parent) = open.pop_front() {
        for &child in children.get(&parent).into_iter().flatten() {
            // The table was not read at a single moment, so it need not be a tree.
            if spared_with_descendants.contains(&child) || !seen.insert(child) {
                continue;
            }
            open.push_back(child);
            if !spared.contains(&child) {
                victims.push(child);
            }
        }
    }
    victims
}
