//! The birth of a child that is to become another program.
//!
//! A fork copies the page tables of a process, and both sides then fault in every page they write. A child that shares
//! its parent's memory until it execs (vfork's way, and posix_spawn's) spares that: here it halves the time from one death
//! of a service to its next start. But while such a child lives in borrowed memory its parent stands still, and must not:
//! so it only execs, and if it cannot, a forked one says why.

use std::io;

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid, fork};

/// Starts a child that becomes another program by `exec`, and otherwise ends with the code of `unable`, which says why.
///
/// `exec` runs in the child, in memory that may be shared with this process: it must not change or allocate what lives
/// on, as it normally does not return. What it does to descriptors, signals and limits is the child's alone. If it fails
/// it may be called again, in another child. Nothing of the parent's (buffers, destructors) is run in the child.
///
/// # Errors
/// If there can be no further process, or no memory for it.
pub fn spawn<E>(mut exec: impl FnMut() -> E, unable: impl FnOnce(E) -> u8) -> io::Result<Pid> {
    #[cfg(target_os = "linux")]
    if let Some(child) = borrowing::spawn(|| drop(exec()))? {
        return Ok(child);
    }
    // SAFETY: the programs are single-threaded, so the child may do whatever the parent might.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = unable(exec());
            // SAFETY: _exit ends the process and returns to nobody.
            unsafe { libc::_exit(i32::from(code)) }
        }
    }
}

/// For callers of fork and its kind.
fn result(pid: libc::pid_t) -> io::Result<Pid> {
    Ok(Pid::from_raw(Errno::result(pid)?))
}

/// Children that borrow this process's memory.
#[cfg(target_os = "linux")]
mod borrowing {
    use std::ffi::{c_int, c_void};
    use std::io;

    use nix::errno::Errno;
    use nix::unistd::Pid;

    use super::result;
    use crate::process;
    use crate::signals::{self, Mask};

    /// How much stack the child has; only what it touches exists. An exec with a look through PATH takes a tenth of it.
    const STACK: usize = 65_536;

    /// Runs `exec` in a child. `None` if it returned: that child has ended.
    pub(super) fn spawn(exec: impl FnMut()) -> io::Result<Option<Pid>> {
        let stack = Stack::new()?;
        // No handler may run in the child: what it remembers would be remembered here.
        let mut attempt = Attempt { exec, mask: signals::block_all()?, failed: false };
        let child = attempt.clone_on(&stack);
        attempt.mask.restore();
        let child = child?;
        // The child wrote this, behind the compiler's back.
        // SAFETY: it is ours, and the child that could write it has ended or become another program.
        if !unsafe { (&raw const attempt.failed).read_volatile() } {
            return Ok(Some(child));
        }
        // Where SIGCHLD is ignored, the kernel has forgotten it already.
        let _ = process::wait(child);
        Ok(None)
    }

    /// What parent and child both see.
    struct Attempt<F> {
        exec: F,
        mask: Mask,
        failed: bool,
    }

    impl<F: FnMut()> Attempt<F> {
        /// Returns in the parent only, when the child has ended or become another program.
        fn clone_on(&mut self, stack: &Stack) -> io::Result<Pid> {
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let attempt = std::ptr::from_mut(self).cast();
            // SAFETY: `run` gets the Attempt<F> it expects. The stack is nobody else's, and stays until the child has no
            // more use for it, for this call does not return before.
            result(unsafe { libc::clone(Self::run, stack.top(), flags, attempt) })
        }

        extern "C" fn run(attempt: *mut c_void) -> c_int {
            // SAFETY: `clone_on` passed it, and stands still as long as this runs.
            let attempt = unsafe { &mut *attempt.cast::<Self>() };
            signals::forget_handlers();
            attempt.mask.restore();
            (attempt.exec)();
            attempt.failed = true;
            0
        }
    }

    struct Stack(*mut c_void);

    impl Stack {
        fn new() -> io::Result<Stack> {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping wherever the kernel likes touches nothing that is there.
            let start = unsafe { libc::mmap(std::ptr::null_mut(), STACK, access, flags, -1, 0) };
            if start == libc::MAP_FAILED {
                return Err(Errno::last().into());
            }
            Ok(Stack(start))
        }

        /// Stacks grow downwards. Page-aligned, which is more than any target asks for.
        fn top(&self) -> *mut c_void {
            // SAFETY: one byte behind the mapping, which is still of it.
            unsafe { self.0.cast::<u8>().add(STACK).cast() }
        }
    }

    impl Drop for Stack {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours, and whoever ran on it is done.
            unsafe { libc::munmap(self.0, STACK) };
        }
    }
}
