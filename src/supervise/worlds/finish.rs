//! How `finish` is started in a world.

use machine::Pid;
use machine::supervise::{Event, Machine, NotStarted, Slot, Start};
use svdir::record::{Born, Observed, Process as Seen, Record, Text};
use sys::process::Change;

use super::super::kernel::Outcome;
use super::happening::Ability;
use super::process::{Life, What, place};
use super::world::World;

/// Starts `finish`. Checks that the main copy has ended and that no other `finish` runs.
pub fn start_finish(world: &mut World, slot: Slot, machine: &Machine, now: Record) -> Outcome {
    assert_eq!(machine.pid(), None, "the service has not ended");
    assert_eq!(world.processes.first(What::Finish), None, "another one runs");
    assert_eq!(world.processes.left_behind(world.hand.copies), None, "something is left");
    let not_started = Event::NotStarted(slot, NotStarted::Refused);
    let failed = Outcome { event: not_started, seen: None, why: Text::default() };
    if !world.can(Ability::Fork) {
        return failed;
    }
    // The file may have been removed since the end of the service.
    let executed = world.can(Ability::Execute) && world.rules.finish;
    let (writes, at) = (world.can(Ability::Write), world.now);
    let pid = world.make(What::Finish, Life::Lives).pid;
    let (start, born) = (Start::plain(Pid(pid)), Born { earliest: at.0, latest: at.0 });
    if writes {
        let observed = Observed { finish: born, ..now.observed };
        world.record = Record { decided: machine.decided_once_started(at, slot, start), observed };
    }
    if !(writes && executed) {
        world.end(pid, Change::Exited(111));
        return failed;
    }
    world.hand.watched[place(slot)] = None;
    Outcome { event: Event::Started(slot, start), seen: Some(Seen { born, ..Seen::default() }), ..failed }
}
