//! Why a logger cannot write: the file system of its log directory has no room left, or may not be written.
//!
//! A logger says that itself, on its stderr, which mostly is that of svscan. It loses no line, and waits until it can write. What it has not read stays in the pipe, and when that is
//! full the service stops at its next line.

use std::num::NonZeroU32;
use std::path::Path;

use sys::process::Pid;
use sys::{proc, room};

use super::shown;

/// Why the logger with this process cannot write to its log directory. `None` if nothing is known to be in the way.
pub fn in_the_way(logger: Option<NonZeroU32>, directory: &Path) -> Option<String> {
    let room = room::left(directory).ok()?;
    let shown = shown::name(directory.as_os_str());
    let users = logger.and_then(|pid| proc::users(Pid::from_raw(pid.get().cast_signed())));
    // Something may be kept for root.
    let left = if users.is_some_and(|[_, effective, ..]| effective != 0) { room.bytes } else { room.bytes_for_root };
    if room.is_read_only {
        Some(format!("the file system of {shown} is mounted read-only"))
    } else if left == 0 {
        Some(format!("the file system of {shown} is full"))
    } else if room.files == Some(0) {
        Some(format!("the file system of {shown} has no room for another file"))
    } else {
        None
    }
}
