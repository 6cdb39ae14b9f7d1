//! What `svscan --init` decides once it is to bring everything down: who is told what, and when patience is over.
//!
//! | service | meaning | leaves it by |
//! |---|---|---|
//! | up | its main supervise was told to take the service down and to exit | that supervise leaves: closing |
//! | closing | the write end of the log pipe is to be closed | that is done: draining if there is a logger, or else gone |
//! | draining | the log supervise was told to exit; the logger reads to the end of file and ends by itself | it leaves: gone |
//! | gone | nothing runs | |
//!
//! A supervise that ends in another way than by leaving was killed, and its service lives on: it is started again, which takes the service
//! over, and told again. A copier, which reads the output of a service without a logger, counts as its log supervise;
//! it needs no telling, since it comes to the end of file by itself.
//!
//! | phase | meaning | leaves it by |
//! |---|---|---|
//! | orderly | every service has the time that it wants; when all are down, what they have left behind gets TERM, and KILL after [`LAST_LINES`] | the grace is over, or it is asked for a second time: killing |
//! | killing | what is no supervise and no logger gets KILL, so that the loggers come to their end of file | [`LAST_LINES`]: last |
//! | last | whatever is left gets KILL | [`LAST_LOOK`]: over |
//! | over | nothing is left, or nothing can be done about it | |
//!
//! Every phase is over in the moment in which all services are gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::scan::{Id, Role};
use crate::{Pid, SECOND, Tick};

/// How long loggers may take to write what is left, once whoever wrote to them was killed; and what services have left behind to end on TERM.
pub const LAST_LINES: u64 = SECOND;
/// How long the kernel may take to end what was killed.
pub const LAST_LOOK: u64 = SECOND / 2;
/// So often a supervise is started again that ended without leaving.
const TRIES: u8 = 3;

/// What a supervise is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take the service down, and exit.
    Down,
    /// The same, by KILL.
    Kill,
    /// Exit when the logger has ended.
    Exit,
    /// The same, after starting the logger where it does not run: there is something to read.
    Drain,
}

/// How a supervise ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It had nothing to do any more.
    Left,
    /// In any other way: its service may live.
    Killed,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell a supervise, which may have been started a moment ago.
    Tell(Id, Role, Order),
    /// Close the write end of the log pipe if there is one, and call [`Stop::closed`].
    Close(Id),
    /// Start a supervise, and say how it went by [`Stop::started`] or [`Stop::start_failed`].
    Start(Id, Role),
    /// Send TERM to [`victims`]: only loggers are to run still.
    EndLeftovers,
    /// Send KILL to [`victims`].
    KillServices,
    /// Send KILL to everything that is left.
    KillAll,
}

/// A supervise in the moment in which the stop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none, and none has left anything behind.
    Nothing,
    /// It runs.
    Runs,
    /// It was killed, and was not started again yet: what it has left behind may live.
    LeftBehind,
}

/// A service in the moment in which the stop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which directory.
    pub id: Id,
    /// Its main supervise.
    pub main: Found,
    /// Its log supervise.
    pub log: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Orderly,
    Killing,
    Last,
    Over,
}

/// What services have left behind when all of them are down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftovers {
    /// There is none yet that could be told from the services.
    Unknown,
    /// They were sent TERM, and get KILL at this time.
    Asked(Tick),
    /// They get KILL.
    Killed,
}

#[derive(Debug)]
struct Slot {
    main: bool,
    log: bool,
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
    slots: BTreeMap<Id, Slot>,
    phase: Phase,
    /// When the phase is over.
    until: Tick,
    todo: VecDeque<Action>,
    leftovers: Leftovers,
    /// Whether there may be more to kill.
    sweep: bool,
    /// Who was not gone when it came to killing; `None` if it did not come to that.
    late: Option<Vec<(Id, Role)>>,
    /// Whether somebody has asked for it: it may have begun by itself.
    asked: bool,
}

impl Stop {
    /// Begins, with `grace` nanoseconds for what comes before the first KILL of ours.
    pub fn new(now: Tick, grace: u64, services: impl IntoIterator<Item = Running>) -> Stop {
        let mut stop = Stop {
            slots: BTreeMap::new(),
            phase: Phase::Orderly,
            until: now.after(grace),
            todo: VecDeque::new(),
            leftovers: Leftovers::Unknown,
            sweep: false,
            late: None,
            asked: false,
        };
        for Running { id, main, log } in services {
            let [runs_main, runs_log] = [main, log].map(|found| found != Found::Nothing);
            stop.slots.insert(id, Slot { main: runs_main, log: runs_log, closed: false, tries: TRIES });
            if log == Found::LeftBehind {
                stop.todo.push_back(Action::Start(id, Role::Log));
            }
            stop.todo.push_back(match main {
                Found::Nothing => Action::Close(id),
                Found::Runs => Action::Tell(id, Role::Main, Order::Down),
                Found::LeftBehind => Action::Start(id, Role::Main),
            });
        }
        stop.settle();
        stop
    }

    /// When [`next`](Stop::next) has something to do by itself; `None` once it is over.
    pub fn deadline(&self) -> Option<Tick> {
        match (self.phase, self.leftovers) {
            (Phase::Over, _) => None,
            (Phase::Orderly, Leftovers::Asked(kill)) => Some(self.until.min(kill)),
            _ => Some(self.until),
        }
    }

    /// Whether all is done that can be.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The supervises, of services or else of their loggers, that had not left when their time was over; `None` if it never was.
    pub fn late(&self) -> Option<&[(Id, Role)]> {
        self.late.as_deref()
    }

    /// What is to be done now; `None` when nothing is (any more).
    pub fn next(&mut self, now: Tick) -> Option<Action> {
        if self.until <= now {
            self.go_on(now);
        }
        if let Some(action) = self.todo.pop_front() {
            return Some(action);
        }
        if self.phase == Phase::Orderly && self.finds_leftovers(now) {
            return Some(Action::EndLeftovers);
        }
        match self.phase {
            Phase::Over => None,
            Phase::Orderly | Phase::Killing => std::mem::take(&mut self.sweep).then_some(Action::KillServices),
            Phase::Last => std::mem::take(&mut self.sweep).then_some(Action::KillAll),
        }
    }

    /// Whether only loggers run since a moment ago: whatever else does was left behind.
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

    /// Whether what is no supervise and no logger gets KILL.
    fn kills(&self) -> bool {
        self.phase != Phase::Orderly || self.leftovers == Leftovers::Killed
    }

    /// The time of the phase is over.
    fn go_on(&mut self, now: Tick) {
        match self.phase {
            Phase::Orderly => self.hurry(now),
            Phase::Killing => {
                (self.phase, self.until, self.sweep) = (Phase::Last, now.after(LAST_LOOK), true);
            }
            Phase::Last => self.phase = Phase::Over,
            Phase::Over => {}
        }
    }

    /// Somebody asks for the stop. Whoever does so again does not want to wait for the grace.
    pub fn ask(&mut self, now: Tick) {
        if std::mem::replace(&mut self.asked, true) {
            self.hurry(now);
        }
    }

    /// KILL at once.
    fn hurry(&mut self, now: Tick) {
        if self.phase != Phase::Orderly {
            return;
        }
        (self.phase, self.until, self.sweep) = (Phase::Killing, now.after(LAST_LINES), true);
        let late = |(&id, slot): (&Id, &Slot)| match (slot.main, slot.log) {
            (true, _) => Some((id, Role::Main)),
            (false, true) => Some((id, Role::Log)),
            (false, false) => None,
        };
        self.late = Some(self.slots.iter().filter_map(late).collect());
        let up = self.slots.iter().filter(|(_, slot)| slot.main);
        self.todo.extend(up.map(|(&id, _)| Action::Tell(id, Role::Main, Order::Kill)));
    }

    /// A supervise ended.
    pub fn ended(&mut self, id: Id, role: Role, end: End) {
        self.sweep |= self.kills();
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
            // Until its outcome is known nobody may take it for gone.
            *slot.runs(role) = true;
            self.todo.push_back(Action::Start(id, role));
        } else if role == Role::Main {
            self.todo.push_back(Action::Close(id));
        }
        self.settle();
    }

    /// The write end is closed. `unread` says whether anything stands in the pipe.
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

    /// The start that [`Action::Start`] asked for was made.
    pub fn started(&mut self, id: Id, role: Role) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        let order = match (role, self.phase) {
            (Role::Main, Phase::Orderly) => Order::Down,
            (Role::Main, Phase::Killing | Phase::Last | Phase::Over) => Order::Kill,
            // By itself it starts the logger. If the pipe is not closed yet, it is told when that is.
            (Role::Log, _) if slot.closed => Order::Exit,
            (Role::Log, _) => return,
        };
        self.todo.push_back(Action::Tell(id, role, order));
    }

    /// It could not be made.
    pub fn start_failed(&mut self, id: Id, role: Role) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        *slot.runs(role) = false;
        if role == Role::Main {
            self.todo.push_back(Action::Close(id));
        }
        self.settle();
    }

    /// A process that nobody knows ended: what it leaves behind may have come to us.
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

/// Every descendant of `own` but the `spared` ones, and but those of `spared_with_descendants` and what is below them. Parents
/// first.
pub fn victims(own: Pid, processes: &[Process], spared: &[Pid], spared_with_descendants: &[Pid]) -> Vec<Pid> {
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let (mut victims, mut seen, mut open) = (Vec::new(), BTreeSet::from([own]), VecDeque::from([own]));
    while let Some(parent) = open.pop_front() {
        for &child in children.get(&parent).into_iter().flatten() {
            // The table was not read in one moment, so it need not be a tree.
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
