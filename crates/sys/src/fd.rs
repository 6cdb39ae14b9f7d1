//! Descriptors: opening without ever hanging, reading and writing past signals, pipes, FIFOs, locks.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What names a file. A `CStr` is used as it is; a `Path` is copied, to put a NUL behind it.
pub use nix::NixPath as FilePath;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

/// The error number of [`open_write`] on a FIFO that nobody reads: ENXIO.
pub const NO_READER: i32 = libc::ENXIO;

/// Opens for reading. Never waits for a FIFO's writer.
pub fn open_read<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY, Mode::empty())
}

/// The same, for a path as it is seen from an open directory.
pub fn open_read_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    open_at(directory, path, OFlag::O_RDONLY, Mode::empty())
}

/// Opens a directory, and nothing that a link of its name leads to.
pub fn open_directory<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens the current directory, to be used in [`open_read_at`]. Where the system can do that, it need not be readable.
pub fn open_here() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let kind = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let kind = OFlag::O_RDONLY;
    open(c".", kind | OFlag::O_DIRECTORY, Mode::empty())
}

/// Opens for writing what exists already. ENXIO for a FIFO without a reader.
pub fn open_write<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY, Mode::empty())
}

/// Opens for reading and writing what exists already.
pub fn open_read_write<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDWR, Mode::empty())
}

/// Opens for appending; creates with mode 0600.
pub fn open_append<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// The same, for a file that nobody but us may have made: ELOOP for a link, which could lead anywhere.
pub fn open_own_append<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// For all to read.
const READABLE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP).union(Mode::S_IROTH);

/// Opens empty for writing; creates with mode 0644.
pub fn open_truncate<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT, READABLE)
}

/// The same, for a file that nobody but us may have made: ELOOP for a link, which could lead anywhere.
pub fn open_own_truncate<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT | OFlag::O_NOFOLLOW, READABLE)
}

/// Makes a file that there was not, and opens it for writing; mode 0644.
///
/// # Errors
/// EEXIST if anything has that name, be it a link that leads nowhere.
pub fn create_new<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
    open(path, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL, mode)
}

/// Opens for reading what is no link.
pub fn open_no_link<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens for reading and writing as it is, following no link at the end; creates with mode 0644.
pub fn open_record<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW, READABLE)
}

/// As the original opens: never blocking. And close-on-exec; and a terminal does not become that of this session. By openat, to which musl adds no second call, as it does to the
/// open of std.
fn open<P: FilePath + ?Sized>(path: &P, flags: OFlag, mode: Mode) -> io::Result<File> {
    open_at(AT_FDCWD, path, flags, mode)
}

fn open_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P, flags: OFlag, mode: Mode) -> io::Result<File> {
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    loop {
        match nix::fcntl::openat(directory, path, flags, mode) {
            Err(Errno::EINTR) => {}
            opened => return Ok(opened?.into()),
        }
    }
}

/// Whether the way to `path` leads into another file system, or mount, than that of the current directory. That is known without a look into the
/// other one, which may be dead. False where the system cannot tell, and for what is not there.
pub fn leads_elsewhere<P: FilePath + ?Sized>(path: &P) -> bool {
    #[cfg(target_os = "linux")]
    {
        use nix::fcntl::{OpenHow, ResolveFlag, openat2};
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_XDEV);
        openat2(AT_FDCWD, path, how).map(drop) == Err(Errno::EXDEV)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// Makes the open directory the current one.
pub fn change_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::unistd::fchdir(directory)?)
}

/// Gives a file another name, in place of what had it.
pub fn rename<P: FilePath + ?Sized>(from: &P, to: &P) -> io::Result<()> {
    uninterrupted(|| Ok(nix::fcntl::renameat(AT_FDCWD, from, AT_FDCWD, to)?))
}

/// Does it again for as long as a signal interrupts it.
pub fn uninterrupted<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Sets which mode bits new files shall not have, and returns those that held before.
pub fn set_umask(bits: u32) -> u32 {
    // The type is narrower than 32 bits on some systems; there are nine such bits.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    nix::sys::stat::umask(Mode::from_bits_truncate(bits as _)).bits().into()
}

/// Makes a FIFO with mode 0600.
pub fn make_fifo<P: FilePath + ?Sized>(path: &P) -> io::Result<()> {
    Ok(nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

/// Whether `file` is a FIFO.
pub fn is_fifo(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.file_type().is_fifo())
}

/// The inode number of the pipe that `fd` is an end of; `None` if it is something else or closed.
pub fn pipe_id(fd: BorrowedFd<'_>) -> Option<u64> {
    let stat = nix::sys::stat::fstat(fd).ok()?;
    // Widths differ between systems.
    #[allow(clippy::unnecessary_cast)]
    ((stat.st_mode & libc::S_IFMT) == libc::S_IFIFO).then_some(stat.st_ino as u64)
}

/// Whether there is anything to read from a pipe, of which `reader` is the read end.
pub fn has_unread(reader: BorrowedFd<'_>) -> bool {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which is ours.
    let asked = unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    asked == 0 && count > 0
}

/// Waits for an exclusive lock on the open file, which lasts until its last copy is closed, over exec too.
pub fn lock(file: &File) -> io::Result<()> {
    uninterrupted(|| file.lock())
}

/// Takes the lock if it is free; EAGAIN if not.
pub fn try_lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|failed| match failed {
        std::fs::TryLockError::Error(error) => error,
        std::fs::TryLockError::WouldBlock => Errno::EAGAIN.into(),
    })
}

/// Waits for an exclusive lock on whatever `fd` is, which lasts until the last copy of this descriptor is closed. Another descriptor of the
/// same thing that was opened, not copied, is excluded.
pub fn wait_for_lock(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    uninterrupted(|| Ok(Errno::result(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX) }).map(drop)?))
}

/// Waits for a lock on whatever `fd` is, by which one process excludes all others even if they inherited the same descriptor; or gives it back.
pub fn lock_for_process(fd: BorrowedFd<'_>, lock: bool) -> io::Result<()> {
    // SAFETY: a zeroed flock is a valid one, about the whole file.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    // The constants are wider than the field on some systems.
    #[allow(clippy::unnecessary_cast)]
    let kind = if lock { libc::F_WRLCK as _ } else { libc::F_UNLCK as _ };
    range.l_type = kind;
    range.l_whence = libc::SEEK_SET as _;
    uninterrupted(|| Ok(fcntl(fd, FcntlArg::F_SETLKW(&range)).map(drop)?))
}

/// A pipe whose ends are close-on-exec: where it is read, where it is written.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

/// The same, with reads and writes that fail with EAGAIN instead of waiting.
pub(crate) fn pipe_that_never_waits() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    return Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?);
    #[cfg(not(target_os = "linux"))]
    {
        let (reader, writer) = pipe()?;
        set_nonblocking(reader.as_fd())?;
        set_nonblocking(writer.as_fd())?;
        Ok((reader, writer))
    }
}

/// The write end of the pipe whose read end is `reader`, opened anew. Needs `/proc`.
pub fn reopen_for_writing(reader: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(OpenOptions::new().write(true).open(path)?.into())
}

/// The read end of the pipe whose write end is `writer`, opened anew. Needs `/proc`.
pub fn reopen_for_reading(writer: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(open_read(Path::new(&format!("/proc/self/fd/{}", writer.as_raw_fd())))?.into())
}

/// Reads once; 0 at end of file.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    again(|| nix::unistd::read(fd, buffer))
}

/// Reads once, at most `limit` bytes, in place of what `buffer` held and without making it larger; 0 at end of file.
///
/// Memory that nothing is read into stays untouched, so a large buffer costs a program with little input no page.
pub fn read_onto(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
    buffer.clear();
    let room = buffer.spare_capacity_mut();
    let size = room.len().min(limit);
    let count = again(|| {
        // SAFETY: read writes at most `size` bytes, and there is room for as many.
        let count = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), size) };
        Errno::result(count).map(|count| count as usize)
    })?;
    // SAFETY: read has just written these bytes.
    unsafe { buffer.set_len(count) };
    Ok(count)
}

/// Writes once; returns how much was written.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    again(|| nix::unistd::write(fd, bytes))
}

/// Writes all of `bytes`.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write(fd, bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// How much a pipe with any room at all takes without waiting: a page. Linux keeps a write of that size in one piece.
pub const PIECE: usize = 4_096;

/// Writes to stderr as much as it takes at once, and drops the rest: a reader that stands still must not stop who writes. The descriptor stays one
/// that waits, since other processes have it too.
pub fn write_stderr_at_once(bytes: &[u8]) {
    for piece in bytes.chunks(PIECE) {
        if !crate::poll::writable(stderr(), 0).unwrap_or(true) || write_all(stderr(), piece).is_err() {
            return;
        }
    }
}

/// Makes reads and writes wait.
pub fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    change_flags(fd, |flags| flags - OFlag::O_NONBLOCK)
}

/// Makes reads and writes fail with EAGAIN instead of waiting.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    change_flags(fd, |flags| flags | OFlag::O_NONBLOCK)
}

fn change_flags(fd: BorrowedFd<'_>, change: impl Fn(OFlag) -> OFlag) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(change(flags)))?;
    Ok(())
}

/// Makes descriptor `to` a copy of `from` that stays open over exec, whatever stood there before: in a child that is to become another
/// program any number, else one of 0 to 2, which nobody owns.
///
/// # Errors
/// EBADF for any other number: somebody may own what is there, and would use and close what is placed.
pub fn place(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    if !(0..=2).contains(&to) && !crate::spawn::in_child() {
        return Err(Errno::EBADF.into());
    }
    if from.as_raw_fd() == to {
        return keep_over_exec(from);
    }
    // SAFETY: dup2 takes two numbers. In a child nobody closes or reads what it has replaced: all it does is to become another program. 0 to 2
    // have no owner anywhere.
    Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    Ok(())
}

/// Clears close-on-exec.
pub fn keep_over_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(())
}

/// A copy of `fd` on the lowest free descriptor, which stays open over exec and is never closed by us.
pub fn duplicate_for_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup takes a number. Nobody owns the copy, which is the point.
    Errno::result(unsafe { libc::dup(fd.as_raw_fd()) })?;
    Ok(())
}

/// Opens `/dev/null` on each of 0, 1, 2 that is closed, so that nothing else gets these numbers.
pub fn fill_standard() -> io::Result<()> {
    loop {
        let file = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        if file.as_raw_fd() > 2 {
            return Ok(());
        }
        keep_over_exec(file.as_fd())?;
        let _ = std::os::fd::IntoRawFd::into_raw_fd(file);
    }
}

/// Puts something in the place of each standard descriptor that is closed, so that no other file gets its number: the root directory, which is
/// everywhere, and from which nothing is read. A child finds the descriptor closed, as this process did.
pub fn reserve_standard() -> io::Result<()> {
    for standard in [stdin(), stdout(), stderr()] {
        if fcntl(standard, FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            // The lowest free number is this one.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(open_read(c"/")?);
        }
    }
    Ok(())
}

/// For the rest of the process's life.
pub(crate) fn leak(fd: OwnedFd) -> BorrowedFd<'static> {
    // SAFETY: its owner is gone, so nobody closes it.
    unsafe { BorrowedFd::borrow_raw(std::os::fd::IntoRawFd::into_raw_fd(fd)) }
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    standard(0)
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    standard(1)
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    standard(2)
}

fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: no owner in the suite closes 0, 1 or 2; on one that was closed before the start, calls fail with EBADF.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn again(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return Ok(done?),
        }
    }
}
