//! The copies of the service: the main one, which serves, and perhaps a second one beside it, about which the [overlap](crate::overlap) decides.
//!
//! | main | second | meaning |
//! |---|---|---|
//! | none | none | the service is down, or about to be started: [`Machine`](super::Machine) knows which |
//! | runs | none | the service is up |
//! | runs | runs | a new copy is not ready yet; or a copy that was told to end, old or new, has not ended |
//! | none | runs | the main copy has ended before a copy that was told to end |
//!
//! `R` replaces the main copy by a new one. Commands meanwhile:
//!
//! | command | while the new copy is not ready | while the old copy ends |
//! |---|---|---|
//! | `u`, `o` | what is wanted changes, the replacement goes on | the same |
//! | `d` | both are told to end, and no other is started | the new one is told to end too |
//! | `x` | the new copy is told to end; supervise exits when both have ended | supervise exits when both have ended |
//! | `t`, `k`, `r`, and every other signal | the old copy gets it; if it ends, the new one becomes the main one at once | the new copy gets it |
//! | `R` | is remembered, once, and done afterwards | the same |
//!
//! If the main copy dies while a new one is not ready, the new one becomes the main copy. If the main copy dies while an old one still ends, it is
//! started again as usual.
//!
//! This module handles copies that run: their signals, messages and checks, and the exchange of the two. When the service is started is decided
//! elsewhere.

use svdir::record::{self, Decided, Role};
use svdir::{Command, Exit};

use super::Actions;
use super::controls::{Asked, Controls, Scripts};
use super::copy::{Copy, Start};
use super::events::{Action, Job, NotStarted, Say, Slot, Target, Word};
use super::health::Settings;
use super::knobs::Knobs;
use super::leftovers::Ended;
use super::resume::{self, Resumed};
use crate::overlap::{self, Overlap};
use crate::{Pid, Signal, Tick};

/// The processes that run `run`.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    main: Option<Copy>,
    /// The second copy, about which `overlap` decides.
    second: Option<Copy>,
    overlap: Overlap,
    /// The scripts of `control/` that are asked about them.
    pub(super) controls: Controls,
    /// The knobs from the last event that needed them: a replacement goes on with these.
    pub(super) knobs: Knobs,
    /// A replacement was asked for, and waits until nothing is left of earlier copies.
    held: bool,
}

impl Copies {
    /// Takes over the copies of a predecessor. Both count as alive.
    pub(super) fn resume(now: Tick, left: &Decided, resumed: Resumed) -> Copies {
        let second = left.second.as_ref().map(|(role, second)| (*role, resumed.second(now, *role, second)));
        Copies {
            main: left.main.as_ref().map(|main| resumed.main(now, main, (left.health, left.reload))),
            second: second.map(|(_, copy)| copy),
            overlap: resume::overlap(now, second, left.service.replace_due, resumed.knobs),
            controls: Controls::resume(now, &left.controls, resume::pids(left)),
            knobs: resumed.knobs,
            held: left.service.replace_due && left.second.is_none() && !left.leftovers.is_empty(),
        }
    }

    /// The main copy, if it runs.
    pub const fn main(&self) -> Option<&Copy> {
        self.main.as_ref()
    }

    /// The process of the main copy, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.main.map(|copy| copy.pid)
    }

    /// The second copy, if there are two.
    pub const fn second(&self) -> Option<&Copy> {
        self.second.as_ref()
    }

    /// The process of the second copy, if there are two.
    pub fn second_pid(&self) -> Option<Pid> {
        self.second.map(|copy| copy.pid)
    }

    /// Returns whether no copy runs, no second copy is being started, and no script about one runs.
    pub(super) fn is_empty(&self) -> bool {
        self.main.is_none() && self.overlap.is_idle() && self.controls.is_idle()
    }

    /// Returns whether another replacement is remembered.
    pub(super) const fn is_replaced_again(&self) -> bool {
        self.held || self.overlap.is_asked_again()
    }

    /// Something may be left of a copy, so no other is started beside the main one.
    pub(super) const fn hold(&mut self) {
        self.held |= self.overlap.is_asked_again();
        self.overlap.forget();
    }

    /// Nothing is left of earlier copies: a replacement that has waited for that begins.
    pub(super) fn let_go(&mut self, now: Tick, todo: &mut Actions) {
        let is_held = std::mem::take(&mut self.held);
        if self.main.is_some_and(|main| is_held && main.ending.is_none()) {
            self.replace(now, false, todo);
        }
    }

    /// All that run, the main one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Copy> {
        [self.main(), self.second()].into_iter().flatten()
    }

    /// What this copy, which has ended and is about to be forgotten, may have left behind.
    pub(super) fn rest_of(&self, pid: Pid) -> Option<Ended> {
        if let Some(main) = self.main().filter(|main| main.pid == pid) {
            return main.rest(false, main.ending.and_then(|ending| ending.kill_at));
        }
        let lost = self.overlap.role() != Some(Role::EndingOld);
        self.second().filter(|second| second.pid == pid)?.rest(lost, self.overlap.deadline())
    }

    /// Notes that the second copy, which a predecessor has started, was found alive and leads a process group.
    pub(super) const fn know_group(&mut self) {
        self.overlap.know_group();
    }

    /// The slot of a process: which copy or job it is.
    pub(super) fn slot(&self, pid: Pid) -> Option<Slot> {
        if self.pid() == Some(pid) {
            Some(Slot::Main)
        } else if self.second_pid() == Some(pid) {
            Some(Slot::Second)
        } else {
            self.all().find_map(|copy| copy.job(pid)).or_else(|| self.controls.job(pid)).map(Slot::Job)
        }
    }

    /// The time at which [`timeout`](Copies::timeout) is to be called, or the main copy is overdue.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let checks = self.all().filter_map(|copy| copy.probe.deadline());
        let own = self.main().and_then(Copy::deadline);
        let health = self.main().and_then(|copy| copy.health.deadline());
        [own, health, self.overlap.deadline(), self.controls.deadline()].into_iter().flatten().chain(checks).min()
    }

    /// Returns whether the main copy is overdue, unless there is a message that was not read yet.
    pub(super) fn is_overdue(&self, now: Tick) -> bool {
        self.main().is_some_and(|copy| copy.overdue(now).is_some())
    }

    /// Returns whether the copy `old` may move to the process `new`: not if it was told to end in favour of another copy, nor if `new` is a
    /// copy already.
    pub(super) fn can_move(&self, old: Pid, new: Pid) -> bool {
        let is_copy = [self.pid(), self.second_pid()].contains(&Some(new));
        !is_copy && (self.pid() == Some(old) || self.overlap.warming() == Some(old))
    }

    /// The part of the record about the second copy.
    pub(super) fn record_second(&self) -> Option<(Role, record::Copy)> {
        Some((self.overlap.role()?, self.second.as_ref()?.record()?))
    }

    /// Takes the knobs that came with a command.
    pub(super) fn learn(&mut self, command: Command, knobs: Knobs) {
        self.knobs.learn(command, knobs);
    }

    /// Takes in the start of a process.
    pub(super) fn started(&mut self, now: Tick, slot: Slot, start: Start, todo: &mut Actions) {
        match slot {
            Slot::Main => self.main = Some(Copy::new(now, start)),
            Slot::Second => {
                self.second = Some(Copy { leads: true, ..Copy::new(now, start) });
                self.overlap.know_readiness(self.knobs.readiness(start.declares));
                self.overlap(now, overlap::Event::Started(start.pid), todo);
            }
            Slot::Job(Job::Control(_, place)) => self.controls.started(now, place, start.pid),
            Slot::Job(job) => {
                let copies = [&mut self.main, &mut self.second].into_iter().flatten();
                copies.for_each(|copy| copy.job_started(now, job, start.pid));
            }
        }
    }

    /// Notes that the second copy was not started.
    pub(super) fn second_not_started(&mut self, now: Tick, todo: &mut Actions) {
        self.overlap(now, overlap::Event::SpawnFailed, todo);
    }

    /// Notes that this job was not started.
    pub(super) fn job_not_started(&mut self, now: Tick, job: Job, why: NotStarted, todo: &mut Actions) {
        let copies = [&mut self.main, &mut self.second].into_iter().flatten();
        copies.for_each(|copy| copy.job_not_started(now, job, why));
        if let Job::Health(_) = job {
            todo.push(Action::Announce);
        }
    }

    /// Takes in the end of `health`. Ends the main copy if it is unhealthy.
    pub(super) fn judged(&mut self, now: Tick, health: Pid, exit: Exit, said: (Settings, Knobs), todo: &mut Actions) {
        let (settings, knobs) = said;
        let Some(copy) = self.main.as_mut().filter(|copy| copy.health.pid() == Some(health)) else {
            return;
        };
        if let Some(fails) = copy.health.ended(now, exit == Exit::Code(0), settings) {
            let why = Say::Unhealthy(copy.pid, fails);
            self.end_by_itself(now, why, knobs, todo);
        }
        todo.push(Action::Announce);
    }

    /// Plans what `health` is to find out: it judges the main copy, and only that.
    pub(super) fn plan_health(&mut self, now: Tick, todo: &mut Actions) {
        for (copy, is_main) in [(&mut self.main, true), (&mut self.second, false)] {
            copy.iter_mut().for_each(|copy| copy.judge(now, is_main, todo));
        }
    }

    /// Takes in the end of the check about this copy.
    pub(super) fn check_ended(&mut self, now: Tick, about: Pid, check: Pid, exit: Exit, todo: &mut Actions) {
        let ready = exit == Exit::Code(0);
        let checked = self.copy(about).and_then(|copy| copy.probe.ended(now, check, ready));
        todo.push(Action::Announce);
        if checked == Some(true) {
            self.hear(now, about, Word::Ready, todo);
        }
    }

    /// Takes in the end of a copy. Returns the main copy if it was that one and no new copy takes its place.
    pub(super) fn ended(&mut self, now: Tick, pid: Pid, exit: Exit, todo: &mut Actions) -> Option<Copy> {
        self.overlap(now, overlap::Event::Died(pid, exit), todo);
        let mut main = self.main.take_if(|main| main.pid == pid)?;
        main.end_check(todo);
        main.judge(now, false, todo);
        // Another copy is started anyway.
        self.held = false;
        Some(main)
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        if self.overlap.deadline().is_some_and(|deadline| deadline <= now) {
            self.overlap(now, overlap::Event::Timeout, todo);
            todo.push(Action::Announce);
        }
        self.controls.timeout(now, todo);
        // This comes last, so that no check is run about a copy that is told to end in this step.
        self.run_checks(now, todo);
        self.main.iter_mut().for_each(|main| main.kill_if_late(now, todo));
    }

    /// Calls off a replacement. The main copy goes on.
    pub(super) fn cancel(&mut self, now: Tick, todo: &mut Actions) {
        self.held = false;
        self.overlap(now, overlap::Event::Cancel, todo);
    }

    /// Begins to replace the main copy, or remembers the request, as long as something `is_left` of earlier copies.
    pub(super) fn replace(&mut self, now: Tick, is_left: bool, todo: &mut Actions) {
        if is_left {
            self.held = true;
            return todo.push(Action::Announce);
        }
        let declares = self.main.is_some_and(|main| main.declares);
        self.overlap(now, overlap::Event::Ask(self.knobs.settings(declares)), todo);
        self.announce_unless_starting(todo);
    }

    /// Announces, unless a second copy is being started: a start announces itself.
    pub(super) fn announce_unless_starting(&self, todo: &mut Actions) {
        if !self.overlap.is_starting() {
            todo.push(Action::Announce);
        }
    }

    /// Ends the main copy, if it is still overdue.
    pub(super) fn overdue(&mut self, now: Tick, knobs: Knobs, todo: &mut Actions) {
        if let Some(why) = self.main().and_then(|copy| copy.overdue(now)) {
            self.end_by_itself(now, why, knobs, todo);
            todo.push(Action::Announce);
        }
    }

    /// Stops the main copy, or continues it.
    pub(super) fn pause(&mut self, now: Tick, paused: bool, todo: &mut Actions) {
        self.main.iter_mut().for_each(|main| main.pause(now, paused));
        todo.push(Action::Announce);
        self.signal(if paused { Signal::STOP } else { Signal::CONT }, todo);
    }

    /// Tells the main copy to end, for this command; the machine decides what follows. The time until KILL begins now, also where a script is asked first.
    pub(super) fn end(&mut self, now: Tick, command: Command, there: Scripts, todo: &mut Actions) {
        let held = self.asks(Command::Term, command, there, todo);
        let kill_at = self.knobs.timeout_kill.map(|timeout| now.after(timeout));
        if let Some(copy) = self.main.as_mut() {
            copy.tell_to_end((!held).then_some(self.knobs.down_signal), kill_at, todo);
        }
        if command == Command::Down && !held {
            self.asks(Command::Down, command, there, todo);
        }
    }

    /// Asks a script about a command for the main copy, if there is one. Returns whether its answer is waited for.
    pub(super) fn asks(&mut self, script: Command, command: Command, there: Scripts, todo: &mut Actions) -> bool {
        let behind = command == Command::Down && there.has(Command::Down);
        self.pid().is_some_and(|about| self.controls.ask(Asked { script, command, about, behind }, there, todo))
    }

    /// Notes that somebody sends this signal, though a script is asked first.
    pub(super) fn observe_signal(&mut self, signal: Signal) {
        let ends = [Signal::TERM, Signal::KILL, self.knobs.down_signal].contains(&signal);
        self.main.iter_mut().for_each(|main| main.asked |= ends);
    }

    /// Sends a signal that ends a process which does not catch it. The status says for runit's `sv` whether TERM was sent, so it is written when that
    /// changes.
    pub(super) fn end_by(&mut self, signal: Signal, todo: &mut Actions) {
        let Some(copy) = self.main.as_mut() else {
            return;
        };
        let is_news = copy.observe_order(signal == Signal::TERM);
        copy.end_check(todo);
        self.signal(signal, todo);
        if is_news {
            todo.push(Action::Announce);
        }
    }

    /// Sends a signal to the main copy, if there is one.
    pub(super) fn signal(&self, signal: Signal, todo: &mut Actions) {
        if let Some(pid) = self.pid() {
            todo.push(Action::Signal(Target::Process(pid), signal));
        }
    }

    /// Sends the signal of a command. Where it is the one that ends the service, that was asked for.
    pub(super) fn pass_on(&mut self, command: Command, todo: &mut Actions) {
        let Some(signal) = self.knobs.signal_of(command) else {
            return;
        };
        self.signal(signal, todo);
        if let Some(copy) = self.main.as_mut().filter(|copy| signal == self.knobs.down_signal && !copy.asked) {
            copy.asked = true;
            todo.push(Action::Announce);
        }
    }

    /// Ends the main copy for this reason, though nobody has asked for that. One that hangs gets, alone, a signal that leaves a core dump if the system is
    /// set up for that; otherwise all gets the signal for that which is told to end with it.
    fn end_by_itself(&mut self, now: Tick, why: Say, knobs: Knobs, todo: &mut Actions) {
        todo.push(Action::Say(why));
        self.learn(Command::Restart, knobs);
        let (signal, hangs) = (self.knobs.down_signal, matches!(why, Say::Hung(..)));
        let kill_at = now.after(self.knobs.hung_grace());
        if let Some(copy) = self.main.as_mut() {
            copy.end(!hangs && signal == Signal::TERM, Some(kill_at));
            copy.end_check(todo);
            if hangs {
                copy.send(Signal::ABRT, todo);
            } else {
                copy.stop(signal, todo);
            }
        }
    }

    /// Takes in a message of a copy.
    pub(super) fn hear(&mut self, now: Tick, pid: Pid, word: Word, todo: &mut Actions) {
        let is_main = self.pid() == Some(pid);
        let Some(copy) = self.copy(pid) else {
            return;
        };
        match word {
            Word::Ready => self.ready(now, pid, is_main, todo),
            Word::Reloading(began) if is_main => copy.observe_reload(now, began, todo),
            Word::Stopping if is_main => copy.observe_stopping(todo),
            Word::Alive if is_main => copy.alive_at = now,
            Word::Hangs(knobs) if is_main && copy.ending.is_none() && !copy.paused => {
                self.end_by_itself(now, Say::Hung(pid, None), knobs, todo);
                todo.push(Action::Announce);
            }
            Word::Reloading(_) | Word::Stopping | Word::Alive | Word::Hangs(_) => {}
            Word::Watch(interval) => {
                if copy.observe_interval(now, interval) {
                    todo.push(Action::Announce);
                }
            }
            Word::Extend(nanoseconds) => {
                copy.patience.extend(now, nanoseconds);
                self.overlap(now, overlap::Event::Extend(pid, nanoseconds), todo);
            }
            Word::Moved(new) => self.moved(now, pid, new, todo),
        }
    }

    /// Takes in that a copy is ready, by its own message or by its check.
    fn ready(&mut self, now: Tick, pid: Pid, is_main: bool, todo: &mut Actions) {
        let is_warming = self.overlap.warming() == Some(pid);
        let Some(copy) = self.copy(pid).filter(|_| is_main || is_warming) else {
            return;
        };
        let is_news = copy.observe_ready(now);
        copy.end_check(todo);
        if is_main && is_news {
            todo.push(Action::StampReady);
            todo.push(Action::Announce);
        } else if is_warming {
            self.overlap(now, overlap::Event::Ready(pid), todo);
            todo.push(Action::Announce);
        }
    }

    /// Moves a copy to another process.
    fn moved(&mut self, now: Tick, old: Pid, new: Pid, todo: &mut Actions) {
        if !self.can_move(old, new) {
            return;
        }
        self.controls.moved(old, new);
        let (signal, kill_at) = (self.knobs.down_signal, now.after(self.knobs.hung_grace()));
        if let Some(copy) = self.main.as_mut().filter(|copy| copy.pid == old) {
            todo.push(Action::Stamp);
            if copy.observe_move(now, new, signal == Signal::TERM, kill_at) {
                copy.stop(signal, todo);
            }
        } else {
            if let Some(copy) = &mut self.second {
                (copy.pid, copy.leads) = (new, false);
            }
            self.overlap(now, overlap::Event::Moved(old, new), todo);
        }
        todo.push(Action::Announce);
    }

    /// Takes in that a process was stopped or continued, by whomever.
    pub(super) fn observe_pause(&mut self, now: Tick, pid: Pid, paused: bool, todo: &mut Actions) {
        if let Some(copy) = self.main.as_mut().filter(|copy| copy.pid == pid && copy.paused != paused) {
            copy.pause(now, paused);
            todo.push(Action::Announce);
        }
    }

    /// Runs the checks and `health` if they are due, and kills those that hang.
    fn run_checks(&mut self, now: Tick, todo: &mut Actions) {
        self.main.iter_mut().for_each(|main| main.run_health(now, todo));
        [&mut self.main, &mut self.second].into_iter().flatten().for_each(|copy| copy.run_check(now, todo));
    }

    /// Passes an event to the overlap, and translates its actions.
    fn overlap(&mut self, now: Tick, event: overlap::Event, todo: &mut Actions) {
        let is_timeout = event == overlap::Event::Timeout;
        for action in self.overlap.step(now, self.pid(), event) {
            match action {
                overlap::Action::Spawn => todo.push(Action::Start(Slot::Second)),
                overlap::Action::Promote(pid) => self.promote(now, pid, todo),
                overlap::Action::Term(pid) => self.tell_second(pid, todo),
                overlap::Action::Kill(pid) => {
                    if is_timeout {
                        todo.push(Action::Say(Say::Late(pid)));
                    }
                    self.copy(pid).into_iter().for_each(|copy| copy.kill(todo));
                }
                overlap::Action::EndGroup(pid) => todo.push(Action::Signal(Target::Group(pid), Signal::KILL)),
                overlap::Action::GiveUp(why) => {
                    if let Some(copy) = &mut self.second {
                        copy.end_check(todo);
                    }
                    todo.push(Action::Say(Say::GaveUp(why)));
                }
            }
        }
        let second = self.overlap.second_pid();
        self.second = self.second.filter(|copy| second == Some(copy.pid));
    }

    /// Tells the second copy to end. About an old copy a script is asked first.
    fn tell_second(&mut self, about: Pid, todo: &mut Actions) {
        let asked = Asked { script: Command::Term, command: Command::Replace, about, behind: false };
        let is_old = self.overlap.role() == Some(Role::EndingOld);
        if !(is_old && self.controls.ask(asked, self.knobs.controls, todo)) {
            let signal = self.knobs.down_signal;
            self.copy(about).into_iter().for_each(|copy| copy.stop(signal, todo));
        }
    }

    /// The copy with this pid.
    pub(super) fn copy(&mut self, pid: Pid) -> Option<&mut Copy> {
        [self.main.as_mut(), self.second.as_mut()].into_iter().flatten().find(|copy| copy.pid == pid)
    }

    /// Exchanges the two copies: the old main copy is the second one then, unless it has ended.
    fn promote(&mut self, now: Tick, pid: Pid, todo: &mut Actions) {
        if self.second_pid() != Some(pid) {
            return;
        }
        std::mem::swap(&mut self.main, &mut self.second);
        todo.push(Action::Promote);
        if let Some(old) = &mut self.second {
            old.end_check(todo);
            old.judge(now, false, todo);
        }
        if let Some(new) = &mut self.main {
            new.promote(now);
            if new.ready {
                todo.push(Action::StampReady);
            }
        }
    }
}
