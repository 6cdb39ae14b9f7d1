//! The machine of supervise in random worlds, against a model of the kernel.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU32;

use machine::overlap::Why;
use machine::probe::{FIRST_PAUSE, LIMIT};
use machine::supervise::controls::{MOST, Scripts};
use machine::supervise::gate::Held;
use machine::supervise::health;
use machine::supervise::hook::{self, CONTROL_LIMIT, FAILED};
use machine::supervise::leftovers::PAUSE;
use machine::supervise::restarts::Limit;
use machine::supervise::{
    Action, Actions, Event, FORK_RETRY, HUNG_GRACE, Job, Knobs, Left, Machine, Needs, Next, NotStarted, PACE, Programs,
    Resumed, Rules, Say, Slot, Start, Target, Word,
};
use machine::{Pid, SECOND, Signal, Tick};
use proptest::prelude::*;
use svdir::finals::Finals;
use svdir::record::handover::Handover;
use svdir::record::slots::{self, Sequence};
use svdir::record::{Copy, Decided, Observed, Over, Process, Record, Reload, Role, Script, Service, Setup};
use svdir::{Command, Exit, KillMode, Status, Want};
use tai::Label;

/// How every process ends that nobody ends.
const EXIT: Exit = Exit::Code(1);
/// How one ends that cannot become `run`.
const NOT_EXECUTED: Exit = Exit::Code(111);
/// Stands in knobs that no command may use.
const NOBODYS: Signal = Signal(64);

/// Knobs as they are in these worlds where nothing else is said.
fn patient() -> Knobs {
    Knobs { patience: Some(4 * SECOND), warm_up: SECOND, ..Knobs::default() }
}

/// What a `check` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckDoes {
    Succeeds,
    Fails,
    Hangs,
}

/// What a script does for which the service waits: `start`, `control/u`, `finish` or `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HookDoes {
    Ends(u8),
    Hangs,
    CannotRun,
}

/// What a process does that a copy has made, in its process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HelperDoes {
    Obeys,
    /// Only KILL ends it.
    IsStubborn,
    /// It hangs in the kernel, and nothing ends it.
    IsStuck,
}

/// What may happen in the world.
#[derive(Clone, Debug)]
enum Happening {
    Command(Command),
    /// The child ends by itself.
    ChildEnds,
    /// The second copy ends by itself, says that it is ready, or that it needs so many nanoseconds more.
    SecondEnds,
    SecondReady,
    SecondExtends(u64),
    /// Somebody else stops or continues the child.
    ChildStops,
    ChildContinues,
    /// The child says that it is ready, or not any more.
    Ready(bool),
    /// From now on the service tells when it is ready, or not.
    Declares(bool),
    /// From now on there is a `check` that tells so, or not.
    HasCheck(bool),
    /// From now on a `check` that is started does this.
    CheckDoes(CheckDoes),
    /// One that runs, if there is one, ends with this code.
    CheckEnds(u8),
    /// From now on there is a `health` that is run so, or none if the interval is 0; what is started does this.
    Health(health::Settings),
    HealthDoes(CheckDoes),
    /// One that runs, if there is one, ends with this code.
    HealthEnds(u8),
    /// From now on the end of the service leads to this.
    Rules(Rules),
    /// How long `finish` and `stop` may take from their next start on, in nanoseconds.
    FinishLimit(Option<u64>),
    /// From now on what is started has this mode, and makes another process, or none.
    Mode(KillMode, Option<HelperDoes>),
    /// Such a process ends by itself.
    HelperEnds,
    /// From now on supervise is told when one ends, or not.
    Tells(bool),
    /// From now on the service is essential, or not.
    Essential(bool),
    /// From now on a start waits for another service: for so many nanoseconds in all at most, or for ever if that is 0. `None`: that service is ready.
    Missing(Option<u64>),
    /// From now on a script that is started does this.
    HookDoes(HookDoes),
    /// One that runs, if there is one, ends with this code.
    HookEnds(u8),
    /// From now on there are these scripts in `control/`.
    Controls(Scripts),
    /// The first one that runs ends with this code.
    ControlEnds(u8),
    /// From now on the directory has these programs, and a `stop` or none.
    Programs(Programs, bool),
    /// From now on what is started tells within so many nanoseconds that it is alive.
    Watchdog(u64),
    /// From now on what is started must be ready within so many nanoseconds; 0 for no limit.
    Patience(u64),
    /// The child says that it needs so many nanoseconds more to get ready.
    Extends(u64),
    /// The child, or the second copy, says how often it will.
    Watch(u64),
    SecondWatch(u64),
    /// It says that it is alive, that it hangs, that it ends.
    Alive,
    Hangs,
    Stopping,
    /// The child, or the second copy, says that it is another process now. The old one ends later, or not.
    Moves,
    SecondMoves,
    /// A process that is not the service ends.
    StrangerEnds(u32),
    /// Nanoseconds pass; a deadline on the way is met.
    Pass(u64),
    /// The same, and supervise does not get to run before they have passed.
    Oversleeps(u64),
    /// Supervise hears of what ends with the next happening only after the one behind that.
    Dawdle,
    /// From now on forks fail, or work.
    ForksWork(bool),
    /// From now on the service can be started, as far as what it needs is there, or not.
    Refuse(bool),
    /// From now on what is forked can become `run`, or not.
    Executes(bool),
    /// Supervise is killed, and another one begins.
    Takeover,
    /// The same, and the other one cannot hear the service.
    DeafTakeover,
    /// Supervise is killed as soon as a process that it starts has written the record, and another one begins.
    KilledInStart,
    /// Supervise becomes another file in place.
    Upgrade,
    /// The knob files are others now.
    Knobs(Knobs),
}

#[derive(Clone, Debug, Default)]
struct Child {
    pid: u32,
    started: Tick,
    /// It has become `run`, as far as its supervise can know.
    executed: bool,
    /// How it has ended. Supervise has not heard of that yet.
    ended: Option<Exit>,
    /// TERM does nothing to it.
    stubborn: bool,
    /// It says when it is ready, and has said so.
    declares: bool,
    ready: bool,
    /// It is looked by `check` whether it is.
    checked: bool,
    /// It must have been sent KILL by then.
    doomed: Option<Tick>,
    /// It was sent what shall end it.
    ending: bool,
    /// Somebody has commanded that.
    asked: bool,
    /// It has been ready, and does not end by itself.
    watched: bool,
    /// Within so many nanoseconds from then on it tells that it is alive.
    watchdog: u64,
    heard: Tick,
    /// What it has told of its last reload, if it can tell.
    reload: Option<Reload>,
    /// The interval of `health` about it; 0 if that is not run.
    health: u64,
    /// How many of its runs have failed in a row.
    row: u8,
    /// Since when it is judged and `health` does not run.
    unasked_since: Option<Tick>,
    mode: KillMode,
    /// The leader of its process group, whoever it is by now.
    group: u32,
    /// It must be ready by then, and has so many nanoseconds for that.
    awaited: Option<Tick>,
    patience: u64,
}

impl Child {
    /// Whether this command tells it to end.
    fn is_told_to_end(command: Command, knobs: &Knobs) -> bool {
        let signal = match command {
            Command::Down | Command::Restart | Command::Term | Command::Kill => return true,
            Command::Reload => knobs.reload_signal,
            Command::Hup => Signal::HUP,
            Command::Interrupt => Signal::INT,
            Command::Alarm => Signal::ALRM,
            Command::Quit => Signal::QUIT,
            Command::Usr1 => Signal::USR1,
            Command::Usr2 => Signal::USR2,
            Command::Winch => Signal::WINCH,
            Command::Up | Command::Once | Command::Pause | Command::Continue | Command::Exit | Command::Replace => {
                return false;
            }
        };
        signal == knobs.down_signal
    }

    fn is_ready(&mut self, now: Tick) {
        if self.declares {
            (self.ready, self.watched, self.heard) = (true, true, now);
            self.reload.iter_mut().for_each(|reload| reload.under_way = false);
            self.awaited = None;
        }
        self.checked = false;
    }

    /// It needs at least so many nanoseconds from now on.
    fn extends(&mut self, now: Tick, nanoseconds: u64) {
        self.awaited = self.awaited.map(|until| until.max(now.after(nanoseconds)));
    }

    /// It goes on after a pause.
    fn goes_on(&mut self, now: Tick) {
        self.heard = now;
        self.extends(now, self.patience);
    }
}

/// A process group that a copy leads or has led, with another process in it.
#[derive(Clone, Debug)]
struct Group {
    leader: u32,
    mode: KillMode,
    /// The other process, as long as it lives.
    helper: Option<u32>,
    does: HelperDoes,
    /// When supervise has heard that the copy has ended, or when it was taken over after that.
    left: Option<Tick>,
    stopped: bool,
    killed: bool,
    /// The end of the other process will be told; it is told, and was not heard.
    is_told: bool,
    is_news: bool,
}

/// A process that runs `check` or `health`.
#[derive(Clone, Debug)]
struct CheckRun {
    pid: u32,
    /// The copy.
    about: u32,
    started: Tick,
    ended: Option<Exit>,
    killed: Option<Tick>,
}

/// A process that runs a script for which the service waits.
#[derive(Clone, Debug)]
struct HookRun {
    script: Script,
    pid: u32,
    started: Tick,
    limit: Option<u64>,
    /// By when it must be over, since it was told to end.
    told: Option<Tick>,
    ended: Option<Exit>,
}

impl HookRun {
    /// When it has had its time.
    fn late_at(&self) -> Option<Tick> {
        let limit = self.limit.map(|limit| self.started.after(limit));
        [limit, self.told].into_iter().flatten().min()
    }
}

/// A process that runs a script of `control/`.
#[derive(Clone, Debug)]
struct ControlRun {
    script: Command,
    place: usize,
    pid: u32,
    /// The copy.
    about: u32,
    /// It is asked about the signal of its letter and nothing else.
    plain: bool,
    started: Tick,
    ended: Option<Exit>,
}

/// The kernel, as far as supervise can tell, and what must hold of all that the machine asks of it.
struct World {
    machine: Machine,
    now: Tick,
    child: Option<Child>,
    /// The copy beside it.
    second: Option<Child>,
    /// Those that supervise has not reaped.
    checks: Vec<CheckRun>,
    healths: Vec<CheckRun>,
    /// The one that supervise has not reaped.
    hook: Option<HookRun>,
    groups: Vec<Group>,
    mode: KillMode,
    helper_does: Option<HelperDoes>,
    tells: bool,
    /// How often `finish` was run, also when it could not be run.
    finishes: u32,
    /// Those that supervise has not reaped.
    controls: Vec<ControlRun>,
    control_scripts: Scripts,
    /// The command that is being obeyed, if it has a script.
    commanded: Option<Command>,
    programs: Programs,
    has_stop: bool,
    /// The service has come up: `start` is not run again before it has gone down.
    prepared: bool,
    /// `start` or `run` has run since `stop` has.
    used: bool,
    /// The script that has just ended, of the start that is under way.
    after: Option<Script>,
    /// How many ends were noted in the death tally.
    tallied: u32,
    /// Children of supervise that have ended and are no copies: what could not become `run` beside the child.
    strangers: Vec<u32>,
    /// Those that are known not to have become `run`.
    never_run: BTreeSet<u32>,
    next_pid: u32,
    forks_work: bool,
    refuse: bool,
    executes: bool,
    stubborn: bool,
    starts: Vec<Tick>,
    /// How many of them count.
    counted: u32,
    last_exit: Option<Exit>,
    stamps: i64,
    /// What was seen of the copies.
    seen: [Process; 2],
    announced: Record,
    /// The record's file.
    file: [u8; slots::FILE],
    sequence: Sequence,
    knobs: Knobs,
    declares: bool,
    has_check: bool,
    check_does: CheckDoes,
    health: health::Settings,
    health_does: CheckDoes,
    rules: Rules,
    /// How long `finish` and `stop` may take, in nanoseconds.
    finish_limit: Option<u64>,
    /// The knobs that the machine knows: of the last command that needs them, or of the beginning of this supervise.
    known: Knobs,
    /// The service is essential; svscan is an init.
    essential: bool,
    below_init: bool,
    /// A start waits for another service, at most so many nanoseconds in all, or for ever if that is 0.
    missing: Option<u64>,
    hook_does: HookDoes,
    /// How many ends in a row have made the pace longer.
    slowed: u32,
    /// When the next start may be made because of that.
    slowed_until: Tick,
    /// The ends that count.
    unasked: Vec<Tick>,
    watchdog: u64,
    patience: u64,
    oversleeps: bool,
    dawdles: bool,
    killed_in_start: bool,
    killed: bool,
    quit: bool,
}

impl World {
    fn new(want: Want, stubborn: bool) -> World {
        let mut world = World {
            machine: Machine::new(want),
            now: Tick(5),
            child: None,
            second: None,
            checks: Vec::new(),
            healths: Vec::new(),
            hook: None,
            groups: Vec::new(),
            mode: KillMode::Process,
            helper_does: None,
            tells: true,
            finishes: 0,
            controls: Vec::new(),
            control_scripts: Scripts::default(),
            commanded: None,
            programs: Programs { start: false, up: false, run: true },
            has_stop: false,
            prepared: false,
            used: false,
            after: None,
            tallied: 0,
            strangers: Vec::new(),
            never_run: BTreeSet::new(),
            next_pid: 100,
            forks_work: true,
            refuse: false,
            executes: true,
            stubborn,
            starts: Vec::new(),
            counted: 0,
            last_exit: None,
            stamps: 0,
            seen: [Process::default(); 2],
            announced: Record::default(),
            file: [0; slots::FILE],
            sequence: Sequence::default(),
            knobs: patient(),
            declares: false,
            has_check: false,
            check_does: CheckDoes::Fails,
            health: health::Settings { interval: 0, ..health::Settings::default() },
            health_does: CheckDoes::Succeeds,
            rules: Rules::default(),
            finish_limit: Some(hook::LIMIT),
            known: Knobs::default(),
            essential: false,
            below_init: false,
            missing: None,
            hook_does: HookDoes::Ends(0),
            slowed: 0,
            slowed_until: Tick(0),
            unasked: Vec::new(),
            watchdog: 0,
            patience: 0,
            oversleeps: false,
            dawdles: false,
            killed_in_start: false,
            killed: false,
            quit: false,
        };
        world.announce(world.record());
        world.step(Event::Begin);
        world
    }

    /// From now on svscan is an init, or not.
    fn is_below_init(&mut self, init: bool) {
        self.below_init = init;
        self.machine.know_init(init);
        self.announce(self.record());
    }

    fn decided(&self) -> Decided {
        self.machine.decided()
    }

    fn main(&self) -> Copy {
        self.decided().main.expect("there is a main copy")
    }

    fn role(&self) -> Option<Role> {
        self.decided().second.map(|(role, _)| role)
    }

    fn record(&self) -> Record {
        self.record_of(self.decided())
    }

    fn record_of(&self, decided: Decided) -> Record {
        let [main, second] = self.seen;
        let second = if decided.second.is_some() { second } else { Process::default() };
        Record { decided, observed: Observed { main, second, ..Observed::default() } }
    }

    fn status(&self) -> Status {
        self.record().status()
    }

    fn label(&mut self) -> Label {
        self.stamps += 1;
        Label::from_unix(self.stamps, 0)
    }

    /// Writes the record, from which it can be read again.
    fn announce(&mut self, record: Record) {
        let shown = record.status().pid.map_or(0, NonZeroU32::get);
        assert!(!self.never_run.contains(&shown), "a process is shown that has never become `run`");
        self.sequence = self.sequence.next();
        let at = usize::try_from(self.sequence.offset()).expect("two slots");
        self.file[at..at + slots::SLOT].copy_from_slice(&slots::encode(self.sequence, &record));
        assert_eq!(slots::newest(&self.file), Some((self.sequence, record)), "the file says something else");
        self.announced = record;
    }

    /// One turn of the loop: what has become of starts comes before all else, but after all that the same step asks for.
    fn step(&mut self, event: Event) {
        let (mut queue, before) = (VecDeque::from([event]), self.record());
        let (starts, over) = (self.starts.len(), self.decided().over);
        while let Some(event) = queue.pop_front() {
            let outcomes = self.handle(event);
            if std::mem::take(&mut self.killed) {
                return self.take_over(false, true);
            }
            for outcome in outcomes.into_iter().rev() {
                queue.push_front(outcome);
            }
            if queue.is_empty() {
                self.note_rest();
                self.note_setup();
                self.look(event);
            }
        }
        let after = self.record();
        let since = |record: Record| record.status().since;
        let is_news = before.pid() != after.pid();
        assert_eq!(is_news, since(before) != since(after), "a pid changes with a stamp, and only so");
        let starts_it = matches!(event, Event::Command(Command::Up | Command::Once | Command::Replace, _));
        let ends = |record: Record| {
            let finishes = record.decided.hook.is_some_and(|hook| hook.script == Script::Finish);
            finishes || record.decided.leftovers.ending
        };
        let is_finishing = ends(before);
        let is_released = is_finishing || (before.decided.setup.kept && over == Some(Over::Done));
        if over.is_some() && !starts_it && !(is_released && matches!(event, Event::Command(Command::Down, _))) {
            assert_eq!(
                (after.decided.over.is_some(), self.starts.len()),
                (true, starts),
                "{event:?} starts what is over"
            );
            assert!(is_finishing || after.decided.over == over, "{event:?} changes what is over");
        }
        let Service { ended, exiting, .. } = after.decided.service;
        assert!(!ended || (exiting && self.below_init && after.decided.over.is_some()), "svscan ends without a reason");
        let is_down = after.status().want == Want::Down || ends(after);
        assert!(after.decided.over.is_none() || is_down, "what is over is wanted");
    }

    /// Whether `health` judges the main copy.
    fn is_judged(&self) -> bool {
        let paused = self.status().paused;
        let is_up = |child: &Child| child.executed && (child.ready || !child.declares) && !child.ending;
        self.child.as_ref().is_some_and(|child| is_up(child) && !paused && child.health > 0)
    }

    /// Nothing runs, nothing is due, and nothing is wanted: what was set up is taken down, or kept until a command.
    fn note_setup(&mut self) {
        let Decided { service, hook, setup, over, .. } = self.decided();
        let is_wanted = service.start_due || (service.want == Want::Up && !service.exiting);
        if self.child.is_none()
            && self.second.is_none()
            && hook.is_none()
            && self.controls.is_empty()
            && self.decided().leftovers.is_empty()
            && !is_wanted
        {
            self.prepared = false;
            assert!(!self.used || (setup.kept && !service.exiting), "what was set up is forgotten");
            assert!(!setup.kept || over.is_some(), "something is kept for nothing");
        }
        assert_eq!((setup.prepared, setup.used), (self.prepared, self.used), "what was set up");
    }

    /// Notes since when `health` might run.
    fn note_rest(&mut self) {
        let (now, judged) = (self.now, self.is_judged());
        if let Some(child) = &mut self.child {
            child.unasked_since = judged.then(|| child.unasked_since.unwrap_or(now));
        }
        if let Some(second) = &mut self.second {
            second.unasked_since = None;
        }
    }

    fn handle(&mut self, event: Event) -> Vec<Event> {
        assert!(!self.quit, "an event after the machine quit");
        let actions = self.machine.step(self.now, event);
        // No step comes near to where it would take memory.
        assert!(2 * actions.count() < Actions::PLACES, "{event:?} asks for {}", actions.count());
        let mut outcomes = Vec::new();
        for action in actions {
            outcomes.extend(self.perform(action));
            if self.killed {
                return Vec::new();
            }
        }
        outcomes
    }

    /// What holds whenever nothing is left to be done.
    fn look(&self, event: Event) {
        let record = self.record();
        assert_eq!(self.announced, record, "not announced after {event:?}");
        let known = |child: &Child| (child.pid, child.executed, child.declares, child.ready, child.watchdog);
        let shown = |copy: Copy| (copy.pid.get(), copy.executed, copy.declares, copy.ready, copy.watchdog);
        let Decided { main, second, pace, .. } = record.decided;
        assert_eq!(main.map(shown), self.child.as_ref().map(known), "of the main copy");
        assert_eq!(second.map(|(_, copy)| shown(copy)), self.second.as_ref().map(known), "of the second");
        let judged = |child: &Child| (child.watched, child.ending, child.asked, child.awaited.is_some());
        let shown = |main: Copy| (main.watched, main.ending, main.asked, main.awaited);
        assert_eq!(main.map(shown), self.child.as_ref().map(judged));
        assert_eq!(record.decided.reload, self.child.as_ref().and_then(|child| child.reload));
        let runs = self.child.as_ref().filter(|child| child.executed);
        assert_eq!(record.pid().map(NonZeroU32::get), runs.map(|child| child.pid));
        let hook = self.hook.as_ref().map(|hook| (hook.script, hook.pid));
        assert_eq!(record.decided.hook.map(|hook| (hook.script, hook.pid.get())), hook);
        assert!(hook.is_none_or(|(script, pid)| self.machine.slot(Pid(pid)) == Some(Slot::Job(Job::Hook(script)))));
        for (place, control) in record.decided.controls.into_iter().enumerate() {
            let run = self.controls.iter().find(|run| run.place == place);
            assert_eq!(control.map(|control| control.pid.get()), run.map(|run| run.pid), "in place {place}");
            let job = run.map(|run| (self.machine.slot(Pid(run.pid)), Slot::Job(Job::Control(run.script, place))));
            assert!(job.is_none_or(|(slot, job)| slot == Some(job)), "{job:?}");
        }
        let Decided { gate, leftovers, .. } = record.decided;
        assert!(gate.is_none() || (self.child.is_none() && self.hook.is_none()), "it waits, and something of it runs");
        let comes = matches!(event, Event::Overdue(_)) || (self.oversleeps && event != Event::Timeout);
        assert!(gate.is_none() || self.held().is_some() || !leftovers.is_empty() || comes, "it waits for nothing");
        let ready = runs.is_some_and(|child| child.declares && child.ready);
        assert_eq!(record.ready().is_some(), ready, "ready is what a child of a service that tells so has said");
        assert_eq!((pace.starts, pace.last_exit), (self.counted, self.last_exit));
        let pid = |child: &Option<Child>| child.as_ref().map(|child| Pid(child.pid));
        assert_eq!((self.machine.pid(), self.machine.second_pid()), (pid(&self.child), pid(&self.second)));
        let is_due = self.machine.deadline().is_some_and(|deadline| deadline <= self.now);
        // The timeout comes behind those.
        let comes = matches!(event, Event::Overdue(_)) || (self.oversleeps && event != Event::Timeout);
        assert!(!is_due || comes, "a deadline in the past");
        self.look_at_checks();
        self.look_at_groups();
    }

    fn look_at_checks(&self) {
        for check in &self.checks {
            let awaited = self.is_awaited(check.about);
            let late = check.started.until(self.now) >= LIMIT;
            match check.killed {
                None if check.ended.is_some() => {}
                None => {
                    assert!(awaited, "a check about a copy of which nobody waits to be ready");
                    let slot = Slot::Job(Job::Check(Pid(check.about)));
                    assert_eq!(self.machine.slot(Pid(check.pid)), Some(slot), "a check is forgotten");
                }
                Some(at) => assert!(at != self.now || late || !awaited, "a check was killed for no reason"),
            }
        }
        for run in self.healths.iter().filter(|run| run.ended.is_none()) {
            let main = self.child.as_ref().map(|child| child.pid);
            assert!(self.is_judged() && main == Some(run.about), "`health` about what is not judged");
            assert_eq!(self.machine.slot(Pid(run.pid)), Some(Slot::Job(Job::Health(Pid(run.about)))));
        }
    }

    /// What is left of copies is waited for, and was killed or told to end.
    fn look_at_groups(&self) {
        let rests = self.decided().leftovers.rests;
        for group in self.groups.iter().filter(|group| group.left.is_some() && group.helper.is_some()) {
            let known = rests.into_iter().flatten().find(|rest| rest.group.get() == group.leader);
            let known = known.expect("what is left is forgotten");
            assert_eq!((known.pid.map(NonZeroU32::get), known.mode), (group.helper, group.mode));
            assert!(group.killed || (group.stopped && group.mode.tells()), "{group:?} is left alone");
            assert!(known.kill_due || group.killed, "nobody kills it");
        }
    }

    /// Nothing is left of a copy that has ended.
    fn is_nothing_left(&self) -> bool {
        self.groups.iter().all(|group| group.left.is_none() || group.helper.is_none())
    }

    /// What a look finds.
    fn look_for(&mut self, leader: Pid, mode: KillMode) -> Option<Left> {
        let copies = [&self.child, &self.second].into_iter().flatten();
        assert!(copies.into_iter().all(|copy| copy.group != leader.0), "its copy lives");
        let group = self.groups.iter_mut().find(|group| group.leader == leader.0).expect("nobody has led it");
        assert!(group.left.is_some() && group.mode == mode, "it has not ended");
        group.is_told = self.tells;
        group.helper.map(|pid| Left { pid: Some(Pid(pid)), told: self.tells })
    }

    /// A process has ended, which has led this group, or whose predecessor has.
    fn leave(&mut self, leader: u32) {
        let now = self.now;
        if let Some(group) = self.groups.iter_mut().find(|group| group.leader == leader) {
            group.left = Some(now);
        }
    }

    /// Sends a signal to what is in the group besides the copy.
    fn signal_group(&mut self, leader: u32, signal: Signal) {
        let stops = signal != Signal::CONT && signal != Signal::STOP;
        let Some(group) = self.groups.iter_mut().find(|group| group.leader == leader) else {
            return;
        };
        group.stopped |= stops;
        group.killed |= signal == Signal::KILL;
        let ends = match group.does {
            HelperDoes::Obeys => stops,
            HelperDoes::IsStubborn => signal == Signal::KILL,
            HelperDoes::IsStuck => false,
        };
        if ends {
            group.is_news |= group.helper.take().is_some() && group.is_told;
        }
    }

    /// Tells the machine that orphans have ended.
    fn reap_helpers(&mut self) {
        let is_news = self.groups.iter().any(|group| group.is_news);
        self.groups.iter_mut().for_each(|group| group.is_news = false);
        if is_news && !self.quit {
            let decided = self.decided();
            let finishes = self.finishes;
            self.step(Event::Orphans);
            let is_over = self.decided().leftovers.is_empty();
            let ran = decided.leftovers.finish && is_over;
            assert_eq!(self.finishes, finishes + u32::from(ran), "`finish` comes when nothing is left");
        }
    }

    /// The rules for the end of a copy in this mode.
    fn rules_for(&self, pid: u32, rules: Rules) -> Rules {
        let needs = self.machine.overview().needs_signals(Pid(pid));
        Rules { signals: needs.then_some(self.knobs), ..rules }
    }

    /// Whether it is looked by `check` whether this copy is ready.
    fn is_awaited(&self, pid: u32) -> bool {
        let is_it = |child: &&Child| child.pid == pid && child.checked;
        let is_warming = self.role() == Some(Role::Warming);
        self.child.as_ref().filter(is_it).is_some() || self.second.as_ref().filter(is_it).is_some_and(|_| is_warming)
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ Slot::Main) => return self.start_main(slot),
            Action::Start(slot @ Slot::Second) => return self.start_second(slot),
            Action::Start(slot @ Slot::Job(Job::Check(about))) => return Some(self.start_check(slot, about)),
            Action::Start(slot @ Slot::Job(Job::Health(about))) => return Some(self.start_health(slot, about)),
            Action::Start(slot @ Slot::Job(Job::Control(script, place))) => {
                return Some(self.start_control(slot, script, place));
            }
            Action::Start(slot @ Slot::Job(Job::Hook(script))) => return Some(self.start_hook_behind(slot, script)),
            Action::Promote => {
                assert!(self.second.is_some(), "nobody is there to be promoted");
                std::mem::swap(&mut self.child, &mut self.second);
                self.seen.swap(0, 1);
                self.seen[0].ready = None;
                if let Some(child) = &mut self.child {
                    (child.watched, child.heard) = (child.ready, self.now);
                    child.extends(self.now, child.patience);
                }
            }
            Action::Say(Say::Hung(pid, within)) => self.hang(pid, within),
            Action::Say(Say::Unhealthy(pid, fails)) => {
                let doomed = Some(self.now.after(self.knobs.timeout_kill.unwrap_or(HUNG_GRACE)));
                assert!(self.is_judged(), "it is not judged");
                let child = self.child.as_mut().expect("nobody is unhealthy");
                assert_eq!((child.pid, child.row), (pid.0, fails));
                (child.ending, child.checked, child.doomed) = (true, false, doomed);
            }
            Action::Say(Say::NotReady(pid, within)) => self.is_not_ready(pid, within),
            Action::Say(Say::Late(pid)) => self.is_late(pid),
            Action::Say(Say::GaveUp(why)) => self.gave_up(why),
            Action::Say(Say::HookLate(script, Pid(pid))) => {
                let hook = self.hook.as_ref().expect("it runs");
                assert_eq!((hook.script, hook.pid), (script, pid));
                assert!(hook.late_at().is_some_and(|at| at <= self.now), "it has time to end");
            }
            Action::Say(Say::ControlLate(script, Pid(pid))) => {
                let is_it = |run: &&ControlRun| run.pid == pid && run.script == script;
                let run = self.controls.iter().find(is_it).expect("it runs");
                assert!(run.started.until(self.now) >= CONTROL_LIMIT, "it has time to end");
            }
            Action::Say(Say::Unasked(_)) => assert_eq!(self.controls.len(), MOST, "there is room"),
            Action::Say(Say::Over(over)) => assert_eq!(self.decided().over, Some(over)),
            Action::Say(Say::NoInit) => assert!(self.essential && !self.below_init && self.decided().over.is_some()),
            Action::IsEssential => {
                assert!(self.decided().over.is_some() && self.child.is_none() && self.hook.is_none());
                return Some(Event::Essential(self.essential));
            }
            Action::Signal(target, signal) => self.signal(target, signal),
            Action::Look(leader, mode, known) => {
                let left = self.look_for(leader, mode);
                let helper = left.and_then(|left| left.pid);
                assert!(known.is_none() || helper.is_none() || known == helper);
                return Some(Event::Left(leader, left));
            }
            Action::Say(Say::LeftLate(leader, mode)) => {
                let group = self.groups.iter().find(|group| group.leader == leader.0).expect("nobody has led it");
                assert!(group.left.is_some() && group.mode == mode && mode.tells());
            }
            Action::Tally(exit, most) => {
                assert_eq!((Some(exit), most), (self.last_exit, self.rules.tally));
                self.tallied += 1;
            }
            Action::Stamp => self.seen[0].since = self.label(),
            Action::StampReady => self.seen[0].ready = Some(self.label()),
            Action::Announce => self.announce(self.record()),
            Action::Quit => {
                assert!(self.child.is_none() && self.second.is_none(), "quit with a child");
                assert!(self.checks.iter().all(|check| check.ended.is_some()), "quit with a check");
                assert!(self.healths.iter().all(|run| run.ended.is_some()), "quit with a health");
                assert!(self.hook.is_none() && self.controls.is_empty(), "quit with a script");
                assert!(self.is_nothing_left(), "quit with something left");
                self.quit = true;
            }
        }
        None
    }

    /// When the child counts as one that hangs. `None` if it may be silent.
    fn hung_at(&self) -> Option<Tick> {
        let paused = self.status().paused;
        let child = self.child.as_ref().filter(|child| child.watched && child.watchdog > 0 && !child.ending && !paused);
        child.map(|child| child.heard.after(child.watchdog))
    }

    /// When the child should have been ready. `None` if nobody waits for that.
    fn late_at(&self) -> Option<Tick> {
        let paused = self.status().paused;
        self.child.as_ref().filter(|child| child.executed && !child.ending && !paused)?.awaited
    }

    fn is_not_ready(&mut self, pid: Pid, within: u64) {
        let (doomed, late_at) = (self.now.after(self.knobs.timeout_kill.unwrap_or(HUNG_GRACE)), self.late_at());
        assert!(late_at.is_some_and(|at| at <= self.now), "it has time to get ready");
        let child = self.child.as_mut().expect("nobody is late");
        assert_eq!((child.pid, child.patience, child.ready), (pid.0, within, false));
        (child.ending, child.checked, child.doomed) = (true, false, Some(doomed));
    }

    fn hang(&mut self, pid: Pid, within: Option<u64>) {
        let (timeout, now) = (self.knobs.timeout_kill.unwrap_or(HUNG_GRACE), self.now);
        let child = self.child.as_mut().expect("nobody hangs");
        assert_eq!(Pid(child.pid), pid, "another one than the main copy is judged");
        assert!(!child.ending, "it ends already");
        if let Some(within) = within {
            assert!(child.watched && child.watchdog == within && within > 0, "nobody has asked it to tell");
            assert!(child.heard.until(now) >= within, "too early by {}", within - child.heard.until(now));
        }
        (child.ending, child.checked, child.doomed) = (true, false, Some(now.after(timeout)));
    }

    fn is_late(&self, pid: Pid) {
        match &self.child {
            Some(child) if child.pid == pid.0 => {
                assert!(child.doomed.is_some_and(|doomed| doomed <= self.now), "it has time to end");
            }
            Some(_) | None => assert_eq!(self.second.as_ref().map(|second| Pid(second.pid)), Some(pid)),
        }
    }

    fn gave_up(&self, why: Why) {
        let second = self.second.as_ref().map(|second| Pid(second.pid));
        match why {
            Why::NotStarted => assert_eq!(second, None),
            // It is forgotten when it has ended.
            Why::Died(pid, _) => assert!(second.is_none() && pid.0 <= self.next_pid),
            Why::NotReady(pid) => {
                assert_eq!(second, Some(pid));
                assert!(self.second.as_ref().is_none_or(|second| !second.ready), "it has told that it is ready");
            }
            Why::Cancelled(pid) => assert_eq!(second, Some(pid)),
        }
    }

    /// What is started as `run` now.
    fn new_child(&mut self) -> (Child, Start) {
        self.next_pid += 1;
        let (pid, executed, watchdog) = (self.next_pid, self.executes, self.watchdog);
        let declares = self.declares || self.has_check;
        let (health, patience) = (self.health.interval, if declares { self.patience } else { 0 });
        let (check, tells, mode) = (self.has_check, self.declares, self.mode);
        let start =
            Start { executed, declares, check, tells, watchdog, health, mode, patience, ..Start::plain(Pid(pid)) };
        let child = Child {
            pid,
            started: self.now,
            executed,
            ended: (!executed).then_some(NOT_EXECUTED),
            stubborn: self.stubborn,
            declares,
            checked: self.has_check,
            reload: tells.then(Reload::default),
            watchdog,
            health,
            mode: self.mode,
            group: pid,
            patience,
            awaited: (patience > 0).then(|| self.now.after(patience)),
            ..Child::default()
        };
        if self.mode.leads() {
            self.next_pid += 1;
            self.groups.push(Group {
                leader: pid,
                mode: self.mode,
                helper: self.helper_does.filter(|_| executed).map(|_| self.next_pid),
                does: self.helper_does.unwrap_or(HelperDoes::Obeys),
                left: None,
                stopped: false,
                killed: false,
                is_told: false,
                is_news: false,
            });
        }
        if !executed {
            self.never_run.insert(pid);
        }
        (child, start)
    }

    /// The new process writes the record before it becomes `run`. Then supervise may be killed.
    fn announces_itself(&mut self, slot: Slot, start: Start, since: Label) {
        let decided = self.machine.decided_once_started(self.now, slot, start);
        let mut record = self.record_of(decided);
        let seen = Process { since, ..Process::default() };
        match slot {
            Slot::Second => record.observed.second = seen,
            Slot::Main => record.observed.main = seen,
            Slot::Job(_) => {}
        }
        let pid = NonZeroU32::new(start.pid.0);
        assert_ne!(record.pid(), pid, "it has not become `run` yet");
        self.announce(record);
        self.killed = std::mem::take(&mut self.killed_in_start);
    }

    fn start_main(&mut self, slot: Slot) -> Option<Event> {
        assert!(self.child.is_none(), "a second child");
        assert!(self.hook.is_none(), "it is started before a script is over");
        assert!(self.is_nothing_left(), "it is started beside what is left of another");
        assert_eq!(self.decided().over, None, "it is over");
        let (after, next) = (self.after.take(), self.machine.next(self.programs));
        assert_eq!(self.machine.begins_start(), after.is_none());
        if let Some(held) = self.held().filter(|_| after.is_none()) {
            return Some(Event::NotStarted(slot, NotStarted::Held(held)));
        }
        if let Some(&last) = self.starts.last().filter(|_| after.is_none()) {
            assert!(last.until(self.now) >= PACE, "started after {} ns", last.until(self.now));
        }
        assert!(self.now >= self.slowed_until, "started before the pace is over");
        self.slowed_until = Tick(0);
        self.starts.push(self.now);
        if next == Next::Nothing {
            let has_never_run = after.is_none() && !self.programs.start && !self.prepared;
            assert!((after == Some(Script::Start) || has_never_run) && !self.programs.run, "`run` is left out");
            (self.counted, self.last_exit) = (self.counted + 1, Some(Exit::Code(0)));
            return Some(Event::NotStarted(slot, NotStarted::Gone));
        }
        if self.refuse {
            return Some(Event::NotStarted(slot, NotStarted::Refused));
        }
        if !self.forks_work {
            self.counted += 1;
            return Some(Event::NotStarted(slot, NotStarted::Fork));
        }
        if let Next::Script(script) = next {
            return Some(self.start_hook_before(script, after));
        }
        // One that has come since `control/u` was begun is not run.
        assert!(self.prepared || !self.programs.start || after == Some(Script::Up), "without `start`");
        assert!(after == Some(Script::Up) || !self.programs.up, "without `control/u`");
        self.counted += 1;
        let (child, start) = self.new_child();
        self.prepared |= start.executed;
        let since = self.label();
        self.child = Some(child);
        self.announces_itself(slot, start, since);
        if start.executed {
            self.used = true;
            self.seen[0] = Process { since, ..Process::default() };
        }
        Some(Event::Started(slot, start))
    }

    /// What a look finds before a start; `None` if that waits for nothing.
    fn held(&self) -> Option<Held> {
        let limit = self.missing?;
        let since = self.machine.held_since().unwrap_or(self.now);
        let until = (limit > 0).then(|| since.after(limit));
        until.is_none_or(|until| until > self.now).then_some(Held { until, news: false })
    }

    fn start_second(&mut self, slot: Slot) -> Option<Event> {
        assert!(self.child.is_some(), "a second copy without a first");
        assert!(self.second.is_none(), "a third copy");
        assert!(self.is_nothing_left(), "it is started beside what is left of another");
        self.slowed_until = Tick(0);
        if self.refuse || !self.forks_work {
            let why = if self.refuse { NotStarted::Refused } else { NotStarted::Fork };
            return Some(Event::NotStarted(slot, why));
        }
        let (child, start) = self.new_child();
        let since = self.label();
        self.announces_itself(slot, start, since);
        if !start.executed && !self.killed {
            self.strangers.push(child.pid);
            return Some(Event::NotStarted(slot, NotStarted::Refused));
        }
        self.starts.push(self.now);
        self.counted += 1;
        self.second = Some(child);
        self.seen[1] = Process { since, ..Process::default() };
        Some(Event::Started(slot, start))
    }

    fn start_check(&mut self, slot: Slot, Pid(about): Pid) -> Event {
        assert!(self.is_awaited(about), "a check about a copy of which nobody waits to be ready");
        assert!(self.checks.iter().all(|check| check.about != about), "two checks about one copy");
        if !self.forks_work {
            return Event::NotStarted(slot, NotStarted::Fork);
        }
        self.next_pid += 1;
        let ended = match self.check_does {
            CheckDoes::Succeeds => Some(Exit::Code(0)),
            CheckDoes::Fails => Some(EXIT),
            CheckDoes::Hangs => None,
        };
        self.checks.push(CheckRun { pid: self.next_pid, about, started: self.now, ended, killed: None });
        Event::Started(slot, Start::plain(Pid(self.next_pid)))
    }

    fn start_health(&mut self, slot: Slot, Pid(about): Pid) -> Event {
        assert!(self.is_judged(), "`health` about what is not judged");
        assert!(self.healths.iter().all(|run| run.ended.is_some()), "two at a time");
        let (now, gone) = (self.now, self.health.interval == 0);
        let child = self.child.as_mut().expect("it is judged");
        let since = child.unasked_since.expect("it is judged");
        assert_eq!(child.pid, about, "about another than the main copy");
        assert!(since.until(now) >= child.health, "after {} ns of {}", since.until(now), child.health);
        child.unasked_since = Some(now);
        if gone {
            (child.health, child.row) = (0, 0);
            return Event::NotStarted(slot, NotStarted::Gone);
        }
        if !self.forks_work {
            return Event::NotStarted(slot, NotStarted::Fork);
        }
        self.next_pid += 1;
        let ended = match self.health_does {
            CheckDoes::Succeeds => Some(Exit::Code(0)),
            CheckDoes::Fails => Some(EXIT),
            CheckDoes::Hangs => None,
        };
        self.healths.push(CheckRun { pid: self.next_pid, about, started: now, ended, killed: None });
        Event::Started(slot, Start::plain(Pid(self.next_pid)))
    }

    /// How long a run of `health` about this copy may take.
    fn health_limit(child: &Child) -> u64 {
        child.health.min(health::LIMIT)
    }

    /// Starts a script that comes before `run`. One that cannot be executed ends at once.
    fn start_hook_before(&mut self, script: Script, after: Option<Script>) -> Event {
        match script {
            Script::Start => assert!(self.programs.start && !self.prepared, "`start` comes once"),
            Script::Up => {
                assert!(self.programs.up && after != Some(Script::Up), "`control/u` comes once before each `run`")
            }
            Script::Finish | Script::Stop => panic!("{script:?} before `run`"),
        }
        let limit = (script == Script::Up).then_some(CONTROL_LIMIT);
        self.run_hook(script, limit)
    }

    fn start_control(&mut self, slot: Slot, script: Command, place: usize) -> Event {
        assert!(self.controls.iter().all(|run| run.place != place), "two in one place");
        let about = match self.commanded {
            Some(_) => self.child.as_ref().map(|child| child.pid),
            // It is about the old copy, or behind another script.
            None => self.second.as_ref().or(self.child.as_ref()).map(|child| child.pid),
        };
        let told = matches!(script, Command::Down | Command::Exit);
        let same = self.controls.iter().any(|run| run.script == script && Some(run.about) == about);
        assert!(!same || told, "it is asked twice at a time");
        if !self.forks_work {
            return Event::NotStarted(slot, NotStarted::Fork);
        }
        self.next_pid += 1;
        let ended = match self.hook_does {
            HookDoes::Ends(code) => Some(Exit::Code(code)),
            HookDoes::Hangs => None,
            HookDoes::CannotRun => Some(NOT_EXECUTED),
        };
        let (pid, plain) = (self.next_pid, self.commanded == Some(script) && !told);
        let about = about.unwrap_or_default();
        self.controls.push(ControlRun { script, place, pid, about, plain, started: self.now, ended });
        let start = Start::plain(Pid(pid));
        self.announces_itself(slot, start, self.seen[0].since);
        if self.hook_does == HookDoes::CannotRun && !self.killed {
            self.controls.pop();
            self.strangers.push(pid);
            self.answers(script, about, plain);
            return Event::NotStarted(slot, NotStarted::Refused);
        }
        Event::Started(slot, start)
    }

    /// A script has not kept back a signal.
    fn answers(&mut self, script: Command, about: u32, plain: bool) {
        let now = self.now;
        let Some(child) = self.child.as_mut().filter(|child| child.pid == about && plain) else {
            return;
        };
        // What it means to send it is decided when it is sent.
        child.asked |= Child::is_told_to_end(script, &self.known);
        let ends = matches!(script, Command::Term | Command::Kill);
        (child.ending, child.checked) = (child.ending || ends, child.checked && !ends);
        child.heard = if script == Command::Continue { now } else { child.heard };
    }

    fn reap_control(&mut self) {
        let Some(at) = self.controls.iter().position(|run| run.ended.is_some()).filter(|_| !self.quit) else {
            return;
        };
        let ControlRun { script, pid, about, plain, ended, .. } = self.controls.remove(at);
        let exit = ended.unwrap_or(Exit::Unknown);
        if exit != Exit::Code(0) {
            self.answers(script, about, plain);
        }
        self.step(Event::Ended(Pid(pid), exit, Rules::default()));
    }

    /// Whether the signal of this command waits for a script.
    fn holds_back(&self, script: Command) -> bool {
        let Some(child) = &self.child else {
            return false;
        };
        let same = self.controls.iter().any(|run| run.script == script && run.about == child.pid);
        let works = self.forks_work && (self.hook_does != HookDoes::CannotRun || self.killed_in_start);
        same || (self.control_scripts.has(script) && self.controls.len() < MOST && works)
    }

    fn run_hook(&mut self, script: Script, limit: Option<u64>) -> Event {
        assert!(self.child.is_none() && self.hook.is_none(), "{script:?} beside another process");
        assert!(self.is_nothing_left(), "{script:?} beside what is left");
        self.next_pid += 1;
        let ended = match self.hook_does {
            HookDoes::Ends(code) => Some(Exit::Code(code)),
            HookDoes::Hangs => None,
            HookDoes::CannotRun => Some(NOT_EXECUTED),
        };
        let pid = self.next_pid;
        self.hook = Some(HookRun { script, pid, started: self.now, limit, told: None, ended });
        let (slot, start) = (Slot::Job(Job::Hook(script)), Start { limit, ..Start::plain(Pid(pid)) });
        self.announces_itself(slot, start, self.seen[0].since);
        Event::Started(slot, start)
    }

    /// Starts `finish` or `stop`. The machine goes on without one that cannot be executed.
    fn start_hook_behind(&mut self, slot: Slot, script: Script) -> Event {
        let limit = self.finish_limit;
        match script {
            Script::Finish => {
                assert_eq!(self.machine.last_exit(), self.last_exit, "it is told something else");
                self.finishes += 1;
            }
            Script::Stop => {
                assert!(self.child.is_none() && self.second.is_none() && self.hook.is_none(), "it is not down");
                assert!(std::mem::take(&mut self.used), "`stop` where nothing was set up");
                self.prepared = false;
                let service = self.decided().service;
                assert!(service.exiting || service.want != Want::Up, "`stop` while it is wanted");
                if !self.has_stop {
                    return Event::NotStarted(slot, NotStarted::Gone);
                }
            }
            Script::Start | Script::Up => panic!("{script:?} behind `run`"),
        }
        if !self.forks_work {
            return Event::NotStarted(slot, NotStarted::Fork);
        }
        let event = self.run_hook(script, limit);
        if self.hook_does == HookDoes::CannotRun && !self.killed {
            let hook = self.hook.take().expect("it runs");
            self.strangers.push(hook.pid);
            return Event::NotStarted(slot, NotStarted::Refused);
        }
        event
    }

    fn signal(&mut self, target: Target, signal: Signal) {
        let judged = self.child.as_ref().filter(|_| self.is_judged());
        let judged = judged.map(|child| (child.pid, World::health_limit(child)));
        assert_ne!(signal, NOBODYS, "a signal of knobs that were not asked for");
        let copies = [&mut self.child, &mut self.second].into_iter().flatten();
        match target {
            Target::Process(pid) => {
                let child = copies.into_iter().find(|child| child.pid == pid.0).expect("a signal to somebody else");
                let ends =
                    signal == Signal::KILL || !(child.stubborn || [Signal::STOP, Signal::CONT].contains(&signal));
                if ends {
                    child.ended.get_or_insert(Exit::Signal(signal.0));
                }
            }
            Target::Led(pid, leader) => {
                let child = copies.into_iter().find(|child| child.pid == pid.0).expect("a signal to somebody else");
                assert!(child.group == leader.0 && child.mode.leads(), "the group of another");
                assert!(child.mode == KillMode::Group || signal == Signal::KILL, "{signal:?} to a whole group");
                self.signal_group(leader.0, signal);
                self.signal(Target::Process(pid), signal);
            }
            Target::Tree(pid, leader) => {
                let child = copies.into_iter().find(|child| child.pid == pid.0).expect("a signal to somebody else");
                assert!(child.group == leader.0 && child.mode == KillMode::Tree, "the tree of another");
                if signal == Signal::KILL {
                    self.signal_group(leader.0, signal);
                }
                self.signal(Target::Process(pid), signal);
            }
            Target::Group(leader) | Target::Orphans(leader) => {
                let known = self.groups.iter().find(|group| group.leader == leader.0);
                assert!(signal == Signal::KILL || known.is_some_and(|group| group.mode.tells()));
                let is_tree = known.is_some_and(|group| group.mode == KillMode::Tree);
                assert!(is_tree == matches!(target, Target::Orphans(_)) || signal == Signal::KILL);
                assert!(copies.into_iter().all(|child| child.group != leader.0), "the group of a copy that lives");
                self.signal_group(leader.0, signal);
            }
            Target::Job(pid) => {
                if let Some(hook) = self.hook.as_mut().filter(|hook| hook.pid == pid.0) {
                    if signal == Signal::TERM {
                        assert!(matches!(hook.script, Script::Start | Script::Up) && hook.told.is_none());
                        hook.told = Some(self.now.after(self.knobs.timeout_kill.unwrap_or(HUNG_GRACE)));
                    }
                    if signal == Signal::KILL || (signal == Signal::TERM && !self.stubborn) {
                        hook.ended.get_or_insert(Exit::Signal(signal.0));
                    }
                    return;
                }
                assert_eq!(signal, Signal::KILL);
                if let Some(run) = self.controls.iter_mut().find(|run| run.pid == pid.0) {
                    run.ended.get_or_insert(Exit::Signal(signal.0));
                    return;
                }
                if let Some(run) = self.healths.iter_mut().find(|run| run.pid == pid.0) {
                    let judged = judged.filter(|(about, _)| *about == run.about);
                    let is_late = judged.map(|(_, limit)| run.started.until(self.now) >= limit);
                    assert_ne!(is_late, Some(false), "`health` was killed for no reason");
                    run.killed = run.killed.or((is_late.is_none()).then_some(self.now));
                    run.ended.get_or_insert(Exit::Signal(signal.0));
                    return;
                }
                let check = self.checks.iter_mut().find(|check| check.pid == pid.0).expect("KILL to no check");
                check.killed = Some(self.now);
                check.ended.get_or_insert(Exit::Signal(signal.0));
            }
        }
    }

    fn command(&mut self, command: Command) {
        let tells_to_end = matches!(command, Command::Down | Command::Restart);
        if let (Some(child), true, Some(timeout)) = (&mut self.child, tells_to_end, self.knobs.timeout_kill) {
            child.doomed = child.doomed.or(Some(self.now.after(timeout)));
        }
        let held = !tells_to_end && Scripts::of(command) == [command] && self.holds_back(command);
        let goes_on = command == Command::Continue && self.status().paused && !held;
        if let Some(child) = &mut self.child {
            if goes_on {
                child.goes_on(self.now);
            }
            child.ending |= tells_to_end || (matches!(command, Command::Term | Command::Kill) && !held);
            child.asked |= Child::is_told_to_end(command, &self.knobs);
            child.checked &= !child.ending;
            child.heard = if command == Command::Continue && !held { self.now } else { child.heard };
            let asked = self.controls.iter_mut().filter(|run| run.script == Command::Term && run.about == child.pid);
            asked.for_each(|run| run.plain &= !tells_to_end);
        }
        self.commanded = Some(command);
        let starts_it = matches!(command, Command::Up | Command::Once);
        if starts_it || (command == Command::Replace && self.child.is_none()) {
            self.forget();
        }
        let knobs = match Needs::of(command) {
            Needs::Nothing => {
                Knobs { down_signal: NOBODYS, reload_signal: NOBODYS, timeout_kill: Some(1), ..self.knobs }
            }
            Needs::Signals | Needs::Replacing => {
                self.known = self.knobs;
                self.knobs
            }
        };
        let scripts = Scripts::of(command).iter().copied().filter(|script| self.control_scripts.has(*script));
        let controls = scripts.fold(Scripts::default(), Scripts::with);
        self.step(Event::Command(command, Knobs { controls, ..knobs }));
        self.commanded = None;
    }

    /// What was counted does not matter any more.
    fn forget(&mut self) {
        (self.slowed, self.slowed_until) = (0, Tick(0));
        self.unasked.clear();
    }

    /// The service has ended, which was started then, and nobody has asked for that. Returns whether that was once too often.
    fn count(&mut self, started: Tick) -> bool {
        let longest = self.rules.backoff.unwrap_or(PACE).max(PACE);
        if self.rules.backoff.is_none() || started.until(self.now) > longest {
            self.slowed = 0;
        }
        let pace = (0..self.slowed).fold(PACE, |pace, _| pace.saturating_mul(2)).min(longest);
        self.slowed += 1;
        self.slowed_until = if pace > PACE { started.after(pace) } else { Tick(0) };
        // Final ends are not counted, since nothing follows them.
        let Some(limit) = self.rules.restarts else {
            self.unasked.clear();
            return false;
        };
        self.unasked.retain(|end| end.until(self.now) <= limit.within);
        self.unasked.push(self.now);
        self.unasked.len() >= usize::from(limit.times)
    }

    fn reap(&mut self) {
        while !self.quit && self.is_any_ended() {
            self.reap_strangers();
            self.reap_check();
            self.reap_health();
            self.reap_second();
            self.reap_child();
            self.reap_hook();
            self.reap_control();
            self.reap_helpers();
        }
    }

    fn is_any_ended(&self) -> bool {
        let copies = [&self.child, &self.second].into_iter().flatten().any(|child| child.ended.is_some());
        let jobs = self.checks.iter().chain(&self.healths).any(|check| check.ended.is_some());
        let jobs = jobs || self.controls.iter().any(|run| run.ended.is_some());
        let news = self.groups.iter().any(|group| group.is_news);
        copies || jobs || news || self.has_finished() || !self.strangers.is_empty()
    }

    fn reap_strangers(&mut self) {
        for pid in std::mem::take(&mut self.strangers) {
            let actions = self.machine.step(self.now, Event::Ended(Pid(pid), NOT_EXECUTED, Rules::default()));
            assert_eq!(actions, Actions::default(), "it was no copy");
        }
    }

    /// Tells the machine of a check that has ended. Its success makes the copy ready, if that is still asked.
    fn reap_check(&mut self) {
        let Some(at) = self.checks.iter().position(|check| check.ended.is_some()) else {
            return;
        };
        let CheckRun { pid, about, ended, killed, .. } = self.checks.remove(at);
        let exit = ended.unwrap_or(Exit::Unknown);
        if exit == Exit::Code(0) && killed.is_none() && self.is_awaited(about) {
            let mut copies = [&mut self.child, &mut self.second].into_iter().flatten();
            if let Some(copy) = copies.find(|child| child.pid == about) {
                copy.is_ready(self.now);
            }
        }
        self.step(Event::Ended(Pid(pid), exit, Rules::default()));
    }

    /// Tells the machine of a `health` that has ended. It counts unless it was called off.
    fn reap_health(&mut self) {
        let Some(at) = self.healths.iter().position(|run| run.ended.is_some()).filter(|_| !self.quit) else {
            return;
        };
        let CheckRun { pid, about, ended, killed, .. } = self.healths.remove(at);
        let exit = ended.unwrap_or(Exit::Unknown);
        if killed.is_some() || !self.is_judged() {
            assert_eq!(self.machine.slot(Pid(pid)), None, "it was called off");
            return self.step(Event::Ended(Pid(pid), exit, Rules::default()));
        }
        let gone = self.health.interval == 0;
        let (now, settings) = (self.now, if gone { health::Settings::default() } else { self.health });
        let child = self.child.as_mut().expect("it is judged");
        assert_eq!((child.pid, self.machine.slot(Pid(pid))), (about, Some(Slot::Job(Job::Health(Pid(about))))));
        child.row = if exit == Exit::Code(0) { 0 } else { child.row.saturating_add(1) };
        (child.health, child.unasked_since) = (settings.interval, Some(now));
        let is_unhealthy = child.row > 0 && child.row >= settings.fails;
        self.step(Event::Judged(Pid(pid), exit, settings, self.knobs));
        assert_eq!(self.child.as_ref().is_some_and(|child| child.ending), is_unhealthy, "whether it is unhealthy");
    }

    fn reap_second(&mut self) {
        if self.quit {
            return;
        }
        if let Some(second) = self.second.take_if(|second| second.ended.is_some()) {
            let rules = self.rules_for(second.pid, Rules::default());
            self.leave(second.group);
            self.step(Event::Ended(Pid(second.pid), second.ended.unwrap_or(Exit::Unknown), rules));
        }
    }

    /// Tells the machine of a child that has ended.
    fn reap_child(&mut self) {
        if self.quit {
            return;
        }
        let Some(child) = self.child.take_if(|child| child.ended.is_some()) else {
            return;
        };
        let (want, since) = (self.status().want, self.seen[0].since);
        let (known, exit) = (self.starts.len(), child.ended.unwrap_or(Exit::Unknown));
        self.last_exit = Some(exit);
        let is_listed = self.rules.finals.holds(exit) && child.executed && !child.asked;
        let beside = self.second.as_ref().filter(|_| self.role() == Some(Role::Warming)).map(|second| second.pid);
        let is_wanted = want == Want::Up && !self.decided().service.exiting;
        let is_counted = is_wanted && child.executed && !child.asked && beside.is_none();
        let is_last = beside.is_none() && ((is_listed && is_wanted) | (is_counted && self.count(child.started)));
        let (finishes, tallied) = (self.finishes, self.tallied);
        let rules = self.rules_for(child.pid, self.rules);
        self.leave(child.group);
        self.step(Event::Ended(Pid(child.pid), exit, rules));
        let waits_for_rest = !self.decided().leftovers.is_empty();
        let is_replaced = beside.is_some() && self.child.as_ref().map(|child| child.pid) == beside;
        if is_counted && !is_last {
            let next = Some(self.slowed_until).filter(|&until| until > self.now);
            assert_eq!(self.decided().pace.next.map(Tick), next, "the pace");
        }
        let lived = child.executed && !is_replaced;
        assert_eq!(self.decided().over.is_some(), is_last && !is_replaced, "whether that was the last end");
        assert_eq!(self.tallied, tallied + u32::from(lived && self.rules.tally > 0), "the death tally");
        let expected = finishes + u32::from(lived && self.rules.finish && !waits_for_rest);
        assert_eq!(self.finishes, expected, "`finish` is run once for each life, and for nothing else");
        if !child.executed && self.child.is_none() {
            assert_eq!(self.seen[0].since, since, "what was never up has no end");
        }
        if want == Want::Up && !self.decided().service.exiting && !self.quit && self.child.is_none() {
            let longest = self.rules.backoff.unwrap_or(PACE).max(PACE);
            let waits = self.machine.deadline().is_some_and(|deadline| self.now.until(deadline) <= longest);
            let waits_for_fork =
                !self.forks_work && self.machine.deadline().is_some_and(|d| self.now.until(d) <= FORK_RETRY);
            let is_over = self.hook.is_some() || self.decided().over.is_some() || waits_for_rest;
            let is_over = is_over || self.decided().gate.is_some();
            assert!(
                self.starts.len() > known || waits || waits_for_fork || is_over,
                "a wanted service is not started again"
            );
        }
    }

    fn has_finished(&self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.ended.is_some())
    }

    fn reap_hook(&mut self) {
        if self.quit {
            return;
        }
        let Some(hook) = self.hook.take_if(|hook| hook.ended.is_some()) else {
            return;
        };
        let Decided { service, over, .. } = self.decided();
        let exit = hook.ended.unwrap_or(Exit::Unknown);
        let is_wanted = service.want == Want::Up && !service.exiting;
        let (script, was_told) = (hook.script, hook.told.is_some());
        let mut expected = over;
        match script {
            Script::Start if was_told => {}
            Script::Start => {
                self.used = true;
                if exit == Exit::Code(0) {
                    (self.prepared, self.after) = (true, Some(script));
                } else {
                    (expected, self.last_exit) = (Some(Over::Start(exit)), Some(exit));
                }
            }
            Script::Up => self.after = Some(script).filter(|_| !was_told),
            Script::Finish if service.start_due => expected = None,
            Script::Finish if exit == Exit::Code(FAILED) && is_wanted => expected = Some(Over::Finish),
            Script::Finish | Script::Stop => {}
        }
        self.step(Event::Ended(Pid(hook.pid), exit, Rules::default()));
        self.after = None;
        let may_lack_run = script == Script::Start || !self.programs.start;
        let is_done = may_lack_run && expected.is_none() && !self.programs.run;
        let has_failed = expected.is_some();
        let expected = if is_done && self.decided().over.is_some() { Some(Over::Done) } else { expected };
        assert_eq!(self.decided().over, expected, "after {script:?}");
        let is_wanted = service.start_due || (is_wanted && script != Script::Stop);
        let stops = self.hook.as_ref().is_some_and(|hook| hook.script == Script::Stop);
        let goes_on = self.child.is_some() || self.hook.is_some() || self.machine.deadline().is_some();
        let once = (service.want != Want::Up || service.exiting) && (!self.forks_work || self.refuse);
        // A start that is held back is given up where supervise is to exit.
        let once = once || (service.exiting && self.missing.is_some());
        let is_known = self.quit || once || self.second.is_some() || is_done || !self.controls.is_empty();
        let is_known = is_known || !self.decided().leftovers.is_empty() || self.decided().gate.is_some();
        assert!(is_known || (goes_on && !stops) == (is_wanted && !has_failed), "what {script:?} has kept waiting");
    }

    /// Something is due.
    fn time_out(&mut self) {
        let is_overdue = self.machine.is_overdue(self.now);
        self.step(if is_overdue { Event::Overdue(self.knobs) } else { Event::Timeout });
    }

    fn pass(&mut self, nanoseconds: u64) {
        self.reap();
        let end = self.now.after(nanoseconds);
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end && !self.quit) {
            self.now = deadline.max(self.now);
            self.time_out();
            self.reap();
        }
        self.now = end;
        if self.quit {
            return;
        }
        assert!(!self.machine.is_overdue(self.now), "it is overdue, and that is no deadline");
        if let Some(child) = &self.child {
            assert!(child.doomed.is_none_or(|doomed| doomed > end), "it should have been killed by now");
            assert!(self.hung_at().is_none_or(|hung_at| hung_at > end), "it was silent, and nobody minds");
            assert!(self.late_at().is_none_or(|late_at| late_at > end), "it is not ready, and nobody minds");
        }
        let is_in_time = |check: &CheckRun| check.started.after(LIMIT) > end;
        assert!(self.checks.iter().all(is_in_time), "a check hangs, and nobody minds");
        if let Some(child) = self.child.as_ref().filter(|_| self.is_judged()) {
            let run = self.healths.iter().find(|run| run.ended.is_none());
            let (since, span) = match run {
                Some(run) => (run.started, World::health_limit(child)),
                None => (child.unasked_since.expect("it is judged"), child.health),
            };
            assert!(since.after(span) > end, "`health` is forgotten");
        }
        let late_at = self.hook.as_ref().and_then(HookRun::late_at);
        assert!(late_at.is_none_or(|at| at > end), "a script hangs, and nobody minds");
        let is_in_time = |run: &ControlRun| run.started.after(CONTROL_LIMIT) > end;
        assert!(self.controls.iter().all(is_in_time), "a script of control/ hangs, and nobody minds");
        for group in self.groups.iter().filter(|group| group.helper.is_some() && !group.killed) {
            let is_in_time = group.left.is_none_or(|left| left.after(HUNG_GRACE) > end);
            assert!(is_in_time, "what is left does not end, and nobody minds");
        }
        let before = (self.record(), self.machine.deadline());
        for event in [Event::Timeout, Event::Overdue(self.knobs)] {
            let actions = self.machine.step(self.now, event);
            assert_eq!(actions, Actions::default(), "a timeout before its time did something");
        }
        assert_eq!(before, (self.record(), self.machine.deadline()));
    }

    /// The child, if it can tell something.
    fn speaker(&mut self) -> Option<&mut Child> {
        self.child.as_mut().filter(|child| child.executed)
    }

    fn happen(&mut self, happening: &Happening) {
        let now = self.now;
        let pid = self.speaker().map(|child| Pid(child.pid));
        let lives = self.speaker().is_some_and(|child| child.ended.is_none());
        match *happening {
            Happening::Command(command) => self.command(command),
            Happening::Knobs(knobs) => self.knobs = knobs,
            Happening::Missing(missing) => {
                self.missing = missing;
                self.step(Event::Gate);
            }
            Happening::ChildEnds => {
                if let Some(child) = &mut self.child {
                    child.ended.get_or_insert(EXIT);
                }
            }
            Happening::SecondEnds => {
                if let Some(second) = &mut self.second {
                    second.ended.get_or_insert(EXIT);
                }
            }
            Happening::SecondReady => {
                let is_warming = self.role() == Some(Role::Warming);
                if let Some(second) = &mut self.second {
                    let pid = Pid(second.pid);
                    if is_warming {
                        second.is_ready(now);
                    }
                    self.step(Event::Word(pid, Word::Ready));
                }
            }
            Happening::SecondExtends(nanoseconds) => {
                if let Some(pid) = self.machine.second_pid() {
                    self.second.iter_mut().for_each(|second| second.extends(now, nanoseconds));
                    let before = (self.record(), self.machine.deadline());
                    self.step(Event::Word(pid, Word::Extend(nanoseconds)));
                    assert_eq!(self.record(), before.0);
                    assert!(self.machine.deadline() >= before.1, "it gets less time");
                }
            }
            Happening::Mode(mode, does) => (self.mode, self.helper_does) = (mode, does),
            Happening::Tells(tells) => self.tells = tells,
            Happening::HelperEnds => {
                if let Some(group) = self.groups.iter_mut().find(|group| group.helper.is_some()) {
                    group.helper = None;
                    group.is_news = group.is_told;
                }
            }
            Happening::ChildStops => {
                if let Some(pid) = pid.filter(|_| lives) {
                    self.step(Event::Stopped(pid));
                    assert!(self.status().paused);
                }
            }
            Happening::ChildContinues => {
                if let Some(pid) = pid.filter(|_| lives) {
                    if let (true, Some(child)) = (self.status().paused, &mut self.child) {
                        child.goes_on(now);
                    }
                    self.step(Event::Continued(pid));
                    assert!(!self.status().paused);
                }
            }
            Happening::Declares(declares) => self.declares = declares,
            Happening::HasCheck(has_check) => self.has_check = has_check,
            Happening::CheckDoes(does) => self.check_does = does,
            Happening::Health(settings) => self.health = settings,
            Happening::HealthDoes(does) => self.health_does = does,
            Happening::HealthEnds(code) => {
                if let Some(run) = self.healths.first_mut() {
                    run.ended.get_or_insert(Exit::Code(code));
                }
            }
            Happening::Rules(rules) => self.rules = rules,
            Happening::FinishLimit(limit) => self.finish_limit = limit,
            Happening::Essential(essential) => self.essential = essential,
            Happening::HookDoes(does) => self.hook_does = does,
            Happening::HookEnds(code) => {
                if let Some(hook) = &mut self.hook {
                    hook.ended.get_or_insert(Exit::Code(code));
                }
            }
            Happening::Controls(scripts) => self.control_scripts = scripts,
            Happening::ControlEnds(code) => {
                if let Some(run) = self.controls.first_mut() {
                    run.ended.get_or_insert(Exit::Code(code));
                }
            }
            Happening::Programs(programs, has_stop) => (self.programs, self.has_stop) = (programs, has_stop),
            Happening::CheckEnds(code) => {
                if let Some(check) = self.checks.first_mut() {
                    check.ended.get_or_insert(Exit::Code(code));
                }
            }
            Happening::Ready(ready) => {
                if let (Some(child), Some(pid)) = (self.speaker(), pid) {
                    if ready {
                        child.is_ready(now);
                    } else {
                        child.ready = false;
                        child.reload = child.reload.map(|_| Reload { began: now.0, under_way: true });
                    }
                    // What it says of the future cannot be.
                    let reloading = Word::Reloading(Some(now.0 + SECOND));
                    self.step(Event::Word(pid, if ready { Word::Ready } else { reloading }));
                }
            }
            Happening::Watchdog(nanoseconds) => self.watchdog = nanoseconds,
            Happening::Patience(nanoseconds) => self.patience = nanoseconds,
            Happening::Extends(nanoseconds) => {
                if let (Some(child), Some(pid)) = (self.speaker(), pid) {
                    child.extends(now, nanoseconds);
                    let before = (self.record(), self.machine.deadline());
                    self.step(Event::Word(pid, Word::Extend(nanoseconds)));
                    assert_eq!(self.record(), before.0);
                    assert!(self.machine.deadline() >= before.1, "it gets less time");
                }
            }
            Happening::Watch(nanoseconds) => {
                if let (Some(child), Some(pid)) = (self.speaker(), pid) {
                    (child.watchdog, child.heard) = (nanoseconds, now);
                    self.step(Event::Word(pid, Word::Watch(nanoseconds)));
                }
            }
            Happening::SecondWatch(nanoseconds) => {
                if let Some(second) = &mut self.second {
                    let pid = Pid(second.pid);
                    second.watchdog = nanoseconds;
                    self.step(Event::Word(pid, Word::Watch(nanoseconds)));
                }
            }
            Happening::Alive => {
                if let (Some(child), Some(pid)) = (self.speaker(), pid) {
                    child.heard = now;
                    self.step(Event::Word(pid, Word::Alive));
                }
            }
            Happening::Hangs => {
                if let Some(pid) = pid {
                    self.step(Event::Word(pid, Word::Hangs(self.knobs)));
                }
            }
            Happening::Stopping => {
                if let (Some(child), Some(pid)) = (self.speaker(), pid) {
                    (child.ready, child.watched, child.checked) = (false, false, false);
                    self.step(Event::Word(pid, Word::Stopping));
                }
            }
            Happening::Moves => self.main_moves(),
            Happening::SecondMoves => self.second_moves(),
            Happening::StrangerEnds(offset) => self.stranger_tells(Pid(self.next_pid + 1 + offset)),
            Happening::Pass(nanoseconds) => self.pass(nanoseconds),
            Happening::Oversleeps(nanoseconds) => {
                self.reap();
                (self.now, self.oversleeps) = (now.after(nanoseconds), true);
                self.pass(0);
                self.oversleeps = false;
            }
            Happening::Dawdle => self.dawdles = true,
            Happening::ForksWork(work) => self.forks_work = work,
            Happening::Refuse(refuse) => self.refuse = refuse,
            Happening::Executes(executes) => self.executes = executes,
            Happening::Takeover => self.take_over(false, true),
            Happening::DeafTakeover => self.take_over(false, false),
            Happening::KilledInStart => self.killed_in_start = true,
            Happening::Upgrade => self.take_over(true, true),
        }
    }

    fn stranger_tells(&mut self, stranger: Pid) {
        let words = [
            Word::Ready,
            Word::Reloading(Some(0)),
            Word::Stopping,
            Word::Alive,
            Word::Hangs(self.knobs),
            Word::Watch(SECOND),
            Word::Extend(SECOND),
            Word::Moved(Pid(stranger.0 + 1)),
        ];
        let ends = [Exit::Code(0), EXIT].map(|exit| Event::Ended(stranger, exit, Rules::default()));
        let judged = Event::Judged(stranger, EXIT, self.health, self.knobs);
        let events = [Event::Stopped(stranger), Event::Continued(stranger), judged].into_iter().chain(ends);
        for event in events.chain(words.map(|word| Event::Word(stranger, word))) {
            let actions = self.machine.step(self.now, event);
            assert_eq!(actions, Actions::default(), "a stranger's {event:?} did something");
        }
    }

    fn main_moves(&mut self) {
        let (now, new, paused) = (self.now, self.next_pid + 1, self.status().paused);
        // One that was killed for its lateness is reaped before it can tell of another.
        let is_late = |child: &Child| child.ended.is_some() && child.doomed.is_some_and(|doomed| doomed <= now);
        let Some(child) = self.speaker().filter(|child| !is_late(child)) else {
            return;
        };
        let old = std::mem::replace(&mut child.pid, new);
        (child.heard, child.ended) = (now, None);
        if paused {
            child.goes_on(now);
        }
        self.next_pid = new;
        self.follow_checks(old, new);
        self.moves(Pid(old), Pid(new));
        assert_eq!((self.machine.pid(), self.status().paused), (Some(Pid(new)), false));
    }

    fn second_moves(&mut self) {
        let (is_new, new) = (self.role() == Some(Role::Warming), self.next_pid + 1);
        let Some(second) = &mut self.second else {
            return;
        };
        let old = second.pid;
        self.next_pid = new;
        if is_new {
            (second.pid, second.ended) = (new, None);
            self.seen[1].since = self.label();
            self.follow_checks(old, new);
        }
        self.moves(Pid(old), Pid(new));
    }

    fn follow_checks(&mut self, old: u32, new: u32) {
        for check in self.checks.iter_mut().chain(&mut self.healths).filter(|check| check.about == old) {
            check.about = new;
        }
        for run in self.controls.iter_mut().filter(|run| run.about == old) {
            run.about = new;
        }
    }

    /// Nothing but the process is another one.
    fn moves(&mut self, old: Pid, new: Pid) {
        let without_pid = |decided: Decided| Decided {
            main: decided.main.map(|main| Copy {
                paused: false,
                got_term: false,
                leads: false,
                stopped: false,
                pid: NonZeroU32::MIN,
                ..main
            }),
            second: decided.second.map(|(role, second)| (role, Copy { leads: false, pid: NonZeroU32::MIN, ..second })),
            ..decided
        };
        let before = without_pid(self.decided());
        self.step(Event::Word(old, Word::Moved(new)));
        assert_eq!(without_pid(self.decided()), before);
        if self.child.as_ref().is_none_or(|child| child.pid != old.0) && self.machine.second_pid() != Some(old) {
            let end = self.machine.step(self.now, Event::Ended(old, EXIT, Rules::default()));
            assert_eq!(end, Actions::default(), "the end of what the service was before is none of the service");
        }
    }

    /// A successor knows what was announced, and no more. One in the same process, `ours`, has the same children.
    fn take_over(&mut self, ours: bool, heard: bool) {
        let left = if ours { self.handed_over() } else { slots::newest(&self.file).expect("it was announced").1 };
        assert_eq!(left, self.announced, "the successor reads something else");
        let is_left = !left.decided.leftovers.is_empty();
        let waits = self.machine.deadline().is_some() && self.second.is_none() && self.hook.is_none();
        let waits = waits && self.controls.is_empty() && !is_left;
        let last_start = self.starts.last().copied();
        self.slowed = 0;
        self.unasked.clear();
        let (checks, declares) = (self.has_check, self.declares || self.has_check);
        let resumed = Resumed {
            last_start,
            knobs: self.knobs,
            checks,
            declares,
            health: self.health.interval,
            patience: self.patience,
            heard,
            hook_limit: self.hook_limit(),
            ours,
        };
        self.machine = Machine::resume(self.now, &left.decided, resumed);
        self.known = self.knobs;
        self.seen = [left.observed.main, left.observed.second];
        self.learn_of_successor(ours, heard);
        // It cannot tell from the record that a process which it finds has not become `run`; nor is there one that has not and lives.
        let known = |copy: Copy| Copy {
            executed: true,
            watchdog: if heard { copy.watchdog } else { 0 },
            check: copy.check.filter(|_| ours),
            leads: copy.leads && ours,
            awaited: copy.awaited && self.patience > 0,
            ..copy
        };
        let is_up = left.decided.main.is_some();
        let setup = left.decided.setup;
        let setup = Setup { prepared: setup.prepared || is_up, used: setup.used || is_up, ..setup };
        (self.prepared, self.used) = (setup.prepared, setup.used);
        let expected = Decided {
            setup,
            main: left.decided.main.map(known),
            second: left.decided.second.map(|(role, second)| (role, known(second))),
            health: left.decided.health.filter(|_| ours),
            reload: left.decided.reload.or(left
                .decided
                .main
                .filter(|main| heard && main.declares)
                .map(|_| Reload::default())),
            ..left.decided
        };
        let without_checks = |decided: Decided| Decided {
            main: decided.main.map(|main| Copy { check_over: false, ..main }),
            second: decided.second.map(|(role, second)| (role, Copy { check_over: false, ..second })),
            ..decided
        };
        let found = without_checks(self.decided());
        assert_eq!(found, without_checks(expected), "the successor goes on from something else");
        self.announce(self.record());
        let service = left.decided.service;
        let is_down = left.decided.main.is_none();
        let wanted = service.start_due || (is_down && service.want == Want::Up && !service.exiting);
        let wanted = wanted && left.decided.hook.is_none() && !left.decided.leftovers.ending;
        let known = self.starts.len();
        self.step(Event::Begin);
        if let Some(child) = self.child.as_ref().filter(|_| !self.quit) {
            assert_eq!(self.machine.pid(), Some(Pid(child.pid)), "a child is forgotten");
        } else if wanted {
            let waits = self.machine.deadline().is_some() || self.decided().gate.is_some();
            let starts = self.starts.len() > known || waits || is_left;
            assert!(starts || !self.forks_work || self.refuse, "a start is forgotten");
        } else {
            assert!(!waits || self.quit, "a start that was due is forgotten");
        }
    }

    /// How long the script that runs may take, below a successor.
    fn hook_limit(&self) -> Option<u64> {
        match self.hook.as_ref()?.script {
            Script::Start => None,
            Script::Up => Some(CONTROL_LIMIT),
            Script::Finish | Script::Stop => self.finish_limit,
        }
    }

    /// The record, as an upgrade hands it over.
    fn handed_over(&self) -> Record {
        let handover = Handover { record: self.record(), ..Handover::default() };
        let bytes = handover.encode().expect("it is short");
        Handover::decode(&bytes).expect("it is understood").record
    }

    /// What is another thing for a successor.
    fn learn_of_successor(&mut self, ours: bool, heard: bool) {
        let (now, has_check) = (self.now, self.has_check);
        let is_warming = self.role() == Some(Role::Warming);
        if !ours {
            // They end without it.
            self.checks.clear();
            self.healths.clear();
        }
        self.tells &= ours;
        for group in &mut self.groups {
            (group.is_told, group.is_news) = (group.is_told && ours, group.is_news && ours);
            group.left = group.left.map(|_| now);
        }
        let (limit, grace) = (self.hook_limit(), self.knobs.timeout_kill.unwrap_or(HUNG_GRACE));
        if let Some(hook) = &mut self.hook {
            (hook.started, hook.limit) = (now, limit);
            hook.told = hook.told.map(|_| now.after(grace));
        }
        self.controls.iter_mut().for_each(|run| run.started = now);
        for check in self.checks.iter_mut().chain(&mut self.healths) {
            // It has its time anew, as all has.
            check.started = now;
        }
        if let Some(second) = &mut self.second {
            // It matters only of a main copy.
            second.reload = None;
        }
        for copy in [&mut self.child, &mut self.second].into_iter().flatten() {
            copy.executed = true;
            copy.reload = copy.reload.or((heard && copy.declares).then(Reload::default));
            self.never_run.remove(&copy.pid);
            copy.watchdog = if heard { copy.watchdog } else { 0 };
            (copy.health, copy.unasked_since) = (self.health.interval, None);
            copy.awaited = copy.awaited.filter(|_| self.patience > 0).map(|_| now.after(self.patience));
            copy.patience = if copy.awaited.is_some() { self.patience } else { 0 };
            copy.row = if ours { copy.row } else { 0 };
        }
        if let Some(child) = &mut self.child {
            let timeout = self.knobs.timeout_kill.unwrap_or(HUNG_GRACE);
            child.doomed = child.doomed.map(|_| now.after(timeout));
            child.heard = now;
            let runs = self.checks.iter().any(|check| check.about == child.pid && check.killed.is_none());
            child.checked &= runs || has_check;
        }
        if let Some(second) = &mut self.second {
            let runs = self.checks.iter().any(|check| check.about == second.pid && check.killed.is_none());
            second.checked &= is_warming && (runs || has_check);
        }
    }

    fn live(mut self, happenings: &[Happening]) -> World {
        for happening in happenings {
            if self.quit {
                break;
            }
            let dawdles = std::mem::take(&mut self.dawdles);
            self.happen(happening);
            if !dawdles && !self.dawdles {
                self.reap();
            }
        }
        self.reap();
        self
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    prop::sample::select(Command::all().collect::<Vec<_>>())
}

fn any_knobs() -> impl Strategy<Value = Knobs> {
    let signal = prop::sample::select(&[Signal::TERM, Signal::INT, Signal::KILL, Signal(10)][..]);
    let timeout = prop::option::of(1..5 * SECOND);
    (signal, timeout).prop_map(|(down_signal, timeout_kill)| Knobs { down_signal, timeout_kill, ..patient() })
}

fn any_interval() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 4 => 1..3 * SECOND, 1 => Just(u64::MAX)]
}

fn any_check() -> impl Strategy<Value = CheckDoes> {
    prop::sample::select(&[CheckDoes::Succeeds, CheckDoes::Fails, CheckDoes::Hangs][..])
}

fn any_health() -> impl Strategy<Value = health::Settings> {
    let interval = prop_oneof![1 => Just(0), 4 => SECOND / 4..3 * SECOND, 1 => Just(20 * SECOND)];
    (interval, 1..4u8).prop_map(|(interval, fails)| health::Settings { interval, fails })
}

fn any_hook() -> impl Strategy<Value = HookDoes> {
    prop_oneof![
        3 => Just(HookDoes::Ends(0)),
        1 => Just(HookDoes::Ends(FAILED)),
        2 => Just(HookDoes::Hangs),
        1 => Just(HookDoes::CannotRun),
    ]
}

fn any_controls() -> impl Strategy<Value = Scripts> {
    let scripts: Vec<Command> = Command::all().filter(|&command| Scripts::of(command).contains(&command)).collect();
    prop::sample::subsequence(scripts, 0..6).prop_map(|them| them.into_iter().fold(Scripts::default(), Scripts::with))
}

fn any_programs() -> impl Strategy<Value = Happening> {
    let programs = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.7), any::<bool>());
    programs.prop_map(|(start, up, run, stop)| Happening::Programs(Programs { start, up, run }, stop))
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let one = Finals::parse(b"1", |_| None).expect("a code");
    let finals = prop::sample::select(vec![Finals::default(), Finals::default(), Finals::ANY, one]);
    let backoff = prop::option::of(prop_oneof![0..40 * SECOND, Just(100 * SECOND)]);
    let restart_limit = (1..5_u8, 1..20 * SECOND).prop_map(|(times, within)| Limit { times, within });
    let rules = (0..2_u16, any::<bool>(), finals, backoff, prop::option::of(restart_limit));
    rules.prop_map(|(tally, finish, finals, backoff, restarts)| Rules {
        tally,
        finish,
        finals,
        backoff,
        restarts,
        signals: None,
    })
}

fn any_mode() -> impl Strategy<Value = Happening> {
    let mode = prop::sample::select(&[KillMode::Process, KillMode::Mixed, KillMode::Group, KillMode::Tree][..]);
    let does = prop::sample::select(&[HelperDoes::Obeys, HelperDoes::IsStubborn, HelperDoes::IsStuck][..]);
    (mode, prop::option::weighted(0.8, does)).prop_map(|(mode, does)| Happening::Mode(mode, does))
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let service = prop_oneof![
        4 => Just(Happening::ChildEnds),
        2 => Just(Happening::SecondEnds),
        2 => Just(Happening::SecondReady),
        1 => (1..10 * SECOND).prop_map(Happening::SecondExtends),
        1 => (1..10 * SECOND).prop_map(Happening::Extends),
        1 => Just(Happening::ChildStops),
        1 => Just(Happening::ChildContinues),
        3 => prop::bool::weighted(0.7).prop_map(Happening::Ready),
        1 => any_interval().prop_map(Happening::Watch),
        1 => any_interval().prop_map(Happening::SecondWatch),
        2 => Just(Happening::Alive),
        1 => Just(Happening::Hangs),
        1 => Just(Happening::Stopping),
        1 => Just(Happening::Moves),
        1 => Just(Happening::SecondMoves),
        2 => (0..2u8).prop_map(Happening::CheckEnds),
        2 => (0..2u8).prop_map(Happening::HealthEnds),
        1 => (0..1000u32).prop_map(Happening::StrangerEnds),
        2 => prop::sample::select(&[0, 1, FAILED][..]).prop_map(Happening::HookEnds),
        2 => (0..2u8).prop_map(Happening::ControlEnds),
    ];
    let surroundings = prop_oneof![
        4 => (0..3 * SECOND).prop_map(Happening::Pass),
        1 => (0..100 * SECOND).prop_map(Happening::Pass),
        1 => Just(Happening::Pass(FIRST_PAUSE)),
        2 => (0..5 * SECOND).prop_map(Happening::Oversleeps),
        1 => any::<bool>().prop_map(Happening::ForksWork),
        1 => prop::bool::weighted(0.3).prop_map(Happening::Refuse),
        1 => prop::bool::weighted(0.7).prop_map(Happening::Executes),
        1 => any_knobs().prop_map(Happening::Knobs),
        1 => any_interval().prop_map(Happening::Watchdog),
        2 => any_interval().prop_map(Happening::Patience),
        1 => any::<bool>().prop_map(Happening::Declares),
        2 => any::<bool>().prop_map(Happening::HasCheck),
        2 => any_check().prop_map(Happening::CheckDoes),
        3 => any_health().prop_map(Happening::Health),
        2 => any_check().prop_map(Happening::HealthDoes),
        3 => any_rules().prop_map(Happening::Rules),
        1 => prop::option::weighted(0.8, 1..5 * SECOND).prop_map(Happening::FinishLimit),
        1 => any::<bool>().prop_map(Happening::Essential),
        3 => prop::sample::select(&[None, None, Some(0), Some(3 * SECOND)][..]).prop_map(Happening::Missing),
        2 => any_hook().prop_map(Happening::HookDoes),
        2 => any_programs(),
        2 => any_controls().prop_map(Happening::Controls),
        3 => any_mode(),
        2 => Just(Happening::HelperEnds),
        1 => any::<bool>().prop_map(Happening::Tells),
    ];
    let supervise = prop_oneof![
        4 => Just(Happening::Takeover),
        1 => Just(Happening::DeafTakeover),
        2 => Just(Happening::KilledInStart),
        3 => Just(Happening::Upgrade),
        3 => Just(Happening::Dawdle),
    ];
    prop_oneof![
        6 => any_command().prop_map(Happening::Command),
        2 => Just(Happening::Command(Command::Replace)),
        22 => service,
        15 => surroundings,
        4 => supervise,
    ]
}

fn any_want() -> impl Strategy<Value = Want> {
    prop::sample::select(&[Want::Up, Want::Down][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_world_makes_it_break_a_promise(
        want in any_want(),
        stubborn: bool,
        init: bool,
        happenings in prop::collection::vec(any_happening(), 0..60),
    ) {
        let mut world = World::new(want, stubborn);
        world.is_below_init(init);
        world.live(&happenings);
    }

    #[test]
    fn a_wanted_service_runs_once_forks_work_and_time_passes(
        want in any_want(),
        happenings in prop::collection::vec(any_happening(), 0..40),
    ) {
        let world = World::new(want, false).live(&happenings);
        if world.quit {
            return Ok(());
        }
        let mut world = world.live(&[
            Happening::ForksWork(true),
            Happening::Refuse(false),
            Happening::Missing(None),
            Happening::Executes(true),
            Happening::Watchdog(0),
            Happening::Patience(0),
            Happening::CheckDoes(CheckDoes::Succeeds),
            Happening::HealthDoes(CheckDoes::Succeeds),
            Happening::HealthEnds(0),
            Happening::HookDoes(HookDoes::Ends(0)),
            Happening::Controls(Scripts::default()),
            Happening::Programs(Programs { start: false, up: false, run: true }, false),
            Happening::HookEnds(0),
            Happening::Mode(KillMode::Process, None),
            Happening::HelperEnds,
            Happening::HelperEnds,
            Happening::Pass(2 * FORK_RETRY),
        ]);
        while world.role() == Some(Role::EndingOld) {
            // A script has kept back what would have ended it.
            world = world.live(&[Happening::SecondEnds, Happening::Pass(FORK_RETRY)]);
        }
        if !world.quit {
            let status = world.status();
            if status.want == Want::Up {
                prop_assert!(status.pid.is_some());
            }
            prop_assert!(world.child.as_ref().is_none_or(|child| !child.checked), "its checks succeed, so it is ready");
            prop_assert!(world.second.is_none(), "a replacement comes to its end");
            world.command(Command::Down);
            world.reap();
            if !world.quit {
                world.command(Command::Exit);
                world.reap();
            }
            prop_assert!(world.quit, "dx ends a service that obeys");
        }
    }
}

/// daemontools 0.76, which is deaf for a second after each start and takes one command at a time otherwise. Only what
/// remains when all has settled counts.
struct Original {
    up: bool,
    want: Want,
    paused: bool,
    exiting: bool,
    left: bool,
    stubborn: bool,
    /// A signal that ends the child is on its way.
    dying: bool,
}

impl Original {
    fn settle(mut self, commands: &[Command]) -> (bool, Want, bool, bool) {
        let mut queue: VecDeque<Command> = commands.iter().copied().collect();
        while let Some(command) = queue.pop_front() {
            if self.left {
                break;
            }
            self.obey(command);
        }
        self.reap();
        (self.up, self.want, self.paused && self.up, self.left)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Up => self.want = Want::Up,
            Command::Once => self.want = Want::Once,
            Command::Down => self.want = Want::Down,
            Command::Exit => self.exiting = true,
            Command::Pause => self.paused = true,
            Command::Continue => self.paused = false,
            Command::Kill => self.dying |= self.up,
            Command::Term | Command::Hup | Command::Alarm | Command::Interrupt => {}
            other => panic!("the original does not know {other:?}"),
        }
        let obeyed =
            matches!(command, Command::Down | Command::Term | Command::Hup | Command::Alarm | Command::Interrupt);
        self.dying |= obeyed && self.up && !self.stubborn;
        self.paused &= command != Command::Down || !self.up;
        if !self.up && matches!(command, Command::Up | Command::Once) {
            self.start();
        }
        self.left |= self.exiting && !self.up;
    }

    fn start(&mut self) {
        (self.up, self.paused, self.dying) = (true, false, false);
    }

    fn reap(&mut self) {
        if self.up && self.dying {
            self.up = false;
            self.left |= self.exiting;
            if !self.left && self.want == Want::Up {
                self.start();
            }
        }
    }
}

/// Every row of up to three commands, sent in one write to a service that has run (or been down) for a while, leaves
/// ours and the original in the same state.
#[test]
fn every_row_of_three_commands_ends_as_in_the_original() {
    let mut rows: Vec<Vec<Command>> = vec![Vec::new()];
    for length in 0..3 {
        let shorter: Vec<_> = rows.iter().filter(|row| row.len() == length).cloned().collect();
        for row in shorter {
            rows.extend(Command::ORIGINAL.map(|next| [row.as_slice(), &[next]].concat()));
        }
    }
    assert_eq!(rows.len(), 1 + 11 + 121 + 1331);
    for (want, stubborn) in [(Want::Up, false), (Want::Up, true), (Want::Down, false)] {
        for row in &rows {
            let up = want == Want::Up;
            let original = Original { up, want, paused: false, exiting: false, left: false, stubborn, dying: false };
            let mut world = World::new(want, stubborn);
            world.pass(10 * SECOND);
            for &command in row {
                if !world.quit {
                    world.command(command);
                }
            }
            world.reap();
            if !world.quit {
                world.pass(10 * SECOND);
            }
            let status = world.status();
            let ours = (status.pid.is_some(), status.want, status.paused, world.quit);
            let letters: String = row.iter().map(|command| char::from(command.letter())).collect();
            assert_eq!(ours, original.settle(row), "{letters} (want {want:?}, stubborn {stubborn})");
        }
    }
}

#[test]
fn a_command_in_the_second_after_a_start_acts_at_once() {
    let mut world = World::new(Want::Up, false);
    world.command(Command::Down);
    world.reap();
    assert!(world.child.is_none());
    assert_eq!(world.machine.deadline(), None);
}

#[test]
fn a_once_in_that_second_still_runs_when_exit_follows() {
    let mut world = World::new(Want::Up, false);
    for happening in [Command::Down, Command::Once, Command::Exit].map(Happening::Command) {
        world.happen(&happening);
        world.reap();
    }
    assert!(!world.quit && world.child.is_none());
    world.pass(PACE);
    assert!(world.child.is_some(), "it runs once");
    world = world.live(&[Happening::ChildEnds]);
    assert!(world.quit, "and then leaves");
}

#[test]
fn a_restart_that_nobody_asked_for_is_given_up_by_exit() {
    let world = World::new(Want::Up, false).live(&[Happening::ChildEnds, Happening::Command(Command::Exit)]);
    assert!(world.quit);
}

#[test]
fn after_a_failed_fork_up_tries_at_once_and_time_tries_again() {
    let mut world = World::new(Want::Down, false);
    world.forks_work = false;
    world.command(Command::Up);
    assert_eq!(world.machine.deadline(), Some(world.now.after(FORK_RETRY)));
    world.pass(2 * SECOND);
    world.forks_work = true;
    world.command(Command::Up);
    assert!(world.child.is_some());
}

#[test]
fn a_once_whose_fork_failed_is_not_tried_again() {
    let mut world = World::new(Want::Down, false);
    world.forks_work = false;
    world.command(Command::Once);
    assert_eq!(world.machine.deadline(), None);
}

fn kill(pid: Pid, signal: Signal) -> Action {
    Action::Signal(Target::Process(pid), signal)
}

#[test]
fn a_signal_comes_before_the_status_for_down_and_after_it_for_pause_and_continue() {
    let pid = Pid(7);
    let up = || {
        let mut machine = Machine::new(Want::Up);
        machine.step(Tick(0), Event::Begin);
        machine.step(Tick(0), Event::Started(Slot::Main, Start::plain(pid)));
        machine
    };
    let actions = |command| {
        let event = Event::Command(command, Knobs::default());
        up().step(Tick(1), event).into_iter().collect::<Vec<_>>()
    };
    let kill = |signal| kill(pid, signal);
    assert_eq!(actions(Command::Down), [kill(Signal::TERM), kill(Signal::CONT), Action::Announce]);
    assert_eq!(actions(Command::Pause), [Action::Announce, kill(Signal::STOP)]);
    assert_eq!(actions(Command::Continue), [Action::Announce, kill(Signal::CONT)]);
    assert_eq!(actions(Command::Hup), [kill(Signal::HUP)]);
}

#[test]
fn restart_ends_the_service_as_down_does_and_keeps_what_is_wanted() {
    let mut world = World::new(Want::Up, true);
    world.knobs = Knobs { down_signal: Signal::INT, timeout_kill: Some(3 * SECOND), ..Knobs::default() };
    let first = world.machine.pid();
    world.command(Command::Restart);
    assert_eq!((world.machine.deadline(), world.status().got_term), (Some(world.now.after(3 * SECOND)), false));
    world.pass(2 * SECOND);
    assert_eq!(world.machine.pid(), first, "it is stubborn, and has a second left");
    // What was begun is carried through, whatever the knob says now.
    world.knobs = Knobs::default();
    world.command(Command::Down);
    world.command(Command::Up);
    world.pass(SECOND);
    assert!(world.machine.pid().is_some_and(|pid| Some(pid) != first), "it was killed, and another one runs");
    assert_eq!(world.machine.deadline(), None);
}

#[test]
fn a_service_that_is_down_is_not_restarted() {
    let mut world = World::new(Want::Down, false);
    world.command(Command::Restart);
    world.pass(2 * SECOND);
    assert!(world.child.is_none() && world.machine.deadline().is_none());
}

#[test]
fn reload_sends_its_own_signal() {
    let mut machine = Machine::new(Want::Up);
    machine.step(Tick(0), Event::Begin);
    machine.step(Tick(0), Event::Started(Slot::Main, Start::plain(Pid(7))));
    let knobs = Knobs { reload_signal: Signal::USR1, ..Knobs::default() };
    let actions = machine.step(Tick(1), Event::Command(Command::Reload, knobs));
    assert_eq!(actions.into_iter().collect::<Vec<_>>(), [kill(Pid(7), Signal::USR1)]);
}

#[test]
fn what_cannot_be_started_for_lack_of_something_is_tried_every_second_and_is_no_start() {
    let mut world = World::new(Want::Down, false);
    world.refuse = true;
    world.command(Command::Up);
    world.pass(5 * SECOND);
    assert_eq!((world.starts.len(), world.decided().pace.starts), (6, 0));
    world.refuse = false;
    world.pass(SECOND);
    assert!(world.child.is_some());
    assert_eq!(world.decided().pace.starts, 1);
}

/// One that is ready, and tells every two seconds that it is alive.
fn watched(stubborn: bool) -> World {
    let mut world = World::new(Want::Down, stubborn);
    (world.declares, world.watchdog) = (true, 2 * SECOND);
    world.command(Command::Up);
    world.happen(&Happening::Ready(true));
    world
}

#[test]
fn a_service_that_is_silent_is_aborted_then_killed_and_started_again() {
    for timeout_kill in [None, Some(3 * SECOND)] {
        let mut world = watched(true);
        world.knobs.timeout_kill = timeout_kill;
        let (first, wait) = (world.machine.pid().expect("it is up"), timeout_kill.unwrap_or(HUNG_GRACE));
        assert_eq!(world.machine.deadline(), Some(world.now.after(2 * SECOND)));
        world.now = world.now.after(2 * SECOND);
        let overdue = Event::Overdue(world.knobs);
        let actions: Vec<_> = world.machine.clone().step(world.now, overdue).into_iter().collect();
        let ended = [kill(first, Signal::ABRT), kill(first, Signal::CONT), Action::Announce];
        assert_eq!(actions[..], [&[Action::Say(Say::Hung(first, Some(2 * SECOND)))][..], &ended].concat());
        world.pass(wait - 1);
        assert_eq!((world.machine.pid(), world.status().want), (Some(first), Want::Up));
        world.pass(1);
        assert!(world.machine.pid().is_some_and(|pid| pid != first), "another one runs");
        assert_eq!((world.machine.deadline(), world.main().watched), (None, false), "it is not ready yet");
    }
}

#[test]
fn each_word_and_the_end_of_a_pause_begin_the_interval_anew() {
    let mut world = watched(true);
    let first = world.machine.pid();
    for word in [Happening::Alive, Happening::Ready(true), Happening::Alive, Happening::Watch(3 * SECOND)] {
        world.pass(2 * SECOND - 1);
        world.happen(&word);
        // It is held to that while it reads its configuration anew, too.
        world.happen(&Happening::Ready(false));
    }
    world.pass(3 * SECOND - 1);
    world.command(Command::Pause);
    world.pass(100 * SECOND);
    world.command(Command::Continue);
    world.pass(3 * SECOND - 1);
    assert!(!world.main().ending);
    world.happen(&Happening::Takeover);
    assert_eq!((world.main().watchdog, world.main().watched), (3 * SECOND, true));
    world.pass(3 * SECOND - 1);
    assert!(!world.main().ending);
    world.pass(1);
    assert_eq!((world.main().ending, world.machine.pid()), (true, first));
}

#[test]
fn one_that_is_not_ready_ends_or_says_that_it_need_not_tell_may_be_silent() {
    let mut world = World::new(Want::Down, true);
    (world.declares, world.watchdog) = (true, 2 * SECOND);
    world.command(Command::Up);
    assert_eq!(world.machine.deadline(), None);
    for happening in [Happening::Stopping, Happening::Command(Command::Term), Happening::Watch(0)] {
        let mut world = watched(true);
        world.happen(&happening);
        assert_eq!(world.machine.deadline(), None, "{happening:?}");
    }
}

/// One that must say within two seconds that it is ready.
fn awaited(stubborn: bool) -> World {
    let mut world = World::new(Want::Down, stubborn);
    (world.declares, world.patience) = (true, 2 * SECOND);
    world.command(Command::Up);
    world
}

#[test]
fn a_service_that_is_not_ready_in_time_is_told_to_end_then_killed_and_started_again() {
    for timeout_kill in [None, Some(3 * SECOND)] {
        let mut world = awaited(true);
        world.knobs = Knobs { down_signal: Signal::INT, timeout_kill, ..patient() };
        let (first, wait) = (world.machine.pid().expect("it is up"), timeout_kill.unwrap_or(HUNG_GRACE));
        assert_eq!(world.machine.deadline(), Some(world.now.after(2 * SECOND)));
        world.now = world.now.after(2 * SECOND);
        let overdue = Event::Overdue(world.knobs);
        let actions: Vec<_> = world.machine.clone().step(world.now, overdue).into_iter().collect();
        let ended = [kill(first, Signal::INT), kill(first, Signal::CONT), Action::Announce];
        assert_eq!(actions[..], [&[Action::Say(Say::NotReady(first, 2 * SECOND))][..], &ended].concat());
        world.pass(wait - 1);
        assert_eq!((world.machine.pid(), world.status().want), (Some(first), Want::Up));
        world.pass(1);
        assert!(world.machine.pid().is_some_and(|pid| pid != first), "another one runs");
        assert_eq!(world.machine.deadline(), Some(world.now.after(2 * SECOND)), "it has its time");
    }
}

#[test]
fn what_is_ready_once_has_been_so_in_time() {
    let mut world = awaited(true);
    world.pass(2 * SECOND - 1);
    for happening in [Happening::Ready(true), Happening::Ready(false), Happening::Takeover, Happening::Upgrade] {
        world.happen(&happening);
        assert_eq!((world.machine.deadline(), world.main().awaited), (None, false), "{happening:?}");
    }
}

#[test]
fn a_pause_and_whoever_asks_for_it_give_it_more_time() {
    let mut world = awaited(true);
    world.pass(SECOND);
    world.command(Command::Pause);
    world.pass(100 * SECOND);
    world.command(Command::Continue);
    world.pass(2 * SECOND - 1);
    assert!(!world.main().ending);
    world.happen(&Happening::Extends(5 * SECOND));
    world.happen(&Happening::Extends(SECOND));
    world.pass(5 * SECOND - 1);
    assert!(!world.main().ending);
    for successor in [Happening::Takeover, Happening::Upgrade] {
        world.happen(&successor);
        world.pass(2 * SECOND - 1);
        assert!(!world.main().ending, "{successor:?} begins its time anew");
    }
    world.pass(1);
    assert!(world.main().ending);
}

#[test]
fn a_start_that_had_no_limit_gets_none_from_a_successor_and_one_whose_limit_is_gone_has_none() {
    let mut world = World::new(Want::Down, true);
    world.declares = true;
    let mut world = world.live(&[Happening::Command(Command::Up), Happening::Patience(SECOND), Happening::Takeover]);
    assert_eq!(world.machine.deadline(), None);
    world = awaited(true).live(&[Happening::Patience(0), Happening::Takeover]);
    assert_eq!((world.machine.deadline(), world.main().awaited), (None, false));
}

#[test]
fn a_new_copy_that_takes_the_place_of_one_that_has_died_must_be_ready_in_time() {
    let mut world = awaited(true).live(&[Happening::Ready(true), Happening::Command(Command::Replace)]);
    world.pass(SECOND);
    let new = world.machine.second_pid();
    let mut world = world.live(&[Happening::ChildEnds]);
    assert_eq!((world.machine.pid(), world.main().awaited), (new, true));
    world.pass(2 * SECOND - 1);
    assert!(!world.main().ending);
    world.pass(1);
    assert!(world.main().ending && !world.main().asked);
}

#[test]
fn one_that_says_that_it_hangs_is_ended_at_once_and_once() {
    let mut world = World::new(Want::Up, true);
    let pid = world.machine.pid().expect("it is up");
    let hangs = Event::Word(pid, Word::Hangs(world.knobs));
    let actions: Vec<_> = world.machine.clone().step(world.now, hangs).into_iter().collect();
    assert_eq!(actions[..2], [Action::Say(Say::Hung(pid, None)), kill(pid, Signal::ABRT)]);
    world.happen(&Happening::Hangs);
    assert_eq!(world.machine.step(world.now, hangs), Actions::default());
}

#[test]
fn a_new_copy_is_judged_from_when_it_is_the_main_one() {
    let mut world = watched(true);
    world.pass(SECOND);
    world.command(Command::Replace);
    let new = world.machine.second_pid();
    world.happen(&Happening::SecondWatch(5 * SECOND));
    for _ in 0..3 {
        world.happen(&Happening::Alive);
        world.pass(SECOND);
    }
    world.happen(&Happening::SecondReady);
    assert_eq!((world.machine.pid(), world.main().watchdog), (new, 5 * SECOND));
    world.pass(5 * SECOND - 1);
    assert!(!world.main().ending, "nor is the old one, which ends");
    world.pass(1);
    assert!(world.main().ending);
}

#[test]
fn a_service_that_moves_to_another_process_lives_and_ends_with_that() {
    let mut world = watched(false);
    let old = world.machine.pid().expect("it is up");
    let (since, ready) = (world.status().since, world.record().ready());
    world.pass(SECOND);
    world.happen(&Happening::Moves);
    let new = world.machine.pid().expect("it is up");
    assert!(new != old && world.status().since != since && world.record().ready() == ready);
    assert_eq!(world.machine.deadline(), Some(world.now.after(2 * SECOND)), "it is held to what the old one was told");
    assert_eq!(world.decided().pace.starts, 1);
    let world = world.live(&[Happening::Takeover, Happening::ChildEnds]);
    assert!(world.machine.pid().is_some_and(|pid| pid != old && pid != new), "it is started again");
}

#[test]
fn a_service_that_was_told_to_end_does_not_escape_into_another_process() {
    let mut world = watched(true);
    world.command(Command::Down);
    let old = world.machine.pid().expect("it is up");
    let actions: Vec<_> = world.machine.step(world.now, Event::Word(old, Word::Moved(Pid(7)))).into_iter().collect();
    let told = [Signal::TERM, Signal::CONT].map(|signal| kill(Pid(7), signal));
    assert_eq!(actions, [&[Action::Stamp][..], &told, &[Action::Announce]].concat());
}

/// A daemon that had gone into the background told of itself after its parent was killed, and was never killed itself.
#[test]
fn a_process_that_takes_the_place_of_one_killed_for_its_lateness_is_killed_in_its_time_too() {
    let mut world = World::new(Want::Up, true);
    world.knobs.timeout_kill = Some(3 * SECOND);
    world.command(Command::Down);
    let old = world.machine.pid().expect("it is up");
    world.now = world.now.after(3 * SECOND);
    let late: Vec<_> = world.machine.step(world.now, Event::Timeout).into_iter().collect();
    assert_eq!(late, [Action::Say(Say::Late(old)), kill(old, Signal::KILL), Action::Announce]);
    assert_eq!(world.machine.deadline(), None);
    let new = Pid(7);
    world.machine.step(world.now, Event::Word(old, Word::Moved(new)));
    assert!(world.main().kill_due);
    assert_eq!(world.machine.deadline(), Some(world.now.after(3 * SECOND)));
    world.now = world.now.after(3 * SECOND);
    let late: Vec<_> = world.machine.step(world.now, Event::Timeout).into_iter().collect();
    assert_eq!(late, [Action::Say(Say::Late(new)), kill(new, Signal::KILL), Action::Announce]);
    assert_eq!(world.machine.deadline(), None);
}

/// One that was told to end without such a time has none as another process either.
#[test]
fn a_process_that_was_not_late_gets_no_other_time_by_moving() {
    for (timeout_kill, passed) in [(None, 0), (Some(3 * SECOND), SECOND)] {
        let mut world = World::new(Want::Up, true);
        world.knobs.timeout_kill = timeout_kill;
        world.command(Command::Down);
        let (old, due) = (world.machine.pid().expect("it is up"), world.machine.deadline());
        world.machine.step(world.now.after(passed), Event::Word(old, Word::Moved(Pid(7))));
        assert_eq!(world.machine.deadline(), due);
    }
}

#[test]
fn no_copy_becomes_another_one_nor_moves_when_it_is_told_to_end() {
    let mut world = replacing(false);
    let (old, new) = (world.machine.pid().expect("two"), world.machine.second_pid().expect("two"));
    for (from, to) in [(old, new), (new, old), (old, old)] {
        assert!(!world.machine.can_move(from, to));
        assert_eq!(world.machine.step(world.now, Event::Word(from, Word::Moved(to))), Actions::default());
    }
    world.happen(&Happening::SecondMoves);
    let moved = world.machine.second_pid().expect("two");
    assert!(moved != new && world.machine.pid() == Some(old));
    world.pass(SECOND);
    assert_eq!((world.machine.pid(), world.machine.second_pid()), (Some(moved), Some(old)));
    assert!(!world.machine.can_move(old, Pid(7)) && world.machine.can_move(moved, Pid(7)));
}

/// One that has replaced its process; the old one ends as it likes, and the new one as `stubborn` says.
fn replacing(declares: bool) -> World {
    let mut world = World::new(Want::Up, true);
    world.declares = declares;
    world.knobs.timeout_kill = Some(10 * SECOND);
    world.pass(2 * SECOND);
    world.command(Command::Replace);
    assert!(world.child.is_some() && world.second.is_some());
    world
}

#[test]
fn a_new_copy_takes_over_when_it_has_lived_for_its_warm_up() {
    let mut world = replacing(false);
    let (old, new) = (world.machine.pid(), world.machine.second_pid());
    world.pass(SECOND - 1);
    assert_eq!((world.machine.pid(), world.role()), (old, Some(Role::Warming)));
    world.pass(1);
    assert_eq!((world.machine.pid(), world.machine.second_pid()), (new, old));
    assert_eq!(world.role(), Some(Role::EndingOld));
    // The old one is stubborn, and is killed in the end.
    world.pass(10 * SECOND);
    assert_eq!((world.machine.second_pid(), world.role()), (None, None));
}

#[test]
fn a_new_copy_that_tells_when_it_is_ready_takes_over_then() {
    let mut world = replacing(true);
    let new = world.machine.second_pid();
    world.pass(3 * SECOND);
    assert_eq!(world.role(), Some(Role::Warming));
    world.happen(&Happening::SecondReady);
    assert_eq!((world.machine.pid(), world.role()), (new, Some(Role::EndingOld)));
    assert!(world.record().ready().is_some());
}

#[test]
fn a_new_copy_that_is_not_ready_in_time_or_dies_leaves_the_old_one() {
    for dies in [false, true] {
        let mut world = replacing(true);
        let old = world.machine.pid();
        if dies {
            world = world.live(&[Happening::SecondEnds]);
            assert_eq!(world.role(), None);
        } else {
            world.pass(4 * SECOND);
            assert_eq!(world.role(), Some(Role::EndingNew));
            world.pass(10 * SECOND);
            assert_eq!(world.role(), None);
        }
        assert_eq!((world.machine.pid(), world.main().ending), (old, false));
    }
}

/// `R` came while there was another, and until it was done the service began to tell when it is ready: the new copy got a warm-up time, as one of the old kind.
#[test]
fn a_replacement_that_was_remembered_is_done_as_the_new_copy_gets_ready() {
    for happening in [Happening::Pass(0), Happening::Takeover, Happening::Upgrade] {
        let mut world = replacing(false);
        world.command(Command::Replace);
        // It brings knobs too, that say nothing of this.
        world.command(Command::Reload);
        world.declares = true;
        world = world.live(&[Happening::ChildEnds, happening, Happening::Pass(3 * SECOND)]);
        let new = world.machine.second_pid();
        assert_eq!((world.role(), new.is_some()), (Some(Role::Warming), true), "it has not told yet");
        world.happen(&Happening::SecondReady);
        assert_eq!((world.machine.pid(), world.record().ready().is_some()), (new, true));
    }
    let mut world = replacing(true);
    world.command(Command::Replace);
    world.declares = false;
    world = world.live(&[Happening::ChildEnds]);
    let new = world.machine.second_pid();
    world.pass(SECOND);
    assert_eq!((world.machine.pid(), new.is_some()), (new, true), "it does not tell");
}

/// The directory of now was asked, also about a copy that had been started before it changed.
#[test]
fn a_new_copy_gets_ready_below_a_successor_as_it_was_started() {
    for declares in [false, true] {
        let mut world = replacing(declares);
        let new = world.machine.second_pid();
        world.declares = !declares;
        world = world.live(&[Happening::Takeover, Happening::Pass(3 * SECOND)]);
        assert_eq!(world.machine.pid() == new, !declares, "declares: {declares}");
        assert_eq!(world.role() == Some(Role::Warming), declares);
    }
}

#[test]
fn a_record_that_does_not_say_how_the_new_copy_gets_ready_leaves_that_to_the_directory() {
    let mut left = replacing(false).decided();
    left.second = left.second.map(|(role, second)| (role, Copy { undeclared: true, ..second }));
    for declares in [false, true] {
        let resumed = Resumed {
            last_start: None,
            knobs: patient(),
            checks: false,
            health: 0,
            patience: 0,
            declares,
            heard: true,
            hook_limit: None,
            ours: false,
        };
        let machine = Machine::resume(Tick(0), &left, resumed);
        assert_eq!(machine.deadline(), Some(Tick(if declares { 4 * SECOND } else { SECOND })));
        assert_eq!(machine.second().map(|second| second.declares), Some(declares));
    }
}

#[test]
fn a_successor_ends_a_group_only_if_that_is_known_to_be_the_new_copys() {
    for known in [false, true] {
        let mut world = replacing(true);
        world.happen(&Happening::Takeover);
        let new = world.machine.second_pid().expect("two");
        if known {
            world.machine.know_group();
        }
        let actions = world.machine.step(world.now, Event::Ended(new, Exit::Unknown, Rules::default()));
        let is_group = |action: &Action| matches!(action, Action::Signal(Target::Group(_), _));
        let ends: Vec<_> = actions.into_iter().filter(is_group).collect();
        assert_eq!(ends, if known { vec![Action::Signal(Target::Group(new), Signal::KILL)] } else { vec![] });
    }
}

#[test]
fn each_command_in_the_middle_of_a_replacement_does_what_the_table_says() {
    // While the new copy is not ready.
    let mut world = replacing(false);
    let old = world.machine.pid();
    world.command(Command::Down);
    assert_eq!((world.role(), world.main().ending), (Some(Role::EndingNew), true));
    world.pass(20 * SECOND);
    assert!(world.child.is_none() && world.second.is_none() && !world.quit);

    let mut world = replacing(false);
    world.command(Command::Exit);
    assert_eq!((world.role(), world.machine.pid()), (Some(Role::EndingNew), old));
    let world = world.live(&[Happening::ChildEnds]);
    assert!(!world.quit, "the new copy has not ended yet");
    assert!(world.live(&[Happening::SecondEnds]).quit);

    for command in [Command::Kill, Command::Restart, Command::Term] {
        let mut world = replacing(false);
        let new = world.machine.second_pid();
        world.command(command);
        let world = world.live(&[Happening::ChildEnds]);
        assert_eq!((world.machine.pid(), world.role()), (new, None), "{command:?}");
    }

    for (command, want) in [(Command::Up, Want::Up), (Command::Once, Want::Once)] {
        let mut world = replacing(false);
        let new = world.machine.second_pid();
        world.command(command);
        world.pass(SECOND);
        assert_eq!((world.machine.pid(), world.status().want), (new, want));
    }

    // While the old one ends.
    let ending = || {
        let mut world = replacing(false);
        world.pass(SECOND);
        assert_eq!(world.role(), Some(Role::EndingOld));
        world
    };
    let mut world = ending();
    world.command(Command::Down);
    world.pass(20 * SECOND);
    assert!(world.child.is_none() && world.second.is_none());

    let mut world = ending();
    world.command(Command::Exit);
    let world = world.live(&[Happening::ChildEnds]);
    assert!(!world.quit && world.live(&[Happening::SecondEnds]).quit);

    let mut world = ending();
    let new = world.machine.pid();
    world.command(Command::Kill);
    world.reap();
    world.pass(SECOND);
    assert!(world.machine.pid().is_some_and(|pid| Some(pid) != new), "a dead main copy is started again");
    assert_eq!(world.role(), Some(Role::EndingOld));
}

#[test]
fn a_second_replacement_is_remembered_once_and_done_afterwards() {
    let mut world = replacing(false);
    let first = world.machine.second_pid();
    for _ in 0..20 {
        world.command(Command::Replace);
    }
    assert!(world.decided().service.replace_due);
    world = world.live(&[Happening::Pass(SECOND), Happening::SecondEnds]);
    assert_eq!((world.machine.pid(), world.role()), (first, Some(Role::Warming)));
    world = world.live(&[Happening::Pass(SECOND), Happening::SecondEnds]);
    assert_eq!((world.role(), world.decided().service.replace_due, world.decided().pace.starts), (None, false, 3));
}

#[test]
fn a_replacement_of_what_is_down_is_a_start() {
    let mut world = World::new(Want::Down, false);
    world.command(Command::Replace);
    assert!(world.child.is_some() && world.second.is_none());
    assert_eq!(world.status().want, Want::Up);
}

#[test]
fn a_health_that_is_gone_at_an_upgrade_is_called_off_and_the_record_says_so() {
    let settings = |interval| Happening::Health(health::Settings { interval, fails: 1 });
    let world = World::new(Want::Down, false).live(&[
        settings(SECOND),
        Happening::HealthDoes(CheckDoes::Hangs),
        Happening::Command(Command::Up),
        Happening::Pass(SECOND),
    ]);
    assert!(world.record().decided.health.is_some_and(|health| health.pid.is_some()));
    let world = world.live(&[settings(0), Happening::Upgrade]);
    assert_eq!((world.announced.decided.health, world.healths.len()), (None, 0));
}

/// One that tells by `check` that it is ready.
fn checked(does: CheckDoes) -> World {
    let mut world = World::new(Want::Down, false);
    (world.has_check, world.check_does) = (true, does);
    world.command(Command::Up);
    world
}

#[test]
fn a_check_that_succeeds_makes_the_service_ready() {
    let mut world = checked(CheckDoes::Succeeds);
    world.pass(FIRST_PAUSE - 1);
    assert!(world.record().ready().is_none());
    world.pass(1);
    assert!(world.record().ready().is_some());
    assert_eq!((world.checks.len(), world.machine.deadline()), (0, None), "it is not looked again");
}

#[test]
fn a_check_that_hangs_is_killed_and_another_one_is_run() {
    let mut world = checked(CheckDoes::Hangs);
    world.pass(FIRST_PAUSE);
    let check = world.checks[0].pid;
    assert_eq!(world.main().check, NonZeroU32::new(check));
    world.check_does = CheckDoes::Succeeds;
    world.pass(LIMIT - 1);
    assert_eq!((world.checks[0].pid, world.checks[0].killed), (check, None));
    world.pass(1);
    assert!(world.checks.is_empty() && world.record().ready().is_none());
    world.pass(FIRST_PAUSE);
    assert!(world.record().ready().is_some());
}

#[test]
fn a_check_of_what_is_ready_or_ends_is_killed_and_the_record_says_so() {
    for happening in [Happening::Ready(true), Happening::Stopping, Happening::ChildEnds] {
        let mut world = checked(CheckDoes::Hangs);
        world.pass(FIRST_PAUSE);
        assert_eq!(world.checks.len(), 1);
        world.happen(&happening);
        world.reap();
        assert!(world.checks.is_empty(), "{happening:?}");
    }
}

/// A service that read its configuration anew, or said that it ends, was called ready by the check of a successor.
#[test]
fn what_was_ready_once_is_checked_by_no_successor() {
    for successor in [Happening::Takeover, Happening::Upgrade] {
        for word in [Happening::Ready(false), Happening::Stopping] {
            let mut world = checked(CheckDoes::Succeeds);
            world.pass(FIRST_PAUSE);
            assert!(world.record().ready().is_some());
            world = world.live(&[word, successor.clone(), successor.clone(), Happening::Pass(2 * SECOND)]);
            assert!(world.record().ready().is_none(), "it has not said so itself");
            assert_eq!(world.machine.deadline(), None);
        }
    }
}

/// The record of an older version says nothing of that.
#[test]
fn what_was_not_ready_yet_is_checked_by_the_successor_of_an_older_version_too() {
    let mut world = checked(CheckDoes::Fails);
    world.pass(FIRST_PAUSE);
    let mut left = world.decided();
    left.main = left.main.map(|main| Copy { check_over: false, ..main });
    let resumed = Resumed {
        last_start: None,
        knobs: world.knobs,
        checks: true,
        health: 0,
        patience: 0,
        declares: true,
        heard: true,
        hook_limit: None,
        ours: false,
    };
    let machine = Machine::resume(world.now, &left, resumed);
    assert_eq!(machine.deadline(), Some(world.now.after(FIRST_PAUSE)));
}

/// `svstat` said that a service was ready which was on its way out, and its watchdog judged it when it went on.
#[test]
fn a_service_that_was_told_to_end_is_not_found_ready_by_its_check() {
    for command in [Command::Down, Command::Restart, Command::Term, Command::Kill] {
        for successor in [None, Some(Happening::Takeover), Some(Happening::Upgrade)] {
            let mut world = checked(CheckDoes::Hangs);
            (world.stubborn, world.watchdog) = (true, SECOND);
            if let Some(child) = &mut world.child {
                child.stubborn = true;
            }
            world.pass(FIRST_PAUSE);
            let (pid, check) = (world.machine.pid().expect("it is up"), world.checks[0].pid);
            world.command(command);
            // The check had succeeded before it could be ended.
            let actions = world.machine.step(world.now, Event::Ended(Pid(check), Exit::Code(0), Rules::default()));
            assert_eq!((actions, world.machine.pid()), (Actions::default(), Some(pid)), "{command:?}");
            world.checks.clear();
            world = if let (Some(successor), false) = (successor, command == Command::Kill) {
                world.live(&[successor])
            } else {
                world
            };
            assert!(!world.main().ready && !world.main().watched && world.main().check.is_none());
            assert_eq!(world.machine.deadline(), None, "no check is due after {command:?}");
        }
    }
}

#[test]
fn each_copy_has_its_own_check_and_that_of_one_which_leaves_is_killed() {
    for happening in [Happening::SecondReady, Happening::Command(Command::Exit), Happening::Pass(4 * SECOND)] {
        let mut world = checked(CheckDoes::Hangs);
        world.stubborn = true;
        world.pass(2 * SECOND);
        world.command(Command::Replace);
        world.pass(FIRST_PAUSE);
        let (old, new) = (world.machine.pid().expect("two"), world.machine.second_pid().expect("two"));
        assert_eq!(world.checks.iter().map(|check| Pid(check.about)).collect::<Vec<_>>(), [old, new]);
        let world = world.live(std::slice::from_ref(&happening));
        let left: Vec<_> = world.checks.iter().map(|check| Pid(check.about)).collect();
        let is_ready = matches!(happening, Happening::SecondReady);
        assert_eq!(left, if is_ready { vec![] } else { vec![old] }, "{happening:?}");
    }
}

/// The longest answer that is known is near the bound that every step of every world is held to.
#[test]
fn a_down_while_both_copies_are_checked_asks_for_the_most() {
    let mut world = checked(CheckDoes::Hangs);
    world.pass(2 * SECOND);
    world.command(Command::Replace);
    world.pass(FIRST_PAUSE);
    let down = Event::Command(Command::Down, world.knobs);
    assert_eq!(world.machine.step(world.now, down).count(), 8);
}

/// The check was started, and nobody was there any more who would have ended it.
#[test]
fn a_copy_that_is_given_up_as_its_check_is_due_is_not_checked() {
    let mut world = checked(CheckDoes::Succeeds);
    world.stubborn = true;
    world.pass(2 * SECOND);
    world.command(Command::Replace);
    world = world.live(&[Happening::Oversleeps(4 * SECOND)]);
    assert_eq!((world.role(), world.checks.len()), (Some(Role::EndingNew), 0));
}

#[test]
fn an_upgrade_goes_on_with_a_check_that_runs_and_another_supervise_with_its_own() {
    for has_check in [true, false] {
        let mut world = checked(CheckDoes::Hangs);
        world.pass(FIRST_PAUSE);
        let check = world.checks[0].pid;
        // It is followed to its end in any case.
        world.has_check = has_check;
        world = world.live(&[Happening::Upgrade, Happening::Pass(LIMIT - 1)]);
        assert_eq!((world.main().check, world.checks.len()), (NonZeroU32::new(check), 1));
        world = world.live(&[Happening::CheckEnds(0)]);
        assert!(world.record().ready().is_some());
    }
    let mut world = checked(CheckDoes::Hangs);
    world.pass(FIRST_PAUSE);
    world.check_does = CheckDoes::Succeeds;
    world = world.live(&[Happening::Takeover]);
    assert_eq!((world.main().check, world.machine.deadline()), (None, Some(world.now.after(FIRST_PAUSE))));
    world.pass(FIRST_PAUSE);
    assert!(world.record().ready().is_some());
}

/// One whose `finish` runs, and does this.
fn finishing(does: HookDoes) -> World {
    let mut world = World::new(Want::Up, false);
    world.rules = Rules { finish: true, ..Rules::default() };
    world.hook_does = does;
    world.happen(&Happening::ChildEnds);
    world.reap_child();
    world
}

#[test]
fn the_next_start_comes_when_finish_and_the_second_since_the_last_one_are_over() {
    for (takes, until) in [(SECOND / 2, PACE), (3 * SECOND, 3 * SECOND)] {
        let mut world = finishing(HookDoes::Hangs);
        let begin = world.starts[0];
        world.pass(takes);
        assert_eq!((world.starts.len(), world.decided().hook.is_some()), (1, true));
        let mut world = world.live(&[Happening::HookEnds(1)]);
        world.pass(PACE);
        assert_eq!(world.starts, [begin, begin.after(until)]);
    }
}

#[test]
fn what_finish_has_failed_is_started_by_commands_only() {
    for command in [Command::Up, Command::Once, Command::Replace] {
        let mut world = finishing(HookDoes::Ends(FAILED));
        world.reap();
        assert_eq!((world.decided().over, world.machine.deadline()), (Some(Over::Finish), None));
        for successor in [Happening::Takeover, Happening::Upgrade, Happening::Command(Command::Term)] {
            world = world.live(&[successor, Happening::Pass(100 * SECOND)]);
            assert_eq!((world.starts.len(), world.decided().over), (1, Some(Over::Finish)));
        }
        world.command(command);
        assert_eq!((world.starts.len(), world.decided().over), (2, None), "{command:?}");
    }
}

/// A service that somebody had taken down was said to have failed.
#[test]
fn finish_fails_nothing_that_is_not_wanted_up() {
    for (command, over) in
        [(Command::Term, Some(Over::Finish)), (Command::Down, None), (Command::Exit, None), (Command::Once, None)]
    {
        for before in [true, false] {
            let mut world = World::new(Want::Up, true);
            world.rules = Rules { finish: true, ..Rules::default() };
            world.hook_does = HookDoes::Hangs;
            let (first, second) = (Happening::Command(command), Happening::ChildEnds);
            let mut world = world.live(&if before { [first, second] } else { [second, first] });
            let asked = world.decided().service.start_due;
            world = world.live(&[Happening::HookEnds(FAILED)]);
            assert_eq!((world.decided().over, asked), (over, command == Command::Once && !before), "{command:?}");
        }
    }
}

/// One whose ends are all final.
fn final_always() -> World {
    let mut world = World::new(Want::Up, false);
    world.rules = Rules { finals: Finals::ANY, ..Rules::default() };
    world
}

#[test]
fn a_final_end_is_the_last_one_unless_somebody_asked_for_it() {
    let world = final_always().live(&[Happening::ChildEnds, Happening::Pass(100 * SECOND)]);
    assert_eq!((world.starts.len(), world.decided().over), (1, Some(Over::Ended(EXIT))));
    for command in [Command::Term, Command::Kill, Command::Restart] {
        let world = final_always().live(&[Happening::Command(command), Happening::Pass(100 * SECOND)]);
        assert_eq!((world.starts.len(), world.decided().over), (2, None), "{command:?}");
    }
    let world = final_always().live(&[Happening::Command(Command::Once), Happening::ChildEnds]);
    assert_eq!(world.decided().over, None, "it was to run once");
}

#[test]
fn what_is_ended_for_its_silence_or_its_slowness_nobody_has_asked_to_end() {
    for successor in [Happening::Pass(0), Happening::Takeover, Happening::Upgrade] {
        for (mut world, ends) in [(watched(true), Happening::Hangs), (awaited(true), Happening::Pass(2 * SECOND))] {
            world.rules = Rules { finals: Finals::ANY, ..Rules::default() };
            let world = world.live(&[ends, successor.clone(), Happening::Pass(2 * HUNG_GRACE)]);
            assert_eq!(world.decided().over, Some(Over::Ended(Exit::Signal(Signal::KILL.0))));
        }
    }
}

#[test]
fn the_signal_that_ends_the_service_asks_for_its_end_whichever_letter_sends_it() {
    for (command, asked) in [(Command::Interrupt, true), (Command::Quit, false)] {
        let mut world = final_always();
        world.knobs = Knobs { down_signal: Signal::INT, ..patient() };
        let world = world.live(&[Happening::Command(command)]);
        assert_eq!(world.decided().over.is_none(), asked, "{command:?}");
    }
}

#[test]
fn a_command_while_finish_runs_takes_back_that_the_end_was_final() {
    for (command, over) in [
        (Command::Term, Some(Over::Ended(EXIT))),
        (Command::Down, None),
        (Command::Up, None),
        (Command::Once, None),
        (Command::Replace, None),
    ] {
        let mut world = final_always();
        (world.rules.finish, world.hook_does) = (true, HookDoes::Hangs);
        let world = world.live(&[Happening::ChildEnds, Happening::Takeover, Happening::Command(command)]);
        let world = world.live(&[Happening::HookEnds(0), Happening::Pass(SECOND)]);
        let is_up = !matches!(command, Command::Term | Command::Down);
        assert_eq!((world.decided().over, world.child.is_some()), (over, is_up), "{command:?}");
    }
}

/// One that has ended so often by itself, each time at once, and whose pace gets longer up to eight seconds.
fn slowed(ends: usize, restarts: Option<Limit>) -> World {
    let mut world = World::new(Want::Up, false);
    world.rules = Rules { backoff: Some(8 * SECOND), restarts, ..Rules::default() };
    for count in 1..=ends {
        world = world.live(&[Happening::ChildEnds]);
        while count < ends && world.starts.len() == count && world.machine.deadline().is_some() {
            world.pass(SECOND);
        }
    }
    world
}

#[test]
fn up_in_a_long_pace_starts_at_once_and_the_pace_is_short_again() {
    for command in [Command::Up, Command::Once, Command::Replace] {
        let mut world = slowed(4, None);
        let (starts, last) = (world.starts.len(), world.starts[3]);
        assert_eq!(world.machine.deadline(), Some(last.after(8 * SECOND)));
        world.command(command);
        assert_eq!(world.machine.deadline(), Some(last.after(PACE)), "a second after the last start");
        world.pass(2 * SECOND);
        assert_eq!(world.starts.len(), starts + 1, "{command:?}");
        world.command(Command::Up);
        world = world.live(&[Happening::ChildEnds]);
        world.pass(PACE);
        assert_eq!(world.starts.len(), starts + 2, "{command:?}");
    }
}

/// A new copy that was given up counted as the last start, so a service that had lived for long was taken for one that dies at once.
#[test]
fn a_life_is_as_long_as_that_copy_has_lived_whatever_was_started_beside_it() {
    for (before, after) in [
        (Happening::Executes(true), Happening::SecondEnds),
        (Happening::Executes(false), Happening::Executes(true)),
        (Happening::ForksWork(false), Happening::ForksWork(true)),
    ] {
        let mut world = slowed(4, None);
        world.pass(100 * SECOND);
        let happenings = [before, Happening::Command(Command::Replace), after, Happening::ChildEnds];
        let world = world.live(&happenings);
        assert_eq!((world.machine.pid(), world.machine.second_pid()), (None, None));
        assert_eq!(world.machine.deadline(), Some(world.now.after(PACE)));
    }
}

#[test]
fn a_long_pace_holds_for_a_successor_and_begins_anew_then() {
    for successor in [Happening::Takeover, Happening::Upgrade] {
        let mut world = slowed(4, None);
        let due = world.machine.deadline().expect("it is to be started");
        world = world.live(&[successor]);
        assert_eq!((world.machine.deadline(), world.decided().pace.next), (Some(due), Some(due.0)));
        world.pass(8 * SECOND);
        world = world.live(&[Happening::ChildEnds]);
        assert_eq!((world.starts.len(), world.decided().pace.next), (5 + usize::from(world.child.is_some()), None));
    }
}

#[test]
fn too_many_ends_are_too_many_and_those_that_were_asked_for_do_not_count() {
    let limit = Limit { times: 3, within: 10 * SECOND };
    let world = slowed(3, Some(limit));
    let over = Some(Over::Often { times: 3, seconds: 3 });
    assert_eq!((world.starts.len(), world.decided().over, world.machine.deadline()), (3, over, None));
    let mut world = slowed(0, Some(limit));
    for count in 1..20 {
        let command = [Command::Term, Command::Kill, Command::Restart][count % 3];
        world = world.live(&[Happening::Command(command), Happening::Pass(PACE)]);
        assert_eq!((world.starts.len(), world.decided().over), (count + 1, None));
    }
}

/// `svc --wait=up` said that it was.
#[test]
fn a_process_that_cannot_become_run_was_never_up() {
    let mut world = World::new(Want::Down, false);
    world.executes = false;
    let since = world.status().since;
    world.command(Command::Up);
    assert_eq!((world.main().executed, world.machine.pid()), (false, Some(Pid(world.next_pid))));
    for _ in 0..3 {
        assert_eq!((world.status().pid, world.status().since), (None, since));
        world.reap();
        assert_eq!((world.status().pid, world.status().since), (None, since));
        assert_eq!(world.decided().pace.last_exit, Some(NOT_EXECUTED));
        assert_eq!(world.machine.deadline(), Some(world.now.after(PACE)));
        world.now = world.now.after(PACE);
        world.time_out();
    }
    world.reap();
    world.executes = true;
    world.pass(PACE);
    assert_eq!((world.status().pid.is_some(), world.decided().pace.starts), (true, 5));
}

#[test]
fn a_new_copy_that_cannot_become_run_leaves_the_old_one_as_it_was() {
    let mut world = World::new(Want::Up, false);
    world.pass(2 * SECOND);
    let before = world.record();
    world.executes = false;
    world.command(Command::Replace);
    world.reap();
    assert_eq!((world.record(), world.machine.deadline()), (before, None));
}

/// A main copy that is ready, and says these words, each a second after the last one.
fn says(words: &[Word]) -> Machine {
    let mut machine = Machine::new(Want::Up);
    machine.step(Tick(0), Event::Begin);
    let start = Start { declares: true, tells: true, ..Start::plain(Pid(7)) };
    machine.step(Tick(0), Event::Started(Slot::Main, start));
    for (at, word) in (1..).zip(words) {
        machine.step(Tick(at * SECOND), Event::Word(Pid(7), *word));
    }
    machine
}

#[test]
fn the_last_reload_is_known_by_the_moment_that_the_service_tells() {
    let known = |words: &[Word]| says(words).decided().reload;
    let reload = |began, under_way| Some(Reload { began, under_way });
    let reloading = |began| Word::Reloading(Some(began));
    assert_eq!(known(&[]), reload(0, false));
    assert_eq!(known(&[Word::Ready]), reload(0, false));
    assert_eq!(known(&[Word::Ready, reloading(5)]), reload(5, true));
    assert_eq!(known(&[Word::Ready, reloading(5), Word::Ready]), reload(5, false));
    assert_eq!(known(&[reloading(5), reloading(6), Word::Ready]), reload(6, false));
    // Nobody has told yet of what is to come.
    assert_eq!(known(&[reloading(u64::MAX)]), reload(SECOND, true));
    assert_eq!(known(&[reloading(5), Word::Reloading(None)]), reload(5, true));
    assert_eq!(known(&[reloading(5), Word::Ready, Word::Reloading(None)]), reload(0, true));
    let mut machine = says(&[reloading(5)]);
    let again = machine.step(Tick(2 * SECOND), Event::Word(Pid(7), reloading(6)));
    assert_eq!(again.into_iter().collect::<Vec<_>>(), [Action::Announce]);
    let same = machine.step(Tick(2 * SECOND), Event::Word(Pid(7), reloading(6)));
    assert_eq!(same, Actions::default());
}

#[test]
fn a_copy_that_cannot_tell_of_a_reload_has_none() {
    let mut machine = Machine::new(Want::Up);
    machine.step(Tick(0), Event::Begin);
    machine.step(Tick(0), Event::Started(Slot::Main, Start { declares: true, ..Start::plain(Pid(7)) }));
    machine.step(Tick(0), Event::Word(Pid(7), Word::Ready));
    assert_eq!(machine.decided().reload, None);
}

/// A service in this mode that was started as this process.
fn led(mode: KillMode) -> Machine {
    let mut machine = Machine::new(Want::Up);
    machine.step(Tick(0), Event::Begin);
    machine.step(Tick(0), Event::Started(Slot::Main, Start { mode, ..Start::plain(LEADER) }));
    machine
}

/// The signals among the actions of a step, and the group that is looked for.
fn sent(actions: Actions) -> Vec<(Target, Signal)> {
    let signal = |action| match action {
        Action::Signal(target, signal) => Some((target, signal)),
        _ => None,
    };
    actions.into_iter().filter_map(signal).collect()
}

const LEADER: Pid = Pid(7);
const ALONE: Target = Target::Process(LEADER);
const ALL: Target = Target::Led(LEADER, LEADER);
const REST: Target = Target::Group(LEADER);
const TREE: Target = Target::Tree(LEADER, LEADER);
const ORPHANS: Target = Target::Orphans(LEADER);

/// The rules for the end of a service, with the knobs that it is told to end by.
fn told_by(knobs: Knobs) -> Rules {
    Rules { signals: Some(knobs), ..Rules::default() }
}

#[test]
fn each_mode_tells_and_kills_whom_its_table_says() {
    let knobs = Knobs { down_signal: Signal::INT, timeout_kill: Some(SECOND), ..Knobs::default() };
    let ended = |rules| Event::Ended(LEADER, EXIT, rules);
    for (mode, told, killed) in [
        (KillMode::Process, ALONE, ALONE),
        (KillMode::Mixed, ALONE, ALL),
        (KillMode::Group, ALL, ALL),
        (KillMode::Tree, TREE, TREE),
    ] {
        for command in [Command::Down, Command::Restart] {
            let mut machine = led(mode);
            let event = Event::Command(command, knobs);
            assert_eq!(sent(machine.step(Tick(1), event)), [(told, Signal::INT), (told, Signal::CONT)], "{mode:?}");
            assert_eq!(sent(machine.step(Tick(1 + SECOND), Event::Timeout)), [(killed, Signal::KILL)], "{mode:?}");
        }
        for command in [Command::Term, Command::Hup, Command::Kill, Command::Pause] {
            let signals = sent(led(mode).step(Tick(1), Event::Command(command, knobs)));
            assert_eq!(signals.first().map(|(target, _)| *target), Some(ALONE), "{command:?} in {mode:?}");
        }
        let mut machine = led(mode);
        assert_eq!(machine.overview().needs_signals(LEADER), mode.tells());
        let rest = sent(machine.step(Tick(2 * SECOND), ended(told_by(knobs))));
        let expected: &[(Target, Signal)] = match mode {
            KillMode::Process => &[],
            KillMode::Mixed => &[(REST, Signal::KILL)],
            KillMode::Group => &[(REST, Signal::INT), (REST, Signal::CONT)],
            KillMode::Tree => &[(ORPHANS, Signal::INT), (ORPHANS, Signal::CONT)],
        };
        assert_eq!(rest, expected);
    }
}

#[test]
fn what_is_left_of_a_group_that_was_told_is_not_told_again_and_keeps_its_time() {
    for (timeout_kill, waits) in [(Some(3 * SECOND), 2 * SECOND), (None, HUNG_GRACE)] {
        let knobs = Knobs { timeout_kill, ..Knobs::default() };
        let mut machine = led(KillMode::Group);
        machine.step(Tick(0), Event::Command(Command::Down, knobs));
        let now = Tick(SECOND);
        let actions = machine.step(now, Event::Ended(LEADER, EXIT, told_by(Knobs::default())));
        assert_eq!(sent(actions), []);
        let left = Some(Left { pid: Some(Pid(8)), told: true });
        machine.step(now, Event::Left(LEADER, left));
        assert_eq!(machine.deadline(), Some(now.after(waits)));
        let actions: Vec<_> = machine.step(now.after(waits), Event::Timeout).into_iter().collect();
        let late = Action::Say(Say::LeftLate(LEADER, KillMode::Group));
        assert_eq!(actions, [late, Action::Signal(REST, Signal::KILL), Action::Announce]);
        // Nobody knows whether it helps, so supervise goes on waiting.
        assert_eq!((machine.deadline(), machine.leftovers().is_empty()), (None, false));
        machine.step(now.after(waits), Event::Left(LEADER, None));
        assert!(machine.leftovers().is_empty());
    }
}

#[test]
fn it_looks_again_by_itself_only_where_nobody_tells_of_an_end() {
    let mut machine = led(KillMode::Mixed);
    let now = Tick(2 * SECOND);
    let look = |known| Action::Look(LEADER, KillMode::Mixed, known);
    let actions: Vec<_> = machine.step(now, Event::Ended(LEADER, EXIT, Rules::default())).into_iter().collect();
    assert_eq!(actions, [Action::Signal(REST, Signal::KILL), Action::Stamp, look(None)]);
    machine.step(now, Event::Left(LEADER, Some(Left { pid: Some(Pid(8)), told: true })));
    assert_eq!(machine.deadline(), None);
    let orphans = |machine: &mut Machine| machine.step(now, Event::Orphans).into_iter().collect::<Vec<_>>();
    assert_eq!(orphans(&mut machine), [look(Some(Pid(8)))]);
    let again = machine.step(now, Event::Left(LEADER, Some(Left { pid: Some(Pid(9)), told: false })));
    assert_eq!(again.into_iter().collect::<Vec<_>>(), [Action::Announce], "it is another one");
    assert_eq!(machine.deadline(), Some(now.after(PAUSE)));
    let again = machine.step(now.after(PAUSE), Event::Timeout);
    assert_eq!(again.into_iter().collect::<Vec<_>>(), [look(Some(Pid(9)))]);
    // The pace is over, so it is started at once.
    let gone = machine.step(now.after(PAUSE), Event::Left(LEADER, None));
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), [Action::Start(Slot::Main)]);
    assert_eq!(orphans(&mut machine), []);
}

#[test]
fn a_replacement_waits_until_nothing_is_left_of_an_old_copy() {
    let mut machine = led(KillMode::Mixed);
    let knobs = Knobs { warm_up: 1, ..Knobs::default() };
    let replace = Event::Command(Command::Replace, knobs);
    let start = |pid| Event::Started(Slot::Second, Start { mode: KillMode::Mixed, ..Start::plain(pid) });
    machine.step(Tick(1), replace);
    machine.step(Tick(1), start(Pid(17)));
    machine.step(Tick(2), Event::Timeout);
    machine.step(Tick(3), Event::Ended(LEADER, EXIT, Rules::default()));
    machine.step(Tick(3), Event::Left(LEADER, Some(Left { pid: Some(Pid(8)), told: true })));
    assert_eq!((machine.pid(), machine.second_pid()), (Some(Pid(17)), None));
    assert_eq!(machine.step(Tick(4), replace).into_iter().collect::<Vec<_>>(), [Action::Announce]);
    assert!(machine.decided().service.replace_due);
    // A successor knows that too.
    let resumed = |machine: &Machine| {
        let resumed = Resumed {
            last_start: Some(Tick(1)),
            knobs,
            checks: false,
            declares: false,
            health: 0,
            patience: 0,
            heard: true,
            hook_limit: None,
            ours: true,
        };
        Machine::resume(Tick(5), &machine.decided(), resumed)
    };
    let mut next = resumed(&machine);
    assert_eq!(
        next.step(Tick(5), Event::Begin).into_iter().collect::<Vec<_>>(),
        [Action::Look(LEADER, KillMode::Mixed, Some(Pid(8)))]
    );
    for machine in [&mut machine, &mut next] {
        let gone = machine.step(Tick(6), Event::Left(LEADER, None));
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), [Action::Start(Slot::Second)]);
    }
    let mut called_off = led(KillMode::Mixed);
    called_off.step(Tick(1), replace);
    called_off.step(Tick(1), start(Pid(17)));
    called_off.step(Tick(2), Event::Timeout);
    called_off.step(Tick(3), Event::Ended(LEADER, EXIT, Rules::default()));
    called_off.step(Tick(4), replace);
    called_off.step(Tick(4), Event::Command(Command::Down, knobs));
    assert!(!called_off.decided().service.replace_due);
}

/// One of which every end is final, below a svscan that is an init. Its supervise leaves.
fn ends_below_init(essential: bool, finish: bool) -> World {
    let mut world = final_always();
    world.rules.finish = finish;
    world.essential = essential;
    world.is_below_init(true);
    world.live(&[Happening::ChildEnds])
}

#[test]
fn supervise_leaves_with_an_essential_service_that_is_down_for_good_and_the_record_says_so() {
    for finish in [false, true] {
        let world = ends_below_init(true, finish);
        let decided = world.decided();
        assert_eq!((world.quit, decided.service.ended, decided.over), (true, true, Some(Over::Ended(EXIT))));
        assert_eq!((decided.pace.last_exit, world.status().want), (Some(EXIT), Want::Down));
        let world = ends_below_init(false, finish);
        assert_eq!((world.quit, world.decided().service.ended), (false, false));
    }
}

#[test]
fn an_essential_service_that_somebody_takes_down_or_that_is_not_below_an_init_keeps_its_supervise() {
    let mut world = World::new(Want::Up, false);
    (world.rules, world.essential) = (Rules { finals: Finals::ANY, ..Rules::default() }, true);
    world.is_below_init(true);
    let world = world.live(&[Happening::Command(Command::Down), Happening::Pass(SECOND)]);
    assert_eq!((world.quit, world.decided().service.ended, world.child.is_some()), (false, false, false));
    let mut world = final_always();
    world.essential = true;
    let world = world.live(&[Happening::ChildEnds]);
    assert_eq!((world.quit, world.decided().over), (false, Some(Over::Ended(EXIT))));
}

#[test]
fn an_essential_service_waits_for_an_old_copy_and_may_be_wanted_up_meanwhile() {
    let mut world = World::new(Want::Up, true);
    (world.rules, world.essential) = (Rules { finals: Finals::ANY, ..Rules::default() }, true);
    world.is_below_init(true);
    let world = world.live(&[Happening::Command(Command::Replace), Happening::Pass(SECOND), Happening::ChildEnds]);
    assert_eq!((world.quit, world.role()), (false, Some(Role::EndingOld)));
    assert!(world.decided().service.ended);
    let mut world = world.live(&[Happening::Command(Command::Up)]);
    assert!(!world.decided().service.ended, "somebody wants it");
    world = world.live(&[Happening::SecondEnds, Happening::Pass(SECOND)]);
    assert!(!world.quit && world.child.is_some());
}

#[test]
fn what_no_svscan_has_heard_of_is_heard_by_the_next_init_and_is_just_down_for_another() {
    let left = ends_below_init(true, false).decided();
    for init in [false, true] {
        let resumed = Resumed {
            last_start: None,
            knobs: patient(),
            checks: false,
            health: 0,
            patience: 0,
            declares: false,
            heard: true,
            hook_limit: None,
            ours: false,
        };
        let mut machine = Machine::resume(Tick(SECOND), &left, resumed);
        machine.know_init(init);
        let quits = machine.step(Tick(SECOND), Event::Begin).into_iter().any(|action| action == Action::Quit);
        let decided = machine.decided();
        assert_eq!((quits, decided.service.ended, decided.service.exiting), (init, init, init));
        assert_eq!((decided.over, decided.service.want), (left.over, Want::Down));
    }
}

#[test]
fn what_is_found_of_a_tree_that_was_killed_is_killed_too() {
    let mut machine = led(KillMode::Tree);
    let rules = told_by(Knobs { timeout_kill: Some(SECOND), ..Knobs::default() });
    machine.step(Tick(1), Event::Ended(LEADER, EXIT, rules));
    let left = |pid| Event::Left(LEADER, Some(Left { pid: Some(Pid(pid)), told: true }));
    assert_eq!(sent(machine.step(Tick(1), left(8))), []);
    assert_eq!(sent(machine.step(Tick(1 + SECOND), Event::Timeout)), [(ORPHANS, Signal::KILL)]);
    assert_eq!(sent(machine.step(Tick(2 + SECOND), left(9))), [(ORPHANS, Signal::KILL)]);
}

#[test]
fn a_start_that_is_due_waits_for_what_is_left_of_an_old_copy_that_has_ended_last() {
    let mut machine = led(KillMode::Mixed);
    let knobs = Knobs { warm_up: 1, ..Knobs::default() };
    machine.step(Tick(1), Event::Command(Command::Replace, knobs));
    machine.step(Tick(1), Event::Started(Slot::Second, Start::plain(Pid(17))));
    machine.step(Tick(2), Event::Timeout);
    let starts = |actions: Actions| actions.into_iter().any(|action| matches!(action, Action::Start(_)));
    // The new copy is started again when its second is over; the old one ends before that.
    assert!(!starts(machine.step(Tick(3), Event::Ended(Pid(17), EXIT, Rules::default()))));
    machine.step(Tick(4), Event::Ended(LEADER, EXIT, Rules::default()));
    machine.step(Tick(4), Event::Left(LEADER, Some(Left { pid: Some(Pid(8)), told: true })));
    let later = Tick(5 * SECOND);
    assert_eq!(machine.deadline(), None);
    for event in [Event::Timeout, Event::Begin, Event::Command(Command::Up, knobs)] {
        assert!(!starts(machine.step(later, event)), "{event:?}");
    }
    assert!(starts(machine.step(later, Event::Left(LEADER, None))));
}

/// One whose start waits for another service, at most so many nanoseconds in all, or for ever if that is 0.
fn waiting(want: Want, missing: u64) -> World {
    World::new(Want::Down, false).live(&[
        Happening::Missing(Some(missing)),
        Happening::Command(if want == Want::Once { Command::Once } else { Command::Up }),
    ])
}

#[test]
fn a_start_waits_until_another_service_is_ready_and_is_made_at_once_then() {
    for want in [Want::Up, Want::Once] {
        let world = waiting(want, 0);
        let Decided { gate, service, pace, .. } = world.announced.decided;
        assert_eq!((gate.map(|gate| gate.since), service.start_due, pace.starts), (Some(5), true, 0));
        assert_eq!((world.status().want, world.machine.deadline()), (want, None), "nothing is due");
        let world = world.live(&[Happening::Pass(SECOND / 2), Happening::Missing(Some(0))]);
        assert_eq!((world.starts.len(), world.decided().gate), (0, gate), "it waits since then");
        let world = world.live(&[Happening::Missing(None)]);
        assert_eq!((world.starts.len(), world.status().want, world.decided().gate), (1, want, None));
    }
}

#[test]
fn a_restart_waits_again_and_what_is_looked_for_is_no_start() {
    let world = World::new(Want::Up, false).live(&[
        Happening::Pass(3 * SECOND),
        Happening::Missing(Some(0)),
        Happening::ChildEnds,
        Happening::Missing(Some(0)),
    ]);
    assert_eq!((world.starts.len(), world.announced.decided.pace.starts), (1, 1));
    assert!(world.announced.decided.gate.is_some());
    // The pace is kept where it is told to be down and up again.
    let world =
        world.live(&[Happening::Command(Command::Down), Happening::Missing(None), Happening::Command(Command::Up)]);
    assert_eq!(world.starts.len(), 2, "at once");
}

#[test]
fn down_and_exit_end_the_wait_and_nothing_else_does() {
    for want in [Want::Up, Want::Once] {
        let down = waiting(want, 0).live(&[Happening::Command(Command::Down), Happening::Missing(None)]);
        assert_eq!((down.starts.len(), down.announced.decided.gate, down.quit), (0, None, false));
        let left = waiting(want, 0).live(&[Happening::Command(Command::Exit)]);
        assert!(left.quit && left.announced.decided.gate.is_none());
        for command in Command::all().filter(|command| !matches!(command, Command::Down | Command::Exit)) {
            let world = waiting(want, 0).live(&[Happening::Command(command)]);
            assert!(world.announced.decided.gate.is_some() && world.starts.is_empty(), "{command:?}");
            assert_eq!(world.live(&[Happening::Missing(None)]).starts.len(), 1, "{command:?}");
        }
    }
}

#[test]
fn what_is_only_wanted_is_waited_for_as_long_as_it_may_take_in_all() {
    let world = waiting(Want::Up, 3 * SECOND);
    assert_eq!(world.machine.deadline(), Some(Tick(5 + 3 * SECOND)));
    let world = world.live(&[Happening::Pass(2 * SECOND), Happening::Missing(Some(3 * SECOND))]);
    assert_eq!((world.starts.len(), world.machine.deadline()), (0, Some(Tick(5 + 3 * SECOND))));
    let world =
        world.live(&[Happening::Takeover, Happening::Upgrade, Happening::Refuse(true), Happening::Pass(SECOND)]);
    assert!(!world.starts.is_empty() && world.decided().gate.is_none(), "it is refused for another reason");
    let world = world.live(&[Happening::Refuse(false), Happening::Pass(SECOND)]);
    assert!(world.child.is_some(), "it does not wait anew");
}

#[test]
fn a_start_that_waits_for_another_service_waits_for_what_is_left_of_an_old_copy_too() {
    let world = World::new(Want::Up, false).live(&[
        Happening::Mode(KillMode::Mixed, Some(HelperDoes::IsStuck)),
        Happening::Command(Command::Replace),
        Happening::Pass(2 * SECOND),
        Happening::Missing(Some(0)),
    ]);
    assert!(world.starts.len() >= 2);
    // Whatever ends first, nothing is started beside what is left: the world checks that.
    world.live(&[
        Happening::ChildEnds,
        Happening::SecondEnds,
        Happening::Missing(None),
        Happening::HelperEnds,
        Happening::HelperEnds,
        Happening::Pass(2 * SECOND),
    ]);
}

#[test]
fn a_start_that_was_asked_for_while_finish_runs_is_given_up_if_supervise_leaves_and_it_has_to_wait() {
    let rules = Rules { finish: true, ..Rules::default() };
    let world = World::new(Want::Up, false).live(&[
        Happening::Rules(rules),
        Happening::Programs(Programs { start: false, up: false, run: true }, true),
        Happening::Pass(2 * SECOND),
        Happening::HookDoes(HookDoes::Hangs),
        Happening::Command(Command::Exit),
        Happening::ChildEnds,
        Happening::Command(Command::Replace),
        Happening::Missing(Some(0)),
    ]);
    assert!(!world.quit && world.decided().service.start_due);
    let world = world.live(&[Happening::HookEnds(0)]);
    assert_eq!((world.starts.len(), world.decided().gate), (1, None), "nobody knows how long it would be");
    assert!(!world.quit && world.live(&[Happening::HookEnds(0)]).quit, "`stop` has ended");
}

#[test]
fn a_script_about_a_copy_that_has_ended_is_about_no_other_below_a_successor() {
    let world = World::new(Want::Up, false).live(&[
        Happening::HookDoes(HookDoes::Hangs),
        Happening::Controls(Scripts::default().with(Command::Kill)),
        Happening::Command(Command::Kill),
        Happening::ChildEnds,
        Happening::Pass(2 * SECOND),
        Happening::Command(Command::Replace),
        Happening::Takeover,
        Happening::Pass(CONTROL_LIMIT),
    ]);
    assert_eq!(
        (world.starts.len(), world.controls.len()),
        (3, 0),
        "the kill that the script kept back was for the first"
    );
    assert!(world.child.as_ref().is_some_and(|child| child.ended.is_none()));
}
