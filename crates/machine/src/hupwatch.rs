//! The decisions of `hupwatch` about the one command that it runs.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | beginning | nothing runs yet | the first start: running; its failure: quit |
//! | running | a copy serves, and perhaps there is a second ([`overlap`](crate::overlap)) | the death of the copy that serves, unless a new one takes over: quit, or ending its group; a request to leave: quit, or ending |
//! | put off | a request to leave came during a reload | the end of the reload: quit, or ending |
//! | ending | with kill-at-exit: everything that runs was told to end | everything is gone or killed: quit. An old copy that was already leaving keeps the rest of its time |
//!
//! A HUP after a request to leave is forgotten. Children other than the two copies (orphans, if hupwatch is process 1) are ignored.

use svdir::Exit;

use crate::overlap::{self, Overlap, Readiness, Settings, Why};
use crate::{Pid, Tick};

/// The settings of hupwatch, from its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How a reload is done.
    pub settings: Settings,
    /// With kill-at-exit: how long the copies may take to end before they are killed, in nanoseconds. `None` without.
    pub kill_at_exit: Option<u64>,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first copy is to be started.
    Begin,
    /// HUP came.
    Hup,
    /// TERM or another signal that means the same came: hupwatch is to leave.
    Leave,
    /// [`Action::Spawn`] was done, and made this child.
    Started(Pid),
    /// [`Action::Spawn`] failed.
    SpawnFailed,
    /// This copy is ready.
    Ready(Pid),
    /// This copy needs at least this many more nanoseconds to get ready.
    Extend(Pid, u64),
    /// A child ended. `group_exists` says whether others of its process group are left.
    Died {
        /// Its pid.
        pid: Pid,
        /// How it ended.
        exit: Exit,
        /// Whether its process group still has members.
        group_exists: bool,
    },
    /// The process group of this copy, which is being ended, is empty now.
    GroupGone(Pid),
    /// The deadline has come.
    Timeout,
}

/// What is to be done, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a copy, and report the outcome before any other event.
    Spawn,
    /// Send TERM to this copy.
    Term(Pid),
    /// Send TERM to this copy and its group.
    TermGroup(Pid),
    /// Send KILL to this copy and its group.
    KillGroup(Pid),
    /// Print a message.
    Say(Say),
    /// Exit, because the copy has ended in this way, or because hupwatch was told to (`None`).
    Quit(Option<Exit>),
}

/// The messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// The first copy runs.
    FirstStarted(Pid),
    /// A reload begins.
    ReloadBegins,
    /// HUP came during a reload.
    Remembered,
    /// A new copy has been started.
    WarmsUp(Pid),
    /// The new copy serves, and this old one is sent TERM.
    OldIsTold(Pid),
    /// The old copy has ended.
    OldQuit(Exit),
    /// A copy that was told to end has not.
    Killed(Pid),
    /// The reload was given up.
    GivenUp(Why),
    /// The new copy that was given up has ended.
    NewQuit(Exit),
    /// The reload is over.
    ReloadEnds,
    /// A copy has ended during a reload.
    ChildQuit,
    /// A child has ended, and the copy that serves has not.
    PrimaryIsUp,
    /// The copy that serves has ended.
    PrimaryQuit(Exit),
    /// A request to leave came during a reload.
    PutOff,
    /// The copies are ended before hupwatch leaves.
    KillAtExit,
    /// The copies run on without hupwatch.
    Detached,
    /// Nothing runs.
    NotUp,
}

/// The actions of one step.
pub type Actions = crate::actions::Actions<Action, 16>;

/// Whether hupwatch is to leave, and how far that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    PutOff,
    /// These groups are being ended; `then` is what hupwatch exits with.
    Ending {
        groups: [Option<Group>; 2],
        then: Option<Exit>,
    },
    Left,
}

/// The process group of a copy, which is ended before hupwatch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    leader: Pid,
    /// The leader was not reaped yet.
    lives: bool,
    /// The whole group was sent TERM, not only the leader.
    told: bool,
    /// When the whole group is killed; `None` if that was done.
    kill_at: Option<Tick>,
}

/// The state of hupwatch.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Plan,
    main: Option<Pid>,
    overlap: Overlap,
    leaving: Leaving,
}

impl Machine {
    /// Makes the machine. Nothing runs yet.
    pub const fn new(plan: Plan) -> Machine {
        Machine { plan, main: None, overlap: Overlap::new(), leaving: Leaving::No }
    }

    /// The main copy, which serves.
    pub const fn main(&self) -> Option<Pid> {
        self.main
    }

    /// The new copy, while it is not ready.
    pub const fn warming(&self) -> Option<Pid> {
        self.overlap.warming()
    }

    /// Every copy that lives.
    pub fn copies(&self) -> impl Iterator<Item = Pid> {
        self.main.into_iter().chain(self.overlap.second_pid())
    }

    /// The leaders of the process groups that are being ended before hupwatch leaves.
    pub fn ending(&self) -> [Option<Pid>; 2] {
        self.groups().map(|group| group.map(|group| group.leader))
    }

    const fn groups(&self) -> [Option<Group>; 2] {
        match self.leaving {
            Leaving::Ending { groups, .. } => groups,
            Leaving::No | Leaving::PutOff | Leaving::Left => [None; 2],
        }
    }

    /// The time at which an [`Event::Timeout`] is due; `None` if nothing is.
    pub fn deadline(&self) -> Option<Tick> {
        let ending = self.groups().into_iter().flatten().filter_map(|group| group.kill_at);
        self.overlap.deadline().into_iter().chain(ending).min()
    }

    /// Takes in one event, and returns the actions that follow.
    pub fn step(&mut self, now: Tick, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Begin => todo.push(Action::Spawn),
            Event::Hup => self.hup(now, &mut todo),
            Event::Leave => self.leave(now, &mut todo),
            Event::Started(pid) => self.started(now, pid, &mut todo),
            Event::SpawnFailed if self.main.is_none() => self.quit(None, &mut todo),
            Event::SpawnFailed => self.overlap(now, overlap::Event::SpawnFailed, &mut todo),
            Event::Ready(pid) => self.overlap(now, overlap::Event::Ready(pid), &mut todo),
            Event::Extend(pid, time) => self.overlap(now, overlap::Event::Extend(pid, time), &mut todo),
            Event::Died { pid, exit, group_exists } => self.died(now, pid, exit, group_exists, &mut todo),
            Event::GroupGone(leader) => self.group_gone(leader, &mut todo),
            Event::Timeout => self.timeout(now, &mut todo),
        }
        todo
    }

    fn started(&mut self, now: Tick, pid: Pid, todo: &mut Actions) {
        if self.main.is_none() {
            self.main = Some(pid);
            todo.push(Action::Say(Say::FirstStarted(pid)));
        } else {
            todo.push(Action::Say(Say::WarmsUp(pid)));
            self.overlap(now, overlap::Event::Started(pid), todo);
        }
    }

    fn hup(&mut self, now: Tick, todo: &mut Actions) {
        if self.leaving != Leaving::No {
            return;
        }
        if !self.overlap.is_idle() {
            todo.push(Action::Say(Say::Remembered));
        }
        self.overlap(now, overlap::Event::Ask(self.plan.settings), todo);
    }

    fn leave(&mut self, now: Tick, todo: &mut Actions) {
        match self.leaving {
            Leaving::No | Leaving::PutOff if self.overlap.is_idle() => self.leave_now(now, todo),
            Leaving::No | Leaving::PutOff => {
                todo.push(Action::Say(Say::PutOff));
                self.leaving = Leaving::PutOff;
                self.overlap.forget();
            }
            Leaving::Ending { .. } | Leaving::Left => {}
        }
    }

    fn leave_now(&mut self, now: Tick, todo: &mut Actions) {
        match (self.main, self.plan.kill_at_exit) {
            (Some(leader), Some(grace)) => {
                todo.push(Action::Say(Say::KillAtExit));
                todo.push(Action::TermGroup(leader));
                let group = Group { leader, lives: true, told: true, kill_at: Some(now.after(grace)) };
                self.leaving = Leaving::Ending { groups: [Some(group), None], then: None };
            }
            (Some(_), None) => {
                todo.push(Action::Say(Say::Detached));
                self.quit(None, todo);
            }
            (None, _) => {
                todo.push(Action::Say(Say::NotUp));
                self.quit(None, todo);
            }
        }
    }

    fn quit(&mut self, exit: Option<Exit>, todo: &mut Actions) {
        self.leaving = Leaving::Left;
        todo.push(Action::Quit(exit));
    }

    /// Passes an event to the overlap, and translates its actions.
    fn overlap(&mut self, now: Tick, event: overlap::Event, todo: &mut Actions) {
        let was_idle = self.overlap.is_idle();
        for action in self.overlap.step(now, self.main, event) {
            match action {
                overlap::Action::Spawn => {
                    // A reload that was remembered begins when the one before ends.
                    if !was_idle {
                        todo.push(Action::Say(Say::ReloadEnds));
                    }
                    todo.push(Action::Say(Say::ReloadBegins));
                    todo.push(Action::Spawn);
                }
                overlap::Action::Promote(pid) => {
                    if let Some(old) = self.main.filter(|_| !matches!(event, overlap::Event::Died(..))) {
                        todo.push(Action::Say(Say::OldIsTold(old)));
                    }
                    self.main = Some(pid);
                }
                overlap::Action::Term(pid) => todo.push(Action::Term(pid)),
                overlap::Action::Kill(pid) => {
                    todo.push(Action::Say(Say::Killed(pid)));
                    todo.push(Action::KillGroup(pid));
                }
                overlap::Action::EndGroup(pid) => todo.push(Action::KillGroup(pid)),
                overlap::Action::GiveUp(why) => todo.push(Action::Say(Say::GivenUp(why))),
            }
        }
        if !was_idle && self.overlap.is_idle() {
            todo.push(Action::Say(Say::ReloadEnds));
            if self.leaving == Leaving::PutOff {
                self.leave_now(now, todo);
            }
        }
    }

    fn died(&mut self, now: Tick, pid: Pid, exit: Exit, group_exists: bool, todo: &mut Actions) {
        match self.leaving {
            Leaving::Ending { .. } => return self.leader_died(pid, group_exists, todo),
            Leaving::Left => return,
            Leaving::No | Leaving::PutOff => {}
        }
        if !self.overlap.is_idle() && self.copies().any(|copy| copy == pid) {
            todo.push(Action::Say(Say::ChildQuit));
            self.died_in_reload(now, pid, exit, todo);
        } else if self.main != Some(pid) {
            return todo.push(Action::Say(Say::PrimaryIsUp));
        }
        if self.main == Some(pid) {
            self.main_died(now, pid, exit, group_exists, todo);
        }
    }

    /// Reports the death of a copy during a reload, before its consequences.
    fn died_in_reload(&mut self, now: Tick, pid: Pid, exit: Exit, todo: &mut Actions) {
        if let overlap::Second::Leaving { pid: leaving, new, .. } = self.overlap.second()
            && leaving == pid
        {
            todo.push(Action::Say(if new { Say::NewQuit(exit) } else { Say::OldQuit(exit) }));
        } else if self.main == Some(pid) && self.overlap.warming().is_some() {
            // The new copy takes over at once.
            todo.push(Action::Say(Say::OldQuit(exit)));
        }
        self.overlap(now, overlap::Event::Died(pid, exit), todo);
    }

    /// Handles the death of the main copy when no new copy takes over. A copy that is leaving was already told to end. Without
    /// kill-at-exit it stays behind; with kill-at-exit it may finish its requests, for as long as it could before.
    fn main_died(&mut self, now: Tick, pid: Pid, exit: Exit, group_exists: bool, todo: &mut Actions) {
        self.main = None;
        todo.push(Action::Say(Say::PrimaryQuit(exit)));
        let Some(grace) = self.plan.kill_at_exit else {
            return self.quit(Some(exit), todo);
        };
        let by_grace = now.after(grace);
        let left = group_exists.then_some(Group { leader: pid, lives: false, told: true, kill_at: Some(by_grace) });
        if group_exists {
            todo.push(Action::TermGroup(pid));
        }
        let second = self.overlap.second_pid().map(|leader| {
            let kill_at = self.overlap.deadline().or(Some(by_grace));
            Group { leader, lives: true, told: false, kill_at }
        });
        self.overlap = Overlap::new();
        self.leaving = Leaving::Ending { groups: [left, second], then: Some(exit) };
        self.quit_if_ended(todo);
    }

    /// Handles the death of the leader of a group that is being ended: the rest of the group is told to end too, if it
    /// was not.
    fn leader_died(&mut self, pid: Pid, group_exists: bool, todo: &mut Actions) {
        self.main.take_if(|main| *main == pid);
        self.each_group(|group| {
            if group.leader != pid {
                return true;
            }
            group.lives = false;
            if group_exists && !group.told {
                group.told = true;
                todo.push(Action::TermGroup(pid));
            }
            // The rest of the group was killed too.
            group.kill_at.is_some()
        });
        self.quit_if_ended(todo);
    }

    fn group_gone(&mut self, leader: Pid, todo: &mut Actions) {
        self.each_group(|group| group.leader != leader || group.lives);
        self.quit_if_ended(todo);
    }

    /// Keeps only those of the groups being ended for which `keep` returns true.
    fn each_group(&mut self, mut keep: impl FnMut(&mut Group) -> bool) {
        if let Leaving::Ending { groups, .. } = &mut self.leaving {
            for group in groups {
                group.take_if(|group| !keep(group));
            }
        }
    }

    fn quit_if_ended(&mut self, todo: &mut Actions) {
        if let Leaving::Ending { groups: [None, None], then } = self.leaving {
            self.quit(then, todo);
        }
    }

    fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        match self.leaving {
            Leaving::Ending { .. } => {
                self.each_group(|group| {
                    if group.kill_at.is_none_or(|kill_at| kill_at > now) {
                        return true;
                    }
                    todo.push(Action::Say(Say::Killed(group.leader)));
                    todo.push(Action::KillGroup(group.leader));
                    group.kill_at = None;
                    // If the leader of a group is dead, nothing may report the end of the others, so hupwatch does not
                    // wait for them.
                    group.lives
                });
                self.quit_if_ended(todo);
            }
            Leaving::Left => {}
            Leaving::No | Leaving::PutOff => self.overlap(now, overlap::Event::Timeout, todo),
        }
    }
}

impl Plan {
    /// Returns whether a copy says itself when it is ready.
    pub const fn is_declared(&self) -> bool {
        matches!(self.settings.readiness, Readiness::Declared(_))
    }
}
