//! The lock on the scan directory: two svscans in one directory would fight for its services. It takes no file and no right to write.
//!
//! flock on the directory is what every svscan of ours has held. But everybody who may read the directory may hold that. So it keeps svscan out
//! only if the kernel says that it is held by somebody who may serve the directory; and each svscan has a mark on the directory besides, which nobody
//! can keep it from, and which tells the next one of a svscan that had to go on without the lock.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use machine::SECOND;
use sys::process::Pid;
use sys::{fd, identity, locks, sealed};

use crate::service::tick;

/// A child of an svscan that was killed holds a copy of its lock until it has become a supervise. So long it is waited for, in nanoseconds.
const PATIENCE: u64 = SECOND;
/// It is asked for again so much later, in nanoseconds.
const REST: u64 = SECOND / 100;
/// Who was seen to serve the directory serves it for so long, in nanoseconds, even when he is not seen any more.
const SEEN: u64 = SECOND / 4;

/// The lock of this process.
pub struct DirectoryLock {
    directory: File,
    /// Whether it is held: a stranger may have it.
    held: bool,
}

impl DirectoryLock {
    /// Takes that of `path`. `None` where the directory may not be read, or the file system has no locks.
    ///
    /// # Errors
    /// EAGAIN if another svscan has it; those of a process or system that has run out of something.
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
            // Others that begin shall not take this one for one that serves.
            let _ = locks::mark(directory.as_fd(), false);
            if is_last {
                return Err(io::Error::from_raw_os_error(sys::EAGAIN));
            }
            sys::poll::rest_for(REST);
        }
    }

    /// The one that another svscan had in this process.
    pub fn inherit(number: RawFd) -> io::Result<DirectoryLock> {
        let mut lock = DirectoryLock { directory: sealed::inherit(number)?.into(), held: false };
        lock.renew();
        Ok(lock)
    }

    /// The descriptor that it belongs to.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Whether it is held. If not, somebody holds it who may not serve the directory.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Marks the directory again, which this process has closed a descriptor of, and takes the lock if it has become free.
    pub fn renew(&mut self) {
        // Where it cannot be had, flock's has to do.
        let _ = locks::mark(self.fd(), true);
        self.held = self.held || fd::try_lock(&self.directory).is_ok();
    }
}

fn ran_out(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::EMFILE | sys::ENFILE | sys::ENOMEM))
}

/// Whether somebody who may do so serves the directory; if not, it has the mark of this process now. Where the kernel does not tell who locks what,
/// whoever has the lock does.
fn is_served(directory: &File, held: bool) -> bool {
    let marked = locks::mark(directory.as_fd(), true);
    let (Ok(()), Ok(others), Ok(own)) = (marked, locks::others(directory.as_fd(), held), directory.metadata()) else {
        return !held;
    };
    let trusted = [0, own.uid(), identity::effective_user()];
    others.into_iter().any(|pid| may_serve(pid, trusted))
}

/// Whether a process is one of these users, and not by a file that made somebody else so: that has the locks of whoever executed it.
fn may_serve(pid: Pid, trusted: [u32; 3]) -> bool {
    let is_lent = || fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|file| file.mode() & 0o6000 != 0);
    identity::users_of(pid).is_some_and(|users| users.iter().all(|user| trusted.contains(user))) && !is_lent()
}
