//! The evidence for a violation: which processes were there, what the status said, what was done before. Also the
//! violations that services report.

use super::check::Members;
use super::hooks::{LEFT_OVER, SCRIPT_BESIDE, STRANGER, TWO_SCRIPTS};
use super::limits::UNLIMITED;
use super::line::{Incarnation, Micros, now};
use super::report::Kind;
use super::service::{BESIDE, BESIDE_SCRIPT, BROKEN_PIPE, SECOND_COPY, UNREACHABLE};
use super::stored::{LOST, STRANGE};
use super::told::Told;
use super::world::World;

/// How much of the past is reported, in microseconds.
const LATELY: Micros = 20_000_000;

impl World {
    /// Reads the violations that services have found themselves.
    pub(super) fn hear_confessions(&mut self) {
        let text = std::fs::read_to_string(self.root.join("violations")).unwrap_or_default();
        let new: Vec<String> = text.lines().skip(self.confessions).map(str::to_owned).collect();
        self.confessions += new.len();
        let names: Vec<(String, usize)> =
            self.names().into_iter().map(|(name, unit)| (name.to_owned(), unit)).collect();
        for line in new {
            let unit = names.iter().find(|(name, _)| line.split(' ').next() == Some(name)).map(|&(_, unit)| unit);
            if let Some(unit) = unit.filter(|&unit| line.contains(BROKEN_PIPE) && self.had_no_reader(unit)) {
                self.excuse_broken_pipe(unit);
                continue;
            }
            let beside = [BESIDE, SCRIPT_BESIDE, BESIDE_SCRIPT].iter().any(|what| line.contains(what));
            if beside && unit.is_some_and(|unit| self.may_overlap(unit, &line)) {
                self.counts.overlaps += 1;
                continue;
            }
            if line.contains(LOST) && unit.is_some_and(|unit| self.may_be_lost(unit, &line)) {
                continue;
            }
            let history = unit.map(|unit| self.history(unit)).unwrap_or_default();
            let kinds = [
                (SECOND_COPY, Kind::SecondCopy),
                (BESIDE, Kind::SecondCopy),
                (BROKEN_PIPE, Kind::BrokenPipe),
                (UNREACHABLE, Kind::Unreachable),
                (SCRIPT_BESIDE, Kind::ScriptBeside),
                (BESIDE_SCRIPT, Kind::ScriptBeside),
                (TWO_SCRIPTS, Kind::TwoScripts),
                (STRANGER, Kind::Stranger),
                (LEFT_OVER, Kind::LeftOver),
                (LOST, Kind::NotKept),
                (STRANGE, Kind::NotKept),
                (UNLIMITED, Kind::Unlimited),
            ];
            for (what, kind) in kinds {
                if line.contains(what) {
                    self.violate(kind, format!("{line}; {history}"));
                }
            }
        }
    }

    /// Returns whether the copy that reports it was born during a replacement.
    fn may_overlap(&self, unit: usize, line: &str) -> bool {
        let by = line.split(' ').next_back().and_then(Incarnation::parse);
        by.is_some_and(|by| self.units[unit].overlaps.covers(by.birth))
    }

    /// Notes that the service has ended, and that the contents of its pipe may be lost with it.
    fn excuse_broken_pipe(&mut self, unit: usize) {
        self.counts.broken_pipes += 1;
        self.units[unit].ends.push(now());
        self.units[unit].unasked.push(now());
        self.units[unit].doom();
        self.lose_pipe(unit);
    }

    pub(super) fn history(&self, unit: usize) -> String {
        self.events(unit, now() - LATELY, now())
    }

    /// The acts on a unit, its partner and the scanner in this time.
    pub(super) fn events(&self, unit: usize, from: Micros, to: Micros) -> String {
        let (own, partner) = (&self.units[unit], &self.units[World::partner(unit)]);
        let scanner = self.scanner.history.iter().filter(|(when, _)| (from..=to).contains(when));
        let scanner: Vec<&str> = scanner.map(|(_, what)| what.as_str()).collect();
        let (own, partner) = (own.history(from, to), partner.history(from, to));
        format!("done to it [{own}], to its partner [{partner}], to the scanner [{}]", scanner.join("; "))
    }

    /// The state of a unit, and how it came to that.
    pub(super) fn evidence(&self, unit: usize, members: &Members, told: Option<&Told>) -> String {
        let target = &self.units[unit];
        let status = told.map_or("none".to_owned(), |told| {
            format!("pids {:?} want {:?} paused {}", told.pids(), told.status.want, told.status.paused)
        });
        let processes: Vec<u32> = members.processes.iter().map(|&(pid, _)| pid).collect();
        format!(
            "{} expected {:?}: supervises {:?}, processes {processes:?}, status {status}; {}",
            target.name,
            target.expect,
            members.supervises,
            self.history(unit)
        )
    }
}
