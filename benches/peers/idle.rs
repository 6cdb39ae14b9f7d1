//! The cost of supervision while nothing happens, and while a service crashes again and again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Bench;
use crate::process::{cpu, sleeps, suite, unchanged};
use crate::samples::{Samples, interleave};
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

/// The row on wakeups: all suites at the same time, since nothing else happens.
pub fn wakeups(bench: &Bench, report: &mut Report) -> Result<()> {
    const SERVICES: usize = 100;
    let mut worlds = Vec::new();
    for (index, suite) in bench.suites.iter().enumerate() {
        match World::running(suite, &bench.helpers.service, SERVICES) {
            Ok(world) => worlds.push((index, world)),
            Err(error) => bench.note(format!("wakeups, {}: not measured: {error:#}", suite.name)),
        }
    }
    let period = Duration::from_secs(if bench.quick { 12 } else { 30 });
    thread::sleep(Duration::from_secs(6));
    let count = |(index, world): &(usize, World)| -> Result<f64> {
        sleeps(&suite(world.scanner()?, bench.suites[*index].has_supervisors()))
    };
    let before = worlds.iter().map(count).collect::<Result<Vec<_>>>()?;
    thread::sleep(period);
    let after = worlds.iter().map(count).collect::<Result<Vec<_>>>()?;
    let mut samples = Samples(vec![Vec::new(); bench.suites.len() + 1]);
    for (((index, _), before), after) in worlds.iter().zip(before).zip(after) {
        samples.0[*index].push((after - before) * 60.0 / period.as_secs_f64());
    }
    let what = "idle wakeups of scanner and supervisors a minute, 100 services";
    report.add(Row::new(what, "", Better::Less, samples, Target::AtMost(0.0)));
    Ok(())
}

/// The row on crash loops.
pub fn crashes(bench: &Bench, report: &mut Report) -> Result<()> {
    const SERVICES: usize = 50;
    let period = Duration::from_secs(if bench.quick { 4 } else { 8 });
    let [samples] = interleave(bench, "crash loop", bench.rounds(2), |contender| {
        // supervisord gives up after three crashes.
        let Some(found) = contender.suite.filter(|suite| suite.has_supervisors()) else { return Ok(None) };
        let mut world = World::running(found, &bench.helpers.crash, SERVICES)?;
        thread::sleep(Duration::from_millis(1_500));
        let mut pids = suite(world.scanner()?, true);
        pids.retain(|pid| Some(*pid) != world.scanner().ok());
        world.started.read()?;
        let (begin, before) = (Instant::now(), cpu(&pids)?);
        thread::sleep(period.saturating_sub(begin.elapsed()));
        let used = cpu(&pids)? - before;
        let restarts = world.started.read()?.len();
        ensure!(unchanged(world.scanner()?, &pids), "a supervisor ended");
        ensure!(restarts >= SERVICES, "only {restarts} restarts");
        Ok(Some([used / restarts as f64]))
    });
    let what = "crash loop: the supervisor's CPU for each restart";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.60)));
    Ok(())
}
