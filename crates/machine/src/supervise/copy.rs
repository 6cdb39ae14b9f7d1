//! One copy of the service: a process, and what is known about it.
//!
//! A copy says when it is ready, or counts as ready when it runs. A copy that uses sd_notify may have a watchdog: from when it is ready until it says
//! that it ends, it must say within its interval that it is alive. Each message that it is ready or alive, and the end of a pause, begins the
//! interval anew. The watchdog does not judge a copy that is paused or was told to end. A copy that was told to end is not checked any more, so that
//! it is not found ready while it ends.
//!
//! Where the directory says so, a copy that says when it is ready must be so in time ([`patience`](super::patience)). The main copy is held to that as it is to its watchdog.

use std::num::NonZeroU32;

use svdir::KillMode;
use svdir::record::{self, Reload};

use super::Actions;
use super::events::{Action, Job, NotStarted, Say, Slot, Target};
use super::health::Health;
use super::leftovers::Ended;
use super::patience::Patience;
use crate::probe::{self, Probe};
use crate::{Pid, Signal, Tick};

/// The outcome of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The new process.
    pub pid: Pid,
    /// It has executed `run`. If not, it ends at once, and a warning was printed.
    pub executed: bool,
    /// It says when it is ready, in whatever way.
    pub declares: bool,
    /// `check` is one of these ways.
    pub check: bool,
    /// It has a notify socket to say things by.
    pub tells: bool,
    /// The watchdog interval in nanoseconds; 0 for no watchdog.
    pub watchdog: u64,
    /// The interval of `health` in nanoseconds; 0 if there is no `health`.
    pub health: u64,
    /// What is told to end with it, and what may be left behind.
    pub mode: KillMode,
    /// How long it may take to get ready, in nanoseconds; 0 for no limit.
    pub patience: u64,
    /// How long `start`, `control/u` or `stop` may take, in nanoseconds; for ever if `None`.
    pub limit: Option<u64>,
}

impl Start {
    /// The start of a process without readiness and watchdog.
    pub const fn plain(pid: Pid) -> Start {
        Start {
            pid,
            executed: true,
            declares: false,
            check: false,
            tells: false,
            watchdog: 0,
            health: 0,
            mode: KillMode::Process,
            patience: 0,
            limit: None,
        }
    }
}

/// A process that was told to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// TERM was sent.
    pub got_term: bool,
    /// When it gets KILL; `None` for never, or if it got that already.
    pub kill_at: Option<Tick>,
    /// It got KILL because its time was over.
    pub killed: bool,
}

/// A process that runs `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The process.
    pub pid: Pid,
    /// When it was started; if it was taken over, when that was: what was counted begins anew then.
    pub since: Tick,
    /// It has executed `run`.
    pub executed: bool,
    /// It says when it is ready.
    pub declares: bool,
    /// It has said that it is ready.
    pub ready: bool,
    /// Its watchdog runs: it has been ready, and has not said that it ends.
    pub watched: bool,
    /// The watchdog interval in nanoseconds; 0 for no watchdog.
    pub watchdog: u64,
    /// When the watchdog interval began, usually the last message that it is alive.
    pub alive_at: Tick,
    /// It is stopped by a signal.
    pub paused: bool,
    /// It was told to end.
    pub ending: Option<Ending>,
    /// The runs of `check`.
    pub probe: Probe,
    /// The runs of `health`.
    pub health: Health,
    /// Its last reload, if it can tell of that.
    pub reload: Option<Reload>,
    /// It leads a process group of its own.
    pub leads: bool,
    /// Somebody has told it to end by a command. A watchdog is nobody.
    pub asked: bool,
    /// What is told to end with it, and what may be left behind.
    pub mode: KillMode,
    /// The process group that counts as it, unless the mode is `process`. It leads that group, or has led it before it moved.
    pub group: Option<Pid>,
    /// All that is told to end with it was told so.
    pub stopped: bool,
    /// How long it may take to get ready.
    pub patience: Patience,
}

impl Copy {
    /// Makes a copy that was started now.
    pub fn new(now: Tick, start: Start) -> Copy {
        let mut probe = Probe::default();
        if start.check {
            probe.begin(now);
        }
        Copy {
            pid: start.pid,
            since: now,
            executed: start.executed,
            declares: start.declares,
            ready: false,
            watched: false,
            watchdog: start.watchdog,
            alive_at: now,
            paused: false,
            ending: None,
            probe,
            health: Health::new(start.health),
            reload: start.tells.then(Reload::default),
            leads: start.mode.leads(),
            asked: false,
            mode: start.mode,
            group: start.mode.leads().then_some(start.pid),
            stopped: false,
            patience: Patience::new(now, start.patience),
        }
    }

    /// The time at which it counts as hanging, if no message comes before.
    fn hung_at(&self) -> Option<Tick> {
        let judged = self.watched && self.watchdog > 0 && !self.paused && self.ending.is_none();
        judged.then(|| self.alive_at.after(self.watchdog))
    }

    /// Takes in that a job runs as this process, if it is about this copy.
    pub fn job_started(&mut self, now: Tick, job: Job, pid: Pid) {
        match job {
            Job::Check(about) if about == self.pid => self.probe.started(now, pid),
            Job::Health(about) if about == self.pid => self.health.started(now, pid),
            Job::Check(_) | Job::Health(_) | Job::Hook(_) | Job::Control(..) => {}
        }
    }

    /// Takes in that a job was not started, if it is about this copy.
    pub fn job_not_started(&mut self, now: Tick, job: Job, why: NotStarted) {
        match job {
            Job::Check(about) if about == self.pid => self.probe.not_started(now),
            Job::Health(about) if about == self.pid => self.health.not_started(now, why == NotStarted::Gone),
            Job::Check(_) | Job::Health(_) | Job::Hook(_) | Job::Control(..) => {}
        }
    }

    /// The time at which it should have been ready, if it does not say before that it is.
    fn late_at(&self) -> Option<Tick> {
        self.patience.deadline().filter(|_| self.executed && !self.paused && self.ending.is_none())
    }

    /// Why it is to be ended, if it is overdue: it counts as hanging, or has not got ready in time.
    pub fn overdue(&self, now: Tick) -> Option<Say> {
        let is_due = |at: &Tick| *at <= now;
        let hung = self.hung_at().filter(is_due).map(|_| Say::Hung(self.pid, Some(self.watchdog)));
        hung.or_else(|| self.late_at().filter(is_due).map(|_| Say::NotReady(self.pid, self.patience.limit())))
    }

    /// Which job about this copy runs as this process.
    pub fn job(&self, pid: Pid) -> Option<Job> {
        if self.probe.pid() == Some(pid) {
            Some(Job::Check(self.pid))
        } else {
            (self.health.pid() == Some(pid)).then_some(Job::Health(self.pid))
        }
    }

    /// Returns whether `health` may judge it, if it is the main copy: it has executed `run`, is ready if it says when it is, does not pause, and was not told to
    /// end.
    pub fn is_judged(&self) -> bool {
        self.executed && (self.ready || !self.declares) && !self.paused && self.ending.is_none()
    }

    /// The time at which KILL is due, or it is overdue.
    pub fn deadline(&self) -> Option<Tick> {
        let overdue_at = || [self.hung_at(), self.late_at()].into_iter().flatten().min();
        self.ending.map_or_else(overdue_at, |ending| ending.kill_at)
    }

    /// Takes in that it is stopped, or goes on: then all that it is held to begins anew.
    pub fn pause(&mut self, now: Tick, paused: bool) {
        if std::mem::replace(&mut self.paused, paused) && !paused {
            self.patience.begin_anew(now);
        }
        self.alive_at = now;
    }

    /// Makes it the main copy, which is held to all that from now on.
    pub fn promote(&mut self, now: Tick) {
        self.ready &= self.declares;
        (self.paused, self.ending) = (false, None);
        (self.watched, self.alive_at) = (self.ready, now);
        self.patience.begin_anew(now);
    }

    /// Takes in that it is ready. Returns whether that is new.
    pub fn observe_ready(&mut self, now: Tick) -> bool {
        if !self.declares {
            return false;
        }
        self.alive_at = now;
        self.watched = true;
        self.reload.iter_mut().for_each(|reload| reload.under_way = false);
        self.patience.end();
        !std::mem::replace(&mut self.ready, true)
    }

    /// Takes in that it reloads, since the moment `began` as it says, and is not ready any more.
    pub(super) fn observe_reload(&mut self, now: Tick, began: Option<u64>, todo: &mut Actions) {
        let known = (self.ready, self.reload);
        self.ready = false;
        if let Some(reload) = &mut self.reload {
            // What it says without a moment may be about the reload that is under way.
            let unknown = if reload.under_way { reload.began } else { 0 };
            *reload = Reload { began: began.map_or(unknown, |began| began.min(now.0)), under_way: true };
        }
        if known != (self.ready, self.reload) {
            todo.push(Action::Announce);
        }
    }

    /// Takes in that it ends by itself. Whatever a check may find, it will not be ready again.
    pub(super) fn observe_stopping(&mut self, todo: &mut Actions) {
        let was_checked = self.end_check(todo);
        if was_checked || self.ready || self.watched {
            todo.push(Action::Announce);
        }
        (self.ready, self.watched) = (false, false);
    }

    /// Takes in how often it says that it is alive, in nanoseconds. Returns whether that is new.
    pub fn observe_interval(&mut self, now: Tick, interval: u64) -> bool {
        self.alive_at = now;
        std::mem::replace(&mut self.watchdog, interval) != interval
    }

    /// Takes in that a command sends it a signal that ends it. Returns whether that is new.
    pub fn observe_order(&mut self, got_term: bool) -> bool {
        let before = (self.ending, self.asked);
        self.end(got_term, None);
        self.asked = true;
        (self.ending, self.asked) != before
    }

    /// Notes that it was told to end, and gets KILL at `kill_at` unless an earlier call has set that.
    pub fn end(&mut self, got_term: bool, kill_at: Option<Tick>) {
        let ending = self.ending.get_or_insert_default();
        ending.got_term |= got_term;
        ending.kill_at = ending.kill_at.or(kill_at);
    }

    /// Itself and all that is killed with it.
    fn all(&self) -> Target {
        match self.group {
            None => Target::Process(self.pid),
            Some(first) if self.mode == KillMode::Tree => Target::Tree(self.pid, first),
            Some(group) => Target::Led(self.pid, group),
        }
    }

    /// Sends the signal that ends the service to all that is told to end with it, and continues that, since what is paused would not act on the signal.
    pub(super) fn stop(&mut self, signal: Signal, todo: &mut Actions) {
        let target = if self.mode.tells() { self.all() } else { Target::Process(self.pid) };
        todo.push(Action::Signal(target, signal));
        todo.push(Action::Signal(target, Signal::CONT));
        self.stopped = self.mode == KillMode::Group;
    }

    /// Tells it to end, as somebody has asked for. The signal is `None` where a script is asked first.
    pub(super) fn tell_to_end(&mut self, signal: Option<Signal>, kill_at: Option<Tick>, todo: &mut Actions) {
        self.asked = true;
        self.end(false, kill_at);
        if signal.is_some() {
            self.release(signal, todo);
        }
        self.end_check(todo);
    }

    /// Sends what a script has held back: the signal that ends it, unless that is not to be sent, and CONT.
    pub(super) fn release(&mut self, signal: Option<Signal>, todo: &mut Actions) {
        match signal {
            Some(signal) => self.stop(signal, todo),
            None => todo.push(Action::Signal(Target::Process(self.pid), Signal::CONT)),
        }
        self.paused = false;
        if let Some(ending) = &mut self.ending {
            ending.got_term |= signal == Some(Signal::TERM);
        }
    }

    /// Sends a signal to the process alone, and continues it.
    pub(super) fn send(&self, signal: Signal, todo: &mut Actions) {
        todo.push(Action::Signal(Target::Process(self.pid), signal));
        todo.push(Action::Signal(Target::Process(self.pid), Signal::CONT));
    }

    /// Kills it, with all that is killed with it.
    pub(super) fn kill(&self, todo: &mut Actions) {
        todo.push(Action::Signal(self.all(), Signal::KILL));
    }

    /// Kills it if it was told to end and has had its time.
    pub(super) fn kill_if_late(&mut self, now: Tick, todo: &mut Actions) {
        let Some(ending) = self.ending.as_mut().filter(|ending| ending.kill_at.is_some_and(|at| at <= now)) else {
            return;
        };
        (ending.kill_at, ending.killed) = (None, true);
        todo.push(Action::Say(Say::Late(self.pid)));
        self.kill(todo);
        todo.push(Action::Announce);
    }

    /// What it may have left behind when it has ended. `lost`: nothing of it may go on. `kill_at`: when it would have got KILL.
    pub(super) fn rest(&self, lost: bool, kill_at: Option<Tick>) -> Option<Ended> {
        let group = self.group.filter(|_| self.executed)?;
        let lost = lost || self.ending.is_some_and(|ending| ending.killed);
        // What descends from it is told only when it has ended.
        let stopped = self.stopped && self.mode == KillMode::Group;
        Some(Ended { group, mode: self.mode, lost, stopped, kill_at })
    }

    /// Runs `check` if it is due, and kills it if it hangs.
    pub(super) fn run_check(&mut self, now: Tick, todo: &mut Actions) {
        let due = self.probe.timeout(now);
        self.run(Job::Check(self.pid), due, todo);
    }

    /// Runs `health` if it is due, and kills it if it hangs.
    pub(super) fn run_health(&mut self, now: Tick, todo: &mut Actions) {
        if self.is_judged() {
            let due = self.health.timeout(now);
            self.run(Job::Health(self.pid), due, todo);
        }
    }

    fn run(&self, job: Job, due: Option<probe::Action>, todo: &mut Actions) {
        match due {
            None => {}
            Some(probe::Action::Run) => todo.push(Action::Start(Slot::Job(job))),
            Some(probe::Action::Kill(pid)) => todo.push(Action::Signal(Target::Job(pid), Signal::KILL)),
        }
    }

    /// Ends the checks about it, since its readiness does not matter any more. Returns whether there were any.
    pub(super) fn end_check(&mut self, todo: &mut Actions) -> bool {
        let was_awaited = !self.probe.is_over();
        if let Some(check) = self.probe.stop() {
            todo.push(Action::Signal(Target::Job(check), Signal::KILL));
        }
        was_awaited
    }

    /// Plans what `health` is to find out about it. Calls that off, with a run that is under way, while it is not judged.
    pub(super) fn judge(&mut self, now: Tick, is_main: bool, todo: &mut Actions) {
        if let Some(health) = self.health.judge(now, is_main && self.is_judged()) {
            todo.push(Action::Signal(Target::Job(health), Signal::KILL));
            todo.push(Action::Announce);
        }
    }

    /// Moves it to another process. If the old process was told to end, the new one must be told too, with `got_term`; if the old one was killed
    /// because its time was over, the new one has until `kill_at`. Returns whether the new process is to be told to end.
    pub fn observe_move(&mut self, now: Tick, pid: Pid, got_term: bool, kill_at: Tick) -> bool {
        (self.pid, self.leads) = (pid, false);
        self.pause(now, false);
        let Some(ending) = &mut self.ending else {
            return false;
        };
        ending.got_term = got_term;
        if std::mem::take(&mut ending.killed) {
            ending.kill_at = Some(kill_at);
        }
        true
    }

    /// The part of the record about this copy.
    pub fn record(&self) -> Option<record::Copy> {
        Some(record::Copy {
            pid: NonZeroU32::new(self.pid.0)?,
            executed: self.executed,
            declares: self.declares,
            ready: self.ready,
            watched: self.watched,
            watchdog: self.watchdog,
            paused: self.paused,
            ending: self.ending.is_some(),
            got_term: self.ending.is_some_and(|ending| ending.got_term),
            kill_due: self.ending.is_some_and(|ending| ending.kill_at.is_some()),
            check: self.probe.pid().and_then(|pid| NonZeroU32::new(pid.0)),
            check_over: self.probe.is_over(),
            undeclared: false,
            leads: self.leads,
            asked: self.asked,
            mode: self.mode,
            group: self.group.and_then(|group| NonZeroU32::new(group.0)),
            stopped: self.stopped,
            awaited: self.patience.deadline().is_some(),
        })
    }

    /// Takes over a copy from the record of a predecessor. Its intervals begin anew; a KILL that was pending comes at `kill_at`. `checks`: it says by
    /// `check` that it is ready. `ours`: the predecessor was this same process (an upgrade), so its children are children of this process.
    pub fn resume(now: Tick, left: &record::Copy, kill_at: Tick, checks: bool, ours: bool) -> Copy {
        // A check that runs is watched to its end, even if the file `check` was removed.
        let runs = left.check.filter(|_| ours);
        // Records of older versions do not say that the checks are over.
        let is_awaited = left.declares && !left.ready && !left.ending && !left.check_over;
        let start = Start {
            pid: Pid(left.pid.get()),
            // The writer of the record has waited until `run` was executed, or the process has ended.
            executed: true,
            declares: left.declares,
            check: runs.is_some() || (checks && is_awaited),
            tells: false,
            watchdog: left.watchdog,
            health: 0,
            mode: left.mode,
            patience: 0,
            limit: None,
        };
        let ending = Ending { got_term: left.got_term, kill_at: left.kill_due.then_some(kill_at), killed: false };
        let mut copy = Copy {
            ready: left.ready,
            watched: left.watched,
            paused: left.paused,
            ending: left.ending.then_some(ending),
            // What is no child of ours may end unseen, and its group be another's then.
            leads: left.leads && ours,
            asked: left.asked,
            group: left.group.map(|group| Pid(group.get())),
            stopped: left.stopped,
            ..Copy::new(now, start)
        };
        if let Some(check) = runs {
            copy.probe.started(now, Pid(check.get()));
        }
        copy
    }
}
