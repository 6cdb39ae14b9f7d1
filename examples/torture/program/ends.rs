//! What the rules of a service say about its ends, while all goes on: it is given up when it should be, and only then, and it is ended when it is unhealthy.

use std::fs;
use std::time::{Duration, Instant};

use super::line::now;
use super::needs::{self, LATE_FOR};
use super::report::Kind;
use super::rules::PATIENCE;
use super::told::Told;
use super::unit::Expect;
use super::world::World;

/// How long after nothing was done to it a service that is unhealthy may live: three runs of `health`.
const SICK_FOR: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn check_rules(&mut self, unit: usize, told: Option<&Told>) {
        if let Some(told) = told {
            self.check_over(unit, told);
            self.check_sick(unit, told);
            self.check_late(unit, told);
        }
    }

    /// It is over when it is said to be, and stays so.
    fn check_over(&mut self, unit: usize, told: &Told) {
        let target = &mut self.units[unit];
        let news = told.over && !target.over;
        target.over = told.over;
        if told.over {
            target.final_due = None;
        }
        // Until a command was obeyed it is not known which life this is about.
        if news && matches!(target.expect, Expect::Up | Expect::Paused) {
            let explained = target.rules.explain(&target.unasked, now());
            target.in_doubt();
            target.doom();
            target.expect = Expect::Down;
            self.counts.over += 1;
            if !explained {
                let evidence = format!("{}: {}", self.units[unit].name, self.history(unit));
                self.violate(Kind::Over, evidence);
            }
        }
        let target = &mut self.units[unit];
        if let Some(killed) = target.final_due.filter(|_| target.pending.is_none())
            && told.pid().is_some_and(|pid| pid != killed)
        {
            target.final_due = None;
            let evidence = format!("{}: pid {killed} was killed; {}", self.units[unit].name, self.history(unit));
            self.violate(Kind::NotOver, evidence);
        }
    }

    /// One that is unhealthy is ended, unless something is done to it again and again.
    fn check_sick(&mut self, unit: usize, told: &Told) {
        let (disturbed, grace) = (self.disturbed(unit), self.grace);
        let target = &mut self.units[unit];
        let Some((pid, since)) = target.sick else { return };
        if told.pid() != Some(pid) {
            target.sick = None;
        } else if target.expect != Expect::Up || target.pending.is_some() || !told.ready {
            // Before it is ready nobody asks.
            target.sick = Some((pid, Instant::now()));
        } else if since.max(disturbed).elapsed() > SICK_FOR + grace {
            target.sick = None;
            let evidence = format!("{}: pid {pid}; {}", self.units[unit].name, self.history(unit));
            self.violate(Kind::NotEnded, evidence);
        }
    }

    /// One that does not get ready in time is ended, and only such a one. That is up to its own supervise, whatever is done to others meanwhile.
    fn check_late(&mut self, unit: usize, told: &Told) {
        let grace = self.grace;
        let target = &mut self.units[unit];
        if !target.rules.late {
            return;
        }
        target.ready = told.pid().filter(|_| told.ready).or(target.ready);
        let Some(known) = target.process.filter(|known| needs::is_mute(known.pid)) else {
            return;
        };
        let evidence =
            |world: &World| format!("{}: pid {}; {}", world.units[unit].name, known.pid, world.history(unit));
        if told.ready && told.pid() == Some(known.pid) {
            self.violate(Kind::NotLate, evidence(self));
        } else if target.expect == Expect::Up
            && target.pending.is_none()
            && let Some(supervise) = target.supervise.filter(|supervise| !supervise.doomed)
            && known.since.max(supervise.since).max(target.disturbed).elapsed() > PATIENCE + LATE_FOR + grace
        {
            // Once for each time.
            self.units[unit].disturbed = Instant::now();
            self.violate(Kind::NotLate, evidence(self));
        }
    }

    /// Whether supervise has said that it ends this process since it was not ready in time. That of one that was ready is a violation.
    pub(super) fn was_late(&mut self, unit: usize, pid: u32) -> bool {
        let target = &self.units[unit];
        let messages = || fs::read_to_string(self.root.join("messages")).unwrap_or_default();
        let said = format!("{} was not ready within {}s, ending pid {pid}\n", target.name, PATIENCE.as_secs());
        let was_late = target.rules.late && messages().contains(&said);
        if was_late && target.ready == Some(pid) {
            self.violate(Kind::Late, format!("{}: pid {pid}; {}", target.name.clone(), self.history(unit)));
        }
        was_late
    }

    /// Whether supervise has said that it ends this process since `health` has failed so often. On a busy machine each run may take too long.
    pub(super) fn was_unhealthy(&self, unit: usize, pid: u32) -> bool {
        let name = &self.units[unit].name;
        let messages = || fs::read_to_string(self.root.join("messages")).unwrap_or_default();
        let said = format!("{name}/health has failed 3 times in a row, ending pid {pid}\n");
        self.units[unit].rules.health && messages().contains(&said)
    }
}
