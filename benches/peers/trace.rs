//! System calls, as strace counts them.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sys::process::{Pid, Signal, kill};

use crate::Bench;
use crate::scratch::{Process, Scratch};
use crate::started::DEADLINE;
use crate::suites::text;

/// Whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of the process.
    Own,
    /// Those of the processes that it starts, too.
    Children,
}

/// Counts the system calls of `pid` while `act` lasts; `None` without strace.
pub fn calls(
    bench: &Bench,
    what: &str,
    pid: i32,
    whose: Whose,
    act: impl FnOnce() -> Result<()>,
) -> Result<Option<f64>> {
    if text(Command::new("strace").arg("-V")).is_none() {
        bench.note(format!("system calls for {what}: not measured: no strace"));
        return Ok(None);
    }
    let scratch = Scratch::new()?;
    let summary = scratch.path("summary");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-o"]).arg(&summary).args(["-p", &pid.to_string()]);
    if whose == Whose::Children {
        strace.arg("-f");
    }
    let strace = Process::start(&mut strace)?;
    let begin = Instant::now();
    let status = format!("/proc/{pid}/status");
    while fs::read_to_string(&status).is_ok_and(|text| text.lines().any(|line| line == "TracerPid:\t0")) {
        ensure!(begin.elapsed() < DEADLINE, "strace does not attach");
        thread::sleep(Duration::from_millis(5));
    }
    act()?;
    kill(Pid::from_raw(strace.pid()), Signal::SIGINT).context("unable to end strace")?;
    // It ends as if by the signal.
    let _ = strace.end();
    let summary = fs::read_to_string(summary).context("unable to read what strace counted")?;
    let total = summary.lines().find(|line| line.ends_with(" total")).context("no total in what strace counted")?;
    Ok(total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()))
}
