//! Keeps the death tally, for a service that asks for one.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use cli::{Warnings, text};
use svdir::names;
use svdir::tally::{self, Death};
use sys::fd;

use crate::service::files;

/// Adds a death to the tally, of which `most` are kept. If that fails, supervise warns, and the tally is as it was.
#[inline(never)]
pub fn add(dir: &OsStr, death: Death, most: u16, said: &mut Warnings) {
    let path = files::here(names::DEATH_TALLY);
    match read(&path).and_then(|old| write(&path, &tally::with(&old, death, most))) {
        Ok(()) => said.over(names::DEATH_TALLY),
        Err(error) => {
            let shown = files::shown(dir, names::DEATH_TALLY);
            said.warning(names::DEATH_TALLY, text!("unable to write ", shown.0.as_slice()), &error);
        }
    }
}

/// Reads the tally; nothing if there is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = usize::from(tally::MOST) * tally::DEATH;
    let mut bytes = Vec::new();
    match fd::open_read(path) {
        Ok(file) => file.take(most as u64).read_to_end(&mut bytes).map(|_| bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(bytes),
        Err(error) => Err(error),
    }
}

/// Writes the tally so that a reader sees either the old one or the new one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = files::here(names::DEATH_TALLY_NEW);
    let file = fd::open_own_truncate(&*new)?;
    fd::write_all(file.as_fd(), bytes)?;
    fd::rename(&*new, path)
}
