//! Many services that wait for each other, each with its own machine: what holds of all of them, whatever happens to any.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use machine::order::back;
use machine::supervise::gate::{self, Found, Held, Kind, Wait};
use machine::supervise::{Action, Event, Job, Knobs, Machine, NotStarted, Resumed, Rules, Slot, Start, Target, Word};
use machine::wait::{Before, Verdict, Wanted, judge};
use machine::{Pid, SECOND, Signal, Tick};
use proptest::prelude::*;
use svdir::record::{Decided, Observed, Record};
use svdir::{Command, Exit, Want};

/// How many services there are.
const COUNT: u8 = 6;
/// How often the services look, at most, because of one thing that has happened: each look that makes a difference is seen by the others.
const MOST_LOOKS: usize = 1000;

/// What may happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A service ends by itself.
    Ends(u8),
    /// A service says that it is ready.
    Ready(u8),
    Command(u8, Command),
    /// The supervise of a service is killed, and another one begins.
    Takeover(u8),
    /// From now on a service names another one, or not any more.
    Names(u8, u8, Kind, bool),
    Pass(u64),
}

struct Service {
    machine: Machine,
    /// A start must say that it is ready.
    declares: bool,
    named: BTreeMap<u8, Kind>,
    /// Its process, and whether that was told to end.
    process: Option<(Pid, bool)>,
}

struct Site {
    now: Tick,
    services: Vec<Service>,
    pids: u32,
    /// A record was written, or other services are named, since those that wait have looked.
    news: bool,
    looks: usize,
}

impl Site {
    fn new(declares: [bool; COUNT as usize]) -> Site {
        let service =
            |declares| Service { machine: Machine::new(Want::Up), declares, named: BTreeMap::new(), process: None };
        let services = declares.into_iter().map(service).collect();
        Site { now: Tick(SECOND), services, pids: 100, news: false, looks: 0 }
    }

    fn begin(&mut self) {
        (0..COUNT).for_each(|of| self.step(of, Event::Begin));
        self.settle();
    }

    fn of(&self, of: u8) -> &Service {
        &self.services[usize::from(of)]
    }

    fn of_mut(&mut self, of: u8) -> &mut Service {
        &mut self.services[usize::from(of)]
    }

    fn decided(&self, of: u8) -> Decided {
        self.of(of).machine.decided()
    }

    /// How far a service is from being ready.
    fn verdict(&self, of: u8) -> Verdict {
        let record = Record { decided: self.decided(of), observed: Observed::default() };
        judge(Wanted::Ready, Some(Before::default()), &record)
    }

    /// Whether a service that is named closes a cycle, which is broken there.
    fn is_broken(&self, of: u8, other: u8, kind: Kind) -> bool {
        let named = |next: u8, only_needed: bool| {
            let named = self.of(next).named.iter();
            named
                .filter(move |(_, kind)| !only_needed || **kind == Kind::Needed)
                .map(|(other, _)| *other)
                .collect::<Vec<_>>()
        };
        back(&of, &other, |&next| named(next, kind == Kind::Needed), 100).is_some()
    }

    /// What a look before a start finds.
    fn look(&self, of: u8) -> Option<Held> {
        let since = self.of(of).machine.held_since().unwrap_or(self.now);
        self.of(of).named.iter().find_map(|(&other, &kind)| {
            let until = match gate::wait(kind, Found::Served(self.verdict(other)), || None) {
                Wait::No => return None,
                Wait::For(nanoseconds) => Some(since.after(nanoseconds)),
                Wait::Ever => None,
            };
            let waits = until.is_none_or(|until| until > self.now) && !self.is_broken(of, other, kind);
            waits.then_some(Held { until, news: false })
        })
    }

    fn step(&mut self, of: u8, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let now = self.now;
            let actions: Vec<Action> = self.of_mut(of).machine.step(now, event).into_iter().collect();
            let outcomes: Vec<Event> = actions.into_iter().filter_map(|action| self.act(of, action)).collect();
            outcomes.into_iter().rev().for_each(|outcome| queue.push_front(outcome));
        }
        // What was told to end does.
        if let Some((pid, true)) = self.of(of).process {
            self.ends(of, pid);
        }
    }

    fn act(&mut self, of: u8, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ Slot::Main) => return Some(self.start(of, slot)),
            Action::Start(slot @ Slot::Job(Job::Hook(_))) => return Some(Event::NotStarted(slot, NotStarted::Gone)),
            Action::Start(slot) => panic!("nobody has asked for {slot:?}"),
            Action::Signal(Target::Process(pid), signal) => {
                let process = &mut self.of_mut(of).process;
                if let Some((running, told)) = process.as_mut().filter(|_| signal != Signal::CONT) {
                    assert_eq!(*running, pid);
                    *told = true;
                }
            }
            Action::IsEssential => return Some(Event::Essential(false)),
            Action::Announce => self.news = true,
            _ => {}
        }
        None
    }

    fn start(&mut self, of: u8, slot: Slot) -> Event {
        assert!(self.of(of).machine.begins_start() && self.of(of).process.is_none());
        if let Some(held) = self.look(of) {
            return Event::NotStarted(slot, NotStarted::Held(held));
        }
        self.pids += 1;
        let (pid, declares) = (Pid(self.pids), self.of(of).declares);
        self.of_mut(of).process = Some((pid, false));
        Event::Started(slot, Start { declares, ..Start::plain(pid) })
    }

    fn ends(&mut self, of: u8, pid: Pid) {
        self.of_mut(of).process = None;
        self.step(of, Event::Ended(pid, Exit::Code(1), Rules::default()));
    }

    /// Lets those that wait look until nothing changes any more.
    fn settle(&mut self) {
        self.looks = 0;
        while std::mem::take(&mut self.news) {
            for of in 0..COUNT {
                if self.decided(of).gate.is_some() {
                    self.looks += 1;
                    assert!(self.looks < MOST_LOOKS, "they look without an end");
                    self.step(of, Event::Gate);
                }
            }
        }
        (0..COUNT).for_each(|of| self.is_right(of));
    }

    /// What holds of a service whenever everything has been seen by everybody.
    fn is_right(&self, of: u8) {
        let (decided, process) = (self.decided(of), self.of(of).process);
        let pid = decided.main.map(|main| Pid(main.pid.get()));
        assert_eq!(pid, process.map(|(pid, _)| pid));
        // Its deadline may be the same as that of another one, which came first.
        let is_due = self.of(of).machine.deadline().is_some_and(|at| at <= self.now);
        let waits = pid.is_none() && (is_due || self.look(of).is_some());
        assert!(decided.gate.is_none() || waits, "{of} waits for nothing");
        let is_wanted = decided.service.start_due || (decided.service.want == Want::Up && !decided.service.exiting);
        let waits = decided.gate.is_some() || self.of(of).machine.deadline().is_some();
        assert!(!is_wanted || pid.is_some() || waits, "{of} is forgotten");
    }

    fn pass(&mut self, nanoseconds: u64) {
        let end = self.now.after(nanoseconds);
        while let Some((at, of)) =
            (0..COUNT).filter_map(|of| Some((self.of(of).machine.deadline()?, of))).min().filter(|&(at, _)| at <= end)
        {
            self.now = self.now.max(at);
            self.step(of, Event::Timeout);
            self.settle();
        }
        self.now = end;
    }

    fn take_over(&mut self, of: u8) {
        let (now, left) = (self.now, self.decided(of));
        let resumed = Resumed {
            last_start: None,
            knobs: Knobs::default(),
            checks: false,
            declares: self.of(of).declares,
            health: 0,
            patience: 0,
            heard: true,
            hook_limit: None,
            ours: false,
        };
        self.of_mut(of).machine = Machine::resume(now, &left, resumed);
        assert_eq!(self.decided(of).gate, left.gate, "the successor does not know that it waits");
        self.step(of, Event::Begin);
        self.news = true;
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Ends(of) => self.of(of).process.into_iter().for_each(|(pid, _)| self.ends(of, pid)),
            Happening::Ready(of) => self.is_ready(of),
            Happening::Command(of, command) => self.step(of, Event::Command(command, Knobs::default())),
            Happening::Takeover(of) => self.take_over(of),
            Happening::Names(of, other, kind, true) => {
                self.of_mut(of).named.insert(other, kind);
            }
            Happening::Names(of, other, _, false) => {
                self.of_mut(of).named.remove(&other);
            }
            Happening::Pass(nanoseconds) => self.pass(nanoseconds),
        }
        self.news = true;
        self.settle();
    }

    fn is_ready(&mut self, of: u8) {
        if let Some((pid, _)) = self.of(of).process {
            self.step(of, Event::Word(pid, Word::Ready));
        }
    }

    /// Everybody wants all of them up, and all that run get ready: in the end all are, cycles or not.
    fn all_come_up(&mut self) {
        (0..COUNT).for_each(|of| self.happen(&Happening::Command(of, Command::Up)));
        for _ in 0..=COUNT {
            (0..COUNT).for_each(|of| self.happen(&Happening::Ready(of)));
            self.pass(2 * SECOND);
        }
        let down: BTreeSet<u8> = (0..COUNT).filter(|&of| self.verdict(of) != Verdict::There).collect();
        assert_eq!(down, BTreeSet::new(), "these do not come up");
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let kind = prop_oneof![3 => Just(Kind::Needed), 1 => Just(Kind::Wanted)];
    let commands = prop::sample::select(&[Command::Up, Command::Down, Command::Once, Command::Term, Command::Kill][..]);
    prop_oneof![
        3 => (0..COUNT).prop_map(Happening::Ends),
        3 => (0..COUNT).prop_map(Happening::Ready),
        3 => (0..COUNT, commands).prop_map(|(of, command)| Happening::Command(of, command)),
        1 => (0..COUNT).prop_map(Happening::Takeover),
        3 => (0..COUNT, 1..COUNT, kind, prop::bool::weighted(0.7))
            .prop_map(|(of, behind, kind, names)| Happening::Names(of, (of + behind) % COUNT, kind, names)),
        3 => (0..3 * SECOND).prop_map(Happening::Pass),
        1 => (0..100 * SECOND).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_service_waits_for_nothing_and_all_come_up_in_the_end(
        declares: [bool; COUNT as usize],
        named in prop::collection::vec(any_happening(), 0..12),
        happenings in prop::collection::vec(any_happening(), 0..60),
    ) {
        let mut site = Site::new(declares);
        for happening in &named {
            if let Happening::Names(of, other, kind, true) = *happening {
                site.of_mut(of).named.insert(other, kind);
            }
        }
        site.begin();
        happenings.iter().for_each(|happening| site.happen(happening));
        site.all_come_up();
    }
}

#[test]
fn a_cycle_of_all_comes_up_though_none_gets_ready_without_the_others() {
    let mut site = Site::new([true; COUNT as usize]);
    for of in 0..COUNT {
        site.of_mut(of).named.insert((of + 1) % COUNT, Kind::Needed);
    }
    site.begin();
    let pids: Vec<u32> = (0..COUNT).map(|of| site.of(of).process.expect("it is up").0.0).collect();
    assert_eq!(pids, [101, 102, 103, 104, 105, 106]);
}
