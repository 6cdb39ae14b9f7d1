//! The time from the start of the scanner until every service has exec'ed.

use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::samples::interleave;
use crate::scratch::{Process, Scratch};
use crate::started::{Started, milliseconds};
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

/// The rows on starting.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for services in [100, 500, 1_000] {
        let what = format!("start {services} services until each has exec'ed");
        let [samples] = interleave(bench, &what, bench.rounds(7), |contender| {
            let Some(suite) = contender.suite else {
                return bare(bench, services).map(|time| Some([time]));
            };
            if contender.is_slow_again() || !suite.has_supervisors() && services > 100 {
                return Ok(None);
            }
            let mut world = World::prepare(&bench.helpers.service, services)?;
            Ok(Some([world.launch(suite)?]))
        });
        report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.75, 0.50)));
    }
    Ok(())
}

/// The floor: only a posix_spawn for each service.
fn bare(bench: &Bench, count: usize) -> Result<f64> {
    let scratch = Scratch::in_memory()?;
    let mut started = Started::make(&scratch.path("started"))?;
    let begin = sys::clock::monotonic();
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        children.push(Process::start_as_is(&mut service(bench, &started))?);
    }
    let starts = started.wait(count)?;
    Ok(milliseconds(begin, starts.iter().map(|start| start.at).max().unwrap_or(begin)))
}

/// The service itself, without any supervision.
pub fn service(bench: &Bench, started: &Started) -> Command {
    let mut command = Command::new(&bench.helpers.service);
    command.arg(&started.path).env_clear();
    command
}
