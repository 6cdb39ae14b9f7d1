//! Which file it is, whatever it is called.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::fd::FilePath;

/// Which file it is that a path leads to: its file system and its number there. As long as the file is open, no other one has these.
pub type Identity = (u64, u64);

/// Returns to which file a path leads, relative to an open directory. The path may be a link.
pub fn at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<Identity> {
    let found = nix::sys::stat::fstatat(directory, path, nix::fcntl::AtFlags::empty())?;
    Ok((found.st_dev as u64, found.st_ino as u64))
}

/// Returns which file is open.
pub fn of(file: impl AsFd) -> io::Result<Identity> {
    let found = nix::sys::stat::fstat(file)?;
    Ok((found.st_dev as u64, found.st_ino as u64))
}
