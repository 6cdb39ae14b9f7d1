//! The record of a supervise: how it is written, and how its successor and the clients read it.
//!
//! `supervise/status` has the 20 bytes that every suite of the family reads; it is written as a new file and renamed. `supervise/record`
//! ([`svdir::record`]) has everything, and is written in place by one call. The record is written first. A reader believes it if it is not older
//! than the status beside it: a supervise of another suite writes a status and leaves the record alone.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use cli::{Text, Warnings, text};
use machine::{SECOND, Tick};
use svdir::record::slots::{self, Sequence};
use svdir::record::{Boot, Born, Record, layout1};
use svdir::{Status, names};
use sys::{adopted, environ, fd};

use super::{files, tick};

/// The time after which a write that failed is tried again, in nanoseconds.
const REWRITE: u64 = 5 * SECOND;

/// Why nothing is known about a service.
#[derive(Debug)]
pub enum Unreadable {
    /// Its status cannot be opened.
    Open(io::Error),
    /// Its status cannot be read.
    Read(io::Error),
    /// Its status file is too short.
    TooShort,
}

impl Unreadable {
    /// The text for a message, in the words of daemontools.
    pub fn text(&self) -> Text {
        match self {
            Unreadable::Open(error) => text!("unable to open ", names::STATUS, ": ", cli::reason(error).as_ref()),
            Unreadable::Read(error) => text!("unable to read ", names::STATUS, ": ", cli::reason(error).as_ref()),
            Unreadable::TooShort => text!("unable to read ", names::STATUS, ": bad format"),
        }
    }
}

/// What the files of a service directory say about its service.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The status, which a supervise of any suite has written.
    pub status: Status,
    /// The record, if one of our supervises has written that status.
    pub record: Option<Record>,
}

/// Reads the status and the record of the service directory `dir`.
///
/// # Errors
/// If there is no status, or it cannot be read or is too short.
pub fn read(dir: &Path) -> Result<Found, Unreadable> {
    find(fd::open_read(&files::of(dir, names::STATUS)), || fd::open_read(&files::of(dir, names::RECORD)))
}

/// Reads the status and the record of the service directory that is the current directory.
///
/// # Errors
/// As [`read`].
pub fn read_own() -> Result<Found, Unreadable> {
    find(fd::open_read(&*files::own().status), || fd::open_read(&*files::own().record))
}

/// Reads a status file and a record file that were opened in any way.
///
/// # Errors
/// As [`read`].
pub fn find(status: io::Result<File>, record: impl FnOnce() -> io::Result<File>) -> Result<Found, Unreadable> {
    let status = match status {
        // A full disk may have had no room for the status, but room for the record.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let record = newest(record).ok_or(Unreadable::Open(error))?;
            return Ok(Found { status: record.status(), record: Some(record) });
        }
        status => status.map_err(Unreadable::Open)?,
    };
    let mut bytes = [0; layout1::LONGEST];
    let length = fd::read(status.as_fd(), &mut bytes).map_err(Unreadable::Read)?;
    let bytes = bytes.get(..length).unwrap_or_default();
    let status = Status::decode(bytes).map_err(|svdir::TooShort| Unreadable::TooShort)?;
    let is_current = |record: &Record| length == Status::SIZE && record.observed.main.since >= status.since;
    let record = layout1::decode(bytes).or_else(|| newest(record).filter(is_current));
    Ok(Found { status, record })
}

#[inline(never)]
fn newest(record: impl FnOnce() -> io::Result<File>) -> Option<Record> {
    let mut bytes = [0; slots::FILE];
    let file = record().ok()?;
    let length = fd::read(file.as_fd(), &mut bytes).ok()?;
    slots::newest(bytes.get(..length)?).map(|(_, record)| record)
}

/// The variable by which svscan tells the supervises that it starts which boot this is: the pid of svscan, a colon, and the id in hexadecimal
/// digits. To find the id takes several files of `/proc`, a tenth of all that a supervise does until its service runs. supervise removes the variable from the
/// environment of the service.
const BOOT: &str = "UPHOLD_BOOT";

static THIS_BOOT: OnceLock<Option<[u8; 16]>> = OnceLock::new();

/// The current boot of the system; `None` if nothing identifies it. It is asked for once.
pub fn this_boot() -> Option<Boot> {
    THIS_BOOT.get_or_init(adopted::same_boot_id).map(Boot::Namespace)
}

/// Tells the children of this process which boot this is.
pub fn tell_boot() {
    if let Some(Boot::Namespace(id)) = this_boot() {
        let value = format!("{}:{:032x}", std::process::id(), u128::from_be_bytes(id));
        environ::set(BOOT, OsStr::new(&value));
    }
}

/// Believes what the parent of this process has told about the boot, so that [`this_boot`] need not ask. What anybody else has left in the environment is not
/// believed: it may have been copied from a process of another boot.
pub fn hear_boot() {
    let told = environ::take(BOOT).and_then(|told| told.into_string().ok());
    let from_parent = told
        .as_deref()
        .and_then(|told| told.split_once(':'))
        .filter(|(teller, id)| teller.parse() == Ok(std::os::unix::process::parent_id()) && id.len() == 32);
    if let Some(id) = from_parent.and_then(|(_, id)| u128::from_str_radix(id, 16).ok()) {
        let _ = THIS_BOOT.set(Some(id.to_be_bytes()));
    }
}

/// Returns whether `boot` is the current boot of the system.
pub fn is_this_boot(boot: Boot) -> bool {
    match boot {
        Boot::Kernel(id) => adopted::boot_id() == Some(id),
        Boot::Namespace(_) => this_boot() == Some(boot),
    }
}

/// Returns whether `boot` is the current boot of the system, as far as that can be told: where nothing identifies a boot, each may be.
pub fn may_be_this_boot(boot: Boot) -> bool {
    this_boot().is_none() || is_this_boot(boot)
}

/// The record of a supervise that was killed in this boot of the system. `None` if there was none, or it exited because it
/// was told to.
pub fn left_behind(found: Result<Found, Unreadable>) -> Option<Record> {
    let record = found.ok()?.record?;
    let supervise = &record.observed.supervise;
    (!supervise.exited && is_this_boot(supervise.boot)).then_some(record)
}

/// The record of a supervise that has exited in this boot of the system so that svscan ends with its service, if no svscan has done that yet.
pub fn left_for_init(found: &Result<Found, Unreadable>) -> Option<Record> {
    let record = found.as_ref().ok()?.record.filter(Record::ends_init)?;
    is_this_boot(record.observed.supervise.boot).then_some(record)
}

/// Notes in the record of the service directory `dir` that svscan has ended with its service, so that the next svscan does not.
///
/// # Errors
/// If the record cannot be read or written. Nothing is changed if it does not say that svscan is to end.
pub fn note_end_of_init(dir: &Path) -> io::Result<()> {
    let file = fd::open_own_read_write(&files::of(dir, names::RECORD))?;
    let mut bytes = [0; slots::FILE];
    let length = read_from_start(&file, &mut bytes)?;
    let Some((sequence, mut record)) = slots::newest(&bytes[..length]).filter(|(_, record)| record.ends_init()) else {
        return Ok(());
    };
    record.decided.service.ended = false;
    let sequence = sequence.next();
    Slot { file: Some(&file), offset: sequence.offset(), bytes: slots::encode(sequence, &record) }.write()
}

/// Returns whether there is the record of a supervise that was killed in a boot that cannot be identified.
pub fn may_be_left_behind(found: &Result<Found, Unreadable>) -> bool {
    let record = found.as_ref().ok().and_then(|found| found.record);
    this_boot().is_none()
        && record.is_some_and(|record| record.observed.supervise.pid != 0 && !record.observed.supervise.exited)
}

/// Returns whether a supervise of `dir` was killed in this boot of the system, so that its service may live.
pub fn was_left_behind(dir: &Path) -> bool {
    left_behind(read(dir)).is_some()
}

/// Converts a time of birth to the type of the record.
pub fn born(birth: adopted::Birth) -> Born {
    Born { earliest: birth.earliest, latest: birth.latest }
}

/// Converts the time of birth in a record to the type of `sys`.
pub fn birth(born: Born) -> adopted::Birth {
    adopted::Birth { earliest: born.earliest, latest: born.latest }
}

/// The status and record files, for the supervise that writes them.
pub struct Announcer {
    /// `None` while the record file cannot be opened.
    record: Option<File>,
    sequence: Sequence,
    /// When a write that failed is tried again.
    pub rewrite: Option<Tick>,
}

impl Announcer {
    /// Opens the record, and reserves its place on the disk, so that a disk that fills up later does not matter. If that fails, each
    /// [`announce`](Announcer::announce) tries again, and says so.
    pub fn open() -> Announcer {
        let mut announcer = Announcer { record: None, sequence: Sequence::default(), rewrite: None };
        let _ = announcer.open_record();
        announcer
    }

    fn open_record(&mut self) -> io::Result<()> {
        if self.record.is_none() {
            let opened = fd::open_record(&*files::own().record).and_then(Announcer::inherit_file)?;
            (self.record, self.sequence) = (opened.record, opened.sequence);
        }
        Ok(())
    }

    /// Goes on with the file that was open in this process before an upgrade.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn inherit(record: OwnedFd) -> io::Result<Announcer> {
        Announcer::inherit_file(record.into())
    }

    fn inherit_file(record: File) -> io::Result<Announcer> {
        let mut bytes = [0; slots::FILE];
        let length = read_from_start(&record, &mut bytes)?;
        let sequence = slots::newest(&bytes[..length]).map_or(Sequence::default(), |(sequence, _)| sequence);
        if length < slots::FILE {
            record.write_all_at(&bytes[length..], length as u64)?;
        }
        Ok(Announcer { record: Some(record), sequence, rewrite: None })
    }

    /// The descriptor of the record file, if it is open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.record.as_ref().map(AsFd::as_fd)
    }

    /// Prepares `record` for the next slot, for a child that writes it before it executes `run`.
    pub fn prepare(&self, record: &Record) -> Slot<'_> {
        let sequence = self.sequence.next();
        Slot { file: self.record.as_ref(), offset: sequence.offset(), bytes: slots::encode(sequence, record) }
    }

    /// Notes that a child has written the prepared slot, or may have.
    pub fn was_written(&mut self) {
        self.sequence = self.sequence.next();
    }

    /// Writes the record, then the status. A failure is reported once and tried again later; the service goes on
    /// meanwhile.
    pub fn announce(&mut self, dir: &OsStr, record: &Record, said: &mut Warnings) {
        let recorded = self.open_record().and_then(|()| self.prepare(record).write());
        self.was_written();
        let announced = announce_status(dir, &record.status().encode(), said);
        self.rewrite = (recorded.is_err() || !announced).then(|| tick().after(REWRITE));
        match recorded {
            Ok(()) => said.over("record"),
            Err(error) => said.warning("record", unable(dir, "write", names::RECORD), &error),
        }
    }
}

/// Writes the status. Returns whether that succeeded; if not, it has warned, in the words of the original.
fn announce_status(dir: &OsStr, status: &[u8; Status::SIZE], said: &mut Warnings) -> bool {
    let Err((verb, error)) = write_status(status) else {
        said.over("status");
        return true;
    };
    let text = match verb {
        Verb::Open => unable(dir, "open", names::STATUS_NEW),
        Verb::Write => unable(dir, "write", names::STATUS_NEW),
        Verb::Rename => text!(unable(dir, "rename", names::STATUS_NEW).0.as_slice(), " to status"),
    };
    said.warning("status", text, &error);
    false
}

/// A record, encoded for the slot in which it is to be written. Writing it allocates no memory.
pub struct Slot<'a> {
    file: Option<&'a File>,
    offset: u64,
    bytes: [u8; slots::SLOT],
}

impl Slot<'_> {
    /// Writes the slot, in one call.
    ///
    /// # Errors
    /// If it was not written completely. The other slot is as it was.
    pub fn write(&self) -> io::Result<()> {
        let file = self.file.ok_or_else(|| io::Error::from_raw_os_error(sys::ENOSPC))?;
        file.write_all_at(&self.bytes, self.offset)
    }
}

enum Verb {
    Open,
    Write,
    Rename,
}

/// Writes the status so that a reader sees either the old status or the new one.
fn write_status(status: &[u8; Status::SIZE]) -> Result<(), (Verb, io::Error)> {
    let file = fd::open_own_truncate(&*files::own().status_new).map_err(|error| (Verb::Open, error))?;
    match fd::write(file.as_fd(), status) {
        Ok(count) if count == status.len() => {}
        Ok(_) => return Err((Verb::Write, io::Error::other("partial write"))),
        Err(error) => return Err((Verb::Write, error)),
    }
    drop(file);
    fd::rename(&*files::own().status_new, &*files::own().status).map_err(|error| (Verb::Rename, error))
}

fn unable(dir: &OsStr, verb: &str, name: &str) -> Text {
    let shown = files::shown(dir, name);
    text!("unable to ", verb, " ", shown.0.as_slice())
}

fn read_from_start(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match fd::uninterrupted(|| file.read_at(rest, length as u64))? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}
