//! The decisions while a service is replaced by a new copy of itself: the overlap, the only time in which there are two copies.
//!
//! The owner of this machine keeps the *main* copy, which serves, and passes its pid with each event. This machine keeps the *second* copy.
//!
//! | second | meaning | leaves it by |
//! |---|---|---|
//! | none | no replacement | a request, if there is a main copy: starting |
//! | starting | the loop is forking | the fork's success: warming; its failure: none, given up |
//! | warming | the new copy lives beside the main one | ready, or warm-up over: it becomes the main copy, and the old one is leaving; its death: none, given up; not ready in time, or cancelled: it is leaving, given up; the death of the main copy: the new copy becomes the main one at once, and the second is none |
//! | leaving | a copy that was told to end still lives | its death: none; the end of its grace: KILL, once. What a new copy leaves in its process group when it ends is killed |
//!
//! So the old copy is signalled only after the new one has become the main copy, and if the new one fails, the old one goes on as before.
//!
//! A request while there is a second copy is remembered, once, with the latest settings. It is done when there is no second copy any more, if there
//! is a main copy then; if there is none, the owner restarts or exits instead.
//!
//! A command to end everything can be put off until [`Overlap::is_idle`], as hupwatch does, or be obeyed at once: [`Event::Cancel`] ends a new copy,
//! and the owner ends the main one.

use svdir::Exit;
use svdir::record::Role;

use crate::{Pid, Tick};

/// The settings of one replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When the new copy counts as ready.
    pub readiness: Readiness,
    /// How long the old copy may take to end before it is killed, in nanoseconds; `None` for no limit.
    pub grace: Option<u64>,
    /// How long a new copy that is given up may take to end before it is killed, in nanoseconds; `None` for no limit.
    pub give_up_grace: Option<u64>,
}

/// When a new copy counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// When it has lived for this many nanoseconds.
    WarmUp(u64),
    /// When [`Event::Ready`] comes, which must be within this many nanoseconds; `None` for no limit.
    Declared(Option<u64>),
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The main copy is to be replaced.
    Ask(Settings),
    /// No new copy is wanted any more; a remembered request is dropped too.
    Cancel,
    /// [`Action::Spawn`] was done, and made this child.
    Started(Pid),
    /// [`Action::Spawn`] failed.
    SpawnFailed,
    /// This copy is ready.
    Ready(Pid),
    /// This copy needs at least this many more nanoseconds to get ready.
    Extend(Pid, u64),
    /// A copy that is not ready yet is another process from now on: the old pid, then the new one.
    Moved(Pid, Pid),
    /// A child ended. If it was the main copy, the owner still passes it as the main copy with this event.
    Died(Pid, Exit),
    /// The deadline has come.
    Timeout,
}

/// Why a replacement was given up. The main copy is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No new process could be started.
    NotStarted,
    /// The new copy ended before it was ready.
    Died(Pid, Exit),
    /// The new copy was not ready in time.
    NotReady(Pid),
    /// The replacement was called off.
    Cancelled(Pid),
}

/// What is to be done, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a new copy beside the main one, and report the outcome by [`Event::Started`] or [`Event::SpawnFailed`] before
    /// any other event.
    Spawn,
    /// This copy is the main one from now on.
    Promote(Pid),
    /// Tell this copy to end.
    Term(Pid),
    /// Kill this copy, which was told to end and has not.
    Kill(Pid),
    /// The new copy is dead: kill what it left behind in this process group.
    EndGroup(Pid),
    /// Report that the replacement was given up.
    GiveUp(Why),
}

/// The actions of one step: 3 are the most.
pub type Actions = crate::actions::Actions<Action, 8>;

/// The second copy, beside the main one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// There is none.
    None,
    /// It is being started.
    Starting(Settings),
    /// The new copy is not ready yet.
    Warming {
        /// The new copy.
        pid: Pid,
        /// The process group that the new copy leads, in which it may leave processes behind; `None` if it is not known
        /// whether it leads one.
        group: Option<Pid>,
        /// How this replacement is done.
        settings: Settings,
        /// When the warm-up is over, or the time for getting ready.
        until: Option<Tick>,
    },
    /// A copy that was told to end.
    Leaving {
        /// Its pid.
        pid: Pid,
        /// Whether it is a new copy that was given up, not an old copy.
        new: bool,
        /// For a new copy, the process group in which it may leave processes behind, if that is known.
        group: Option<Pid>,
        /// When it is killed; `None` if never, or if it was already.
        kill_at: Option<Tick>,
    },
}

/// The state of the overlap of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    second: Second,
    again: Option<Settings>,
}

impl Default for Overlap {
    fn default() -> Overlap {
        Overlap::new()
    }
}

impl Overlap {
    /// Begins without a second copy.
    pub const fn new() -> Overlap {
        Overlap::resume(Second::None)
    }

    /// Goes on with the second copy of a predecessor.
    pub const fn resume(second: Second) -> Overlap {
        Overlap { second, again: None }
    }

    /// Goes on with the second copy of a predecessor, and with the remembered request if there was one.
    pub const fn resume_with(second: Second, again: Option<Settings>) -> Overlap {
        Overlap { second, again }
    }

    /// Returns whether a second copy is being started.
    pub const fn is_starting(&self) -> bool {
        matches!(self.second, Second::Starting(_))
    }

    /// The state of the second copy.
    pub const fn second(&self) -> Second {
        self.second
    }

    /// The role of the second copy in the record, if there is one.
    pub const fn role(&self) -> Option<Role> {
        match self.second {
            Second::None | Second::Starting(_) => None,
            Second::Warming { .. } => Some(Role::Warming),
            Second::Leaving { new: false, .. } => Some(Role::EndingOld),
            Second::Leaving { new: true, .. } => Some(Role::EndingNew),
        }
    }

    /// The process of the second copy, if there is one.
    pub const fn second_pid(&self) -> Option<Pid> {
        match self.second {
            Second::Warming { pid, .. } | Second::Leaving { pid, .. } => Some(pid),
            Second::None | Second::Starting(_) => None,
        }
    }

    /// The new copy, while it is not ready.
    pub const fn warming(&self) -> Option<Pid> {
        match self.second {
            Second::Warming { pid, .. } => Some(pid),
            Second::None | Second::Starting(_) | Second::Leaving { .. } => None,
        }
    }

    /// Returns whether there is no replacement, nor a copy left from one.
    pub fn is_idle(&self) -> bool {
        self.second == Second::None
    }

    /// Returns whether another replacement is remembered.
    pub const fn is_asked_again(&self) -> bool {
        self.again.is_some()
    }

    /// Notes that the new copy, which a predecessor has started, lives and leads a process group.
    pub const fn know_group(&mut self) {
        if let Second::Warming { pid, group, .. } | Second::Leaving { pid, new: true, group, .. } = &mut self.second {
            *group = Some(*pid);
        }
    }

    /// Sets when the copy that is being started counts as ready, whatever was known when it was asked for.
    pub const fn know_readiness(&mut self, readiness: Readiness) {
        if let Second::Starting(settings) = &mut self.second {
            settings.readiness = readiness;
        }
    }

    /// Forgets a request that is remembered.
    pub const fn forget(&mut self) {
        self.again = None;
    }

    /// The time at which an [`Event::Timeout`] is due; `None` if nothing is.
    pub const fn deadline(&self) -> Option<Tick> {
        match self.second {
            Second::Warming { until, .. } => until,
            Second::Leaving { kill_at, .. } => kill_at,
            Second::None | Second::Starting(_) => None,
        }
    }

    /// Takes in one event, and returns the actions that follow. `main` is the main copy at the time of the event.
    pub fn step(&mut self, now: Tick, main: Option<Pid>, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Ask(settings) => self.ask(main, settings, &mut todo),
            Event::Cancel => self.cancel(now, &mut todo),
            Event::Started(pid) => self.started(now, pid),
            Event::SpawnFailed => {
                if let Second::Starting(_) = self.second {
                    self.second = Second::None;
                    todo.push(Action::GiveUp(Why::NotStarted));
                }
            }
            Event::Ready(pid) => self.ready(now, main, pid, &mut todo),
            Event::Extend(pid, nanoseconds) => self.extend(now, pid, nanoseconds),
            Event::Moved(old, new) => self.moved(old, new),
            Event::Died(pid, exit) => self.died(main, pid, exit, &mut todo),
            Event::Timeout => self.timeout(now, main, &mut todo),
        }
        todo
    }

    fn ask(&mut self, main: Option<Pid>, settings: Settings, todo: &mut Actions) {
        match self.second {
            Second::None if main.is_some() => self.spawn(settings, todo),
            Second::None => {}
            Second::Starting(_) | Second::Warming { .. } | Second::Leaving { .. } => self.again = Some(settings),
        }
    }

    fn spawn(&mut self, settings: Settings, todo: &mut Actions) {
        self.second = Second::Starting(settings);
        todo.push(Action::Spawn);
    }

    fn started(&mut self, now: Tick, pid: Pid) {
        if let Second::Starting(settings) = self.second {
            let until = match settings.readiness {
                Readiness::WarmUp(time) => Some(now.after(time)),
                Readiness::Declared(limit) => limit.map(|time| now.after(time)),
            };
            self.second = Second::Warming { pid, group: Some(pid), settings, until };
        }
    }

    fn ready(&mut self, now: Tick, main: Option<Pid>, who: Pid, todo: &mut Actions) {
        match self.second {
            Second::Warming { pid, settings, .. } if pid == who => match settings.readiness {
                Readiness::Declared(_) => self.promote(now, main, pid, settings, todo),
                Readiness::WarmUp(_) => {}
            },
            Second::None | Second::Starting(_) | Second::Warming { .. } | Second::Leaving { .. } => {}
        }
    }

    fn extend(&mut self, now: Tick, who: Pid, nanoseconds: u64) {
        if let Second::Warming { pid, group, settings, until: Some(until) } = self.second
            && pid == who
            && let Readiness::Declared(_) = settings.readiness
        {
            self.second = Second::Warming { pid, group, settings, until: Some(until.max(now.after(nanoseconds))) };
        }
    }

    fn moved(&mut self, old: Pid, new: Pid) {
        // The group is the one that the started process leads. The process that it has named leads none, or another
        // one.
        if let Second::Warming { pid, .. } = &mut self.second
            && *pid == old
        {
            *pid = new;
        }
    }

    /// Makes the new copy the main one, and tells the old one to end.
    fn promote(&mut self, now: Tick, main: Option<Pid>, new: Pid, settings: Settings, todo: &mut Actions) {
        todo.push(Action::Promote(new));
        match main {
            Some(old) => {
                self.second =
                    Second::Leaving { pid: old, new: false, group: None, kill_at: end_of(now, settings.grace) };
                todo.push(Action::Term(old));
            }
            None => self.end(Some(new), todo),
        }
    }

    /// Forgets the second copy, and begins the remembered replacement if there is one.
    fn end(&mut self, main: Option<Pid>, todo: &mut Actions) {
        self.second = Second::None;
        if let (Some(settings), Some(_)) = (self.again.take(), main) {
            self.spawn(settings, todo);
        }
    }

    /// Tells the new copy to end, if there is one that is not ready.
    fn give_up(&mut self, now: Tick, why: impl FnOnce(Pid) -> Why, todo: &mut Actions) {
        if let Second::Warming { pid, group, settings, .. } = self.second {
            todo.push(Action::GiveUp(why(pid)));
            let kill_at = end_of(now, settings.give_up_grace);
            self.second = Second::Leaving { pid, new: true, group, kill_at };
            todo.push(Action::Term(pid));
        }
    }

    fn cancel(&mut self, now: Tick, todo: &mut Actions) {
        self.again = None;
        self.give_up(now, Why::Cancelled, todo);
    }

    fn died(&mut self, main: Option<Pid>, who: Pid, exit: Exit, todo: &mut Actions) {
        match self.second {
            Second::Warming { pid, group, .. } if pid == who => {
                todo.push(Action::GiveUp(Why::Died(pid, exit)));
                self.end_second(main, group, todo);
            }
            Second::Warming { pid, .. } if main == Some(who) => {
                todo.push(Action::Promote(pid));
                self.end(Some(pid), todo);
            }
            Second::Leaving { pid, group, .. } if pid == who => self.end_second(main, group, todo),
            Second::None | Second::Starting(_) | Second::Warming { .. } | Second::Leaving { .. } => {}
        }
    }

    /// Handles the end of the second copy. Processes that a failed new copy has left behind are killed; they would go on
    /// for ever.
    fn end_second(&mut self, main: Option<Pid>, group: Option<Pid>, todo: &mut Actions) {
        if let Some(group) = group {
            todo.push(Action::EndGroup(group));
        }
        self.end(main, todo);
    }

    fn timeout(&mut self, now: Tick, main: Option<Pid>, todo: &mut Actions) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.second {
            Second::Warming { pid, settings, .. } => match settings.readiness {
                Readiness::WarmUp(_) => self.promote(now, main, pid, settings, todo),
                Readiness::Declared(_) => self.give_up(now, Why::NotReady, todo),
            },
            Second::Leaving { pid, new, group, .. } => {
                self.second = Second::Leaving { pid, new, group, kill_at: None };
                todo.push(Action::Kill(pid));
            }
            Second::None | Second::Starting(_) => {}
        }
    }
}

/// The end of a grace that begins now.
fn end_of(now: Tick, grace: Option<u64>) -> Option<Tick> {
    grace.map(|grace| now.after(grace))
}
