//! Tests of the loop of svscan in random worlds: whatever happens between two of its calls, it keeps its promises.

mod descriptors;
mod essential;
mod found;
mod model;
mod order;
mod promises;
mod script;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use machine::SECOND;
use machine::scan::{Life, Role};
use proptest::prelude::*;
use sys::process::Signal;

use super::arguments::{Arguments, Init};
use super::scanner::Scanner;
use super::system::System;
use super::upgrade::ScanState;
use crate::service::overheard;
use descriptors::{Fifo, Pipe};
use essential::check_end;
use model::Model;
use promises::check_open;
use script::{Fault, Happening, Log, Step, Target, id};
use world::{End, World};

const DIRECTORIES: u64 = 3;
const NAMES: u8 = 4;

fn arguments(prefix: bool, init: bool) -> Arguments {
    Arguments { prefix, init: init.then(Init::default), ..Arguments::default() }
}

/// Runs svscan in this world to the end, and starts it again after each of its deaths and upgrades.
fn run(world: World, prefix: bool) -> Rc<RefCell<World>> {
    overheard::listen();
    let _ = overheard::take();
    let arguments = arguments(prefix, world.init);
    let world = Rc::new(RefCell::new(world));
    let mut state = None;
    loop {
        let model = Model(Rc::clone(&world));
        let lived = catch_unwind(AssertUnwindSafe(|| live(model, &arguments, state.take())));
        let Err(thrown) = lived else { return world };
        match thrown.downcast::<End>() {
            Ok(end) => {
                world.borrow_mut().leave_behind(&end);
                state = if let End::Upgraded(state) = *end { Some(state) } else { None };
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Runs one svscan until the end of the world or of the stop.
fn live(model: Model, arguments: &Arguments, state: Option<Vec<u8>>) {
    let world = Rc::clone(&model.0);
    let mut scanner = Scanner::new(model, arguments);
    if let Some(state) = state {
        let state = ScanState::decode(&state).expect("it was understood");
        scanner.go_on(state, arguments.prefix, |_| false).expect("all is there");
    }
    scanner.rescan();
    loop {
        if scanner.act() {
            let world = world.borrow();
            assert!(world.stopping.is_some(), "over without a stop");
            return check_end(&world, scanner.code());
        }
        scanner.wait();
        check(&scanner);
        let begun = world.borrow().stopping;
        if let Some(begun) = begun {
            assert!(begun.until(world.borrow().now) <= 12 * SECOND, "a stop without an end");
        } else if world.borrow().end.is_some_and(|end| end <= world.borrow().now) {
            return check_rest(&scanner);
        }
    }
}

/// Checks, after every turn, that each open descriptor belongs to a service.
fn check(scanner: &Scanner<Model>) {
    let ends = |pipe: &Pipe| {
        let (reader, writer) = scanner.system.pipe_ends(pipe);
        [Some(reader), writer]
    };
    let numbers: Vec<i32> =
        scanner.services.scan.kept().filter_map(|kept| kept.pipe).flat_map(ends).flatten().collect();
    let fifos = scanner.services.others.iter().map(|(_, _, fifo): &(_, _, Fifo)| scanner.system.fifo_number(fifo));
    check_open(&scanner.system.0.borrow(), numbers.into_iter().chain(fifos));
}

/// Checks, when nothing has failed for long, that all wanted services run, and that svscan knows what runs.
fn check_rest(scanner: &Scanner<Model>) {
    let world = scanner.system.0.borrow();
    for inode in 0..DIRECTORIES {
        let id = id(inode);
        let runs = world.holder(id, Role::Main).is_some();
        assert!(runs || world.is_astray() || !world.is_listed(id), "{id:?} is listed and does not run");
        let ended = world.is_listed(id) && world.ended.contains(&id);
        assert!(!ended || world.is_astray(), "{id:?} is down for good, and svscan goes on");
    }
    for kept in scanner.services.scan.kept() {
        for life in [kept.main.life, kept.log.life] {
            let lives = match life {
                Life::None | Life::Other(None) => true,
                Life::Child(pid) => world.processes.get(&pid).is_some_and(|process| process.child),
                Life::Other(Some(pid)) => world.processes.contains_key(&pid),
            };
            assert!(lives, "{life:?} is dead, and svscan does not know");
        }
        let has_logger = kept.pipe.is_some() && !kept.names.is_empty() && !kept.released;
        assert!(!has_logger || kept.log.life != Life::None, "{:?} has a pipe that nobody reads", kept.id);
        let listed = world.is_listed(kept.id);
        assert!(listed || kept.main.life != Life::None || kept.log.life != Life::None, "{:?} is nothing", kept.id);
    }
}

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![6 => (0..DIRECTORIES).prop_map(Target::Directory), 1 => Just(Target::File), 1 => Just(Target::Dangling)]
}

fn any_happening() -> impl Strategy<Value = Happening> {
    use Fault::*;
    let inode = 0..DIRECTORIES;
    let letter = 0..NAMES;
    let code = prop::sample::select(&[None, None, Some(0), Some(100), Some(111)][..]);
    let log = prop::sample::select(&[Log::There, Log::There, Log::Missing, Log::Unclear][..]);
    let role = prop::sample::select(&[Role::Main, Role::Log][..]);
    const SIGNALS: [Signal; 5] = [Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGUSR2, Signal::SIGUSR2, Signal::SIGCHLD];
    const FAULTS: [Fault; 14] =
        [Fork, Exec, Pipe, Find, Names, Watch, Changes, Release, Reopen, Upgrade, Answer, Proof, Stubborn, Wait];
    prop_oneof![
        6 => (letter.clone(), any_target()).prop_map(|(letter, target)| Happening::Link(letter, target)),
        4 => letter.clone().prop_map(Happening::Unlink),
        1 => (letter.clone(), any_target()).prop_map(|(letter, target)| Happening::Retarget(letter, target)),
        2 => (letter.clone(), any::<bool>()).prop_map(|(letter, elsewhere)| Happening::Elsewhere(letter, elsewhere)),
        2 => inode.clone().prop_map(Happening::Fill),
        3 => (inode.clone(), log).prop_map(|(inode, log)| Happening::Log(inode, log)),
        3 => (inode.clone(), letter).prop_map(|(inode, letter)| Happening::Needs(inode, letter)),
        8 => (0..8_usize, code).prop_map(|(index, code)| Happening::Dies(index, code)),
        1 => inode.clone().prop_map(Happening::EndsForGood),
        1 => (inode, role).prop_map(|(inode, role)| Happening::ByHand(inode, role)),
        1 => Just(Happening::Kill),
        4 => prop::sample::select(&SIGNALS[..]).prop_map(Happening::Signal),
        4 => (prop::sample::select(&FAULTS[..]), any::<bool>()).prop_map(|(fault, fails)| Happening::Fault(fault, fails)),
        1 => Just(Happening::Overflow),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let calls = prop_oneof![2 => 0..12_u8, 1 => 0..60_u8, 2 => Just(u8::MAX)];
    let after = prop_oneof![0..SECOND / 10, 0..2 * SECOND, 0..8 * SECOND];
    (calls, after, any_happening()).prop_map(|(calls, after, what)| Step { calls, after, what })
}

fn any_stop() -> impl Strategy<Value = Step> {
    (any_step(), prop::sample::select(&[Signal::SIGTERM, Signal::SIGINT][..]))
        .prop_map(|(step, signal)| Step { what: Happening::Signal(signal), ..step })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_world_makes_the_loop_break_a_promise(
        complete in prop::collection::btree_set(0..DIRECTORIES, 0..=DIRECTORIES as usize),
        script in prop::collection::vec(any_step(), 0..60),
        prefix in any::<bool>(),
    ) {
        run(World::new(complete, false, script), prefix);
    }

    #[test]
    fn no_world_makes_a_stop_break_a_promise(
        complete in prop::collection::btree_set(0..DIRECTORIES, 0..=DIRECTORIES as usize),
        script in prop::collection::vec(any_step(), 0..30),
        stop in any_stop(),
        after in prop::collection::vec(any_step(), 0..20),
        prefix in any::<bool>(),
    ) {
        let after = after.into_iter().filter(|step| !matches!(step.what, Happening::Kill)).collect();
        let script = [script, vec![stop], after].concat();
        let world = run(World::new(complete, true, script), prefix);
        let world = world.borrow();
        prop_assert!(world.stopping.is_some(), "it did not hear that it was to stop");
    }

    #[test]
    fn no_world_keeps_an_init_from_ending_with_an_essential_service(
        complete in prop::collection::btree_set(0..DIRECTORIES, 0..=DIRECTORIES as usize),
        script in prop::collection::vec(any_step(), 0..40),
        prefix in any::<bool>(),
    ) {
        run(World::new(complete, true, script), prefix);
    }
}
