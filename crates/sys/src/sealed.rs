//! The hand-over of an upgrade: bytes in a sealed memory file, which nobody can change any more, and open descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::{fd, kept};

pub use imp::{make, read};

/// Sets whether `fd` stays open over an exec.
pub fn keep(fd: BorrowedFd<'_>, keep: bool) -> io::Result<()> {
    if keep {
        return fd::keep_over_exec(fd);
    }
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Takes over a descriptor that was open before the exec, and makes it close-on-exec.
///
/// What makes this sound for every caller, whatever number it has, is looked at when it is called. Everything that this program opens is close-on-exec, and
/// nothing but this crate can change that. So what is not close-on-exec came over the exec and has no owner, unless this process has [kept](keep) something itself:
/// then it takes nothing over any more. What was taken over is close-on-exec, so nobody takes it a second time. A child before its exec may have its parent's
/// memory, where a value would own what only the child has open; so it takes over nothing.
///
/// # Errors
/// EBADF if it is not open, has an owner or may have one, or is one of the standard three.
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 || crate::spawn::in_child() || kept::is(number) {
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

    use super::{AsRawFd, Errno, OwnedFd, RawFd, fd, io};

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

    /// One test, since what this process keeps is known for the whole of it.
    #[test]
    fn what_has_an_owner_is_not_taken() {
        let file = tempfile::tempfile().expect("a file");
        let is_refused = |number| inherit(number).is_err_and(|error| error.raw_os_error() == Some(libc::EBADF));
        assert!(is_refused(file.as_raw_fd()), "it is ours");
        // As one that was left to us.
        let left = || nix::unistd::dup(&file).map(std::os::fd::IntoRawFd::into_raw_fd).expect("a copy");
        let number = left();
        let mut refused = None;
        let child = crate::process::spawn(|| is_refused(number), |told| refused = Some(told));
        crate::process::wait(child.expect("a child")).expect("a child");
        assert_eq!(refused, Some(true), "in a child");
        let taken = inherit(number).expect("nobody has it");
        assert_eq!((taken.as_raw_fd(), is_refused(number)), (number, true));
        // What a child keeps is not what this process keeps.
        let child = crate::process::spawn(|| keep(file.as_fd(), true), drop);
        crate::process::wait(child.expect("a child")).expect("a child");
        drop(inherit(left()).expect("nobody has it"));
        keep(file.as_fd(), true).expect("it is open");
        assert!(is_refused(file.as_raw_fd()), "it is ours, and not close-on-exec");
        keep(file.as_fd(), false).expect("it is open");
        let number = left();
        assert!(is_refused(number), "it looks like one that this process keeps");
        // SAFETY: nobody has it.
        unsafe { libc::close(number) };
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

    /// In a process of its own: the standard descriptors are those of all tests.
    #[test]
    fn nothing_is_placed_on_a_standard_descriptor_that_has_an_owner() {
        let file = tempfile::tempfile().expect("a file");
        // SAFETY: the child uses descriptors alone, and exits.
        match unsafe { nix::unistd::fork() }.expect("a child") {
            nix::unistd::ForkResult::Parent { child } => {
                assert_eq!(crate::process::wait(child).expect("a child"), crate::process::Change::Exited(0));
            }
            nix::unistd::ForkResult::Child => {
                let place = |to| crate::fd::place(file.as_fd(), to).is_ok();
                // SAFETY: nothing else runs here. What is opened now gets the lowest number.
                let open = || unsafe {
                    libc::close(0);
                    OwnedFd::from_raw_fd(libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))
                };
                // It came over an exec, or is closed.
                let mut is_right = place(0) && place(1);
                let owned = open();
                is_right &= owned.as_raw_fd() == 0 && !place(0);
                // On itself, it is kept; and it still has an owner.
                is_right &= crate::fd::place(owned.as_fd(), 0).is_ok() && !place(0) && place(2);
                // SAFETY: _exit ends the process and returns to nobody.
                unsafe { libc::_exit(i32::from(!is_right)) }
            }
        }
    }
}
