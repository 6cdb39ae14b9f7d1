//! Upgrades in place of everything that another release has started: no service, logger or supervise gets another pid, no log line is lost, and
//! replacements and the like go on.
//!
//! This is a target of its own, since it needs programs that cargo does not build: `.ci/upgrade` makes them, and names their directories in
//! UPHOLD_OLD (a release, or an earlier state) and UPHOLD_NEXT (a later release, which writes more than this one understands).

#![cfg(target_os = "linux")]

mod world;

use std::env;
use std::path::PathBuf;

use testkit::skip;

use crate::world::World;

/// The directory of programs that a variable names; if it is not set, a line says that the test is skipped.
fn programs(variable: &str) -> Option<PathBuf> {
    let found = env::var_os(variable);
    if found.is_none() {
        skip(&format!("{variable} is not set"));
    }
    found.map(PathBuf::from)
}

#[test]
fn nothing_notices_that_an_old_release_becomes_this_one() {
    let Some(old) = programs("UPHOLD_OLD") else { return };
    let mut world = World::start(&old);
    let ours = world.ours();
    world.upgrade(&ours);
    world.finish();
}

#[test]
fn nothing_notices_that_this_becomes_a_later_release_and_goes_back() {
    let Some(next) = programs("UPHOLD_NEXT") else { return };
    let ours = testkit::Suite::under_test();
    let mut world = World::start(ours.directory());
    world.upgrade(&next);
    world.upgrade(ours.directory());
    world.finish();
}

#[test]
fn nothing_notices_that_an_old_release_becomes_a_later_one_by_way_of_this() {
    let (Some(old), Some(next)) = (programs("UPHOLD_OLD"), programs("UPHOLD_NEXT")) else { return };
    let mut world = World::start(&old);
    let ours = world.ours();
    world.upgrade(&ours);
    world.upgrade(&next);
    world.upgrade(&ours);
    world.finish();
}
