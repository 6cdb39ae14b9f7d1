//! Starting a child of svscan, with the settings in which it differs from svscan.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use cli::text;
use sys::limits::{self, Resource};
use sys::{fd, identity, oom, process};

use super::system::Spawned;
use crate::service::processes::machine_pid;
use crate::service::programs::Peer;

/// The settings in which a child differs from svscan.
pub struct Child {
    /// The soft limit on open files; `None` for that of svscan.
    pub open_files: Option<u64>,
    /// Whether the child leads a session of its own.
    pub own_session: bool,
    /// The environment; `None` for that of svscan.
    pub environment: Option<Vec<CString>>,
}

impl Child {
    /// Executes `program` in a new child, with each of `descriptors` placed, in this order, as the number beside it. `what` and `dir` name the
    /// child in messages.
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
                // This cannot fail: a new process does not lead a process group.
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
