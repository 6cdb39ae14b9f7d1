//! Supervises that are no children of this svscan: those of one before it, or that somebody started by hand. Each reads the
//! FIFO `supervise/ok` for its life, so whoever holds the other end is told when it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use machine::Pid;
use svdir::names;
use sys::fd;

use super::{files, record};

/// Such a supervise.
pub struct Other {
    /// The write end of its FIFO.
    pub ok: File,
    /// Its pid, if its record tells.
    pub pid: Option<Pid>,
}

impl Other {
    /// The one that runs in `dir`, if one does.
    ///
    /// # Errors
    /// If that cannot be found out: out of descriptors or memory.
    pub fn find(dir: &Path) -> io::Result<Option<Other>> {
        match fd::open_write(&files::of(dir, names::OK)) {
            Ok(ok) if fd::is_fifo(&ok)? => Ok(Some(Other { ok, pid: pid(dir) })),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.raw_os_error(), Some(sys::EMFILE | sys::ENFILE | sys::ENOMEM)) => Err(error),
            // It does not exist, or nobody reads it. What else is wrong with it supervise will say.
            Err(_) => Ok(None),
        }
    }
}

/// The pid in the record of `dir`, if that process is where a supervise of `dir` is.
fn pid(dir: &Path) -> Option<Pid> {
    let (_, more) = record::read(&files::of(dir, names::STATUS)).ok()??;
    let there = std::fs::metadata(format!("/proc/{}/cwd", more.supervise)).ok()?;
    let here = std::fs::metadata(dir).ok()?;
    ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some(Pid(more.supervise))
}
