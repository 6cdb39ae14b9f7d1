//! The promises of svscan: checks for what it must never do, whatever happens.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use machine::scan::{Id, PATIENCE, Role};
use machine::{Pid, SECOND, Tick};

use super::script::Log;
use super::world::{Job, Open, Process, World};

/// Checks that no descriptors are open except `numbers`. During the stop, other FIFOs may be open too.
pub fn check_open(world: &World, numbers: impl Iterator<Item = i32>) {
    let owned: BTreeSet<i32> = numbers.collect();
    let open = world.open.iter().filter(|(_, open)| world.stopping.is_none() || !matches!(open, Open::Fifo(_)));
    let leaked: Vec<_> = open.filter(|(number, _)| !owned.contains(number)).collect();
    assert!(leaked.is_empty(), "open, and nobody's: {leaked:?}");
}

/// Checks, when svscan looks at a path, that it knows that the look returns.
pub fn check_look(world: &World, path: &Path) {
    let Some(name) = path.iter().find(|word| *word != ".") else { return };
    if world.known_elsewhere.contains(name) {
        let proved = world.proved.get(name).is_some_and(|proved| proved.until(world.now) <= SECOND);
        assert!(proved, "looked at {name:?}, which may last for ever");
    }
}

/// Checks, when svscan starts a child to look at a name, that none looks already, that no look has just come back, and that the last one that failed
/// did so five seconds ago.
pub fn check_look_by_child(world: &World, name: &OsStr) {
    assert!(!world.looks.values().any(|known| known == name), "two looks at {name:?}");
    let proved = world.proved.get(name).is_some_and(|proved| proved.until(world.now) < SECOND);
    assert!(!proved, "a look at {name:?} has just come back");
    let failed = world.failed.get(name).is_some_and(|failed| failed.until(world.now) < PATIENCE);
    assert!(!failed, "a look at {name:?} has just failed");
}

/// Checks, when svscan sleeps, that it has nothing to do before the deadline, or before something happens.
pub fn check_sleep(world: &World, deadline: Option<Tick>) {
    assert!(world.zombies.is_empty(), "a death was not heard of: {:?}", world.zombies);
    if world.stopping.is_some() {
        assert!(deadline.is_some(), "a stop without an end");
        return;
    }
    assert!(deadline.is_none_or(|deadline| world.now.until(deadline) <= PATIENCE), "it sleeps too long");
    assert!(deadline.is_some() || world.watching, "nobody tells of changes, and it does not look");
    // A child may be looking at another name of the same directory.
    if world.is_astray() || world.processes.values().any(|process| matches!(process.job, Job::Proof(_))) {
        return;
    }
    for name in world.names.keys().filter(|name| !world.unseen.contains(*name)) {
        let Some(id) = world.id_of(name) else { continue };
        let runs = world.mains().any(|process| process.job == Job::Supervise(id, Role::Main));
        assert!(runs || deadline.is_some(), "{name:?} does not run, and nothing is due");
    }
}

/// Checks, when a supervise is started, that svscan knows of no other for the same place, that the start is wanted, and that service and logger
/// have the same pipe.
pub fn check_start(world: &World, dir: &OsStr, place: (Id, Role), pipe: Option<u64>) {
    let first = Path::new(dir).iter().next().unwrap_or_default();
    assert!(world.looked_at.contains(first), "started by a name that was not looked at: {first:?}");
    if world.unseen.contains(first) {
        return;
    }
    let (id, role) = place;
    let is_same = |process: &Process| process.job == Job::Supervise(id, role);
    let is_known = |pid: &Pid| is_known(world, *pid) || world.shown.contains(pid);
    let second = world.processes.iter().find(|(pid, process)| is_same(process) && is_known(pid));
    assert!(second.is_none(), "a second one for {place:?}: {second:?}");
    if world.stopping.is_some() {
        let left_behind = world.killed.contains(&place) && world.holder(id, role).is_none();
        let unread = role == Role::Log;
        assert!(left_behind || unread || world.strayed, "started {place:?} in the stop");
    }
    let other = if role == Role::Main { Role::Log } else { Role::Main };
    let peers = world.processes.values().filter(|process| !process.astray && process.job == Job::Supervise(id, other));
    for theirs in peers.filter_map(|process| process.pipe) {
        let reads = role == Role::Log || world.logs.get(&id.inode) == Some(&Log::There);
        let takes_over = role == Role::Log && world.stopping.is_some();
        assert!(
            !reads || takes_over || world.strayed || pipe == Some(theirs),
            "{place:?} is not connected with its {other:?}"
        );
    }
    let is_strange = |process: &&Process| match process.job {
        Job::Supervise(theirs, _) | Job::Copier(theirs) => !process.astray && theirs != id,
        Job::Proof(_) | Job::Successor => false,
    };
    let stranger = world.processes.values().filter(is_strange).find(|process| pipe.is_some() && process.pipe == pipe);
    assert!(stranger.is_none() || world.strayed, "{place:?} shares its pipe with {stranger:?}");
    // During the stop it takes over a logger that was left behind.
    assert!(role == Role::Main || pipe.is_some() || world.stopping.is_some(), "a logger without a pipe");
}

/// Checks, when a logger is told to end, that its service is down and has no name any more, as far as svscan can know.
pub fn check_release(world: &World, logger: &Process) {
    let Job::Supervise(id, Role::Log) = logger.job else { panic!("released {logger:?}") };
    if logger.astray {
        return;
    }
    let is_main = |process: &Process| process.job == Job::Supervise(id, Role::Main) && !process.astray;
    let main = world.processes.iter().find(|(pid, process)| is_main(process) && is_known(world, **pid));
    assert!(main.is_none(), "released the logger of a service that runs: {main:?}");
    let seen = world.names.keys().any(|name| world.id_of(name) == Some(id) && !world.unseen.contains(name));
    assert!(!seen, "released the logger of a service that is listed");
}

/// Returns whether svscan knows of a process, and what that process does.
pub fn is_known(world: &World, pid: Pid) -> bool {
    let is_child = world.processes.get(&pid).is_some_and(|process| process.child && !process.astray);
    is_child || world.open.values().any(|open| *open == Open::Fifo(pid))
}
