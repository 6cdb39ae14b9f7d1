//! Keeps the death tally, for a service that asks for one.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use cli::{Warnings, text};
use svdir::names;
use svdir::tally::{self, Death};
use sys::fd;

use crate::service::{self, files};

/// Adds a death to the tally, of which `most` are kept. If that fails, supervise warns, and the tally is as it was.
#[inline(never)]
pub fn add(dir: &OsStr, death: Death, most: u16, said: &mut Warnings) {
    let old = service::tally::read().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(Vec::new()),
        _ => Err(error),
    });
    match old.and_then(|old| write(&tally::with(&old, death, most))) {
        Ok(()) => said.over(names::DEATH_TALLY),
        Err(error) => {
            let shown = files::shown(dir, names::DEATH_TALLY);
            said.warning(names::DEATH_TALLY, text!("unable to write ", shown.0.as_slice()), &error);
        }
    }
}

/// Writes the tally so that a reader sees either the old one or the new one.
fn write(bytes: &[u8]) -> io::Result<()> {
    let [new, path] = [names::DEATH_TALLY_NEW, names::DEATH_TALLY].map(files::here);
    let file = fd::open_own_truncate(&*new)?;
    fd::write_all(file.as_fd(), bytes)?;
    fd::rename(&*new, &*path)
}
