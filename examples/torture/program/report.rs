//! The report at the end.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::options::Options;
use super::suite;
use super::world::World;

/// What was done.
#[derive(Default)]
pub struct Counts {
    /// Kills, by victim.
    pub kills: BTreeMap<&'static str, usize>,
    /// Commands, by letter.
    pub commands: BTreeMap<&'static str, usize>,
    /// Services and loggers that went on under the next supervise after theirs was killed.
    pub takeovers: usize,
    /// Loggers that came to the end of their input, because all writers were killed at the same time.
    pub ends_of_input: usize,
    /// Services whose pipe broke, because all readers were killed at the same time.
    pub broken_pipes: usize,
    /// Copies of a service that lived beside another, because they were to replace it.
    pub overlaps: usize,
    /// Supervises that were told to execute their new file.
    pub upgrades: usize,
    /// Those that did.
    pub upgraded: usize,
    /// Services that are over, since they have ended too often or for good.
    pub over: usize,
    /// Services that were made to be found unhealthy.
    pub sick: usize,
    /// Services that were found unhealthy without that: the machine was too busy.
    pub unwell: usize,
    /// Scanners that were told to execute their new file.
    pub scanner_upgrades: usize,
    /// Those that did.
    pub scanner_upgraded: usize,
}

/// The kind of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two copies of a service at once.
    SecondCopy,
    /// Down for too long.
    Down,
    /// Up against the operator's wish.
    Up,
    /// Stopped against the operator's wish, or not stopped.
    Paused,
    /// No supervise for too long.
    Unsupervised,
    /// More than one supervise for too long.
    Supervises,
    /// A process that its supervise does not know of.
    Unknown,
    /// A service or logger ended though nobody ended it.
    Ended,
    /// A supervise ended though nobody ended it.
    SuperviseEnded,
    /// A scanner ended though nobody ended it.
    ScannerEnded,
    /// A command without effect.
    NoEffect,
    /// An upgrade that did not happen.
    NotUpgraded,
    /// A service cannot be reached on the socket that it was given.
    Unreachable,
    /// Nobody reads a service's log pipe.
    BrokenPipe,
    /// Lines were lost that no killed logger can have read.
    LinesLost,
    /// Lines are in the log twice.
    LinesTwice,
    /// Lines are in the log before earlier ones.
    LinesDisordered,
    /// The log contains something that was not written.
    LinesSpoilt,
    /// Given up, though it has not ended so often or so.
    Over,
    /// Started again after an end that was the last one.
    NotOver,
    /// A service that is unhealthy was not ended.
    NotEnded,
    /// No `finish` was run after an end.
    NoFinish,
    /// More than one was.
    FinishTwice,
    /// A script for which the service waits runs beside its service.
    ScriptBeside,
    /// Two of them run.
    TwoScripts,
    /// `health` was asked about a process elsewhere.
    Stranger,
    /// What an earlier life of a service has left behind lives beside the next.
    LeftOver,
    /// Ended as not ready in time, though it was ready.
    Late,
    /// Not ready in time, and not ended; or ready, though it never said so.
    NotLate,
    /// A descriptor was not kept, or did not come back.
    NotKept,
    /// Started before what it needs was ready.
    TooEarly,
    /// A service is not in its cgroup, or has not its limits.
    Unlimited,
    /// Deaths are missing in a tally, or it is spoilt.
    Tally,
    /// A process runs after everything was told to end.
    LeftBehind,
}

impl Kind {
    const ALL: [(Kind, &'static str); 34] = [
        (Kind::SecondCopy, "second copy of a service"),
        (Kind::Down, "wanted up, but down"),
        (Kind::Up, "wanted down, but up"),
        (Kind::Paused, "paused, or not, against the wish"),
        (Kind::Unsupervised, "no supervise"),
        (Kind::Supervises, "more than one supervise"),
        (Kind::Unknown, "process its supervise does not know"),
        (Kind::Ended, "service or logger ended by itself"),
        (Kind::SuperviseEnded, "supervise ended by itself"),
        (Kind::ScannerEnded, "svscan ended by itself"),
        (Kind::NoEffect, "command without effect"),
        (Kind::NotUpgraded, "upgrade that did not happen"),
        (Kind::Unreachable, "socket that leads to no service"),
        (Kind::BrokenPipe, "log pipe that nobody reads"),
        (Kind::LinesLost, "gap in a log without a killed logger"),
        (Kind::LinesTwice, "line in the log twice"),
        (Kind::LinesDisordered, "line in the log out of order"),
        (Kind::LinesSpoilt, "line in the log that nobody wrote so"),
        (Kind::Over, "given up without a reason"),
        (Kind::NotOver, "started again after its last end"),
        (Kind::NotEnded, "unhealthy, but not ended"),
        (Kind::NoFinish, "end without finish"),
        (Kind::FinishTwice, "end with more than one finish"),
        (Kind::ScriptBeside, "script beside its service"),
        (Kind::TwoScripts, "script beside another"),
        (Kind::Stranger, "health about somebody else"),
        (Kind::LeftOver, "helper of an earlier life"),
        (Kind::Late, "ended as not ready, but ready"),
        (Kind::NotLate, "not ready in time, but not ended"),
        (Kind::NotKept, "descriptor that was not kept"),
        (Kind::TooEarly, "started before what it needs"),
        (Kind::Unlimited, "outside of its cgroup or its limits"),
        (Kind::Tally, "death tally that is not right"),
        (Kind::LeftBehind, "process left when all was to end"),
    ];
}

/// Violations, by kind, with evidence for the first of each.
#[derive(Default)]
pub struct Violations(BTreeMap<Kind, (usize, Vec<String>)>);

impl Violations {
    /// Adds a violation.
    pub fn add(&mut self, kind: Kind, evidence: String) {
        const SHOWN: usize = 5;
        let (count, list) = self.0.entry(kind).or_default();
        *count += 1;
        if list.len() < SHOWN {
            list.push(evidence);
        }
    }

    /// Returns whether there is any violation.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The table.
pub fn table(options: &Options, world: &World) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_table(&mut text, options, world);
    text
}

fn write_table(text: &mut String, options: &Options, world: &World) -> std::fmt::Result {
    let (counts, totals) = (&world.counts, &world.totals);
    let suite = match options.suite.kind {
        suite::Kind::Ours => "uphold",
        suite::Kind::Daemontools => "daemontools",
        suite::Kind::Runit => "runit",
    };
    let init = if world.init { ", svscan as an init" } else { "" };
    writeln!(
        text,
        "torture: {suite}{init}, {} services with loggers, {} s, one act in {} ms, grace {} s, seed {}",
        options.services,
        options.duration.as_secs(),
        options.pace.as_millis(),
        options.grace.as_secs(),
        options.seed
    )?;
    row(text, "killed", &list(&counts.kills))?;
    row(text, "taken over", &format!("{} processes whose supervise was killed", counts.takeovers))?;
    if world.upgrades {
        let (asked, done) = (counts.upgrades, counts.upgraded);
        let (scanners, scanners_done) = (counts.scanner_upgrades, counts.scanner_upgraded);
        let what = format!(
            "{done} of {asked} supervises, {scanners_done} of {scanners} svscans; the others were killed first"
        );
        row(text, "upgraded", &what)?;
        row(text, "replaced", &format!("{} services, by copies that were beside them for a time", counts.overlaps))?;
    }
    let messages = std::fs::read_to_string(world.root.join("messages")).unwrap_or_default();
    let late = messages.matches("was not ready within").count();
    row(
        text,
        "ends",
        &format!(
            "{} services given up by their rules, {} made unhealthy, {} found so on a busy machine, {} not ready in time",
            counts.over, counts.sick, counts.unwell, late
        ),
    )?;
    row(
        text,
        "lives",
        &format!("{}, {} times finish, {} in death tallies", totals.lives, totals.finishes, totals.tallied),
    )?;
    row(
        text,
        "starts",
        &format!("{} waited for another service, {} got their descriptors back", totals.awaited, totals.returned),
    )?;
    row(text, "commands", &list(&counts.commands))?;
    row(
        text,
        "lines written",
        &format!("{}, and {} begun by a service that was killed", totals.certain, totals.doubtful),
    )?;
    row(text, "lines found", &format!("{}, and {} of those begun", totals.found, totals.doubtful_found))?;
    let (logger, pipe, other) = (totals.lost_to_kills, totals.lost_with_pipes, totals.lost);
    row(
        text,
        "lines lost",
        &format!("{logger} read by a killed logger, {pipe} with a pipe that nobody had any more, {other} otherwise"),
    )?;
    row(text, "cut lines", &format!("{} left by killed loggers", totals.cut))?;
    row(
        text,
        "logs ended",
        &format!("{} loggers, since all who could write to them were killed at once", counts.ends_of_input),
    )?;
    row(
        text,
        "pipes broken",
        &format!("{}, since all who could read from them were killed at once", counts.broken_pipes),
    )?;
    row(text, "messages", &format!("{} lines", messages.lines().count()))?;
    for (line, count) in kinds(&messages) {
        writeln!(text, "      {count} times: {line}")?;
    }
    for (kind, name) in Kind::ALL {
        let (count, evidence) = world.violations.0.get(&kind).map_or((0, &[][..]), |(count, list)| (*count, list));
        writeln!(text, "  {name:38} {count}")?;
        for line in evidence {
            writeln!(text, "      {line}")?;
        }
    }
    writeln!(text, "violations       {}", world.violations.0.values().map(|(count, _)| count).sum::<usize>())
}

/// The commonest messages, which differ in more than numbers.
fn kinds(messages: &str) -> Vec<(String, usize)> {
    const SHOWN: usize = 12;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line in messages.lines() {
        *kinds.entry(line.replace(|letter: char| letter.is_ascii_digit(), "N")).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    kinds.truncate(SHOWN);
    kinds
}

fn row(text: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(text, "{name:16} {value}")
}

fn list(counts: &BTreeMap<&'static str, usize>) -> String {
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    words.join(", ")
}
