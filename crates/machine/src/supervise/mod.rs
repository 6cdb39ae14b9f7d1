//! The decisions of `supervise` about its one service.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | down | nothing runs, nothing is due | `u`, `o`: starting or waiting; `x`: quit |
//! | waiting | down, and due to start at a deadline: the pace's ([`pace`]) | the deadline: starting; `d`: down; `x`: quit, unless `u` or `o` asked for the start |
//! | starting | the loop is forking | the fork's success: up; its failure: waiting for 60 seconds if wanted up, else down; if something that the service needs is not available: waiting for a second if wanted up, else down |
//! | up | the child runs | its death: leaving where something may be left of it; finishing where there is a `finish`; else starting or waiting if wanted up, else down; quit if exiting |
//! | leaving | the child has ended, and [what it has left behind](leftovers) is waited for | that nothing is left: what the child's death leads to without it |
//! | finishing | the child has ended, and [`finish`] runs | its end: what the child's death leads to without it; down for good if it says that the service has failed, which is still wanted up |
//!
//! It also knows what is wanted (up, down, once), whether the child is paused, and whether supervise is to exit, which no command cancels.
//!
//! At least one second passes from one start to the next. That is a deadline, never a sleep: commands are obeyed meanwhile. A start that `u` or `o`
//! asked for within that second is made when it is over, even after an `x` (`ox` means: run once, then exit); a `d` cancels it. A restart that nobody
//! asked for is cancelled by `x`.
//!
//! While it is leaving or finishing, signals reach nobody, and `u`, `o`, `d` and `x` change what follows: a start that `u` or `o` asked for then is made
//! whatever `finish` says.
//!
//! Nothing is started while something is left of an earlier copy, whoever asks: neither the child nor a second copy.
//!
//! A service that is done, or has failed, is wanted down, and leaves that by `u`, `o` or `R`: its `finish` said so, or it ended in a way that is final ([`finals`]), or too often ([`restarts`]). These commands
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
//! ([`crate::overlap`]), the checks ([`crate::probe`]) and [`health`]), the time of the next start ([`pace`]), [`leftovers`], [`finish`], [`finals`] and [`restarts`].
//! They meet in one place, the end of the main copy (`main_ended`; `left` when nothing is left of it, and `finished` when `finish` is over). No event requires an earlier call of something else.
//!
//! With [`Machine::make_last_run`], supervise exits when `run` ends by itself, with whatever code. A `run` that a command has sent a signal to end it
//! is started again, or not, as always. Where svscan is an init ([`Machine::know_init`]), supervise exits when an essential service is down for good.
//!
//! The successor of a supervise that was killed begins from the record ([`Machine::resume`]): it is up with the same process, or learns at once that
//! the process has ended meanwhile.

mod copies;
pub mod copy;
mod events;
mod finals;
pub mod finish;
pub mod health;
pub mod knobs;
pub mod leftovers;
mod orders;
mod overview;
pub mod pace;
pub mod patience;
mod phase;
pub mod restarts;
mod resume;
pub mod rules;

use svdir::record::{Decided, Over};
use svdir::{Command, Exit, Want};

pub use copy::{Copy, Ending, Start};
pub use events::{Action, Event, Job, Left, NotStarted, Say, Slot, Target, Word};
pub use knobs::{HUNG_GRACE, Knobs, Needs, PATIENCE, WARM_UP};
pub use overview::Overview;
pub use pace::{FORK_RETRY, PACE, Pace};
pub use resume::Resumed;
pub use rules::Rules;

use copies::Copies;
use finish::Finish;
use leftovers::Leftovers;
use orders::Orders;
use phase::{Next, Phase};
use restarts::Restarts;

use crate::{Pid, Signal, Tick};

/// The actions of one step.
pub type Actions = crate::actions::Actions<Action, 16>;

/// The state of supervision of one service.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    phase: Phase,
    orders: Orders,
    copies: Copies,
    pace: Pace,
    finish: Finish,
    leftovers: Leftovers,
    restarts: Restarts,
}

impl Machine {
    /// Makes the machine. Nothing runs yet; `want` is up, or down if there is a file `down`.
    pub fn new(want: Want) -> Machine {
        Machine { orders: Orders::new(want), ..Machine::default() }
    }

    /// Goes on from the record of a predecessor. Both copies count as alive until [`Event::Ended`]. The time until a pending KILL begins anew, and so
    /// does the watchdog interval.
    pub fn resume(now: Tick, left: &Decided, resumed: Resumed) -> Machine {
        let (phase, finish) = (Phase::resume(left), left.finish.filter(|_| left.main.is_none()));
        Machine {
            phase,
            orders: Orders::resume(left, phase.next().is_some()),
            copies: Copies::resume(now, left, resumed),
            pace: Pace::resume(left.pace, resumed.last_start),
            finish: Finish::resume(now, finish, resumed.finish_limit),
            leftovers: Leftovers::resume(now, &left.leftovers, resumed.knobs.hung_grace()),
            restarts: Restarts::default(),
        }
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
        self.orders.last_run = true;
    }

    /// Notes whether svscan is an init, which ends with an essential service. If it is none any more, such a service that is down for good is just down.
    pub const fn know_init(&mut self, init: bool) {
        self.orders.know_init(init);
    }

    /// The `finish` about the main copy that has ended.
    pub const fn finish(&self) -> &Finish {
        &self.finish
    }

    /// What copies that have ended have left behind.
    pub const fn leftovers(&self) -> &Leftovers {
        &self.leftovers
    }

    /// The processes that are known, and what their modes ask of the loop.
    pub fn overview(&self) -> Overview {
        Overview::of(&self.copies, &self.finish, &self.leftovers)
    }

    /// How the last main copy has ended that has.
    pub const fn last_exit(&self) -> Option<Exit> {
        self.pace.last_exit()
    }

    /// The slot of a process: which copy or job it is.
    pub fn slot(&self, pid: Pid) -> Option<Slot> {
        if self.finish.pid() == Some(pid) { Some(Slot::Job(Job::Finish)) } else { self.copies.slot(pid) }
    }

    /// The time at which an [`Event::Timeout`] or [`Event::Overdue`] is due; `None` if nothing is.
    pub fn deadline(&self) -> Option<Tick> {
        let start = self.phase.due().filter(|_| self.leftovers.is_empty());
        let deadlines = [start, self.finish.deadline(), self.leftovers.deadline(), self.copies.deadline()];
        deadlines.into_iter().flatten().min()
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
        let over = self.phase.next().map_or(self.orders.over, |next| next.over);
        Decided {
            service: self.orders.record(self.phase.is_start_due(), self.copies.is_replaced_again()),
            main: self.main().and_then(Copy::record),
            second: self.copies.record_second(),
            pace: self.pace.record(),
            finish: self.finish.record(),
            over,
            health: self.main().and_then(|main| main.health.record()),
            reload: self.main().and_then(|main| main.reload),
            leftovers: self.leftovers.record(self.phase),
        }
    }

    /// The part of the record that a new process writes at its start, when it has not executed `run` yet.
    pub fn decided_once_started(&self, now: Tick, slot: Slot, start: Start) -> Decided {
        // What was counted is left out: a child that takes no memory cannot copy it.
        let mut then = Machine { restarts: Restarts::default(), copies: self.copies.clone(), ..*self };
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
            Event::Orphans => self.leftovers.look(&mut todo),
            Event::Essential(essential) => {
                self.orders.end_init(essential, &mut todo);
                self.quit_if_done(&mut todo);
            }
            Event::Timeout => self.timeout(now, &mut todo),
        }
        self.copies.plan_health(now, &mut todo);
        todo
    }

    fn begin(&mut self, now: Tick, todo: &mut Actions) {
        match self.phase {
            Phase::Waiting { asked, .. } => self.start(now, asked, todo),
            Phase::Down if self.main().is_none() && self.orders.is_wanted() => self.start(now, false, todo),
            Phase::Down | Phase::Starting | Phase::Leaving { .. } | Phase::Finishing(_) => {}
        }
        self.leftovers.look(todo);
        self.quit_if_done(todo);
    }

    /// Starts now, or when the second since the last start is over and nothing is left of earlier copies.
    fn start(&mut self, now: Tick, asked: bool, todo: &mut Actions) {
        let until = self.pace.next(now);
        if until > now || !self.leftovers.is_empty() {
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
            Slot::Main => self.phase = Phase::Down,
            Slot::Second => self.pace.start(now),
            Slot::Job(Job::Finish) => self.finish.started(now, start.pid),
            Slot::Job(Job::Check(_) | Job::Health(_)) => {}
        }
        self.copies.started(now, slot, start, todo);
        todo.push(Action::Announce);
    }

    fn not_started(&mut self, now: Tick, slot: Slot, why: NotStarted, todo: &mut Actions) {
        match slot {
            Slot::Main => {
                let pause = self.pace.failed(why);
                self.phase = if self.orders.is_wanted() {
                    Phase::Waiting { until: now.after(pause), asked: false }
                } else {
                    Phase::Down
                };
            }
            Slot::Second => {
                self.pace.start(now);
                self.pace.take_back();
                self.copies.second_not_started(now, todo);
            }
            Slot::Job(Job::Finish) => return self.finished(now, None, todo),
            Slot::Job(job) => return self.copies.job_not_started(now, job, why, todo),
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn any_ended(&mut self, now: Tick, pid: Pid, exit: Exit, rules: &Rules, todo: &mut Actions) {
        match self.slot(pid) {
            None => {}
            Some(Slot::Job(Job::Check(about))) => self.copies.check_ended(now, about, pid, exit, todo),
            // Its end comes as [`Event::Judged`].
            Some(Slot::Job(Job::Health(_))) => {}
            Some(Slot::Job(Job::Finish)) => self.finished(now, Some(exit), todo),
            Some(slot @ (Slot::Main | Slot::Second)) => {
                if slot == Slot::Main {
                    self.pace.ended(exit);
                }
                let rest = self.copies.rest_of(pid);
                if rest.is_some() {
                    self.copies.hold();
                }
                let main = self.copies.ended(now, pid, exit, todo);
                if let Some(rest) = rest {
                    self.leftovers.begin(now, rest, rules.signals.unwrap_or_default(), todo);
                }
                match main {
                    Some(main) => self.main_ended(now, &main, exit, rules, todo),
                    None => {
                        self.copies.announce_unless_starting(todo);
                        self.quit_if_done(todo);
                    }
                }
                // This comes last: it may take a moment, and what it finds is announced.
                rest.into_iter().for_each(|rest| todo.push(Action::Look(rest.group, rest.mode, None)));
            }
        }
    }

    /// Handles the end of a main copy when no new copy takes its place: here the parts meet.
    fn main_ended(&mut self, now: Tick, main: &Copy, exit: Exit, rules: &Rules, todo: &mut Actions) {
        self.orders.run_ended(main.ending.is_none());
        // A process that has never executed `run` was never up.
        if main.executed {
            todo.push(Action::Stamp);
            if rules.tally > 0 {
                todo.push(Action::Tally(exit, rules.tally));
            }
        }
        let is_judged = main.executed && !main.asked && self.orders.is_wanted();
        let over = if is_judged {
            self.pace.slow_down(now, main.since, rules.backoff);
            finals::judge(&rules.finals, exit).or_else(|| self.restarts.count(now, rules.restarts))
        } else {
            None
        };
        let finish = main.executed && rules.finish;
        self.phase = Phase::Leaving { next: Next { asked: false, over }, finish };
        self.finish.plan(main.leads.then_some(main.pid), rules.finish_limit);
        if self.leftovers.is_empty() {
            self.run_finish(now, todo);
        } else if main.rest(false, None).is_none() {
            // Otherwise a look follows, and is announced with what it finds.
            todo.push(Action::Announce);
        }
    }

    /// What is known of leftovers is something else. If there are none, what has waited for that goes on.
    fn left(&mut self, now: Tick, group: Pid, left: Option<Left>, todo: &mut Actions) {
        if !self.leftovers.found(now, group, left, todo) {
            return;
        }
        if self.leftovers.is_empty() {
            self.copies.let_go(now, todo);
            if let Phase::Leaving { .. } = self.phase {
                return self.run_finish(now, todo);
            }
            self.start_if_due(now, todo);
        }
        if self.phase != Phase::Starting {
            self.copies.announce_unless_starting(todo);
        }
        self.quit_if_done(todo);
    }

    /// Nothing is left of the main copy that has ended: runs `finish` about that, if it is to be run.
    fn run_finish(&mut self, now: Tick, todo: &mut Actions) {
        let Phase::Leaving { next, finish } = self.phase else {
            return;
        };
        self.phase = Phase::Finishing(next);
        if finish {
            self.finish.begin();
            todo.push(Action::Start(Slot::Job(Job::Finish)));
        } else {
            self.finished(now, None, todo);
        }
    }

    /// The main copy has ended, and so has what was run about that: now the service goes on, or does not. `said` is how `finish` has ended.
    fn finished(&mut self, now: Tick, said: Option<Exit>, todo: &mut Actions) {
        let Phase::Finishing(Next { asked, over }) = std::mem::replace(&mut self.phase, Phase::Down) else {
            return;
        };
        self.finish.end();
        let has_failed = said == Some(Exit::Code(finish::FAILED)) && self.orders.is_wanted();
        let over = if has_failed { Some(Over::Finish) } else { over };
        if asked {
            self.start(now, true, todo);
        } else if let Some(over) = over {
            return self.orders.end(over, todo);
        } else if self.orders.is_wanted() {
            self.start(now, false, todo);
        }
        // A start that follows at once announces itself; writing the files takes longer than a start.
        if self.phase != Phase::Starting {
            todo.push(Action::Announce);
        }
        self.quit_if_done(todo);
    }

    fn quit_if_done(&self, todo: &mut Actions) {
        let is_empty = self.copies.is_empty() && self.leftovers.is_empty();
        if self.orders.exiting && self.phase == Phase::Down && is_empty {
            todo.push(Action::Quit);
        }
    }

    fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        self.copies.timeout(now, todo);
        self.finish.timeout(now, todo);
        self.leftovers.timeout(now, todo);
        self.start_if_due(now, todo);
    }

    fn start_if_due(&mut self, now: Tick, todo: &mut Actions) {
        if self.leftovers.is_empty() && self.phase.due().is_some_and(|until| until <= now) {
            self.start_now(now, todo);
        }
    }

    fn obey(&mut self, now: Tick, command: Command, knobs: Knobs, todo: &mut Actions) {
        self.copies.learn(command, knobs);
        match command {
            Command::Up => self.want_start(now, Want::Up, todo),
            Command::Once => self.want_start(now, Want::Once, todo),
            Command::Down => self.down(now, todo),
            Command::Restart => self.copies.restart(now, todo),
            Command::Exit => self.exit(now, todo),
            Command::Pause | Command::Continue => self.copies.pause(now, command == Command::Pause, todo),
            Command::Term => self.copies.end_by(Signal::TERM, todo),
            Command::Kill => self.copies.end_by(Signal::KILL, todo),
            Command::Hup | Command::Alarm | Command::Interrupt | Command::Quit => self.copies.pass_on(command, todo),
            Command::Usr1 | Command::Usr2 | Command::Winch | Command::Reload => self.copies.pass_on(command, todo),
            Command::Replace => self.replace(now, todo),
        }
    }

    fn want_start(&mut self, now: Tick, want: Want, todo: &mut Actions) {
        self.orders.want_start(want);
        self.pace.forget();
        self.restarts.forget();
        todo.push(Action::Announce);
        if !self.phase.ask() && self.main().is_none() && self.phase != Phase::Starting {
            self.start(now, true, todo);
        }
    }

    fn down(&mut self, now: Tick, todo: &mut Actions) {
        self.orders.want = Want::Down;
        self.copies.cancel(now, todo);
        self.copies.end(now, todo);
        self.phase.call_off();
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    fn exit(&mut self, now: Tick, todo: &mut Actions) {
        self.orders.exiting = true;
        self.copies.cancel(now, todo);
        if let Phase::Waiting { asked: false, .. } = self.phase {
            self.phase = Phase::Down;
        }
        todo.push(Action::Announce);
        self.quit_if_done(todo);
    }

    /// Handles `R`. A service that is down is started. If it was told to end, or supervise is to exit, nothing is
    /// replaced: a service that is wanted down is only wanted up again.
    fn replace(&mut self, now: Tick, todo: &mut Actions) {
        match self.main() {
            Some(main) if main.ending.is_some() || self.orders.exiting => {
                self.orders.want = if self.orders.want == Want::Down { Want::Up } else { self.orders.want };
                todo.push(Action::Announce);
            }
            Some(_) => self.copies.replace(now, !self.leftovers.is_empty(), todo),
            None => self.want_start(now, Want::Up, todo),
        }
    }
}
