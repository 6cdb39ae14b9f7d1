//! How the new file of supervise is asked in a world whether it understands the state.

use machine::SECOND;
use svdir::record::handover::Handover;
use sys::process::Change;

use super::happening::NewFile;
use super::process::{Life, What};
use super::world::World;

/// Asks the new file, unless it was asked and has not answered yet. Checks that a new file could understand the state.
pub fn ask(world: &mut World, state: &[u8]) {
    assert!(Handover::decode(state).is_some(), "no new file would understand it");
    if world.hand.asked.is_none() {
        let life = match world.new_file {
            NewFile::Understands => Life::Ended(Change::Exited(99)),
            NewFile::Refuses => Life::Ended(Change::Exited(111)),
            NewFile::Hangs => Life::Lives,
        };
        let (pid, now) = (world.make(What::NewFile, life).pid, world.now);
        world.hand.asked = Some((pid, now.after(10 * SECOND)));
    }
}
