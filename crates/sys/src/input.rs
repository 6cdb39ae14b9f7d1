//! Standard input for a program that waits in `read` itself, without a poll before it, and still never misses a signal.
//!
//! A signal that comes after the program has looked for signals and before its `read` would not be noticed until the next
//! input. So input is read through a separate copy of the descriptor, and the handler replaces that copy by a descriptor
//! that is always at end of file. The kernel restarts a read that is waiting; so that read, or one that is about to begin,
//! returns at once with nothing.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use signal_hook::low_level;

use crate::fd;
use crate::process::Signal;

/// Stdin, with reads that signals cut short. Make only one in the life of a process.
pub struct Input {
    reader: BorrowedFd<'static>,
    cut: Arc<AtomicBool>,
}

impl Input {
    /// Makes each of `signals`, which must already be caught ([`Signals`](crate::signals::Signals)), cut a read short.
    ///
    /// # Errors
    /// If there is no stdin, or there are no more descriptors.
    pub fn open(signals: &[Signal]) -> io::Result<Input> {
        let (end, _) = fd::pipe()?;
        // Both stay open: the handler stays for the rest of the process's life, and knows them by their numbers.
        let (end, reader) = (fd::leak(end), fd::leak(fd::stdin().try_clone_to_owned()?));
        let cut = Arc::new(AtomicBool::new(false));
        for &signal in signals {
            let cut = Arc::clone(&cut);
            let action = move || {
                cut.store(true, Ordering::Relaxed);
                // This cannot fail: both are open.
                let _ = replace(end, reader);
            };
            // SAFETY: a store and a dup3 are all that is done, and both may be done in a handler.
            unsafe { low_level::register(signal as i32, action) }?;
        }
        Ok(Input { reader, cut })
    }

    /// Reads once, as [`fd::read_onto`] does; `None` if a signal came before there was anything to read.
    pub fn read_onto(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<Option<usize>> {
        let count = fd::read_onto(self.reader, buffer, limit)?;
        if count > 0 || !self.cut.load(Ordering::Relaxed) {
            return Ok(Some(count));
        }
        // In this order, a signal that comes between the two is at worst reported twice.
        self.cut.store(false, Ordering::Relaxed);
        replace(fd::stdin(), self.reader)?;
        Ok(None)
    }
}

/// Makes `to` a copy of `from`, close-on-exec.
fn replace(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup3 takes two numbers. What it closes is another copy of stdin or of the pipe's end, and `to` stays open.
    #[cfg(not(target_vendor = "apple"))]
    Errno::result(unsafe { libc::dup3(from.as_raw_fd(), to.as_raw_fd(), libc::O_CLOEXEC) })?;
    // SAFETY: as above; fcntl takes numbers too. There is no dup3 here, but nothing forks between the two calls either.
    #[cfg(target_vendor = "apple")]
    unsafe {
        Errno::result(libc::dup2(from.as_raw_fd(), to.as_raw_fd()))?;
        Errno::result(libc::fcntl(to.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Signals;

    /// The only test of the library that reads stdin. Whatever that is here, a signal comes before it.
    #[test]
    fn a_signal_that_came_before_a_read_cuts_it() {
        let signals = Signals::catch(&[Signal::SIGUSR1]).expect("catches");
        let input = Input::open(&[Signal::SIGUSR1]).expect("a stdin");
        for _ in 0..3 {
            nix::sys::signal::raise(Signal::SIGUSR1).expect("raises");
            assert_eq!(input.read_onto(&mut Vec::with_capacity(1), 1).expect("reads"), None);
            assert!(signals.arrived(Signal::SIGUSR1));
        }
    }
}
