//! The names of other services in a service directory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use sys::fd;

/// The most services that a directory may name.
pub const MOST: usize = 1000;

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
