//! Which descriptors with an owner this process has ever kept open over an exec. All others that are not close-on-exec came over the exec to this program, since it
//! opens none so; nobody owns those but who takes them over by [`crate::sealed::inherit`].

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each of the standard three, and one for all others. One byte, since each supervise has it.
static KEPT: AtomicU8 = AtomicU8::new(0);

fn bit(number: RawFd) -> u8 {
    1 << number.clamp(0, 3)
}

/// Notes that it is kept. What a child keeps is its own, and the child may have this memory from its parent.
pub(crate) fn note(number: RawFd) {
    if !crate::spawn::in_child() {
        KEPT.fetch_or(bit(number), Ordering::Relaxed);
    }
}

/// Returns whether it may have been kept.
pub(crate) fn is(number: RawFd) -> bool {
    KEPT.load(Ordering::Relaxed) & bit(number) != 0
}
