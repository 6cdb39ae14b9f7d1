//! Acts of violence, in random order and at random times. Often a second one follows within milliseconds, while the
//! first is being repaired.

use std::thread;
use std::time::{Duration, Instant};

use super::check::Members;
use super::dice::Dice;
use super::hooks::{HELPER, SICK, START};
use super::line::now;
use super::options::{Options, Spare};
use super::suite::{Kind, Op};
use super::unit::{Expect, Unit};
use super::upgrade::{upgrade_scanner, upgrade_supervises};
use super::world::World;

/// How soon a second act may follow the first.
const SOON: Duration = Duration::from_millis(4);
/// How long a logger that got SIGKILL may still read on another processor, in microseconds.
const LAST_BREATH: u64 = 200_000;
/// How old a service must be before it is sent a signal that it catches.
pub const GROWN: Duration = Duration::from_secs(1);
/// The time after which a process that was doomed but still lives counts as well again.
const SPARED: Duration = Duration::from_secs(3);

/// An act.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    KillScanner,
    KillSupervise,
    KillLogSupervise,
    KillService,
    KillLogger,
    KillPair,
    Storm,
    Command,
    LoggerCommand,
    Upgrade,
    UpgradeScanner,
    KillHook,
    Sicken,
    KillEssential,
}

/// The acts, with their weights.
const ACTS: [(usize, Act); 14] = [
    (4, Act::KillScanner),
    (24, Act::KillSupervise),
    (16, Act::KillLogSupervise),
    (22, Act::KillService),
    (16, Act::KillLogger),
    (4, Act::KillPair),
    (1, Act::Storm),
    (30, Act::Command),
    (8, Act::LoggerCommand),
    (8, Act::Upgrade),
    (4, Act::UpgradeScanner),
    (8, Act::KillHook),
    (3, Act::Sicken),
    (4, Act::KillEssential),
];

/// The acts that may follow on the same service, with their weights.
const SECOND_ACTS: [(usize, Act); 6] = [
    (1, Act::KillScanner),
    (6, Act::KillSupervise),
    (4, Act::KillLogSupervise),
    (3, Act::KillService),
    (3, Act::KillLogger),
    (4, Act::KillHook),
];

/// The one that acts.
pub struct Chaos {
    dice: Dice,
    pace: Duration,
    spare: Spare,
    next: Option<Instant>,
}

impl Chaos {
    /// Begins with the seed of the options.
    pub fn new(options: &Options) -> Chaos {
        Chaos { dice: Dice::new(options.seed), pace: options.pace, spare: options.spare, next: None }
    }

    /// Acts, when it is time.
    pub fn turn(&mut self, world: &mut World) -> anyhow::Result<()> {
        let now = Instant::now();
        let due = self.next.is_some_and(|next| next <= now);
        if due || self.next.is_none() {
            self.next = Some(now + self.dice.pause(self.pace * 2));
        }
        if !due {
            return Ok(());
        }
        let members = world.members()?;
        let service = self.dice.below(world.units.len() / 2) * 2;
        let act = self.dice.weighted(&ACTS).unwrap_or(Act::KillScanner);
        self.act(world, &members, act, service)?;
        if self.dice.once_in(3) {
            let longest = if self.dice.once_in(2) { SOON } else { SOON / 8 };
            thread::sleep(self.dice.pause(longest));
            let second = self.dice.weighted(&SECOND_ACTS).unwrap_or(Act::KillScanner);
            self.act(world, &members, second, service)?;
        }
        Ok(())
    }

    fn act(&mut self, world: &mut World, members: &[Members], act: Act, service: usize) -> anyhow::Result<()> {
        let logger = service + 1;
        if !self.may(act) {
            return Ok(());
        }
        match act {
            Act::KillScanner => kill_scanner(world),
            Act::KillSupervise => self.kill_supervise(world, members, service),
            Act::KillLogSupervise => self.kill_supervise(world, members, logger),
            Act::KillService => self.kill_process(world, members, service),
            Act::KillLogger => self.kill_process(world, members, logger),
            Act::KillPair => {
                self.kill_supervise(world, members, service);
                self.kill_supervise(world, members, logger);
                let either = service + self.dice.below(2);
                self.kill_process(world, members, either);
            }
            Act::Storm => self.storm(world, members),
            Act::Command => self.command(world, service, &Op::ALL)?,
            Act::LoggerCommand => self.command(world, logger, &Op::FOR_LOGGERS)?,
            Act::Upgrade => upgrade_supervises(world, &mut self.dice)?,
            Act::UpgradeScanner => upgrade_scanner(world)?,
            Act::KillHook => self.kill_hook(world)?,
            Act::Sicken => self.sicken(world)?,
            Act::KillEssential => self.kill_essential(world, members),
        }
        Ok(())
    }

    fn may(&self, act: Act) -> bool {
        match self.spare {
            Spare::Nobody => true,
            Spare::Svscan => !matches!(act, Act::KillScanner),
            Spare::Supervisors => {
                let kills = [Act::KillService, Act::KillLogger, Act::KillHook, Act::KillEssential];
                kills.contains(&act) || [Act::Command, Act::LoggerCommand, Act::Sicken].contains(&act)
            }
        }
    }

    /// Kills half of all supervises at once, and perhaps the scanner that started them.
    fn storm(&mut self, world: &mut World, members: &[Members]) {
        if self.may(Act::KillScanner) && self.dice.once_in(2) {
            kill_scanner(world);
        }
        for unit in 0..world.units.len() {
            if self.dice.once_in(2) {
                self.kill_supervise(world, members, unit);
            }
        }
    }

    fn kill_supervise(&mut self, world: &mut World, members: &[Members], unit: usize) {
        let known = world.units[unit].supervise.map(|known| known.pid);
        let supervises = &members[unit].supervises;
        let victim = known.filter(|pid| supervises.contains(pid)).or_else(|| self.dice.one_of(supervises).copied());
        let Some(pid) = victim.filter(|&pid| world.kill(pid)) else {
            return;
        };
        let both = world.kind == Kind::Runit;
        let what = if world.units[unit].logger && !both { "log supervise" } else { "supervise" };
        *world.counts.kills.entry(what).or_default() += 1;
        for unit in [Some(unit), both.then_some(World::partner(unit))].into_iter().flatten() {
            world.note(unit, "kill supervise");
            world.units[unit].supervise_killed(pid);
        }
    }

    fn kill_process(&mut self, world: &mut World, members: &[Members], unit: usize) {
        let Some(&(pid, _)) = self.dice.one_of(&members[unit].processes) else {
            return;
        };
        let before = now();
        let target = &world.units[unit];
        // A supervise that is not its parent may never learn how it has ended.
        let supervise = target.supervise.filter(|known| !known.doomed && testkit::parent(pid) == Some(known.pid));
        let settled = target.expect == Expect::Up
            && target.pending.is_none()
            && target.process.is_some_and(|known| !known.doomed);
        if !world.kill(pid) {
            return;
        }
        if supervise.is_some() && settled && world.units[unit].rules.finals {
            world.units[unit].final_due = Some(pid);
        }
        let what = if world.units[unit].logger { "logger" } else { "service" };
        *world.counts.kills.entry(what).or_default() += 1;
        world.note(unit, &format!("kill pid {pid}"));
        world.units[unit].kills.push((before, now() + LAST_BREATH));
        world.units[unit].process_killed(pid);
    }

    /// Kills some service with which the tree would end, if it were down for good.
    fn kill_essential(&mut self, world: &mut World, members: &[Members]) {
        let all: Vec<usize> = (0..world.units.len()).filter(|&unit| world.units[unit].rules.essential).collect();
        if let Some(&unit) = self.dice.one_of(&all) {
            self.kill_process(world, members, unit);
        }
    }

    /// Kills something that is run about a service, whichever it is: they are seldom there.
    fn kill_hook(&mut self, world: &mut World) -> anyhow::Result<()> {
        let members = world.members()?;
        let hooks: Vec<_> = members
            .iter()
            .enumerate()
            .flat_map(|(unit, members)| members.hooks.iter().map(move |&(pid, hook)| (unit, pid, hook)))
            // A helper is to be killed by nobody but its supervise, and a service whose start has been killed has failed.
            .filter(|&(.., hook)| ![HELPER, START].contains(&hook))
            .collect();
        let Some(&(unit, pid, hook)) = self.dice.one_of(&hooks) else {
            return Ok(());
        };
        world.units[unit].hook_kills.push(now());
        if world.kill(pid) {
            *world.counts.kills.entry(hook).or_default() += 1;
            world.note(unit, &format!("kill {hook} {pid}"));
        }
        Ok(())
    }

    /// Makes the `health` of some service fail until that is started again.
    fn sicken(&mut self, world: &mut World) -> anyhow::Result<()> {
        let well = |target: &Unit| {
            let grown = target.process.is_some_and(|known| !known.doomed && known.since.elapsed() > GROWN);
            target.rules.health && grown && target.expect == Expect::Up && target.pending.is_none()
        };
        let all: Vec<usize> = (0..world.units.len()).filter(|&unit| well(&world.units[unit])).collect();
        let Some(&unit) = self.dice.one_of(&all) else {
            return Ok(());
        };
        std::fs::write(world.units[unit].dir.join(SICK), "")?;
        world.note(unit, "sicken");
        world.counts.sick += 1;
        let target = &mut world.units[unit];
        target.ends.push(now());
        target.sick = target.process.map(|known| (known.pid, Instant::now()));
        target.doom();
        Ok(())
    }

    fn command(&mut self, world: &mut World, unit: usize, ops: &[Op]) -> anyhow::Result<()> {
        let target = &world.units[unit];
        let Some(&op) = self.dice.one_of(ops).filter(|op| self.spare != Spare::Supervisors || !op.exits()) else {
            return Ok(());
        };
        let well = target.process.is_some_and(|known| !known.doomed || target.disturbed.elapsed() > SPARED);
        let grown = target.process.is_some_and(|known| known.since.elapsed() > GROWN);
        // Else it may be ended meanwhile, since it is not ready in time.
        let told = || target.told().is_some_and(|told| told.ready) || target.expect == Expect::Down;
        let ready = target.pending.is_none()
            && (!target.rules.late || told())
            && !target.overlaps.lasts()
            && target.supervise.is_some_and(|known| !known.doomed)
            && target.faults.is_empty()
            && (well || target.expect == Expect::Down)
            && (grown || !matches!(op, Op::Hup | Op::Alarm) || target.expect == Expect::Down);
        if ready {
            world.command(unit, op)?;
        }
        Ok(())
    }
}

fn kill_scanner(world: &mut World) {
    let Some(pid) = world.scanner.pid.filter(|_| !world.scanner.doomed) else {
        return;
    };
    if world.kill(pid) {
        world.scanner.doomed = true;
        world.scanner.upgrade = None;
        world.note_scanner("kill");
        *world.counts.kills.entry("svscan").or_default() += 1;
    }
}
