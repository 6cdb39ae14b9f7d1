//! What is run about a service: `torture finish ./finish CODE SIGNAL NAME`, `torture health ./health PID` and so on, as the kernel calls them for scripts that begin with
//! `#!`.
//!
//! `finish` notes each run, and reports itself as a violation if the service lives or another script of its kind runs. It takes some time, and once in a while more than
//! it may. So do `start` and `stop`, which take a moment.
//! `health` reports itself if it is asked about a process elsewhere. It fails as long as there is a file `sick`.
//! `control/t` leaves the signal to supervise. `notify` takes some seconds once in a while; no longer, since nobody knows of it any more when its
//! supervise was killed.
//!
//! A service with a `kill-mode` starts a helper, `torture helper`, which reports itself if that of an earlier life is still there. Half of them ignore TERM. In the mode
//! `tree` it has a process group of its own.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use sys::fd;
use sys::process::Signal;
use sys::signals::Signals;

use super::line::{Incarnation, Micros, now};
use super::service::{own_name, tell};

/// The name of `finish` and of the link to this program by which it is run.
pub const FINISH: &str = "finish";
/// The same for `health`.
pub const HEALTH: &str = "health";
/// The same for `start`.
pub const START: &str = "start";
/// The same for `stop`.
pub const STOP: &str = "stop";
/// The same for `control/t`.
pub const CONTROL: &str = "t";
/// The same for `notify`.
pub const NOTIFY: &str = "notify";
/// The same for the helper of a service that has a [`KILL_MODE`].
pub const HELPER: &str = "helper";
/// All of these.
pub const ALL: [&str; 7] = [FINISH, HEALTH, START, STOP, CONTROL, NOTIFY, HELPER];
/// The file that says what of a service must have ended before it is started again.
pub const KILL_MODE: &str = "kill-mode";
/// The mode in which a helper may have a process group of its own.
pub const TREE: &str = "tree";
/// The file in which each run of `finish` is noted, relative to the service directory.
pub const FINISHES: &str = "finishes";
/// The file that makes `health` fail, relative to the service directory.
pub const SICK: &str = "sick";
/// Held by a script for which the service waits, as long as that runs.
pub const SCRIPT_LOCK: &str = "lock.script";
/// The report of such a script that runs beside its service.
pub const SCRIPT_BESIDE: &str = "script beside the service";
/// The report of one that runs beside another.
pub const TWO_SCRIPTS: &str = "script beside another";
/// The report of a `health` that was asked about somebody else.
pub const STRANGER: &str = "health about a stranger";

/// Held by a helper as long as it lives.
const HELPER_LOCK: &str = "lock.helper";
/// The report of a helper that lives beside that of an earlier life.
pub const LEFT_OVER: &str = "left over from an earlier life";

/// One `finish` in so many takes too long.
const HANGS: u32 = 8;

/// A run of `finish`, as it is noted.
pub struct Finished {
    /// When it began.
    pub born: Micros,
    /// Whether it was to take too long.
    pub hangs: bool,
}

impl Finished {
    /// Reads the notes in a service directory, in the order of birth.
    pub fn all(dir: &Path) -> Vec<Finished> {
        let text = fs::read_to_string(dir.join(FINISHES)).unwrap_or_default();
        let mut found: Vec<Finished> = text.lines().filter_map(Finished::parse).collect();
        found.sort_by_key(|finish| finish.born);
        found
    }

    fn parse(line: &str) -> Option<Finished> {
        let by = Incarnation::parse(line.split(' ').next()?)?;
        Some(Finished { born: by.birth, hangs: by.pid.is_multiple_of(HANGS) })
    }
}

/// Runs as the hook that the first word names; `None` if it names none.
pub fn main(words: &[OsString]) -> Option<ExitCode> {
    let (name, words) = words.split_first()?;
    let code = match name.to_str()? {
        FINISH => finish(words).map(|()| 0),
        HEALTH => health(words),
        START | STOP => start_or_stop().map(|()| 0),
        CONTROL => Ok(1),
        NOTIFY => notify(),
        HELPER => helper(),
        _ => return None,
    };
    Some(ExitCode::from(code.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "torture {}: fatal: {error}", name.display());
        111
    })))
}

fn finish(words: &[OsString]) -> io::Result<()> {
    let by = Incarnation { pid: std::process::id(), birth: now() };
    let told: Vec<_> = words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    let mut notes = OpenOptions::new().append(true).create(true).open(FINISHES)?;
    notes.write_all(format!("{by} {}\n", told.join(" ")).as_bytes())?;
    let _turn = take_turn(&own_name()?, by)?;
    let time = if by.pid.is_multiple_of(HANGS) { 60_000 } else { u64::from(by.pid % HANGS) * 30 };
    thread::sleep(Duration::from_millis(time));
    Ok(())
}

fn start_or_stop() -> io::Result<()> {
    let by = Incarnation { pid: std::process::id(), birth: now() };
    let _turn = take_turn(&own_name()?, by)?;
    thread::sleep(Duration::from_millis(u64::from(by.pid % 4) * 50));
    Ok(())
}

fn notify() -> io::Result<u8> {
    if std::process::id().is_multiple_of(HANGS) {
        thread::sleep(Duration::from_secs(3));
    }
    Ok(0)
}

/// The turn of a script, which it has as long as the returned file is open.
fn take_turn(name: &str, by: Incarnation) -> io::Result<File> {
    let lock = fd::open_append(Path::new(SCRIPT_LOCK))?;
    if fd::try_lock(&lock).is_err() {
        tell(name, by, TWO_SCRIPTS)?;
    }
    for place in super::service::PLACES {
        if fd::try_lock(&fd::open_append(Path::new(place))?).is_err() {
            tell(name, by, SCRIPT_BESIDE)?;
        }
    }
    Ok(lock)
}

fn health(words: &[OsString]) -> io::Result<u8> {
    let by = Incarnation { pid: std::process::id(), birth: now() };
    let about = words.get(1).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    // If it has ended meanwhile, that says nothing.
    if fs::read_link(format!("/proc/{about}/cwd")).is_ok_and(|cwd| std::env::current_dir().is_ok_and(|own| own != cwd))
    {
        tell(&own_name()?, by, STRANGER)?;
    }
    if by.pid.is_multiple_of(6) {
        // So that it can be killed.
        thread::sleep(Duration::from_millis(200));
    }
    Ok(u8::from(Path::new(SICK).exists()))
}

/// Starts the helper of a service that has a [`KILL_MODE`].
pub fn start_helper() -> io::Result<()> {
    if let Ok(mode) = fs::read_to_string(KILL_MODE) {
        let mut helper = Command::new(Path::new("../..").join(HELPER));
        if mode == TREE {
            helper.process_group(0);
        }
        helper.arg(HELPER).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    }
    Ok(())
}

/// Lives until it is killed.
fn helper() -> io::Result<u8> {
    let by = Incarnation { pid: std::process::id(), birth: now() };
    let _deaf = if by.pid.is_multiple_of(2) { Some(Signals::catch(&[Signal::SIGTERM])?) } else { None };
    let lock = fd::open_append(Path::new(HELPER_LOCK))?;
    if fd::try_lock(&lock).is_err() {
        tell(&own_name()?, by, LEFT_OVER)?;
    }
    loop {
        thread::sleep(Duration::from_secs(1_000));
    }
}
