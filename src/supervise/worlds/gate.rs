//! What a start waits for in a world: another service, which is missing or not.

use machine::supervise::gate::Held;
use machine::supervise::{Event, Machine, NotStarted, Slot};
use svdir::record::{Record, Text};

use super::super::kernel::Outcome;
use super::world::World;

/// The outcome of a start that must wait for the other service; `None` if it need not.
pub fn held(world: &mut World, machine: &Machine, now: &Record) -> Option<Outcome> {
    let missing = world.missing.filter(|_| machine.begins_start());
    let since = machine.held_since().unwrap_or(world.now);
    let until = missing.filter(|&limit| limit > 0).map(|limit| since.after(limit));
    world.hand.gate = None;
    if missing.is_none() || until.is_some_and(|until| until <= world.now) {
        return None;
    }
    world.hand.gate = Some(false);
    let awaited = Text::new(b"db");
    let held = Held { until, news: now.observed.awaited != awaited };
    let event = Event::NotStarted(Slot::Main, NotStarted::Held(held));
    Some(Outcome { event, seen: None, why: awaited })
}
