//! Any bytes on the control FIFO, with deaths, words of the service, failing forks and time between them: the machine keeps its promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use machine::supervise::{Action, Event, Machine, PACE};
use machine::{Pid, Tick};
use svdir::{Command, Want};

struct World {
    machine: Machine,
    now: Tick,
    child: Option<u32>,
    second: Option<u32>,
    births: u32,
    forks: bool,
    last: Option<Tick>,
    quit: bool,
}

impl World {
    fn say(&mut self, word: fn(Pid) -> Event) {
        if let Some(pid) = self.child {
            self.step(word(Pid(pid)));
        }
    }

    fn moves(&mut self) {
        if let Some(old) = self.child {
            self.births += 1;
            self.child = Some(self.births);
            self.step(Event::Moved(Pid(old), Pid(self.births)));
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.machine.step(self.now, event) {
            match action {
                Action::Spawn => {
                    assert!(self.child.is_none());
                    assert!(self.last.is_none_or(|last| last.until(self.now) >= PACE));
                    self.last = Some(self.now);
                    self.machine.declare(true);
                    self.machine.watch(PACE);
                    if self.forks {
                        self.births += 1;
                        self.child = Some(self.births);
                        self.step(Event::Started(Pid(self.births)));
                    } else {
                        self.step(Event::SpawnFailed);
                    }
                }
                Action::Kill(pid, _) => assert!([self.child, self.second].contains(&Some(pid.0))),
                Action::SpawnBeside => {
                    assert!(self.child.is_some() && self.second.is_none());
                    if self.forks {
                        self.births += 1;
                        self.second = Some(self.births);
                        self.last = Some(self.now);
                        self.step(Event::StartedBeside(Pid(self.births)));
                    } else {
                        self.step(Event::SpawnBesideFailed);
                    }
                }
                Action::Promote => std::mem::swap(&mut self.child, &mut self.second),
                Action::EndGroup(_)
                | Action::Hung(..)
                | Action::GiveUp(_)
                | Action::Stamp
                | Action::StampReady
                | Action::Announce => {}
                Action::Quit => {
                    assert!(self.child.is_none() && self.second.is_none());
                    self.quit = true;
                }
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut world =
        World { machine: Machine::new(Want::Up), now: Tick(1), child: None, second: None, births: 0, forks: true, last: None, quit: false };
    world.step(Event::Begin);
    for &byte in bytes {
        if world.quit {
            return;
        }
        match (byte, Command::from_letter(byte)) {
            (_, Some(command)) => world.step(Event::Command(command)),
            (b'D', None) => {
                if let Some(pid) = world.child.take() {
                    world.step(Event::Died(Pid(pid), svdir::Exit::Unknown));
                }
            }
            (b'S', None) => {
                if let Some(pid) = world.second.take() {
                    world.step(Event::Died(Pid(pid), svdir::Exit::Unknown));
                }
            }
            (b'Y', None) => world.say(Event::Ready),
            (b'A', None) => world.say(Event::Alive),
            (b'H', None) => world.say(Event::Hangs),
            (b'M', None) => world.moves(),
            (b'F', None) => world.forks = !world.forks,
            (other, None) => {
                world.now = world.now.after(u64::from(other) * PACE / 64);
                if world.machine.deadline().is_some_and(|deadline| deadline <= world.now) {
                    world.step(Event::Timeout);
                }
            }
        }
        assert_eq!(world.machine.second_pid().map(|pid| pid.0), world.second);
        assert_eq!(world.machine.status(tai::Label::default()).pid.map(|pid| pid.get()), world.child);
    }
});
