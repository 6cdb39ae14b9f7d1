//! What happens around the main copy: when it is started, the state while there is none, the script that runs then ([`super::hook`]), and what follows when the main copy or a
//! script has ended.

use svdir::record::{Decided, Over, Script};
use svdir::{Exit, Want};

use super::Actions;
use super::copy::{Copy, Start};
use super::events::{Action, Job, NotStarted, Say, Slot, Target};
use super::finals;
use super::gate::{Gate, Held};
use super::hook::{self, Hook};
use super::leftovers::Leftovers;
use super::orders::Orders;
use super::pace::{FORK_RETRY, PACE, Pace};
use super::phase::Phase;
use super::restarts::Restarts;
use super::resume::Resumed;
use super::rules::Rules;
use super::setup::{Next, Programs, Setup};
use crate::{Pid, Signal, Tick};

/// The state around the main copy.
#[derive(Clone, Debug)]
pub struct Life {
    /// What is wanted.
    pub orders: Orders,
    /// The state while there is no main copy.
    pub phase: Phase,
    /// The starts so far.
    pub pace: Pace,
    /// What a start waits for.
    pub gate: Gate,
    /// The script for which the service waits.
    pub hook: Hook,
    /// What was set up.
    pub setup: Setup,
    /// What copies that have ended have left behind.
    pub leftovers: Leftovers,
    restarts: Restarts,
}

impl Life {
    /// Before the first start.
    pub fn new(want: Want) -> Life {
        Life {
            orders: Orders::new(want),
            phase: Phase::Down,
            pace: Pace::default(),
            gate: Gate::default(),
            hook: Hook::default(),
            setup: Setup::default(),
            leftovers: Leftovers::default(),
            restarts: Restarts::default(),
        }
    }

    /// Goes on from the record of a predecessor.
    pub fn resume(now: Tick, left: &Decided, resumed: &Resumed) -> Life {
        let hook = left.hook.filter(|_| left.main.is_none());
        let hook = hook.map(|left| Hook::resume(now, left, resumed.hook_limit, resumed.knobs.hung_grace()));
        let phase = Phase::resume(left);
        Life {
            orders: Orders::resume(left, phase.is_ending()),
            phase,
            pace: Pace::resume(left.pace, resumed.last_start),
            gate: Gate::resume(left.gate.filter(|_| matches!(phase, Phase::Held { .. })), left.waited),
            hook: hook.unwrap_or_default(),
            setup: Setup::resume(left.setup, left.main.is_some()),
            leftovers: Leftovers::resume(now, &left.leftovers, resumed.knobs.hung_grace()),
            restarts: Restarts::default(),
        }
    }

    /// The same without what was counted, which takes memory.
    pub fn uncounted(&self) -> Life {
        Life { restarts: Restarts::default(), ..*self }
    }

    /// What the start of the main copy is to make now.
    pub const fn next(&self, there: Programs) -> Next {
        let after = if let Phase::Starting { after, .. } = self.phase { after } else { None };
        self.setup.next(after, there)
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Tick> {
        let held = if let Phase::Held { .. } = self.phase { self.gate.deadline() } else { None };
        let start = self.phase.deadline().or(held).filter(|_| self.leftovers.is_empty());
        [start, self.hook.deadline(), self.leftovers.deadline()].into_iter().flatten().min()
    }

    /// Why the service is over, or will be when `finish` has ended.
    pub const fn over(&self) -> Option<Over> {
        match self.phase {
            Phase::Leaving { over, .. } | Phase::Finishing { over, .. } => over,
            _ => self.orders.over,
        }
    }

    /// Returns whether the loop is making a process.
    pub const fn is_starting(&self) -> bool {
        self.phase.is_starting() || self.hook.is_starting()
    }

    /// Supervision begins. `is_down`: no main copy runs.
    pub fn begin(&mut self, now: Tick, is_down: bool, todo: &mut Actions) {
        match self.phase {
            Phase::Waiting { asked, .. } => self.start(now, asked, todo),
            Phase::Held { .. } => self.look_again(now, todo),
            Phase::Down if is_down && self.orders.is_wanted() => self.start(now, false, todo),
            _ => {}
        }
        self.leftovers.look(todo);
    }

    /// Somebody wants it to run. What was counted is forgotten.
    pub fn want_start(&mut self, now: Tick, want: Want, is_down: bool, todo: &mut Actions) {
        self.orders.want_start(want);
        self.setup.release();
        self.pace.forget();
        self.restarts.forget();
        todo.push(Action::Announce);
        match self.phase {
            Phase::Down | Phase::Waiting { .. } if is_down => self.start(now, true, todo),
            phase => self.phase = phase.asked(),
        }
    }

    /// Somebody wants it to be down. What comes before `run` is told to end within so many nanoseconds.
    pub fn want_down(&mut self, now: Tick, grace: u64, todo: &mut Actions) {
        self.orders.down(self.setup.release());
        self.phase = self.phase.unasked();
        self.gate.open();
        if let Some(pid) = self.hook.tell_to_end(now, grace) {
            todo.push(Action::Signal(Target::Job(pid), Signal::TERM));
            todo.push(Action::Signal(Target::Job(pid), Signal::CONT));
        }
    }

    /// supervise is to exit. A restart that nobody asked for is given up, and so is a start that is held back: nobody knows how long it would be.
    pub const fn want_exit(&mut self) {
        self.orders.exiting = true;
        if let Phase::Waiting { asked: false, .. } | Phase::Held { .. } = self.phase {
            self.phase = Phase::Down;
            self.gate.open();
        }
    }

    /// Starts now, or when the second since the last start is over and nothing is left of earlier copies.
    fn start(&mut self, now: Tick, asked: bool, todo: &mut Actions) {
        let until = self.pace.next(now);
        if until > now || !self.leftovers.is_empty() {
            self.phase = Phase::Waiting { until, asked };
        } else {
            self.start_now(now, asked, None, todo);
        }
    }

    /// Makes the next process of a start, which comes after this script.
    fn start_now(&mut self, now: Tick, asked: bool, after: Option<Script>, todo: &mut Actions) {
        self.phase = Phase::Starting { asked, after };
        self.gate.ask(self.pace.last_start());
        self.pace.start(now);
        todo.push(Action::Start(Slot::Main));
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        if let Some((script, pid)) = self.hook.timeout(now) {
            todo.push(Action::Say(Say::HookLate(script, pid)));
            todo.push(Action::Signal(Target::Job(pid), Signal::KILL));
        }
        self.leftovers.timeout(now, todo);
        self.start_if_due(now, todo);
        if self.gate.deadline().is_some_and(|until| until <= now) {
            self.look_again(now, todo);
        }
    }

    /// Starts if that has waited for the time alone, or for that nothing is left of earlier copies.
    pub fn start_if_due(&mut self, now: Tick, todo: &mut Actions) {
        if let Phase::Waiting { until, asked } = self.phase
            && until <= now
            && self.leftovers.is_empty()
        {
            self.start_now(now, asked, None, todo);
        }
    }

    /// Looks again what a start waits for that is held back, if nothing is left of earlier copies either.
    pub fn look_again(&mut self, now: Tick, todo: &mut Actions) {
        if let Phase::Held { asked } = self.phase
            && self.leftovers.is_empty()
        {
            self.start_now(now, asked, None, todo);
        }
    }

    /// Nothing is left of earlier copies any more: looks again what a start waits for that is held back. If it still waits, the record says so and that nothing is left.
    pub fn nothing_is_left(&mut self, now: Tick, todo: &mut Actions) {
        if let Phase::Held { .. } = self.phase {
            self.gate.lapse();
            self.look_again(now, todo);
        }
    }

    /// A main copy was started.
    pub fn main_started(&mut self, now: Tick, executed: bool) {
        self.phase = Phase::Down;
        self.gate.pass(now);
        self.setup.started(executed);
    }

    /// A script was started.
    pub fn hook_started(&mut self, now: Tick, script: Script, start: &Start) {
        self.hook.started(now, script, start.pid, start.limit);
        if let Phase::Starting { asked, .. } = self.phase {
            self.phase = Phase::Preparing { asked };
            self.gate.pass(now);
            self.pace.take_back();
        }
    }

    /// A start of the main copy has made no process. Returns whether the record must say something else now.
    pub fn main_not_started(&mut self, now: Tick, why: NotStarted, todo: &mut Actions) -> bool {
        let pause = match why {
            NotStarted::Gone => {
                // `start` was all, or what it has waited for.
                self.phase = Phase::Down;
                self.gate.pass(now);
                self.end(Over::Done, true, todo);
                return true;
            }
            NotStarted::Held(found) => return self.hold(now, found),
            NotStarted::Fork => FORK_RETRY,
            NotStarted::Refused => {
                self.pace.take_back();
                PACE
            }
        };
        self.gate.lapse();
        self.phase = if self.orders.is_wanted() {
            Phase::Waiting { until: now.after(pause), asked: false }
        } else {
            self.gate.open();
            Phase::Down
        };
        true
    }

    /// A start is held back. It was no start, so the pace does not count it. Returns whether the record must say something else now.
    fn hold(&mut self, now: Tick, found: Held) -> bool {
        self.pace.hold(self.gate.earlier());
        match self.phase {
            Phase::Starting { asked, .. } if !self.orders.exiting => {
                self.phase = Phase::Held { asked };
                self.gate.hold(now, found)
            }
            _ => {
                self.phase = Phase::Down;
                self.gate.open();
                true
            }
        }
    }

    /// Handles the end of a main copy when no new copy takes its place: here the parts meet.
    pub fn main_ended(&mut self, now: Tick, main: &Copy, exit: Exit, rules: &Rules, todo: &mut Actions) {
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
        self.phase = Phase::Leaving { asked: false, over, finish: main.executed && rules.finish };
        self.hook.plan(main.leads.then_some(main.pid));
        if self.leftovers.is_empty() {
            self.run_finish(now, todo);
        } else if main.rest(false, None).is_none() {
            // Otherwise a look follows, and is announced with what it finds.
            todo.push(Action::Announce);
        }
    }

    /// Returns whether what the main copy has left behind is waited for.
    pub const fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// Nothing is left of the main copy that has ended: runs `finish` about that, if it is to be run.
    pub fn run_finish(&mut self, now: Tick, todo: &mut Actions) {
        let Phase::Leaving { asked, over, finish } = self.phase else {
            return;
        };
        self.phase = Phase::Finishing { asked, over };
        if finish {
            self.hook.begin();
            todo.push(Action::Start(Slot::Job(Job::Hook(Script::Finish))));
        } else {
            self.hook_ended(now, Script::Finish, None, todo);
        }
    }

    /// A script has ended, or (`None`) was not started: what has waited for it follows.
    pub fn hook_ended(&mut self, now: Tick, script: Script, exit: Option<Exit>, todo: &mut Actions) {
        let (was_told, wanted) = (self.hook.end(), self.orders.is_wanted());
        match std::mem::replace(&mut self.phase, Phase::Down) {
            Phase::Preparing { asked } if was_told => self.start_if(now, asked, wanted, todo),
            Phase::Preparing { asked } => self.prepared(now, script, exit, asked, todo),
            Phase::Finishing { asked: true, .. } => self.start(now, true, todo),
            Phase::Finishing { .. } if wanted && exit == Some(Exit::Code(hook::FAILED)) => {
                self.end(Over::Finish, true, todo);
            }
            Phase::Finishing { over: Some(over), .. } => self.end(over, over != Over::Done, todo),
            Phase::Finishing { .. } => self.start_if(now, false, wanted, todo),
            Phase::Stopping { asked } => self.start_if(now, asked, false, todo),
            phase @ (Phase::Down
            | Phase::Waiting { .. }
            | Phase::Held { .. }
            | Phase::Starting { .. }
            | Phase::Leaving { .. }) => self.phase = phase,
        }
    }

    fn start_if(&mut self, now: Tick, asked: bool, wanted: bool, todo: &mut Actions) {
        if asked || wanted {
            self.start(now, asked, todo);
        }
    }

    /// What comes before `run` has ended: the start goes on, or does not. A `start` whose end nobody has seen is believed to have done its work: most do.
    fn prepared(&mut self, now: Tick, script: Script, exit: Option<Exit>, asked: bool, todo: &mut Actions) {
        if script == Script::Start {
            match exit {
                Some(Exit::Code(0) | Exit::Unknown) | None => self.setup.prepared(),
                Some(exit) => {
                    self.setup.failed();
                    return self.end(Over::Start(exit), true, todo);
                }
            }
        }
        if asked || self.orders.is_wanted() {
            self.start_now(now, asked, Some(script), todo);
        }
    }

    /// The service is down for good, until somebody wants it up. What was set up is `kept`, or taken down.
    fn end(&mut self, over: Over, kept: bool, todo: &mut Actions) {
        let start = match over {
            Over::Start(exit) => Some(exit),
            Over::Done if kept => Some(Exit::Code(0)),
            _ => None,
        };
        if let Some(exit) = start {
            // `start` is to this service what `run` is to others.
            self.pace.ended(exit);
            self.orders.run_ended(true);
        }
        self.setup.over(kept);
        self.orders.end(over, todo);
    }

    /// No copy runs: begins `stop` if nothing is due either, and it is time for that. Returns whether it is.
    pub fn take_down(&mut self, todo: &mut Actions) -> bool {
        let is_down = self.phase == Phase::Down && self.leftovers.is_empty() && !self.orders.is_wanted();
        let stops = is_down && self.setup.rest(self.orders.exiting);
        if stops {
            self.phase = Phase::Stopping { asked: false };
            self.hook.plan(None);
            self.hook.begin();
            todo.push(Action::Start(Slot::Job(Job::Hook(Script::Stop))));
        }
        stops
    }

    /// The slot of this process, if it is that of the script.
    pub fn slot(&self, pid: Pid) -> Option<Slot> {
        let (script, _) = self.hook.running().filter(|&(_, running)| running == pid)?;
        Some(Slot::Job(Job::Hook(script)))
    }
}
