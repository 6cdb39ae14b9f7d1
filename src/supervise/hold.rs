//! What supervise holds in its service directory for as long as it lives: the lock, two FIFOs, the record, and a mark on the directory itself.
//!
//! The lock is in `supervise/`. If that is removed while supervise runs, as `git clean` does, somebody else could take a new one there. So the directory is marked too. A
//! supervise that finds `supervise/` missing asks who has marked the directory; one that runs there is told, by a CHLD for which there is no child, and makes its files anew.

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

/// Lock, FIFOs, record and mark.
pub struct Hold {
    control: File,
    /// The control FIFO must keep a writer, or its reader would see the end of file.
    control_writer: File,
    /// Whoever can open the other end knows that a supervise runs here.
    ok: File,
    /// Nobody else can be supervise here. A child holds it too until it is `run`, so that nobody can be supervise here either
    /// while a child is not recorded yet.
    lock: File,
    /// The service directory, which is marked. No other descriptor of it may be closed.
    directory: Option<File>,
    /// The record, and the status.
    pub announcer: Announcer,
}

impl Hold {
    /// Takes hold of the directory, which is the current one and which messages call `dir`, in daemontools' order. `first` makes the first record: it is
    /// called when the directory is ours, and the record is written before anybody can see that.
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
            // What was made here may be another user's, who could not use it.
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

    /// What a predecessor in the same process held.
    ///
    /// # Errors
    /// If something is missing that every release has.
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

    /// All descriptors, for a successor in the same process.
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

    /// Where commands are read.
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Whether the files in `supervise/` are still ours.
    pub fn is_there(&self) -> bool {
        let there = std::fs::metadata(OsStr::from_bytes(files::own().lock.to_bytes()));
        let ours = self.lock.metadata();
        matches!((there, ours), (Ok(there), Ok(ours)) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }

    /// Makes the files in `supervise/` anew, and says so. Returns when it is tried again, if that could not be done.
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

    /// Makes the files in `supervise/` anew, after they were removed.
    ///
    /// # Errors
    /// If that cannot be done; what was held is held still.
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

/// Marks the current directory. Where the file system has no such locks, nothing is lost but the mark.
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

/// Makes `supervise/`. If it is a link to nowhere, makes what it points to, as Debian's daemontools does; the two
/// messages that this can give are Debian's too. Returns whether it was missing.
fn make_supervise_directory() -> anyhow::Result<bool> {
    const LONGEST_LINK: usize = 255;
    let directory = OsStr::from_bytes(files::own().directory.to_bytes());
    if make_private_directory(directory).is_ok() {
        return Ok(true);
    }
    let failed = match std::fs::read_link(directory) {
        Ok(target) if target.as_os_str().len() <= LONGEST_LINK => {
            // Its failure shows when the lock cannot be made.
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

/// Takes the lock. Whoever holds it but does not read `ok` is starting or dying, and is waited for: a supervise that is being killed loses its
/// descriptors one after the other, and svscan starts the next one when it has lost the first. Where a supervise was killed while it started
/// its service, the new process, which holds a copy of all until it has become `run`, is waited for too.
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

/// Whether no supervise answers here.
fn is_silent() -> bool {
    fd::open_write(&*files::own().ok).is_err()
}

/// Whether the supervise that has written the record is dead.
fn was_killed() -> bool {
    record::left_behind(record::read_own()).is_some_and(|left| {
        let supervise = left.observed.supervise.pid;
        !adopted::lives(Pid::from_raw(supervise.cast_signed()))
    })
}

/// Anything else in place of a FIFO could not wake the loop, or would never let it sleep.
fn require_fifo(file: &File) -> io::Result<()> {
    if fd::is_fifo(file)? { Ok(()) } else { Err(io::Error::other("not a FIFO")) }
}
