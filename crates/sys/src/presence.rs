//! The mark of the process that serves a directory: a lock on the directory itself, which stays when everything in it is removed.
//!
//! It is a shared POSIX lock on one byte. It blocks no process, and has nothing to do with flock: it only lets the kernel tell which process is
//! there. Everybody who may read the directory can set such a lock too, so the caller must check the answer.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

use crate::process::Pid;

/// The offset of the byte, which no file has.
const BYTE: libc::off_t = 0x7570_686f;

/// Marks `directory` for this process, until it ends or closes any descriptor of that directory. A child does not inherit the mark.
///
/// # Errors
/// Those of the lock: some file systems have no locks.
pub fn mark(directory: &File) -> io::Result<()> {
    let mut lock = byte(libc::F_RDLCK);
    call(directory, libc::F_SETLK, &mut lock)
}

/// Returns another process that has marked `directory`, if there is one that is visible in this PID namespace.
///
/// # Errors
/// Those of the lock.
#[allow(clippy::unnecessary_cast, reason = "the types of these constants differ between systems")]
pub fn marked_by(directory: &File) -> io::Result<Option<Pid>> {
    let mut lock = byte(libc::F_WRLCK);
    call(directory, libc::F_GETLK, &mut lock)?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK as i32 && lock.l_pid > 0).then(|| Pid::from_raw(lock.l_pid)))
}

#[allow(clippy::unnecessary_cast, reason = "the types of these constants differ between systems")]
fn byte(kind: impl Into<i32>) -> libc::flock {
    // SAFETY: a zeroed flock is a valid one.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.into() as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = BYTE;
    lock.l_len = 1;
    lock
}

fn call(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the kernel reads and writes one lock.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_seen_by_others_and_not_by_oneself() {
        let scratch = tempfile::tempdir().expect("a directory");
        let open = || File::open(scratch.path()).expect("it is there");
        let (directory, ours) = (open(), Pid::this());
        mark(&directory).expect("a mark");
        assert_eq!(marked_by(&directory).expect("an answer"), None);
        // SAFETY: the child only makes system calls and ends.
        match unsafe { nix::unistd::fork() }.expect("a child") {
            nix::unistd::ForkResult::Child => {
                let seen = marked_by(&directory).ok().flatten() == Some(ours);
                // SAFETY: it ends the process.
                unsafe { libc::_exit(i32::from(!seen)) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                assert_eq!(crate::process::wait(child).expect("it ends"), crate::process::Change::Exited(0));
            }
        }
    }
}
