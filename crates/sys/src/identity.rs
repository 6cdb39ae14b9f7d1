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

/// The user ids of a process: real, effective, saved, and that for files. `None` if it has ended, or without `/proc`.
pub fn users_of(pid: crate::process::Pid) -> Option<[u32; 4]> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let users: Vec<u32> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    users.try_into().ok()
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
