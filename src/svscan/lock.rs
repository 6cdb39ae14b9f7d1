//! The lock on the scan directory: two svscans in one directory would fight for its services. The lock needs neither a file nor the right to write.
//!
//! Every release of svscan holds flock's lock on the directory. But anybody who may read the directory can hold that lock. So the lock keeps svscan
//! out only if the kernel says that it is held by a process that may serve the directory. Besides, each svscan puts a mark on the directory, which no
//! process can prevent. By the mark the next svscan recognizes one that had to go on without the lock.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use machine::SECOND;
use sys::locks::Facts;
use sys::process::Pid;
use sys::{fd, identity, locks, sealed};

use crate::service::tick;

/// How long to wait for the lock, in nanoseconds: a child of a svscan that was killed holds a copy of its lock until the child executes supervise.
const PATIENCE: u64 = SECOND;
/// The time between two attempts to take the lock, in nanoseconds.
const REST: u64 = SECOND / 100;
/// How long another svscan counts as serving the directory after it was last seen, in nanoseconds.
const SEEN: u64 = SECOND / 4;

/// The lock of this process.
pub struct DirectoryLock {
    directory: File,
    /// Whether this process holds flock's lock. If not, a stranger holds it.
    held: bool,
}

impl DirectoryLock {
    /// Takes the lock of the directory `path`. Returns `None` if the directory cannot be read, or the file system has no locks.
    ///
    /// # Errors
    /// EAGAIN if another svscan serves the directory; EMFILE, ENFILE or ENOMEM if descriptors or memory have run out.
    pub fn take(path: &Path) -> io::Result<Option<DirectoryLock>> {
        let directory = match fd::open_read(path) {
            Ok(directory) => directory,
            Err(error) if ran_out(&error) => return Err(error),
            Err(_) => return Ok(None),
        };
        let until = tick().after(PATIENCE);
        let mut believed_until = None;
        loop {
            let now = tick();
            let is_last = until <= now;
            let held = match fd::try_lock(&directory) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) if ran_out(&error) => return Err(error),
                Err(_) => return Ok(None),
            };
            if is_served(&directory, held) {
                believed_until = Some(now.after(SEEN));
            } else if held || (is_last && believed_until.is_none_or(|until| until <= now)) {
                return Ok(Some(DirectoryLock { directory, held }));
            }
            // Another svscan that begins now must not conclude that this one serves the directory.
            let _ = locks::mark(directory.as_fd(), false);
            if is_last {
                return Err(io::Error::from_raw_os_error(sys::EAGAIN));
            }
            sys::poll::rest_for(REST);
        }
    }

    /// Takes the lock that the program before this one has left in this process, as descriptor `number`.
    pub fn inherit(number: RawFd) -> io::Result<DirectoryLock> {
        let mut lock = DirectoryLock { directory: sealed::inherit(number)?.into(), held: false };
        lock.renew();
        Ok(lock)
    }

    /// Returns the descriptor that holds the lock.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Returns whether this process holds the lock. If not, a process holds it that may not serve the directory.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Puts the mark on the directory again, since the mark is lost when this process closes any descriptor of the directory. Takes the lock if
    /// it has become free.
    pub fn renew(&mut self) {
        // Where there are no marks, flock's lock has to do.
        let _ = locks::mark(self.fd(), true);
        self.held = self.held || fd::try_lock(&self.directory).is_ok();
    }
}

fn ran_out(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::EMFILE | sys::ENFILE | sys::ENOMEM))
}

/// Puts the mark of this process on the directory, and returns whether another process serves the directory and may do so. If the kernel does not
/// say who holds locks, any holder of flock's lock counts.
fn is_served(directory: &File, held: bool) -> bool {
    let marked = locks::mark(directory.as_fd(), true);
    let (Ok(()), Ok(own)) = (marked, directory.metadata()) else {
        return !held;
    };
    let trusted = [0, own.uid(), identity::effective_user()];
    let others = locks::others(directory.as_fd(), held, |pid, facts| may_serve(pid, facts, trusted));
    others.map_or(!held, |others| !others.is_empty())
}

/// Returns whether all user ids of a process are among `trusted`, and its program is neither set-user-ID nor set-group-ID: such a program inherits
/// the locks of the user who executed it.
fn may_serve(pid: Pid, facts: &Facts, trusted: [u32; 3]) -> bool {
    let is_lent = || fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|file| file.mode() & 0o6000 != 0);
    facts.users.iter().all(|user| trusted.contains(user)) && !is_lent()
}
