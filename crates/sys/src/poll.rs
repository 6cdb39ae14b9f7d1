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

/// What a program that [copies news](stream) to a reader has to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// There is news.
    pub is_readable: bool,
    /// A write would not wait.
    pub is_writable: bool,
    /// Nobody reads any more.
    pub is_unread: bool,
    /// The indices of the writers that have lost their last reader.
    pub unread: Vec<usize>,
}

/// Waits until `news` can be read; until `output` has lost its reader or, if `has_more` is true, a write to it would not wait; or until one of `writers`, write ends of FIFOs, has lost
/// its last reader; for `timeout` nanoseconds at most, `None` for ever.
pub fn stream(
    news: Option<BorrowedFd<'_>>,
    output: BorrowedFd<'_>,
    has_more: bool,
    writers: &[BorrowedFd<'_>],
    timeout: Option<u64>,
) -> io::Result<Stream> {
    let wanted = if has_more { PollFlags::POLLOUT } else { PollFlags::empty() };
    let writers = writers.iter().map(|&fd| PollFd::new(fd, PollFlags::empty()));
    let (has_news, news) = (news.is_some(), news.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let mut entries: Vec<PollFd<'_>> = [PollFd::new(output, wanted)].into_iter().chain(writers).chain(news).collect();
    match nix::poll::poll(&mut entries, timeout.map_or(PollTimeout::NONE, milliseconds)) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Stream::default()),
        Err(errno) => return Err(errno.into()),
    }
    let any = |entry: &PollFd<'_>| entry.any().unwrap_or(true);
    let is_readable = has_news && entries.pop().is_some_and(|entry| any(&entry));
    let told = entries[0].revents().unwrap_or(PollFlags::POLLERR);
    let is_unread = told.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    let unread = entries[1..].iter().enumerate().filter(|(_, entry)| any(entry)).map(|(place, _)| place).collect();
    Ok(Stream { is_readable, is_writable: told.contains(PollFlags::POLLOUT), is_unread, unread })
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::fd;

    #[test]
    fn news_are_copied_to_a_reader_as_long_as_there_is_one() {
        let pipe = || fd::pipe().expect("a pipe");
        let ((news, news_writer), (reader, output), (fifo, fifo_writer)) = (pipe(), pipe(), pipe());
        let look = |has_more| {
            stream(Some(news.as_fd()), output.as_fd(), has_more, &[fifo_writer.as_fd()], Some(0)).expect("it looks")
        };
        assert_eq!(look(false), Stream::default());
        assert_eq!(look(true), Stream { is_writable: true, ..Stream::default() });
        fd::write_all(news_writer.as_fd(), b"news").expect("there is room");
        while look(true).is_writable {
            fd::write_all(output.as_fd(), &[0; fd::PIECE]).expect("there is room");
        }
        assert_eq!(look(true), Stream { is_readable: true, ..Stream::default() });
        drop((fifo, reader));
        let end = look(false);
        assert!(end.is_unread && end.is_readable && end.unread == [0], "{end:?}");
    }
}
