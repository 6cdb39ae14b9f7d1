//! Renames that replace nothing.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Gives a file, of whatever kind, a name that nothing has.
///
/// # Errors
/// EEXIST if something has it. Where the kernel cannot see to that, something that gets the name in the same moment may be replaced.
pub fn to_new(from: &Path, to: &Path) -> io::Result<()> {
    match imp::to_new(&c_string(from)?, &c_string(to)?) {
        // An old kernel, a file system that cannot do it, or a filter of system calls that does not know it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::EPERM)) => {
            match std::fs::symlink_metadata(to) {
                Ok(_) => Err(io::Error::from_raw_os_error(libc::EEXIST)),
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => crate::fd::rename(from, to),
                Err(error) => Err(error),
            }
        }
        renamed => renamed,
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::CStr;
    use std::io;

    use nix::errno::Errno;

    pub fn to_new(from: &CStr, to: &CStr) -> io::Result<()> {
        let (from, to) = (from.as_ptr(), to.as_ptr());
        let here = libc::AT_FDCWD;
        // SAFETY: both are C strings that live until the call returns.
        let renamed = unsafe { libc::syscall(libc::SYS_renameat2, here, from, here, to, libc::RENAME_NOREPLACE) };
        Ok(Errno::result(renamed).map(drop)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::ffi::CStr;
    use std::io;

    pub fn to_new(_: &CStr, _: &CStr) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_replaced() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = |name: &str| scratch.path().join(name);
        fs::create_dir(path("new")).expect("a directory");
        fs::create_dir(path("empty")).expect("a directory");
        fs::write(path("file"), "").expect("a file");
        std::os::unix::fs::symlink("/nonexistent", path("link")).expect("a link");
        for there in ["empty", "file", "link"] {
            let error = to_new(&path("new"), &path(there)).expect_err("it is there");
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{there}");
        }
        to_new(&path("new"), &path("name")).expect("nothing has the name");
        assert!(path("name").is_dir() && !path("new").exists());
        assert_eq!(to_new(&path("new"), &path("x")).expect_err("it is gone").kind(), io::ErrorKind::NotFound);
    }
}
