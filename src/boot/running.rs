//! The svscan that runs on a scan directory: whether it does is told by its lock on the directory, and which process it is by
//! being there.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use cli::text;
use sys::clock::monotonic;
use sys::process::{self, Pid, Signal};
use sys::{adopted, fd};

use super::arguments::Arguments;
use super::tell;
use crate::service::holder::Servers;

/// The exit code of an init script's `status` where nothing runs.
const NOT_RUNNING: u8 = 3;
/// A svscan that was told to stop has ended after so many nanoseconds: svscanboot gives it eight seconds.
const TOLD: u64 = 10_000_000_000;

/// Stops it with all that it runs, and waits for the end.
pub fn stop(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let Some(lock) = open(&dir)? else {
        return Ok(0);
    };
    let servers = servers(&dir)?;
    if servers.boots.is_empty() && servers.scans.is_empty() {
        fd::try_lock(&lock).with_context(|| text!("unable to find the svscan that has locked ", dir))?;
        tell(&[&"no svscan runs in ", &dir]);
        return Ok(0);
    }
    // svscanboot tells its svscan. One that is alone at runlevel 0 was told by the svscanboot that init has ended: to be told again would
    // mean to hurry. Unless its svscanboot had died before; so it is told once the time for a stop has passed.
    let told_already = servers.boots.is_empty() && std::env::var_os("RUNLEVEL").is_some_and(|level| level == "0");
    if told_already && wait(&servers, Some(TOLD))? {
        return stopped(&dir);
    }
    for pid in servers.boots.iter().copied().chain(servers.alone()) {
        send(pid, Signal::SIGTERM)?;
    }
    wait(&servers, None)?;
    stopped(&dir)
}

/// Waits for the end of all of them, for `limit` nanoseconds at the longest. Returns whether it has come.
fn wait(servers: &Servers, limit: Option<u64>) -> anyhow::Result<bool> {
    let deadline = limit.map(|limit| monotonic().saturating_add(limit));
    for pid in servers.boots.iter().copied().chain(servers.scans.iter().map(|&(pid, _)| pid)) {
        let left = deadline.map(|deadline| deadline.saturating_sub(monotonic()));
        let ended = adopted::wait_for_end(pid, left);
        if !ended.with_context(|| text!("unable to wait for the end of svscan"))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn stopped(dir: &Path) -> anyhow::Result<u8> {
    tell(&[&"stopped what svscan ran in ", &dir]);
    Ok(0)
}

/// Lets it become its new file.
pub fn reload(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let servers = servers(&dir)?;
    for &(pid, _) in &servers.scans {
        send(pid, Signal::SIGUSR2)?;
        tell(&[&"told svscan in ", &dir, &" to become its new file"]);
    }
    Ok(if servers.scans.is_empty() { not_running(&dir) } else { 0 })
}

/// Whether it runs.
pub fn status(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let serves = open(&dir)?.is_some_and(|lock| fd::try_lock(&lock).is_err());
    if !serves {
        return Ok(not_running(&dir));
    }
    tell(&[&"svscan runs in ", &dir]);
    Ok(0)
}

fn servers(dir: &Path) -> anyhow::Result<Servers> {
    Servers::of(dir).with_context(|| text!("unable to look for svscan in /proc"))
}

fn not_running(dir: &Path) -> u8 {
    tell(&[&"no svscan runs in ", &dir]);
    NOT_RUNNING
}

/// The scan directory, which its svscan holds locked; `None`, and a line that says so, if there is none.
fn open(dir: &Path) -> anyhow::Result<Option<File>> {
    if !dir.exists() {
        not_running(dir);
        return Ok(None);
    }
    fd::open_read(dir).map(Some).with_context(|| text!("unable to open ", dir))
}

fn send(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    match process::kill(pid, signal) {
        // It has just ended.
        Err(error) if error.raw_os_error() == Some(sys::ESRCH) => Ok(()),
        done => done.with_context(|| text!("unable to signal svscan")),
    }
}
