//! The user, the group and the session of the process.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

/// Returns whether the effective user is root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The effective user id.
pub fn effective_user() -> u32 {
    Uid::effective().as_raw()
}

/// Makes `gid` the only group: supplementary, real, effective and saved.
pub fn set_group(gid: u32) -> io::Result<()> {
    // By libc: nix has no setgroups for macOS.
    // SAFETY: the call reads as many groups as it is told of, which is the one that is ours.
    Errno::result(unsafe { libc::setgroups(1, &raw const gid) })?;
    Ok(nix::unistd::setgid(Gid::from_raw(gid))?)
}

/// Makes `uid` the user: real, effective and saved.
pub fn set_user(uid: u32) -> io::Result<()> {
    Ok(nix::unistd::setuid(Uid::from_raw(uid))?)
}

/// Makes the process the leader of a new session and process group, without a terminal.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}
