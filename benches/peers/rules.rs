//! What the files cost that say what follows an end: a restart with a `finish`, beside the others that have one, and each file of ours against none.
//!
//! A restart is timed as in `control`, by a SIGKILL of a service that is up for more than two seconds. `finish` and `health` are a program that ends at once. System calls are those
//! of supervise and of all processes that it starts, until the next `run` runs and a moment longer. Memory is that of supervises each of which has restarted its
//! service, and has run `health` where that is there.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Bench;
use crate::control::{SETTLED, bare_loop, killed};
use crate::process::{children, memory};
use crate::samples::{Contender, Samples, interleave, median};
use crate::scratch::Scratch;
use crate::started::Started;
use crate::suites::{Family, Origin, Suite};
use crate::table::{Better, Report, Row, Table, Target, figure};
use crate::trace::{Whose, calls};
use crate::world::{File, World};

/// Services with each rule.
const SERVICES: usize = 20;
/// Of how many of them the system calls are counted.
const TRACED: usize = 3;
/// How long system calls are counted after the start of `run`.
const MOMENT: Duration = Duration::from_millis(300);

/// The row on `finish`.
pub fn finish(bench: &Bench, report: &mut Report) -> Result<()> {
    let files = [File::Program("finish", bench.helpers.nothing.clone())];
    let mut worlds: Vec<Option<World>> = Vec::new();
    for suite in &bench.suites {
        let has_finish = suite.is_ours() || matches!(suite.family, Family::Runit | Family::S6);
        worlds.push(has_finish.then(|| running(bench, suite, &files)).transpose()?);
    }
    let scratch = Scratch::in_memory()?;
    let mut loop_started = Started::make(&scratch.path("started"))?;
    thread::sleep(SETTLED);
    let [samples] = interleave(bench, "finish", bench.rounds(SERVICES), |Contender { index, suite, round }| {
        if suite.is_none() {
            return bare_loop(bench, &mut loop_started, true).map(|time| Some([time]));
        }
        let Some(world) = &mut worlds[index] else { return Ok(None) };
        Ok(Some([killed(world, round)?]))
    });
    let what = "restart after SIGKILL with a `finish`";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.60)));
    Ok(())
}

fn running(bench: &Bench, suite: &Suite, files: &[File]) -> Result<World> {
    let mut world = World::furnished(&bench.helpers.service, files, SERVICES)?;
    world.launch(suite)?;
    Ok(world)
}

/// What a service has beside `run`, and what that is called in the table.
fn kinds(nothing: PathBuf) -> Vec<(&'static str, Vec<File>)> {
    let finish = File::Program("finish", nothing.clone());
    let backoff = File::Text("backoff", "1m\n");
    let finals = File::Text("final-exits", "0,100-103,SIGSEGV\n");
    let limit = File::Text("max-restarts", "100/1m\n");
    let tally = File::Text("max-death-tally", "100\n");
    let health = [File::Program("health", nothing.clone()), File::Text("health-interval", "1s\n")];
    let [start, stop] = ["start", "stop"].map(|name| File::Program(name, nothing.clone()));
    let [mixed, group, tree] = ["mixed\n", "group\n", "tree\n"].map(|mode| File::Text("kill-mode", mode));
    let ready = [File::Text("notification-fd", "9\n"), File::Text("timeout-ready", "10m\n")];
    let mut all = vec![finish.clone(), backoff.clone(), finals.clone(), limit.clone(), tally.clone()];
    all.extend(health.clone());
    vec![
        ("none", Vec::new()),
        ("finish", vec![finish]),
        ("backoff", vec![backoff]),
        ("final-exits", vec![finals]),
        ("max-restarts", vec![limit]),
        ("max-death-tally", vec![tally]),
        ("health", health.into()),
        ("start, stop", vec![start, stop]),
        ("control/t", vec![File::Program("control/t", nothing.clone())]),
        ("notify", vec![File::Program("notify", nothing)]),
        ("kill-mode mixed", vec![mixed]),
        ("kill-mode group", vec![group]),
        ("kill-mode tree", vec![tree]),
        // A name that begins with a dot is no limit.
        ("cgroup/", vec![File::Text("cgroup/.none", "")]),
        ("timeout-ready", ready.into()),
        ("essential", vec![File::Text("essential", "")]),
        ("finish to health", all),
    ]
}

/// The table on each rule.
pub fn rules(bench: &Bench, report: &mut Report) -> Result<()> {
    let kinds = kinds(bench.helpers.nothing.clone());
    let mut columns = Vec::new();
    let mut cells = vec![Vec::new(); kinds.len()];
    for suite in bench.of(Origin::Now).into_iter().map(|index| &bench.suites[index]) {
        let shown = ["restart, ms", "to none", "system calls", "private memory of a supervise, kB"];
        columns.extend(shown.map(|shown| format!("{}: {shown}", suite.name)));
        let mut worlds = kinds.iter().map(|(_, files)| running(bench, suite, files)).collect::<Result<Vec<_>>>()?;
        thread::sleep(SETTLED);
        let times = restarts(&mut worlds)?;
        for (place, world) in worlds.iter_mut().enumerate() {
            let [calls, private] = after(bench, world)?;
            let ratio = times.ratio(place, 0);
            cells[place].extend([median(&times.0[place]), ratio, calls, private].map(figure));
        }
    }
    let mut table = Table::new("What each rule costs a service of ours that has it", columns);
    for ((name, _), cells) in kinds.into_iter().zip(cells) {
        table.add(name, cells);
    }
    report.table(table);
    Ok(())
}

/// Restarts all services but the last [`TRACED`] of each world, in turn. Returns the times by the place of the world.
fn restarts(worlds: &mut [World]) -> Result<Samples> {
    let mut samples = Samples(vec![Vec::new(); worlds.len()]);
    for service in 0..SERVICES - TRACED {
        for place in (0..worlds.len()).map(|place| (place + service) % worlds.len()).collect::<Vec<_>>() {
            samples.0[place].push(killed(&mut worlds[place], service)?);
        }
    }
    Ok(samples)
}

/// The system calls of a restart, and the memory in kB of a supervise that has made one.
fn after(bench: &Bench, world: &mut World) -> Result<[Option<f64>; 2]> {
    // So that `health` has been run.
    thread::sleep(Duration::from_millis(2_500));
    let supervises = children(world.scanner()?);
    let last = SERVICES - TRACED..SERVICES;
    let of = |service: &i32| supervises.iter().copied().find(|&supervise| children(supervise).contains(service));
    let traced: Vec<i32> = world.first[last.clone()].iter().filter_map(|start| of(&start.pid)).collect();
    ensure!(traced.len() == TRACED, "nobody supervises a service");
    let others: Vec<i32> = supervises.into_iter().filter(|supervise| !traced.contains(supervise)).collect();
    let each = memory(&others)?;
    let mut counts = Vec::new();
    for (service, supervise) in last.zip(traced) {
        let restart = || {
            killed(world, service)?;
            // What is started then has been: strace that is to end while one of its processes is made may wait for ever.
            thread::sleep(MOMENT);
            Ok(())
        };
        counts.extend(calls(bench, "a restart", supervise, Whose::Children, restart)?);
    }
    Ok([median(&counts), Some(each.private / each.processes)])
}
