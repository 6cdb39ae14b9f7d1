//! Counts the lines: each that a service wrote must be in its log once, but for those that a killed logger had read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tai::Label;

use super::line::{Account, Incarnation, Line, Micros};
use super::report::Kind;
use super::service::LEDGERS;
use super::unit::Unit;
use super::world::World;

/// What a killed logger may have read and not written: a pipe's contents, and the beginning of a line from before.
const BUFFER: u64 = 65_536 + 1_000;

/// How long a copy may take from looking at the clock to the end of its write.
const HELD_UP: Micros = 200_000;

/// What was done so long before and after a gap is told with it.
const AROUND: Micros = 2_000_000;

/// What became of all lines.
#[derive(Default)]
pub struct Totals {
    /// Starts that waited until another service was ready.
    pub awaited: usize,
    /// Lives that got their descriptors back.
    pub returned: u64,
    /// Certainly written.
    pub certain: u64,
    /// Begun by a service that was killed.
    pub doubtful: u64,
    /// Certainly written, and found.
    pub found: u64,
    /// Begun, and found.
    pub doubtful_found: u64,
    /// Lost to killed loggers.
    pub lost_to_kills: u64,
    /// Lost with pipes, when all who had them were killed at once.
    pub lost_with_pipes: u64,
    /// Lost otherwise.
    pub lost: u64,
    /// Lines whose other end a killed logger had read.
    pub cut: u64,
    /// Lives of services that were never replaced.
    pub lives: usize,
    /// What was run after them.
    pub finishes: usize,
    /// Deaths of theirs that were kept.
    pub tallied: usize,
}

/// A line that was found in the log.
#[derive(Clone, Copy)]
struct Found {
    number: u64,
    logged: Micros,
}

/// What was found in one log.
#[derive(Default)]
struct Log {
    by: BTreeMap<Incarnation, Vec<Found>>,
    spoilt: Vec<String>,
    /// When each line was written and logged, in the order of writing.
    times: Vec<(Micros, Micros)>,
}

/// Lines that are not there.
struct Gap {
    by: Incarnation,
    first: u64,
    last: u64,
    /// A line before was logged at this time.
    from: Micros,
    /// A line behind was logged at this time.
    to: Micros,
}

/// Checks all logs.
pub fn verify(world: &mut World) -> anyhow::Result<()> {
    for service in (0..world.units.len()).step_by(2) {
        verify_service(world, service)?;
    }
    Ok(())
}

/// Whether the last line of the last incarnation is in the log.
pub fn is_drained(service: &Unit) -> bool {
    let ledgers = ledgers(&service.dir).unwrap_or_default();
    let Some((by, account)) = ledgers.iter().rev().find(|(_, account)| account.certain > 0) else {
        return true;
    };
    let wanted = format!(" {by} {} ", account.certain);
    let latest = files(&service.dir).unwrap_or_default().into_iter().rev().take(2);
    latest.flat_map(fs::read).any(|bytes| String::from_utf8_lossy(&bytes).contains(&wanted))
}

fn verify_service(world: &mut World, service: usize) -> anyhow::Result<()> {
    let (name, dir) = (world.units[service].name.clone(), world.units[service].dir.clone());
    let kills = world.units[service + 1].kills.clone();
    let pipes = world.units[service].pipes_lost.clone();
    let mut log = Log::read(&name, &dir)?;
    let mut gaps = Vec::new();
    for (by, account) in ledgers(&dir)? {
        let found = log.by.remove(&by).unwrap_or_default();
        account_for(world, &name, by, &account, &found, &log.times, &mut gaps);
    }
    for (by, found) in &log.by {
        world.violate(Kind::LinesSpoilt, format!("{name}: {} lines of {by}, which never was", found.len()));
    }
    let cut = log.spoilt.len().min(kills.len() * 2);
    world.totals.cut += cut as u64;
    for text in log.spoilt.iter().skip(cut) {
        world.violate(Kind::LinesSpoilt, format!("{name}: {text:?}"));
    }
    attribute(world, service, &gaps, &mut Budgets::new(&kills), &mut Budgets::new(&pipes));
    Ok(())
}

/// Compares what one incarnation wrote with what was found of it.
fn account_for(
    world: &mut World,
    name: &str,
    by: Incarnation,
    account: &Account,
    found: &[Found],
    times: &[(Micros, Micros)],
    gaps: &mut Vec<Gap>,
) {
    let last = account.certain + u64::from(account.doubtful);
    let mut sorted = found.to_vec();
    sorted.sort_by_key(|line| line.number);
    let (twice, disordered) = (count_pairs(&sorted, |a, b| a == b), count_pairs(found, |a, b| a > b));
    sorted.dedup_by_key(|line| line.number);
    for (count, kind) in [(twice, Kind::LinesTwice), (disordered, Kind::LinesDisordered)] {
        if count > 0 {
            world.violate(kind, format!("{name}: {count} of {by}"));
        }
    }
    for line in sorted.iter().filter(|line| line.number > last) {
        world.violate(Kind::LinesSpoilt, format!("{name}: line {} of {by}, which wrote {last}", line.number));
    }
    world.totals.certain += account.certain;
    world.totals.doubtful += u64::from(account.doubtful);
    world.totals.found += sorted.iter().filter(|line| line.number <= account.certain).count() as u64;
    world.totals.doubtful_found +=
        sorted.iter().filter(|line| line.number > account.certain && line.number <= last).count() as u64;
    // A line that was written after this one's last was logged after it, too. Of two copies one may have been held up in between.
    let end = times.partition_point(|&(written, _)| written <= account.last + HELD_UP);
    let end = times.get(end).map_or(Micros::MAX, |&(_, logged)| logged);
    let (mut next, mut from) = (1, by.birth);
    for line in sorted.iter().filter(|line| line.number <= account.certain) {
        if line.number > next {
            gaps.push(Gap { by, first: next, last: line.number - 1, from, to: line.logged });
        }
        (next, from) = (line.number + 1, line.logged);
    }
    if next <= account.certain {
        gaps.push(Gap { by, first: next, last: account.certain, from, to: end });
    }
}

fn count_pairs(found: &[Found], is: impl Fn(u64, u64) -> bool) -> usize {
    found.windows(2).filter(|pair| is(pair[0].number, pair[1].number)).count()
}

/// Events, each of which explains one buffer of lines that were written before it and not logged after it.
struct Budgets(Vec<(Micros, Micros, u64)>);

impl Budgets {
    fn new(events: &[(Micros, Micros)]) -> Budgets {
        Budgets(events.iter().map(|&(before, after)| (before, after, BUFFER)).collect())
    }

    /// Whether one of them explains the gap. What it explained it explains no more.
    fn explain(&mut self, gap: &Gap, bytes: u64) -> bool {
        let explains = |event: &&mut (Micros, Micros, u64)| {
            let &mut (before, after, left) = *event;
            before <= gap.to && after >= gap.from && left >= bytes
        };
        let Some((_, _, left)) = self.0.iter_mut().find(explains) else {
            return false;
        };
        *left -= bytes;
        true
    }
}

/// A killed logger had read the lines, or they went with a pipe that nobody had any more.
fn attribute(world: &mut World, service: usize, gaps: &[Gap], kills: &mut Budgets, pipes: &mut Budgets) {
    let name = world.units[service].name.clone();
    for gap in gaps {
        let lines = gap.last - gap.first + 1;
        let size = |number| Line { by: gap.by, number, written: gap.by.birth }.text(&name).len() as u64;
        let bytes: u64 = (gap.first..=gap.last).map(size).sum();
        if kills.explain(gap, bytes) {
            world.totals.lost_to_kills += lines;
        } else if pipes.explain(gap, bytes) {
            world.totals.lost_with_pipes += lines;
        } else {
            world.totals.lost += lines;
            let Gap { by, first, last, from, to } = gap;
            let events = world.events(service, from.saturating_sub(AROUND), to.saturating_add(AROUND));
            let evidence = format!("{name}: lines {first} to {last} of {by} ({bytes} bytes), {from} to {to}; {events}");
            world.violate(Kind::LinesLost, evidence);
        }
    }
}

/// The ledgers of a service, in the order of birth.
pub fn ledgers(dir: &Path) -> io::Result<Vec<(Incarnation, Account)>> {
    let mut ledgers = Vec::new();
    for entry in fs::read_dir(dir.join(LEDGERS))? {
        let entry = entry?;
        if let Some(by) = entry.file_name().to_str().and_then(Incarnation::parse) {
            ledgers.push((by, Account::read(&entry.path())?));
        }
    }
    ledgers.sort_by_key(|&(by, _)| by);
    Ok(ledgers)
}

/// The files of a log, from the oldest to the newest.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let main = dir.join("log/main");
    let mut old: Vec<PathBuf> = fs::read_dir(&main)?.flatten().map(|entry| entry.path()).collect();
    old.retain(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")));
    old.sort();
    old.push(main.join("current"));
    old.retain(|path| path.exists());
    Ok(old)
}

impl Log {
    fn read(name: &str, dir: &Path) -> io::Result<Log> {
        let mut log = Log::default();
        for file in files(dir)? {
            let bytes = fs::read(&file)?;
            for text in String::from_utf8_lossy(&bytes).lines() {
                log.take(name, text);
            }
        }
        log.times.sort_unstable();
        Ok(log)
    }

    fn take(&mut self, name: &str, text: &str) {
        let parsed = text.split_once(' ').and_then(|(stamp, text)| Some((micros(stamp)?, Line::parse(name, text)?)));
        match parsed {
            Some((logged, line)) => {
                let found = Found { number: line.number, logged };
                self.by.entry(line.by).or_default().push(found);
                self.times.push((line.written, logged));
            }
            None => self.spoilt.push(text.to_owned()),
        }
    }
}

fn micros(stamp: &str) -> Option<Micros> {
    let label = Label::from_digits(stamp.strip_prefix('@')?.as_bytes())?;
    Some(label.unix_seconds().cast_unsigned() * 1_000_000 + Micros::from(label.nanos / 1_000))
}
