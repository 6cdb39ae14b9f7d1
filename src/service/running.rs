//! The supervise that runs in a service directory, whoever started it: this svscan, one before it, or somebody by hand. It reads the
//! FIFO `supervise/ok` for its life, so whoever holds the other end is told when it ends.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use machine::Pid;
use svdir::names;
use sys::fd;

use super::{files, record};

/// A supervise that runs in a service directory.
pub struct RunningSupervise {
    /// The write end of its FIFO.
    pub ok: File,
    /// Its pid, if its record tells.
    pub pid: Option<Pid>,
}

impl RunningSupervise {
    /// Finds the supervise that runs in `dir`, if one does.
    ///
    /// # Errors
    /// If that cannot be found out, being out of descriptors or memory; or if it is the supervise of [another](owner) service directory.
    pub fn find(dir: &Path) -> io::Result<Option<RunningSupervise>> {
        match fd::open_write(&files::of(dir, names::OK)) {
            Ok(ok) if fd::is_fifo(&ok)? => match owner(dir) {
                None => Ok(Some(RunningSupervise { ok, pid: pid(dir) })),
                Some(owner) => Err(shared(&owner)),
            },
            Ok(_) => Ok(None),
            Err(error) if matches!(error.raw_os_error(), Some(sys::EMFILE | sys::ENFILE | sys::ENOMEM)) => Err(error),
            // The FIFO does not exist, or nobody reads it. If something else is wrong with it, supervise will say so.
            Err(_) => Ok(None),
        }
    }
}

/// The other service directory whose supervise runs with the files that would be those of `dir`. Below a `SUPERVISEDIR` these are named after
/// the path with colons for slashes, which is the same for `web:log` and `web/log`. `None` as well where that cannot be seen, without `/proc`.
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

/// Says that the files of a service directory are those of `owner`, and what to do.
pub fn shared(owner: &Path) -> io::Error {
    let path = owner.as_os_str().as_bytes().escape_ascii();
    io::Error::other(format!("it is that of {path}, whose path differs only by a colon; rename one of the two"))
}

/// The pid in the record of `dir`, if that process is where a supervise of `dir` is.
fn pid(dir: &Path) -> Option<Pid> {
    let supervise = record::read(dir).ok()?.record?.observed.supervise.pid;
    let there = std::fs::metadata(format!("/proc/{supervise}/cwd")).ok()?;
    let here = std::fs::metadata(dir).ok()?;
    ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(Pid(supervise))
}
