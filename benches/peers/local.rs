//! tai64nlocal: turns stamps into local time.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sys::clock::monotonic;
use tai::Label;

use crate::Bench;
use crate::samples::{Contender, interleave};
use crate::scratch::{Process, Scratch};
use crate::started::milliseconds;
use crate::suites::Family;
use crate::table::{Better, Report, Row, Target};

/// The row on tai64nlocal.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let scratch = Scratch::in_memory()?;
    let log = scratch.path("log");
    let text = stamped(0, if bench.quick { 200_000 } else { 600_000 });
    fs::write(&log, &text).context("unable to write a log")?;
    let [samples] = interleave(bench, "tai64nlocal", bench.rounds(5), |Contender { suite, .. }| {
        let mut command = match suite.map(|suite| (suite, suite.family)) {
            None => Command::new("cat"),
            Some((suite, Family::Daemontools)) => suite.command::<&str>("tai64nlocal", []),
            Some((suite, Family::S6)) => suite.command::<&str>("s6-tai64nlocal", []),
            Some((_, Family::Runit | Family::Supervisord)) => return Ok(None),
        };
        command.stdin(File::open(&log).context("unable to open the log")?).stdout(Stdio::null());
        let begin = monotonic();
        Process::start_as_is(&mut command)?.end()?;
        Ok(Some([text.len() as f64 / 1e3 / milliseconds(begin, monotonic())]))
    });
    report.add(Row::new("tai64nlocal", "MB/s", Better::More, samples, Target::Ratio(3.0, 3.0)));
    Ok(())
}

/// `count` lines of 100 bytes with their stamps, a millisecond apart, from the one with this number on.
pub fn stamped(first: i64, count: i64) -> Vec<u8> {
    let mut text = Vec::new();
    for number in first..first + count {
        let label = Label::from_unix(1_700_000_000 + number / 1_000, (number % 1_000) as u32 * 1_000_000 + 500);
        text.extend_from_slice(&label.text());
        text.extend_from_slice(format!(" {:.<72}x\n", format!("web: GET /articles/{number} HTTP/1.1 200")).as_bytes());
    }
    text
}
