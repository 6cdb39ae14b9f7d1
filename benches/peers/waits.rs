//! The time from the moment in which a service is ready until each of those that wait for it has exec'ed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::stat::Mode;
use sys::clock::monotonic;

use crate::Bench;
use crate::samples::interleave;
use crate::started::{DEADLINE, milliseconds};
use crate::suites::{Origin, Suite};
use crate::table::{Better, Report, Row, Target};
use crate::world::{File, World};

const SERVICES: usize = 1_000;
/// The service that is waited for. It says that it is ready when it is told.
const AWAITED: &str = "awaited";
const RUN: &str = "#!/bin/sh\nread go <go\necho >&3\nexec sleep 1000\n";
/// The interval at which svstat is asked whether all wait.
const LOOK: Duration = Duration::from_millis(50);

/// The row on waiting.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let what = format!("{SERVICES} services that wait for one: from its readiness until each has exec'ed");
    let [samples] = interleave(bench, &what, bench.rounds(7), |contender| {
        let Some(suite) = contender.suite.filter(|suite| suite.origin == Origin::Now) else {
            return Ok(None);
        };
        let mut world =
            World::furnished(&bench.helpers.service, &[File::Text("dependencies.d/awaited", "")], SERVICES)?;
        let go = add_awaited(&world)?;
        world.scan_with(suite)?;
        wait_waiting(&world, suite)?;
        let begin = monotonic();
        fs::write(go, "\n").context("unable to tell the service that is waited for")?;
        let starts = world.started.wait(SERVICES)?;
        Ok(Some([milliseconds(begin, starts.iter().map(|start| start.at).max().unwrap_or(begin))]))
    });
    report.add(Row::new(what, "ms", Better::Less, samples, Target::AtMost(300.0)));
    Ok(())
}

/// Adds the service that is waited for. Returns the FIFO by which it is told.
fn add_awaited(world: &World) -> Result<PathBuf> {
    let directory = world.service(0).with_file_name(AWAITED);
    let run = directory.join("run");
    let add = || -> std::io::Result<PathBuf> {
        fs::create_dir(&directory)?;
        fs::write(directory.join("notification-fd"), "3\n")?;
        fs::write(&run, RUN)?;
        fs::set_permissions(&run, Permissions::from_mode(0o755))?;
        let go = directory.join("go");
        nix::unistd::mkfifo(&go, Mode::from_bits_truncate(0o600))?;
        symlink(&directory, world.scan().join(AWAITED))?;
        Ok(go)
    };
    add().context("unable to make the service that is waited for")
}

/// Waits until all others wait for it.
fn wait_waiting(world: &World, suite: &Suite) -> Result<()> {
    let services: Vec<PathBuf> = (0..SERVICES).map(|number| world.service(number)).collect();
    let begin = Instant::now();
    loop {
        let shown = suite.command("svstat", &services).output().context("unable to run svstat")?;
        let waiting = String::from_utf8_lossy(&shown.stdout).matches(", waiting for awaited\n").count();
        if waiting == SERVICES {
            return Ok(());
        }
        ensure!(begin.elapsed() < DEADLINE, "{waiting} of {SERVICES} services wait");
        thread::sleep(LOOK);
    }
}
