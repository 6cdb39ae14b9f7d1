//! `stop`, `reload` and `status` of the svscan that runs on a scan directory, which is found by its lock on the
//! directory.

use std::io;
use std::path::Path;

use anyhow::Context;
use cli::text;
use machine::SECOND;
use sys::adopted;
use sys::clock::monotonic;
use sys::process::{self, Pid, Signal};

use super::arguments::Arguments;
use super::foreign;
use super::voice::{refuse, tell};
use crate::service::holder::Servers;

/// The exit code of `status` if no svscan runs, as for init scripts.
const NOT_RUNNING: u8 = 3;
/// The time in which a svscan that was told to stop has ended, in nanoseconds: below svscanboot it has eight seconds.
const TOLD: u64 = 10 * SECOND;
/// The time after which a line says for which process `stop` waits, in nanoseconds.
const SHORT: u64 = SECOND;

/// Stops svscan with all its services, and waits for its end.
pub fn stop(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let servers = servers(&dir)?;
    if servers.all().next().is_none() {
        tell(&[&"no svscan runs in ", &dir]);
        return Ok(0);
    }
    let deadline = monotonic().saturating_add(arguments.timeout);
    // svscanboot passes the signal on to its svscan. A svscan without svscanboot at runlevel 0 was told by its svscanboot before init
    // ended that, and a second signal would mean to hurry. But its svscanboot may have died before; so it is told again when the time for
    // a stop is over.
    let told_already = servers.boots.is_empty() && std::env::var_os("RUNLEVEL").is_some_and(|level| level == "0");
    if told_already && wait(&dir, &servers, deadline.min(monotonic().saturating_add(TOLD)))?.is_none() {
        return stopped(&dir);
    }
    for pid in servers.boots.iter().copied().chain(servers.alone()) {
        send(pid, Signal::SIGTERM)?;
    }
    match wait(&dir, &servers, deadline)? {
        None => stopped(&dir),
        Some(pid) => {
            let seconds = arguments.timeout / SECOND;
            let runs = text!(", pid ", pid.as_str(), " still runs after ", seconds, " seconds");
            let unable = text!("unable to stop svscan in ", dir, runs.0.as_slice());
            Err(anyhow::Error::new(io::Error::from_raw_os_error(sys::ETIMEDOUT)).context(unable))
        }
    }
}

/// Waits for the end of all `servers`. Returns the pid of one that still runs at the deadline.
fn wait(dir: &Path, servers: &Servers, deadline: u64) -> anyhow::Result<Option<String>> {
    let unable = || text!("unable to wait for the end of svscan");
    for pid in servers.all() {
        let left = || deadline.saturating_sub(monotonic());
        if adopted::wait_for_end(pid, Some(left().min(SHORT))).with_context(unable)? {
            continue;
        }
        let pid_text = pid.to_string();
        let seconds = left().div_ceil(SECOND);
        if seconds > 0 {
            tell(&[
                &"waiting for svscan in ",
                &dir,
                &": pid ",
                &pid_text.as_str(),
                &", ",
                &seconds,
                &" seconds at most",
            ]);
        }
        if !adopted::wait_for_end(pid, Some(left())).with_context(unable)? {
            return Ok(Some(pid_text));
        }
    }
    Ok(None)
}

fn stopped(dir: &Path) -> anyhow::Result<u8> {
    tell(&[&"stopped what svscan ran in ", &dir]);
    Ok(0)
}

/// Makes svscan execute its new file. Refuses a svscan of another suite, which would only die of the signal.
pub fn reload(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let servers = servers(&dir)?;
    for &(pid, _) in &servers.scans {
        send(pid, Signal::SIGUSR2)?;
        tell(&[&"told svscan in ", &dir, &" to execute its new file"]);
    }
    if !servers.scans.is_empty() {
        return Ok(0);
    }
    match foreign(&dir) {
        Some(pid) => {
            let advice = ", is of another suite; uphold boot takeover replaces it";
            Err(refuse(&[&"unable to reload ", &dir, &": its svscan, pid ", &pid.as_str(), &advice]))
        }
        None => Ok(not_running(&dir)),
    }
}

/// Says whether svscan runs.
pub fn status(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    if !servers(&dir)?.scans.is_empty() {
        tell(&[&"svscan runs in ", &dir]);
        return Ok(0);
    }
    match foreign(&dir) {
        Some(pid) => {
            tell(&[&"svscan of another suite runs in ", &dir, &": pid ", &pid.as_str()]);
            Ok(0)
        }
        None => Ok(not_running(&dir)),
    }
}

fn servers(dir: &Path) -> anyhow::Result<Servers> {
    Servers::of(dir).with_context(|| text!("unable to find out who serves ", dir))
}

/// The pid of a svscan of another suite. One without any service is not found.
fn foreign(dir: &Path) -> Option<String> {
    let services = foreign::services(dir).ok()?;
    Some(foreign::scanner(dir, &services)?.pid.to_string())
}

fn not_running(dir: &Path) -> u8 {
    tell(&[&"no svscan runs in ", &dir]);
    NOT_RUNNING
}

fn send(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    match process::kill(pid, signal) {
        // It has just ended.
        Err(error) if error.raw_os_error() == Some(sys::ESRCH) => Ok(()),
        done => done.with_context(|| text!("unable to signal svscan")),
    }
}
