//! The knobs of a service directory: files with one value each. They are read when they are needed, so that what the operator
//! writes there holds for the next command, or the next start. What is wrong with one is said once, and its default holds.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cli::text;
use machine::supervise::{Knobs, Signal};
use svdir::knob::{self, Named, Unit, Wrong};
use svdir::{More, names};
use sys::{fd, process};

use super::said::Said;

/// What the current directory, which messages call `dir`, says about signals.
pub fn signals(dir: &OsStr, said: &mut Said) -> Knobs {
    let default = Knobs::default();
    let signal = |bytes: &[u8]| knob::signal(bytes, number_of).map(Signal::Number);
    Knobs {
        down_signal: get(dir, names::DOWN_SIGNAL, "TERM", signal, said).map_or(default.down_signal, by_name),
        reload_signal: get(dir, names::RELOAD_SIGNAL, "HUP", signal, said).map_or(default.reload_signal, by_name),
        timeout_kill: get(dir, names::TIMEOUT_KILL, "none", milliseconds, said).filter(|&timeout| timeout > 0),
    }
}

/// The same for who goes on from a record: of matter only where a KILL is due.
pub fn for_successor(dir: &OsStr, more: &More, said: &mut Said) -> Knobs {
    if more.kill_due { signals(dir, said) } else { Knobs::default() }
}

fn milliseconds(bytes: &[u8]) -> Result<u64, Wrong> {
    knob::duration(bytes, Unit::Milliseconds)
}

/// TERM by its number is TERM: runit's part of the status tells of it.
fn by_name(signal: Signal) -> Signal {
    if signal == Signal::Number(process::Signal::SIGTERM as u8) { Signal::Term } else { signal }
}

fn number_of(signal: Named<'_>) -> Option<u8> {
    let signal = match signal {
        Named::Number(number) => process::Signal::try_from(i32::from(number)).ok()?,
        Named::Name(name) => name.parse().ok()?,
    };
    Some(signal as u8)
}

/// The value of the knob `name`; `None` if there is no such file, or none that can be used, which is said with what is taken
/// instead.
fn get<T>(
    dir: &OsStr,
    name: &str,
    default: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, Wrong>,
    said: &mut Said,
) -> Option<T> {
    let found = read(name).and_then(|bytes| parse(&bytes).map_err(|wrong| io::Error::other(wrong.reason())));
    match found {
        Ok(value) => {
            said.over(name);
            Some(value)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            said.over(name);
            None
        }
        Err(error) => {
            said.warning(name, text!("unable to use ", dir, "/", name, ", taking ", default), &error);
            None
        }
    }
}

/// What stands in a file: one byte more than any value has is enough.
fn read(name: &str) -> io::Result<Vec<u8>> {
    let file = fd::open_read(Path::new(name))?;
    let mut bytes = [0; knob::LONGEST + 1];
    let count = fd::read(file.as_fd(), &mut bytes)?;
    Ok(bytes.get(..count).unwrap_or_default().to_vec())
}
