//! Waiting for input: the only place where a program of the suite sleeps.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

/// Waits until one of `fds` can be read (or is at its end, or broken), `timeout` nanoseconds have passed, or a signal
/// was handled. `None` waits for ever. Returns for each descriptor whether it can be read.
pub fn readable<const N: usize>(fds: [BorrowedFd<'_>; N], timeout: Option<u64>) -> io::Result<[bool; N]> {
    let mut entries = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match nix::poll::poll(&mut entries, timeout.map_or(PollTimeout::NONE, milliseconds)) {
        Ok(_) => Ok(entries.map(|entry| entry.any().unwrap_or(true))),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(errno.into()),
    }
}

/// Rounded up: a deadline that is not quite reached would only be waited for again.
fn milliseconds(nanoseconds: u64) -> PollTimeout {
    PollTimeout::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}

/// Sleeps for a second without poll: for a loop whose poll has failed, so that it does not spin until the kernel has memory again.
pub fn rest() {
    rest_for(1_000_000_000);
}

/// Sleeps for so many nanoseconds: for what no event tells of, and is over in a moment.
pub fn rest_for(nanoseconds: u64) {
    std::thread::sleep(std::time::Duration::from_nanos(nanoseconds));
}
