//! The machine of hupwatch in random worlds, against a model of the kernel.

use machine::hupwatch::{Action, Actions, Event, Machine, Plan, Say};
use machine::overlap::{Readiness, Settings};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;
use svdir::Exit;

/// How every copy ends.
const EXIT: Exit = Exit::Code(3);

/// What may happen in the world.
#[derive(Clone, Debug)]
enum Happening {
    Hup,
    Leave,
    NewIsReady,
    MainDies,
    NewDies,
    OldDies,
    /// An orphan, where hupwatch is process 1.
    StrangerDies,
    Pass(u64),
    ForksWork(bool),
    Stubborn(bool),
}

#[derive(Clone, Debug)]
struct Copy {
    pid: Pid,
    told: bool,
    /// When it was first.
    told_at: Tick,
    /// Its group was, too.
    group_told: bool,
    /// How many others of its group there are.
    others: u32,
}

struct World {
    machine: Machine,
    plan: Plan,
    now: Tick,
    copies: Vec<Copy>,
    /// Groups whose leader is dead.
    left: Vec<(Pid, u32)>,
    next_pid: u32,
    forks_work: bool,
    stubborn: bool,
    others: u32,
    asked_to_leave: bool,
    quit: Option<Option<Exit>>,
    said: Vec<Say>,
}

impl World {
    fn new(plan: Plan, others: u32) -> World {
        let mut world = World {
            machine: Machine::new(plan),
            plan,
            now: Tick(9),
            copies: Vec::new(),
            left: Vec::new(),
            next_pid: 10,
            forks_work: true,
            stubborn: false,
            others,
            asked_to_leave: false,
            quit: None,
            said: Vec::new(),
        };
        world.step(Event::Begin);
        world
    }

    fn step(&mut self, event: Event) {
        if self.quit.is_some() {
            return;
        }
        let actions = self.machine.step(self.now, event);
        assert!(2 * actions.count() < Actions::PLACES, "{event:?} asks for {}", actions.count());
        for action in actions {
            assert!(self.quit.is_none(), "{action:?} after the machine quit");
            self.perform(action);
        }
        assert!(self.copies.len() <= 2, "three copies");
        if self.quit.is_none() {
            let mut known: Vec<Pid> = self.machine.copies().collect();
            let mut alive: Vec<Pid> = self.copies.iter().map(|copy| copy.pid).collect();
            known.sort();
            alive.sort();
            assert!(known == alive || self.is_ending(), "{known:?} known, {alive:?} alive");
            assert!(self.machine.deadline().is_none_or(|deadline| deadline > self.now), "a deadline in the past");
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn => {
                assert!(self.copies.len() < 2, "a third copy");
                if !self.forks_work {
                    return self.step(Event::SpawnFailed);
                }
                self.next_pid += 1;
                let pid = Pid(self.next_pid);
                self.copies.push(Copy { pid, told: false, told_at: self.now, group_told: false, others: self.others });
                self.step(Event::Started(Pid(self.next_pid)));
            }
            Action::Term(pid) => {
                assert_ne!(Some(pid), self.machine.main(), "the copy that serves is told to end");
                let copy = self.copies.iter_mut().find(|copy| copy.pid == pid).expect("it lives");
                (copy.told, copy.told_at) = (true, self.now);
            }
            Action::TermGroup(pid) => {
                assert!(self.plan.kill_at_exit.is_some());
                let copy = self.copies.iter_mut().find(|copy| copy.pid == pid);
                let left = self.left.iter().any(|&(leader, others)| leader == pid && others > 0);
                assert!(copy.is_some() || left, "an empty group is told to end");
                if let Some(copy) = copy {
                    (copy.told, copy.told_at, copy.group_told) = (true, self.now, true);
                }
            }
            Action::KillGroup(pid) => {
                self.left.retain(|&(leader, _)| leader != pid);
                let Settings { grace, give_up_grace, .. } = self.plan.settings;
                let shortest = [grace, give_up_grace, self.plan.kill_at_exit].into_iter().flatten().min().unwrap_or(0);
                if let Some(copy) = self.copies.iter_mut().find(|copy| copy.pid == pid) {
                    assert!(copy.told, "killed before it was told to end");
                    assert!(copy.told_at.until(self.now) >= shortest, "killed before its grace was over");
                    copy.others = 0;
                    copy.told = true;
                    // It ends in any case; the loop hears of that later.
                    self.stubborn = false;
                }
            }
            Action::Say(say) => self.said.push(say),
            Action::Quit(exit) => {
                assert!(self.asked_to_leave || exit.is_some() || !self.forks_work, "it leaves without a reason");
                self.quit = Some(exit);
            }
        }
    }

    fn die(&mut self, pid: Pid) {
        let at = self.copies.iter().position(|copy| copy.pid == pid).expect("it lives");
        let Copy { others, group_told, .. } = self.copies.remove(at);
        // A group that is told to end goes along.
        let others = if group_told { 0 } else { others };
        if others > 0 {
            self.left.push((pid, others));
        }
        self.step(Event::Died { pid, exit: EXIT, group_exists: others > 0 });
        self.look_at_group();
    }

    /// What the loop does after deaths.
    fn look_at_group(&mut self) {
        for leader in self.machine.ending().into_iter().flatten().filter(|_| self.quit.is_none()) {
            if !self.stubborn && !self.copies.iter().any(|copy| copy.pid == leader) {
                self.left.retain(|&(pid, _)| pid != leader);
            }
        }
        for leader in self.machine.ending().into_iter().flatten() {
            let lives = self.copies.iter().any(|copy| copy.pid == leader);
            if !lives && !self.left.iter().any(|&(pid, _)| pid == leader) {
                self.step(Event::GroupGone(leader));
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.machine.ending() != [None; 2]
    }

    fn obey(&mut self) {
        while let Some(copy) = self.copies.iter().find(|copy| copy.told && !self.stubborn && self.quit.is_none()) {
            self.die(copy.pid);
        }
        self.look_at_group();
    }

    fn pass(&mut self, nanoseconds: u64) {
        let end = self.now.after(nanoseconds);
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end && self.quit.is_none()) {
            self.now = deadline;
            self.step(Event::Timeout);
            self.obey();
        }
        self.now = end;
    }

    fn happen(&mut self, happening: &Happening) {
        if self.quit.is_some() {
            return;
        }
        let main = self.machine.main();
        let second = self.machine.copies().find(|&pid| Some(pid) != main);
        let warming = self.machine.warming();
        let alive =
            |world: &World, pid: Option<Pid>| pid.filter(|&pid| world.copies.iter().any(|copy| copy.pid == pid));
        match *happening {
            Happening::Hup => {
                let (forks, idle) = (self.next_pid, second.is_none() && !self.asked_to_leave);
                self.step(Event::Hup);
                assert_eq!(self.next_pid - forks, u32::from(idle && main.is_some() && self.forks_work));
            }
            Happening::Leave => {
                self.asked_to_leave = true;
                self.step(Event::Leave);
                let reloads = second.is_some() && !self.is_ending();
                assert!(self.quit.is_some() || self.is_ending() || reloads, "a request is lost");
                assert!(self.quit.is_none() || second.is_none(), "it left amid a reload");
            }
            Happening::NewIsReady => {
                if let Some(pid) = warming {
                    self.step(Event::Ready(pid));
                }
            }
            Happening::MainDies => {
                if let Some(pid) = alive(self, main) {
                    self.die(pid);
                    let goes_on = self.quit.is_none() && !self.is_ending();
                    assert!(!goes_on || self.machine.main() == warming, "it goes on without a copy");
                }
            }
            Happening::NewDies => {
                if let Some(pid) = alive(self, warming) {
                    self.die(pid);
                    assert!(self.quit.is_none() || self.asked_to_leave, "it leaves because of a new copy");
                }
            }
            Happening::OldDies => {
                if let Some(pid) = alive(self, second).filter(|_| warming.is_none()) {
                    self.die(pid);
                    assert!(self.said.contains(&Say::OldQuit(EXIT)) || self.said.contains(&Say::NewQuit(EXIT)));
                }
            }
            Happening::StrangerDies => {
                let pid = Pid(self.next_pid + 5);
                self.step(Event::Died { pid, exit: EXIT, group_exists: true });
                self.look_at_group();
            }
            Happening::Pass(nanoseconds) => self.pass(nanoseconds),
            Happening::ForksWork(work) => self.forks_work = work,
            Happening::Stubborn(stubborn) => self.stubborn = stubborn,
        }
        self.obey();
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let readiness = prop_oneof![
        (1..3 * SECOND).prop_map(Readiness::WarmUp),
        (1..60 * SECOND).prop_map(|limit| Readiness::Declared(Some(limit))),
    ];
    let grace = proptest::option::of(1..20 * SECOND);
    (readiness, grace, proptest::option::of(1..20 * SECOND)).prop_map(|(readiness, grace, kill_at_exit)| Plan {
        settings: Settings { readiness, grace, give_up_grace: Some(10 * SECOND) },
        kill_at_exit,
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Hup),
        1 => Just(Happening::Leave),
        4 => Just(Happening::NewIsReady),
        1 => Just(Happening::MainDies),
        2 => Just(Happening::NewDies),
        2 => Just(Happening::OldDies),
        1 => Just(Happening::StrangerDies),
        4 => (0..30 * SECOND).prop_map(Happening::Pass),
        1 => any::<bool>().prop_map(Happening::ForksWork),
        2 => any::<bool>().prop_map(Happening::Stubborn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Never three copies, nothing lost, no word to a dead one: see `World`. And at the end TERM leads out, with 0, and with
    /// kill-at-exit nothing is left.
    #[test]
    fn any_row_of_events_ends_when_asked_to(
        plan in plan(),
        others in 0..2_u32,
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let mut world = World::new(plan, others);
        for happening in &happenings {
            world.happen(happening);
        }
        for ending in [Happening::ForksWork(true), Happening::Stubborn(false), Happening::Leave] {
            world.happen(&ending);
        }
        world.pass(200 * SECOND);
        let quit = world.quit.expect("it left");
        prop_assert!(quit.is_none() || quit == Some(EXIT));
        if plan.kill_at_exit.is_some() {
            prop_assert!(world.copies.is_empty(), "{:?}", world.copies);
        }
    }
}

const PLAN: Plan = Plan {
    settings: Settings { readiness: Readiness::WarmUp(SECOND), grace: None, give_up_grace: Some(10 * SECOND) },
    kill_at_exit: None,
};

fn died(pid: u32) -> Event {
    Event::Died { pid: Pid(pid), exit: EXIT, group_exists: false }
}

/// A machine with copy 1 serving, 2 warming up.
fn reloading(plan: Plan) -> Machine {
    let mut machine = Machine::new(plan);
    for event in [Event::Begin, Event::Started(Pid(1)), Event::Hup, Event::Started(Pid(2))] {
        machine.step(Tick(0), event);
    }
    machine
}

fn done(machine: &mut Machine, seconds: u64, event: Event) -> Vec<Action> {
    machine.step(Tick(seconds * SECOND), event).into_iter().collect()
}

#[test]
fn request_to_leave_waits_for_the_end_of_the_reload() {
    let mut machine = reloading(PLAN);
    assert_eq!(done(&mut machine, 0, Event::Leave), [Action::Say(Say::PutOff)]);
    assert_eq!(done(&mut machine, 0, Event::Hup), []);
    let told = [Action::Say(Say::OldIsTold(Pid(1))), Action::Term(Pid(1))];
    assert_eq!(done(&mut machine, 1, Event::Timeout), told);
    let left = [Say::ChildQuit, Say::OldQuit(EXIT), Say::ReloadEnds, Say::Detached].map(Action::Say);
    let left: Vec<Action> = left.into_iter().chain([Action::Quit(None)]).collect();
    assert_eq!(done(&mut machine, 2, died(1)), left);
}

#[test]
fn old_one_that_dies_first_leaves_its_place_to_the_new() {
    let mut machine = reloading(PLAN);
    let actions = done(&mut machine, 0, died(1));
    assert_eq!(actions, [Say::ChildQuit, Say::OldQuit(EXIT), Say::ReloadEnds].map(Action::Say));
    assert_eq!(machine.main(), Some(Pid(2)));
    assert_eq!(done(&mut machine, 0, died(2)), [Action::Say(Say::PrimaryQuit(EXIT)), Action::Quit(Some(EXIT))]);
}

#[test]
fn kill_at_exit_ends_the_group_in_order() {
    let mut machine = Machine::new(Plan { kill_at_exit: Some(5 * SECOND), ..PLAN });
    for event in [Event::Begin, Event::Started(Pid(1))] {
        machine.step(Tick(0), event);
    }
    assert_eq!(done(&mut machine, 0, Event::Leave), [Action::Say(Say::KillAtExit), Action::TermGroup(Pid(1))]);
    assert_eq!(machine.deadline(), Some(Tick(5 * SECOND)));
    assert_eq!(done(&mut machine, 5, Event::Timeout), [Action::Say(Say::Killed(Pid(1))), Action::KillGroup(Pid(1))]);
    assert_eq!(done(&mut machine, 5, died(1)), [Action::Quit(None)]);
}

/// A machine that ends all at its exit, whose old copy 1 was told to end at 1, and whose new one has died at 3.
fn new_one_has_died(grace: Option<u64>) -> Machine {
    let settings = Settings { grace, ..PLAN.settings };
    let mut machine = reloading(Plan { settings, kill_at_exit: Some(5 * SECOND) });
    done(&mut machine, 1, Event::Timeout);
    let said = [Say::ChildQuit, Say::PrimaryQuit(EXIT)].map(Action::Say);
    assert_eq!(done(&mut machine, 3, died(2)), said);
    machine
}

#[test]
fn kill_at_exit_lets_an_old_copy_end_in_its_time_when_the_new_one_dies() {
    let kill_at = |grace| new_one_has_died(grace).deadline().map(|Tick(at)| at / SECOND);
    assert_eq!((kill_at(Some(20 * SECOND)), kill_at(None)), (Some(21), Some(8)));

    let mut machine = new_one_has_died(Some(20 * SECOND));
    assert_eq!(done(&mut machine, 4, Event::Hup), []);
    assert_eq!(done(&mut machine, 5, died(1)), []);
    assert_eq!(done(&mut machine, 5, Event::GroupGone(Pid(1))), [Action::Quit(Some(EXIT))]);

    let mut machine = new_one_has_died(Some(20 * SECOND));
    assert_eq!(done(&mut machine, 21, Event::Timeout), [Action::Say(Say::Killed(Pid(1))), Action::KillGroup(Pid(1))]);
    assert_eq!(done(&mut machine, 21, died(1)), [Action::Quit(Some(EXIT))]);

    // What either has left in its group is told to end, and has its time.
    let mut machine = new_one_has_died(Some(20 * SECOND));
    let left = Event::Died { pid: Pid(1), exit: EXIT, group_exists: true };
    assert_eq!(done(&mut machine, 5, left), [Action::TermGroup(Pid(1))]);
    assert_eq!(done(&mut machine, 6, Event::GroupGone(Pid(1))), [Action::Quit(Some(EXIT))]);
}
