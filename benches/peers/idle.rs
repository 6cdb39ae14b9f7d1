//! The cost of supervision while nothing happens, and while a service crashes again and again.

use std::io::PipeWriter;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::logger::keeper;
use crate::process::{cpu, sleeps, suite, unchanged};
use crate::samples::{Samples, interleave};
use crate::scratch::{Process, Scratch};
use crate::suites::Suite;
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

/// Who waits.
const WAITING: [&str; 3] = ["scanner and supervisors", "a logger", "a hupwatch"];
/// Services of each scanner.
const SERVICES: usize = 100;

/// What runs of a suite while nothing happens.
struct Waiting {
    world: World,
    logger: Option<(Process, PipeWriter)>,
    hupwatch: Option<Process>,
    _scratch: Scratch,
}

impl Waiting {
    fn start(bench: &Bench, suite: &Suite) -> Result<Waiting> {
        let scratch = Scratch::in_memory()?;
        let world = World::running(suite, &bench.helpers.service, SERVICES)?;
        let (reader, writer) = std::io::pipe().context("unable to make a pipe")?;
        let logger = keeper(suite, 10, 99_999, &scratch.mkdir("log")?)?;
        let logger = logger.map(|mut logger| Process::start_as_is(logger.stdin(reader))).transpose()?;
        let mut hupwatch = suite.command("hupwatch", ["--".as_ref(), bench.helpers.service.as_os_str()]);
        hupwatch.current_dir(scratch.mkdir("hupwatch")?);
        let hupwatch = suite.is_ours().then(|| Process::start(&mut hupwatch)).transpose()?;
        Ok(Waiting { world, logger: logger.map(|logger| (logger, writer)), hupwatch, _scratch: scratch })
    }

    /// How often each of [`WAITING`] was woken; `None` for one that this suite has not.
    fn wakeups(&self, suite_of: &Suite) -> Result<[Option<f64>; 3]> {
        let of = |process: &Process| sleeps(&[process.pid()]);
        let supervision = sleeps(&suite(self.world.scanner()?, suite_of.has_supervisors()))?;
        let logger = self.logger.as_ref().map(|(logger, _)| of(logger)).transpose()?;
        Ok([Some(supervision), logger, self.hupwatch.as_ref().map(of).transpose()?])
    }
}

/// The rows on wakeups: all suites at the same time, since nothing else happens.
pub fn wakeups(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut waiting = Vec::new();
    for (index, suite) in bench.suites.iter().enumerate() {
        match Waiting::start(bench, suite) {
            Ok(started) => waiting.push((index, started)),
            Err(error) => bench.note(format!("wakeups, {}: not measured: {error:#}", suite.name)),
        }
    }
    let period = Duration::from_secs(if bench.quick { 12 } else { 30 });
    thread::sleep(Duration::from_secs(6));
    let count = |(index, waiting): &(usize, Waiting)| waiting.wakeups(&bench.suites[*index]);
    let before = waiting.iter().map(count).collect::<Result<Vec<_>>>()?;
    thread::sleep(period);
    let after = waiting.iter().map(count).collect::<Result<Vec<_>>>()?;
    let mut samples: [Samples; 3] = std::array::from_fn(|_| Samples(vec![Vec::new(); bench.suites.len() + 1]));
    for (((index, _), before), after) in waiting.iter().zip(before).zip(after) {
        for (samples, counts) in samples.iter_mut().zip(before.into_iter().zip(after)) {
            if let (Some(before), Some(after)) = counts {
                samples.0[*index].push((after - before) * 60.0 / period.as_secs_f64());
            }
        }
    }
    for (who, samples) in WAITING.into_iter().zip(samples) {
        let services = if who == WAITING[0] { format!(", {SERVICES} services") } else { String::new() };
        let what = format!("idle wakeups of {who} a minute{services}");
        report.add(Row::new(what, "", Better::Less, samples, Target::AtMost(0.0)));
    }
    Ok(())
}

/// The row on crash loops.
pub fn crashes(bench: &Bench, report: &mut Report) -> Result<()> {
    const CRASHING: usize = 50;
    let period = Duration::from_secs(if bench.quick { 4 } else { 8 });
    let [samples] = interleave(bench, "crash loop", bench.rounds(2), |contender| {
        // supervisord gives up after three crashes.
        let Some(found) = contender.suite.filter(|suite| suite.has_supervisors()) else { return Ok(None) };
        let mut world = World::running(found, &bench.helpers.crash, CRASHING)?;
        thread::sleep(Duration::from_millis(1_500));
        let mut pids = suite(world.scanner()?, true);
        pids.retain(|pid| Some(*pid) != world.scanner().ok());
        world.started.read()?;
        let (begin, before) = (Instant::now(), cpu(&pids)?);
        thread::sleep(period.saturating_sub(begin.elapsed()));
        let used = cpu(&pids)? - before;
        let restarts = world.started.read()?.len();
        ensure!(unchanged(world.scanner()?, &pids), "a supervisor ended");
        ensure!(restarts >= CRASHING, "only {restarts} restarts");
        Ok(Some([used / restarts as f64]))
    });
    let what = "crash loop: the supervisor's CPU for each restart";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.60)));
    Ok(())
}
