//! The decisions of `supervise` about its one service.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | down | nothing runs, nothing is due | `u`, `o`: starting or waiting; `d`, `x`: stopping if something was kept; `x`: quit |
//! | waiting | down, and due to start at a deadline: the pace's ([`pace`]) | the deadline: starting; `d`: down; `x`: quit, unless `u` or `o` asked for the start |
//! | starting | the loop is forking | a service that must be ready before and is not: held; the fork's success: preparing if it was `start` or `control/u`, else up; its failure: waiting for 60 seconds if wanted up, else down; if something that the service needs is not available: waiting for a second if wanted up, else down; if there is no `run`, behind `start` or in a directory that only names others: down, and done |
//! | held | down, and a start waits for another service ([`gate`]) | that it may be ready, or the deadline of one that is only wanted: starting, without another pace; `d`, `x`: down |
//! | preparing | [`hook`]: `start` or `control/u` runs | its end: starting; the failure of `start`: down for good; its end after a `d`: down, or starting anew if `u` or `o` came behind that |
//! | up | the child runs | its death: leaving where something may be left of it; finishing where there is a `finish`; else starting or waiting if wanted up, else down; quit if exiting |
//! | leaving | the child has ended, and [what it has left behind](leftovers) is waited for | that nothing is left: what the child's death leads to without it |
//! | finishing | the child has ended, and [`hook`]: `finish` runs | its end: what the child's death leads to without it; down for good if it says that the service has failed, which is still wanted up |
//! | stopping | the service is to be down, and [`hook`]: `stop` runs | its end: down, or starting if `u` or `o` came meanwhile |
//!
//! It also knows what is wanted (up, down, once), whether the child is paused, and whether supervise is to exit, which no command cancels.
//!
//! At least one second passes from one start to the next. That is a deadline, never a sleep: commands are obeyed meanwhile. A start that `u` or `o`
//! asked for within that second is made when it is over, even after an `x` (`ox` means: run once, then exit); a `d` cancels it. A restart that nobody
//! asked for is cancelled by `x`.
//!
//! Nothing is started while something is left of an earlier copy, whoever asks: neither the child nor a second copy.
//!
//! While what is left is waited for, or a script runs for which the service waits, signals reach nobody, and `u`, `o`, `d` and `x` change what follows it: a start that `u` or `o` asked for then is made whatever `finish` says.
//! Only a `d` reaches `start` and `control/u`, as TERM, then KILL. Whatever makes the service down, in the end it comes to one place (`take_down`), where `stop` belongs ([`setup`]).
//!
//! A service that is done, or has failed, is wanted down, and leaves that by `u`, `o` or `R`: its `start` has failed, its `finish` said so, or it ended in a way that is final ([`finals`]), or too often ([`restarts`]). These commands
//! start it when a second has passed since the last start, whatever was counted, and that is forgotten.
//!
//! If `d` or `r` has told a service to end, and it has not ended within [`Knobs::timeout_kill`], it gets KILL, whatever was commanded meanwhile.
//!
//! `R` replaces the process by a new copy. Meanwhile there are two copies: the main one, which has the state above, and a second one (`copies`).
//!
//! A main copy that has not said in time that it is alive ([`copy`]), or that says itself that it hangs, gets ABRT, then KILL when
//! [`Knobs::timeout_kill`] (without that, [`HUNG_GRACE`]) is over. Its death is then handled like any other.
//!
//! Where there is a `health` ([`health`]), it is run about the main copy again and again, as long as that is ready. A copy that is unhealthy is told to end as by `r`, but nobody has asked
//! for that. So is one that has not got ready in time ([`patience`]), where the directory says how long it may take.
//!
//! A process may say that the service is another process from now on ([`Word::Moved`]). Nothing else changes, and the end of the old process means
//! nothing then. If the service was told to end, the new process is told too.
//!
//! The parts are values with their own states and tables: the commands (`orders`), the processes (`copies`, each a [`copy`], with the overlap
//! ([`crate::overlap`]), the checks ([`crate::probe`]) and [`health`]), the time of the next start ([`pace`]), the [`gate`], [`leftovers`], [`hook`], [`setup`], [`finals`] and [`restarts`]. They meet
//! in one place, the end of the main copy ([`Life`](life::Life): `main_ended`, and `hook_ended` when `finish` is over). No event requires an earlier call of something else.
//!
//! With [`Machine::make_last_run`], supervise exits when `run` ends by itself, with whatever code. A `run` that a command has sent a signal to end it
//! is started again, or not, as always. Where svscan is an init ([`Machine::know_init`]), supervise exits when an essential service is down for good.
//!
//! The successor of a supervise that was killed begins from the record ([`Machine::resume`]): it is up with the same process, or learns at once that
//! the process has ended meanwhile.

pub mod controls;
mod copies;
pub mod copy;
mod events;
mod finals;
pub mod gate;
pub mod health;
pub mod hook;
pub mod knobs;
pub mod leftovers;
mod life;
mod orders;
mod overview;
pub mod pace;
pub mod patience;
mod phase;
pub mod restarts;
mod resume;
pub mod rules;
pub mod setup;

use svdir::record::Decided;
use svdir::{Command, Exit, Want};

pub use copy::{Copy, Ending, Start};
pub use events::{Action, Event, Job, Left, NotStarted, Say, Slot, Target, Word};
pub use knobs::{HUNG_GRACE, Knobs, Needs, PATIENCE, WARM_UP};
pub use overview::Overview;
pub use pace::{FORK_RETRY, PACE, Pace};
pub use resume::Resumed;
pub use rules::Rules;
pub use setup::{Next, Programs};

use controls::{Asked, Controls, Scripts};
use copies::Copies;
use hook::Hook;
use knobs::signal_of;
use leftovers::Leftovers;
use life::Life;
use phase::Phase;

use crate::{Pid, Signal, Tick};

/// The actions of one step: 8 are the most that were seen.
pub type Actions = crate::actions::Actions<Action, 20>;

/// The state of supervision of one service.
#[derive(Clone, Debug)]
pub struct Machine {
    life: Life,
    copies: Copies,
}

impl Machine {
    /// Makes the machine. Nothing runs yet; `want` is up, or down if there is a file `down`.
    pub fn new(want: Want) -> Machine {
        Machine { life: Life::new(want), copies: Copies::default() }
    }

    /// Goes on from the record of a predecessor. Both copies count as alive until [`Event::Ended`]. The time until a pending KILL begins anew, and so
    /// does the watchdog interval.
    pub fn resume(now: Tick, left: &Decided, resumed: Resumed) -> Machine {
        Machine { life: Life::resume(now, left, &resumed), copies: Copies::resume(now, left, resumed) }
    }

    /// The main copy, if it runs.
    pub const fn main(&self) -> Option<&Copy> {
        self.copies.main()
    }

    /// The process of the main copy, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.copies.pid()
    }

    /// The second copy, if there are two.
    pub const fn second(&self) -> Option<&Copy> {
        self.copies.second()
    }

    /// The process of the second copy, if there are two.
    pub fn second_pid(&self) -> Option<Pid> {
        self.copies.second_pid()
    }

    /// Notes that the second copy, which a predecessor has started, was found alive and leads a process group.
    pub const fn know_group(&mut self) {
        self.copies.know_group();
    }

    /// Makes supervise exit when `run` next ends by itself.
    pub fn make_last_run(&mut self) {
        self.life.orders.last_run = true;
    }

    /// Notes whether svscan is an init, which ends with an essential service. If it is none any more, such a service that is down for good is just down.
    pub const fn know_init(&mut self, init: bool) {
        self.life.orders.know_init(init);
    }

    /// The script for which the service waits.
    pub const fn hook(&self) -> &Hook {
        &self.life.hook
    }

    /// What copies that have ended have left behind.
    pub const fn leftovers(&self) -> &Leftovers {
        &self.life.leftovers
    }

    /// The processes that are known, and what their modes ask of the loop.
    pub fn overview(&self) -> Overview {
        Overview::of(&self.copies, &self.life.hook, &self.life.leftovers)
    }

    /// The scripts of `control/` that run.
    pub const fn controls(&self) -> &Controls {
        &self.copies.controls
    }

    /// Returns whether [`Action::Start`] of the main copy is to make the first process of a start, before which it may have to wait for another service.
    pub const fn begins_start(&self) -> bool {
        matches!(self.life.phase, Phase::Starting { after: None, .. })
    }

    /// Since when the start that is due has waited for other services, if it was held back before.
    pub const fn held_since(&self) -> Option<Tick> {
        self.life.gate.since()
    }

    /// What [`Action::Start`] of the main copy is to make now, where the service directory has these programs.
    pub const fn next(&self, there: Programs) -> Next {
        self.life.next(there)
    }

    /// How the last main copy has ended that has.
    pub const fn last_exit(&self) -> Option<Exit> {
        self.life.pace.last_exit()
    }

    /// The processes of the copies and of the scripts, with their slots; not those of `check` and `health`.
    pub fn processes(&self) -> impl Iterator<Item = (Slot, Pid)> {
        let copies = [self.pid(), self.second_pid()].into_iter().flatten();
        let scripts = self.hook().pid().into_iter().chain(self.controls().pids().into_iter().flatten());
        copies.chain(scripts).filter_map(|pid| Some((self.slot(pid)?, pid)))
    }

    /// The slot of a process: which copy or job it is.
    pub fn slot(&self, pid: Pid) -> Option<Slot> {
        self.life.slot(pid).or_else(|| self.copies.slot(pid))
    }

    /// The time at which an [`Event::Timeout`] or [`Event::Overdue`] is due; `None` if nothing is.
    pub fn deadline(&self) -> Option<Tick> {
        [self.life.deadline(), self.copies.deadline()].into_iter().flatten().min()
    }

    /// Returns whether the watchdog of the main copy has run out, or its time to get ready, unless there is a message that was not read yet.
    pub fn is_overdue(&self, now: Tick) -> bool {
        self.copies.is_overdue(now)
    }

    /// Returns whether the copy `old` may move to the process `new`: not if it was told to end in favour of another copy, nor if `new` is a
    /// copy already.
    pub fn can_move(&self, old: Pid, new: Pid) -> bool {
        self.copies.can_move(old, new)
    }

    /// The part of the record that the machine decides.
    pub fn decided(&self) -> Decided {
        Decided {
            service: self.life.orders.record(self.life.phase.start_due(), self.copies.is_replaced_again()),
            main: self.main().and_then(Copy::record),
            second: self.copies.record_second(),
            pace: self.life.pace.record(),
            hook: self.life.hook.record(),
            setup: self.life.setup.record(),
            controls: self.copies.controls.record([self.pid(), self.copies.second_pid()]),
            over: self.life.over(),
            health: self.main().and_then(|main| main.health.record()),
            leftovers: self.life.leftovers.record(self.life.phase),
            gate: self.life.gate.record(),
            waited: self.life.gate.record_waited(),
            reload: self.main().and_then(|main| main.reload),
        }
    }

    /// The part of the record that a new process writes at its start, when it has not executed `run` yet.
    pub fn decided_once_started(&self, now: Tick, slot: Slot, start: Start) -> Decided {
        // What was counted is left out: a child that takes no memory cannot copy it.
        let mut then = Machine { life: self.life.uncounted(), copies: self.copies.clone() };
        then.started(now, slot, Start { executed: false, ..start }, &mut Actions::default());
        then.decided()
    }

    /// Takes in one event, and returns the actions that follow.
    pub fn step(&mut self, now: Tick, event: Event) -> Actions {
        let mut todo = Actions::default();
        match event {
            Event::Begin => self.begin(now, &mut todo),
            Event::Started(slot, start) => self.started(now, slot, start, &mut todo),
            Event::NotStarted(slot, why) => self.not_started(now, slot, why, &mut todo),
            Event::Ended(pid, exit, rules) => self.any_ended(now, pid, exit, &rules, &mut todo),
            Event::Judged(pid, exit, settings, knobs) => {
                self.copies.judged(now, pid, exit, (settings, knobs), &mut todo);
            }
            Event::Stopped(pid) => self.copies.observe_pause(now, pid, true, &mut todo),
            Event::Continued(pid) => self.copies.observe_pause(now, pid, false, &mut todo),
            Event::Word(pid, word) => self.copies.hear(now, pid, word, &mut todo),
            Event::Command(command, knobs) => self.obey(now, command, knobs, &mut todo),
            Event::Overdue(knobs) => self.copies.overdue(now, knobs, &mut todo),
            Event::Left(group, left) => self.left(now, group, left, &mut todo),
            Event::Orphans => self.life.leftovers.look(&mut todo),
            Event::Gate => self.life.look_again(now, &mut todo),
            Event::Essential(essential) => {
                self.life.orders.end_init(essential, &mut todo);
                self.settle(&mut todo);
            }
            Event::Timeout => self.timeout(now, &mut todo),
        }
        self.copies.plan_health(now, &mut todo);
        todo
    }

    fn begin(&mut self, now: Tick, todo: &mut Actions) {
        self.life.begin(now, self.main().is_none(), todo);
        self.settle(todo);
    }

    fn started(&mut self, now: Tick, slot: Slot, start: Start, todo: &mut Actions) {
        match slot {
            Slot::Main => self.life.main_started(now, start.executed),
            Slot::Second => self.life.pace.start(now),
            Slot::Job(Job::Hook(script)) => self.life.hook_started(now, script, &start),
            Slot::Job(Job::Check(_) | Job::Health(_) | Job::Control(..)) => {}
        }
        self.copies.started(now, slot, start, todo);
        todo.push(Action::Announce);
    }

    fn not_started(&mut self, now: Tick, slot: Slot, why: NotStarted, todo: &mut Actions) {
        match slot {
            Slot::Main => {
                if !self.life.main_not_started(now, why, todo) {
                    return;
                }
            }
            Slot::Second => {
                self.life.pace.start(now);
                self.life.pace.take_back();
                self.copies.second_not_started(now, todo);
            }
            Slot::Job(Job::Hook(script)) => self.life.hook_ended(now, script, None, todo),
            Slot::Job(Job::Control(_, place)) => return self.control_ended(now, place, None, todo),
            Slot::Job(job) => return self.copies.job_not_started(now, job, why, todo),
        }
        self.go_on(todo);
    }

    fn any_ended(&mut self, now: Tick, pid: Pid, exit: Exit, rules: &Rules, todo: &mut Actions) {
        match self.slot(pid) {
            None => {}
            Some(Slot::Job(Job::Check(about))) => self.copies.check_ended(now, about, pid, exit, todo),
            // Its end comes as [`Event::Judged`].
            Some(Slot::Job(Job::Health(_))) => {}
            Some(Slot::Job(Job::Hook(script))) => {
                self.life.hook_ended(now, script, Some(exit), todo);
                self.go_on(todo);
            }
            Some(Slot::Job(Job::Control(_, place))) => self.control_ended(now, place, Some(exit), todo),
            Some(slot @ (Slot::Main | Slot::Second)) => {
                if slot == Slot::Main {
                    self.life.pace.ended(exit);
                }
                let rest = self.copies.rest_of(pid);
                if rest.is_some() {
                    self.copies.hold();
                }
                let main = self.copies.ended(now, pid, exit, todo);
                if let Some(rest) = rest {
                    self.life.leftovers.begin(now, rest, rules.signals.unwrap_or_default(), todo);
                }
                match main {
                    Some(main) => {
                        self.life.main_ended(now, &main, exit, rules, todo);
                        if !self.life.is_leaving() {
                            self.go_on(todo);
                        }
                    }
                    None => {
                        self.copies.announce_unless_starting(todo);
                        self.settle(todo);
                    }
                }
                // This comes last: it may take a moment, and what it finds is announced.
                rest.into_iter().for_each(|rest| todo.push(Action::Look(rest.group, rest.mode, None)));
            }
        }
    }

    /// What is known of leftovers is something else. If there are none, what has waited for that goes on.
    fn left(&mut self, now: Tick, group: Pid, left: Option<Left>, todo: &mut Actions) {
        if !self.life.leftovers.found(now, group, left, todo) {
            return;
        }
        if self.life.leftovers.is_empty() {
            self.copies.let_go(now, todo);
            if self.life.is_leaving() {
                self.life.run_finish(now, todo);
                return self.go_on(todo);
            }
            self.life.start_if_due(now, todo);
            self.life.nothing_is_left(now, todo);
        }
        if !self.life.is_starting() {
            self.copies.announce_unless_starting(todo);
        }
        self.settle(todo);
    }

    /// What follows was decided, but for whether a service that is down for good is essential: that is asked first. A process that is made at once announces itself; writing the
    /// files takes longer than a start.
    fn go_on(&mut self, todo: &mut Actions) {
        if todo.contains(&Action::IsEssential) {
            return;
        }
        if !self.take_down(todo) && !self.life.is_starting() {
            todo.push(Action::Announce);
        }
        self.quit_if_done(todo);
    }

    /// Nothing may follow by itself: takes down what was set up if that is so, and exits if that is due.
    fn settle(&mut self, todo: &mut Actions) {
        self.take_down(todo);
        self.quit_if_done(todo);
    }

    /// Runs `stop` if the service is down, and it is time for that. Returns whether it is.
    fn take_down(&mut self, todo: &mut Actions) -> bool {
        self.copies.is_empty() && self.life.take_down(todo)
    }

    fn quit_if_done(&self, todo: &mut Actions) {
        let is_empty = self.copies.is_empty() && self.life.leftovers.is_empty();
        if self.life.orders.exiting && self.life.phase == Phase::Down && is_empty {
            todo.push(Action::Quit);
        }
    }

    fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        self.copies.timeout(now, todo);
        self.life.timeout(now, todo);
    }

    fn obey(&mut self, now: Tick, command: Command, knobs: Knobs, todo: &mut Actions) {
        self.copies.learn(command, knobs);
        let signal = signal_of(command);
        match signal.filter(|_| self.copies.asks(command, command, knobs.controls, todo)) {
            Some(signal) => self.copies.observe_signal(signal),
            None => self.act_on(now, command, knobs, todo),
        }
    }

    /// A script of `control/` has answered, or (`None`) was not started: the signal is sent unless it has exited 0.
    fn control_ended(&mut self, now: Tick, place: usize, exit: Option<Exit>, todo: &mut Actions) {
        let Some(Asked { script, command, about, behind }) = self.copies.controls.ended(place) else {
            return;
        };
        let sends = exit != Some(Exit::Code(0));
        match script {
            Command::Down | Command::Exit => {}
            Command::Term if command != Command::Term => {
                let signal = sends.then_some(self.copies.knobs.down_signal);
                self.copies.copy(about).into_iter().for_each(|copy| copy.release(signal, todo));
            }
            _ if sends && self.pid() == Some(about) => self.act_on(now, command, Knobs::default(), todo),
            _ => {}
        }
        todo.push(Action::Announce);
        if behind && script == Command::Term {
            let asked = Asked { script: Command::Down, command, about, behind: false };
            self.copies.controls.ask(asked, Scripts::default().with(Command::Down), todo);
        }
        self.settle(todo);
    }

    fn act_on(&mut self, now: Tick, command: Command, knobs: Knobs, todo: &mut Actions) {
        match command {
            Command::Up => self.want_start(now, Want::Up, todo),
            Command::Once => self.want_start(now, Want::Once, todo),
            Command::Down => self.down(now, knobs, todo),
            Command::Restart if self.main().is_some() => {
                self.copies.end(now, command, knobs.controls, todo);
                todo.push(Action::Announce);
            }
            Command::Restart => {}
            Command::Exit => self.exit(now, knobs.controls, todo),
            Command::Pause | Command::Continue => self.copies.pause(now, command == Command::Pause, todo),
            Command::Term => self.copies.end_by(Signal::TERM, todo),
            Command::Kill => self.copies.end_by(Signal::KILL, todo),
            Command::Hup | Command::Alarm | Command::Interrupt | Command::Quit => self.copies.pass_on(command, todo),
            Command::Usr1 | Command::Usr2 | Command::Winch | Command::Reload => self.copies.pass_on(command, todo),
            Command::Replace => self.replace(now, todo),
        }
    }

    fn want_start(&mut self, now: Tick, want: Want, todo: &mut Actions) {
        self.life.want_start(now, want, self.main().is_none(), todo);
    }

    fn down(&mut self, now: Tick, knobs: Knobs, todo: &mut Actions) {
        self.copies.cancel(now, todo);
        self.copies.end(now, Command::Down, knobs.controls, todo);
        self.life.want_down(now, knobs.hung_grace(), todo);
        todo.push(Action::Announce);
        self.settle(todo);
    }

    fn exit(&mut self, now: Tick, there: Scripts, todo: &mut Actions) {
        self.copies.cancel(now, todo);
        // Behind the signals: a successor believes that what the record says was sent was sent.
        self.copies.asks(Command::Exit, Command::Exit, there, todo);
        self.life.want_exit();
        todo.push(Action::Announce);
        self.settle(todo);
    }

    /// Handles `R`. A service that is down is started. If it was told to end, or supervise is to exit, nothing is
    /// replaced: a service that is wanted down is only wanted up again.
    fn replace(&mut self, now: Tick, todo: &mut Actions) {
        match self.main() {
            Some(main) if main.ending.is_some() || self.life.orders.exiting => {
                self.life.orders.want =
                    if self.life.orders.want == Want::Down { Want::Up } else { self.life.orders.want };
                todo.push(Action::Announce);
            }
            Some(_) => self.copies.replace(now, !self.life.leftovers.is_empty(), todo),
            None => self.want_start(now, Want::Up, todo),
        }
    }
}
