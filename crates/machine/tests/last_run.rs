//! Supervise in the service of `svscan --exit-with`: a `run` that ends by itself is the end.

use machine::supervise::{Action, Event, Knobs, Machine};
use machine::{Pid, SECOND, Tick};
use svdir::{Command, Exit, More, Want};
use tai::Label;

struct Service {
    machine: Machine,
    now: Tick,
    pid: u32,
    quit: bool,
}

impl Service {
    fn new(want: Want) -> Service {
        let mut machine = Machine::new(want);
        machine.make_last_run();
        let mut service = Service { machine, now: Tick(SECOND), pid: 0, quit: false };
        service.step(Event::Begin);
        service
    }

    fn step(&mut self, event: Event) {
        let actions: Vec<Action> = self.machine.step(self.now, event).into_iter().collect();
        for action in actions {
            match action {
                Action::Spawn => {
                    self.pid += 1;
                    self.step(Event::Started(Pid(self.pid)));
                }
                Action::Quit => self.quit = true,
                _ => {}
            }
        }
    }

    fn command(&mut self, letters: &[u8]) {
        for &letter in letters {
            self.step(Event::Command(Command::from_letter(letter).expect("a letter")));
        }
    }

    fn ends(&mut self, exit: Exit) {
        self.step(Event::Died(Pid(self.pid), exit));
        self.now = self.now.after(2 * SECOND);
        if !self.quit {
            self.step(Event::Timeout);
        }
    }

    fn more(&self) -> More {
        self.machine.record(Label::default(), More::default()).1
    }
}

#[test]
fn a_run_that_ends_by_itself_is_the_end_whatever_its_code() {
    for exit in [Exit::Code(0), Exit::Code(7), Exit::Signal(11), Exit::Unknown] {
        let mut service = Service::new(Want::Up);
        service.ends(exit);
        assert!(service.quit && service.pid == 1);
        assert_eq!((service.more().ended, service.more().last_exit), (true, Some(exit)));
    }
}

#[test]
fn a_run_that_was_told_to_end_is_started_again() {
    for letter in [b"t", b"k", b"r"] {
        let mut service = Service::new(Want::Up);
        service.command(letter);
        service.ends(Exit::Signal(15));
        assert!(!service.quit && service.pid == 2 && !service.more().ended);
        service.ends(Exit::Code(3));
        assert!(service.quit && service.pid == 2 && service.more().ended);
    }
}

#[test]
fn a_run_that_was_ended_because_it_hangs_is_started_again() {
    let mut service = Service::new(Want::Up);
    service.step(Event::Hangs(Pid(1)));
    service.ends(Exit::Signal(6));
    assert!(!service.quit && service.pid == 2);
}

#[test]
fn a_run_that_was_taken_down_is_down_and_supervise_stays() {
    let mut service = Service::new(Want::Up);
    service.command(b"d");
    service.ends(Exit::Signal(15));
    assert!(!service.quit && service.machine.pid().is_none());
    service.command(b"u");
    service.ends(Exit::Code(0));
    assert!(service.quit && service.more().ended);
}

#[test]
fn a_service_that_is_normally_down_waits_for_its_run() {
    let mut service = Service::new(Want::Down);
    assert!(!service.quit && service.pid == 0);
    service.command(b"o");
    service.ends(Exit::Code(5));
    assert!(service.quit && service.more().ended);
}

#[test]
fn leaving_when_told_to_is_no_end() {
    let mut service = Service::new(Want::Up);
    service.command(b"dx");
    service.ends(Exit::Signal(15));
    assert!(service.quit && !service.more().ended);
    assert_eq!(service.more().last_exit, Some(Exit::Signal(15)));
}

#[test]
fn a_successor_knows() {
    let service = Service::new(Want::Up);
    let (status, more) = service.machine.record(Label::default(), More::default());
    let machine = Machine::resume(Tick(SECOND), &status, &more, None, Knobs::default());
    let mut service = Service { machine, now: Tick(SECOND), pid: service.pid, quit: false };
    service.step(Event::Begin);
    service.ends(Exit::Code(9));
    assert!(service.quit && service.more().ended);
}
