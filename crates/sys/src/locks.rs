//! Who holds locks on an open file, as the kernel tells.
//!
//! There are two kinds. flock's belongs to the open file and excludes every other one, whoever took it. A mark is a read lock of fcntl: it
//! belongs to the process, excludes nobody, and on a directory nothing can exclude it, since that would take a descriptor for writing. It lasts
//! over an exec, and ends with the process or when that closes any descriptor of the file.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, fcntl};

use crate::process::{self, Pid};

/// Puts the mark of this process on a file, or takes it away.
pub fn mark(fd: BorrowedFd<'_>, set: bool) -> io::Result<()> {
    // SAFETY: a zeroed flock is a valid one, about the whole file.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    // The constants are wider than the fields on some systems.
    #[allow(clippy::unnecessary_cast)]
    {
        range.l_type = if set { libc::F_RDLCK } else { libc::F_UNLCK } as _;
        range.l_whence = libc::SEEK_SET as _;
    }
    fcntl(fd, FcntlArg::F_SETLK(&range))?;
    Ok(())
}

/// The other processes that have taken flock's lock or put a mark on the file. Without the mark of this process nobody is found, and neither is
/// anybody whom this process does not see, or who has ended and left the lock to a child.
///
/// # Errors
/// If there is no `/proc`.
pub fn others(fd: BorrowedFd<'_>) -> io::Result<Vec<Pid>> {
    let own = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let all = fs::read_to_string("/proc/locks")?;
    let Some(file) = own.lines().filter_map(|line| parse(line.strip_prefix("lock:")?)).map(|lock| lock.file).next()
    else {
        return Ok(Vec::new());
    };
    let found = all.lines().filter_map(parse).filter(|lock| lock.file == file).map(|lock| lock.pid);
    Ok(found.filter(|&pid| pid != process::own_pid()).collect())
}

struct Lock<'a> {
    pid: Pid,
    /// The kernel's own name for a file. What `stat` says is another one on some file systems.
    file: &'a str,
}

/// A line as `1: FLOCK  ADVISORY  WRITE 708 00:14:1044 0 EOF`. Who waits for a lock has an arrow in it.
fn parse(line: &str) -> Option<Lock<'_>> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (kind, pid, file) = (words.next()?, words.nth(2)?, words.next()?);
    if !matches!(kind, "FLOCK" | "POSIX") {
        return None;
    }
    Some(Lock { pid: Pid::from_raw(pid.parse().ok()?), file })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_line_says_who_holds_what() {
        let held = parse("1: FLOCK  ADVISORY  WRITE 708 00:14:1044 0 EOF").expect("a lock");
        assert_eq!((held.pid, held.file), (Pid::from_raw(708), "00:14:1044"));
        let held = parse("\t2: POSIX  ADVISORY  READ 9 fd:01:7 0 EOF").expect("a lock");
        assert_eq!((held.pid, held.file), (Pid::from_raw(9), "fd:01:7"));
        for other in
            ["", "1:", "1: -> FLOCK  ADVISORY  WRITE 708 00:14:1044 0 EOF", "1: LEASE ACTIVE READ 9 fd:01:7 0 EOF"]
        {
            assert!(parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn this_process_is_no_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = fs::File::open(directory.path()).expect("it is there");
        mark(file.as_fd(), true).expect("nothing can exclude it");
        file.lock().expect("it is free");
        assert_eq!(others(file.as_fd()).expect("/proc"), []);
    }
}
