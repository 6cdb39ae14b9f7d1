//! Signals that a program catches: each makes a pipe readable, and is remembered until the program asks for it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction, sigprocmask};
use signal_hook::low_level;

use crate::fd;
use crate::process::Signal;

/// A bit for each signal that has its default action again in a child before its exec: those that are caught, and those that were ignored. The lowest bit, which belongs to no signal, makes the initial value nonzero: so this lies
/// among initialized data, on a page that every program touches.
static CAUGHT: AtomicU64 = AtomicU64::new(1);

/// Signals caught for the rest of the process's life. An exec makes them default again.
pub struct Signals {
    /// The read end, which is never closed: otherwise a later signal would end the process by SIGPIPE.
    pipe: BorrowedFd<'static>,
    writer: BorrowedFd<'static>,
    caught: Vec<(Signal, Arc<AtomicBool>)>,
    /// Set by every signal, since the write to the pipe may fail: a kernel without memory refuses it.
    came: Arc<AtomicBool>,
}

impl Signals {
    /// Catches and unblocks `signals`.
    pub fn catch(signals: &[Signal]) -> io::Result<Signals> {
        Signals::catch_with(signals, fd::pipe_that_never_waits()?)
    }

    /// Catches signals as [`catch`](Signals::catch) does, with the pipe of an earlier program in the same process
    /// ([`descriptors`](Signals::descriptors)). Signals that came to that program are noticed here.
    pub fn catch_with(signals: &[Signal], (pipe, writer): (OwnedFd, OwnedFd)) -> io::Result<Signals> {
        let writer = fd::leak(writer);
        let caught: Vec<_> = signals.iter().map(|&signal| (signal, Arc::new(AtomicBool::new(false)))).collect();
        let came = Arc::new(AtomicBool::new(false));
        for (signal, flag) in &caught {
            CAUGHT.fetch_or(1 << *signal as i32, Ordering::Relaxed);
            let (flag, came) = (Arc::clone(flag), Arc::clone(&came));
            let action = move || {
                // Set the flags first, so that they are set when the pipe becomes readable.
                flag.store(true, Ordering::Relaxed);
                came.store(true, Ordering::Relaxed);
                // The pipe may be full. Then it is readable anyway.
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

    /// Both ends of the pipe, for an upgrade.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.pipe, self.writer]
    }

    /// Returns whether a signal has come since the last [`drain`](Signals::drain). Ask this in addition to polling the
    /// descriptor.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// How long to poll, in nanoseconds: `timeout`, or 0 if a signal has come already.
    pub fn timeout(&self, timeout: Option<u64>) -> Option<u64> {
        if self.came() { Some(0) } else { timeout }
    }

    /// Forgets that signals have come. Call it before asking [`arrived`](Signals::arrived).
    pub fn drain(&self) {
        self.came.store(false, Ordering::Relaxed);
        let mut buffer = [0; 64];
        while matches!(fd::read(self.fd(), &mut buffer), Ok(count) if count == buffer.len()) {}
    }

    /// Blocks these signals until the returned mask is restored. Over an exec, which drops the handlers, they wait until the next
    /// program in this process catches them.
    pub fn block(&self) -> io::Result<Mask> {
        block(&self.caught.iter().map(|(signal, _)| *signal).collect::<Vec<_>>())
    }

    /// Returns whether `signal` has come since the last call.
    pub fn arrived(&self, signal: Signal) -> bool {
        self.caught.iter().any(|(known, flag)| *known == signal && flag.swap(false, Ordering::Relaxed))
    }
}

/// Makes `signal` do nothing, unless it is caught or ignored already. After an exec it has its default action again; in a child that borrows this process's memory it does nothing
/// until then, so that a write fails there as it does here.
pub fn survive(signal: Signal) {
    let is_caught = CAUGHT.load(Ordering::Relaxed) & (1 << signal as i32) != 0;
    if !is_caught && !is_ignored(signal) {
        do_nothing_at(signal);
    }
}

/// Makes sure that no write ends the process: a write to a pipe without a reader (SIGPIPE) fails with EPIPE instead, a write beyond the limit on
/// file sizes (SIGXFSZ) with EFBIG.
pub fn survive_writes() {
    [Signal::SIGPIPE, Signal::SIGXFSZ].into_iter().for_each(survive);
}

/// Keeps children from inheriting the signal dispositions and the mask with which this process was started: signals that it ignores do
/// nothing here, but have their default action in children and after an exec; no signal is blocked any more. Call this after
/// [`Signals::catch`].
pub fn hand_on_none() {
    for signal in Signal::iterator().filter(|&signal| is_ignored(signal)) {
        CAUGHT.fetch_or(1 << signal as i32, Ordering::Relaxed);
        do_nothing_at(signal);
    }
    // This cannot fail: the set is valid.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

fn do_nothing_at(signal: Signal) {
    // No program asks for this signal, so it is not registered with signal-hook, which would cost every supervise 1.2
    // kB.
    let action = SigAction::new(SigHandler::Handler(do_nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing. The call cannot fail for a signal that may be caught.
    let _ = unsafe { sigaction(signal, &action) };
}

extern "C" fn do_nothing(_signal: i32) {}

/// The signals that were blocked before [`block`].
#[derive(Clone, Copy)]
pub struct Mask(SigSet);

impl Mask {
    /// Restores the mask. A signal that came meanwhile takes effect now.
    pub fn restore(&self) {
        // This cannot fail: the set comes from the kernel.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// Blocks `signals` until the returned mask is restored.
pub fn block(signals: &[Signal]) -> io::Result<Mask> {
    let mut before = SigSet::empty();
    let set: SigSet = signals.iter().copied().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
    Ok(Mask(before))
}

/// Blocks all signals until the returned mask is restored.
pub(crate) fn block_all() -> io::Result<Mask> {
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    Ok(Mask(before))
}

/// Gives these signals their default action, as exec will. Runs in a child that borrows its parent's memory.
#[cfg(target_os = "linux")]
pub(crate) fn forget_handlers() {
    let caught = CAUGHT.load(Ordering::Relaxed);
    for signal in Signal::iterator().filter(|&signal| caught & 1 << signal as i32 != 0) {
        let _ = set_default(signal);
    }
}

/// Returns whether `signal` is ignored, as HUP is below `nohup`.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a null new action only asks for the old one; a zeroed sigaction is a valid one.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as i32, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Ignores `signal`, also after an exec.
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
