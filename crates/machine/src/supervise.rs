//! What `supervise` decides for its one service.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | down | nothing runs, nothing is due | `u`, `o`: starting or waiting; `x`: quit |
//! | waiting | down, and due to start at a deadline | the deadline: starting; `d`: down; `x`: quit, unless `u` or `o` asked for the start |
//! | starting | the loop forks in this moment | the fork's success: up; its failure: waiting for 60 seconds if wanted up, else down; what it needs cannot be had: the same for a second |
//! | up | the child runs | its death: starting or waiting if wanted up, else down; quit if exiting |
//!
//! Besides it knows what is wanted (up, down, once), whether the child is paused, and whether it is to exit, which cannot be
//! taken back.
//!
//! At least one second passes from one start to the next. That is a deadline, never a sleep: commands act while it runs. A
//! start that `u` or `o` asked for within that second is made when it is over, also after an `x` (`ox` is "run once, then leave");
//! a `d` takes it back. A restart that nobody asked for is given up by `x`.
//!
//! A service that `d` or `r` has told to end, and that does not within [`Knobs::timeout_kill`], gets KILL then, whatever was
//! commanded meanwhile.
//!
//! `R` replaces the process by a new copy ([`crate::reload`]): for that time there are two, the main one, which is the state above, and
//! a second. What comes in the middle of it:
//!
//! | command | while the new copy is not ready | while the old copy ends |
//! |---|---|---|
//! | `u`, `o` | what is wanted changes, the replacement goes on | the same |
//! | `d` | both are told to end, and none follows | the new one is told to end too |
//! | `x` | the new copy is told to end; supervise leaves when both have ended | supervise leaves when both have ended |
//! | `t`, `k`, `r`, and every other signal | the old copy gets it; if it ends, the new one is the main one at once | the new copy gets it |
//! | `R` | is remembered, once, and done afterwards | the same |
//!
//! The death of the main copy while a new one is not ready makes that the main one. While an old copy still ends, a dead main one is started
//! again as ever.
//!
//! A service that is to tell that it is alive ([`Machine::watch`]) is held to that from when it is ready until it says that it ends. If it has
//! not told within its interval, or says itself that it hangs, it gets ABRT, then KILL when [`Knobs::timeout_kill`] or else [`HUNG_GRACE`] is over;
//! its death is one like others. Whatever says that it is ready or alive, and the end of a pause, begin the interval anew. One that is paused, or
//! was told to end, is not judged, nor is any copy but the main one.
//!
//! A process may tell that the service is another one from now on ([`Event::Moved`]). Nothing else changes; that the old one ends means nothing
//! then. Where the service was told to end, the new process is told so too.
//!
//! With [`Machine::make_last_run`], a `run` that ends by itself, whatever its code, is the end: supervise leaves. One that was sent a signal
//! to end it by a command is started again, or not, as always.
//!
//! A supervise that was killed comes back with what its status record tells ([`Machine::resume`]): it is up with the same
//! child, or learns at once that the child ended while nobody looked.

use std::num::NonZeroU32;

use svdir::{Command, Exit, More, Role, Run, Status, Want};
use tai::Label;

use crate::reload::{self, Readiness, Reload, Second, Settings, Why};

use crate::{Pid, SECOND, Tick};

/// From one start to the next at least this passes: daemontools' pace.
pub const PACE: u64 = SECOND;
/// After a fork that failed, the next is tried by itself this much later: Debian's daemontools.
pub const FORK_RETRY: u64 = 60 * SECOND;

/// So long one that hangs may take to end, unless [`Knobs::timeout_kill`] says how long.
pub const HUNG_GRACE: u64 = 10 * SECOND;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Supervision begins.
    Begin,
    /// What [`Action::Spawn`] asked for made this child.
    Started(Pid),
    /// That failed.
    SpawnFailed,
    /// It was not even tried: something that the service needs cannot be had.
    SpawnRefused,
    /// What [`Action::SpawnBeside`] asked for made this child.
    StartedBeside(Pid),
    /// That failed, or was not even tried.
    SpawnBesideFailed,
    /// A child ended.
    Died(Pid, Exit),
    /// A child was stopped.
    Stopped(Pid),
    /// A child was continued.
    Continued(Pid),
    /// The process, of a service that tells so, is ready.
    Ready(Pid),
    /// It is not ready any more, and will tell when it is again.
    Unready(Pid),
    /// It is not ready any more, and ends by itself.
    Stopping(Pid),
    /// It is alive.
    Alive(Pid),
    /// It says of itself that it hangs.
    Hangs(Pid),
    /// From now on it tells within so many nanoseconds that it is alive; 0 for no more.
    Watch(Pid, u64),
    /// The process needs at least so many nanoseconds more to get ready.
    Extend(Pid, u64),
    /// The process, which serves or is to, says that it is the second one from now on, and [`Machine::can_move`].
    Moved(Pid, Pid),
    /// A command came.
    Command(Command),
    /// The deadline has come.
    Timeout,
}

/// A signal for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Signal {
    Term,
    Cont,
    Stop,
    Hup,
    Alarm,
    Int,
    Kill,
    Abort,
    Quit,
    Usr1,
    Usr2,
    Winch,
    /// The one that the system has under this number.
    Number(u8),
}

/// What the service directory says about signals. It is learned anew before a command that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Ends the service.
    pub down_signal: Signal,
    /// Makes it read its configuration again.
    pub reload_signal: Signal,
    /// How long it may take to end before it gets KILL, in nanoseconds; for ever if `None`.
    pub timeout_kill: Option<u64>,
    /// When a new copy takes the place of the old one.
    pub readiness: Readiness,
}

/// How long a new copy must live before the old one goes, where it does not tell when it is ready.
pub const WARM_UP: u64 = SECOND;

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            down_signal: Signal::Term,
            reload_signal: Signal::Hup,
            timeout_kill: None,
            readiness: Readiness::WarmUp(WARM_UP),
        }
    }
}

impl Knobs {
    fn settings(&self) -> Settings {
        Settings { readiness: self.readiness, grace: self.timeout_kill, give_up_grace: self.timeout_kill }
    }
}

/// What is to be done, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start `run`, and say how it went by [`Event::Started`], [`Event::SpawnFailed`] or [`Event::SpawnRefused`] before any other event. The child
    /// itself takes the time and writes [`Machine::record_once_started`] before it becomes `run`.
    Spawn,
    /// Start `run` beside the process that serves, and say how it went by [`Event::StartedBeside`] or [`Event::SpawnBesideFailed`] before
    /// any other event. Again the child writes the record, [`Machine::record_once_started_beside`].
    SpawnBeside,
    /// The second copy is the main one from now on, and if there was one before that is the second.
    Promote,
    /// A new copy has ended that did not become the main one: end what is left of its process group.
    EndGroup(Pid),
    /// Say that this process hangs, and will be ended: it has not told within so many nanoseconds that it is alive, or has said so itself.
    Hung(Pid, Option<u64>),
    /// Say that a replacement was given up.
    GiveUp(Why),
    /// Send a signal.
    Kill(Pid, Signal),
    /// Take the time: the pid has changed.
    Stamp,
    /// Take the time: the service is ready.
    StampReady,
    /// Write the status file.
    Announce,
    /// Leave.
    Quit,
}

/// The actions of one step.
pub type Actions = crate::actions::Actions<Action, 10>;

/// The overlap that a supervise which was killed has left behind. What was to be waited for is waited for anew. A group is not known: the copy
/// may have ended meanwhile, and its pid be somebody else's.
fn resume_reload(now: Tick, more: &More, knobs: Knobs) -> Reload {
    let settings = knobs.settings();
    let Some(svdir::Second { pid, role }) = more.second else {
        return Reload::new();
    };
    let pid = Pid(pid.get());
    let kill_at = settings.grace.map(|grace| now.after(grace));
    let leaving = |new| Second::Leaving { pid, new, group: None, kill_at };
    let second = match role {
        Role::Starting => {
            let until = match settings.readiness {
                Readiness::WarmUp(time) => Some(now.after(time)),
                Readiness::Declared(limit) => limit.map(|limit| now.after(limit)),
            };
            Second::Warming { pid, group: None, settings, until }
        }
        Role::EndingOld => leaving(false),
        Role::EndingNew => leaving(true),
    };
    Reload::resume_with(second, more.replace_due.then_some(settings))
}

fn second_record(reload: &Reload) -> Option<svdir::Second> {
    let (pid, role) = match reload.second() {
        Second::None | Second::Starting(_) => return None,
        Second::Warming { pid, .. } => (pid, Role::Starting),
        Second::Leaving { pid, new: false, .. } => (pid, Role::EndingOld),
        Second::Leaving { pid, new: true, .. } => (pid, Role::EndingNew),
    };
    Some(svdir::Second { pid: NonZeroU32::new(pid.0)?, role })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Down,
    Waiting { until: Tick, asked: bool },
    Starting,
    Up(Pid),
}

/// The state of supervision of one service.
#[derive(Clone, Debug)]
pub struct Machine {
    service: Service,
    want: Want,
    paused: bool,
    got_term: bool,
    /// The child was sent what shall end it.
    ending: bool,
    /// Then it gets KILL.
    kill_at: Option<Tick>,
    /// The service tells when it is ready: this process, or the next one if none runs.
    declares: bool,
    ready: bool,
    /// In nanoseconds; 0 for none.
    watchdog: u64,
    /// It is held to that.
    watched: bool,
    /// When it told so last, or the interval began anew.
    alive_at: Tick,
    exiting: bool,
    /// A `run` that ends by itself is the end.
    last_run: bool,
    /// That has happened.
    ended: bool,
    /// When a start was last tried.
    last_start: Option<Tick>,
    starts: u32,
    last_exit: Option<Exit>,
    knobs: Knobs,
    reload: Reload,
    /// The new copy tells when it is ready, and has told so.
    beside_declares: bool,
    beside_ready: bool,
    beside_watchdog: u64,
}

impl Machine {
    /// Nothing runs yet; `want` is up, or down where there is a `down` file.
    pub fn new(want: Want) -> Machine {
        Machine {
            service: Service::Down,
            want,
            paused: false,
            got_term: false,
            ending: false,
            kill_at: None,
            declares: false,
            ready: false,
            watchdog: 0,
            watched: false,
            alive_at: Tick::default(),
            exiting: false,
            last_run: false,
            ended: false,
            last_start: None,
            starts: 0,
            last_exit: None,
            knobs: Knobs::default(),
            reload: Reload::new(),
            beside_declares: false,
            beside_ready: false,
            beside_watchdog: 0,
        }
    }

    /// Goes on from what a supervise that was killed had written. The child counts as alive until [`Event::Died`]; `last_start`
    /// is when it was born, if that can be told. A KILL that was due comes when the time for it, which begins anew, is over; so does the
    /// interval within which it tells that it is alive.
    pub fn resume(now: Tick, status: &Status, more: &More, last_start: Option<Tick>, knobs: Knobs) -> Machine {
        let service = match status.pid {
            Some(pid) => Service::Up(Pid(pid.get())),
            // Begin makes of this what is due.
            None if more.start_due => Service::Waiting { until: Tick::default(), asked: true },
            None => Service::Down,
        };
        Machine {
            service,
            want: status.want,
            paused: status.paused,
            got_term: status.got_term,
            ending: more.ending,
            kill_at: more.kill_due.then(|| now.after(knobs.timeout_kill.unwrap_or(HUNG_GRACE))),
            declares: more.declares,
            ready: more.ready.is_some() && status.pid.is_some(),
            watchdog: more.watchdog,
            // The record of a version that knew no watchdog tells only that it is ready.
            watched: more.watched || more.ready.is_some(),
            alive_at: now,
            exiting: more.exiting,
            last_run: more.last_run,
            ended: more.ended,
            last_start,
            starts: more.starts,
            last_exit: more.last_exit,
            knobs,
            reload: resume_reload(now, more, knobs),
            beside_declares: matches!(knobs.readiness, Readiness::Declared(_)),
            beside_ready: false,
            beside_watchdog: more.second_watchdog,
        }
    }

    /// The process of the second copy, if there are two.
    pub fn second_pid(&self) -> Option<Pid> {
        self.reload.second_pid()
    }

    /// The second copy, which a predecessor has started, was found alive, and leads a process group.
    pub fn know_group(&mut self) {
        self.reload.know_group();
    }

    /// From now on a `run` that ends by itself is the end.
    pub fn make_last_run(&mut self) {
        self.last_run = true;
    }

    /// The process that runs, if one does.
    pub fn pid(&self) -> Option<Pid> {
        match self.service {
            Service::Up(pid) => Some(pid),
            Service::Down | Service::Waiting { .. } | Service::Starting => None,
        }
    }

    /// When a [`Event::Timeout`] is due; `None` if nothing is.
    pub fn deadline(&self) -> Option<Tick> {
        let own = match self.service {
            Service::Waiting { until, .. } => Some(until),
            Service::Up(_) => self.kill_at.or(self.hung_at()),
            Service::Down | Service::Starting => None,
        };
        [own, self.reload.deadline()].into_iter().flatten().min()
    }

    /// When the process counts as one that hangs, if it tells nothing until then.
    fn hung_at(&self) -> Option<Tick> {
        let judged = self.watched && self.watchdog > 0 && !self.paused && !self.ending && self.pid().is_some();
        judged.then(|| self.alive_at.after(self.watchdog))
    }

    /// Whether [`Event::Timeout`] would find the process hanging. Then [`Knobs`] matter.
    pub fn is_overdue(&self, now: Tick) -> bool {
        self.hung_at().is_some_and(|hung_at| hung_at <= now)
    }

    /// Whether [`Knobs`] matter to a command.
    pub fn needs_knobs(command: Command) -> bool {
        matches!(command, Command::Down | Command::Restart | Command::Reload | Command::Replace | Command::Exit)
    }

    /// Whether the process of the start that is being made will tell when it is ready.
    pub fn declare(&mut self, declares: bool) {
        self.declares = declares;
    }

    /// The same of the new copy that is being started beside the old one.
    pub fn declare_beside(&mut self, declares: bool) {
        self.beside_declares = declares;
    }

    /// Within how many nanoseconds the process of the start that is being made will tell that it is alive; 0 if it need not.
    pub fn watch(&mut self, interval: u64) {
        self.watchdog = interval;
    }

    /// The same of the new copy that is being started beside the old one.
    pub fn watch_beside(&mut self, interval: u64) {
        self.beside_watchdog = interval;
    }

    /// Whether the process tells when it is ready, and has not yet.
    pub fn awaits_ready(&self) -> bool {
        self.pid().is_some() && self.declares && !self.ready
    }

    /// The same of the new copy.
    pub fn awaits_ready_beside(&self) -> bool {
        self.reload.warming().is_some() && self.beside_declares
    }

    /// Whether `old` may become `new`: not if it was told to end to make place for another copy, nor if that is a copy already.
    pub fn can_move(&self, old: Pid, new: Pid) -> bool {
        let is_copy = [self.pid(), self.second_pid()].contains(&Some(new));
        !is_copy && (self.pid() == Some(old) || self.reload.warming() == Some(old))
    }

    /// Takes in what the service directory says now.
    pub fn learn(&mut self, knobs: Knobs) {
        self.knobs = knobs;
    }

    /// The status to announce; `since` is the time of the last stamp.
    pub fn status(&self, since: Label) -> Status {
        let pid = self.pid().and_then(|Pid(pid)| NonZeroU32::new(pid));
        Status {
            since,
            pid,
            paused: self.paused && pid.is_some(),
            want: self.want,
            got_term: self.got_term,
            run: if pid.is_some() { Run::Run } else { Run::Down },
        }
    }

    /// The record to announce: the status, and what stands behind it. What is not decided here is `more`'s.
    pub fn record(&self, since: Label, more: More) -> (Status, More) {
        let start_due = match self.service {
            // Announced before the start is made, so that a start that was asked for is not forgotten.
            Service::Starting => true,
            Service::Waiting { asked, .. } => asked,
            Service::Down | Service::Up(_) => false,
        };
        let decided = More {
            exiting: self.exiting,
            last_run: self.last_run,
            ended: self.ended,
            start_due,
            ending: self.ending,
            kill_due: self.kill_at.is_some(),
            declares: self.declares,
            ready: more.ready.filter(|_| self.ready),
            last_exit: self.last_exit,
            starts: self.starts,
            second: second_record(&self.reload),
            replace_due: self.reload.is_asked_again(),
            watchdog: self.watchdog,
            second_watchdog: self.beside_watchdog,
            watched: self.watched,
            ..more
        };
        (self.status(since), decided)
    }

    /// The record that the child `pid` of the start that is being made announces; `since` is the time of its birth.
    pub fn record_once_started(&self, pid: Pid, since: Label, more: More) -> (Status, More) {
        let mut up = self.clone();
        up.started(pid);
        up.record(since, more)
    }

    /// The same for a child that is started beside the one that serves.
    pub fn record_once_started_beside(&self, now: Tick, pid: Pid, since: Label, more: More) -> (Status, More) {
        let mut beside = self.clone();
        beside.reload.step(now, self.pid(), reload::Event::Started(pid));
        beside.record(since, more)
    }

    /// Takes in one event and returns what is to be done about it.
    pub fn step(&mut self, now: Tick, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Begin => self.begin(now, &mut todo),
            Event::Started(pid) => self.started(pid),
            Event::SpawnFailed => self.spawn_failed(now, FORK_RETRY, &mut todo),
            Event::SpawnRefused => {
                self.starts = self.starts.wrapping_sub(1);
                self.spawn_failed(now, PACE, &mut todo);
            }
            Event::StartedBeside(pid) => {
                self.beside_ready = false;
                self.reload(now, reload::Event::Started(pid), &mut todo);
            }
            Event::SpawnBesideFailed => {
                self.starts = self.starts.wrapping_sub(1);
                self.reload(now, reload::Event::SpawnFailed, &mut todo);
                todo.push(Action::Announce);
                self.quit_if_done(&mut todo);
            }
            Event::Died(pid, exit) => self.any_died(now, pid, exit, &mut todo),
            Event::Stopped(pid) => self.observe_pause(now, pid, true, &mut todo),
            Event::Continued(pid) => self.observe_pause(now, pid, false, &mut todo),
            Event::Ready(pid) if self.reload.warming() == Some(pid) => {
                self.beside_ready = true;
                self.reload(now, reload::Event::Ready(pid), &mut todo);
                if self.reload.warming().is_none() {
                    todo.push(Action::Announce);
                }
            }
            Event::Ready(pid) => self.observe_ready(now, pid, &mut todo),
            Event::Extend(pid, nanoseconds) => {
                self.reload(now, reload::Event::Extend(pid, nanoseconds), &mut todo);
            }
            Event::Unready(pid) => self.observe_unready(pid, false, &mut todo),
            Event::Stopping(pid) => self.observe_unready(pid, true, &mut todo),
            Event::Alive(pid) if self.service == Service::Up(pid) => self.alive_at = now,
            Event::Hangs(pid) if self.service == Service::Up(pid) && !self.ending && !self.paused => {
                self.hang(now, None, &mut todo);
            }
            Event::Alive(_) | Event::Hangs(_) => {}
            Event::Watch(pid, interval) => self.observe_interval(now, pid, interval, &mut todo),
            Event::Moved(old, new) => self.moved(now, old, new, &mut todo),
            Event::Command(command) => self.command(now, command, &mut todo),
            Event::Timeout => self.timeout(now, &mut todo),
        }
        todo
    }

    fn begin(&mut self, now: Tick, todo: &mut Actions) {
        match self.service {
            Service::Waiting { asked, .. } => self.start(now, asked, todo),
            Service::Down if self.want == Want::Up && !self.exiting => self.start(now, false, todo),
            Service::Down | Service::Starting | Service::Up(_) => {}
        }
        self.quit_if_done(todo);
    }

    fn command(&mut self, now: Tick, command: Command, todo: &mut Actions) {
        match command {
            Command::Up => self.want_start(now, Want::Up, todo),
            Command::Once => self.want_start(now, Want::Once, todo),
            Command::Down => self.down(now, todo),
            Command::Restart => self.restart(now, todo),
            Command::Exit => self.exit(now, todo),
            Command::Pause => {
                self.paused = true;
                todo.push(Action::Announce);
                self.signal(Signal::Stop, todo);
            }
            Command::Continue => {
                self.paused = false;
                self.alive_at = now;
                todo.push(Action::Announce);
                self.signal(Signal::Cont, todo);
            }
            Command::Hup => self.signal(Signal::Hup, todo),
            Command::Alarm => self.signal(Signal::Alarm, todo),
            Command::Interrupt => self.signal(Signal::Int, todo),
            Command::Term => self.term(todo),
            Command::Kill => self.kill(todo),
            Command::Quit => self.signal(Signal::Quit, todo),
            Command::Usr1 => self.signal(Signal::Usr1, todo),
            Command::Usr2 => self.signal(Signal::Usr2, todo),
            Command::Winch => self.signal(Signal::Winch, todo),
            Command::Reload => self.signal(self.knobs.reload_signal, todo),
            Command::Replace => self.replace(now, todo),
        }
    }

    fn want_start(&mut self, now: Tick, want: Want, todo: &mut Actions) {
        self.want = want;
        todo.push(Action::Announce);
        match self.service {
            Service::Down | Service::Waiting { .. } => self.start(now, true, todo),
            Service::Starting | Service::Up(_) => {}
        }
    }

    fn down(&mut self, now: Tick, todo: &mut Actions) {
        self.want = Want::Down;
        self.reload(now, reload::Event::Cancel, todo);
        match self.service {
            Service::Up(_) => self.end(now, todo),
            Service::Waiting { .. } => self.service = Service::Down,
            Service::Down | Service::Starting => {}
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    /// What is down is started, and what was told to end is as good as replaced.
    fn replace(&mut self, now: Tick, todo: &mut Actions) {
        match self.service {
            Service::Up(_) if self.ending || self.exiting => {
                self.want = if self.want == Want::Down { Want::Up } else { self.want };
                todo.push(Action::Announce);
            }
            Service::Up(_) => {
                self.reload(now, reload::Event::Ask(self.knobs.settings()), todo);
                if !self.reload.is_starting() {
                    todo.push(Action::Announce);
                }
            }
            Service::Down | Service::Waiting { .. } | Service::Starting => self.want_start(now, Want::Up, todo),
        }
    }

    /// Lets the overlap decide, and does what it says.
    fn reload(&mut self, now: Tick, event: reload::Event, todo: &mut Actions) {
        for action in self.reload.step(now, self.pid(), event) {
            match action {
                reload::Action::Spawn => {
                    self.last_start = Some(now);
                    self.starts = self.starts.wrapping_add(1);
                    todo.push(Action::SpawnBeside);
                }
                reload::Action::Promote(pid) => self.promote(now, pid, todo),
                reload::Action::Term(pid) => {
                    todo.push(Action::Kill(pid, self.knobs.down_signal));
                    todo.push(Action::Kill(pid, Signal::Cont));
                }
                reload::Action::Kill(pid) => todo.push(Action::Kill(pid, Signal::Kill)),
                reload::Action::EndGroup(pid) => todo.push(Action::EndGroup(pid)),
                reload::Action::GiveUp(why) => todo.push(Action::GiveUp(why)),
            }
        }
    }

    fn promote(&mut self, now: Tick, pid: Pid, todo: &mut Actions) {
        self.service = Service::Up(pid);
        self.paused = false;
        self.declares = self.beside_declares;
        self.ready = self.declares && self.beside_ready;
        self.watchdog = std::mem::take(&mut self.beside_watchdog);
        (self.watched, self.alive_at) = (self.ready, now);
        self.forget_ending();
        todo.push(Action::Promote);
        if self.ready {
            todo.push(Action::StampReady);
        }
    }

    fn any_died(&mut self, now: Tick, pid: Pid, exit: Exit, todo: &mut Actions) {
        let was_main = self.service == Service::Up(pid);
        if !was_main && self.reload.second_pid() != Some(pid) {
            return;
        }
        if was_main {
            self.last_exit = Some(exit);
        }
        self.reload(now, reload::Event::Died(pid, exit), todo);
        if self.service == Service::Up(pid) {
            return self.died(now, exit, todo);
        }
        if !self.reload.is_starting() {
            todo.push(Action::Announce);
        }
        self.quit_if_done(todo);
    }

    fn restart(&mut self, now: Tick, todo: &mut Actions) {
        if let Service::Up(_) = self.service {
            self.end(now, todo);
            todo.push(Action::Announce);
        }
    }

    /// Tells the service to end. One that is paused could not hear it.
    fn end(&mut self, now: Tick, todo: &mut Actions) {
        self.signal(self.knobs.down_signal, todo);
        self.signal(Signal::Cont, todo);
        self.paused = false;
        self.got_term |= self.knobs.down_signal == Signal::Term;
        self.ending = true;
        self.kill_at = self.kill_at.or(self.knobs.timeout_kill.map(|timeout| now.after(timeout)));
    }

    /// Ends what hangs, by a signal that leaves a core dump where one is wanted.
    fn hang(&mut self, now: Tick, within: Option<u64>, todo: &mut Actions) {
        let Service::Up(pid) = self.service else {
            return;
        };
        todo.push(Action::Hung(pid, within));
        todo.push(Action::Kill(pid, Signal::Abort));
        todo.push(Action::Kill(pid, Signal::Cont));
        self.ending = true;
        self.kill_at = Some(now.after(self.knobs.timeout_kill.unwrap_or(HUNG_GRACE)));
        todo.push(Action::Announce);
    }

    fn exit(&mut self, now: Tick, todo: &mut Actions) {
        self.exiting = true;
        self.reload(now, reload::Event::Cancel, todo);
        if let Service::Waiting { asked: false, .. } = self.service {
            self.service = Service::Down;
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    /// The status says that TERM was sent, for runit's `sv`; so it is written when that becomes true.
    fn term(&mut self, todo: &mut Actions) {
        let Service::Up(_) = self.service else {
            return;
        };
        self.signal(Signal::Term, todo);
        if !(self.got_term && self.ending) {
            (self.got_term, self.ending) = (true, true);
            todo.push(Action::Announce);
        }
    }

    fn kill(&mut self, todo: &mut Actions) {
        let Service::Up(_) = self.service else {
            return;
        };
        self.signal(Signal::Kill, todo);
        if !self.ending {
            self.ending = true;
            todo.push(Action::Announce);
        }
    }

    fn signal(&self, signal: Signal, todo: &mut Actions) {
        if let Service::Up(pid) = self.service {
            todo.push(Action::Kill(pid, signal));
        }
    }

    fn moved(&mut self, now: Tick, old: Pid, new: Pid, todo: &mut Actions) {
        if !self.can_move(old, new) {
            return;
        }
        if self.service == Service::Up(old) {
            self.service = Service::Up(new);
            (self.paused, self.got_term, self.alive_at) = (false, false, now);
            todo.push(Action::Stamp);
            if self.ending {
                self.signal(self.knobs.down_signal, todo);
                self.signal(Signal::Cont, todo);
                self.got_term = self.knobs.down_signal == Signal::Term;
            }
        } else {
            self.reload(now, reload::Event::Moved(old, new), todo);
        }
        todo.push(Action::Announce);
    }

    fn observe_pause(&mut self, now: Tick, pid: Pid, paused: bool, todo: &mut Actions) {
        if self.service == Service::Up(pid) && self.paused != paused {
            self.paused = paused;
            self.alive_at = now;
            todo.push(Action::Announce);
        }
    }

    fn observe_ready(&mut self, now: Tick, pid: Pid, todo: &mut Actions) {
        if self.service != Service::Up(pid) || !self.declares {
            return;
        }
        self.alive_at = now;
        if !self.ready {
            (self.ready, self.watched) = (true, true);
            todo.push(Action::StampReady);
            todo.push(Action::Announce);
        }
    }

    fn observe_unready(&mut self, pid: Pid, stopping: bool, todo: &mut Actions) {
        let watched = self.watched && !stopping;
        if self.service == Service::Up(pid) && (self.ready, self.watched) != (false, watched) {
            (self.ready, self.watched) = (false, watched);
            todo.push(Action::Announce);
        }
    }

    fn observe_interval(&mut self, now: Tick, pid: Pid, interval: u64, todo: &mut Actions) {
        let known = if self.service == Service::Up(pid) {
            self.alive_at = now;
            &mut self.watchdog
        } else if self.reload.warming() == Some(pid) {
            &mut self.beside_watchdog
        } else {
            return;
        };
        if *known != interval {
            *known = interval;
            todo.push(Action::Announce);
        }
    }

    /// Starts now, or when the second since the last start is over.
    fn start(&mut self, now: Tick, asked: bool, todo: &mut Actions) {
        let until = self.last_start.map_or(now, |last| last.after(PACE));
        if until > now {
            self.service = Service::Waiting { until, asked };
        } else {
            self.spawn(now, todo);
        }
    }

    fn spawn(&mut self, now: Tick, todo: &mut Actions) {
        self.service = Service::Starting;
        self.last_start = Some(now);
        self.starts = self.starts.wrapping_add(1);
        todo.push(Action::Spawn);
    }

    fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        if self.reload.deadline().is_some_and(|deadline| deadline <= now) {
            self.reload(now, reload::Event::Timeout, todo);
            todo.push(Action::Announce);
        }
        match self.service {
            Service::Waiting { until, .. } if until <= now => self.spawn(now, todo),
            Service::Up(_) if self.kill_at.is_some_and(|kill_at| kill_at <= now) => {
                self.kill_at = None;
                self.signal(Signal::Kill, todo);
                todo.push(Action::Announce);
            }
            Service::Up(_) if self.is_overdue(now) => self.hang(now, Some(self.watchdog), todo),
            Service::Waiting { .. } | Service::Down | Service::Starting | Service::Up(_) => {}
        }
    }

    fn started(&mut self, pid: Pid) {
        self.service = Service::Up(pid);
        self.paused = false;
        (self.ready, self.watched) = (false, false);
        self.forget_ending();
    }

    fn forget_ending(&mut self) {
        self.got_term = false;
        self.ending = false;
        self.kill_at = None;
    }

    fn spawn_failed(&mut self, now: Tick, pause: u64, todo: &mut Actions) {
        self.service = if self.want == Want::Up && !self.exiting {
            Service::Waiting { until: now.after(pause), asked: false }
        } else {
            Service::Down
        };
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn died(&mut self, now: Tick, exit: Exit, todo: &mut Actions) {
        self.service = Service::Down;
        self.last_exit = Some(exit);
        (self.ready, self.watched) = (false, false);
        if self.last_run && !self.ending {
            (self.ended, self.exiting) = (true, true);
        }
        self.forget_ending();
        todo.push(Action::Stamp);
        if self.want == Want::Up && !self.exiting {
            self.start(now, false, todo);
        }
        // What starts at once announces itself: to write a file takes longer than to start a process.
        if self.service != Service::Starting {
            todo.push(Action::Announce);
        }
        self.quit_if_done(todo);
    }

    fn quit_if_done(&self, todo: &mut Actions) {
        if self.exiting && self.service == Service::Down && self.reload.is_idle() {
            todo.push(Action::Quit);
        }
    }
}
