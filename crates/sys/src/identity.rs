//! Who the process is.

use std::io;

use nix::unistd::{Gid, Uid};

/// Makes `gid` the only group: supplementary, real, effective and saved.
pub fn set_group(gid: u32) -> io::Result<()> {
    #[cfg(not(target_vendor = "apple"))]
    nix::unistd::setgroups(&[Gid::from_raw(gid)])?;
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
