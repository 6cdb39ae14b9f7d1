//! The overlap of two copies in random worlds, against a model of the kernel and of an owner that lets everything happen.

use machine::overlap::{Action, Actions, Event, Overlap, Readiness, Second, Settings, Why};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;
use svdir::Exit;

/// How every copy ends.
const EXIT: Exit = Exit::Code(0);

/// What may happen in the world.
#[derive(Clone, Debug)]
enum Happening {
    Ask(Settings),
    Cancel,
    Forget,
    /// The new copy says that it is ready, or somebody else does.
    NewIsReady,
    StrangerIsReady,
    /// It wants more time.
    NewWantsTime(u64),
    /// It says that it is another process now.
    NewMoves,
    MainDies,
    SecondDies,
    StrangerDies,
    Pass(u64),
    ForksWork(bool),
    /// From now on copies end by TERM, or do not.
    Stubborn(bool),
    /// The owner is killed, and another one goes on.
    Takeover,
}

struct World {
    overlap: Overlap,
    now: Tick,
    main: Option<Pid>,
    /// Every copy that lives.
    alive: Vec<Pid>,
    /// Those that were told to end.
    told: Vec<Pid>,
    next_pid: u32,
    forks_work: bool,
    stubborn: bool,
    /// The reloads that were asked for, those that were started, and those that ended either way.
    started: u32,
    promoted: u32,
    given_up: u32,
    /// New copies that did not become the main one and have ended; what they have left behind is not killed yet.
    left: Vec<Pid>,
    /// The process that each one was started as which is another one now.
    started_as: Vec<(Pid, Pid)>,
}

impl World {
    fn new() -> World {
        World {
            overlap: Overlap::new(),
            now: Tick(7),
            main: Some(Pid(100)),
            alive: vec![Pid(100)],
            told: Vec::new(),
            next_pid: 100,
            forks_work: true,
            stubborn: false,
            started: 0,
            promoted: 0,
            given_up: 0,
            left: Vec::new(),
            started_as: Vec::new(),
        }
    }

    fn step(&mut self, event: Event) {
        let actions = self.overlap.step(self.now, self.main, event);
        assert!(2 * actions.count() < Actions::PLACES, "{event:?} asks for {}", actions.count());
        for action in actions {
            self.perform(action, event);
        }
        self.check();
    }

    /// What always holds.
    fn check(&self) {
        assert!(self.alive.len() <= 2, "three copies: {:?}", self.alive);
        if self.overlap.is_idle() {
            assert!(self.alive.iter().all(|&pid| Some(pid) == self.main), "a copy that nobody knows of");
            assert!(!self.overlap.is_asked_again(), "a request is forgotten");
            assert_eq!(self.overlap.deadline(), None);
        }
        assert!(!matches!(self.overlap.second(), Second::Starting(_)), "a start without an end");
        assert!(self.overlap.deadline().is_none_or(|deadline| deadline > self.now), "a deadline in the past");
        if let Some(second) = self.overlap.second_pid() {
            assert!(self.alive.contains(&second), "the second is dead");
            assert_ne!(Some(second), self.main);
        }
        assert!(!self.main.is_some_and(|main| self.told.contains(&main)), "the main copy was told to end");
    }

    fn perform(&mut self, action: Action, event: Event) {
        match action {
            Action::Spawn => self.spawn(),
            Action::Promote(pid) => {
                assert!(self.alive.contains(&pid), "a dead copy is promoted");
                assert!(!self.told.contains(&pid), "a copy is promoted that was told to end");
                let ready = match event {
                    Event::Ready(who) => who == pid,
                    // The warm-up is over, or there is no other.
                    Event::Timeout => true,
                    Event::Died(who, _) => Some(who) == self.main,
                    _ => false,
                };
                assert!(ready, "promoted by {event:?}");
                self.main = Some(pid);
                self.promoted += 1;
            }
            Action::Term(pid) => {
                assert_ne!(Some(pid), self.main, "the main copy is told to end");
                assert!(self.alive.contains(&pid), "a dead copy is told to end");
                assert!(!self.told.contains(&pid), "told twice");
                self.told.push(pid);
            }
            Action::Kill(pid) => {
                assert!(self.alive.contains(&pid), "a dead copy is killed");
                assert!(self.told.contains(&pid), "killed before it was told to end");
                self.told.retain(|&told| told != pid);
                self.die(pid);
            }
            Action::EndGroup(pid) => {
                assert!(!self.alive.contains(&pid), "it still lives");
                assert!(self.left.contains(&pid), "it has led none, or it was killed already");
                self.left.retain(|&left| left != pid);
            }
            Action::GiveUp(why) => {
                assert!(matches!(why, Why::NotStarted) || self.main.is_none_or(|main| self.alive.contains(&main)));
                self.given_up += 1;
            }
        }
    }

    fn spawn(&mut self) {
        assert!(self.alive.len() < 2, "a third copy");
        assert!(self.main.is_some(), "a copy beside nothing");
        self.started += 1;
        if self.forks_work {
            self.next_pid += 1;
            self.alive.push(Pid(self.next_pid));
            self.step(Event::Started(Pid(self.next_pid)));
        } else {
            self.step(Event::SpawnFailed);
        }
    }

    /// Copies that were told to end do so.
    fn obey(&mut self) {
        while !self.stubborn && !self.told.is_empty() {
            let pid = self.told[0];
            self.die(pid);
        }
    }

    fn die(&mut self, pid: Pid) {
        if !self.alive.contains(&pid) {
            return;
        }
        self.alive.retain(|&alive| alive != pid);
        self.told.retain(|&told| told != pid);
        let was_main = self.main == Some(pid);
        if let Second::Warming { pid: new, .. } | Second::Leaving { pid: new, new: true, .. } = self.overlap.second()
            && new == pid
        {
            let moved = self.started_as.iter().find(|&&(now, _)| now == pid);
            self.left.push(moved.map_or(pid, |&(_, group)| group));
        }
        // The owner forgets it behind the step, unless another was promoted.
        let actions = self.overlap.step(self.now, self.main, Event::Died(pid, EXIT));
        assert!(2 * actions.count() < Actions::PLACES, "the end asks for {}", actions.count());
        let promotes = actions.clone().into_iter().any(|action| matches!(action, Action::Promote(_)));
        if was_main && !promotes {
            self.main = None;
        }
        for action in actions {
            self.perform(action, Event::Died(pid, EXIT));
        }
        assert_eq!(self.left, [], "what it has left behind lives on");
        self.check();
    }

    fn pass(&mut self, nanoseconds: u64) {
        let end = self.now.after(nanoseconds);
        while let Some(deadline) = self.overlap.deadline().filter(|&deadline| deadline <= end) {
            self.now = deadline;
            self.step(Event::Timeout);
            self.obey();
        }
        self.now = end;
        let before = self.overlap;
        self.step(Event::Timeout);
        assert_eq!(before, self.overlap, "a timeout before its time did something");
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Ask(settings) => {
                let (idle, main, started) = (self.overlap.is_idle(), self.main, self.started);
                self.step(Event::Ask(settings));
                if idle {
                    assert_eq!(self.started - started, u32::from(main.is_some()));
                } else {
                    assert!(self.overlap.is_asked_again());
                }
            }
            Happening::Cancel => {
                self.step(Event::Cancel);
                assert_eq!(self.overlap.warming(), None, "a new copy goes on");
                assert!(!self.overlap.is_asked_again());
            }
            Happening::Forget => self.overlap.forget(),
            Happening::NewIsReady => {
                if let Second::Warming { pid, settings, .. } = self.overlap.second() {
                    let promoted = self.promoted;
                    self.step(Event::Ready(pid));
                    let declared = matches!(settings.readiness, Readiness::Declared(_));
                    assert_eq!(self.promoted - promoted, u32::from(declared));
                    assert_eq!(self.main == Some(pid), declared);
                }
            }
            Happening::StrangerIsReady => {
                let before = self.overlap;
                self.step(Event::Ready(Pid(self.next_pid + 9)));
                if let Some(main) = self.main {
                    self.step(Event::Ready(main));
                }
                assert_eq!(before, self.overlap);
            }
            Happening::NewWantsTime(nanoseconds) => {
                if let Some(pid) = self.overlap.warming() {
                    let before = self.overlap.deadline();
                    self.step(Event::Extend(pid, nanoseconds));
                    assert!(self.overlap.deadline() >= before && self.overlap.warming() == Some(pid));
                }
            }
            Happening::NewMoves => {
                if let Some(old) = self.overlap.warming() {
                    self.next_pid += 1;
                    let new = Pid(self.next_pid);
                    let group = self.started_as.iter().find(|&&(now, _)| now == old).map_or(old, |&(_, group)| group);
                    self.started_as.push((new, group));
                    self.alive.retain(|&alive| alive != old);
                    self.alive.push(new);
                    self.step(Event::Moved(old, new));
                    assert_eq!(self.overlap.warming(), Some(new));
                }
            }
            Happening::MainDies => {
                if let Some(main) = self.main {
                    let warming = self.overlap.warming();
                    self.die(main);
                    assert!(warming.is_none() || self.main == warming, "the new copy does not take over");
                }
            }
            Happening::SecondDies => {
                if let Some(second) = self.overlap.second_pid() {
                    let (main, warming, given_up) = (self.main, self.overlap.warming(), self.given_up);
                    self.die(second);
                    assert_eq!(self.main, main, "the main copy is another one");
                    assert!(self.given_up > given_up || warming.is_none());
                }
            }
            Happening::StrangerDies => {
                let before = self.overlap;
                self.step(Event::Died(Pid(self.next_pid + 9), EXIT));
                assert_eq!(before, self.overlap);
            }
            Happening::Pass(nanoseconds) => self.pass(nanoseconds),
            Happening::ForksWork(work) => self.forks_work = work,
            Happening::Stubborn(stubborn) => self.stubborn = stubborn,
            Happening::Takeover => {
                let second = self.overlap.second();
                self.overlap = Overlap::resume(second);
                assert_eq!(self.overlap.second(), second);
            }
        }
        self.obey();
        // An owner that restarts: a service is not down for good.
        if self.main.is_none() && self.overlap.warming().is_none() {
            self.next_pid += 1;
            self.alive.push(Pid(self.next_pid));
            self.main = Some(Pid(self.next_pid));
        }
        self.check();
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let readiness = prop_oneof![
        (0..3 * SECOND).prop_map(|time| Readiness::WarmUp(time + 1)),
        proptest::option::of(1..60 * SECOND).prop_map(Readiness::Declared),
    ];
    let grace = || proptest::option::of(1..20 * SECOND);
    (readiness, grace(), grace()).prop_map(|(readiness, grace, give_up_grace)| Settings {
        readiness,
        grace,
        give_up_grace,
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => settings().prop_map(Happening::Ask),
        1 => Just(Happening::Cancel),
        1 => Just(Happening::Forget),
        4 => Just(Happening::NewIsReady),
        1 => Just(Happening::StrangerIsReady),
        1 => prop_oneof![0..90 * SECOND, Just(u64::MAX)].prop_map(Happening::NewWantsTime),
        1 => Just(Happening::NewMoves),
        2 => Just(Happening::MainDies),
        3 => Just(Happening::SecondDies),
        1 => Just(Happening::StrangerDies),
        4 => (0..30 * SECOND).prop_map(Happening::Pass),
        1 => any::<bool>().prop_map(Happening::ForksWork),
        2 => any::<bool>().prop_map(Happening::Stubborn),
        1 => Just(Happening::Takeover),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Never three copies, never a word to a dead or to the main one, nothing forgotten: see `World`. And at the end, where
    /// every copy gets ready and ends when it is told to, there is one copy.
    #[test]
    fn any_row_of_events_ends_with_one_copy(happenings in proptest::collection::vec(happening(), 0..60)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        for ending in [Happening::ForksWork(true), Happening::Stubborn(false), Happening::NewIsReady, Happening::NewIsReady] {
            world.happen(&ending);
        }
        // The longest warm-up, twice: a second reload may be remembered.
        world.pass(3 * SECOND + 1);
        world.happen(&Happening::NewIsReady);
        world.pass(3 * SECOND + 1);
        prop_assert!(world.overlap.is_idle(), "{:?}", world.overlap);
        prop_assert_eq!(world.alive, vec![world.main.expect("one serves")]);
        prop_assert!(world.promoted + world.given_up >= world.started, "a reload ended without a word");
    }
}

const PATIENT: Settings = Settings {
    readiness: Readiness::Declared(Some(60 * SECOND)),
    grace: Some(5 * SECOND),
    give_up_grace: Some(SECOND),
};
const WARM_UP: Settings = Settings { readiness: Readiness::WarmUp(SECOND), ..PATIENT };

#[test]
fn old_goes_when_the_new_one_is_ready_and_is_killed_after_its_grace() {
    let (mut overlap, old, new) = (Overlap::new(), Pid(1), Pid(2));
    let mut step = |seconds, main, event| {
        let actions: Vec<_> = overlap.step(Tick(seconds * SECOND), Some(main), event).into_iter().collect();
        (actions, overlap.deadline().map(|Tick(at)| at / SECOND))
    };
    assert_eq!(step(0, old, Event::Ask(PATIENT)), (vec![Action::Spawn], None));
    assert_eq!(step(0, old, Event::Started(new)), (vec![], Some(60)));
    assert_eq!(step(9, old, Event::Ready(new)), (vec![Action::Promote(new), Action::Term(old)], Some(14)));
    assert_eq!(step(13, new, Event::Timeout), (vec![], Some(14)));
    assert_eq!(step(14, new, Event::Timeout), (vec![Action::Kill(old)], None));
    assert_eq!(step(14, new, Event::Died(old, EXIT)), (vec![], None));
}

#[test]
fn new_one_that_dies_or_is_not_ready_in_time_leaves_the_old() {
    let (old, new) = (Pid(1), Pid(2));
    let begun = |settings| {
        let mut overlap = Overlap::new();
        overlap.step(Tick(0), Some(old), Event::Ask(settings));
        overlap.step(Tick(0), Some(old), Event::Started(new));
        overlap
    };
    let mut overlap = begun(WARM_UP);
    let died: Vec<_> = overlap.step(Tick(1), Some(old), Event::Died(new, EXIT)).into_iter().collect();
    assert_eq!(died, [Action::GiveUp(Why::Died(new, EXIT)), Action::EndGroup(new)]);
    assert!(overlap.is_idle());

    let mut overlap = begun(PATIENT);
    let late: Vec<_> = overlap.step(Tick(60 * SECOND), Some(old), Event::Timeout).into_iter().collect();
    assert_eq!(late, [Action::GiveUp(Why::NotReady(new)), Action::Term(new)]);
    assert_eq!(
        overlap.second(),
        Second::Leaving { pid: new, new: true, group: Some(new), kill_at: Some(Tick(61 * SECOND)) }
    );
    // Too late to be ready.
    assert_eq!(overlap.step(Tick(60 * SECOND), Some(old), Event::Ready(new)).into_iter().count(), 0);
    let ended: Vec<_> = overlap.step(Tick(60 * SECOND), Some(old), Event::Died(new, EXIT)).into_iter().collect();
    assert_eq!((ended, overlap.is_idle()), (vec![Action::EndGroup(new)], true));
}

#[test]
fn what_a_new_copy_that_was_called_off_leaves_behind_is_ended_and_what_the_old_one_leaves_is_not() {
    let (old, new) = (Pid(1), Pid(2));
    for cancel in [false, true] {
        let mut overlap = Overlap::new();
        overlap.step(Tick(0), Some(old), Event::Ask(PATIENT));
        overlap.step(Tick(0), Some(old), Event::Started(new));
        overlap.step(Tick(0), Some(old), if cancel { Event::Cancel } else { Event::Ready(new) });
        let (main, second) = if cancel { (old, new) } else { (new, old) };
        let ended: Vec<_> = overlap.step(Tick(1), Some(main), Event::Died(second, EXIT)).into_iter().collect();
        assert_eq!(ended, if cancel { vec![Action::EndGroup(new)] } else { vec![] });
    }
}

#[test]
fn request_during_a_reload_is_done_once_after_it() {
    let (mut overlap, old, new) = (Overlap::new(), Pid(1), Pid(2));
    overlap.step(Tick(0), Some(old), Event::Ask(PATIENT));
    overlap.step(Tick(0), Some(old), Event::Started(new));
    for _ in 0..20 {
        assert_eq!(overlap.step(Tick(0), Some(old), Event::Ask(WARM_UP)).into_iter().count(), 0);
    }
    overlap.step(Tick(1), Some(old), Event::Ready(new));
    let gone: Vec<_> = overlap.step(Tick(2), Some(new), Event::Died(old, EXIT)).into_iter().collect();
    assert_eq!((gone, overlap.second()), (vec![Action::Spawn], Second::Starting(WARM_UP)));
    assert!(!overlap.is_asked_again());
}
