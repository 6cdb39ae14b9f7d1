//! Worlds that were written by hand, for bugs that were found once, and for what random worlds would find too rarely.

use std::cell::RefCell;
use std::rc::Rc;

use machine::supervise::Event;
use machine::{Pid, SECOND};

use super::happening::{Ability, Happening, Script};
use super::world::World;
use super::{Beginning, Life, supervisor};
use crate::service::overheard;
use Happening::{Can, Commands, Declares, Ends, FilesRemoved, Killed, Moves, Pass, Tells, Watchdog};

/// The delay of what happens only when the loop has nothing else to do.
const AT_REST: u32 = u32::MAX;
/// How many moments of a turn are tried, where a test tries them all.
const MOMENTS: u32 = 60;

fn at_rest(happenings: impl IntoIterator<Item = Happening>) -> Script {
    happenings.into_iter().map(|happening| (AT_REST, happening)).collect()
}

/// A service that has a notify socket.
fn telling() -> Script {
    at_rest([Declares { pipe: false, socket: true, check: false }, Pass(2 * SECOND), Ends(0, 0), Pass(2 * SECOND)])
}

fn bytes(commands: &[u8]) -> Happening {
    Commands(commands.to_vec())
}

/// Earlier, the loop tried again without a pause, as long as the read failed.
#[test]
fn commands_that_cannot_be_read_are_read_a_second_later() {
    overheard::listen();
    let mut life =
        Life::live(at_rest([Can(Ability::Read, false), bytes(b"d"), Pass(SECOND / 2), Can(Ability::Read, true)]));
    assert!(life.supervisor.machine.pid().is_some(), "it has not rested");
    life.happens([Pass(SECOND)]);
    assert_eq!(life.supervisor.machine.pid(), None, "it was told to be down");
}

/// Earlier, the files stayed away, because one signal stood both for them and for the child.
#[test]
fn files_that_were_removed_as_a_child_ended_are_made_anew() {
    let life = Life::live(vec![(AT_REST, Pass(2 * SECOND)), (AT_REST, Ends(0, 1)), (0, FilesRemoved)]);
    assert!(life.world.borrow().has_files);
}

/// Otherwise another process could have its pid by then.
#[test]
fn a_process_that_has_said_that_it_hangs_and_is_reaped_gets_no_signal() {
    let mut script = telling();
    script.push((AT_REST, Tells(0, "WATCHDOG=trigger", true)));
    // The model checks that.
    Life::live(script).comes_to_rest();
}

/// Earlier, the service was started again beside the process that it had named, if its end was the same as that of the
/// other copy.
#[test]
fn a_process_of_another_supervise_is_heard_to_its_end() {
    for delay in 0..MOMENTS {
        let mut script = telling();
        script.extend(at_rest([bytes(b"R"), Killed, Ends(1, 0)]));
        script.push((delay, Moves(0, true)));
        let mut life = Life::live(script);
        assert_eq!(life.world.borrow().serving().first().copied(), life.supervisor.machine.pid(), "{delay}");
        life.comes_to_rest();
    }
}

/// Earlier, it was ended for its silence although it had sent the message while its knobs were read.
#[test]
fn a_service_that_tells_at_the_last_moment_that_it_is_alive_does_not_hang() {
    for delay in 0..MOMENTS {
        let mut script = at_rest([Watchdog(SECOND)]);
        script.extend(telling());
        script.extend(at_rest([Tells(0, "READY=1", false), Pass(SECOND)]));
        script.push((delay, Tells(0, "WATCHDOG=1", false)));
        let life = Life::live(script);
        assert!(delay > 0 || life.supervisor.machine.pid() == Some(Pid(101)), "it has told in time");
    }
}

/// Earlier, the new file had nothing to do but exit.
#[test]
fn a_supervise_that_is_on_its_way_out_does_not_become_its_new_file() {
    for commands in [&b"tx"[..], b"dx"] {
        let commands = [commands, &[svdir::UPGRADE]].concat();
        let life = Life::live(at_rest([Pass(2 * SECOND), Commands(commands)]));
        assert!(life.supervisor.done && life.world.borrow().left);
    }
}

/// Whenever supervise is killed, its successor takes over the service, or starts it.
#[test]
fn it_may_be_killed_at_every_moment_of_a_start_a_replacement_and_an_end() {
    for delay in 0..MOMENTS {
        for commands in [&b"t"[..], b"R", b"d", b"du", b"Rd", b"RR", b"R\x80x"] {
            let script = [(AT_REST, Pass(2 * SECOND)), (AT_REST, bytes(commands)), (delay, Killed)];
            Life::live(script.to_vec()).comes_to_rest();
        }
    }
}

/// At present only the other events of the same step wait there.
#[test]
fn what_comes_of_a_start_is_taken_in_before_what_waits() {
    let world = Rc::new(RefCell::new(World::new(Script::new())));
    let mut supervisor = supervisor(&world, &Beginning::Anew);
    supervisor.events.push_back(Event::Begin);
    // The model checks that.
    supervisor.begin();
    assert_eq!(world.borrow().serving().first().copied(), supervisor.machine.pid());
}

/// Returns what was printed while the trouble lasted, twice: the trouble is over in between.
fn said_of(trouble: Ability, during: [Happening; 2], after: Happening) -> Vec<String> {
    overheard::listen();
    let mut life = Life::live(at_rest([Pass(2 * SECOND)]));
    let [first, second] = during;
    let round = [Can(trouble, false), first, second, Can(trouble, true), after];
    let said = [0, 1].map(|_| {
        life.happens(round.clone());
        overheard::take()
    });
    said.to_vec()
}

#[test]
fn a_wait_that_fails_is_said_once_and_again_when_it_fails_again() {
    let line = "supervise: warning: unable to wait for a, trying again in a second: out of memory\n";
    assert_eq!(said_of(Ability::Wait, [bytes(b"c"), bytes(b"c")], bytes(b"c")), [line, line]);
}

#[test]
fn a_signal_that_fails_is_said_once_and_again_when_it_fails_again() {
    let line = "supervise: warning: unable to signal a: permission denied\n";
    assert_eq!(said_of(Ability::Signal, [bytes(b"h"), bytes(b"h")], bytes(b"c")), [line, line]);
}

#[test]
fn commands_that_cannot_be_read_are_said_once_and_again_when_they_cannot_again() {
    let line = "supervise: warning: unable to read a/supervise/control, trying again in a second: input/output error\n";
    assert_eq!(said_of(Ability::Read, [bytes(b"c"), Pass(5 * SECOND)], Pass(2 * SECOND)), [line, line]);
}
