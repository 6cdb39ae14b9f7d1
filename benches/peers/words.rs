//! The words of `uphold` beside what the others type: the state of all services, and the last lines of a log of one gigabyte.
//!
//! `uphold status` shows more than the others: state, times, starts, last exit, processor and memory of each process. s6 has a command for each service. The
//! floor of the log is `tail`, which has to be told the file. The log lies where temporary files do, and has just been written.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sys::clock::monotonic;

use crate::Bench;
use crate::control::rest;
use crate::local::stamped;
use crate::samples::{Contender, interleave};
use crate::scratch::{Process, Scratch};
use crate::started::milliseconds;
use crate::suites::{Family, Origin, Suite};
use crate::table::{Better, Report, Row, Target};
use crate::world::World;

/// Services of which the state is asked.
const SERVICES: usize = 500;
/// Lines of 100 bytes in each file of the log, and its files: as much as multilog's greatest file has.
const LINES: i64 = 160_000;
const FILES: i64 = 64;

/// The row on the state of all services.
pub fn status(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut worlds = Vec::new();
    for suite in &bench.suites {
        let has_words = suite.origin != Origin::Before;
        worlds.push(has_words.then(|| World::running(suite, &bench.helpers.service, SERVICES)).transpose()?);
    }
    let [samples] =
        interleave(bench, "uphold status", bench.rounds(15), |contender @ Contender { index, suite, .. }| {
            let (Some(suite), Some(Some(world))) = (suite, worlds.get(index)) else { return Ok(None) };
            if contender.is_slow_again() {
                return Ok(None);
            }
            Ok(Some([ask(suite, world, SERVICES)?]))
        });
    let what = "`uphold status` of 500 services (svstat, sv status, 500 s6-svstat, supervisorctl)";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::None));
    Ok(())
}

/// The time in which a person is shown the state of all services of a world, in milliseconds.
pub fn ask(suite: &Suite, world: &World, services: usize) -> Result<f64> {
    if suite.origin == Origin::Installed && suite.family != Family::Supervisord {
        return crate::control::ask(suite, world, services);
    }
    let (mut command, up) = match suite.family {
        Family::Supervisord => {
            let configuration = world.configuration();
            (suite.command("supervisorctl", ["-c".as_ref(), configuration.as_os_str(), "status".as_ref()]), " RUNNING ")
        }
        _ => (suite.command("uphold", ["-C".as_ref(), world.scan().as_os_str(), "status".as_ref()]), " up "),
    };
    rest();
    let said = world.scan().join(".said");
    command.stdout(File::create(&said).context("unable to make a file")?);
    let begin = monotonic();
    Process::start_as_is(&mut command)?.end()?;
    let time = milliseconds(begin, monotonic());
    let said = fs::read_to_string(said).context("unable to read the states")?;
    let shown = said.lines().filter(|line| line.contains(up)).count();
    ensure!(shown == services, "{shown} of {services} services are shown as up");
    Ok(time)
}

/// The row on the end of a log.
pub fn log(bench: &Bench, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new()?;
    let dir = written(&scratch)?;
    let [samples] = interleave(bench, "uphold log", bench.rounds(15), |Contender { suite, .. }| {
        let mut command = match suite {
            Some(suite) if suite.origin == Origin::Now => suite.command(
                "uphold",
                ["-C".as_ref(), scratch.path("scan").as_os_str(), "log".as_ref(), "-n20".as_ref(), "web".as_ref()],
            ),
            Some(_) => return Ok(None),
            None => {
                let mut tail = Command::new("tail");
                tail.arg("-n20").arg(dir.join("current"));
                tail
            }
        };
        let said = scratch.path("said");
        command.stdout(File::create(&said).context("unable to make a file")?);
        rest();
        let begin = monotonic();
        Process::start_as_is(&mut command)?.end()?;
        let time = milliseconds(begin, monotonic());
        let said = fs::read_to_string(said).context("unable to read the lines")?;
        let last = format!("/articles/{} ", FILES * LINES - 1);
        ensure!(
            said.lines().count() == 20 && said.lines().last().is_some_and(|line| line.contains(&last)),
            "not the last twenty lines"
        );
        Ok(Some([time]))
    });
    let what = "`uphold log -n 20` of a service with 1 GB of log (floor: tail of the file)";
    report.add(Row::new(what, "ms", Better::Less, samples, Target::AtMost(20.0)));
    Ok(())
}

/// Writes a service with its log. Returns the directory of the log.
fn written(scratch: &Scratch) -> Result<PathBuf> {
    let dir = scratch.mkdir("scan/web/log/main")?;
    script(&scratch.path("scan/web/run"), "#!/bin/sh\nexec sleep 1000\n")?;
    script(&scratch.path("scan/web/log/run"), "#!/bin/sh\nexec multilog t s16777215 n100 ./main\n")?;
    for file in 0..FILES {
        let text = stamped(file * LINES, LINES);
        // An old file is called by the time of its last line or a later one.
        let label = tai::Label::from_unix(1_700_000_000 + (file + 1) * LINES / 1_000, 0).text();
        let name =
            if file == FILES - 1 { "current".to_owned() } else { format!("{}.s", String::from_utf8_lossy(&label)) };
        let mut to = BufWriter::new(File::create(dir.join(name)).context("unable to make a log")?);
        to.write_all(&text).and_then(|()| to.flush()).context("unable to write a log")?;
    }
    Ok(dir)
}

fn script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).context("unable to write a script")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("unable to make a script executable")
}
