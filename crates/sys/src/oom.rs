//! The OOM score, by which the kernel chooses the process that it kills when memory runs out. Each process may adjust its own.
//!
//! A supervisor holds almost no memory, so its death would free nothing and would leave a service without supervision. But the
//! adjustment is inherited, and a service that is never killed can take the machine down. So every child that [`crate::process::spawn`]
//! makes gets the value back that this process had at its start.
//!
//! Only Linux has this, in `/proc`. On other systems it cannot be lowered.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI16, AtomicI32, Ordering};

use nix::errno::Errno;

use crate::fd;

/// The file with the score of the process that opens it. In a child that borrows its parent's memory, that is the score of the child.
const FILE: &CStr = c"/proc/self/oom_score_adj";

/// The values to try, the best first: never to be killed, which takes CAP_SYS_RESOURCE; then the default, since a value that was
/// raised may be lowered again.
const LOW: [i16; 2] = [-1000, 0];

/// No value.
const NONE: i16 = i16::MIN;

/// The value that children get back.
static ORIGINAL: AtomicI16 = AtomicI16::new(NONE);
/// The errno if a child did not get it back.
static FAILED: AtomicI32 = AtomicI32::new(0);

/// Lowers the score of this process as far as is permitted.
///
/// # Errors
/// If it could be lower but that is not permitted, or the system has no such score.
pub fn lower() -> io::Result<()> {
    let file = fd::open_read_write(FILE)?;
    let mut text = [0; 16];
    let count = fd::read(file.as_fd(), &mut text)?;
    let own = parse(&text[..count]).ok_or(Errno::EINVAL)?;
    let mut done = Ok(());
    for low in LOW.into_iter().filter(|&low| low < own) {
        done = write(file.as_fd(), low);
        if done.is_ok() {
            ORIGINAL.store(own, Ordering::Relaxed);
            break;
        }
    }
    done
}

/// The value before [`lower`], if that has changed it, for an upgrade.
pub fn original() -> Option<i16> {
    Some(ORIGINAL.load(Ordering::Relaxed)).filter(|&value| value != NONE)
}

/// Sets, after an upgrade, the value that this process had before an earlier program in it lowered the score.
pub fn resume(original: i16) {
    ORIGINAL.store(original, Ordering::Relaxed);
}

/// Returns the error if a child that was started since the last call has kept the low score of this process.
pub fn failure() -> Option<io::Error> {
    Some(FAILED.swap(0, Ordering::Relaxed)).filter(|&errno| errno != 0).map(io::Error::from_raw_os_error)
}

/// Gives a new child the value from before [`lower`]. Runs in the child, and allocates no memory.
pub(crate) fn restore() {
    let Some(original) = original() else {
        return;
    };
    let restored = fd::open_write(FILE).and_then(|file| write(file.as_fd(), original));
    if let Err(error) = restored {
        FAILED.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
    }
}

fn write(file: BorrowedFd<'_>, value: i16) -> io::Result<()> {
    let mut text = io::Cursor::new([0; 8]);
    write!(text, "{value}")?;
    let length = text.position() as usize;
    fd::write(file, &text.get_ref()[..length]).map(drop)
}

fn parse(text: &[u8]) -> Option<i16> {
    std::str::from_utf8(text).ok()?.trim_ascii_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_it_is_read() {
        for value in [-1000, -17, 0, 300, 1000] {
            let file = tempfile::NamedTempFile::new().expect("a file");
            write(file.as_file().as_fd(), value).expect("it can be written");
            let text = std::fs::read(file.path()).expect("it is there");
            assert_eq!(text, value.to_string().as_bytes());
            // The kernel ends it with a newline.
            assert_eq!(parse(&[&text[..], b"\n"].concat()), Some(value));
        }
        assert!(parse(b"").is_none() && parse(b"0 0\n").is_none());
    }

    #[test]
    fn children_get_back_what_was_there_before() {
        resume(300);
        assert_eq!(original(), Some(300));
        ORIGINAL.store(NONE, Ordering::Relaxed);
        assert_eq!(original(), None);
    }
}
