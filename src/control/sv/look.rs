//! Looks at the service of the current directory, whichever suite its supervise is of.

use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use cli::{reason, text};
use svdir::{Status, names};

use crate::service::client::{self, Unreachable};
use crate::service::files;
use crate::service::record::Unreadable;

use super::judge::Seen;
use super::said::{Said, line};

/// What a look found.
pub enum Look {
    Seen(Seen),
    /// No supervise runs, which was said.
    NotRunning,
    /// Nothing is known, which was said.
    Unknown,
}

/// Looks at the service, which messages call `name`. `exits` says that its supervise need not run.
pub fn look(name: &OsStr, exits: bool, said: &mut Said) -> Look {
    if let Err(why) = client::find() {
        return unreachable(name, "supervise/ok", exits, &why, said);
    }
    match read() {
        Ok(seen) => return Look::Seen(seen),
        Err(Unreadable::Open(error)) => said.warn(name, "unable to open supervise/status", &reason(&error)),
        Err(Unreadable::Read(error)) => said.warn(name, "unable to read supervise/status", &reason(&error)),
        Err(Unreadable::TooShort) => said.warn(name, "unable to read supervise/status", "bad format"),
    }
    Look::Unknown
}

/// Says why the supervise cannot be reached by its FIFO `file`.
pub fn unreachable(name: &OsStr, file: &str, exits: bool, why: &Unreachable, said: &mut Said) -> Look {
    if matches!(why, Unreachable::NotRunning) {
        said.tell_not_running(name, exits);
        return Look::NotRunning;
    }
    let what = format!("unable to open {file}");
    said.warn(name, &what, &why.reason());
    Look::Unknown
}

/// Reads what supervise says of the service. The status of another suite must be runit's, which has two bytes more than that of daemontools.
fn read() -> Result<Seen, Unreadable> {
    let facts = client::read()?;
    if facts.can_be_waited_for() {
        let supervise = NonZeroU32::new(facts.author().0).filter(|_| !facts.has_exited());
        let (done, starting) = (facts.is_done(), facts.is_being_started());
        return Ok(Seen { status: facts.status(), done, starting, supervise, ours: true });
    }
    let file = sys::fd::open_read(&*files::here(names::STATUS)).map_err(Unreadable::Open)?;
    let mut bytes = [0; Status::SIZE];
    if sys::fd::read(file.as_fd(), &mut bytes).map_err(Unreadable::Read)? < Status::SIZE {
        return Err(Unreadable::TooShort);
    }
    let status = Status::decode(&bytes).map_err(|svdir::TooShort| Unreadable::TooShort)?;
    Ok(Seen { status, done: false, starting: false, supervise: None, ours: false })
}

/// The exit codes of `status` for an LSB init script. Without a supervise it is 1, as for any command.
const UP: u8 = 0;
const DOWN: u8 = 3;
const UNKNOWN: u8 = 4;

/// Tells the status of the service, and of its logger if it has one. Returns the exit code for an LSB init script, if it has one of its own.
pub fn tell_status(name: &OsStr, said: &mut Said) -> Option<u8> {
    let seen = match look(name, false, said) {
        Look::Seen(seen) => seen,
        Look::NotRunning => return None,
        Look::Unknown => return Some(UNKNOWN),
    };
    let shown = line(&seen.status, name, name);
    let code = match &shown {
        None => UNKNOWN,
        Some(_) if seen.status.pid.is_some() => UP,
        Some(_) => DOWN,
    };
    said.add(&[&shown.unwrap_or_default().0]);
    tell_log(name, said);
    Some(code)
}

/// Goes on with the line about a service, and tells the status of its logger.
fn tell_log(name: &OsStr, said: &mut Said) {
    let log = text!(name, "/", names::LOG);
    let log = OsStr::from_bytes(&log.0);
    match std::env::set_current_dir(names::LOG) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => said.end_line(),
        Err(error) => {
            said.add(&[b"; "]);
            said.warn(log, "unable to change directory", &reason(&error));
        }
        Ok(()) => {
            said.add(&[b"; "]);
            // What is wrong ends the line.
            if let Look::Seen(seen) = look(log, false, said) {
                let shown = line(&seen.status, OsStr::new(names::LOG), log);
                said.add(&[&shown.unwrap_or_default().0]);
                said.end_line();
            }
        }
    }
}
