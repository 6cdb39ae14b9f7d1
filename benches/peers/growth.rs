//! How costs grow with the number of services, and with the number of old log files.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::process::cpu;
use crate::samples::median;
use crate::scratch::{Process, Scratch};
use crate::suites::{Family, Origin, Suite};
use crate::table::{Report, Table, figure};
use crate::trace::{Whose, calls};
use crate::world::World;
use crate::{control, logger, memory, words};

const SIZES: [usize; 3] = [100, 1_000, 5_000];
/// How many new links are averaged.
const LINKS: usize = 5;

/// The figures that are shown for each number of services.
const SHOWN: [&str; 7] = [
    "start (one run), ms",
    "start, us for each service",
    "private memory for each service, kB",
    "svstat of all services, ms",
    "`uphold status` of all services, ms",
    "the scanner's CPU for one new link, us",
    "the scanner's system calls for one new link",
];

/// The table on services.
pub fn services(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut columns = vec!["services".to_owned()];
    columns.extend(bench.names());
    let mut table = Table::new("How cost grows with the number of services", columns);
    let mut cells = vec![vec![vec!["-".to_owned(); bench.suites.len()]; SHOWN.len()]; SIZES.len()];
    for (place, size) in SIZES.into_iter().enumerate() {
        for (index, suite) in bench.suites.iter().enumerate().filter(|(_, suite)| size <= suite.most_services()) {
            match one(bench, suite, size) {
                Ok(found) => found.iter().enumerate().for_each(|(row, cell)| cells[place][row][index] = figure(*cell)),
                Err(error) => bench.note(format!("{size} services, {}: not measured: {error:#}", suite.name)),
            }
        }
    }
    for (row, shown) in SHOWN.into_iter().enumerate() {
        for (place, size) in SIZES.into_iter().enumerate() {
            let line = std::iter::once(size.to_string()).chain(cells[place][row].iter().cloned());
            table.add(shown, line.collect());
        }
    }
    report.table(table);
    Ok(())
}

fn one(bench: &Bench, suite: &Suite, size: usize) -> Result<[Option<f64>; SHOWN.len()]> {
    ensure!(suite.has_supervisors() || size <= 1_000, "it would need too many descriptors");
    let mut world = World::prepare(&bench.helpers.service, size)?;
    let start = world.launch(suite)?;
    let private = memory::private(suite, &world, size)?;
    // A suite that takes seconds is asked only once.
    let times = match suite.family {
        Family::Supervisord => 0,
        Family::S6 => 1,
        Family::Daemontools | Family::Runit => 5,
    };
    let svstat = (0..times).map(|_| control::ask(suite, &world, size)).collect::<Result<Vec<_>>>()?;
    let asks = if suite.origin == Origin::Now { times } else { 0 };
    let status = (0..asks).map(|_| words::ask(suite, &world, size)).collect::<Result<Vec<_>>>()?;
    let (time, calls) = if suite.has_supervisors() && !suite.polls() {
        (Some(link_time(suite, &mut world)?), link_calls(bench, suite, &mut world)?)
    } else {
        (None, None)
    };
    Ok([Some(start), Some(start * 1e3 / size as f64), Some(private), median(&svstat), median(&status), time, calls])
}

/// Links one more service and waits until it runs and the scanner is at rest again.
fn link(suite: &Suite, world: &mut World, number: usize) -> Result<()> {
    let service = world.make(number)?;
    world.link(&service, number)?;
    if let Some(mut rescan) = suite.rescan(&world.scan()) {
        Process::start(&mut rescan)?.end()?;
    }
    world.started.wait(1)?;
    thread::sleep(Duration::from_millis(100));
    Ok(())
}

fn link_time(suite: &Suite, world: &mut World) -> Result<f64> {
    let scanner = [world.scanner()?];
    let before = cpu(&scanner)?;
    for number in 0..LINKS {
        link(suite, world, 10_000 + number)?;
    }
    Ok((cpu(&scanner)? - before) * 1e3 / LINKS as f64)
}

/// Counts the scanner's system calls with strace; `None` without strace.
fn link_calls(bench: &Bench, suite: &Suite, world: &mut World) -> Result<Option<f64>> {
    let scanner = world.scanner()?;
    calls(bench, "one new link", scanner, Whose::Own, || link(suite, world, 20_000))
}

/// The table on old log files.
pub fn rotation(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut table =
        Table::new("How rotation grows with the number of old files: ms for each MB in files of 8 KiB", bench.names());
    for files in [5, 1_000] {
        let mut cells = Vec::new();
        for suite in &bench.suites {
            let cell = rotate(suite, files).unwrap_or_else(|error| {
                bench.note(format!("rotation, {}: not measured: {error:#}", suite.name));
                None
            });
            cells.push(figure(cell));
        }
        table.add(format!("{files} old files, wall clock"), cells);
    }
    report.table(table);
    Ok(())
}

/// Fills the log with as many files as it may hold, and then measures.
fn rotate(suite: &Suite, files: usize) -> Result<Option<f64>> {
    const SIZE: usize = 8_192;
    const VOLUME: usize = 4_000_000;
    if suite.family == Family::Supervisord {
        return Ok(None);
    }
    let scratch = Scratch::in_memory()?;
    let log = scratch.mkdir("log")?;
    let text = logger::lines();
    for volume in [(files + 2) * SIZE, VOLUME] {
        let Some(command) = logger::keeper(suite, files, SIZE, &log)? else { return Ok(None) };
        let cost = logger::run(command, |pipe| logger::pour(pipe, &text, volume.max(65_536)))?;
        if volume == VOLUME {
            let old = fs::read_dir(&log).context("unable to read the log")?.count();
            ensure!(old >= files, "only {old} files");
            return Ok(Some(cost.wall * 1e6 / VOLUME as f64));
        }
    }
    Ok(None)
}
