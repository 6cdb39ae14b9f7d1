//! The supervise that runs in a service directory, whoever started it: this svscan, an earlier one, or somebody by hand. It has the
//! FIFO `supervise/ok` open for reading for its life, so a process that holds the other end is told when it ends.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use machine::{Pid, SECOND};
use svdir::names;
use sys::{fd, identity, poll, presence, proc, process};

use super::{files, record};

/// A supervise that runs in a service directory.
pub struct RunningSupervise {
    /// The write end of its FIFO `ok`.
    pub ok: File,
    /// Its pid, if its record has it.
    pub pid: Option<Pid>,
}

impl RunningSupervise {
    /// Finds the supervise that runs in `dir`, if one does.
    ///
    /// # Errors
    /// If that cannot be found out for lack of descriptors or memory; or if it is the supervise of [another](owner) service directory.
    pub fn find(dir: &Path) -> io::Result<Option<RunningSupervise>> {
        match fd::open_write(&files::of(dir, names::OK)) {
            Ok(ok) if fd::is_fifo(&ok)? => match owner(dir) {
                None => Ok(Some(RunningSupervise { ok, pid: pid(dir) })),
                Some(owner) => Err(shared(&owner)),
            },
            Ok(_) => Ok(None),
            Err(error) if matches!(error.raw_os_error(), Some(sys::EMFILE | sys::ENFILE | sys::ENOMEM)) => Err(error),
            // The FIFO does not exist, or has no reader. If something else is wrong with it, supervise will say so.
            Err(_) => Ok(None),
        }
    }
}

/// The other service directory whose supervise runs with the files that would belong to `dir`: below a `SUPERVISEDIR` the name of their
/// directory has colons for slashes, so it is the same for `web:log` and `web/log`. `None` if there is no other, or without `/proc`.
pub fn owner(dir: &Path) -> Option<PathBuf> {
    if !files::are_named_by_path() {
        return None;
    }
    let dir = std::fs::canonicalize(dir).ok()?;
    let supervise = record::read(&dir).ok()?.record?.observed.supervise;
    let there = std::fs::read_link(format!("/proc/{}/cwd", supervise.pid)).ok()?;
    let name = |dir: &Path| names::below_state_directory(dir.as_os_str().as_bytes());
    (there != dir && name(&there) == name(&dir)).then_some(there)
}

/// Makes the error which says that the files of a service directory belong to `owner`, and what to do.
pub fn shared(owner: &Path) -> io::Error {
    let path = owner.as_os_str().as_bytes().escape_ascii();
    io::Error::other(format!("it is that of {path}, whose path differs only by a colon; rename one of the two"))
}

/// The supervise that has marked the service directory `directory`, if there is one: it runs there, even if its files were removed. A mark counts
/// only if its process runs as root, as the user of this process, or as the owner of the directory.
pub fn marked_by(directory: &File) -> Option<process::Pid> {
    let holder = presence::marked_by(directory).ok().flatten()?;
    let users = [0, identity::effective_user(), directory.metadata().ok()?.uid()];
    is_of(holder, &users).then_some(holder)
}

/// Returns whether all user ids of a process are among `users`. The real one matters too: a set-user-id program keeps that
/// of its caller.
fn is_of(pid: process::Pid, users: &[u32]) -> bool {
    proc::users(pid).is_some_and(|own| own.iter().all(|user| users.contains(user)))
}

/// Tells a supervise that its files were removed: when it gets CHLD but no child has ended, it looks for its files and makes
/// them anew.
pub fn recall(supervise: process::Pid) {
    let _ = process::kill(supervise, process::Signal::SIGCHLD);
}

/// Tells the supervise of the current directory, if one runs there, that its files were removed, and waits up to a
/// second until `is_there`.
pub fn wait_for_recalled(is_there: impl Fn() -> bool) {
    const LOOKS: u64 = 200;
    let Some(supervise) = fd::open_read(".").ok().and_then(|directory| marked_by(&directory)) else {
        return;
    };
    recall(supervise);
    for _ in 0..LOOKS {
        if is_there() {
            return;
        }
        poll::rest_for(SECOND / LOOKS);
    }
}

/// The pid of supervise in the record of `dir`, if the current directory of that process is `dir`.
fn pid(dir: &Path) -> Option<Pid> {
    let supervise = record::read(dir).ok()?.record?.observed.supervise.pid;
    let there = std::fs::metadata(format!("/proc/{supervise}/cwd")).ok()?;
    let here = std::fs::metadata(dir).ok()?;
    ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(Pid(supervise))
}
