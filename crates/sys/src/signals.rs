//! Signals that a program wants to hear of: each makes a pipe readable, and is remembered until it is asked for.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction, sigprocmask};
use signal_hook::low_level;

use crate::fd;
use crate::process::Signal;

/// A bit for each signal that is caught. The lowest, which is no signal's, keeps it among the data that is not zero at first, on a
/// page that every program touches.
static CAUGHT: AtomicU64 = AtomicU64::new(1);

/// Signals caught for the rest of the process's life. An exec makes them default again.
pub struct Signals {
    /// Never closed: a signal that came after that would end the process by SIGPIPE.
    pipe: BorrowedFd<'static>,
    writer: BorrowedFd<'static>,
    caught: Vec<(Signal, Arc<AtomicBool>)>,
    /// Set with each of them, since the pipe may have no room for its byte: a kernel without memory refuses it.
    came: Arc<AtomicBool>,
}

impl Signals {
    /// Catches and unblocks `signals`.
    pub fn catch(signals: &[Signal]) -> io::Result<Signals> {
        Signals::catch_with(signals, fd::pipe_that_never_waits()?)
    }

    /// As [`catch`](Signals::catch), with the pipe of a program before this one in the same process: [`descriptors`](Signals::descriptors). What came to that is
    /// heard of here.
    pub fn catch_with(signals: &[Signal], (pipe, writer): (OwnedFd, OwnedFd)) -> io::Result<Signals> {
        let writer = fd::leak(writer);
        let caught: Vec<_> = signals.iter().map(|&signal| (signal, Arc::new(AtomicBool::new(false)))).collect();
        let came = Arc::new(AtomicBool::new(false));
        for (signal, flag) in &caught {
            CAUGHT.fetch_or(1 << *signal as i32, Ordering::Relaxed);
            let (flag, came) = (Arc::clone(flag), Arc::clone(&came));
            let action = move || {
                // The flags first: by the time the pipe can be read, they are set.
                flag.store(true, Ordering::Relaxed);
                came.store(true, Ordering::Relaxed);
                // It may be full. Then it can be read anyway.
                let _ = nix::unistd::write(writer, b"X");
            };
            // SAFETY: stores and a write are all that is done, and both may be done in a handler. errno is kept by signal-hook.
            unsafe { low_level::register(*signal as i32, action) }?;
        }
        unblock(signals)?;
        Ok(Signals { pipe: fd::leak(pipe), writer, caught, came })
    }

    /// What to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe
    }

    /// Both ends of the pipe, for the next program in this process.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.pipe, self.writer]
    }

    /// Whether a signal has come since the last [`drain`](Signals::drain). Ask this besides what poll says of the descriptor.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// How long to poll: for `timeout`, or not at all if a signal has come already.
    pub fn timeout(&self, timeout: Option<u64>) -> Option<u64> {
        if self.came() { Some(0) } else { timeout }
    }

    /// Forgets that signals have come. Call it before asking [`arrived`](Signals::arrived).
    pub fn drain(&self) {
        self.came.store(false, Ordering::Relaxed);
        let mut buffer = [0; 64];
        while matches!(fd::read(self.fd(), &mut buffer), Ok(count) if count == buffer.len()) {}
    }

    /// Lets them wait, until the mask that is returned is restored: over an exec, which forgets that they are caught, until the next
    /// program in this process catches them.
    pub fn block(&self) -> io::Result<Mask> {
        block(&self.caught.iter().map(|(signal, _)| *signal).collect::<Vec<_>>())
    }

    /// Whether `signal` has come since the last time this was asked.
    pub fn arrived(&self, signal: Signal) -> bool {
        self.caught.iter().any(|(known, flag)| *known == signal && flag.swap(false, Ordering::Relaxed))
    }
}

/// Lets `signal` do nothing, unless it is ignored anyway. It is default again in children, and after an exec.
pub fn survive(signal: Signal) {
    if !is_ignored(signal) {
        do_nothing_at(signal);
    }
}

/// Lets no write end the process: not one to a pipe that nobody reads (SIGPIPE), nor one beyond the limit on the size of files (SIGXFSZ). It fails
/// instead, with EPIPE and EFBIG.
pub fn survive_writes() {
    [Signal::SIGPIPE, Signal::SIGXFSZ].into_iter().for_each(survive);
}

/// What this process was started with stays its own: signals that it ignores do nothing here, and are default in children and after an
/// exec; none that it blocks is blocked any more. For who has caught already what it wants to hear of.
pub fn hand_on_none() {
    Signal::iterator().filter(|&signal| is_ignored(signal)).for_each(do_nothing_at);
    // It cannot fail: the set is a valid one.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

fn do_nothing_at(signal: Signal) {
    CAUGHT.fetch_or(1 << signal as i32, Ordering::Relaxed);
    // Nobody asks for it, so it needs no place among those that are: that would cost every supervise 1.2 kB.
    let action = SigAction::new(SigHandler::Handler(do_nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing. The call cannot fail for a signal that may be caught.
    let _ = unsafe { sigaction(signal, &action) };
}

extern "C" fn do_nothing(_signal: i32) {}

/// The signals that were blocked before [`block`].
#[derive(Clone, Copy)]
pub struct Mask(SigSet);

impl Mask {
    /// Blocks these signals again, and no others. One that came meanwhile acts now.
    pub fn restore(&self) {
        // It cannot fail: the set comes from the kernel.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// Lets `signals` wait, until the mask that is returned is restored.
pub fn block(signals: &[Signal]) -> io::Result<Mask> {
    let mut before = SigSet::empty();
    let set: SigSet = signals.iter().copied().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
    Ok(Mask(before))
}

/// Lets all signals wait.
#[cfg(target_os = "linux")]
pub(crate) fn block_all() -> io::Result<Mask> {
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    Ok(Mask(before))
}

/// In a child that borrows its parent's memory: gives the signals that are caught their default action, as exec will.
#[cfg(target_os = "linux")]
pub(crate) fn forget_handlers() {
    let caught = CAUGHT.load(Ordering::Relaxed);
    for signal in Signal::iterator().filter(|&signal| caught & 1 << signal as i32 != 0) {
        let _ = set_default(signal);
    }
}

/// Whether `signal` is ignored, as `nohup` leaves HUP.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a null new action only asks for the old one; a zeroed sigaction is a valid one.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as i32, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Ignores `signal`, over exec too.
pub fn ignore(signal: Signal) -> io::Result<()> {
    set(signal, libc::SIG_IGN)
}

/// Gives `signal` its default action.
pub fn set_default(signal: Signal) -> io::Result<()> {
    set(signal, libc::SIG_DFL)
}

/// Ends the process by `signal`, as if it had never been caught. Returns only if the signal is blocked or ends nothing.
pub fn die_of(signal: Signal) {
    let _ = set_default(signal);
    let _ = nix::sys::signal::raise(signal);
}

fn set(signal: Signal, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: neither SIG_IGN nor SIG_DFL is code of ours.
    nix::errno::Errno::result(unsafe { libc::signal(signal as i32, action) as isize as i32 })
        .map(drop)
        .map_err(Into::into)
}

fn unblock(signals: &[Signal]) -> io::Result<()> {
    let set: SigSet = signals.iter().copied().collect();
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?)
}
