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
//! `R` replaces the process by a new copy ([`crate::overlap`]): for that time there are two, the main one, which is the state above, and
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
//! A main copy that has not told in time that it is alive ([`copy`]), or says itself that it hangs, gets ABRT, then KILL when [`Knobs::timeout_kill`] or else
//! [`HUNG_GRACE`] is over; its death is one like others. Whoever finds that a copy hangs ends it so.
//!
//! A process may tell that the service is another one from now on ([`Word::Moved`]). Nothing else changes; that the old one ends means nothing
//! then. Where the service was told to end, the new process is told so too.
//!
//! The parts have their own states and tables: [`copy`], [`pace`], [`knobs`], the overlap ([`crate::overlap`]), the checks ([`crate::probe`]). They meet in one place,
//! the end of the main copy ([`Machine::main_ended`]). No event needs that something else was called before.
//!
//! With [`Machine::make_last_run`], a `run` that ends by itself, whatever its code, is the end: supervise leaves. One that was sent a signal
//! to end it by a command is started again, or not, as always.
//!
//! A supervise that was killed comes back with what its status record tells ([`Machine::resume`]): it is up with the same
//! child, or learns at once that the child ended while nobody looked.

pub mod copy;
mod events;
pub mod knobs;
pub mod pace;
mod resume;

use svdir::record::{Decided, Role, Service};
use svdir::{Command, Exit, Want};

pub use copy::{Copy, Ending, Start};
pub use events::{Action, Event, Job, NotStarted, Say, Slot, Target, Word};
pub use knobs::{HUNG_GRACE, Knobs, Needs, WARM_UP};
pub use pace::{FORK_RETRY, PACE, Pace};
pub use resume::Resumed;

use crate::overlap::{self, Overlap, Second};
use crate::{Pid, Signal, Tick, probe};

/// The actions of one step.
pub type Actions = crate::actions::Actions<Action, 24>;

/// What happens with the copy that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    Waiting { until: Tick, asked: bool },
    Starting,
    Up(Copy),
}

/// The state of supervision of one service.
#[derive(Clone, Debug)]
pub struct Machine {
    phase: Phase,
    want: Want,
    exiting: bool,
    /// A `run` that ends by itself is the end.
    last_run: bool,
    /// That has happened.
    ended: bool,
    /// The copy beside the one that serves, of which `overlap` decides.
    second: Option<Copy>,
    overlap: Overlap,
    pace: Pace,
    /// As they were with the last event that needed them: a replacement takes its time.
    knobs: Knobs,
}

impl Machine {
    /// Nothing runs yet; `want` is up, or down where there is a `down` file.
    pub fn new(want: Want) -> Machine {
        Machine {
            phase: Phase::Down,
            want,
            exiting: false,
            last_run: false,
            ended: false,
            second: None,
            overlap: Overlap::new(),
            pace: Pace::default(),
            knobs: Knobs::default(),
        }
    }

    /// Goes on from what a predecessor had written. Both copies count as alive until [`Event::Ended`]. A KILL that was due comes when the time for it, which begins anew, is over;
    /// so does the interval within which the service tells that it is alive.
    pub fn resume(now: Tick, left: &Decided, resumed: Resumed) -> Machine {
        let phase = match &left.main {
            Some(main) => Phase::Up(resumed.main(now, main)),
            // Begin makes of this what is due.
            None if left.service.start_due => Phase::Waiting { until: Tick::default(), asked: true },
            None => Phase::Down,
        };
        let second = left.second.as_ref().map(|(role, second)| (*role, resumed.second(now, *role, second)));
        Machine {
            phase,
            want: left.service.want,
            exiting: left.service.exiting,
            last_run: left.service.last_run,
            ended: left.service.ended,
            second: second.map(|(_, copy)| copy),
            overlap: resume::overlap(now, second, left.service.replace_due, resumed.knobs),
            pace: Pace::resume(left.pace, resumed.last_start),
            knobs: resumed.knobs,
        }
    }

    /// The copy that serves, if it runs.
    pub const fn main(&self) -> Option<&Copy> {
        match &self.phase {
            Phase::Up(copy) => Some(copy),
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => None,
        }
    }

    const fn main_mut(&mut self) -> Option<&mut Copy> {
        match &mut self.phase {
            Phase::Up(copy) => Some(copy),
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => None,
        }
    }

    /// The process of the copy that serves, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.main().map(|copy| copy.pid)
    }

    /// The second copy, if there are two.
    pub const fn second(&self) -> Option<&Copy> {
        self.second.as_ref()
    }

    /// The process of the second copy, if there are two.
    pub fn second_pid(&self) -> Option<Pid> {
        self.second.map(|copy| copy.pid)
    }

    /// The second copy, which a predecessor has started, was found alive, and leads a process group.
    pub fn know_group(&mut self) {
        self.overlap.know_group();
    }

    /// From now on a `run` that ends by itself is the end.
    pub fn make_last_run(&mut self) {
        self.last_run = true;
    }

    /// What a process of ours is for.
    pub fn slot(&self, pid: Pid) -> Option<Slot> {
        let checks = |copy: &&Copy| copy.probe.pid() == Some(pid);
        if self.pid() == Some(pid) {
            Some(Slot::Main)
        } else if self.second_pid() == Some(pid) {
            Some(Slot::Second)
        } else {
            let about = self.main().filter(checks).or(self.second().filter(checks));
            about.map(|copy| Slot::Job(Job::Check(copy.pid)))
        }
    }

    /// When an [`Event::Timeout`] is due, or [`Event::Overdue`]; `None` if nothing is.
    pub fn deadline(&self) -> Option<Tick> {
        let own = match &self.phase {
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Up(copy) => copy.deadline(),
            Phase::Down | Phase::Starting => None,
        };
        let checks = [self.main(), self.second()].into_iter().flatten().filter_map(|copy| copy.probe.deadline());
        [own, self.overlap.deadline()].into_iter().flatten().chain(checks).min()
    }

    /// Whether the main copy counts as one that hangs, unless it has told something that was not heard yet.
    pub fn is_overdue(&self, now: Tick) -> bool {
        self.main().and_then(Copy::hung_at).is_some_and(|hung_at| hung_at <= now)
    }

    /// Whether the process `old` may become `new`: not if it was told to end to make place for another copy, nor if that is a copy already.
    pub fn can_move(&self, old: Pid, new: Pid) -> bool {
        let is_copy = [self.pid(), self.second_pid()].contains(&Some(new));
        !is_copy && (self.pid() == Some(old) || self.overlap.warming() == Some(old))
    }

    /// What stands in the record.
    pub fn decided(&self) -> Decided {
        let start_due = match self.phase {
            // Announced before the start is made, so that a start that was asked for is not forgotten.
            Phase::Starting => true,
            Phase::Waiting { asked, .. } => asked,
            Phase::Down | Phase::Up(_) => false,
        };
        let role = match self.overlap.second() {
            Second::None | Second::Starting(_) => None,
            Second::Warming { .. } => Some(Role::Warming),
            Second::Leaving { new: false, .. } => Some(Role::EndingOld),
            Second::Leaving { new: true, .. } => Some(Role::EndingNew),
        };
        Decided {
            service: Service {
                want: self.want,
                exiting: self.exiting,
                start_due,
                last_run: self.last_run,
                ended: self.ended,
                replace_due: self.overlap.is_asked_again(),
            },
            main: self.main().and_then(Copy::record),
            second: role.and_then(|role| Some((role, self.second.as_ref()?.record()?))),
            pace: self.pace.record(),
        }
    }

    /// What stands in the record that the new process of the start that is being made writes. It has not become `run` yet.
    pub fn decided_once_started(&self, now: Tick, slot: Slot, start: Start) -> Decided {
        let mut then = self.clone();
        then.started(now, slot, Start { executed: false, ..start }, &mut Actions::default());
        then.decided()
    }

    /// Takes in one event and returns what is to be done about it.
    pub fn step(&mut self, now: Tick, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Begin => self.begin(now, &mut todo),
            Event::Started(slot, start) => self.started(now, slot, start, &mut todo),
            Event::NotStarted(slot, why) => self.not_started(now, slot, why, &mut todo),
            Event::Ended(pid, exit) => self.any_ended(now, pid, exit, &mut todo),
            Event::Stopped(pid) => self.observe_pause(now, pid, true, &mut todo),
            Event::Continued(pid) => self.observe_pause(now, pid, false, &mut todo),
            Event::Word(pid, word) => self.hear(now, pid, word, &mut todo),
            Event::Command(command, knobs) => self.obey(now, command, knobs, &mut todo),
            Event::Overdue(knobs) => {
                if self.is_overdue(now) {
                    self.knobs = knobs;
                    self.hang(now, self.main().map(|copy| copy.watchdog), &mut todo);
                }
            }
            Event::Timeout => self.timeout(now, &mut todo),
        }
        todo
    }

    fn begin(&mut self, now: Tick, todo: &mut Actions) {
        match self.phase {
            Phase::Waiting { asked, .. } => self.start(now, asked, todo),
            Phase::Down if self.want == Want::Up && !self.exiting => self.start(now, false, todo),
            Phase::Down | Phase::Starting | Phase::Up(_) => {}
        }
        self.quit_if_done(todo);
    }

    /// Starts now, or when the second since the last start is over.
    fn start(&mut self, now: Tick, asked: bool, todo: &mut Actions) {
        let until = self.pace.next(now);
        if until > now {
            self.phase = Phase::Waiting { until, asked };
        } else {
            self.start_now(now, todo);
        }
    }

    fn start_now(&mut self, now: Tick, todo: &mut Actions) {
        self.phase = Phase::Starting;
        self.pace.start(now);
        todo.push(Action::Start(Slot::Main));
    }

    fn started(&mut self, now: Tick, slot: Slot, start: Start, todo: &mut Actions) {
        match slot {
            Slot::Main => self.phase = Phase::Up(Copy::new(now, start)),
            Slot::Second => {
                self.second = Some(Copy::new(now, start));
                self.overlap(now, overlap::Event::Started(start.pid), todo);
            }
            Slot::Job(Job::Check(about)) => {
                if let Some(copy) = self.copy(about) {
                    copy.probe.started(now, start.pid);
                }
            }
        }
        todo.push(Action::Announce);
    }

    fn not_started(&mut self, now: Tick, slot: Slot, why: NotStarted, todo: &mut Actions) {
        match slot {
            Slot::Main => {
                let pause = match why {
                    NotStarted::Fork => FORK_RETRY,
                    NotStarted::Refused => {
                        self.pace.take_back();
                        PACE
                    }
                };
                self.phase = if self.want == Want::Up && !self.exiting {
                    Phase::Waiting { until: now.after(pause), asked: false }
                } else {
                    Phase::Down
                };
            }
            Slot::Second => {
                self.pace.take_back();
                self.overlap(now, overlap::Event::SpawnFailed, todo);
            }
            Slot::Job(Job::Check(about)) => {
                if let Some(copy) = self.copy(about) {
                    copy.probe.not_started(now);
                }
                return;
            }
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    /// One of the copies.
    fn copy(&mut self, pid: Pid) -> Option<&mut Copy> {
        let main = match &mut self.phase {
            Phase::Up(copy) => Some(copy),
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => None,
        };
        [main, self.second.as_mut()].into_iter().flatten().find(|copy| copy.pid == pid)
    }

    fn any_ended(&mut self, now: Tick, pid: Pid, exit: Exit, todo: &mut Actions) {
        match self.slot(pid) {
            None => {}
            Some(Slot::Job(Job::Check(about))) => {
                let ready = exit == Exit::Code(0);
                let checked = self.copy(about).and_then(|copy| copy.probe.ended(now, pid, ready));
                todo.push(Action::Announce);
                if checked == Some(true) {
                    self.hear(now, about, Word::Ready, todo);
                }
            }
            Some(slot @ (Slot::Main | Slot::Second)) => {
                if slot == Slot::Main {
                    self.pace.ended(exit);
                }
                self.overlap(now, overlap::Event::Died(pid, exit), todo);
                if self.pid() == Some(pid) {
                    return self.main_ended(now, todo);
                }
                if !self.overlap.is_starting() {
                    todo.push(Action::Announce);
                }
                self.quit_if_done(todo);
            }
        }
    }

    /// The main copy has ended, and no new one takes its place: here the parts meet.
    fn main_ended(&mut self, now: Tick, todo: &mut Actions) {
        let Phase::Up(mut copy) = std::mem::replace(&mut self.phase, Phase::Down) else {
            return;
        };
        end_check(&mut copy, todo);
        if self.last_run && copy.ending.is_none() {
            (self.ended, self.exiting) = (true, true);
        }
        // What has never become `run` was never up.
        if copy.executed {
            todo.push(Action::Stamp);
        }
        if self.want == Want::Up && !self.exiting {
            self.start(now, false, todo);
        }
        // What starts at once announces itself: to write a file takes longer than to start a process.
        if self.phase != Phase::Starting {
            todo.push(Action::Announce);
        }
        self.quit_if_done(todo);
    }

    fn quit_if_done(&self, todo: &mut Actions) {
        if self.exiting && self.phase == Phase::Down && self.overlap.is_idle() {
            todo.push(Action::Quit);
        }
    }

    fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        if self.overlap.deadline().is_some_and(|deadline| deadline <= now) {
            self.overlap(now, overlap::Event::Timeout, todo);
            todo.push(Action::Announce);
        }
        // Behind that: none is run about a copy that is told to end in this step.
        self.run_checks(now, todo);
        match &mut self.phase {
            Phase::Waiting { until, .. } if *until <= now => self.start_now(now, todo),
            Phase::Up(Copy { pid, ending: Some(ending), .. }) if ending.kill_at.is_some_and(|at| at <= now) => {
                ending.kill_at = None;
                todo.push(Action::Say(Say::Late(*pid)));
                todo.push(Action::Signal(Target::Process(*pid), Signal::KILL));
                todo.push(Action::Announce);
            }
            Phase::Waiting { .. } | Phase::Down | Phase::Starting | Phase::Up(_) => {}
        }
    }

    fn run_checks(&mut self, now: Tick, todo: &mut Actions) {
        for pid in [self.pid(), self.second_pid()].into_iter().flatten() {
            match self.copy(pid).and_then(|copy| copy.probe.timeout(now)) {
                None => {}
                Some(probe::Action::Run) => todo.push(Action::Start(Slot::Job(Job::Check(pid)))),
                Some(probe::Action::Kill(check)) => {
                    todo.push(Action::Signal(Target::Job(check), Signal::KILL));
                }
            }
        }
    }

    fn obey(&mut self, now: Tick, command: Command, knobs: Knobs, todo: &mut Actions) {
        if Needs::of(command) != Needs::Nothing {
            self.knobs = knobs;
        }
        match command {
            Command::Up => self.want_start(now, Want::Up, todo),
            Command::Once => self.want_start(now, Want::Once, todo),
            Command::Down => self.down(now, todo),
            Command::Restart => self.restart(now, todo),
            Command::Exit => self.exit(now, todo),
            Command::Pause | Command::Continue => self.pause(now, command == Command::Pause, todo),
            Command::Hup => self.signal(Signal::HUP, todo),
            Command::Alarm => self.signal(Signal::ALRM, todo),
            Command::Interrupt => self.signal(Signal::INT, todo),
            Command::Term => self.end_by(Signal::TERM, todo),
            Command::Kill => self.end_by(Signal::KILL, todo),
            Command::Quit => self.signal(Signal::QUIT, todo),
            Command::Usr1 => self.signal(Signal::USR1, todo),
            Command::Usr2 => self.signal(Signal::USR2, todo),
            Command::Winch => self.signal(Signal::WINCH, todo),
            Command::Reload => self.signal(self.knobs.reload_signal, todo),
            Command::Replace => self.replace(now, todo),
        }
    }

    fn want_start(&mut self, now: Tick, want: Want, todo: &mut Actions) {
        self.want = want;
        todo.push(Action::Announce);
        match self.phase {
            Phase::Down | Phase::Waiting { .. } => self.start(now, true, todo),
            Phase::Starting | Phase::Up(_) => {}
        }
    }

    fn down(&mut self, now: Tick, todo: &mut Actions) {
        self.want = Want::Down;
        self.overlap(now, overlap::Event::Cancel, todo);
        match self.phase {
            Phase::Up(_) => self.end(now, todo),
            Phase::Waiting { .. } => self.phase = Phase::Down,
            Phase::Down | Phase::Starting => {}
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn restart(&mut self, now: Tick, todo: &mut Actions) {
        if self.main().is_some() {
            self.end(now, todo);
            todo.push(Action::Announce);
        }
    }

    fn exit(&mut self, now: Tick, todo: &mut Actions) {
        self.exiting = true;
        self.overlap(now, overlap::Event::Cancel, todo);
        if let Phase::Waiting { asked: false, .. } = self.phase {
            self.phase = Phase::Down;
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn pause(&mut self, now: Tick, paused: bool, todo: &mut Actions) {
        if let Some(copy) = self.main_mut() {
            copy.paused = paused;
            copy.alive_at = if paused { copy.alive_at } else { now };
        }
        todo.push(Action::Announce);
        self.signal(if paused { Signal::STOP } else { Signal::CONT }, todo);
    }

    /// What is down is started, and what was told to end is as good as replaced.
    fn replace(&mut self, now: Tick, todo: &mut Actions) {
        match self.phase {
            Phase::Up(copy) if copy.ending.is_some() || self.exiting => {
                self.want = if self.want == Want::Down { Want::Up } else { self.want };
                todo.push(Action::Announce);
            }
            Phase::Up(_) => {
                self.overlap(now, overlap::Event::Ask(self.knobs.settings()), todo);
                if !self.overlap.is_starting() {
                    todo.push(Action::Announce);
                }
            }
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => self.want_start(now, Want::Up, todo),
        }
    }

    /// Tells the service to end. One that is paused could not hear it.
    fn end(&mut self, now: Tick, todo: &mut Actions) {
        let signal = self.knobs.down_signal;
        self.signal(signal, todo);
        self.signal(Signal::CONT, todo);
        let kill_at = self.knobs.timeout_kill.map(|timeout| now.after(timeout));
        if let Some(copy) = self.main_mut() {
            copy.paused = false;
            copy.end(signal == Signal::TERM, kill_at);
        }
    }

    /// Sends a signal that ends whatever does not catch it. The status says that TERM was sent, for runit's `sv`; so it is written when that becomes true.
    fn end_by(&mut self, signal: Signal, todo: &mut Actions) {
        let Some(copy) = self.main_mut() else {
            return;
        };
        let before = copy.ending;
        copy.end(signal == Signal::TERM, None);
        let is_news = copy.ending != before;
        self.signal(signal, todo);
        if is_news {
            todo.push(Action::Announce);
        }
    }

    fn signal(&self, signal: Signal, todo: &mut Actions) {
        if let Some(pid) = self.pid() {
            todo.push(Action::Signal(Target::Process(pid), signal));
        }
    }

    /// Ends a main copy that hangs, whoever found that out, by a signal that leaves a core dump where one is wanted. `within` is the interval in which it was silent.
    fn hang(&mut self, now: Tick, within: Option<u64>, todo: &mut Actions) {
        let kill_at = now.after(self.knobs.hung_grace());
        let Some(copy) = self.main_mut() else {
            return;
        };
        copy.end(false, Some(kill_at));
        todo.push(Action::Say(Say::Hung(copy.pid, within)));
        self.signal(Signal::ABRT, todo);
        self.signal(Signal::CONT, todo);
        todo.push(Action::Announce);
    }

    fn hear(&mut self, now: Tick, pid: Pid, word: Word, todo: &mut Actions) {
        let is_main = self.pid() == Some(pid);
        let Some(copy) = self.copy(pid) else {
            return;
        };
        match word {
            Word::Ready => self.ready(now, pid, is_main, todo),
            Word::Unready | Word::Stopping if is_main => {
                let is_stopping = word == Word::Stopping;
                // Whatever a check finds, the service will not be ready again.
                let had_check = is_stopping && end_check(copy, todo);
                if copy.observe_unready(is_stopping) || had_check {
                    todo.push(Action::Announce);
                }
            }
            Word::Alive if is_main => copy.alive_at = now,
            Word::Hangs(knobs) if is_main && copy.ending.is_none() && !copy.paused => {
                self.knobs = knobs;
                self.hang(now, None, todo);
            }
            Word::Unready | Word::Stopping | Word::Alive | Word::Hangs(_) => {}
            Word::Watch(interval) => {
                let is_news = copy.watchdog != interval;
                (copy.watchdog, copy.alive_at) = (interval, now);
                if is_news {
                    todo.push(Action::Announce);
                }
            }
            Word::Extend(nanoseconds) => self.overlap(now, overlap::Event::Extend(pid, nanoseconds), todo),
            Word::Moved(new) => self.moved(now, pid, new, todo),
        }
    }

    fn ready(&mut self, now: Tick, pid: Pid, is_main: bool, todo: &mut Actions) {
        let is_warming = self.overlap.warming() == Some(pid);
        let Some(copy) = self.copy(pid).filter(|_| is_main || is_warming) else {
            return;
        };
        let is_news = copy.observe_ready(now);
        end_check(copy, todo);
        if is_main && is_news {
            todo.push(Action::StampReady);
            todo.push(Action::Announce);
        } else if is_warming {
            self.overlap(now, overlap::Event::Ready(pid), todo);
            todo.push(Action::Announce);
        }
    }

    fn moved(&mut self, now: Tick, old: Pid, new: Pid, todo: &mut Actions) {
        if !self.can_move(old, new) {
            return;
        }
        let signal = self.knobs.down_signal;
        if let Some(copy) = self.main_mut().filter(|copy| copy.pid == old) {
            (copy.pid, copy.paused, copy.alive_at) = (new, false, now);
            todo.push(Action::Stamp);
            if let Some(ending) = &mut copy.ending {
                ending.got_term = signal == Signal::TERM;
                self.signal(signal, todo);
                self.signal(Signal::CONT, todo);
            }
        } else {
            if let Some(copy) = &mut self.second {
                copy.pid = new;
            }
            self.overlap(now, overlap::Event::Moved(old, new), todo);
        }
        todo.push(Action::Announce);
    }

    fn observe_pause(&mut self, now: Tick, pid: Pid, paused: bool, todo: &mut Actions) {
        if let Some(copy) = self.main_mut().filter(|copy| copy.pid == pid && copy.paused != paused) {
            (copy.paused, copy.alive_at) = (paused, now);
            todo.push(Action::Announce);
        }
    }

    /// Lets the overlap decide, and does what it says.
    fn overlap(&mut self, now: Tick, event: overlap::Event, todo: &mut Actions) {
        let is_timeout = event == overlap::Event::Timeout;
        for action in self.overlap.step(now, self.pid(), event) {
            match action {
                overlap::Action::Spawn => {
                    self.pace.start(now);
                    todo.push(Action::Start(Slot::Second));
                }
                overlap::Action::Promote(pid) => self.promote(now, pid, todo),
                overlap::Action::Term(pid) => {
                    todo.push(Action::Signal(Target::Process(pid), self.knobs.down_signal));
                    todo.push(Action::Signal(Target::Process(pid), Signal::CONT));
                }
                overlap::Action::Kill(pid) => {
                    if is_timeout {
                        todo.push(Action::Say(Say::Late(pid)));
                    }
                    todo.push(Action::Signal(Target::Process(pid), Signal::KILL));
                }
                overlap::Action::EndGroup(pid) => todo.push(Action::Signal(Target::Group(pid), Signal::KILL)),
                overlap::Action::GiveUp(why) => {
                    if let Some(copy) = &mut self.second {
                        end_check(copy, todo);
                    }
                    todo.push(Action::Say(Say::GaveUp(why)));
                }
            }
        }
        let second = self.overlap.second_pid();
        self.second = self.second.filter(|copy| second == Some(copy.pid));
    }

    /// The two copies change places. A main one that is ending is then the second, unless it has ended.
    fn promote(&mut self, now: Tick, pid: Pid, todo: &mut Actions) {
        let Some(mut new) = self.second.take_if(|copy| copy.pid == pid) else {
            return;
        };
        new.promote(now);
        let is_ready = new.ready;
        if let Phase::Up(mut old) = std::mem::replace(&mut self.phase, Phase::Up(new)) {
            end_check(&mut old, todo);
            self.second = Some(old);
        }
        todo.push(Action::Promote);
        if is_ready {
            todo.push(Action::StampReady);
        }
    }
}

/// Ends the checks about a copy of which nobody waits to be ready any more. Returns whether one ran.
fn end_check(copy: &mut Copy, todo: &mut Actions) -> bool {
    let check = copy.probe.stop();
    if let Some(check) = check {
        todo.push(Action::Signal(Target::Job(check), Signal::KILL));
    }
    check.is_some()
}
