//! The svscan that runs on a scan directory: it is found by its lock on the directory and by being there, so nothing has to be
//! written down about it.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;
use sys::process::{self, Pid, Signal};
use sys::{adopted, fd};

use super::arguments::Arguments;
use super::tell;

/// The exit code of an init script's `status` where nothing runs.
const NOT_RUNNING: u8 = 3;

/// What serves a scan directory.
#[derive(Default)]
struct Servers {
    /// The svscanboots that are to keep a svscan running.
    boots: Vec<Pid>,
    /// The svscans.
    scans: Vec<Pid>,
}

/// Stops it with all that it runs, and waits for the end.
pub fn stop(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let Some(lock) = open(&dir)? else {
        return Ok(0);
    };
    let servers = Servers::of(&dir)?;
    if servers.boots.is_empty() && servers.scans.is_empty() && fd::try_lock(&lock).is_ok() {
        tell(&[&"no svscan runs in ", &dir]);
        return Ok(0);
    }
    // svscanboot tells its svscan. One that is alone at runlevel 0 was told by the svscanboot that init has ended: to be told again would
    // mean to hurry.
    let told_already = servers.boots.is_empty() && std::env::var_os("RUNLEVEL").is_some_and(|level| level == "0");
    let to_tell = if servers.boots.is_empty() { &servers.scans } else { &servers.boots };
    for &pid in to_tell.iter().filter(|_| !told_already) {
        send(pid, Signal::SIGTERM)?;
    }
    for &pid in servers.boots.iter().chain(&servers.scans) {
        adopted::wait_for_end(pid).with_context(|| text!("unable to wait for the end of svscan"))?;
    }
    tell(&[&"stopped what svscan ran in ", &dir]);
    Ok(0)
}

/// Lets it become its new file.
pub fn reload(arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let servers = Servers::of(&dir)?;
    for &pid in &servers.scans {
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

impl Servers {
    /// Those of `dir`.
    fn of(dir: &Path) -> anyhow::Result<Servers> {
        let mut found = Servers::default();
        let Ok(directory) = fs::metadata(dir) else {
            return Ok(found);
        };
        let processes = fs::read_dir("/proc").with_context(|| text!("unable to look for svscan in /proc"))?;
        for entry in processes.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let process = entry.path();
            let words = words(&process);
            if runs(&words, "svscan") && is(&process.join("cwd"), &directory) {
                found.scans.push(Pid::from_raw(pid));
            }
            // Its last word is the directory.
            if runs(&words, "svscanboot") && words.last().is_some_and(|word| is(Path::new(word), &directory)) {
                found.boots.push(Pid::from_raw(pid));
            }
        }
        Ok(found)
    }
}

/// What a process was called with.
fn words(process: &Path) -> Vec<PathBuf> {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).filter(|word| !word.is_empty()).map(|word| OsStr::from_bytes(word).into()).collect()
}

/// Whether it is that program, by its own file or as a part of the all-in-one file.
fn runs(words: &[PathBuf], program: &str) -> bool {
    words.iter().take(2).any(|word| word.file_name().is_some_and(|name| name == program))
}

fn is(path: &Path, directory: &Metadata) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (directory.dev(), directory.ino()))
}
