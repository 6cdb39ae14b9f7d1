//! Supervise in the service of `svscan --exit-with`: a `run` that ends by itself is the end.

use machine::supervise::{Action, Event, Job, Knobs, Machine, NotStarted, Resumed, Rules, Slot, Start, Word};
use machine::{Pid, SECOND, Tick};
use svdir::record::{Decided, Observed, Record, Script, slots};
use svdir::{Command, Exit, Want};

struct Service {
    machine: Machine,
    now: Tick,
    pid: u32,
    /// Whether `run` can be executed.
    executes: bool,
    quit: bool,
}

impl Service {
    fn new(want: Want) -> Service {
        let mut machine = Machine::new(want);
        machine.make_last_run();
        let mut service = Service { machine, now: Tick(SECOND), pid: 0, executes: true, quit: false };
        service.step(Event::Begin);
        service
    }

    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.machine.step(self.now, event) {
                match action {
                    Action::Start(slot @ Slot::Job(Job::Hook(Script::Stop))) => {
                        next = Some(Event::NotStarted(slot, NotStarted::Gone));
                    }
                    Action::Start(slot) => {
                        assert_eq!(slot, Slot::Main);
                        self.pid += 1;
                        let start = Start { executed: self.executes, ..Start::plain(Pid(self.pid)) };
                        next = Some(Event::Started(slot, start));
                    }
                    Action::IsEssential => next = Some(Event::Essential(false)),
                    Action::Quit => self.quit = true,
                    _ => {}
                }
            }
        }
    }

    fn command(&mut self, letters: &[u8]) {
        for &letter in letters {
            let command = Command::from_letter(letter).expect("a letter");
            self.step(Event::Command(command, Knobs::default()));
        }
    }

    fn ends(&mut self, exit: Exit) {
        self.step(Event::Ended(Pid(self.pid), exit, Rules::default()));
        self.now = self.now.after(2 * SECOND);
        if !self.quit {
            self.step(Event::Timeout);
        }
    }

    fn decided(&self) -> Decided {
        self.machine.decided()
    }

    /// Whether it has ended by itself, as svscan reads it.
    fn has_ended(&self) -> bool {
        self.decided().service.ended
    }
}

#[test]
fn a_run_that_ends_by_itself_is_the_end_whatever_its_code() {
    for exit in [Exit::Code(0), Exit::Code(7), Exit::Signal(11), Exit::Unknown] {
        let mut service = Service::new(Want::Up);
        service.ends(exit);
        assert!(service.quit && service.pid == 1);
        assert_eq!((service.has_ended(), service.decided().pace.last_exit), (true, Some(exit)));
    }
}

#[test]
fn a_run_that_was_told_to_end_is_started_again() {
    for letter in [b"t", b"k", b"r"] {
        let mut service = Service::new(Want::Up);
        service.command(letter);
        service.ends(Exit::Signal(15));
        assert!(!service.quit && service.pid == 2 && !service.has_ended());
        service.ends(Exit::Code(3));
        assert!(service.quit && service.pid == 2 && service.has_ended());
    }
}

#[test]
fn a_run_that_was_ended_because_it_hangs_is_started_again() {
    let mut service = Service::new(Want::Up);
    service.step(Event::Word(Pid(1), Word::Hangs(Knobs::default())));
    service.ends(Exit::Signal(6));
    assert!(!service.quit && service.pid == 2);
}

#[test]
fn a_run_that_cannot_be_executed_is_the_end_too() {
    let mut service = Service::new(Want::Down);
    service.executes = false;
    service.command(b"u");
    service.ends(Exit::Code(111));
    assert!(service.quit && service.has_ended());
    assert_eq!(service.decided().pace.last_exit, Some(Exit::Code(111)));
}

#[test]
fn a_run_that_was_taken_down_is_down_and_supervise_stays() {
    let mut service = Service::new(Want::Up);
    service.command(b"d");
    service.ends(Exit::Signal(15));
    assert!(!service.quit && service.machine.pid().is_none());
    service.command(b"u");
    service.ends(Exit::Code(0));
    assert!(service.quit && service.has_ended());
}

#[test]
fn a_service_that_is_normally_down_waits_for_its_run() {
    let mut service = Service::new(Want::Down);
    assert!(!service.quit && service.pid == 0);
    service.command(b"o");
    service.ends(Exit::Code(5));
    assert!(service.quit && service.has_ended());
}

#[test]
fn leaving_when_told_to_is_no_end() {
    let mut service = Service::new(Want::Up);
    service.command(b"dx");
    service.ends(Exit::Signal(15));
    assert!(service.quit && !service.has_ended());
    assert_eq!(service.decided().pace.last_exit, Some(Exit::Signal(15)));
}

#[test]
fn a_successor_knows() {
    for ours in [false, true] {
        let service = Service::new(Want::Up);
        let record = Record { decided: service.decided(), observed: Observed::default() };
        let (_, left) = slots::newest(&slots::encode(slots::Sequence(0), &record)).expect("it was written");
        let resumed = Resumed {
            last_start: None,
            knobs: Knobs::default(),
            checks: false,
            health: 0,
            patience: 0,
            declares: false,
            heard: true,
            hook_limit: None,
            ours,
        };
        let machine = Machine::resume(Tick(SECOND), &left.decided, resumed);
        let mut service = Service { machine, ..service };
        service.step(Event::Begin);
        service.ends(Exit::Code(9));
        assert!(service.quit && service.has_ended());
    }
}

/// What sets a service up is to it what `run` is to others.
#[test]
fn a_start_that_fails_or_is_all_is_the_end() {
    for (exit, is_all) in [(Exit::Code(0), true), (Exit::Code(7), false), (Exit::Signal(9), false)] {
        let mut machine = Machine::new(Want::Up);
        machine.make_last_run();
        let (start, stop) = (Slot::Job(Job::Hook(Script::Start)), Slot::Job(Job::Hook(Script::Stop)));
        machine.step(Tick(SECOND), Event::Begin);
        machine.step(Tick(SECOND), Event::Started(start, Start::plain(Pid(7))));
        machine.step(Tick(SECOND), Event::Ended(Pid(7), exit, Rules::default()));
        if is_all {
            machine.step(Tick(SECOND), Event::NotStarted(Slot::Main, NotStarted::Gone));
        }
        let mut actions = machine.step(Tick(SECOND), Event::Essential(false));
        assert!(actions.into_iter().any(|action| action == Action::Start(stop)), "it is taken down");
        actions = machine.step(Tick(SECOND), Event::NotStarted(stop, NotStarted::Gone));
        assert!(actions.into_iter().any(|action| action == Action::Quit));
        let decided = machine.decided();
        assert_eq!((decided.service.ended, decided.pace.last_exit), (true, Some(exit)));
    }
}
