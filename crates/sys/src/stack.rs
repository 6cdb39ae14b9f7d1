//! The memory of the stack: a page that was touched once belongs to the process for the rest of its life, unless it is given
//! back.

/// The greatest depth that the stack of any program of the suite reaches, in bytes. It is less than the gap that the kernel keeps free below a stack.
#[cfg(target_os = "linux")]
const DEPTH: usize = 128 * 1024;
/// How many bytes below the caller this call may still use itself.
#[cfg(target_os = "linux")]
const NEAR: usize = 4096;

/// Gives the pages below the frame of the caller back to the system. They come back, empty, when they are touched. So at rest a program has only the
/// pages that its loop needs, not those that its beginning or a start once needed. For the main thread only.
#[inline(never)]
pub fn give_back() {
    #[cfg(target_os = "linux")]
    {
        let here = 0_u8;
        // No page is smaller than this on Linux; with larger pages the call fails, which does no harm.
        let end = (std::ptr::from_ref(&here).addr() - NEAR) & !(NEAR - 1);
        let start = std::ptr::from_ref(&here).with_addr(end - DEPTH).cast_mut();
        // SAFETY: below this frame and those of this call nothing of this thread lives: the one page left out holds them. No handler runs on it
        // while the call is made but before or behind it, and no child borrows the stack, since its parent stands still as long as it does. So far below a
        // stack there is nothing else: the kernel keeps a gap of 1 MB.
        let _ = unsafe { libc::madvise(start.cast(), DEPTH, libc::MADV_DONTNEED) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Touches so many bytes of the stack.
    #[inline(never)]
    fn deep<const N: usize>() -> u8 {
        let bytes = std::hint::black_box([7_u8; N]);
        bytes[N / 2]
    }

    #[test]
    fn what_is_above_stays_and_what_is_below_can_be_used_again() {
        let above = std::hint::black_box([1_u8; 64]);
        for _ in 0..3 {
            assert_eq!(deep::<40_000>(), 7);
            give_back();
        }
        assert_eq!(std::hint::black_box(above), [1; 64]);
    }
}
