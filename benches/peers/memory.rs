//! The memory of supervision: the scanner and all supervisors, divided by the number of services. The services themselves are
//! not counted.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::process::{Memory, memory, suite};
use crate::samples::interleave;
use crate::suites::Suite;
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

const SERVICES: usize = 200;

/// The rows on memory.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let [private, all] = interleave(bench, "memory", bench.rounds(2), |contender| {
        let Some(suite) = contender.suite else { return Ok(None) };
        if contender.is_slow_again() {
            return Ok(None);
        }
        let world = World::running(suite, &bench.helpers.service, SERVICES)?;
        let each = each(suite, &world, SERVICES)?;
        Ok(Some([each.private, each.all]))
    });
    let row =
        |name: &str, samples, target| Row::new(format!("{name}, N = {SERVICES}"), "kB", Better::Less, samples, target);
    report.add(row("private memory for each service", private, Target::Ratio(0.65, 0.38)));
    report.add(row("private + page tables + kernel stack", all, Target::Ratio(0.80, 0.60)));
    Ok(())
}

/// The memory for each service of a world in which all services run.
pub fn each(suite_of: &Suite, world: &World, services: usize) -> Result<Memory> {
    // The last supervisors may still be busy after their start.
    thread::sleep(Duration::from_millis(500));
    let sum = memory(&suite(world.scanner()?, suite_of.has_supervisors()))?;
    Ok(Memory { private: sum.private / services as f64, all: sum.all / services as f64 })
}
