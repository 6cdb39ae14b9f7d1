//! What the start of a service waits for: it is never begun before that is ready, and no wait is forgotten.
//!
//! A service that others need takes some time to get ready, and notes when it is about to say so, in `readies`. From the birth of each of its lives until then it is
//! not ready, whatever else happens; when its end was noticed is not known, so before that birth it may still have been taken for ready. Whoever needs it was
//! looked after between the end of one life and the birth of the next. If it was not ready in all of that time, the start was too early.
//!
//! A service that is only wanted is waited for as long as it is coming, so this holds for it as well, unless something was done to it meanwhile.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::line::{Incarnation, Micros, now};
use super::lines;
use super::report::Kind;
use super::rules::WANTS;
use super::unit::Expect;
use super::world::World;

/// The file of a service that takes some time to get ready.
pub const SLOW: &str = "slow";
/// The file in which a service notes when it says that it is ready, relative to its directory.
const READIES: &str = "readies";
/// A start does not wait longer than that for something that is only wanted; it is a little less than a minute.
const PATIENCE: Micros = 50_000_000;
/// Something that was done so long ago is over.
const OVER: Micros = 30_000_000;

/// Whether this process of a service that must be ready in time never is.
pub fn is_mute(pid: u32) -> bool {
    pid.is_multiple_of(2)
}

/// When a service says that it is ready.
pub enum Readiness {
    /// Never.
    Never,
    /// At this time.
    At(Micros),
}

impl Readiness {
    /// That of this process, by the files in its directory.
    pub fn of(by: Incarnation) -> Readiness {
        if Path::new(super::rules::LATE).exists() && is_mute(by.pid) {
            return Readiness::Never;
        }
        let time = if Path::new(SLOW).exists() { u64::from(by.pid % 5) * 300_000 } else { 0 };
        Readiness::At(by.birth + time)
    }

    /// Whether it is time to say so.
    pub fn is_due(&self) -> bool {
        matches!(self, Readiness::At(then) if *then <= now())
    }
}

/// Notes that this process is about to say that it is ready.
pub fn note_ready() -> io::Result<()> {
    let mut notes = OpenOptions::new().append(true).create(true).open(READIES)?;
    notes.write_all(format!("{}\n", now()).as_bytes())
}

/// The times in which a service was not ready for sure: from the birth of a life until it was about to say that it is, and before the first.
fn unready(dir: &Path) -> anyhow::Result<Vec<(Micros, Micros)>> {
    let notes = fs::read_to_string(dir.join(READIES)).unwrap_or_default();
    let readies = notes.lines().filter_map(|line| Some((line.parse().ok()?, true)));
    let births = lines::ledgers(dir)?.into_iter().map(|(by, _)| (by.birth, false));
    let mut events: Vec<(Micros, bool)> = readies.chain(births).collect();
    events.sort_unstable();
    let (mut spans, mut since) = (Vec::new(), Some(0));
    for (at, is_ready) in events {
        if is_ready {
            spans.extend(since.take().map(|since| (since, at)));
        } else {
            since.get_or_insert(at);
        }
    }
    spans.extend(since.map(|since| (since, Micros::MAX)));
    Ok(spans)
}

impl World {
    /// Notes which services may wait now: those for which something is not ready, as far as is known.
    pub(super) fn check_waits(&mut self) {
        for unit in 0..self.units.len() {
            let waits = self.may_wait(unit);
            let target = &mut self.units[unit];
            target.waits = waits;
            if waits {
                target.waited = Instant::now();
            }
        }
    }

    fn may_wait(&self, unit: usize) -> bool {
        let Some((directory, number)) = self.units[unit].rules.needs else {
            return false;
        };
        let needed = &self.units[number * 2];
        if directory == WANTS && needed.expect == Expect::Down && needed.pending.is_none() {
            // It is not coming.
            return false;
        }
        let serves = needed.supervise.is_some_and(|known| !known.doomed);
        let told = needed.told().filter(|told| told.ready && told.supervise == needed.supervise.map(|known| known.pid));
        let lives =
            needed.process.is_some_and(|known| !known.doomed && told.is_some_and(|t| t.pid() == Some(known.pid)));
        !serves || !lives
    }

    /// Whether something was done to the service lately after which nobody need wait for it, though it is coming.
    fn may_not_be_awaited(&self, number: usize, from: Micros, to: Micros) -> bool {
        let then = from.saturating_sub(OVER)..=to;
        let scanner = &self.scanner.history;
        let own = self.units[number * 2].history.iter().filter(|(_, what)| !what.contains("kill pid"));
        own.chain(scanner).any(|(when, _)| then.contains(when))
    }
}

/// Checks the births of all services that need or want another.
pub fn verify(world: &mut World) -> anyhow::Result<()> {
    for service in (0..world.units.len()).step_by(2) {
        let Some((directory, number)) = world.units[service].rules.needs else {
            continue;
        };
        let unready = unready(&world.units[number * 2].dir)?;
        let lives = lines::ledgers(&world.units[service].dir)?;
        let mut before = 0;
        for (by, account) in lives {
            let (from, to) = (before, by.birth);
            before = account.last;
            world.totals.awaited += usize::from(unready.iter().any(|span| from < span.1 && span.1 < to));
            let Some(span) = unready.iter().find(|span| span.0 <= from && to < span.1) else {
                continue;
            };
            let is_wanted = directory == WANTS;
            if is_wanted && (span.1 - span.0 > PATIENCE || world.may_not_be_awaited(number, from, to)) {
                continue;
            }
            let (name, needed) = (world.units[service].name.clone(), world.units[number * 2].name.clone());
            let done = world.events(number * 2, from.max(to - OVER), to);
            let evidence = format!("{name}: {by} after {from}; {needed} was not ready {span:?}, {done}");
            world.violate(Kind::TooEarly, evidence);
        }
    }
    Ok(())
}

/// How long after nothing was done to it a service that is never ready may live, besides the grace.
pub const LATE_FOR: Duration = Duration::from_secs(2);
