//! What supervise holds in its service directory for as long as it lives: the lock, and two FIFOs.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;
use cli::{Exit, text};
use machine::SECOND;
use svdir::names;
use sys::adopted;
use sys::{fd, process, sealed};

use crate::service::{files, record};

/// Lock and FIFOs.
pub struct Held {
    control: File,
    /// The control FIFO must keep a writer, or its reader would see the end of file.
    control_writer: File,
    /// Whoever can open the other end knows that a supervise runs here.
    ok: File,
    /// Nobody else can be supervise here. A child holds it too until it is `run`, so that nobody can be supervise here either
    /// while a child is not recorded yet.
    lock: File,
}

impl Held {
    /// How many descriptors that is.
    pub const COUNT: usize = 4;

    /// Takes hold of the directory, which is the current one and which messages call `dir`, in daemontools' order. `announce` is
    /// called when it is ours and before anybody can see that.
    pub fn take(dir: &OsStr, boot: [u8; 16], announce: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Held> {
        let own = files::own();
        make_supervise_directory()?;
        let lock = take_lock(boot)
            .with_context(|| text!("unable to acquire ", files::shown(dir, names::LOCK).0.as_slice()))?;
        let unable = |verb, file| move || text!("unable to ", verb, " ", files::shown(dir, file).0.as_slice());
        let _ = fd::make_fifo(&*own.control);
        let control = fd::open_read(&*own.control).with_context(unable("read", names::CONTROL))?;
        let control_writer = fd::open_write(&*own.control).with_context(unable("write", names::CONTROL))?;
        require_fifo(&control).with_context(unable("read", names::CONTROL))?;
        announce()?;
        let _ = fd::make_fifo(&*own.ok);
        let ok = fd::open_read(&*own.ok).with_context(unable("read", names::OK))?;
        require_fifo(&ok).with_context(unable("read", names::OK))?;
        Ok(Held { control, control_writer, ok, lock })
    }

    /// What a predecessor in the same process held, in the order of [`descriptors`](Held::descriptors).
    pub fn inherit(numbers: [RawFd; Held::COUNT]) -> io::Result<Held> {
        let [control, control_writer, ok, lock] = numbers.map(|number| sealed::inherit(number).map(File::from));
        Ok(Held { control: control?, control_writer: control_writer?, ok: ok?, lock: lock? })
    }

    /// All of it.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; Held::COUNT] {
        [&self.control, &self.control_writer, &self.ok, &self.lock].map(AsFd::as_fd)
    }

    /// Where commands are read.
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// Makes `supervise/`. If it is a link to nowhere, makes what it points to, as Debian's daemontools does; the two
/// messages that this can give are Debian's too.
fn make_supervise_directory() -> anyhow::Result<()> {
    const LONGEST_LINK: usize = 255;
    let directory = OsStr::from_bytes(files::own().directory.to_bytes());
    if make_private_directory(directory).is_ok() {
        return Ok(());
    }
    let failed = match std::fs::read_link(directory) {
        Ok(target) if target.as_os_str().len() <= LONGEST_LINK => {
            // Its failure shows when the lock cannot be made.
            let _ = make_private_directory(target.as_os_str());
            return Ok(());
        }
        Ok(_) => "unknown error".into(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => return Ok(()),
        Err(error) => cli::reason(&error),
    };
    cli::print_error(format!("unable to readlink ./supervise: {failed}\n").as_bytes());
    Err(Exit(cli::TEMPORARY).into())
}

fn make_private_directory(path: &OsStr) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Takes the lock. Who holds it and does not read `ok` is on the way out or in, and is waited for: a supervise that is being killed loses its
/// descriptors one after the other, and svscan starts the next one when it has lost the first. So is, where a supervise was killed while it started
/// its service, the new process, which holds a copy of all until it has become `run`.
fn take_lock(boot: [u8; 16]) -> io::Result<File> {
    const TRIES: u32 = 500;
    let lock = fd::open_own_append(&*files::own().lock)?;
    for _ in 0..TRIES {
        match fd::try_lock(&lock) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && (is_silent() || was_killed(boot)) => {
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
fn was_killed(boot: [u8; 16]) -> bool {
    record::left_behind(boot)
        .is_some_and(|(_, left)| !adopted::lives(process::Pid::from_raw(left.supervise.cast_signed())))
}

/// Anything else in place of a FIFO could not wake the loop, or would never let it sleep.
fn require_fifo(file: &File) -> io::Result<()> {
    if fd::is_fifo(file)? { Ok(()) } else { Err(io::Error::other("not a FIFO")) }
}
