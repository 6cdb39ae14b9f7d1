//! Essential services in a world: they may be down for good, and what their records say then.

use std::io;
use std::path::Path;

use machine::scan::Role;
use svdir::record::{Exit, Over, Record};

use super::promises::check_look;
use super::world::World;

/// The exit code of an essential service that is down for good.
pub const CODE: u8 = 7;

/// Reads the record of the supervise of a directory.
pub fn record(world: &World, dir: &Path) -> Option<Record> {
    check_look(world, dir);
    let place = world.place(dir)?;
    let mut record = Record::default();
    record.observed.supervise.exited = world.left.contains(&place);
    if place.1 == Role::Main && world.ended.contains(&place.0) {
        let exit = Exit::Code(CODE);
        (record.decided.service.ended, record.decided.over) = (true, Some(Over::Ended(exit)));
        record.decided.pace.last_exit = Some(exit);
    }
    Some(record)
}

/// Notes that svscan has ended with the service. Nothing changes if that was noted before.
pub fn note_end(world: &mut World, dir: &Path) -> io::Result<()> {
    check_look(world, dir);
    let (id, _) = world.place(dir).ok_or(io::ErrorKind::NotFound)?;
    world.ended.remove(&id);
    Ok(())
}

/// Checks, when the stop is over, which code svscan exits with.
pub fn check_end(world: &World, code: u8) {
    assert!(code == CODE || (code == 0 && world.told_to_stop), "it exits {code}");
}
