//! The cost of one program of an exec chain: `TOOL ... PROGRAM` is started and waited for, again and again.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use sys::clock::monotonic;

use crate::Bench;
use crate::samples::{Contender, Samples, interleave, median};
use crate::scratch::{Process, Scratch};
use crate::suites::{Family, Suite};
use crate::table::{Better, Report, Row, Table, Target, figure};

const TOOLS: [&str; 7] = ["setuidgid", "envuidgid", "envdir", "softlimit", "setlock", "pgrphack", "fghack"];

/// The rows on exec chains.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let scratch = Scratch::in_memory()?;
    let envdir = scratch.mkdir("env")?;
    for number in 0..10 {
        fs::write(envdir.join(format!("VARIABLE{number}")), format!("value {number}\n")).context("unable to write")?;
    }
    let batch = if bench.quick { 60 } else { 150 };
    let mut net = Table::new("Exec: the same less the floor, in us", bench.names());
    for tool in TOOLS {
        if tool == "setuidgid" && !nix::unistd::geteuid().is_root() {
            bench.note("setuidgid: not measured: needs root".to_owned());
            continue;
        }
        let [samples] = interleave(bench, tool, bench.rounds(9), |Contender { suite, .. }| {
            let words = match suite {
                Some(suite) => words(suite, tool, &scratch.path("")),
                None => Some((Command::new(&bench.helpers.nothing), Vec::new())),
            };
            let Some((mut command, words)) = words else { return Ok(None) };
            command.env_clear().env("PATH", "/usr/bin:/bin").args(words);
            if suite.is_some() {
                command.arg(&bench.helpers.nothing);
            }
            one(&mut command, batch).map(|time| Some([time]))
        });
        net.add(tool, less_floor(bench, &samples));
        let what = match tool {
            "envdir" => "one exec: envdir (10 variables)".to_owned(),
            other => format!("one exec: {other}"),
        };
        // fghack waits for its child: it is no exec, but a fork more.
        let target = if tool == "fghack" { Target::None } else { Target::Ratio(0.80, 0.30) };
        report.add(Row::new(what, "us", Better::Less, samples, target));
    }
    report.table(net);
    Ok(())
}

fn less_floor(bench: &Bench, samples: &Samples) -> Vec<String> {
    let net = samples.less(bench.floor());
    (0..bench.suites.len()).map(|index| figure(net.median(index))).collect()
}

/// The time of one call in microseconds, the median of a batch.
fn one(command: &mut Command, batch: usize) -> Result<f64> {
    let mut times = Vec::with_capacity(batch);
    for _ in 0..batch {
        let begin = monotonic();
        Process::start_as_is(command)?.end()?;
        times.push((monotonic() - begin) as f64 / 1e3);
    }
    median(&times).context("an empty batch")
}

/// The tool in this suite and its arguments, without the program.
fn words(suite: &Suite, tool: &str, scratch: &Path) -> Option<(Command, Vec<OsString>)> {
    let envdir = scratch.join("env");
    let lock = scratch.join("lock");
    let arguments: Vec<OsString> = match tool {
        "setuidgid" | "envuidgid" => vec!["nobody".into()],
        "envdir" => vec![envdir.into()],
        "softlimit" => vec!["-o".into(), "100".into()],
        "setlock" => vec![lock.into()],
        _ => Vec::new(),
    };
    let (program, option) = match (suite.family, tool) {
        (Family::Daemontools, _) => (tool.to_owned(), None),
        (Family::S6, "pgrphack") => ("s6-setsid".to_owned(), None),
        (Family::S6 | Family::Runit, "fghack") => return None,
        (Family::S6, _) => (format!("s6-{tool}"), None),
        (Family::Runit, "setuidgid") => ("chpst".to_owned(), Some("-u")),
        (Family::Runit, "envuidgid") => ("chpst".to_owned(), Some("-U")),
        (Family::Runit, "envdir") => ("chpst".to_owned(), Some("-e")),
        (Family::Runit, "setlock") => ("chpst".to_owned(), Some("-l")),
        (Family::Runit, "pgrphack") => ("chpst".to_owned(), Some("-P")),
        (Family::Runit, _) => ("chpst".to_owned(), None),
        (Family::Supervisord, _) => return None,
    };
    let words = option.map(OsString::from).into_iter().chain(arguments).collect();
    Some((Command::new(suite.programs.join(program)), words))
}
