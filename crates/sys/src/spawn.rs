//! The birth of a child that is to become another program.
//!
//! A fork copies the page tables of a process, and both sides then fault in every page they write. A child that shares
//! its parent's memory until it execs (vfork's way, and posix_spawn's) spares that: here it halves the time from one death
//! of a service to its next start. While such a child lives in borrowed memory its parent stands still, and what the child
//! has learned, such as why it could not exec, the parent finds in its own memory.
//!
//! The price: the parent stands still until the exec is through, and an exec can take long. The kernel reads the program, and its
//! interpreter, before it answers; where these lie on a file system whose server does not answer, supervise obeys nothing and svscan starts
//! nothing until it does. A fork would leave only the child behind. A supervisor whose programs may hang so is not worth twice the time of
//! every start, as programs are read from the cache of the kernel after the first one: but do not put `run`, or its `#!`, there.

use std::cell::Cell;
use std::io;

use nix::unistd::Pid;

thread_local! {
    /// Whether what runs in this thread's memory is a child that has not become another program yet. It shares the thread's memory, and
    /// this with it.
    static IN_CHILD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is a child that [`spawn`] has started, with descriptors of its own and perhaps its parent's memory.
pub(crate) fn in_child() -> bool {
    IN_CHILD.get()
}

/// Exit code of a child that could not become what it should.
const CANNOT_EXEC: u8 = 111;

/// Starts a child that becomes another program by `exec`, or ends with code 111 if that returns; then `unable` says why. Does not
/// return before that.
///
/// `exec` runs in the child, in memory that is shared with this process where the system can do that: it may leave word in
/// what it borrows, but must neither allocate nor free, since the child may be killed on the way: a build with debug assertions ends the
/// child for that. What it does to
/// descriptors, signals and limits is the child's alone. Nothing of the parent's (buffers, destructors) is run in the child. Before
/// `exec`, the child gets the OOM score back that this process was started with (see [`crate::oom`]).
///
/// # Errors
/// If there can be no further process, or no memory for it.
pub fn spawn<E>(exec: impl FnMut() -> E, unable: impl FnOnce(E)) -> io::Result<Pid> {
    imp::spawn(exec, unable)
}

/// For callers of fork and its kind.
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
                unable(exec());
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

    /// More than the parent needs of its stack from the call of clone until that returns.
    const GAP: usize = 1_024;

    pub(super) fn spawn<E>(exec: impl FnMut() -> E, unable: impl FnOnce(E)) -> io::Result<Pid> {
        // No handler may run in the child: what it remembers would be remembered here.
        let mut attempt = Attempt { exec, mask: signals::block_all()?, failed: None };
        let child = attempt.clone_below();
        attempt.mask.restore();
        if let Some(error) = attempt.failed {
            unable(error);
        }
        child
    }

    /// What parent and child both see.
    struct Attempt<F, E> {
        exec: F,
        mask: Mask,
        failed: Option<E>,
    }

    impl<E, F: FnMut() -> E> Attempt<F, E> {
        /// Returns in the parent only, when the child has ended or become another program.
        ///
        /// The child runs where the functions that this one calls would: vfork's way, but with a frame of its own to begin with. A
        /// stack made for each child, and taken away again, cost a supervise an eighth of the CPU time of a restart.
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
    fn a_child_that_takes_memory_is_found_by_tests() {
        let child = spawn(|| drop(std::hint::black_box(Box::new(1))), drop).expect("a child");
        assert_eq!(wait(child).expect("a child"), Change::Exited(crate::arena::TOOK_MEMORY));
        assert!(!in_child());
    }
}
