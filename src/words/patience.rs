//! How long a word waits for services, and what it does at Ctrl-C.

use cli::{Voice, WrongWord, text};
use machine::SECOND;
use svdir::knob::{self, Unit};
use sys::process::Signal;
use sys::signals::{self, Signals};

use crate::service::wait::allow_many_files;

/// How long a service is waited for if nothing else is said, in nanoseconds.
pub const DEFAULT: u64 = 60 * SECOND;
/// The exit code after Ctrl-C, where it cannot be a death by that.
const INTERRUPTED: u8 = 130;

/// Reads the value of `--timeout`, in nanoseconds.
///
/// # Errors
/// If it is no time.
pub fn time(value: &[u8]) -> Result<u64, WrongWord> {
    knob::duration(value, Unit::Seconds).map_err(|why| WrongWord(text!("wrong time ", value, ": ", why.reason())))
}

/// Prepares for a wait for many services. Returns what tells of Ctrl-C; `None` below nohup and the like, where that is for others.
///
/// # Errors
/// If the signal cannot be caught.
pub fn begin() -> anyhow::Result<Option<Signals>> {
    allow_many_files();
    if signals::is_ignored(Signal::SIGINT) { Ok(None) } else { Ok(Some(Signals::catch(&[Signal::SIGINT])?)) }
}

/// Says how far everything is, and dies of Ctrl-C. Returns the exit code if it does not.
pub fn interrupted(voice: Voice, so_far: &str) -> u8 {
    voice.say(&[&"interrupted: ", &so_far]);
    signals::die_of(Signal::SIGINT);
    INTERRUPTED
}
