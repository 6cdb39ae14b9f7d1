//! A new child of svscan: what it gets that svscan has otherwise.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use cli::text;
use sys::limits::{self, Resource};
use sys::{fd, identity, oom, process};

use super::system::Spawned;
use crate::service::processes::machine_pid;
use crate::service::programs::Peer;

/// What a child gets that svscan has otherwise.
pub struct Child {
    /// The soft limit on open files.
    pub open_files: Option<u64>,
    /// A session of its own.
    pub own_session: bool,
    /// The environment.
    pub environment: Option<Vec<CString>>,
}

impl Child {
    /// Becomes `program` in a new child, with each of `descriptors` placed as the number beside it, in this order. In messages it is what it does
    /// for that directory.
    pub fn spawn(
        &self,
        program: &Peer,
        (what, dir): (&str, &OsStr),
        descriptors: &[(BorrowedFd<'_>, RawFd)],
    ) -> io::Result<Spawned> {
        let mut exec = program.prepare(self.environment.as_deref());
        let become_program = || {
            if let Some(soft) = self.open_files {
                let _ = limits::set_soft(Resource::RLIMIT_NOFILE, soft);
            }
            if self.own_session {
                // It cannot fail: a new process leads no group.
                let _ = identity::new_session();
            }
            match descriptors.iter().try_for_each(|&(from, to)| fd::place(from, to)) {
                Ok(()) => ("unable to start ", what, exec()),
                Err(error) => ("unable to set up descriptors for ", "", error),
            }
        };
        let mut unable = None;
        let pid = process::spawn(become_program, |(verb, what, error)| unable = Some((text!(verb, what, dir), error)))?;
        Ok(Spawned { pid: machine_pid(pid), unable, oom: oom::failure() })
    }
}
