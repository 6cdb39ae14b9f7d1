//! What is run about a service: `torture finish ./finish CODE SIGNAL NAME` and `torture health ./health PID`, as the kernel calls them for scripts that begin with `#!`.
//!
//! `finish` notes each run, and reports itself as a violation if the service lives or another `finish` runs. It takes some time, and once in a while more than it may.
//! `health` reports itself if it is asked about a process elsewhere. It fails as long as there is a file `sick`.
//!
//! A service with a `kill-mode` starts a helper, `torture helper`, which reports itself if that of an earlier life is still there. Half of them ignore TERM.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
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
/// The same for the helper of a service that has a [`KILL_MODE`].
pub const HELPER: &str = "helper";
/// The file that says what of a service must have ended before it is started again.
pub const KILL_MODE: &str = "kill-mode";
/// The file in which each run of `finish` is noted, relative to the service directory.
pub const FINISHES: &str = "finishes";
/// The file that makes `health` fail, relative to the service directory.
pub const SICK: &str = "sick";
/// Held by a `finish` as long as it runs.
pub const FINISH_LOCK: &str = "lock.finish";
/// The report of a `finish` that runs beside its service.
pub const FINISH_BESIDE: &str = "finish beside the service";
/// The report of a `finish` that runs beside another.
pub const TWO_FINISHES: &str = "finish beside another";
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
    let name = own_name()?;
    let lock = fd::open_append(Path::new(FINISH_LOCK))?;
    if fd::try_lock(&lock).is_err() {
        tell(&name, by, TWO_FINISHES)?;
    }
    for place in super::service::PLACES {
        if fd::try_lock(&fd::open_append(Path::new(place))?).is_err() {
            tell(&name, by, FINISH_BESIDE)?;
        }
    }
    let time = if by.pid.is_multiple_of(HANGS) { 60_000 } else { u64::from(by.pid % HANGS) * 30 };
    thread::sleep(Duration::from_millis(time));
    Ok(())
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
    if Path::new(KILL_MODE).exists() {
        let mut helper = Command::new(Path::new("../..").join(HELPER));
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
