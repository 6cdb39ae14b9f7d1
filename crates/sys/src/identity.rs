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
    set_supplementary_groups(&[gid])?;
    set_main_group(gid)
}

/// Makes these the supplementary groups.
pub fn set_supplementary_groups(gids: &[u32]) -> io::Result<()> {
    // By libc: nix has no setgroups for macOS. The type of the count differs between systems.
    // SAFETY: the call reads as many groups as it is told of, which are those of the slice.
    Errno::result(unsafe { libc::setgroups(gids.len() as _, gids.as_ptr()) })?;
    Ok(())
}

/// Makes `gid` the group: real, effective and saved. The supplementary ones stay.
pub fn set_main_group(gid: u32) -> io::Result<()> {
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

/// Makes the current directory the root directory of the process.
pub fn change_root_to_here() -> io::Result<()> {
    Ok(nix::unistd::chroot(c".")?)
}

/// Adds `increment` to the niceness of the process. The kernel keeps the sum in its bounds.
pub fn add_niceness(increment: i32) -> io::Result<()> {
    // Every value may be a niceness, so only errno tells of a failure.
    Errno::clear();
    // SAFETY: the call takes a number.
    match unsafe { libc::nice(increment) } {
        -1 if Errno::last_raw() != 0 => Err(Errno::last().into()),
        _ => Ok(()),
    }
}
