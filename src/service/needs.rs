//! Which other services a service directory names, in `dependencies.d/` and `wants.d/`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use sys::fd;

/// The most services that a directory may name.
pub const MOST: usize = 1000;
/// Why what the directory of a logger names counts for nothing.
pub const OF_A_LOGGER: &str = "a logger waits for no other service";

/// The names in the directory `of`, relative to this one, in their order, and whether there are more than [`MOST`]. None if there is no such directory.
///
/// # Errors
/// If it is no directory, or cannot be read.
#[inline(never)]
pub fn named(from: BorrowedFd<'_>, of: &Path) -> io::Result<(Vec<Vec<u8>>, bool)> {
    match fd::open_directory_at(from, of) {
        Ok(directory) => sys::names::sorted(directory.as_fd(), MOST),
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok((Vec::new(), false)),
        Err(error) => Err(error),
    }
}

/// Why `name` counts for nothing in a directory of the service `own`; `None` if it counts.
pub fn unfit(name: &[u8], own: &[u8]) -> Option<&'static str> {
    if name == own {
        Some("it is this service itself")
    } else if name.contains(&b'\n') {
        Some("no service has such a name")
    } else {
        None
    }
}
