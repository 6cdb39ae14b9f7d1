//! The status file: how supervise writes it, and what its successor finds there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cli::{Text, text};
use svdir::{Born, More, Status, names};
use sys::{adopted, fd};

use super::files;

/// A whole record as it stands in the file.
pub type Bytes = [u8; Status::WHOLE];

/// Why the status file could not be written.
#[derive(Debug)]
pub enum Failure {
    /// The new one could not be made.
    Open(io::Error),
    /// It could not be filled.
    Write(io::Error),
    /// Only a part of it was written.
    Partial,
    /// It could not take the place of the old one.
    Rename(io::Error),
}

impl Failure {
    /// What could not be done, in the words of the original, and the reason.
    pub fn told(self, dir: &OsStr) -> (Text, io::Error) {
        let shown_new = files::shown(OsStr::new(dir), names::STATUS_NEW);
        let unable = |verb: &str| text!("unable to ", verb, " ", shown_new.0.as_slice());
        match self {
            Failure::Open(error) => (unable("open"), error),
            Failure::Write(error) => (unable("write"), error),
            Failure::Partial => (unable("write"), io::Error::other("partial write")),
            Failure::Rename(error) => (text!("unable to rename ", shown_new.0.as_slice(), " to status"), error),
        }
    }
}

/// Writes the record so that a reader sees the old one or this one. Takes no memory: a child calls this before it becomes `run`.
///
/// # Errors
/// If that cannot be done. The old record is then overwritten in place if there is one of ours (a full disk allows that), for
/// a successor must not miss a child.
pub fn write(record: &Bytes) -> Result<(), Failure> {
    let written = write_new(record);
    if written.is_err() {
        let _ = overwrite(record);
    }
    written
}

fn write_new(record: &Bytes) -> Result<(), Failure> {
    let file = fd::open_own_truncate(&*files::own().status_new).map_err(Failure::Open)?;
    match fd::write(file.as_fd(), record) {
        Ok(count) if count == record.len() => {}
        Ok(_) => return Err(Failure::Partial),
        Err(error) => return Err(Failure::Write(error)),
    }
    drop(file);
    fd::rename(&*files::own().status_new, &*files::own().status).map_err(Failure::Rename)
}

fn overwrite(record: &Bytes) -> io::Result<()> {
    let file = fd::open_write(&*files::own().status)?;
    if file.metadata()?.len() == record.len() as u64 {
        fd::write(file.as_fd(), record)?;
    }
    Ok(())
}

/// What a supervise that was killed in this boot of the machine had written. `None` if there was none, or it left by itself.
pub fn left_behind(boot: [u8; 16]) -> Option<(Status, More)> {
    let (status, more) = read(&*files::own().status).ok()??;
    (more.boot == boot && boot != [0; 16] && !more.left).then_some((status, more))
}

/// Whether a supervise of `dir` was killed in this boot of the machine. Its service may live.
pub fn was_left_behind(dir: &Path) -> bool {
    let record = read(&files::of(dir, names::STATUS)).ok().flatten();
    record.is_some_and(|(_, more)| !more.left && more.boot != [0; 16] && Some(more.boot) == adopted::boot_id())
}

/// The record in the file at `path`, if it is one of ours.
pub fn read<P: fd::FilePath + ?Sized>(path: &P) -> io::Result<Option<(Status, More)>> {
    let file: File = fd::open_read(path)?;
    let mut bytes = [0; Status::WHOLE];
    let count = fd::read(file.as_fd(), &mut bytes)?;
    let record = Status::decode_with(&bytes[..count]);
    Ok(record.ok().and_then(|(status, more)| Some((status, more?))))
}

/// The same as it stands in a record.
pub fn born(birth: adopted::Birth) -> Born {
    Born { earliest: birth.earliest, latest: birth.latest }
}

/// When the process of a record was born, as `sys` takes it.
pub fn birth(born: Born) -> adopted::Birth {
    adopted::Birth { earliest: born.earliest, latest: born.latest }
}
