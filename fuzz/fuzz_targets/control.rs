//! Any bytes in the control FIFO, and ends of `run`, of the scripts around it and of `health` between them, where any rules hold for those: the machine never has more
//! children than it knows, signals nobody else, starts nothing that is over nor beside what an earlier copy has left behind, judges nobody but the main copy, and quits
//! only when all is down.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use machine::supervise::restarts::Limit;
use machine::supervise::{
    Action, Event, Job, Knobs, Left, Machine, Next, NotStarted, Programs, Rules, Slot, Start, Target, health, hook,
};
use machine::{Pid, SECOND, Signal, Tick};
use svdir::finals::Finals;
use svdir::record::Script;
use svdir::{Command, Exit, KillMode, Mark, Want};

struct World {
    machine: Machine,
    now: Tick,
    pids: u32,
    main: Option<Pid>,
    second: Option<Pid>,
    hook: Option<Pid>,
    programs: Programs,
    has_stop: bool,
    health: Option<Run>,
    /// What ends before anything else happens, and how.
    dying: Vec<(Pid, Exit)>,
    quit: bool,
    rules: Rules,
    /// How long a script may take, in nanoseconds.
    limit: Option<u64>,
    /// How `health` is run; not at all if the interval is 0.
    settings: health::Settings,
    mode: KillMode,
    /// Only KILL ends what a copy makes.
    stubborn: bool,
    /// The leaders of the process groups in which another process lives.
    helped: Vec<Pid>,
}

/// A run of `health`.
#[derive(Clone, Copy)]
struct Run {
    pid: Pid,
    about: Pid,
    /// It got KILL: it took too long, or does not count any more.
    killed: bool,
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
        let known = (self.machine.pid(), self.machine.second_pid(), self.machine.hook().pid());
        assert_eq!(known, (self.main, self.second, self.hook));
        let decided = self.machine.decided();
        // While a script runs, or something is left of the service, this is what follows if nobody wants it up.
        let is_over = decided.over.is_some() && self.hook.is_none() && !decided.leftovers.ending;
        assert!(!is_over || (self.main.is_none() && decided.service.want == Want::Down), "it is over and goes on");
        if let Some(run) = self.health.filter(|run| !run.killed) {
            assert_eq!(self.main, Some(run.about), "another one than the main copy is judged");
            assert_eq!(self.machine.slot(run.pid), Some(Slot::Job(Job::Health(run.about))), "a run is forgotten");
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ Slot::Job(Job::Check(_) | Job::Control(..))) => {
                return Some(Event::NotStarted(slot, NotStarted::Refused));
            }
            Action::Start(slot @ Slot::Job(Job::Health(about))) => {
                assert!(self.settings.interval > 0, "there is no `health`");
                assert!(self.health.is_none_or(|run| run.killed), "two runs of `health` at a time");
                self.pids += 1;
                let pid = Pid(self.pids);
                self.health = Some(Run { pid, about, killed: false });
                return Some(Event::Started(slot, Start::plain(pid)));
            }
            Action::Start(slot @ Slot::Job(Job::Hook(Script::Stop))) if !self.has_stop => {
                return Some(Event::NotStarted(slot, NotStarted::Gone));
            }
            Action::Start(slot) => {
                assert!(self.hook.is_none() || slot == Slot::Second, "a start beside a script");
                let slot = match self.machine.next(self.programs) {
                    Next::Nothing if slot == Slot::Main => return Some(Event::NotStarted(slot, NotStarted::Gone)),
                    Next::Script(script) if slot == Slot::Main => Slot::Job(Job::Hook(script)),
                    Next::Nothing | Next::Script(_) | Next::Run => slot,
                };
                assert!(self.main.is_none() || slot == Slot::Second, "a start beside the main copy");
                assert!(!self.is_left(), "a start beside what is left of another");
                self.pids += 1;
                let pid = Pid(self.pids);
                let place = match slot {
                    Slot::Main => &mut self.main,
                    Slot::Second => &mut self.second,
                    Slot::Job(_) => &mut self.hook,
                };
                assert!(place.replace(pid).is_none(), "one too many");
                if matches!(slot, Slot::Job(_)) {
                    return Some(Event::Started(slot, Start { limit: self.limit, ..Start::plain(pid) }));
                }
                self.helped.extend(self.mode.leads().then_some(pid));
                let (health, mode) = (self.settings.interval, self.mode);
                // Every second copy must get ready in time, and does not.
                let declares = pid.0 % 2 == 0;
                let patience = if declares { 3 * SECOND } else { 0 };
                return Some(Event::Started(slot, Start { declares, patience, health, mode, ..Start::plain(pid) }));
            }
            Action::Signal(Target::Process(pid), signal) => {
                assert!([self.main, self.second].contains(&Some(pid)), "a signal to somebody else");
                if [Signal::TERM, Signal::KILL].contains(&signal) {
                    self.dying.push((pid, Exit::Signal(signal.0)));
                }
            }
            Action::Signal(Target::Led(pid, leader), signal) => {
                assert_eq!(pid, leader, "nobody has moved");
                self.signal_group(leader, signal);
                return self.act(Action::Signal(Target::Process(pid), signal));
            }
            Action::Signal(Target::Tree(pid, leader), signal) => {
                assert_eq!(pid, leader, "nobody has moved");
                if signal == Signal::KILL {
                    self.signal_group(leader, signal);
                }
                return self.act(Action::Signal(Target::Process(pid), signal));
            }
            Action::Signal(Target::Group(leader) | Target::Orphans(leader), signal) => {
                assert!(![self.main, self.second].contains(&Some(leader)), "the group of a copy that lives");
                self.signal_group(leader, signal);
            }
            Action::Look(leader, ..) => {
                assert!(![self.main, self.second].contains(&Some(leader)), "its copy lives");
                let left = self.helped.contains(&leader).then_some(Left { pid: None, told: false });
                return Some(Event::Left(leader, left));
            }
            Action::Signal(Target::Job(pid), signal) => {
                let run = self.health.as_mut().filter(|run| run.pid == pid);
                assert!(run.is_some() || self.hook == Some(pid), "a signal to somebody else");
                assert!(run.is_none() || signal == Signal::KILL);
                run.into_iter().for_each(|run| run.killed = true);
                if signal != Signal::CONT {
                    self.dying.push((pid, Exit::Signal(signal.0)));
                }
            }
            Action::IsEssential => return Some(Event::Essential(self.pids % 2 == 0)),
            Action::Promote => std::mem::swap(&mut self.main, &mut self.second),
            Action::Quit => {
                assert_eq!((self.main, self.second, self.hook), (None, None, None), "it quits with a child");
                assert!(self.health.is_none_or(|run| run.killed), "it quits while `health` runs");
                assert!(!self.is_left(), "it quits with something left");
                self.quit = true;
            }
            Action::Stamp | Action::StampReady => {}
            Action::Announce | Action::Tally(..) | Action::Say(_) => {}
        }
        None
    }

    /// Whether something is left of a copy that has ended.
    fn is_left(&self) -> bool {
        self.helped.iter().any(|leader| ![self.main, self.second].contains(&Some(*leader)))
    }

    fn signal_group(&mut self, leader: Pid, signal: Signal) {
        let ends = signal == Signal::KILL || (signal == Signal::TERM && !self.stubborn);
        self.helped.retain(|helped| *helped != leader || !ends);
    }

    fn reap(&mut self) {
        while let Some((pid, exit)) = self.dying.pop().filter(|_| !self.quit) {
            let places = [&mut self.main, &mut self.second, &mut self.hook];
            let ended = places.into_iter().find_map(|place| place.take_if(|known| *known == pid));
            if ended.is_some() {
                self.take_in(Event::Ended(pid, exit, self.rules));
            } else if self.health.take_if(|run| run.pid == pid).is_some() {
                // A run that was called off does not count, whatever is told of it.
                self.take_in(Event::Judged(pid, exit, self.settings, Knobs::default()));
            }
        }
    }

    /// Time passes, or all that is needed for what is due next.
    fn pass(&mut self, nanoseconds: Option<u64>) {
        let due = self.machine.deadline().map_or(self.now, |deadline| deadline.max(self.now));
        self.now = nanoseconds.map_or(due, |nanoseconds| self.now.after(nanoseconds));
        if self.machine.is_overdue(self.now) {
            self.take_in(Event::Overdue(Knobs::default()));
        }
        self.take_in(Event::Timeout);
    }
}

/// A time from a byte; 0 is none.
fn seconds(byte: u8) -> Option<u64> {
    (byte > 0).then(|| u64::from(byte) * SECOND)
}

/// What the directory says about an end; each byte is one file, and 0 is none.
fn rules([finish, _, finals, backoff, times, within, ..]: [u8; 9]) -> Rules {
    let codes = format!("{}-255", finals.saturating_sub(1));
    Rules {
        tally: u16::from(finish),
        finish: finish > 0,
        finals: if finals > 0 { Finals::parse(codes.as_bytes(), |_| None).expect("codes") } else { Finals::default() },
        backoff: seconds(backoff),
        restarts: seconds(within).filter(|_| times > 0).map(|within| Limit { times, within }),
        signals: Some(Knobs::default()),
    }
}

/// How `health` is run; no file for its interval is no `health`.
fn settings([.., interval, fails, _]: [u8; 9]) -> health::Settings {
    health::Settings { interval: u64::from(interval) * SECOND, fails: fails.max(1) }
}

fuzz_target!(|bytes: &[u8]| {
    let (files, bytes) = bytes.split_first_chunk().unwrap_or((&[0; 9], bytes));
    let (scripts, bytes) = bytes.split_first().unwrap_or((&0, bytes));
    let [start, up, run, has_stop] = [1, 2, 4, 8].map(|bit| scripts & bit != 0);
    let mut world = World {
        machine: Machine::new(Want::Up),
        now: Tick(SECOND),
        pids: 1,
        main: None,
        second: None,
        hook: None,
        programs: Programs { start, up, run },
        has_stop,
        health: None,
        dying: Vec::new(),
        quit: false,
        rules: rules(*files),
        limit: seconds(files[1]),
        settings: settings(*files),
        mode: KillMode::from_number(files[8] % 4),
        stubborn: files[8] >= 128,
        helped: Vec::new(),
    };
    world.take_in(Event::Begin);
    let mut mark = Mark::default();
    for &byte in bytes {
        if world.quit {
            break;
        }
        match (mark.with(byte), Command::from_letter(byte), byte) {
            (Some(next), ..) => mark = next,
            (None, Some(command), _) => world.take_in(Event::Command(command, Knobs::default())),
            // What is no letter is something else that happens.
            (None, None, 0..=15) => world.dying.extend(world.main.map(|pid| (pid, Exit::Code(byte)))),
            (None, None, 16..=31) => {
                let code = if byte < 24 { byte - 16 } else { hook::FAILED + byte - 24 };
                world.dying.extend(world.hook.map(|pid| (pid, Exit::Code(code))));
            }
            (None, None, 32..=47) => world.dying.extend(world.health.map(|run| (run.pid, Exit::Code(byte - 32)))),
            (None, None, b'~') => world.pass(None),
            (None, None, _) => world.pass(Some(u64::from(byte) * SECOND / 64)),
        }
        world.reap();
    }
});
