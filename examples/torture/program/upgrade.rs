//! Upgrades in place: a program's file is replaced, and those that run the old one are told to become the new one.

use std::fs;

use sys::process::Signal;

use super::chaos::GROWN;
use super::crowd;
use super::dice::Dice;
use super::unit::Upgrade;
use super::world::World;

/// Replaces the program and tells some supervises, or all of them.
pub fn upgrade_supervises(world: &mut World, dice: &mut Dice) -> anyhow::Result<()> {
    if !world.upgrades {
        return Ok(());
    }
    replace(world, "supervise")?;
    let share = if dice.once_in(5) { 1 } else { 10 };
    let mut dirs = Vec::new();
    for unit in 0..world.units.len() {
        let target = &world.units[unit];
        let Some(known) = target.supervise.filter(|known| !known.doomed && target.upgrade.is_none()) else {
            continue;
        };
        let Some(file) = crowd::executable(known.pid).filter(|_| dice.once_in(share)) else {
            continue;
        };
        world.note(unit, "svc --reexec");
        world.units[unit].upgrade = Some(Upgrade { supervise: known.pid, file });
        dirs.push(world.units[unit].dir.clone());
    }
    world.counts.upgrades += dirs.len();
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.as_path()).collect();
    world.client(&["svc".into(), "--reexec".into()], &dirs)
}

/// Replaces the scanner's file and tells the scanner.
pub fn upgrade_scanner(world: &mut World) -> anyhow::Result<()> {
    let Some(pid) = world.scanner.pid.filter(|_| world.upgrades && !world.scanner.doomed) else {
        return Ok(());
    };
    replace(world, "svscan")?;
    // Before it has entered the directory it has not caught the signal either.
    let Some(file) = crowd::executable(pid).filter(|_| world.scanner.disturbed.elapsed() > GROWN) else {
        return Ok(());
    };
    if crowd::signal(&world.root, pid, Signal::SIGUSR2) {
        world.counts.scanner_upgrades += 1;
        world.scanner.upgrade = Some(file);
        world.note_scanner("USR2");
    }
    Ok(())
}

/// Puts a new copy in a program's place.
fn replace(world: &World, program: &str) -> anyhow::Result<()> {
    let (file, new) = (world.bin.join(program), world.bin.join("new"));
    fs::copy(&file, &new)?;
    fs::rename(new, file)?;
    Ok(())
}
