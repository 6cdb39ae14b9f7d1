//! The orderly stop in random worlds, against a model of supervises, services and loggers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::rc::Rc;

use machine::order::closes;
use machine::scan::{Id, Role};
use machine::stop::{
    Action, End, Found, LAST_LINES, LAST_LOOK, LONGEST_LOOK, Needs, Order, Process, Running, Stop, victims,
};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;

const GRACE: u64 = 8 * SECOND;

fn id(inode: usize) -> Id {
    Id { device: 1, inode: inode as u64 }
}

/// What a service is like.
#[derive(Clone, Copy, Debug)]
struct Kind {
    log: bool,
    /// Its process ends on TERM.
    mortal: bool,
    /// Its supervise reads no commands.
    deaf: bool,
    /// It leaves a process behind that holds its pipe open.
    orphan: bool,
    /// Which does not end on TERM.
    stubborn: bool,
    /// Its logger reads to the end of file and ends.
    logs: bool,
    /// Something stands in the pipe when it is closed.
    unread: bool,
    /// Its supervises were killed a moment before the stop.
    left_behind: [bool; 2],
    /// It is down, and is not started again by itself.
    down: bool,
}

/// Which service needs which other one. Some are not there.
type Edges = Vec<(usize, usize)>;

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Whoever has a reason to end does, the n-th of them.
    Ends(usize),
    /// The n-th supervise is killed, and its service lives.
    Killed(usize),
    /// The next start of a supervise fails.
    StartFails,
    Time(u64),
    Asked,
    Orphan,
    /// It is known now what the services need.
    Learned,
}

#[derive(Clone, Debug)]
struct Service {
    kind: Kind,
    main: bool,
    log: bool,
    /// What the supervise that runs was told.
    main_told: Option<Order>,
    log_told: Option<Order>,
    closed: bool,
    /// The service's process, which a killed supervise leaves behind.
    process: bool,
    orphan: bool,
    starts: usize,
}

impl Service {
    fn main_may_end(&self) -> bool {
        self.main
            && !self.kind.deaf
            && (!self.process || self.main_told == Some(Order::Kill) || (self.main_told.is_some() && self.kind.mortal))
    }

    fn log_may_end(&self) -> bool {
        self.log && self.log_told.is_some() && self.kind.logs && self.closed && !self.process && !self.orphan
    }
}

struct World {
    stop: Stop,
    services: Vec<Service>,
    edges: Edges,
    /// What the services need was said.
    ordered: bool,
    now: Tick,
    end: Tick,
    /// How often somebody has asked for it.
    asked: usize,
    starts_fail: bool,
    killed: bool,
    /// When what was left behind was told to end.
    leftovers: Option<Tick>,
}

impl World {
    fn new(kinds: &[Kind], edges: &Edges) -> World {
        let now = Tick(77);
        let services: Vec<Service> = kinds
            .iter()
            .map(|&kind| Service {
                kind,
                main: !kind.left_behind[0],
                log: kind.log && !kind.left_behind[1],
                main_told: None,
                log_told: None,
                closed: false,
                process: !kind.down,
                orphan: kind.orphan,
                starts: 0,
            })
            .collect();
        let found = |exists, left_behind| match (exists, left_behind) {
            (false, _) => Found::Nothing,
            (true, false) => Found::Runs,
            (true, true) => Found::LeftBehind,
        };
        let running = kinds.iter().enumerate().map(|(at, kind)| Running {
            id: id(at),
            main: found(true, kind.left_behind[0]),
            log: found(kind.log, kind.left_behind[1]),
        });
        let stop = Stop::new(now, GRACE, running);
        let end = now.after(GRACE + LAST_LINES + LAST_LOOK);
        let edges = edges.clone();
        World {
            stop,
            services,
            edges,
            ordered: false,
            now,
            end,
            asked: 0,
            starts_fail: false,
            killed: false,
            leftovers: None,
        }
    }

    /// A world in which it is known from the beginning what the services need.
    fn ordered(kinds: &[Kind], edges: &Edges) -> World {
        let mut world = World::new(kinds, edges);
        world.order();
        world.act();
        world
    }

    fn order(&mut self) {
        let mut needs = BTreeMap::new();
        for &(service, needed) in &self.edges {
            let entry = needs.entry(id(service)).or_insert_with(|| Needs {
                name: name(service),
                needed: BTreeSet::new(),
                is_down: self.services.get(service).is_some_and(|service| service.kind.down),
            });
            entry.needed.insert(id(needed));
        }
        self.stop.order(&needs);
        self.ordered = true;
    }

    /// Checks that nobody is there any more who needs a service, or needs somebody who does, but for the cycles.
    fn check_turn(&self, at: usize) {
        let there = |place: &usize| *place < self.services.len();
        let needs = |service: &usize| {
            let of_it = self.edges.iter().filter(|(who, needed)| who == service && there(needed));
            of_it.map(|&(_, needed)| needed).collect::<Vec<usize>>()
        };
        let is_kept = |&(service, needed): &(usize, usize)| {
            there(&service) && there(&needed) && closes(&service, &needed, needs, 100).is_none()
        };
        let kept: Vec<(usize, usize)> = self.edges.iter().copied().filter(is_kept).collect();
        let (mut seen, mut open) = (BTreeSet::new(), vec![at]);
        while let Some(next) = open.pop() {
            for &(service, _) in kept.iter().filter(|&&(service, needed)| needed == next && seen.insert(service)) {
                let Service { kind, main, .. } = &self.services[service];
                assert!(!main || kind.down, "{service} is there and needs {at}");
                open.push(service);
            }
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.stop.next(self.now) {
            assert!(
                self.ordered || action == Action::Order || self.is_late(),
                "{action:?} before it is known who needs whom"
            );
            match action {
                Action::Order => {
                    assert_eq!(self.now, self.now.max(Tick(77).after(LONGEST_LOOK)), "there is time");
                    self.order();
                }
                Action::Tell(id, role, order) => self.tell(id.inode as usize, role, order),
                Action::Close(id) => {
                    let service = &mut self.services[id.inode as usize];
                    assert!(!service.main && !service.closed, "closed once, when nobody is left to write");
                    service.closed = true;
                    let unread = service.kind.unread;
                    self.stop.closed(id, unread);
                }
                Action::Start(id, role) => self.start(id, role),
                Action::EndLeftovers => {
                    assert!(self.leftovers.is_none(), "told once");
                    assert!(self.services.iter().all(|service| !service.main && service.closed), "all are down");
                    self.leftovers = Some(self.now);
                    for service in &mut self.services {
                        service.process &= !service.kind.mortal;
                        service.orphan &= service.kind.stubborn;
                    }
                }
                Action::KillServices => {
                    let had_its_time = self.leftovers.is_some_and(|told| self.now >= told.after(LAST_LINES));
                    assert!(self.is_late() || had_its_time, "no KILL while there is time");
                    self.killed = true;
                    for service in &mut self.services {
                        (service.process, service.orphan) = (false, false);
                    }
                }
                Action::KillAll => {
                    assert!(self.is_late() && self.killed);
                    self.kill_all();
                }
            }
        }
        let idle = self.services.iter().all(|service| !service.main && !service.log && service.closed);
        if idle {
            assert!(self.stop.is_over(), "nothing is left to wait for");
        }
    }

    fn is_late(&self) -> bool {
        self.asked > 1 || self.now >= Tick(77).after(GRACE)
    }

    fn tell(&mut self, at: usize, role: Role, order: Order) {
        let late = self.is_late();
        if role == Role::Main && !late {
            self.check_turn(at);
        }
        let service = &mut self.services[at];
        match role {
            Role::Main => {
                assert!(service.main, "somebody is there to be told");
                assert!(
                    service.main_told.is_none() || (order == Order::Kill && late),
                    "told once, and KILL when it is late"
                );
                assert!(matches!(order, Order::Down | Order::Kill));
                service.main_told = Some(order);
                if order == Order::Kill && !service.kind.deaf {
                    service.process = false;
                }
            }
            Role::Log => {
                assert!(service.log && !service.main && service.closed, "loggers last");
                assert!(service.log_told.is_none(), "told once");
                assert!(matches!(order, Order::Exit | Order::Drain));
                service.log_told = Some(order);
            }
        }
    }

    fn start(&mut self, id: Id, role: Role) {
        if std::mem::take(&mut self.starts_fail) {
            return self.stop.start_failed(id, role);
        }
        let service = &mut self.services[id.inode as usize];
        service.starts += 1;
        assert!(service.starts <= 5, "not for ever");
        match role {
            Role::Main => {
                assert!(!service.main, "never two");
                (service.main, service.main_told) = (true, None);
            }
            Role::Log => {
                assert!(!service.log, "never two");
                (service.log, service.log_told) = (true, None);
            }
        }
        self.stop.started(id, role);
    }

    fn kill_all(&mut self) {
        for at in 0..self.services.len() {
            self.services[at].process = false;
            for role in [Role::Main, Role::Log] {
                self.dies(at, role, End::Killed);
            }
        }
    }

    fn dies(&mut self, at: usize, role: Role, end: End) {
        let service = &mut self.services[at];
        let runs = match role {
            Role::Main => &mut service.main,
            Role::Log => &mut service.log,
        };
        if !std::mem::take(runs) {
            return;
        }
        if role == Role::Main && end == End::Exited {
            service.process = false;
        }
        self.stop.ended(id(at), role, end);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ends(n) => {
                let mut ready: Vec<(usize, Role)> = Vec::new();
                for (at, service) in self.services.iter().enumerate() {
                    ready.extend(service.main_may_end().then_some((at, Role::Main)));
                    ready.extend(service.log_may_end().then_some((at, Role::Log)));
                }
                if let Some(&(at, role)) = ready.get(n % ready.len().max(1)) {
                    self.dies(at, role, End::Exited);
                }
            }
            Happening::Killed(n) => {
                let role = if n % 2 == 0 { Role::Main } else { Role::Log };
                let count = self.services.len();
                self.dies(n / 2 % count, role, End::Killed);
            }
            Happening::StartFails => self.starts_fail = true,
            Happening::Time(time) => self.now = self.now.after(time),
            Happening::Asked => {
                self.asked += 1;
                self.stop.ask(self.now);
            }
            Happening::Orphan => self.stop.orphan_ended(),
            Happening::Learned => self.order(),
        }
        self.act();
    }

    /// Lets everything end that may, without a moment passing.
    fn let_all_end(&mut self) {
        for _ in 0..10 * self.services.len() + 10 {
            self.happen(Happening::Ends(0));
        }
    }
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let down = prop::bool::weighted(0.2);
    let kind = (any::<([bool; 7], [bool; 2])>(), down).prop_map(
        |(([log, mortal, deaf, orphan, stubborn, logs, unread], left_behind), down)| Kind {
            down: down && !left_behind[0],
            log,
            mortal,
            deaf,
            orphan,
            stubborn,
            logs,
            unread,
            left_behind,
        },
    );
    prop::collection::vec(kind, 1..6)
}

fn edges() -> impl Strategy<Value = Edges> {
    prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec((0..6_usize, 0..7_usize), 0..12)]
}

fn name(service: usize) -> Rc<OsStr> {
    Rc::from(OsStr::new(&service.to_string()))
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => any::<usize>().prop_map(Happening::Ends),
        2 => any::<usize>().prop_map(Happening::Killed),
        1 => Just(Happening::StartFails),
        3 => (0..3 * SECOND).prop_map(Happening::Time),
        1 => Just(Happening::Asked),
        1 => Just(Happening::Orphan),
        1 => Just(Happening::Learned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_over_in_time_whatever_happens(
        kinds in kinds(),
        edges in edges(),
        is_known in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..40),
    ) {
        let mut world = if is_known { World::ordered(&kinds, &edges) } else { World::new(&kinds, &edges) };
        world.act();
        for happening in happenings {
            world.happen(happening);
            prop_assert!(world.stop.is_over() || world.stop.deadline().is_some());
        }
        // From deadline to deadline, with nobody ending by himself any more.
        for _ in 0..6 {
            if let Some(deadline) = world.stop.deadline() {
                prop_assert!(deadline <= world.end.max(world.now.after(LAST_LINES + LAST_LOOK)));
                world.now = world.now.max(deadline);
                world.act();
            }
        }
        prop_assert!(world.stop.is_over() && world.stop.deadline().is_none());
        let alive = |service: &Service| service.main || service.log;
        prop_assert!(!world.services.iter().any(alive), "whoever is left gets KILL");
    }

    #[test]
    fn where_everybody_obeys_it_takes_no_time_and_kills_nothing(
        mut kinds in kinds(),
        edges in edges(),
        killed in prop::option::of(any::<usize>()),
    ) {
        for kind in &mut kinds {
            (kind.mortal, kind.deaf, kind.orphan, kind.logs) = (true, false, false, true);
        }
        let mut world = World::ordered(&kinds, &edges);
        if let Some(n) = killed {
            world.happen(Happening::Killed(n));
        }
        world.let_all_end();
        prop_assert!(world.stop.is_over() && !world.killed && world.stop.late().is_none());
        prop_assert!(world.services.iter().all(|service| !service.process), "the service of a killed supervise is ended too");
    }

    #[test]
    fn what_holds_a_pipe_open_when_all_are_down_is_told_to_end_and_killed_a_second_later(
        mut kinds in kinds(),
        edges in edges(),
        stubborn in any::<bool>(),
    ) {
        let (left_behind, down) = ([false; 2], false);
        let kind =
            Kind { log: true, mortal: true, deaf: false, orphan: true, stubborn, logs: true, unread: false, left_behind, down };
        kinds.fill(kind);
        let mut world = World::ordered(&kinds, &edges);
        prop_assert!(world.leftovers.is_none(), "the services are up");
        world.let_all_end();
        prop_assert_eq!(world.stop.is_over(), !stubborn);
        if stubborn {
            prop_assert!(world.services.iter().all(|service| !service.main && service.log));
            prop_assert_eq!(world.stop.deadline(), Some(Tick(77).after(LAST_LINES)));
            world.happen(Happening::Time(LAST_LINES));
            prop_assert!(world.killed && !world.stop.is_over());
            world.let_all_end();
        }
        prop_assert!(world.stop.is_over() && world.stop.late().is_none(), "nobody is late");
    }
}

/// Begins a stop of these services, in which some need others.
fn stop<const N: usize>(services: [Running; N], edges: &[(usize, usize)]) -> Stop {
    let mut stop = Stop::new(Tick(1), GRACE, services);
    stop.order(&needs(edges));
    stop
}

fn needs(edges: &[(usize, usize)]) -> BTreeMap<Id, Needs> {
    let mut needs = BTreeMap::new();
    for &(service, needed) in edges {
        let new = Needs { name: name(service), needed: BTreeSet::new(), is_down: false };
        needs.entry(id(service)).or_insert(new).needed.insert(id(needed));
    }
    needs
}

fn running(service: usize, main: Found) -> Running {
    Running { id: id(service), main, log: Found::Nothing }
}

const fn tell(inode: u64, order: Order) -> Action {
    Action::Tell(Id { device: 1, inode }, Role::Main, order)
}

const fn start(inode: u64) -> Action {
    Action::Start(Id { device: 1, inode }, Role::Main)
}

const fn close(inode: u64) -> Action {
    Action::Close(Id { device: 1, inode })
}

/// Returns everything that is due at `now`.
fn due(stop: &mut Stop, now: Tick) -> Vec<Action> {
    std::iter::from_fn(|| stop.next(now)).collect()
}

/// Ends a main supervise, and returns what is due then.
fn ends(stop: &mut Stop, service: usize, end: End) -> Vec<Action> {
    stop.ended(id(service), Role::Main, end);
    due(stop, Tick(1))
}

#[test]
fn what_is_needed_is_told_when_the_last_one_that_needs_it_has_ended() {
    // 0 needs 1 and 2, which need 3; nobody needs 4, or is needed by it.
    let all = [0, 1, 2, 3, 4].map(|service| running(service, Found::Runs));
    let mut stop = stop(all, &[(0, 1), (0, 2), (1, 3), (2, 3), (3, 77)]);
    let down = |service| tell(service, Order::Down);
    assert_eq!(due(&mut stop, Tick(1)), [down(0), down(4)]);
    assert_eq!(ends(&mut stop, 0, End::Exited), [close(0), down(1), down(2)]);
    assert_eq!(ends(&mut stop, 2, End::Exited), [close(2)]);
    assert_eq!(ends(&mut stop, 1, End::Exited), [close(1), down(3)]);
    assert_eq!(ends(&mut stop, 4, End::Exited), [close(4)]);
    assert_eq!(ends(&mut stop, 3, End::Exited), [close(3)]);
    (0..5).for_each(|service| stop.closed(id(service), false));
    assert!(stop.is_over() && stop.late().is_none());
}

#[test]
fn what_is_down_holds_nobody_up_and_is_told_between_those_that_it_connects() {
    let all = [0, 1, 2].map(|service| running(service, Found::Runs));
    let down = |service| tell(service, Order::Down);
    let begin = |is_down: [bool; 3]| {
        let mut stop = Stop::new(Tick(1), GRACE, all);
        let mut needs = needs(&[(0, 1), (1, 2)]);
        needs.iter_mut().for_each(|(id, needs)| needs.is_down = is_down[id.inode as usize]);
        stop.order(&needs);
        stop
    };
    // A job that is done.
    let mut stop = begin([false, true, false]);
    assert_eq!(due(&mut stop, Tick(1)), [down(0)]);
    assert_eq!(ends(&mut stop, 0, End::Exited), [close(0), down(1), down(2)]);
    assert_eq!(due(&mut begin([true, false, false]), Tick(1)), [down(0), down(1)]);
    assert_eq!(due(&mut begin([true, true, false]), Tick(1)), [down(0), down(1), down(2)]);
}

#[test]
fn what_has_no_supervise_holds_nobody_up() {
    let services = [running(0, Found::Nothing), running(1, Found::Nothing), running(2, Found::Runs)];
    let mut stop = stop(services, &[(0, 1), (1, 2)]);
    assert_eq!(due(&mut stop, Tick(1)), [close(0), close(1), tell(2, Order::Down)]);
}

#[test]
fn what_is_needed_waits_for_a_service_whose_supervise_was_killed() {
    let mut stop = stop([0, 1].map(|service| running(service, Found::Runs)), &[(0, 1)]);
    let down = |service| tell(service, Order::Down);
    assert_eq!(due(&mut stop, Tick(1)), [down(0)]);
    // So does the needed one, whose own supervise is started again at once, and not told.
    assert_eq!(ends(&mut stop, 1, End::Killed), [start(1)]);
    stop.started(id(1), Role::Main);
    assert_eq!(due(&mut stop, Tick(1)), []);
    assert_eq!(ends(&mut stop, 0, End::Killed), [start(0)]);
    stop.started(id(0), Role::Main);
    assert_eq!(due(&mut stop, Tick(1)), [down(0)]);
    // Its turn comes while its supervise is started: it is told once.
    assert_eq!(ends(&mut stop, 1, End::Killed), [start(1)]);
    assert_eq!(ends(&mut stop, 0, End::Exited), [close(0)]);
    stop.started(id(1), Role::Main);
    assert_eq!(due(&mut stop, Tick(1)), [down(1)]);
}

#[test]
fn what_was_left_behind_is_started_at_once_and_told_when_its_turn_has_come() {
    let mut stop = stop([running(0, Found::LeftBehind), running(1, Found::LeftBehind)], &[(0, 1)]);
    assert_eq!(due(&mut stop, Tick(1)), [start(0), start(1)]);
    stop.started(id(1), Role::Main);
    assert_eq!(due(&mut stop, Tick(1)), []);
    // If it cannot be started, nobody waits for it.
    stop.start_failed(id(0), Role::Main);
    assert_eq!(due(&mut stop, Tick(1)), [close(0), tell(1, Order::Down)]);
}

#[test]
fn a_cycle_is_broken_where_a_start_breaks_it() {
    let mut stop = stop([0, 1, 2].map(|service| running(service, Found::Runs)), &[(0, 1), (1, 2), (2, 0), (1, 1)]);
    let down = |service| tell(service, Order::Down);
    assert_eq!(due(&mut stop, Tick(1)), [down(1)]);
    assert_eq!(ends(&mut stop, 1, End::Exited), [close(1), down(2)]);
    assert_eq!(ends(&mut stop, 2, End::Exited), [close(2), down(0)]);
}

#[test]
fn what_was_not_told_when_the_grace_is_over_gets_what_all_get() {
    let mut stop = stop([0, 1, 2].map(|service| running(service, Found::Runs)), &[(0, 1), (1, 2)]);
    let down = |service| tell(service, Order::Down);
    let kill = |service| tell(service, Order::Kill);
    assert_eq!(due(&mut stop, Tick(1)), [down(0)]);
    assert_eq!(ends(&mut stop, 0, End::Exited), [close(0), down(1)]);
    let late = Tick(1).after(GRACE);
    assert_eq!((stop.deadline(), stop.next(Tick(late.0 - 1))), (Some(late), None));
    assert_eq!(due(&mut stop, late), [kill(1), kill(2), Action::KillServices]);
    stop.ended(id(1), Role::Main, End::Exited);
    assert_eq!(due(&mut stop, late), [close(1), Action::KillServices], "it was told already");
}

#[test]
fn nothing_is_told_before_it_is_known_what_the_services_need_for_a_while() {
    let all = || [running(0, Found::Runs), running(1, Found::LeftBehind), running(2, Found::Runs)];
    let mut stop = Stop::new(Tick(1), GRACE, all());
    let by = Tick(1).after(LONGEST_LOOK);
    assert_eq!((stop.next(Tick(1)), stop.deadline(), stop.is_over()), (None, Some(by), false));
    stop.ended(id(0), Role::Main, End::Killed);
    stop.ended(id(2), Role::Main, End::Exited);
    assert_eq!(due(&mut stop, by), [Action::Order]);
    stop.order(&needs(&[(2, 1), (1, 0)]));
    assert_eq!(due(&mut stop, by), [start(0), start(1), close(2)]);
    [0, 1].into_iter().for_each(|service| stop.started(id(service), Role::Main));
    assert_eq!(due(&mut stop, by), [tell(1, Order::Down)]);
    // It costs no more than an eighth of the grace, and nothing where somebody hurries.
    let mut stop = Stop::new(Tick(1), 800, all());
    assert_eq!(stop.deadline(), Some(Tick(101)));
    (0..2).for_each(|_| stop.ask(Tick(2)));
    let all = due(&mut stop, Tick(2));
    assert!([0, 2].into_iter().all(|service| all.contains(&tell(service, Order::Kill))), "{all:?}");
    assert!(all.contains(&start(1)) && !all.contains(&Action::Order), "{all:?}");
    stop.started(id(1), Role::Main);
    assert_eq!(due(&mut stop, Tick(2)), [tell(1, Order::Kill)]);
}

#[test]
fn whoever_asks_once_has_patience() {
    let running = running(0, Found::Runs);
    let tell = |order| Some(Action::Tell(id(0), Role::Main, order));
    let mut stop = stop([running], &[]);
    assert_eq!(stop.next(Tick(1)), tell(Order::Down));
    stop.ask(Tick(2));
    assert_eq!((stop.next(Tick(2)), stop.late()), (None, None));
    stop.ask(Tick(3));
    assert_eq!((stop.next(Tick(3)), stop.late()), (tell(Order::Kill), Some(&[(id(0), Role::Main)][..])));
}

#[test]
fn nothing_to_stop_is_stopped_at_once() {
    assert!(stop([], &[]).is_over());
}

#[test]
fn who_is_below_a_spared_one_is_a_victim_but_below_a_logger_nobody_is() {
    let process = |pid, parent| Process { pid: Pid(pid), parent: Pid(parent) };
    // 1 is init; 2 the supervise of service 3, which has 4; 5 the supervise of logger 6, which has 7; 8 an orphan; 9 a stranger; 10 and
    // 11 are each other's parents.
    let table = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 99), (10, 11), (11, 10)]
        .map(|(pid, parent)| process(pid, parent));
    assert_eq!(victims(Pid(1), &table, &[Pid(2)], &[Pid(5)]), [8, 3, 4].map(Pid));
    assert_eq!(victims(Pid(1), &table, &[], &[]), [2, 5, 8, 3, 6, 4, 7].map(Pid));
    assert_eq!(victims(Pid(10), &table, &[], &[]), [Pid(11)]);
}

#[test]
fn what_stands_in_a_pipe_that_nobody_reads_gets_a_logger() {
    let running = running(0, Found::Runs);
    let mut stop = stop([running], &[]);
    assert_eq!(stop.next(Tick(1)), Some(Action::Tell(id(0), Role::Main, Order::Down)));
    stop.ended(id(0), Role::Main, End::Exited);
    assert!(!stop.is_over(), "nobody has looked into the pipe yet");
    assert_eq!(stop.next(Tick(2)), Some(Action::Close(id(0))));
    stop.closed(id(0), true);
    assert_eq!(stop.next(Tick(2)), Some(Action::Start(id(0), Role::Log)));
    stop.started(id(0), Role::Log);
    assert_eq!(stop.next(Tick(2)), Some(Action::Tell(id(0), Role::Log, Order::Exit)));
    stop.ended(id(0), Role::Log, End::Exited);
    assert!(stop.is_over());
}

#[test]
fn a_supervise_that_does_not_even_die_of_kill_is_not_waited_for_for_ever() {
    let running = running(0, Found::Runs);
    let mut stop = stop([running], &[]);
    let mut done = Vec::new();
    while let Some(deadline) = stop.deadline() {
        assert!(deadline <= Tick(1).after(GRACE + LAST_LINES + LAST_LOOK));
        done.extend(std::iter::from_fn(|| stop.next(deadline)));
    }
    let tell = |order| Action::Tell(id(0), Role::Main, order);
    assert_eq!(
        done,
        [tell(Order::Down), tell(Order::Kill), Action::KillServices, Action::KillServices, Action::KillAll]
    );
    assert_eq!((stop.is_over(), stop.late()), (true, Some(&[(id(0), Role::Main)][..])));
}

#[test]
fn what_begins_after_the_first_kill_gets_one_too_while_the_loggers_have_time() {
    let mut now = Tick(77);
    let running = Running { id: id(0), main: Found::Runs, log: Found::Runs };
    let mut stop = Stop::new(now, GRACE, [running]);
    stop.order(&BTreeMap::new());
    assert_eq!(due(&mut stop, now), [Action::Tell(id(0), Role::Main, Order::Down)]);
    now = stop.deadline().expect("the end of the grace");
    assert_eq!(due(&mut stop, now), [Action::Tell(id(0), Role::Main, Order::Kill), Action::KillServices]);
    // `run` has ended, and its supervise waits for `finish`, which does not end.
    let late = now;
    now = stop.deadline().expect("there is more to do");
    assert!(now > late && now < late.after(LAST_LINES), "{now:?}");
    assert_eq!(due(&mut stop, now), [Action::KillServices]);
    stop.ended(id(0), Role::Main, End::Exited);
    assert_eq!(due(&mut stop, now), [Action::Close(id(0)), Action::KillServices]);
    stop.closed(id(0), false);
    assert_eq!(due(&mut stop, now), [Action::Tell(id(0), Role::Log, Order::Exit)]);
    assert_eq!(stop.deadline(), Some(late.after(LAST_LINES)));
    stop.ended(id(0), Role::Log, End::Exited);
    assert!(stop.is_over());
}
