//! Starts a child that is to execute another program.
//!
//! A fork copies the page tables of a process, and then both sides have a page fault for every page that they write. A child that shares
//! its parent's memory until its exec (as with vfork and posix_spawn) avoids that: here it halves the time from the death of a service to
//! its next start. While such a child lives in borrowed memory its parent is suspended. The parent finds what the child has learned, such
//! as why it could not exec, in its own memory.
//!
//! The price is that the parent is suspended until the exec has succeeded or failed, and an exec can take long: the kernel first reads the
//! program and its interpreter. If these lie on a file system whose server does not answer, supervise obeys no command and svscan starts
//! nothing until it does. With a fork only the child would hang. But that case does not justify twice the time for every start, since after
//! the first start programs are read from the kernel's cache. So do not put `run`, or the program in its `#!` line, on such a file system.

use std::cell::Cell;
use std::io;

use nix::unistd::{ForkResult, Pid};

use crate::signals;

thread_local! {
    /// Whether the code that runs in this thread's memory is a child before its exec. The child shares the memory of the thread,
    /// including this value.
    static IN_CHILD: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this is a child that [`spawn`] has started, with descriptors of its own and perhaps in its parent's
/// memory.
pub(crate) fn in_child() -> bool {
    IN_CHILD.get()
}

/// The exit code of a child that could not exec.
const CANNOT_EXEC: u8 = 111;

/// Starts a child that calls `exec` to execute another program. If `exec` returns, the child exits with code 111, and `unable` is called
/// with the error. This returns only after the exec has succeeded or failed.
///
/// `exec` runs in the child, in memory that is shared with this process if the system can do that, as a call of this thread would. It must neither
/// allocate nor free, since the child may be killed at any time, and the allocator would stay as it was in that moment: a child that does so is ended before
/// anything has changed. Changes of descriptors, signals and limits affect only the child. Nothing of the parent (buffers, destructors) is run in the child.
///
/// Two things are not looked at, and no caller may do them. `exec` may write plain data to what it borrows (numbers, bytes, `Option` of such), but must not leave
/// there, nor return, a value that owns a descriptor: its number means nothing in this process. Nor may it move values that own anything: if
/// it were killed in the middle of that, there would be two of them, or half of one.
/// Before `exec`, the child gets back the OOM score that this process was started with (see [`crate::oom`]).
///
/// # Errors
/// If no further process can be made, or there is no memory for it.
pub fn spawn<E>(exec: impl FnMut() -> E, unable: impl FnOnce(E)) -> io::Result<Pid> {
    imp::spawn(exec, unable)
}

/// Starts a child with memory of its own, which does `work` and exits, and does not return before that child may run. `work` gets no signal, and must take no
/// memory, as in [`spawn`]. Nothing of the parent (buffers, destructors) is run in the child.
///
/// # Errors
/// If no further process can be made.
pub fn fork(work: impl FnOnce()) -> io::Result<Pid> {
    // No handler may run in the child: it would write to the pipe of the parent.
    let mask = signals::block_all()?;
    // SAFETY: the programs are single-threaded, so the child may do whatever the parent might.
    let child = match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => {
            IN_CHILD.set(true);
            work();
            // SAFETY: _exit ends the process and returns to nobody.
            unsafe { libc::_exit(0) }
        }
        Err(errno) => Err(errno.into()),
    };
    mask.restore();
    child
}

/// Converts the result of fork or clone.
#[cfg(target_os = "linux")]
fn result(pid: libc::pid_t) -> io::Result<Pid> {
    Ok(Pid::from_raw(nix::errno::Errno::result(pid)?))
}

/// Children that have memory of their own.
#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;

    use nix::unistd::{ForkResult, Pid, fork};

    pub(super) fn spawn<E>(mut exec: impl FnMut() -> E, unable: impl FnOnce(E)) -> io::Result<Pid> {
        // SAFETY: the programs are single-threaded, so the child may do whatever the parent might.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(child),
            ForkResult::Child => {
                super::IN_CHILD.set(true);
                crate::oom::restore();
                let error = exec();
                // It has memory of its own, and nothing is left to be done in it but to say this.
                super::IN_CHILD.set(false);
                unable(error);
                // SAFETY: _exit ends the process and returns to nobody.
                unsafe { libc::_exit(i32::from(super::CANNOT_EXEC)) }
            }
        }
    }
}

/// Children that borrow this process's memory.
#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::{c_int, c_void};
    use std::io;

    use nix::unistd::Pid;

    use super::{CANNOT_EXEC, result};
    use crate::signals::{self, Mask};

    /// More bytes than the parent needs on its stack from the call of clone until that returns.
    const GAP: usize = 1_024;

    pub(super) fn spawn<E>(exec: impl FnMut() -> E, unable: impl FnOnce(E)) -> io::Result<Pid> {
        // No handler may run in the child: it would change the memory of the parent.
        let mut attempt = Attempt { exec, mask: signals::block_all()?, failed: None };
        let child = attempt.clone_below();
        attempt.mask.restore();
        if let Some(error) = attempt.failed {
            unable(error);
        }
        child
    }

    /// The state that parent and child share.
    struct Attempt<F, E> {
        exec: F,
        mask: Mask,
        failed: Option<E>,
    }

    impl<E, F: FnMut() -> E> Attempt<F, E> {
        /// Starts the child. Returns only in the parent, after the child has executed another program or exited.
        ///
        /// The child runs on the stack below this function's frame, as with vfork, but begins with a frame of its own. To make a
        /// separate stack for each child, and to remove it again, cost a supervise an eighth of the CPU time of a restart.
        #[inline(never)]
        fn clone_below(&mut self) -> io::Result<Pid> {
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let attempt = std::ptr::from_mut(self).cast();
            let here = 0_u8;
            // Stacks grow downwards, and no target asks for more than 16 bytes of alignment.
            let below = std::ptr::from_ref(&here).wrapping_byte_sub(GAP).map_addr(|address| address & !15);
            // SAFETY: `run` gets the Attempt<F, E> it expects. What is below this small frame and that of clone belongs to no
            // object, no handler runs there, for all signals are blocked, and this call does not return before the child has no
            // more use for it.
            let child = unsafe { libc::clone(Self::run, below.cast_mut().cast(), flags, attempt) };
            super::IN_CHILD.set(false);
            result(child)
        }

        extern "C" fn run(attempt: *mut c_void) -> c_int {
            // SAFETY: `clone_below` passed it, and stands still as long as this runs.
            let attempt = unsafe { &mut *attempt.cast::<Self>() };
            super::IN_CHILD.set(true);
            signals::forget_handlers();
            attempt.mask.restore();
            crate::oom::restore();
            attempt.failed = Some((attempt.exec)());
            c_int::from(CANNOT_EXEC)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Change, wait};

    #[test]
    fn a_child_that_takes_or_gives_back_memory_is_ended() {
        let child = spawn(|| drop(std::hint::black_box(Box::new(1))), drop).expect("a child");
        assert_eq!(wait(child).expect("a child"), Change::Exited(crate::arena::TOOK_MEMORY));
        let mut bytes = vec![1_u8; 9];
        bytes.clear();
        let child = spawn(|| bytes.shrink_to_fit(), drop).expect("a child");
        assert_eq!(wait(child).expect("a child"), Change::Exited(crate::arena::TOOK_MEMORY));
        assert!(!in_child());
    }
}
