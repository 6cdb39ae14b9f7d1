//! The death tally of the current directory, for the supervise that keeps it and the client that shows it.

use std::io::{self, Read};

use svdir::{names, tally};
use sys::fd;

use super::files;

/// Reads the death tally: as many bytes as it may have.
///
/// # Errors
/// NotFound if there is none, or the error of the system.
pub fn read() -> io::Result<Vec<u8>> {
    let most = usize::from(tally::MOST) * tally::DEATH;
    let mut bytes = Vec::new();
    let file = fd::open_read(&*files::here(names::DEATH_TALLY))?;
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
