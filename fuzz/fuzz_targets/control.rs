//! Any bytes in the control FIFO: the machine never has more children than it knows, signals nobody else, and quits only when all is down.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use machine::supervise::{Action, Event, Knobs, Machine, NotStarted, Rules, Slot, Start, Target};
use machine::{Pid, SECOND, Signal, Tick};
use svdir::{Command, Exit, Mark, Want};

struct World {
    machine: Machine,
    now: Tick,
    pids: u32,
    main: Option<Pid>,
    second: Option<Pid>,
    dying: Vec<Pid>,
    quit: bool,
    rules: Rules,
}

impl World {
    fn take_in(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut outcomes = Vec::new();
            for action in self.machine.step(self.now, event) {
                outcomes.extend(self.act(action));
            }
            outcomes.into_iter().rev().for_each(|outcome| events.push_front(outcome));
        }
        assert_eq!((self.machine.pid(), self.machine.second_pid()), (self.main, self.second));
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ (Slot::Main | Slot::Second)) => {
                self.pids += 1;
                let pid = Pid(self.pids);
                let place = if slot == Slot::Main { &mut self.main } else { &mut self.second };
                assert!(place.replace(pid).is_none(), "one too many");
                return Some(Event::Started(slot, Start::plain(pid)));
            }
            Action::Start(slot @ Slot::Job(_)) => return Some(Event::NotStarted(slot, NotStarted::Refused)),
            Action::Signal(Target::Process(pid), signal) => {
                assert!([self.main, self.second].contains(&Some(pid)), "a signal to somebody else");
                if [Signal::TERM, Signal::KILL].contains(&signal) {
                    self.dying.push(pid);
                }
            }
            Action::Promote => std::mem::swap(&mut self.main, &mut self.second),
            Action::Quit => {
                assert_eq!((self.main, self.second), (None, None), "it quits with a child");
                self.quit = true;
            }
            Action::Signal(..) | Action::Stamp | Action::StampReady | Action::Announce | Action::Say(_) => {}
        }
        None
    }

    fn reap(&mut self) {
        while let Some(pid) = self.dying.pop().filter(|_| !self.quit) {
            for place in [&mut self.main, &mut self.second] {
                place.take_if(|known| *known == pid);
            }
            if [self.machine.pid(), self.machine.second_pid()].contains(&Some(pid)) {
                self.take_in(Event::Ended(pid, Exit::Signal(9), self.rules));
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let machine = Machine::new(Want::Up);
    let (main, second) = (None, None);
    // A `finish`, where there is one, cannot be started.
    let rules = Rules { finish: bytes.len() % 2 == 1, ..Rules::default() };
    let mut world = World { machine, now: Tick(SECOND), pids: 1, main, second, dying: Vec::new(), quit: false, rules };
    world.take_in(Event::Begin);
    let mut mark = Mark::default();
    for &byte in bytes {
        if world.quit {
            break;
        }
        match (mark.with(byte), Command::from_letter(byte)) {
            (Some(next), _) => mark = next,
            (None, Some(command)) => world.take_in(Event::Command(command, Knobs::default())),
            // Anything else is time that passes.
            (None, None) => {
                world.now = world.now.after(u64::from(byte) * SECOND / 64);
                world.take_in(Event::Timeout);
            }
        }
        world.reap();
    }
});
