//! The memory of supervision: the scanner and all supervisors, divided by the number of services; a supervisor by itself; and the scanner by
//! itself, its anonymous pages in one row and the pages of its file in another. The services themselves are not counted.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Bench;
use crate::process::{children, memory, suite};
use crate::samples::{Contender, interleave};
use crate::suites::Suite;
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

const SERVICES: usize = 200;
/// How many services a scanner has that is measured by itself.
const SCANNED: [usize; 3] = [1, 100, 500];

/// The rows on memory.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let [private, all, unshared, tables, stack] = interleave(bench, "memory", bench.rounds(2), |contender| {
        let Some(suite) = contender.suite else { return Ok(None) };
        if contender.is_slow_again() {
            return Ok(None);
        }
        let world = World::running(suite, &bench.helpers.service, SERVICES)?;
        let private = private(suite, &world, SERVICES)?;
        let all = memory(&crate::process::suite(world.scanner()?, suite.has_supervisors()))?.all() / SERVICES as f64;
        let supervisors = if suite.has_supervisors() { children(world.scanner()?) } else { vec![world.scanner()?] };
        let each = memory(&supervisors)?;
        let [unshared, tables, stack] = [each.unshared, each.tables, each.stack].map(|sum| sum / each.processes);
        Ok(Some([private, all, unshared, tables, stack]))
    });
    let row =
        |name: &str, samples, target| Row::new(format!("{name}, N = {SERVICES}"), "kB", Better::Less, samples, target);
    report.add(row("private memory for each service", private, Target::Ratio(0.65, 0.38)));
    report.add(row("private + page tables + kernel stack", all, Target::Ratio(0.80, 0.60)));
    report.add(row("a supervisor: pages that no other process maps", unshared, Target::None));
    report.add(row("a supervisor: page tables", tables, Target::None));
    report.add(row("a supervisor: addresses of the stack", stack, Target::None));
    SCANNED.into_iter().for_each(|services| scanner(bench, report, services));
    Ok(())
}

/// The rows on the scanner: its file, which takes the same whatever it scans, only once.
fn scanner(bench: &Bench, report: &mut Report, services: usize) {
    let [anonymous, files] = interleave(bench, "scanner", bench.rounds(2), |Contender { suite, .. }| {
        let Some(suite) = suite.filter(|suite| suite.has_supervisors()) else { return Ok(None) };
        let world = World::running(suite, &bench.helpers.service, services)?;
        rest();
        let own = memory(&[world.scanner()?])?;
        Ok(Some([own.private, own.files]))
    });
    let row = |name: String, samples| Row::new(name, "kB", Better::Less, samples, Target::None);
    report.add(row(format!("the scanner of {services} services: anonymous pages"), anonymous));
    if Some(&services) == SCANNED.last() {
        report.add(row(format!("the scanner of {services} services: pages of its file"), files));
    }
}

/// Anonymous pages in kB for each service of a world in which all run.
pub fn private(suite_of: &Suite, world: &World, services: usize) -> Result<f64> {
    rest();
    Ok(memory(&suite(world.scanner()?, suite_of.has_supervisors()))?.private / services as f64)
}

/// Waits until the last supervisors have finished their start.
fn rest() {
    thread::sleep(Duration::from_millis(500));
}
