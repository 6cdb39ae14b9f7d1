//! Checks that everything is as it should be. If something is wrong for a moment, that is no violation; if it is still wrong
//! when the grace after the last kill is over, it is one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::crowd::{self, Process};
use super::hooks::{self, FINISH};
use super::line::{Micros, now};
use super::needs;
use super::report::Kind;
use super::suite::{self, Op};
use super::told::Told;
use super::unit::{Expect, Fault, Known, Seen, Unit};
use super::world::World;

/// How long after a disturbance a unit in doubt is told what to do, and a takeover is believed.
const PAUSE: Duration = Duration::from_millis(300);

/// What a supervise is called.
const SUPERVISE: &str = "supervise";

/// The processes that were seen in the directory of a unit (a service or a logger).
#[derive(Clone, Default)]
pub struct Members {
    /// Its supervises.
    pub supervises: Vec<u32>,
    /// The other processes, and whether they are stopped.
    pub processes: Vec<(u32, bool)>,
    /// What is run about it, and its helpers: pids and names.
    pub hooks: Vec<(u32, &'static str)>,
}

impl World {
    /// Finds the processes of each unit.
    pub fn members(&self) -> std::io::Result<Vec<Members>> {
        let crowd = crowd::look(&self.root)?;
        let names = self.names();
        let mut members = vec![Members::default(); self.units.len()];
        let supervises: BTreeSet<u32> =
            crowd.iter().filter(|process| process.name == SUPERVISE).map(|process| process.pid).collect();
        // The child of a supervise still has the name of supervise before its exec.
        let is_unborn = |process: &Process| process.name == SUPERVISE && supervises.contains(&process.parent);
        for process in crowd.iter().filter(|process| !is_unborn(process)) {
            let mut place = process.place.iter().filter_map(|part| part.to_str());
            let (Some("services"), Some(name)) = (place.next(), place.next()) else {
                continue;
            };
            let Some(&service) = names.get(name) else {
                continue;
            };
            let unit = if place.next() == Some("log") { service + 1 } else { service };
            self.add_member(&mut members, unit, process);
        }
        Ok(members)
    }

    fn add_member(&self, members: &mut [Members], unit: usize, process: &Process) {
        if process.name == "runsv" && self.kind == suite::Kind::Runit {
            // runsv serves the service and its logger.
            let service = unit & !1;
            members[service].supervises.push(process.pid);
            members[service + 1].supervises.push(process.pid);
        } else if process.name == SUPERVISE {
            members[unit].supervises.push(process.pid);
        } else if let Some(hook) = hooks::ALL.into_iter().find(|hook| process.name == *hook) {
            members[unit].hooks.push((process.pid, hook));
        } else {
            members[unit].processes.push((process.pid, process.stopped));
        }
    }

    /// Looks at everything.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let members = self.members()?;
        self.hear_confessions();
        self.check_waits();
        for (unit, members) in members.iter().enumerate() {
            let told = self.units[unit].told();
            self.check_rules(unit, told.as_ref());
            self.recognize(unit, members, told.as_ref());
            self.check_takeover(unit, members, told.as_ref());
            self.check_upgrade(unit);
            self.check_pending(unit, members, told.as_ref());
            self.check_overlap(unit, told.as_ref());
            self.check_faults(unit, members, told.as_ref());
            self.resolve(unit, members)?;
            self.check_pipe(unit);
            self.check_stored(unit);
        }
        self.check_scanner();
        Ok(())
    }

    /// The last time that something was done which concerns this unit, or that its start waited for another service.
    pub(super) fn disturbed(&self, unit: usize) -> Instant {
        let partner = self.units[World::partner(unit)].disturbed;
        let target = &self.units[unit];
        target.disturbed.max(partner).max(self.scanner.disturbed).max(target.waited)
    }

    /// Keeps track of the processes. If one is gone that this program did not end, that is a violation.
    fn recognize(&mut self, unit: usize, members: &Members, told: Option<&Told>) {
        let target = &mut self.units[unit];
        let mut ended = Vec::new();
        if let Some(known) = target.supervise.filter(|known| !members.supervises.contains(&known.pid)) {
            target.supervise = None;
            if !known.doomed && !target.may_leave {
                ended.push((Kind::SuperviseEnded, known.pid));
            }
            target.may_leave &= target.was_killed(known.pid);
        } else if let (Some(known), Some(told)) = (target.supervise, told) {
            // It has obeyed all commands, and will not leave.
            target.may_leave &= told.exiting || told.supervise != Some(known.pid) || target.pending.is_some();
        }
        if target.supervise.is_none() {
            // Only a supervise that is alone counts: one that finds the lock taken exits at once.
            let only = if let [pid] = members.supervises[..] { Some(pid) } else { None };
            if let Some(pid) = only.filter(|_| target.candidate == only) {
                target.supervise = Some(target.recognize(pid));
            }
            target.candidate = only;
        }
        let runs = |pid: u32| members.processes.iter().any(|&(process, _)| process == pid);
        if let Some(known) = target.process.filter(|known| !runs(known.pid)) {
            target.process = None;
            if !known.doomed {
                ended.push((Kind::Ended, known.pid));
            }
        }
        if target.process.is_none() {
            let pid = told.and_then(Told::pid).filter(|&pid| runs(pid));
            let is_mute = |pid| target.rules.late && needs::is_mute(pid);
            target.process = pid
                .map(|pid| target.recognize(pid))
                .map(|known| Known { doomed: known.doomed || is_mute(known.pid), ..known });
        }
        for (kind, pid) in ended {
            if kind == Kind::Ended && self.was_unhealthy(unit, pid) {
                self.counts.unwell += 1;
                continue;
            }
            if kind == Kind::Ended && self.was_late(unit, pid) {
                continue;
            }
            if kind == Kind::Ended && self.had_no_writer(unit) {
                self.counts.ends_of_input += 1;
                self.units[unit].in_doubt();
                continue;
            }
            let evidence = format!("pid {pid}; {}", self.evidence(unit, members, told));
            self.violate(kind, evidence);
        }
    }

    /// How long after the death of the last process with a pipe its end may be noticed.
    pub(super) fn recently(&self) -> Duration {
        self.grace / 4
    }

    /// Returns whether the unit is a logger whose input has ended, because all processes that could write to it were
    /// killed at the same time.
    fn had_no_writer(&self, unit: usize) -> bool {
        let service = &self.units[World::partner(unit)];
        self.units[unit].logger && self.are_gone([service.supervise, service.process])
    }

    /// Returns whether all processes that could read from the service's pipe were killed at the same time: the logger, both
    /// supervises, and the scanner.
    pub(super) fn had_no_reader(&self, unit: usize) -> bool {
        let (service, logger) = (&self.units[unit], &self.units[World::partner(unit)]);
        self.are_gone([logger.process, logger.supervise, service.supervise])
    }

    /// Notes that a pipe is lost with its contents, if all processes that had it were killed at the same time.
    fn check_pipe(&mut self, unit: usize) {
        let service = &self.units[unit];
        if service.logger || !self.had_no_reader(unit) || !self.are_gone([service.process]) {
            return;
        }
        self.lose_pipe(unit);
    }

    /// The service's pipe may have gone lately.
    pub(super) fn lose_pipe(&mut self, unit: usize) {
        let (since, now) = (now() - self.recently().as_micros() as Micros, now());
        let lost = &mut self.units[unit].pipes_lost;
        match lost.last_mut() {
            Some(last) if last.1 >= since => last.1 = now,
            _ => lost.push((since, now)),
        }
    }

    /// Returns whether the scanner and all of these are dead, or were replaced just now.
    fn are_gone<const N: usize>(&self, known: [Option<Known>; N]) -> bool {
        let is_gone = |known: Known| known.doomed || known.since.elapsed() < self.recently();
        let unscanned = self.kind == suite::Kind::Runit || self.scanner.disturbed.elapsed() < self.recently();
        unscanned && known.into_iter().flatten().all(is_gone)
    }

    fn check_takeover(&mut self, unit: usize, members: &Members, told: Option<&Told>) {
        let target = &mut self.units[unit];
        let Some(takeover) = target.takeover.as_ref().filter(|takeover| takeover.since.elapsed() > PAUSE) else {
            return;
        };
        let [(pid, _)] = members.processes[..] else {
            return;
        };
        let announced = told.and_then(Told::pid) == Some(pid);
        if pid == takeover.process && announced && target.supervise.is_some_and(|known| !known.doomed) {
            target.takeover = None;
            self.counts.takeovers += 1;
        }
    }

    fn check_upgrade(&mut self, unit: usize) {
        let Some(upgrade) = &self.units[unit].upgrade else {
            return;
        };
        let (supervise, file) = (upgrade.supervise, crowd::executable(upgrade.supervise));
        if file.is_some_and(|file| file != upgrade.file) {
            self.units[unit].upgrade = None;
            self.counts.upgraded += 1;
        } else if self.units[unit].disturbed.elapsed() > self.grace {
            self.units[unit].upgrade = None;
            let (name, history) = (&self.units[unit].name, self.history(unit));
            self.violate(
                Kind::NotUpgraded,
                format!("{name}: supervise {supervise} still runs the old file; {history}"),
            );
        }
    }

    fn check_pending(&mut self, unit: usize, members: &Members, told: Option<&Told>) {
        let (target, disturbed) = (&self.units[unit], self.disturbed(unit));
        let (Some(pending), Some(told)) = (&target.pending, told) else {
            return;
        };
        let supervise = target.supervise.filter(|known| !known.doomed).map(|known| known.pid);
        let runs = |pid| members.processes.iter().find(|&&(process, _)| process == pid);
        let (there, stopped) =
            told.pid().map_or((true, false), |pid| runs(pid).map_or((false, false), |p| (true, p.1)));
        if there && target.is_obeyed(pending, told, supervise, stopped) {
            self.units[unit].pending = None;
        } else if disturbed.elapsed() > self.grace {
            let evidence = format!("svc -{}; {}", pending.op.letters(), self.evidence(unit, members, Some(told)));
            self.violate(Kind::NoEffect, evidence);
            self.units[unit].pending = None;
            self.units[unit].expect = Expect::Unknown;
        }
    }

    /// Checks whether a replacement is over: the supervise that lives says so, and no command for one can still wait to
    /// be read.
    fn check_overlap(&mut self, unit: usize, told: Option<&Told>) {
        let target = &mut self.units[unit];
        let supervise = target.supervise.filter(|known| !known.doomed).map(|known| known.pid);
        let done = told.is_some_and(|told| !told.replacing && told.supervise == supervise && supervise.is_some());
        let read = !target.overlaps.is_unsure() || target.disturbed.elapsed() > self.grace / 2;
        if done && target.pending.is_none() && read {
            target.overlaps.end(now());
        }
    }

    fn check_faults(&mut self, unit: usize, members: &Members, told: Option<&Told>) {
        let found = faults(&self.units[unit], members, told);
        let (disturbed, grace) = (self.disturbed(unit), self.grace);
        let target = &mut self.units[unit];
        target.faults.retain(|fault, _| found.contains(fault));
        let mut lasting = Vec::new();
        for fault in found {
            let seen = target.faults.entry(fault).or_insert(Seen { since: Instant::now(), told: false });
            let lasts = seen.since.max(disturbed).elapsed();
            if lasts > grace && !seen.told {
                seen.told = true;
                lasting.push(fault);
            }
        }
        for fault in lasting {
            let evidence = self.evidence(unit, members, told);
            self.violate(kind(fault), evidence);
        }
    }

    /// Commands a unit in doubt to be up.
    fn resolve(&mut self, unit: usize, members: &Members) -> anyhow::Result<()> {
        let target = &self.units[unit];
        let ready = target.supervise.is_some_and(|known| members.supervises == [known.pid]);
        if target.expect == Expect::Unknown && target.pending.is_none() && ready && target.disturbed.elapsed() > PAUSE {
            self.command(unit, Op::Restore)?;
        }
        Ok(())
    }

    fn check_scanner(&mut self) {
        let (Some(pid), Some(file)) = (self.scanner.pid, self.scanner.upgrade) else {
            return;
        };
        if crowd::executable(pid).is_some_and(|now| now != file) {
            self.scanner.upgrade = None;
            self.counts.scanner_upgraded += 1;
        } else if self.scanner.disturbed.elapsed() > self.grace {
            self.scanner.upgrade = None;
            self.violate(Kind::NotUpgraded, format!("the scanner, pid {pid}, still runs the old file"));
        }
    }
}

fn faults(unit: &Unit, members: &Members, told: Option<&Told>) -> Vec<Fault> {
    let announced = told.map(Told::pids).unwrap_or_default();
    let mut processes: Vec<u32> = members.processes.iter().map(|&(pid, _)| pid).collect();
    processes.sort_unstable();
    let finishes: Vec<u32> = members.hooks.iter().filter(|(_, hook)| *hook == FINISH).map(|&(pid, _)| pid).collect();
    let stopped = members.processes.iter().any(|&(_, stopped)| stopped);
    let expect = if unit.pending.is_some() { Expect::Unknown } else { unit.expect };
    let (up, down) = match expect {
        Expect::Up | Expect::Paused | Expect::Once => (true, false),
        Expect::Down => (false, true),
        Expect::Unknown => (false, false),
    };
    let found = [
        (members.supervises.is_empty(), Fault::Unsupervised),
        (members.supervises.len() > 1, Fault::Supervises),
        (up && processes.is_empty() && !unit.waits, Fault::Down),
        (down && !processes.is_empty(), Fault::Up),
        (up && stopped != (expect == Expect::Paused), Fault::Paused),
        (processes != announced || finishes != told.and_then(|told| told.finish).as_slice(), Fault::Unknown),
    ];
    found.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect()
}

fn kind(fault: Fault) -> Kind {
    match fault {
        Fault::Unsupervised => Kind::Unsupervised,
        Fault::Supervises => Kind::Supervises,
        Fault::Down => Kind::Down,
        Fault::Up => Kind::Up,
        Fault::Paused => Kind::Paused,
        Fault::Unknown => Kind::Unknown,
    }
}
