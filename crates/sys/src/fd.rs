//! Descriptors: files that are opened without blocking, reads and writes that signals do not interrupt, pipes, FIFOs,
//! locks.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// A path of a file. A `CStr` is used as it is; a `Path` is copied, to add a NUL.
pub use nix::NixPath as FilePath;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use crate::kept;

/// The errno of [`open_write`] on a FIFO without a reader: ENXIO.
pub const NO_READER: i32 = libc::ENXIO;

/// Opens a file for reading. Never waits for the writer of a FIFO.
pub fn open_read<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY, Mode::empty())
}

/// Reads a file of `/proc` with one read, which the kernel answers with all of it, or with as much as `buffer` holds.
///
/// # Errors
/// Those of the open and of the read.
pub fn read_file<'b, P: FilePath + ?Sized>(path: &P, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let count = read(open_read(path)?.as_fd(), buffer)?;
    Ok(&buffer[..count])
}

/// Opens a file for reading as [`open_read`] does, with a path relative to an open directory.
pub fn open_read_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    open_at(directory, path, OFlag::O_RDONLY, Mode::empty())
}

/// The current directory, for paths that are relative to it.
pub const CURRENT_DIRECTORY: BorrowedFd<'static> = AT_FDCWD;

/// Opens a directory for reading, with a path relative to an open directory. The path may be a link.
pub fn open_directory_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    open_at(directory, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
}

/// Opens a directory. Fails if the path is a link.
pub fn open_directory<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens the current directory for [`open_read_at`] and its kin. On systems that allow it, the directory need not be readable.
pub fn open_here() -> io::Result<File> {
    open_anchor_at(AT_FDCWD, c".")
}

/// Opens a directory for [`open_read_at`] and its kin, with a path relative to an open directory. On systems that allow it, it need not be readable.
pub fn open_anchor_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let kind = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let kind = OFlag::O_RDONLY;
    open_at(directory, path, kind | OFlag::O_DIRECTORY, Mode::empty())
}

/// Opens an existing file for writing. ENXIO for a FIFO without a reader.
pub fn open_write<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY, Mode::empty())
}

/// Opens an existing file for writing as [`open_write`] does, with a path relative to an open directory.
pub fn open_write_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    open_at(directory, path, OFlag::O_WRONLY, Mode::empty())
}

/// Reads a link, with a path relative to an open directory. Unlike nix's function, it takes no memory for the longest path at each call, which musl gets from the kernel
/// and gives back.
///
/// # Errors
/// EINVAL if it is none, ENAMETOOLONG if its target is longer than a path can be.
pub fn read_link_at<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<OsString> {
    let mut target = [MaybeUninit::<u8>::uninit(); libc::PATH_MAX as usize];
    let length = path.with_nix_path(|path| {
        // SAFETY: the path ends with a NUL, and the kernel writes at most as many bytes as there is room for.
        unsafe { libc::readlinkat(directory.as_raw_fd(), path.as_ptr(), target.as_mut_ptr().cast(), target.len()) }
    })?;
    let length = Errno::result(length)? as usize;
    if length == target.len() {
        return Err(Errno::ENAMETOOLONG.into());
    }
    // SAFETY: the kernel has just written these bytes.
    let target: &[u8] = unsafe { std::slice::from_raw_parts(target.as_ptr().cast(), length) };
    Ok(OsStr::from_bytes(target).to_owned())
}

/// Opens an existing file for reading and writing.
pub fn open_read_write<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDWR, Mode::empty())
}

/// Opens an existing file for reading and writing, but fails with ELOOP for a link, which could lead anywhere.
pub fn open_own_read_write<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDWR | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens a file for appending; makes it with mode 0600 if it does not exist.
pub fn open_append<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Opens a file for appending as [`open_append`] does, but fails with ELOOP for a link, which could lead anywhere.
pub fn open_own_append<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Mode 0644.
const READABLE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP).union(Mode::S_IROTH);

/// Opens a file for writing and empties it; makes it with mode 0644 if it does not exist.
pub fn open_truncate<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT, READABLE)
}

/// Opens a file for writing as [`open_truncate`] does, but fails with ELOOP for a link, which could lead anywhere.
pub fn open_own_truncate<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT | OFlag::O_NOFOLLOW, READABLE)
}

/// Makes a new file with mode 0644, and opens it for writing.
///
/// # Errors
/// EEXIST if anything has that name, even a dangling link.
pub fn create_new<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
    open(path, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL, mode)
}

/// Opens a file for reading. Fails if the path is a link.
pub fn open_no_link<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens a file for reading and writing, and keeps its contents; makes it with mode 0644 if it does not exist. Fails if
/// the path is a link.
pub fn open_record<P: FilePath + ?Sized>(path: &P) -> io::Result<File> {
    open(path, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW, READABLE)
}

/// Opens a file without blocking, as the original does, and close-on-exec; a terminal does not become the controlling terminal. Uses openat, since
/// musl adds a second system call to the open of std.
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

/// Returns whether `path` leads into another file system, or mount, than that of the current directory. It finds that out without touching the
/// other one, which may be dead. True too if descriptors or memory have run out, so that this could not be found out. False if the system cannot
/// tell, or the path does not exist.
pub fn leads_elsewhere<P: FilePath + ?Sized>(path: &P) -> bool {
    #[cfg(target_os = "linux")]
    {
        use nix::fcntl::{OpenHow, ResolveFlag, openat2};
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_XDEV);
        let opened = openat2(AT_FDCWD, path, how).map(drop);
        matches!(opened, Err(Errno::EXDEV | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// Opens a directory as [`open_directory_at`] does, but fails with EXDEV if the path leads into another file system, or mount, than that of `directory`. It finds
/// that out without touching the other one, which may be dead. Where the system cannot tell, the directory is opened wherever it is.
pub fn open_directory_near<P: FilePath + ?Sized>(directory: BorrowedFd<'_>, path: &P) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use nix::fcntl::{OpenHow, ResolveFlag, openat2};
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_XDEV);
        loop {
            match openat2(directory, path, how) {
                Err(Errno::EINTR) => {}
                // An old kernel, or a filter of system calls that does not know this one.
                Err(Errno::ENOSYS | Errno::EPERM) => break,
                opened => return Ok(opened?.into()),
            }
        }
    }
    open_directory_at(directory, path)
}

/// Makes the open directory the current directory.
pub fn change_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::unistd::fchdir(directory)?)
}

/// Renames a file, and replaces what had the new name.
pub fn rename<P: FilePath + ?Sized>(from: &P, to: &P) -> io::Result<()> {
    uninterrupted(|| Ok(nix::fcntl::renameat(AT_FDCWD, from, AT_FDCWD, to)?))
}

/// Repeats `attempt` as long as a signal interrupts it.
pub fn uninterrupted<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Sets the umask, and returns the old one.
pub fn set_umask(bits: u32) -> u32 {
    // The type is narrower than 32 bits on some systems; a umask has nine bits.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    nix::sys::stat::umask(Mode::from_bits_truncate(bits as _)).bits().into()
}

/// Makes a FIFO with mode 0600.
pub fn make_fifo<P: FilePath + ?Sized>(path: &P) -> io::Result<()> {
    Ok(nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

/// Returns whether `file` is a FIFO.
pub fn is_fifo(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.file_type().is_fifo())
}

/// The inode number of the pipe of which `fd` is an end; `None` if it is something else or closed.
pub fn pipe_id(fd: BorrowedFd<'_>) -> Option<u64> {
    let stat = nix::sys::stat::fstat(fd).ok()?;
    // The types have different widths on different systems.
    #[allow(clippy::unnecessary_cast)]
    ((stat.st_mode & libc::S_IFMT) == libc::S_IFIFO).then_some(stat.st_ino as u64)
}

/// Returns whether there is anything to read from a pipe, of which `reader` is the read end.
pub fn has_unread(reader: BorrowedFd<'_>) -> bool {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which is ours.
    let asked = unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    asked == 0 && count > 0
}

/// Waits for an exclusive lock on the open file. The lock lasts until the last copy of the descriptor is closed, and
/// stays over exec.
pub fn lock(file: &File) -> io::Result<()> {
    uninterrupted(|| file.lock())
}

/// Takes the lock as [`lock`] does if it is free; EAGAIN if not.
pub fn try_lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|failed| match failed {
        std::fs::TryLockError::Error(error) => error,
        std::fs::TryLockError::WouldBlock => Errno::EAGAIN.into(),
    })
}

/// Waits for an exclusive lock on the file, directory or pipe `fd`, which lasts until the last copy of this descriptor is closed. It
/// excludes descriptors that were opened separately, but not copies of this one.
pub fn wait_for_lock(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    uninterrupted(|| Ok(Errno::result(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX) }).map(drop)?))
}

/// Waits for a lock on the file or pipe `fd`, by which one process excludes all others even if they have inherited the same descriptor; or, if
/// `lock` is false, gives it back.
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

/// Makes a pipe with ends that are close-on-exec: the read end, the write end.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

/// Makes a pipe as [`pipe`] does, with non-blocking ends.
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

/// Opens a new write end of the pipe whose read end is `reader`. Needs `/proc`.
pub fn reopen_for_writing(reader: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(OpenOptions::new().write(true).open(path)?.into())
}

/// Opens a new read end of the pipe whose write end is `writer`. Needs `/proc`.
pub fn reopen_for_reading(writer: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(open_read(Path::new(&format!("/proc/self/fd/{}", writer.as_raw_fd())))?.into())
}

/// Reads once; 0 at end of file.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    again(|| nix::unistd::read(fd, buffer))
}

/// Reads once, at most `limit` bytes, and replaces the contents of `buffer`, which does not grow. Returns 0 at end of
/// file.
///
/// Memory behind the bytes that were read is not touched, so a large buffer costs no pages in a program with little
/// input.
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

/// Writes once; returns how many bytes were written.
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

/// How many bytes a pipe with any room at all takes without waiting: a page. Linux keeps a write of that size in one
/// piece.
pub const PIECE: usize = 4_096;

/// Writes to stderr as much as it takes without waiting, and drops the rest: a reader that does not read must not block the writer. The descriptor
/// itself stays blocking, since other processes share it.
pub fn write_stderr_at_once(bytes: &[u8]) {
    for piece in bytes.chunks(PIECE) {
        if !crate::poll::writable(stderr(), 0).unwrap_or(true) || write_all(stderr(), piece).is_err() {
            return;
        }
    }
}

/// Makes reads and writes of the descriptor wait.
pub fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    change_flags(fd, |flags| flags - OFlag::O_NONBLOCK)
}

/// Makes reads and writes of the descriptor fail with EAGAIN instead of waiting.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    change_flags(fd, |flags| flags | OFlag::O_NONBLOCK)
}

fn change_flags(fd: BorrowedFd<'_>, change: impl Fn(OFlag) -> OFlag) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(change(flags)))?;
    Ok(())
}

/// Makes descriptor `to` a copy of `from` that stays open over exec, and closes what had that number.
///
/// What makes this sound for every caller is looked at here. A child before its exec has a table of descriptors of its own, so `to` may be any number there: what a value of
/// the parent owns stays open in the parent, and the child only becomes another program. In any other process `to` must be one of the standard three, and
/// have no owner: what a value owns is close-on-exec, or was kept by [`keep_over_exec`], which is remembered.
///
/// # Errors
/// EBADF if a value owns the descriptor `to`, or may own it: it would use and close the copy.
pub fn place(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    let (in_child, in_place) = (crate::spawn::in_child(), from.as_raw_fd() == to);
    match in_place {
        true if in_child || to <= 2 => return keep_over_exec(from),
        false if in_child || has_no_owner(to) => {}
        _ => return Err(Errno::EBADF.into()),
    }
    // SAFETY: dup2 takes two numbers. In a child nobody closes or reads what it has replaced: all it does is to become another program. Elsewhere
    // nobody owns the number, as was just found.
    Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    Ok(())
}

/// Returns whether `number` is one of the standard three that is closed or came over the exec.
fn has_no_owner(number: RawFd) -> bool {
    // SAFETY: the call takes numbers, and fails on one that is not open.
    let flags = || Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) }).unwrap_or(0);
    (0..=2).contains(&number) && !kept::is(number) && flags() & libc::FD_CLOEXEC == 0
}

/// Clears close-on-exec, so that the descriptor stays open over an exec.
pub fn keep_over_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    kept::note(fd.as_raw_fd());
    make_stay(fd)
}

fn make_stay(fd: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(())
}

/// Copies `fd` to the lowest free descriptor. The copy stays open over exec, and this process never closes it.
pub fn duplicate_for_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup takes a number. Nobody owns the copy, which is the point.
    Errno::result(unsafe { libc::dup(fd.as_raw_fd()) })?;
    Ok(())
}

/// Opens `/dev/null` on each of the descriptors 0, 1, 2 that is closed, so that no other file gets that number.
pub fn fill_standard() -> io::Result<()> {
    loop {
        let file = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        if file.as_raw_fd() > 2 {
            return Ok(());
        }
        // It has no owner.
        make_stay(file.as_fd())?;
        let _ = std::os::fd::IntoRawFd::into_raw_fd(file);
    }
}

/// Opens the root directory on each of the descriptors 0, 1, 2 that is closed, so that no other file gets that number. The root directory
/// always exists, and nothing can be read from it. In a child the descriptor is closed again, as it was for this process.
pub fn reserve_standard() -> io::Result<()> {
    for standard in [stdin(), stdout(), stderr()] {
        if fcntl(standard, FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            // It gets this number, which is the lowest free one.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(open_read(c"/")?);
        }
    }
    Ok(())
}

/// Keeps a descriptor open for the rest of the process's life.
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
