//! The hand-over of an upgrade: bytes in a sealed memory file, which nobody can change any more, and open descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

pub use imp::{make, read};

/// Sets whether `fd` stays open over an exec.
pub fn keep(fd: BorrowedFd<'_>, keep: bool) -> io::Result<()> {
    let flags = if keep { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Takes over a descriptor that was open before the exec, and makes it close-on-exec. Everything that this program has opened itself is
/// close-on-exec; so the descriptor has no other owner, and cannot be taken over twice.
///
/// # Errors
/// EBADF if it is not open, is close-on-exec, or is one of the standard three.
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: the calls take numbers, and fail on one that is not open.
    let flags = Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: as above.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and it came over the exec: nothing in this program owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The number under which the next program finds a descriptor.
pub fn number(fd: BorrowedFd<'_>) -> RawFd {
    fd.as_raw_fd()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::{AsFd, FromRawFd};
    use std::os::unix::fs::FileExt;

    use super::{AsRawFd, Errno, OwnedFd, RawFd, io};
    use crate::fd;

    const SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

    /// Makes a sealed file in memory that contains `bytes`. It is close-on-exec.
    pub fn make(bytes: &[u8]) -> io::Result<OwnedFd> {
        // SAFETY: the name is a C string; the kernel makes a new descriptor for us.
        let file = unsafe {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            OwnedFd::from_raw_fd(Errno::result(libc::memfd_create(c"uphold".as_ptr(), flags))?)
        };
        fd::write_all(file.as_fd(), bytes)?;
        // SAFETY: the call takes numbers.
        Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
        Ok(file)
    }

    /// Reads the sealed file that is open as `number`.
    ///
    /// # Errors
    /// EINVAL for a file that is not sealed, which cannot be from this suite. EBADF if it is not open.
    pub fn read(number: RawFd) -> io::Result<Vec<u8>> {
        // SAFETY: the call takes numbers and fails on what is not open or no such file.
        let seals = Errno::result(unsafe { libc::fcntl(number, libc::F_GET_SEALS) })?;
        if seals & SEALS != SEALS {
            return Err(Errno::EINVAL.into());
        }
        // SAFETY: it is open, as the call above has shown. It is not closed here; and no other is opened for it, for there may be none left.
        let file = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(number) });
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Errno, OwnedFd, RawFd, io};

    /// Fails: this system has no such files.
    pub fn make(_bytes: &[u8]) -> io::Result<OwnedFd> {
        Err(Errno::ENOSYS.into())
    }

    /// Fails: this system has no such files.
    pub fn read(_number: RawFd) -> io::Result<Vec<u8>> {
        Err(Errno::ENOSYS.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_was_sealed_is_read_and_cannot_be_changed() {
        let file = make(b"state").expect("memory");
        assert_eq!(read(file.as_raw_fd()).expect("sealed"), b"state");
        assert!(crate::fd::write(file.as_fd(), b"x").is_err());
    }

    #[test]
    fn a_file_that_is_not_sealed_is_refused() {
        let file = tempfile::tempfile().expect("a file");
        assert!(read(file.as_raw_fd()).is_err());
        assert!(read(12345).is_err() && inherit(12345).is_err() && inherit(0).is_err());
    }

    #[test]
    fn what_has_an_owner_is_not_taken() {
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(inherit(file.as_raw_fd()).expect_err("it is ours").raw_os_error(), Some(libc::EBADF));
        // As one that was left to us.
        let number = nix::unistd::dup(&file).map(std::os::fd::IntoRawFd::into_raw_fd).expect("a copy");
        let taken = inherit(number).expect("nobody has it");
        assert_eq!((taken.as_raw_fd(), inherit(number).is_err()), (number, true));
    }

    #[test]
    fn nothing_is_placed_on_what_may_have_an_owner() {
        let (one, other) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        let placed = crate::fd::place(one.as_fd(), other.as_raw_fd());
        assert_eq!(placed.expect_err("it is ours").raw_os_error(), Some(libc::EBADF));
        let number = other.as_raw_fd();
        let mut told = None;
        let child =
            crate::process::spawn(|| crate::fd::place(one.as_fd(), number), |placed| told = Some(placed.is_ok()));
        crate::process::wait(child.expect("a child")).expect("a child");
        assert_eq!(told, Some(true));
    }
}
