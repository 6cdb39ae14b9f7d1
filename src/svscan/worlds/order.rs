//! What services need in a world, and the promise about the stop: nobody is told to end before those that need him.

use std::collections::BTreeSet;
use std::path::Path;

use machine::scan::{Id, Role};
use svdir::Command;

use super::promises::{check_look, is_known};
use super::world::World;
use crate::svscan::arguments::Init;
use crate::svscan::dependencies::Needed;

/// Reads what a directory says that its service needs.
pub fn needs(world: &mut World, dir: &Path, id: Id) -> Needed {
    check_look(world, dir);
    if world.place(dir) != Some((id, Role::Main)) {
        return Needed::default();
    }
    let names = world.needs.get(&id.inode).cloned().unwrap_or_default();
    let needed = names.iter().filter_map(|name| world.id_of(name)).filter(|&needed| needed != id);
    let needed: BTreeSet<Id> = needed.collect();
    world.asked.insert(id, needed);
    Needed { names, unread: Vec::new() }
}

/// Notes that a supervise is told to end, and checks that no service that needs its service is there any more, as far as svscan can know.
pub fn check_turn(world: &mut World, (id, role): (Id, Role), letters: &[u8]) {
    if role == Role::Log || letters.contains(&Command::Kill.letter()) {
        return;
    }
    world.told.push((id, world.now));
    let late = world.stopping.is_none_or(|begun| begun.after(Init::default().grace) <= world.now);
    if late || world.strayed || world.unsure {
        return;
    }
    for (&service, _) in world.asked.iter().filter(|(_, needed)| needed.contains(&id)) {
        let there = world.holder(service, Role::Main).filter(|&pid| is_known(world, pid));
        assert!(there.is_none() || reaches(world, id, service), "{id:?} is told to end, and {service:?} needs it");
    }
}

/// Returns whether one service needs another, or needs somebody who does: then both are in a cycle.
fn reaches(world: &World, from: Id, to: Id) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        if next == to {
            return true;
        }
        if seen.insert(next) {
            open.extend(world.asked.get(&next).into_iter().flatten());
        }
    }
    false
}
