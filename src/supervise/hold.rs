//! What supervise holds in its service directory as long as it lives: the lock, two FIFOs, the record, and a mark on
//! the directory itself.
//!
//! The lock is in `supervise/`. If `supervise/` is removed while supervise runs, as `git clean` does, another supervise
//! could take a new lock there. So the service directory is marked too. A supervise that finds no `supervise/` looks
//! for the process that has marked the directory. If a supervise runs there, the new one sends it CHLD and fails; the
//! running one then looks for its files, and makes them anew.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use anyhow::Context;
use cli::{Exit, Warnings, text};
use machine::{SECOND, Tick};
use svdir::names;
use svdir::record::Record;
use svdir::record::handover::Key;
use sys::process::Pid;
use sys::{adopted, fd, presence};

use super::upgrade::Inherited;
use super::voice::VOICE;
use crate::service::record::{self, Announcer};
use crate::service::tick;
use crate::service::{files, running};

/// The lock, the FIFOs, the record and the mark.
pub struct Hold {
    control: File,
    /// The control FIFO must keep a writer, or its reader would see the end of file.
    control_writer: File,
    /// The FIFO `ok`: whoever can open it for writing knows that a supervise runs here.
    ok: File,
    /// The lock: no other supervise can run here. A child holds it too until it executes `run`, so that no successor
    /// begins before the child is recorded.
    lock: File,
    /// The service directory, which is marked. If supervise closed any other descriptor of it, the mark would be gone.
    directory: Option<File>,
    /// The record and the status.
    pub announcer: Announcer,
}

impl Hold {
    /// Takes hold of the current directory, which messages call `dir`, in the order of daemontools. `first` makes the
    /// first record: it is called when the directory is ours, and the record is written before clients can see that a
    /// supervise runs here.
    pub fn take(
        dir: &OsStr,
        said: &mut Warnings,
        first: impl FnOnce(&mut Warnings) -> anyhow::Result<Record>,
    ) -> anyhow::Result<Hold> {
        let own = files::own();
        let is_new = make_supervise_directory()?;
        let shown = |file| files::shown(dir, file);
        let lock = take_lock().with_context(|| text!("unable to acquire ", shown(names::LOCK).0.as_slice()))?;
        let directory = mark();
        if let Some(Some(holder)) = directory.as_ref().filter(|_| is_new).map(running::marked_by) {
            drop(lock);
            // The running supervise may be another user's, who could not use files that this user has made.
            let own = [&own.lock, &own.directory].map(|path| OsStr::from_bytes(path.to_bytes()));
            let _ = std::fs::remove_file(own[0]).and_then(|()| std::fs::remove_dir(own[1]));
            running::recall(holder);
            let removed = io::Error::other(format!("supervise runs here as pid {holder}, and its files were removed"));
            return Err(removed).with_context(|| text!("unable to acquire ", shown(names::LOCK).0.as_slice()));
        }
        let unable = |verb, file| move || text!("unable to ", verb, " ", files::shown(dir, file).0.as_slice());
        let _ = fd::make_fifo(&*own.control);
        let control = fd::open_read(&*own.control).with_context(unable("read", names::CONTROL))?;
        let control_writer = fd::open_write(&*own.control).with_context(unable("write", names::CONTROL))?;
        require_fifo(&control).with_context(unable("read", names::CONTROL))?;
        let mut announcer = Announcer::open();
        announcer.announce(dir, &first(said)?, said);
        let _ = fd::make_fifo(&*own.ok);
        let ok = fd::open_read(&*own.ok).with_context(unable("read", names::OK))?;
        require_fifo(&ok).with_context(unable("read", names::OK))?;
        Ok(Hold { control, control_writer, ok, lock, directory, announcer })
    }

    /// Takes over what was held before an upgrade.
    ///
    /// # Errors
    /// If something is missing that every release holds.
    pub fn inherit(inherited: &Inherited) -> io::Result<Hold> {
        let missing = || io::Error::from_raw_os_error(sys::EBADF);
        let required = |key| inherited.take(key).map(File::from).ok_or_else(missing);
        let [control, control_writer, ok, lock] =
            [required(Key::CONTROL)?, required(Key::CONTROL_WRITER)?, required(Key::OK)?, required(Key::LOCK)?];
        let announcer = match inherited.take(Key::RECORD) {
            Some(record) => Announcer::inherit(record)?,
            None => Announcer::open(),
        };
        let directory = inherited.take(Key::DIRECTORY).map(File::from).or_else(mark);
        Ok(Hold { control, control_writer, ok, lock, directory, announcer })
    }

    /// The service directory, if it is open.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    /// All descriptors, to be handed over in an upgrade.
    pub fn descriptors(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let always = [
            (Key::CONTROL, self.control.as_fd()),
            (Key::CONTROL_WRITER, self.control_writer.as_fd()),
            (Key::OK, self.ok.as_fd()),
            (Key::LOCK, self.lock.as_fd()),
        ];
        let record = self.announcer.fd().map(|record| (Key::RECORD, record));
        let directory = self.directory.as_ref().map(|directory| (Key::DIRECTORY, directory.as_fd()));
        always.into_iter().chain(record).chain(directory)
    }

    /// The FIFO from which commands are read.
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Returns whether the files in `supervise/` are still ours.
    pub fn is_there(&self) -> bool {
        let there = std::fs::metadata(OsStr::from_bytes(files::own().lock.to_bytes()));
        let ours = self.lock.metadata();
        matches!((there, ours), (Ok(there), Ok(ours)) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }

    /// Makes the files in `supervise/` anew, with a warning. Returns when to try again if that failed.
    pub fn insist(&mut self, dir: &OsStr, record: &Record, said: &mut Warnings) -> Option<Tick> {
        let shown = files::shown(dir, names::SUPERVISE);
        match self.renew(dir, record, said) {
            Ok(()) => {
                said.over("renew");
                VOICE.warn(&text!(shown.0.as_slice(), " was removed, made anew"));
                None
            }
            Err(error) => {
                let text = text!("unable to make ", shown.0.as_slice(), " anew, trying again in a second");
                said.warning("renew", text, &error);
                Some(tick().after(SECOND))
            }
        }
    }

    /// Makes the files in `supervise/` anew after they were removed.
    ///
    /// # Errors
    /// If that fails; supervise then holds what it held before.
    fn renew(&mut self, dir: &OsStr, record: &Record, said: &mut Warnings) -> io::Result<()> {
        let own = files::own();
        let _ = make_private_directory(OsStr::from_bytes(own.directory.to_bytes()));
        let lock = fd::open_own_append(&*own.lock)?;
        fd::try_lock(&lock)?;
        let _ = fd::make_fifo(&*own.control);
        let control = fd::open_read(&*own.control)?;
        let control_writer = fd::open_write(&*own.control)?;
        require_fifo(&control)?;
        let mut announcer = Announcer::open();
        announcer.announce(dir, record, said);
        let _ = fd::make_fifo(&*own.ok);
        let ok = fd::open_read(&*own.ok)?;
        require_fifo(&ok)?;
        let directory = self.directory.take();
        *self = Hold { control, control_writer, ok, lock, directory, announcer };
        Ok(())
    }
}

/// Marks the current directory. If the file system has no such locks, supervise works without the mark.
fn mark() -> Option<File> {
    let directory = fd::open_read(".").ok()?;
    match presence::mark(&directory) {
        Ok(()) => Some(directory),
        Err(error) => {
            log::debug!("the service directory cannot be marked: {}", cli::reason(&error));
            None
        }
    }
}

/// Makes `supervise/`. If that is a dangling link, makes the directory to which it points, as Debian's daemontools
/// does; the two messages are Debian's too. Returns whether `supervise/` was missing.
fn make_supervise_directory() -> anyhow::Result<bool> {
    const LONGEST_LINK: usize = 255;
    let directory = OsStr::from_bytes(files::own().directory.to_bytes());
    if make_private_directory(directory).is_ok() {
        return Ok(true);
    }
    let failed = match std::fs::read_link(directory) {
        Ok(target) if target.as_os_str().len() <= LONGEST_LINK => {
            // If this fails, the lock cannot be made, and that error is reported.
            return Ok(make_private_directory(target.as_os_str()).is_ok());
        }
        Ok(_) => "unknown error".into(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        Err(error) => cli::reason(&error),
    };
    cli::print_error(format!("unable to readlink ./supervise: {failed}\n").as_bytes());
    Err(Exit(cli::TEMPORARY).into())
}

fn make_private_directory(path: &OsStr) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Takes the lock. If another process has it but no supervise reads `ok`, that one is starting or dying, and this waits
/// for up to a second: a supervise that is killed loses its descriptors one after the other, and svscan starts the next
/// one when the first descriptor is gone. If supervise was killed while it started its service, the new process has
/// copies of all descriptors until it executes `run`; this waits for that too.
fn take_lock() -> io::Result<File> {
    const TRIES: u32 = 500;
    let lock = fd::open_own_append(&*files::own().lock)?;
    for _ in 0..TRIES {
        match fd::try_lock(&lock) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && (is_silent() || was_killed()) => {
                sys::poll::rest_for(SECOND / 500);
            }
            done => return done.map(|()| lock),
        }
    }
    fd::try_lock(&lock).map(|()| lock)
}

/// Returns whether no supervise reads `ok`.
fn is_silent() -> bool {
    fd::open_write(&*files::own().ok).is_err()
}

/// Returns whether the supervise that has written the record was killed.
fn was_killed() -> bool {
    record::left_behind(record::read_own()).is_some_and(|left| {
        let supervise = left.observed.supervise.pid;
        !adopted::lives(Pid::from_raw(supervise.cast_signed()))
    })
}

/// Fails if the file is not a FIFO: any other kind would never wake the loop, or never let it sleep.
fn require_fifo(file: &File) -> io::Result<()> {
    if fd::is_fifo(file)? { Ok(()) } else { Err(io::Error::other("not a FIFO")) }
}
