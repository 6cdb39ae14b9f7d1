//! Runs the loop of supervise in random worlds, against a model of the kernel that checks what the loop promises:
//! whatever fails, whoever dies, and whatever happens between two calls of the loop.

mod due;
mod gate;
mod hand;
mod happening;
mod hooks;
mod model;
mod new_file;
mod process;
mod tests;
mod world;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use cli::Warnings;
use machine::supervise::{Machine, Resumed};
use machine::{Pid, SECOND, Tick};
use proptest::prelude::*;
use svdir::Want;
use svdir::record::handover::Handover;
use svdir::record::{Observed, Record, Supervise};

use super::kernel::WATCHED;
use super::supervisor::Supervisor;
use super::voice::VOICE;
use crate::service::overheard;
use happening::{Happening, Script, any_script};
use model::Model;
use process::What;
use world::{Fate, World};

/// How many worlds each run of the tests tries.
const WORLDS: u32 = 4096;
/// Fewer things than this happen in a world.
const LENGTH: usize = 50;
/// The time within which everything comes to rest that can, in nanoseconds. The longest wait is the pause after a fork
/// that failed.
const LONG: u64 = 300 * SECOND;

type Loop = Supervisor<'static, Model>;

/// A world, and the supervise that runs in it.
struct Life {
    world: Rc<RefCell<World>>,
    supervisor: Loop,
    /// How the supervise begins, if it has not begun yet.
    beginning: Option<Beginning>,
}

/// How a supervise begins.
enum Beginning {
    Anew,
    TakeOver,
    GoOn(Vec<u8>),
}

impl Life {
    /// Runs everything in the script.
    fn live(script: Script) -> Life {
        Life::live_in(World::new(script))
    }

    fn live_in(world: World) -> Life {
        let world = Rc::new(RefCell::new(world));
        let beginning = Beginning::Anew;
        let mut life = Life { supervisor: supervisor(&world, &beginning), world, beginning: Some(beginning) };
        life.go_on();
        life
    }

    /// Goes on until nothing is left to happen. When a supervise ends, the next one begins.
    fn go_on(&mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take_turns())) {
            let beginning = match *panic.downcast::<Fate>().unwrap_or_else(|panic| resume_unwind(panic)) {
                Fate::Killed => Beginning::TakeOver,
                Fate::Succeeded(state) => Beginning::GoOn(state),
            };
            self.supervisor = supervisor(&self.world, &beginning);
            self.beginning = Some(beginning);
        }
    }

    fn take_turns(&mut self) {
        match self.beginning.take() {
            Some(Beginning::GoOn(_)) => self.supervisor.go_on(),
            Some(Beginning::Anew | Beginning::TakeOver) => self.supervisor.begin(),
            None => {}
        }
        while !self.supervisor.done {
            self.look();
            if std::mem::take(&mut self.world.borrow_mut().idle) {
                return;
            }
            self.supervisor.turn();
        }
        let world = self.world.borrow();
        let decided = self.supervisor.machine.decided();
        assert!(decided.service.exiting && world.left, "nobody has told it to exit");
        assert!(world.serving().is_empty(), "it has left a copy behind");
        assert_eq!(world.processes.left_behind(world.hand.copies), None, "it has left something behind");
        let is_checked = world.processes.first(What::Check).is_some();
        assert!(!is_checked || world.lost_signal, "it has left a check behind");
        let scripts = [What::Hook, What::Control].map(|what| world.processes.first(what));
        assert!(scripts == [None; 2] || world.lost_signal, "it has left a script behind");
        let is_recorded = world.record.observed.supervise.exited || world.hand.rewrite.is_some();
        assert!(is_recorded, "its successor would take over");
        let ends_init = decided.service.ended && decided.over.is_some();
        assert!(!ends_init || world.below_init || world.last_run, "there is no init that could end");
    }

    /// Checks what must be true before each turn.
    fn look(&self) {
        let Supervisor { machine, told, renew, deaf, events, .. } = &self.supervisor;
        let mut world = self.world.borrow_mut();
        assert!(events.is_empty(), "not taken in: {events:?}");
        world.expected = [machine.deadline(), *renew, deaf.filter(|&at| at > world.now)].into_iter().flatten().min();
        if world.hand.rewrite.is_none() {
            let record = Record { decided: machine.decided(), observed: *told };
            assert_eq!(world.record, record, "the record says something else");
            assert!(world.serving().iter().all(|pid| [machine.pid(), machine.second_pid()].contains(&Some(*pid))));
        }
    }

    fn happens(&mut self, happenings: impl IntoIterator<Item = Happening>) {
        self.world.borrow_mut().script.extend(happenings.into_iter().map(|happening| (u32::MAX, happening)));
        self.go_on();
    }

    /// Checks that, once everything works and time has passed, the service is in the wanted state, and that supervise
    /// exits when it is told to.
    fn comes_to_rest(&mut self) {
        self.world.borrow_mut().mend();
        self.happens([Happening::Pass(LONG)]);
        if self.supervisor.done || self.world.borrow().lost_signal {
            return;
        }
        self.is_as_wanted();
        assert!(!self.world.borrow().recalled, "its files were removed, it was told, and they are not there");
        self.happens([Happening::Commands(b"d".to_vec()), Happening::Pass(LONG)]);
        if !self.supervisor.done {
            self.is_as_wanted();
            self.happens([Happening::Commands(b"x".to_vec())]);
        }
        assert!(self.supervisor.done, "it was told to exit");
    }

    fn is_as_wanted(&self) {
        let (machine, world) = (&self.supervisor.machine, self.world.borrow());
        let service = machine.decided().service;
        let copies = [machine.pid(), machine.second_pid()];
        assert!(copies.into_iter().flatten().all(|Pid(pid)| world.processes.lives(pid)), "an end was lost");
        assert_eq!(machine.second_pid(), None, "a replacement comes to its end");
        match service.want {
            Want::Up if !service.exiting => assert!(machine.pid().is_some(), "it is wanted up"),
            Want::Down => assert_eq!(machine.pid(), None, "it is wanted down"),
            Want::Up | Want::Once => {}
        }
        assert_eq!(world.serving(), machine.pid().into_iter().collect::<Vec<_>>());
        assert_eq!(world.processes.left_behind(world.hand.copies), None, "what is left comes to its end");
    }
}

/// Makes a supervise that has not begun yet.
fn supervisor(world: &Rc<RefCell<World>>, beginning: &Beginning) -> Loop {
    let now = world.borrow().now;
    let (machine, told) = match beginning {
        Beginning::Anew => {
            let mut machine = Machine::new(world.borrow().want);
            if world.borrow().last_run {
                machine.make_last_run();
            }
            machine.know_init(world.borrow().below_init);
            (machine, Observed::default())
        }
        Beginning::TakeOver => {
            world.borrow_mut().is_taken_over();
            let left = world.borrow().record;
            (resume(world, now, &left, false), left.observed)
        }
        Beginning::GoOn(state) => {
            let handover = Handover::decode(state).expect("it was asked");
            world.borrow_mut().is_upgraded(&handover);
            (resume(world, now, &handover.record, true), handover.record.observed)
        }
    };
    let told = Observed { supervise: Supervise { pid: 1, exited: false, ..told.supervise }, ..told };
    if !matches!(beginning, Beginning::GoOn(_)) {
        world.borrow_mut().record = Record { decided: machine.decided(), observed: told };
    }
    Supervisor {
        dir: OsStr::new("a"),
        machine,
        events: VecDeque::new(),
        told,
        ended: [None; WATCHED],
        kernel: Model(Rc::clone(world)),
        renew: None,
        deaf: None,
        said: Warnings::new(VOICE),
        done: false,
    }
}

fn resume(world: &Rc<RefCell<World>>, now: Tick, left: &Record, ours: bool) -> Machine {
    let world = world.borrow();
    let resumed = Resumed {
        last_start: Some(Tick(left.observed.main.born.latest)),
        knobs: world.knobs,
        checks: world.declares[2],
        declares: world.declares[2],
        health: world.health.interval,
        patience: world.patience,
        heard: world.hand.socket,
        hook_limit: hooks::limit(&world, left),
        ours,
    };
    Machine::resume(now, &left.decided, resumed)
}

proptest! {
    // PROPTEST_CASES in the environment may ask for more worlds.
    #![proptest_config(ProptestConfig {
        cases: WORLDS.max(ProptestConfig::default().cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_world_makes_the_loop_break_a_promise(
        want in prop_oneof![3 => Just(Want::Up), 1 => Just(Want::Down)],
        last_run in prop::bool::weighted(0.1),
        below_init in prop::bool::weighted(0.3),
        script in any_script(LENGTH),
    ) {
        overheard::listen();
        let mut world = World::new(script);
        (world.want, world.last_run, world.below_init) = (want, last_run, below_init);
        Life::live_in(world).comes_to_rest();
    }
}
