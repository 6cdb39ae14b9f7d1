//! What `supervise` decides for its one service.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | down | nothing runs, nothing is due | `u`, `o`: starting or waiting; `x`: quit |
//! | waiting | down, and due to start at a deadline | the deadline: starting; `d`: down; `x`: quit, unless `u` or `o` asked for the start |
//! | starting | the loop forks in this moment | the fork's success: up; its failure: waiting for 60 seconds if wanted up, else down |
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
//! With [`Machine::make_last_run`], a `run` that ends by itself, whatever its code, is the end: supervise leaves. One that was sent a signal
//! to end it by a command is started again, or not, as always.
//!
//! A supervise that was killed comes back with what its status record tells ([`Machine::resume`]): it is up with the same
//! child, or learns at once that the child ended while nobody looked.

use std::num::NonZeroU32;

use svdir::{Command, Exit, More, Run, Status, Want};
use tai::Label;

use crate::{Pid, SECOND, Tick};

/// From one start to the next at least this passes: daemontools' pace.
pub const PACE: u64 = SECOND;
/// After a fork that failed, the next is tried by itself this much later: Debian's daemontools.
pub const FORK_RETRY: u64 = 60 * SECOND;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Supervision begins.
    Begin,
    /// What [`Action::Spawn`] asked for made this child.
    Started(Pid),
    /// That failed.
    SpawnFailed,
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
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs { down_signal: Signal::Term, reload_signal: Signal::Hup, timeout_kill: None }
    }
}

/// What is to be done, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start `run`, and say how it went by [`Event::Started`] or [`Event::SpawnFailed`] before any other event. The child
    /// itself takes the time and writes [`Machine::record_once_started`] before it becomes `run`.
    Spawn,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    list: [Option<Action>; 4],
}

impl Actions {
    /// No step needs more than fits; the tests hold it to that.
    fn push(&mut self, action: Action) {
        let free = self.list.iter_mut().find(|place| place.is_none());
        debug_assert!(free.is_some(), "too many actions");
        if let Some(place) = free {
            *place = Some(action);
        }
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Action>, 4>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
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
            exiting: false,
            last_run: false,
            ended: false,
            last_start: None,
            starts: 0,
            last_exit: None,
            knobs: Knobs::default(),
        }
    }

    /// Goes on from what a supervise that was killed had written. The child counts as alive until [`Event::Died`]; `last_start`
    /// is when it was born, if that can be told. A KILL that was due comes when the time for it, which begins anew, is over.
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
            kill_at: knobs.timeout_kill.filter(|_| more.kill_due).map(|timeout| now.after(timeout)),
            declares: more.declares,
            ready: more.ready.is_some() && status.pid.is_some(),
            exiting: more.exiting,
            last_run: more.last_run,
            ended: more.ended,
            last_start,
            starts: more.starts,
            last_exit: more.last_exit,
            knobs,
        }
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
        match self.service {
            Service::Waiting { until, .. } => Some(until),
            Service::Up(_) => self.kill_at,
            Service::Down | Service::Starting => None,
        }
    }

    /// Whether [`Knobs`] matter to a command.
    pub fn needs_knobs(command: Command) -> bool {
        matches!(command, Command::Down | Command::Restart | Command::Reload)
    }

    /// Whether the process of the start that is being made will tell when it is ready.
    pub fn declare(&mut self, declares: bool) {
        self.declares = declares;
    }

    /// Whether the process tells when it is ready, and has not yet.
    pub fn awaits_ready(&self) -> bool {
        self.pid().is_some() && self.declares && !self.ready
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

    /// Takes in one event and returns what is to be done about it.
    pub fn step(&mut self, now: Tick, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Begin => self.begin(now, &mut todo),
            Event::Started(pid) => self.started(pid),
            Event::SpawnFailed => self.spawn_failed(now, &mut todo),
            Event::Died(pid, exit) => {
                if self.service == Service::Up(pid) {
                    self.died(now, exit, &mut todo);
                }
            }
            Event::Stopped(pid) => self.observe_pause(pid, true, &mut todo),
            Event::Continued(pid) => self.observe_pause(pid, false, &mut todo),
            Event::Ready(pid) => self.observe_ready(pid, true, &mut todo),
            Event::Unready(pid) => self.observe_ready(pid, false, &mut todo),
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
            Command::Exit => self.exit(todo),
            Command::Pause => {
                self.paused = true;
                todo.push(Action::Announce);
                self.signal(Signal::Stop, todo);
            }
            Command::Continue => {
                self.paused = false;
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
        match self.service {
            Service::Up(_) => self.end(now, todo),
            Service::Waiting { .. } => self.service = Service::Down,
            Service::Down | Service::Starting => {}
        }
        todo.push(Action::Announce);
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

    fn exit(&mut self, todo: &mut Actions) {
        self.exiting = true;
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

    fn observe_pause(&mut self, pid: Pid, paused: bool, todo: &mut Actions) {
        if self.service == Service::Up(pid) && self.paused != paused {
            self.paused = paused;
            todo.push(Action::Announce);
        }
    }

    fn observe_ready(&mut self, pid: Pid, ready: bool, todo: &mut Actions) {
        if self.service == Service::Up(pid) && self.declares && self.ready != ready {
            self.ready = ready;
            if ready {
                todo.push(Action::StampReady);
            }
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
        match self.service {
            Service::Waiting { until, .. } if until <= now => self.spawn(now, todo),
            Service::Up(_) if self.kill_at.is_some_and(|kill_at| kill_at <= now) => {
                self.kill_at = None;
                self.signal(Signal::Kill, todo);
                todo.push(Action::Announce);
            }
            Service::Waiting { .. } | Service::Down | Service::Starting | Service::Up(_) => {}
        }
    }

    fn started(&mut self, pid: Pid) {
        self.service = Service::Up(pid);
        self.paused = false;
        self.ready = false;
        self.forget_ending();
    }

    fn forget_ending(&mut self) {
        self.got_term = false;
        self.ending = false;
        self.kill_at = None;
    }

    fn spawn_failed(&mut self, now: Tick, todo: &mut Actions) {
        self.service = if self.want == Want::Up && !self.exiting {
            Service::Waiting { until: now.after(FORK_RETRY), asked: false }
        } else {
            Service::Down
        };
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn died(&mut self, now: Tick, exit: Exit, todo: &mut Actions) {
        self.service = Service::Down;
        self.last_exit = Some(exit);
        self.ready = false;
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
        if self.exiting && self.service == Service::Down {
            todo.push(Action::Quit);
        }
    }
}
