//! How soon a suite reacts: to a new link, to a death, to a command, to svstat.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use sys::clock::monotonic;
use sys::process::{Pid, Signal, kill};

use crate::Bench;
use crate::samples::{Contender, Samples, interleave};
use crate::scratch::{Process, Scratch};
use crate::started::{Started, milliseconds};
use crate::suites::{Family, Suite};
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

/// Services in each world whose services are killed or commanded, one after the other.
const SERVICES: usize = 30;
/// The age of a service from which on every suite starts it again without a pause.
pub const SETTLED: Duration = Duration::from_millis(2_500);
/// Suites that poll do so this often.
const POLL: Duration = Duration::from_secs(5);

/// Worlds of all suites at the same time, by the suite's index.
type Worlds = HashMap<usize, World>;

/// Starts a world for each suite for which `wanted` returns true.
fn worlds(bench: &Bench, what: &str, services: usize, wanted: impl Fn(&Suite) -> bool) -> Worlds {
    let mut worlds = Worlds::new();
    for (index, suite) in bench.suites.iter().enumerate().filter(|(_, suite)| wanted(suite)) {
        match World::running(suite, &bench.helpers.service, services) {
            Ok(world) => drop(worlds.insert(index, world)),
            Err(error) => bench.note(format!("{what}, {}: not measured: {error:#}", suite.name)),
        }
    }
    worlds
}

/// The row on new links. For suites that poll, links are made in all worlds at the same time, at times that are spread evenly
/// over the polling period.
pub fn new_link(bench: &Bench, report: &mut Report) -> Result<()> {
    let rounds = bench.rounds(8);
    let mut worlds = worlds(bench, "new link", 10, |suite| suite.family != Family::Supervisord);
    let mut polled = Samples(vec![Vec::new(); bench.suites.len()]);
    for round in 0..rounds {
        thread::sleep(POLL.mul_f64((round as f64 + 0.5) / rounds as f64));
        let mut begun = Vec::new();
        for (index, world) in worlds.iter_mut().filter(|(index, _)| bench.suites[**index].polls()) {
            begun.push((*index, link(world, 100 + round)?));
        }
        for (index, begin) in begun {
            let world = worlds.get_mut(&index).context("no world")?;
            polled.0[index].push(world.started.next_after(begin)?);
        }
    }
    let [mut samples] = interleave(bench, "new link", 2 * rounds, |Contender { index, suite, round }| {
        let (Some(suite), Some(world)) = (suite.filter(|suite| !suite.polls()), worlds.get_mut(&index)) else {
            return Ok(None);
        };
        let begin = link(world, 1_000 + round)?;
        let rescan = suite.rescan(&world.scan()).map(|mut command| Process::start(&mut command)).transpose()?;
        let time = world.started.next_after(begin)?;
        rescan.map(Process::end).transpose()?;
        Ok(Some([time]))
    });
    samples.0.iter_mut().zip(polled.0).for_each(|(all, polled)| all.extend(polled));
    let row = Row::new(
        "new link until `run` executes (s6: by a rescan command)",
        "ms",
        Better::Less,
        samples,
        Target::AtMost(5.0),
    );
    report.add(row);
    Ok(())
}

/// Makes a service and links it. Returns when the link was made.
fn link(world: &World, number: usize) -> Result<u64> {
    let service = world.make(number)?;
    let begin = monotonic();
    world.link(&service, number)?;
    Ok(begin)
}

/// The row on deaths.
pub fn restart(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut worlds = worlds(bench, "restart", SERVICES, |_| true);
    let scratch = Scratch::in_memory()?;
    let mut loop_started = Started::make(&scratch.path("started"))?;
    thread::sleep(SETTLED);
    let [samples] = interleave(bench, "restart", SERVICES, |Contender { index, suite, round }| {
        if suite.is_none() {
            return bare_loop(bench, &mut loop_started, false).map(|time| Some([time]));
        }
        let Some(world) = worlds.get_mut(&index) else { return Ok(None) };
        Ok(Some([killed(world, round)?]))
    });
    let what = "restart after SIGKILL of a service up for more than 2 s";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.60)));
    Ok(())
}

/// Waits, so that one measurement does not disturb the next.
pub fn rest() {
    thread::sleep(Duration::from_millis(10));
}

/// Kills the first process of a service, and returns the milliseconds until the next one runs.
pub fn killed(world: &mut World, service: usize) -> Result<f64> {
    let victim = world.first[service].pid;
    rest();
    let begin = monotonic();
    kill(Pid::from_raw(victim), Signal::SIGKILL).context("unable to kill a service")?;
    world.started.next_after(begin)
}

/// The floor: a program that waits for its child and starts it again, perhaps after another program.
pub fn bare_loop(bench: &Bench, started: &mut Started, finishes: bool) -> Result<f64> {
    let child = Process::start_as_is(&mut crate::start::service(bench, started))?;
    started.wait(1)?;
    rest();
    let begin = monotonic();
    kill(Pid::from_raw(child.pid()), Signal::SIGKILL).context("unable to kill a service")?;
    let _ = child.end();
    if finishes {
        Process::start_as_is(Command::new(&bench.helpers.nothing).env_clear())?.end()?;
    }
    let _again = Process::start_as_is(&mut crate::start::service(bench, started))?;
    started.next_after(begin)
}

/// The row on `svc -t`.
pub fn terminate(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut worlds = worlds(bench, "svc -t", SERVICES, |suite| suite.has_supervisors());
    thread::sleep(SETTLED);
    let [samples] = interleave(bench, "svc -t", SERVICES, |Contender { index, suite, round }| {
        let (Some(suite), Some(world)) = (suite, worlds.get_mut(&index)) else { return Ok(None) };
        let service = world.service(round);
        let Some(mut command) = suite.terminate(&service) else { return Ok(None) };
        rest();
        let begin = monotonic();
        let client = Process::start(&mut command)?;
        let time = world.started.next_after(begin)?;
        client.end()?;
        Ok(Some([time]))
    });
    let what = "`svc -t` until the new instance runs";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.55)));
    Ok(())
}

/// The row on svstat.
pub fn status(bench: &Bench, report: &mut Report) -> Result<()> {
    const MANY: usize = 500;
    let worlds = worlds(bench, "svstat", MANY, |suite| suite.has_supervisors());
    thread::sleep(Duration::from_secs(1));
    let [samples] = interleave(bench, "svstat", bench.rounds(25), |Contender { index, suite, .. }| {
        let (Some(suite), Some(world)) = (suite, worlds.get(&index)) else { return Ok(None) };
        Ok(Some([ask(suite, world, MANY)?]))
    });
    let what = "svstat of 500 services (s6: 500 commands)";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::Ratio(0.80, 0.70)));
    Ok(())
}

/// The time to ask for the state of all services of a world, in milliseconds.
pub fn ask(suite: &Suite, world: &World, services: usize) -> Result<f64> {
    let names: Vec<PathBuf> = (0..services).map(|number| Path::new("./").join(format!("s{number}"))).collect();
    let commands = suite.status(&names);
    let said = fs::File::create(world.scan().join(".said")).context("unable to make a file")?;
    let begin = monotonic();
    for mut command in commands {
        command.current_dir(world.scan()).stdout(said.try_clone().context("unable to duplicate a descriptor")?);
        Process::start_as_is(&mut command)?.end()?;
    }
    let time = milliseconds(begin, monotonic());
    let said = fs::read_to_string(world.scan().join(".said")).context("unable to read the states")?;
    let up = said.lines().filter(|line| line.contains("up (pid") || line.starts_with("run: ")).count();
    anyhow::ensure!(up == services, "{up} of {services} services are shown as up");
    Ok(time)
}
