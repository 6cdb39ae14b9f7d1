//! `--cgroup`: the cgroup of svscan and its supervises.
//!
//! The kernel passes controllers on only to cgroups beside which no process lives in the one above. So svscan moves to a cgroup in the one in which it was
//! started, and the supervises that it starts are born there. Services that have `cgroup/` get theirs beside it.

use std::ffi::OsStr;
use std::io;

use cli::text;
use sys::cgroup::Cgroup;

use super::arguments::VOICE;
use crate::service::cgroup::LEAF;

/// Moves this process to that cgroup, unless it is there already: below systemd it may be, or after the death of another svscan. If that fails, svscan warns and
/// goes on where it is.
pub fn enter() {
    if let Err(error) = try_to_enter() {
        VOICE.warning(&text!("unable to move to a cgroup of its own"), &error);
    }
}

fn try_to_enter() -> io::Result<()> {
    let (own, leaf) = (Cgroup::own()?, OsStr::new(LEAF));
    if own.path().file_name() == Some(leaf) {
        return Ok(());
    }
    let entered = own.make(leaf)?.entrance().and_then(|entrance| entrance.enter());
    if entered.is_err() {
        let _ = own.remove(leaf);
    }
    entered
}
