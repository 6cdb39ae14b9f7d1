//! The end of a run: everything must become well once more, then stop in order, and then no process may be left.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sys::process::Signal;

use super::crowd::{self, Process};
use super::limits;
use super::lines;
use super::report::Kind;
use super::suite::Op;
use super::world::World;

/// How many times the grace everything together may take: a hundred processes end at once.
const ALL: u32 = 5;
/// How long nothing may go wrong before everything counts as well.
const QUIET: Duration = Duration::from_secs(2);

/// How long the last kills may take.
const DEATH: Duration = Duration::from_secs(10);

/// Goes on checking without acts, until everything is well and stays so, or it takes too long.
pub fn settle(world: &mut World) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < QUIET || (!world.is_settled() && begin.elapsed() < world.grace * ALL) {
        world.turn()?;
        thread::sleep(super::TICK);
    }
    Ok(())
}

/// Stops the services, lets the loggers write the rest, and ends everything.
pub fn stop(world: &mut World) -> anyhow::Result<()> {
    let services: Vec<usize> = (0..world.units.len()).filter(|&unit| !world.units[unit].logger).collect();
    for &unit in &services {
        command(world, unit, Op::Down)?;
    }
    wait(world, |world| Ok(world.members()?.iter().step_by(2).all(|service| service.processes.is_empty())))?;
    let is_service = |process: &Process| process.place.starts_with("services") && process.name == own_name();
    accuse(world, Kind::Up, is_service)?;
    wait(world, |world| Ok(services.iter().all(|&unit| lines::is_drained(&world.units[unit]))))?;
    for &unit in &services {
        fs::remove_file(world.root.join("scan").join(&world.units[unit].name))?;
    }
    for unit in 0..world.units.len() {
        command(world, unit, Op::DownExit)?;
    }
    let scanner = world.scanner.pid;
    wait(world, |world| Ok(crowd::look(&world.root)?.iter().all(|process| Some(process.pid) == scanner)))?;
    accuse(world, Kind::LeftBehind, |process| Some(process.pid) != scanner)?;
    if let Some(pid) = scanner {
        world.scanner.doomed = true;
        crowd::signal(&world.root, pid, Signal::SIGTERM);
        wait(world, |world| Ok(world.scanner.pid.is_none()))?;
        accuse(world, Kind::LeftBehind, |process| Some(process.pid) == scanner)?;
    }
    kill_all(&world.root);
    limits::leave(world);
    world.reap();
    world.hear_confessions();
    Ok(())
}

fn command(world: &mut World, unit: usize, op: Op) -> anyhow::Result<()> {
    let dir = world.units[unit].dir.clone();
    for words in world.commands(op, unit) {
        world.client(&words, &[&dir])?;
    }
    Ok(())
}

/// Waits until the condition holds or the time is over.
fn wait(world: &mut World, mut holds: impl FnMut(&World) -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < world.grace * ALL {
        world.reap();
        if holds(world)? {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The name of a service's process: that of the link to this program.
fn own_name() -> &'static str {
    "torture"
}

/// Reports processes that are still there and should not be.
fn accuse(world: &mut World, kind: Kind, is_guilty: impl Fn(&Process) -> bool) -> anyhow::Result<()> {
    for process in crowd::look(&world.root)?.into_iter().filter(is_guilty) {
        let evidence = format!("{} pid {} in {}", process.name, process.pid, process.place.display());
        world.violate(kind, evidence);
    }
    Ok(())
}

/// Kills all processes that work in `root`, again and again until there are none.
pub fn kill_all(root: &Path) {
    let begin = Instant::now();
    while let Some(crowd) = crowd::look(root).ok().filter(|crowd| !crowd.is_empty() && begin.elapsed() < DEATH) {
        for process in crowd {
            crowd::signal(root, process.pid, Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
}
