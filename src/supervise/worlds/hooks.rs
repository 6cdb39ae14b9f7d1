//! How the scripts are started in a world for which the service waits.

use machine::Pid;
use machine::supervise::hook::CONTROL_LIMIT;
use machine::supervise::{Event, Job, Machine, NotStarted, Slot, Start};
use svdir::Command;
use svdir::record::{Born, Observed, Process as Seen, Record, Script, Text};
use sys::process::Change;

use super::super::kernel::Outcome;
use super::happening::Ability;
use super::process::{Life, What, place};
use super::world::World;

/// How long the script may take that was left behind.
pub fn limit(world: &World, left: &Record) -> Option<u64> {
    limit_of(world, left.decided.hook?.script)
}

fn limit_of(world: &World, script: Script) -> Option<u64> {
    match script {
        Script::Start => None,
        Script::Up => Some(CONTROL_LIMIT),
        Script::Finish | Script::Stop => world.finish_limit,
    }
}

/// The outcome of a start that has made no process.
pub fn not_started(slot: Slot, why: NotStarted) -> Outcome {
    Outcome { event: Event::NotStarted(slot, why), seen: None, why: Text::default() }
}

/// Starts a script that comes before `run`. If that cannot be executed, it ends as one that fails.
pub fn start_before(world: &mut World, script: Script, machine: &Machine, now: Record) -> Outcome {
    if !world.can(Ability::Provide) {
        return not_started(Slot::Main, NotStarted::Refused);
    }
    match start(world, script, machine, now) {
        Made::None => not_started(Slot::Main, NotStarted::Fork),
        Made::Unknown => not_started(Slot::Main, NotStarted::Refused),
        Made::Failed(outcome) | Made::Runs(outcome) => outcome,
    }
}

/// Starts a script that comes after `run`. The service goes on without one that cannot be executed.
pub fn start_after(world: &mut World, script: Script, machine: &Machine, now: Record) -> Outcome {
    let slot = Slot::Job(Job::Hook(script));
    if script == Script::Stop && !world.scripts.stop {
        return not_started(slot, NotStarted::Gone);
    }
    match start(world, script, machine, now) {
        Made::None | Made::Unknown | Made::Failed(_) => not_started(slot, NotStarted::Refused),
        Made::Runs(outcome) => outcome,
    }
}

/// Starts a script of `control/`. The service goes on without one that cannot be executed.
pub fn start_control(world: &mut World, which: (Command, usize), machine: &Machine, now: Record) -> Outcome {
    let (script, place) = which;
    let slot = Slot::Job(Job::Control(script, place));
    if !world.can(Ability::Fork) {
        return not_started(slot, NotStarted::Refused);
    }
    let (executed, writes, at) = (world.can(Ability::Execute), world.can(Ability::Write), world.now);
    let pid = world.make(What::Control, Life::Lives).pid;
    let (start, born) = (Start::plain(Pid(pid)), Born { earliest: at.0, latest: at.0 });
    if writes {
        let mut observed = now.observed;
        observed.controls[place] = born;
        world.record = Record { decided: machine.decided_once_started(at, slot, start), observed };
    }
    if !(writes && executed) {
        world.end(pid, Change::Exited(111));
        return not_started(slot, NotStarted::Refused);
    }
    let seen = Some(Seen { born, ..Seen::default() });
    Outcome { event: Event::Started(slot, start), seen, why: Text::default() }
}

/// What has become of a process.
enum Made {
    /// There is none.
    None,
    /// It could not write the record, and has ended.
    Unknown,
    /// It could not execute the script, and has ended.
    Failed(Outcome),
    Runs(Outcome),
}

/// Makes the process. Checks that the main copy has ended and that no other script runs.
fn start(world: &mut World, script: Script, machine: &Machine, now: Record) -> Made {
    assert_eq!(machine.pid(), None, "the service has not ended");
    assert_eq!(world.processes.first(What::Hook), None, "another one runs");
    assert_eq!(world.processes.left_behind(world.hand.copies), None, "something is left");
    if !world.can(Ability::Fork) {
        return Made::None;
    }
    // The file may have been removed since the end of the service.
    let executed = world.can(Ability::Execute) && (script != Script::Finish || world.rules.finish);
    let (writes, at) = (world.can(Ability::Write), world.now);
    let obeys = world.can(Ability::Obey);
    let process = world.make(What::Hook, Life::Lives);
    process.obeys = obeys;
    let (pid, slot) = (process.pid, Slot::Job(Job::Hook(script)));
    let start = Start { limit: limit_of(world, script), ..Start::plain(Pid(pid)) };
    let born = Born { earliest: at.0, latest: at.0 };
    if writes {
        let observed = Observed { hook: born, ..now.observed };
        world.record = Record { decided: machine.decided_once_started(at, slot, start), observed };
    }
    if !(writes && executed) {
        world.end(pid, Change::Exited(111));
    }
    if !writes {
        return Made::Unknown;
    }
    world.hand.watched[place(slot)] = None;
    let seen = Some(Seen { born, ..Seen::default() });
    let outcome = Outcome { event: Event::Started(slot, start), seen, why: Text::default() };
    if executed { Made::Runs(outcome) } else { Made::Failed(outcome) }
}
