//! The machine of supervise in random worlds, against a model of the kernel.

use std::collections::VecDeque;

use machine::reload::Readiness;
use machine::supervise::{Action, Actions, Event, FORK_RETRY, HUNG_GRACE, Knobs, Machine, PACE, Signal};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;
use svdir::{Command, Exit, More, Role, Status, Want};
use tai::Label;

/// How every child ends.
const EXIT: Exit = Exit::Code(1);

/// What may happen in the world.
#[derive(Clone, Debug)]
enum Happening {
    Command(Command),
    /// The child ends by itself.
    ChildEnds,
    /// The second copy ends by itself, or says that it is ready.
    SecondEnds,
    SecondReady,
    /// Somebody else stops or continues the child.
    ChildStops,
    ChildContinues,
    /// The child says that it is ready, or not any more.
    Ready(bool),
    /// From now on the service tells when it is ready, or not.
    Declares(bool),
    /// From now on what is started tells within so many nanoseconds that it is alive.
    Watchdog(u64),
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
    /// From now on forks fail, or work.
    ForksWork(bool),
    /// From now on the service can be started, as far as what it needs is there, or not.
    Refuse(bool),
    /// Supervise is killed, and another one begins.
    Takeover,
    /// The knob files are others now.
    Knobs(Knobs),
}

#[derive(Debug, Default)]
struct Child {
    pid: u32,
    ended: bool,
    /// TERM does nothing to it.
    stubborn: bool,
    /// It says when it is ready, and has said so.
    declares: bool,
    ready: bool,
    /// It must have been sent KILL by then.
    doomed: Option<Tick>,
    /// It was sent what shall end it.
    ending: bool,
    /// It has been ready, and does not end by itself.
    watched: bool,
    /// Within so many nanoseconds from then on it tells that it is alive.
    watchdog: u64,
    heard: Tick,
}

/// The kernel, as far as supervise can tell, and what must hold of all that the machine asks of it.
struct World {
    machine: Machine,
    now: Tick,
    child: Option<Child>,
    /// The copy beside it.
    second: Option<Child>,
    next_pid: u32,
    forks_work: bool,
    stubborn: bool,
    starts: Vec<Tick>,
    stamps: i64,
    announced: Option<(Status, More)>,
    knobs: Knobs,
    declares: bool,
    watchdog: u64,
    refuse: bool,
    ready_stamp: Option<Label>,
    quit: bool,
}

impl World {
    fn new(want: Want, stubborn: bool) -> World {
        let mut world = World {
            machine: Machine::new(want),
            now: Tick(5),
            child: None,
            second: None,
            next_pid: 100,
            forks_work: true,
            stubborn,
            starts: Vec::new(),
            stamps: 0,
            announced: None,
            knobs: Knobs::default(),
            declares: false,
            watchdog: 0,
            refuse: false,
            ready_stamp: None,
            quit: false,
        };
        world.announced = Some(world.record());
        world.step(Event::Begin);
        world
    }

    fn status(&self) -> Status {
        self.machine.status(Label::from_unix(self.stamps, 0))
    }

    fn record(&self) -> (Status, More) {
        let more = More { ready: self.ready_stamp, ..More::default() };
        self.machine.record(Label::from_unix(self.stamps, 0), more)
    }

    fn step(&mut self, event: Event) {
        assert!(!self.quit, "an event after the machine quit");
        if matches!(event, Event::Hangs(_)) || (event == Event::Timeout && self.machine.is_overdue(self.now)) {
            self.machine.learn(self.knobs);
        }
        let before = self.status();
        let actions = self.machine.step(self.now, event);
        self.perform(actions);
        let after = self.status();
        // A start's stamp was taken before: `spawn` does that.
        if before.pid != after.pid && !matches!(event, Event::Started(_)) {
            assert_ne!(before.since, after.since, "a pid changed without a stamp");
        }
        assert_eq!(self.announced, Some(self.record()), "not announced after {event:?}");
        let (_, more) = self.record();
        let ready = self.child.as_ref().is_some_and(|child| child.declares && child.ready);
        assert_eq!(more.ready.is_some(), ready, "ready is what a child of a service that tells so has said");
        assert_eq!(
            self.machine.awaits_ready(),
            self.child.as_ref().is_some_and(|child| child.declares && !child.ready)
        );
        let second = self.second.as_ref().map(|second| Pid(second.pid));
        assert_eq!(self.machine.second_pid(), second, "a second copy is forgotten");
        assert!(self.machine.deadline().is_none_or(|deadline| deadline > self.now), "a deadline in the past");
    }

    fn perform(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Spawn => self.spawn(),
                Action::SpawnBeside => self.spawn_beside(),
                Action::Promote => {
                    self.stamps += 1;
                    self.ready_stamp = None;
                    assert!(self.second.is_some(), "nobody is there to be promoted");
                    std::mem::swap(&mut self.child, &mut self.second);
                    if let Some(child) = &mut self.child {
                        (child.watched, child.heard) = (child.declares && child.ready, self.now);
                    }
                }
                Action::Hung(pid, within) => self.hang(pid, within),
                Action::EndGroup(_) | Action::GiveUp(_) => {}
                Action::Kill(pid, signal) => self.kill(pid, signal),
                Action::Stamp => self.stamps += 1,
                Action::StampReady => self.ready_stamp = Some(Label::from_unix(self.stamps, 1)),
                Action::Announce => self.announced = Some(self.record()),
                Action::Quit => {
                    assert!(self.child.is_none() && self.second.is_none(), "quit with a child");
                    self.quit = true;
                }
            }
        }
    }

    /// What nanoseconds the child that must not be silent for longer has left. `None` if it may be silent.
    fn hung_at(&self) -> Option<Tick> {
        let paused = self.status().paused;
        let child = self.child.as_ref().filter(|child| child.watched && child.watchdog > 0 && !child.ending && !paused);
        child.map(|child| child.heard.after(child.watchdog))
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
        (child.ending, child.doomed) = (true, Some(now.after(timeout)));
    }

    fn new_child(&self) -> Child {
        Child {
            pid: self.next_pid,
            stubborn: self.stubborn,
            declares: self.declares,
            watchdog: self.watchdog,
            ..Child::default()
        }
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "a second child");
        if let Some(&last) = self.starts.last() {
            assert!(last.until(self.now) >= PACE, "started after {} ns", last.until(self.now));
        }
        self.starts.push(self.now);
        if self.refuse {
            return self.step(Event::SpawnRefused);
        }
        self.machine.declare(self.declares);
        self.machine.watch(self.watchdog);
        if self.forks_work {
            self.next_pid += 1;
            self.child = Some(self.new_child());
            // The child announces itself before it becomes `run`.
            self.stamps += 1;
            let since = Label::from_unix(self.stamps, 0);
            self.announced = Some(self.machine.record_once_started(Pid(self.next_pid), since, More::default()));
            self.step(Event::Started(Pid(self.next_pid)));
        } else {
            self.step(Event::SpawnFailed);
        }
    }

    fn spawn_beside(&mut self) {
        assert!(self.child.is_some(), "a second copy without a first");
        assert!(self.second.is_none(), "a third copy");
        if self.refuse || !self.forks_work {
            return self.step(Event::SpawnBesideFailed);
        }
        self.starts.push(self.now);
        self.machine.declare_beside(self.declares);
        self.machine.watch_beside(self.watchdog);
        self.next_pid += 1;
        let pid = Pid(self.next_pid);
        self.second = Some(self.new_child());
        let (_, more) = self.record();
        let since = Label::from_unix(self.stamps, 0);
        self.announced = Some(self.machine.record_once_started_beside(self.now, pid, since, more));
        self.step(Event::StartedBeside(pid));
    }

    fn kill(&mut self, pid: Pid, signal: Signal) {
        let mut children = [&mut self.child, &mut self.second].into_iter().flatten();
        let child = children.find(|child| child.pid == pid.0).expect("a signal to somebody else");
        match signal {
            Signal::Kill => child.ended = true,
            Signal::Term
            | Signal::Hup
            | Signal::Alarm
            | Signal::Int
            | Signal::Abort
            | Signal::Quit
            | Signal::Usr1
            | Signal::Usr2
            | Signal::Winch
            | Signal::Number(_) => child.ended |= !child.stubborn,
            Signal::Stop | Signal::Cont => {}
        }
    }

    fn command(&mut self, command: Command) {
        if Machine::needs_knobs(command) {
            self.knobs.readiness = self.readiness(self.declares);
            self.machine.learn(self.knobs);
        }
        let tells_to_end = matches!(command, Command::Down | Command::Restart);
        if let (Some(child), true, Some(timeout)) = (&mut self.child, tells_to_end, self.knobs.timeout_kill) {
            child.doomed = child.doomed.or(Some(self.now.after(timeout)));
        }
        if let Some(child) = &mut self.child {
            child.ending |= tells_to_end || matches!(command, Command::Term | Command::Kill);
            child.heard = if command == Command::Continue { self.now } else { child.heard };
        }
        self.step(Event::Command(command));
    }

    fn readiness(&self, declares: bool) -> Readiness {
        if declares { Readiness::Declared(Some(4 * SECOND)) } else { Readiness::WarmUp(SECOND) }
    }

    fn reap(&mut self) {
        while [&self.child, &self.second].into_iter().flatten().any(|child| child.ended) && !self.quit {
            self.reap_second();
            self.reap_child();
        }
    }

    fn reap_second(&mut self) {
        if let Some(second) = self.second.take_if(|second| second.ended) {
            self.step(Event::Died(Pid(second.pid), EXIT));
        }
    }

    /// Tells the machine of a child that has ended.
    fn reap_child(&mut self) {
        if self.quit || !self.child.as_ref().is_some_and(|child| child.ended) {
            return;
        }
        let pid = self.child.take().expect("it has ended").pid;
        let want = self.status().want;
        let known = self.starts.len();
        self.step(Event::Died(Pid(pid), EXIT));
        if want == Want::Up && !self.record().1.exiting && !self.quit && self.child.is_none() {
            let waits = self.machine.deadline().is_some_and(|deadline| self.now.until(deadline) <= PACE);
            let waits_for_fork =
                !self.forks_work && self.machine.deadline().is_some_and(|d| self.now.until(d) <= FORK_RETRY);
            assert!(self.starts.len() > known || waits || waits_for_fork, "a wanted service is not started again");
        }
    }

    fn pass(&mut self, nanoseconds: u64) {
        let end = self.now.after(nanoseconds);
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end && !self.quit) {
            self.now = deadline;
            self.step(Event::Timeout);
            self.reap();
        }
        self.now = end;
        if let Some(child) = self.child.as_ref().filter(|_| !self.quit) {
            assert!(child.doomed.is_none_or(|doomed| doomed > end), "it should have been killed by now");
            assert!(self.hung_at().is_none_or(|hung_at| hung_at > end), "it was silent, and nobody minds");
        }
        if !self.quit {
            let before = (self.status(), self.machine.deadline(), self.starts.len());
            self.step(Event::Timeout);
            assert_eq!(
                before,
                (self.status(), self.machine.deadline(), self.starts.len()),
                "a timeout before its time did something"
            );
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let pid = self.child.as_ref().map(|child| Pid(child.pid));
        match *happening {
            Happening::Command(command) => self.command(command),
            Happening::Knobs(knobs) => self.knobs = knobs,
            Happening::ChildEnds => {
                if let Some(child) = &mut self.child {
                    child.ended = true;
                }
            }
            Happening::SecondEnds => {
                if let Some(second) = &mut self.second {
                    second.ended = true;
                }
            }
            Happening::SecondReady => {
                if let Some(second) = &mut self.second {
                    let pid = Pid(second.pid);
                    second.ready = true;
                    self.step(Event::Ready(pid));
                }
            }
            Happening::ChildStops => {
                if let Some(pid) = pid {
                    self.step(Event::Stopped(pid));
                    assert!(self.status().paused);
                }
            }
            Happening::ChildContinues => {
                if let Some(pid) = pid {
                    if let (true, Some(child)) = (self.status().paused, &mut self.child) {
                        child.heard = self.now;
                    }
                    self.step(Event::Continued(pid));
                    assert!(!self.status().paused);
                }
            }
            Happening::Declares(declares) => self.declares = declares,
            Happening::Ready(ready) => {
                if let (Some(child), Some(pid)) = (&mut self.child, pid) {
                    child.ready = ready;
                    if ready && child.declares {
                        (child.watched, child.heard) = (true, self.now);
                    }
                    self.step(if ready { Event::Ready(pid) } else { Event::Unready(pid) });
                }
            }
            Happening::Watchdog(nanoseconds) => self.watchdog = nanoseconds,
            Happening::Watch(nanoseconds) => {
                if let (Some(child), Some(pid)) = (&mut self.child, pid) {
                    (child.watchdog, child.heard) = (nanoseconds, self.now);
                    self.step(Event::Watch(pid, nanoseconds));
                }
            }
            Happening::SecondWatch(nanoseconds) => {
                if let Some(second) = &mut self.second {
                    let pid = Pid(second.pid);
                    second.watchdog = nanoseconds;
                    self.step(Event::Watch(pid, nanoseconds));
                }
            }
            Happening::Alive => {
                if let (Some(child), Some(pid)) = (&mut self.child, pid) {
                    child.heard = self.now;
                    self.step(Event::Alive(pid));
                }
            }
            Happening::Hangs => {
                if let Some(pid) = pid {
                    self.step(Event::Hangs(pid));
                }
            }
            Happening::Stopping => {
                if let (Some(child), Some(pid)) = (&mut self.child, pid) {
                    (child.ready, child.watched) = (false, false);
                    self.step(Event::Stopping(pid));
                }
            }
            Happening::Moves => {
                if let (Some(child), Some(old)) = (&mut self.child, pid) {
                    self.next_pid += 1;
                    (child.pid, child.heard) = (self.next_pid, self.now);
                    let new = Pid(child.pid);
                    self.moves(old, new);
                    assert_eq!((self.machine.pid(), self.status().paused), (Some(new), false));
                }
            }
            Happening::SecondMoves => {
                let is_new = role(self) == Some(Role::Starting);
                if let Some(second) = &mut self.second {
                    self.next_pid += 1;
                    let (old, new) = (Pid(second.pid), Pid(self.next_pid));
                    second.pid = if is_new { new.0 } else { old.0 };
                    self.moves(old, new);
                }
            }
            Happening::StrangerEnds(offset) => {
                let stranger = Pid(self.next_pid + 1 + offset);
                let words = [
                    Event::Ready(stranger),
                    Event::Unready(stranger),
                    Event::Stopping(stranger),
                    Event::Alive(stranger),
                    Event::Hangs(stranger),
                    Event::Watch(stranger, SECOND),
                    Event::Moved(stranger, Pid(stranger.0 + 1)),
                ];
                for event in [Event::Died(stranger, EXIT), Event::Stopped(stranger), Event::Continued(stranger)]
                    .into_iter()
                    .chain(words)
                {
                    let actions = self.machine.step(self.now, event);
                    assert_eq!(actions, Actions::default(), "a stranger's {event:?} did something");
                }
            }
            Happening::Pass(nanoseconds) => self.pass(nanoseconds),
            Happening::ForksWork(work) => self.forks_work = work,
            Happening::Refuse(refuse) => self.refuse = refuse,
            Happening::Takeover => self.take_over(),
        }
    }

    /// Nothing but the process is another one.
    fn moves(&mut self, old: Pid, new: Pid) {
        let with_pid = |(status, more): (Status, More)| {
            let status = Status { pid: None, since: Label::default(), paused: false, got_term: false, ..status };
            (status, More { second: None, ..more })
        };
        let before = with_pid(self.record());
        self.step(Event::Moved(old, new));
        assert_eq!(with_pid(self.record()), before);
        if self.child.as_ref().is_none_or(|child| child.pid != old.0) && self.machine.second_pid() != Some(old) {
            let end = self.machine.step(self.now, Event::Died(old, EXIT));
            assert_eq!(end, Actions::default(), "the end of what the service was before is none of the service");
        }
    }

    /// A successor knows what was announced, and no more.
    fn take_over(&mut self) {
        let (status, more) = self.announced.expect("something was announced");
        let waits = self.machine.deadline().is_some() && self.second.is_none();
        let last_start = self.starts.last().copied();
        if let Some(second) = &mut self.second {
            // What it has said too early is forgotten.
            second.ready = false;
            self.knobs.readiness =
                if second.declares { Readiness::Declared(Some(4 * SECOND)) } else { Readiness::WarmUp(SECOND) };
        }
        self.machine = Machine::resume(self.now, &status, &more, last_start, self.knobs);
        assert_eq!(status, self.status(), "the successor shows something else");
        if let Some(child) = &mut self.child {
            let timeout = self.knobs.timeout_kill.unwrap_or(HUNG_GRACE);
            child.doomed = child.doomed.map(|_| self.now.after(timeout));
            child.heard = self.now;
        }
        self.announced = Some(self.record());
        let wanted = more.start_due || (status.pid.is_none() && status.want == Want::Up && !more.exiting);
        let known = self.starts.len();
        self.step(Event::Begin);
        if let Some(child) = self.child.as_ref().filter(|_| !self.quit) {
            assert_eq!(self.machine.pid(), Some(Pid(child.pid)), "a child is forgotten");
        } else if wanted {
            let starts = self.starts.len() > known || self.machine.deadline().is_some();
            assert!(starts || !self.forks_work || self.refuse, "a start is forgotten");
        } else {
            assert!(!waits || self.quit, "a start that was due is forgotten");
        }
    }

    fn live(mut self, happenings: &[Happening]) -> World {
        for happening in happenings {
            if self.quit {
                break;
            }
            self.happen(happening);
            self.reap();
        }
        self
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    prop::sample::select(Command::all().collect::<Vec<_>>())
}

fn any_knobs() -> impl Strategy<Value = Knobs> {
    let signal = prop::sample::select(&[Signal::Term, Signal::Int, Signal::Kill, Signal::Number(10)][..]);
    let timeout = prop::option::of(1..5 * SECOND);
    (signal, timeout).prop_map(|(down_signal, timeout_kill)| Knobs { down_signal, timeout_kill, ..Knobs::default() })
}

fn any_interval() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 4 => 1..3 * SECOND, 1 => Just(u64::MAX)]
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => any_command().prop_map(Happening::Command),
        4 => Just(Happening::ChildEnds),
        2 => Just(Happening::Command(Command::Replace)),
        2 => Just(Happening::SecondEnds),
        2 => Just(Happening::SecondReady),
        1 => Just(Happening::ChildStops),
        1 => Just(Happening::ChildContinues),
        1 => (0..1000u32).prop_map(Happening::StrangerEnds),
        4 => (0..3 * SECOND).prop_map(Happening::Pass),
        1 => (0..100 * SECOND).prop_map(Happening::Pass),
        1 => any::<bool>().prop_map(Happening::ForksWork),
        1 => prop::bool::weighted(0.3).prop_map(Happening::Refuse),
        2 => Just(Happening::Takeover),
        1 => any_knobs().prop_map(Happening::Knobs),
        3 => prop::bool::weighted(0.7).prop_map(Happening::Ready),
        1 => any_interval().prop_map(Happening::Watchdog),
        1 => any_interval().prop_map(Happening::Watch),
        1 => any_interval().prop_map(Happening::SecondWatch),
        2 => Just(Happening::Alive),
        1 => Just(Happening::Hangs),
        1 => Just(Happening::Stopping),
        1 => Just(Happening::Moves),
        1 => Just(Happening::SecondMoves),
        1 => any::<bool>().prop_map(Happening::Declares),
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
        happenings in prop::collection::vec(any_happening(), 0..60),
    ) {
        World::new(want, stubborn).live(&happenings);
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
        let mut world = world.live(&[Happening::ForksWork(true), Happening::Refuse(false), Happening::Pass(2 * FORK_RETRY)]);
        if !world.quit {
            let status = world.status();
            if status.want == Want::Up {
                prop_assert!(status.pid.is_some());
            }
            world.step(Event::Command(Command::Down));
            world.reap();
            if !world.quit {
                world.step(Event::Command(Command::Exit));
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
                    world.step(Event::Command(command));
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
    world.step(Event::Command(Command::Down));
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
    world.step(Event::Command(Command::Up));
    assert_eq!(world.machine.deadline(), Some(world.now.after(FORK_RETRY)));
    world.pass(2 * SECOND);
    world.forks_work = true;
    world.step(Event::Command(Command::Up));
    assert!(world.child.is_some());
}

#[test]
fn a_once_whose_fork_failed_is_not_tried_again() {
    let mut world = World::new(Want::Down, false);
    world.forks_work = false;
    world.step(Event::Command(Command::Once));
    assert_eq!(world.machine.deadline(), None);
}

#[test]
fn a_signal_comes_before_the_status_for_down_and_after_it_for_pause_and_continue() {
    let pid = Pid(7);
    let up = || {
        let mut machine = Machine::new(Want::Up);
        machine.step(Tick(0), Event::Begin);
        machine.step(Tick(0), Event::Started(pid));
        machine
    };
    let actions = |command| up().step(Tick(1), Event::Command(command)).into_iter().collect::<Vec<_>>();
    let kill = |signal| Action::Kill(pid, signal);
    assert_eq!(actions(Command::Down), [kill(Signal::Term), kill(Signal::Cont), Action::Announce]);
    assert_eq!(actions(Command::Pause), [Action::Announce, kill(Signal::Stop)]);
    assert_eq!(actions(Command::Continue), [Action::Announce, kill(Signal::Cont)]);
    assert_eq!(actions(Command::Hup), [kill(Signal::Hup)]);
}

#[test]
fn restart_ends_the_service_as_down_does_and_keeps_what_is_wanted() {
    let mut world = World::new(Want::Up, true);
    world.knobs = Knobs { down_signal: Signal::Int, timeout_kill: Some(3 * SECOND), ..Knobs::default() };
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
    machine.step(Tick(0), Event::Started(Pid(7)));
    machine.learn(Knobs { reload_signal: Signal::Usr1, ..Knobs::default() });
    let actions = machine.step(Tick(1), Event::Command(Command::Reload));
    assert_eq!(actions.into_iter().collect::<Vec<_>>(), [Action::Kill(Pid(7), Signal::Usr1)]);
}

#[test]
fn what_cannot_be_started_for_lack_of_something_is_tried_every_second_and_is_no_start() {
    let mut world = World::new(Want::Down, false);
    world.refuse = true;
    world.command(Command::Up);
    world.pass(5 * SECOND);
    assert_eq!((world.starts.len(), world.record().1.starts), (6, 0));
    world.refuse = false;
    world.pass(SECOND);
    assert!(world.child.is_some());
    assert_eq!(world.record().1.starts, 1);
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
        world.machine.learn(world.knobs);
        let actions: Vec<_> = world.machine.clone().step(world.now, Event::Timeout).into_iter().collect();
        let ended = [Action::Kill(first, Signal::Abort), Action::Kill(first, Signal::Cont), Action::Announce];
        assert_eq!(actions[..], [&[Action::Hung(first, Some(2 * SECOND))][..], &ended].concat());
        world.pass(wait - 1);
        assert_eq!((world.machine.pid(), world.status().want), (Some(first), Want::Up));
        world.pass(1);
        assert!(world.machine.pid().is_some_and(|pid| pid != first), "another one runs");
        assert_eq!((world.machine.deadline(), world.record().1.watched), (None, false), "it is not ready yet");
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
    assert!(!world.record().1.ending);
    world.happen(&Happening::Takeover);
    assert_eq!((world.record().1.watchdog, world.record().1.watched), (3 * SECOND, true));
    world.pass(3 * SECOND - 1);
    assert!(!world.record().1.ending);
    world.pass(1);
    assert_eq!((world.record().1.ending, world.machine.pid()), (true, first));
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

#[test]
fn one_that_says_that_it_hangs_is_ended_at_once_and_once() {
    let mut world = World::new(Want::Up, true);
    let pid = world.machine.pid().expect("it is up");
    let actions: Vec<_> = world.machine.clone().step(world.now, Event::Hangs(pid)).into_iter().collect();
    assert_eq!(actions[..2], [Action::Hung(pid, None), Action::Kill(pid, Signal::Abort)]);
    world.happen(&Happening::Hangs);
    assert_eq!(world.machine.step(world.now, Event::Hangs(pid)), Actions::default());
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
    assert_eq!((world.machine.pid(), world.record().1.watchdog), (new, 5 * SECOND));
    world.pass(5 * SECOND - 1);
    assert!(!world.record().1.ending, "nor is the old one, which ends");
    world.pass(1);
    assert!(world.record().1.ending);
}

#[test]
fn a_service_that_moves_to_another_process_lives_and_ends_with_that() {
    let mut world = watched(false);
    let old = world.machine.pid().expect("it is up");
    let (since, ready) = (world.status().since, world.record().1.ready);
    world.pass(SECOND);
    world.happen(&Happening::Moves);
    let new = world.machine.pid().expect("it is up");
    assert!(new != old && world.status().since != since && world.record().1.ready == ready);
    assert_eq!(world.machine.deadline(), Some(world.now.after(2 * SECOND)), "it is held to what the old one was told");
    assert_eq!(world.record().1.starts, 1);
    let world = world.live(&[Happening::Takeover, Happening::ChildEnds]);
    assert!(world.machine.pid().is_some_and(|pid| pid != old && pid != new), "it is started again");
}

#[test]
fn a_service_that_was_told_to_end_does_not_escape_into_another_process() {
    let mut world = watched(true);
    world.command(Command::Down);
    let old = world.machine.pid().expect("it is up");
    let actions: Vec<_> = world.machine.step(world.now, Event::Moved(old, Pid(7))).into_iter().collect();
    let told = [Signal::Term, Signal::Cont].map(|signal| Action::Kill(Pid(7), signal));
    assert_eq!(actions, [&[Action::Stamp][..], &told, &[Action::Announce]].concat());
}

#[test]
fn no_copy_becomes_another_one_nor_moves_when_it_is_told_to_end() {
    let mut world = replacing(false);
    let (old, new) = (world.machine.pid().expect("two"), world.machine.second_pid().expect("two"));
    for (from, to) in [(old, new), (new, old), (old, old)] {
        assert!(!world.machine.can_move(from, to));
        assert_eq!(world.machine.step(world.now, Event::Moved(from, to)), Actions::default());
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

fn role(world: &World) -> Option<Role> {
    world.record().1.second.map(|second| second.role)
}

#[test]
fn a_new_copy_takes_over_when_it_has_lived_for_its_warm_up() {
    let mut world = replacing(false);
    let (old, new) = (world.machine.pid(), world.machine.second_pid());
    world.pass(SECOND - 1);
    assert_eq!((world.machine.pid(), role(&world)), (old, Some(Role::Starting)));
    world.pass(1);
    assert_eq!((world.machine.pid(), world.machine.second_pid()), (new, old));
    assert_eq!(role(&world), Some(Role::EndingOld));
    // The old one is stubborn, and is killed in the end.
    world.pass(10 * SECOND);
    assert_eq!((world.machine.second_pid(), role(&world)), (None, None));
}

#[test]
fn a_new_copy_that_tells_when_it_is_ready_takes_over_then() {
    let mut world = replacing(true);
    let new = world.machine.second_pid();
    world.pass(3 * SECOND);
    assert_eq!(role(&world), Some(Role::Starting));
    world.happen(&Happening::SecondReady);
    assert_eq!((world.machine.pid(), role(&world)), (new, Some(Role::EndingOld)));
    assert!(world.record().1.ready.is_some());
}

#[test]
fn a_new_copy_that_is_not_ready_in_time_or_dies_leaves_the_old_one() {
    for dies in [false, true] {
        let mut world = replacing(true);
        let old = world.machine.pid();
        if dies {
            world = world.live(&[Happening::SecondEnds]);
            assert_eq!(role(&world), None);
        } else {
            world.pass(4 * SECOND);
            assert_eq!(role(&world), Some(Role::EndingNew));
            world.pass(10 * SECOND);
            assert_eq!(role(&world), None);
        }
        assert_eq!((world.machine.pid(), world.record().1.ending), (old, false));
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
        let actions = world.machine.step(world.now, Event::Died(new, Exit::Unknown));
        let ends: Vec<_> = actions.into_iter().filter(|action| matches!(action, Action::EndGroup(_))).collect();
        assert_eq!(ends, if known { vec![Action::EndGroup(new)] } else { vec![] });
    }
}

#[test]
fn each_command_in_the_middle_of_a_replacement_does_what_the_table_says() {
    // While the new copy is not ready.
    let mut world = replacing(false);
    let old = world.machine.pid();
    world.command(Command::Down);
    assert_eq!((role(&world), world.record().1.ending), (Some(Role::EndingNew), true));
    world.pass(20 * SECOND);
    assert!(world.child.is_none() && world.second.is_none() && !world.quit);

    let mut world = replacing(false);
    world.command(Command::Exit);
    assert_eq!((role(&world), world.machine.pid()), (Some(Role::EndingNew), old));
    let world = world.live(&[Happening::ChildEnds]);
    assert!(!world.quit, "the new copy has not ended yet");
    assert!(world.live(&[Happening::SecondEnds]).quit);

    for command in [Command::Kill, Command::Restart, Command::Term] {
        let mut world = replacing(false);
        let new = world.machine.second_pid();
        world.command(command);
        let world = world.live(&[Happening::ChildEnds]);
        assert_eq!((world.machine.pid(), role(&world)), (new, None), "{command:?}");
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
        assert_eq!(role(&world), Some(Role::EndingOld));
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
    assert_eq!(role(&world), Some(Role::EndingOld));
}

#[test]
fn a_second_replacement_is_remembered_once_and_done_afterwards() {
    let mut world = replacing(false);
    let first = world.machine.second_pid();
    for _ in 0..20 {
        world.command(Command::Replace);
    }
    assert!(world.record().1.replace_due);
    world = world.live(&[Happening::Pass(SECOND), Happening::SecondEnds]);
    assert_eq!((world.machine.pid(), role(&world)), (first, Some(Role::Starting)));
    world = world.live(&[Happening::Pass(SECOND), Happening::SecondEnds]);
    assert_eq!((role(&world), world.record().1.replace_due, world.record().1.starts), (None, false, 3));
}

#[test]
fn a_replacement_of_what_is_down_is_a_start() {
    let mut world = World::new(Want::Down, false);
    world.command(Command::Replace);
    assert!(world.child.is_some() && world.second.is_none());
    assert_eq!(world.status().want, Want::Up);
}
