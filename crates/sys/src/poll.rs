//! Waiting for events: the only place where a program of the suite sleeps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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

/// Waits as [`readable`] does. Descriptors that are `None` never become readable.
pub fn readable_of<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], timeout: Option<u64>) -> io::Result<[bool; N]> {
    let mut entries = fds.map(|fd| libc::pollfd {
        // The kernel ignores negative numbers.
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = timeout.map_or(PollTimeout::NONE, milliseconds);
    // SAFETY: the kernel reads and writes N entries, which are ours, and their descriptors are borrowed until the call returns.
    let found = unsafe { libc::poll(entries.as_mut_ptr(), N as libc::nfds_t, timeout.into()) };
    match Errno::result(found) {
        Ok(_) => Ok(entries.map(|entry| entry.revents != 0)),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits as [`readable`] does, and also for the loss of the last reader of any of `writers`, write ends of FIFOs. Also
/// returns the indices of the writers that have lost theirs.
pub fn readable_or_unread<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    writers: &[BorrowedFd<'_>],
    timeout: Option<u64>,
) -> io::Result<([bool; N], Vec<usize>)> {
    if writers.is_empty() {
        return Ok((readable(fds, timeout)?, Vec::new()));
    }
    let reads = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    // No events are asked for: the loss of the last reader is always reported.
    let writes = writers.iter().map(|&fd| PollFd::new(fd, PollFlags::empty()));
    let mut entries: Vec<PollFd<'_>> = reads.chain(writes).collect();
    match nix::poll::poll(&mut entries, timeout.map_or(PollTimeout::NONE, milliseconds)) {
        Ok(_) => {
            let any = |entry: &PollFd<'_>| entry.any().unwrap_or(true);
            let (reads, writes) = entries.split_at(N);
            let left = writes.iter().enumerate().filter(|(_, entry)| any(entry)).map(|(place, _)| place);
            Ok((std::array::from_fn(|at| any(&reads[at])), left.collect()))
        }
        Err(Errno::EINTR) => Ok(([false; N], Vec::new())),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until a write to `fd` would not wait, because there is room or no reader any more. Returns false if `timeout` nanoseconds have passed or
/// a signal was handled first.
pub fn writable(fd: BorrowedFd<'_>, timeout: u64) -> io::Result<bool> {
    let mut entries = [PollFd::new(fd, PollFlags::POLLOUT)];
    match nix::poll::poll(&mut entries, milliseconds(timeout)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Converts nanoseconds to milliseconds, rounded up: if poll returned before the deadline, the loop would only wait
/// again.
fn milliseconds(nanoseconds: u64) -> PollTimeout {
    PollTimeout::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}

/// Sleeps for a second without poll. A loop whose poll has failed calls this, so that it does not spin until the kernel has memory
/// again.
pub fn rest() {
    rest_for(1_000_000_000);
}

/// Sleeps for this many nanoseconds, to wait for something short that no event reports.
pub fn rest_for(nanoseconds: u64) {
    std::thread::sleep(std::time::Duration::from_nanos(nanoseconds));
}
