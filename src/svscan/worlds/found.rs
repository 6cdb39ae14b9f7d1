//! Worlds in which the loop once broke a promise, and worlds in which its warnings are checked.

use machine::SECOND;
use machine::stop::LONGEST_LOOK;
use sys::process::Signal;

use super::run;
use super::script::{Fault, Happening, Log, Step, Target};
use super::world::World;
use crate::service::overheard;
use Happening::{Dies, Elsewhere, EndsForGood, Kill, Link, Needs, Retarget};

/// More calls than the loop makes before it sleeps: the step happens during a sleep.
const LATER: u8 = u8::MAX;
const DIRECTORY: Target = Target::Directory(0);
const OTHER: Target = Target::Directory(1);

fn step(calls: u8, after: u64, what: Happening) -> Step {
    Step { calls, after, what }
}

/// Runs svscan in a world with two complete directories and this script.
fn live(init: bool, steps: impl IntoIterator<Item = (u8, u64, Happening)>) {
    let script = steps.into_iter().map(|(calls, after, what)| step(calls, after, what)).collect();
    run(World::new([0, 1].into(), init, script), false);
}

/// Returns how often svscan has said `what` since the last call.
fn said(what: &str) -> usize {
    overheard::take().matches(what).count()
}

#[test]
fn a_start_is_tried_again_for_whose_look_there_was_no_child() {
    live(
        false,
        [
            (0, 0, Link(0, DIRECTORY)),
            (5, 0, Elsewhere(0, true)),
            (0, 0, Happening::Fault(Fault::Fork, true)),
            (LATER, 6 * SECOND, Happening::Fault(Fault::Fork, false)),
        ],
    );
}

#[test]
fn a_look_whose_child_could_not_be_executed_has_not_come_back() {
    live(
        false,
        [
            (0, 0, Happening::Fault(Fault::Exec, true)),
            (0, 0, Elsewhere(0, true)),
            (0, 0, Link(0, DIRECTORY)),
            (LATER, 12 * SECOND, Happening::Fault(Fault::Exec, false)),
        ],
    );
    assert_eq!(said("unable to start svok a: "), 1);
}

#[test]
fn a_look_that_was_killed_has_not_come_back() {
    live(
        false,
        [
            (0, 0, Happening::Fault(Fault::Proof, true)),
            (0, 0, Elsewhere(0, true)),
            (0, 0, Link(0, DIRECTORY)),
            (LATER, SECOND, Dies(0, None)),
            (LATER, 6 * SECOND, Happening::Fault(Fault::Proof, false)),
        ],
    );
}

#[test]
fn a_start_whose_look_was_killed_is_tried_again_in_five_seconds() {
    let kill = (LATER, SECOND / 1000, Dies(0, None));
    live(
        false,
        [
            (0, 0, Happening::Fault(Fault::Proof, true)),
            (0, 0, Link(0, DIRECTORY)),
            (0, 0, Elsewhere(0, true)),
            kill.clone(),
            kill.clone(),
            kill,
            (LATER, 6 * SECOND, Happening::Fault(Fault::Proof, false)),
        ],
    );
    assert_eq!(said("unable to stat a, trying again in 5 seconds: svok was killed"), 1);
}

#[test]
fn the_supervise_that_has_the_lock_is_not_looked_for_where_the_look_may_last_for_ever() {
    for calls in 0..60 {
        live(
            false,
            [
                (0, 0, Elsewhere(0, true)),
                (0, 0, Happening::Fault(Fault::Exec, true)),
                (0, 0, Link(0, DIRECTORY)),
                (calls, SECOND / 50, Happening::Fault(Fault::Wait, true)),
                (30, 0, Happening::Fault(Fault::Wait, false)),
                (LATER, SECOND, Happening::Fault(Fault::Exec, false)),
            ],
        );
    }
}

#[test]
fn what_has_got_the_name_of_a_service_is_not_started_in_its_place() {
    live(
        false,
        [
            (0, 0, Link(0, DIRECTORY)),
            (LATER, 2 * SECOND, Retarget(0, OTHER)),
            (LATER, SECOND, Dies(0, None)),
            (LATER, SECOND, Link(1, DIRECTORY)),
        ],
    );
}

/// Runs a world in which a name is given to another directory, whose service runs, at the moment when a service is to be started by that name.
/// Later the name is given back.
fn name_is_lent(log: Log) {
    let logs = [0, 1].map(|inode| (0, 0, Happening::Log(inode, log)));
    let names = [
        (0, 0, Link(0, OTHER)),
        (LATER, 2 * SECOND, Link(1, DIRECTORY)),
        (8, 0, Retarget(1, OTHER)),
        (LATER, SECOND, Link(1, DIRECTORY)),
    ];
    live(false, logs.into_iter().chain(names));
}

#[test]
fn the_supervise_of_another_directory_that_has_just_got_the_name_is_not_taken_for_that_of_the_service() {
    name_is_lent(Log::Missing);
}

#[test]
fn the_pipe_of_another_directory_that_has_just_got_the_name_is_not_taken_for_that_of_the_service() {
    name_is_lent(Log::There);
}

#[test]
fn a_logger_that_was_taken_away_while_its_start_waited_for_a_look_is_not_started() {
    live(
        false,
        [
            (0, 0, Elsewhere(0, true)),
            (0, 0, Happening::Log(0, Log::There)),
            (0, 0, Link(0, DIRECTORY)),
            (LATER, 2 * SECOND, Happening::Fault(Fault::Proof, true)),
            (LATER, 0, Dies(0, None)),
            (LATER, 0, Dies(0, None)),
            (LATER, 0, Happening::Log(0, Log::Missing)),
            (LATER, SECOND, Dies(0, Some(100))),
        ],
    );
}

#[test]
fn a_svscan_that_finds_after_its_upgrade_that_it_was_told_to_stop_looks_at_nothing() {
    live(
        true,
        [
            (0, 0, Elsewhere(1, true)),
            (0, 0, Link(1, DIRECTORY)),
            (LATER, SECOND / 100 + 1, Happening::Signal(Signal::SIGUSR2)),
            (9, SECOND / 100 + 1, Link(0, DIRECTORY)),
            (7, 0, Happening::Signal(Signal::SIGTERM)),
        ],
    );
}

#[test]
fn a_stop_does_not_start_what_has_got_the_name_of_a_service_that_was_left_behind() {
    for calls in 0..30 {
        live(
            true,
            [
                (0, 0, Link(0, DIRECTORY)),
                // Nothing is started twice within a second.
                (LATER, SECOND / 2, Dies(0, None)),
                (LATER, SECOND / 10, Happening::Signal(Signal::SIGTERM)),
                (calls, 0, Link(0, OTHER)),
            ],
        );
    }
}

#[test]
fn a_wait_that_fails_is_said_once_and_again_when_it_comes_back() {
    live(
        false,
        [
            (0, 0, Link(0, DIRECTORY)),
            (LATER, SECOND, Happening::Fault(Fault::Wait, true)),
            (LATER, 0, Happening::Signal(Signal::SIGHUP)),
            (60, 0, Happening::Fault(Fault::Wait, false)),
            (LATER, SECOND, Happening::Fault(Fault::Wait, true)),
            (LATER, 0, Happening::Signal(Signal::SIGHUP)),
            (60, 0, Happening::Fault(Fault::Wait, false)),
        ],
    );
    assert_eq!(said("svscan: warning: unable to wait, trying again in a second: out of memory\n"), 2);
}

#[test]
fn a_pipe_that_cannot_be_made_is_said_once_and_again_when_that_comes_back() {
    live(
        false,
        [
            (0, 0, Happening::Fault(Fault::Pipe, true)),
            (0, 0, Happening::Log(0, Log::There)),
            (0, 0, Link(0, DIRECTORY)),
            // Two more attempts fail in this time.
            (LATER, 11 * SECOND, Happening::Fault(Fault::Pipe, false)),
            // The service runs with its logger, and then without: the logger dies twice, and is not started twice within a second.
            (LATER, 6 * SECOND, Happening::Log(0, Log::Missing)),
            (LATER, 0, Dies(1, Some(0))),
            (LATER, SECOND / 10, Dies(1, Some(0))),
            (LATER, 0, Dies(0, Some(0))),
            (LATER, 2 * SECOND, Happening::Log(0, Log::There)),
            (LATER, 0, Happening::Fault(Fault::Pipe, true)),
            (LATER, 0, Dies(0, Some(0))),
            (LATER, 11 * SECOND, Happening::Fault(Fault::Pipe, false)),
        ],
    );
    assert_eq!(said("svscan: warning: unable to create pipe for a: process cannot open more files\n"), 2);
}

/// Runs an init in a world with two services, of which the first is down for good, and then this happens. Returns whether the init has ended with it.
fn ends_with_essential(steps: impl IntoIterator<Item = (u8, u64, Happening)>) -> bool {
    let first = [(0, 0, Link(0, DIRECTORY)), (0, 0, Link(1, OTHER)), (LATER, 2 * SECOND, EndsForGood(0))];
    let script = first.into_iter().chain(steps).map(|(calls, after, what)| step(calls, after, what)).collect();
    let world = run(World::new([0, 1].into(), true, script), false);
    let world = world.borrow();
    assert!(!world.told_to_stop);
    let ended = world.ended.iter().any(|&id| world.is_listed(id));
    assert!(!ended || world.stopping.is_none(), "the next one would end at once");
    world.stopping.is_some()
}

#[test]
fn an_init_ends_with_an_essential_service_whoever_kills_it_meanwhile() {
    assert!(ends_with_essential([]));
    for calls in 0..60 {
        assert!(ends_with_essential([(calls, 0, Kill)]), "killed after {calls} calls");
        assert!(ends_with_essential([(calls, 0, Kill), (calls, 0, Kill)]), "killed twice after {calls} calls");
    }
}

#[test]
fn an_init_does_not_look_at_the_record_of_an_essential_service_where_the_look_may_last_for_ever() {
    assert!(!ends_with_essential([(0, 0, Happening::Unlink(0))]), "it is not listed");
    let script = [
        (0, 0, Link(0, DIRECTORY)),
        (LATER, 2 * SECOND, Elsewhere(0, true)),
        (LATER, SECOND, EndsForGood(0)),
        (LATER, 20 * SECOND, Elsewhere(0, false)),
    ];
    let script = script.into_iter().map(|(calls, after, what)| step(calls, after, what)).collect();
    assert!(run(World::new([0].into(), true, script), false).borrow().stopping.is_some());
}

#[test]
fn an_init_ends_with_two_essential_services_at_a_time_and_the_next_one_with_none() {
    for calls in 0..30 {
        assert!(ends_with_essential([(calls, 0, EndsForGood(1))]), "after {calls} calls");
    }
}

/// Stops an init in a world in which `a` needs `b`, after these steps and before others. Returns the inode number of each service that was told to end, and the
/// time in nanoseconds from the beginning of the stop.
fn told<const N: usize, const M: usize>(
    before: [(u8, u64, Happening); N],
    after: [(u8, u64, Happening); M],
) -> Vec<(u64, u64)> {
    let first = [(0, 0, Link(0, OTHER)), (0, 0, Link(1, DIRECTORY)), (0, 0, Needs(1, 1))];
    let stop = (LATER, 2 * SECOND, Happening::Signal(Signal::SIGTERM));
    let script = first.into_iter().chain(before).chain([stop]).chain(after);
    let script = script.map(|(calls, after, what)| step(calls, after, what)).collect();
    let world = run(World::new([0, 1].into(), true, script), false);
    let world = world.borrow();
    let begun = world.stopping.expect("it was told to stop");
    world.told.iter().map(|(id, at)| (id.inode, begun.until(*at))).collect()
}

#[test]
fn a_stop_tells_what_is_needed_when_the_service_that_needs_it_has_ended() {
    assert_eq!(told([], []), [(1, 0), (0, SECOND / 100)]);
    // Both need each other: the first name does not wait.
    assert_eq!(told([(0, 0, Needs(0, 0))], []), [(0, 0), (1, SECOND / 100)]);
    let killed = told([], [(LATER, 0, Dies(1, None))]);
    assert_eq!(
        killed.iter().map(|&(inode, _)| inode).collect::<Vec<_>>(),
        [1, 1, 0],
        "the one that needs it was killed"
    );
}

#[test]
fn a_stop_waits_for_a_look_at_what_a_service_needs_that_may_last_for_ever_for_a_while() {
    let far = (LATER, 2 * SECOND, Elsewhere(0, true));
    let told_near = told([far.clone()], []);
    assert_eq!(told_near.iter().map(|&(inode, _)| inode).collect::<Vec<_>>(), [1, 0]);
    assert!(told_near[1].1 < LONGEST_LOOK, "{told_near:?}");
    let hangs = (0, 0, Happening::Fault(Fault::Proof, true));
    let comes_back = (LATER, 3 * SECOND, Happening::Fault(Fault::Proof, false));
    assert_eq!(told([far, hangs], [comes_back])[0], (0, LONGEST_LOOK));
}
