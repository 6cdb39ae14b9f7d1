//! The entry of a program: a `main` without the Rust runtime.
//!
//! The runtime would ignore SIGPIPE, open `/dev/null` on closed descriptors and install a signal stack. A program that
//! execs another must leave all of this as it was inherited, and a supervisor need not pay for it.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The last word of `argv` in the memory where the kernel has put it, for [`title`].
static LAST: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LAST_LEN: AtomicUsize = AtomicUsize::new(0);

/// Makes `$main` the program's `main`. It takes a value that can be made from the words of `argv`, and returns the exit
/// code.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// The C start-up code's `main`.
        ///
        /// # Safety
        /// Called once, with the process's argv.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn main(argc: i32, argv: *const *const ::std::ffi::c_char) -> i32 {
            // SAFETY: by contract this is the process's argv.
            $main(unsafe { $crate::argv::collect(argc, argv) }.into())
        }
    };
}

/// The words of `argv`, in the memory where the kernel has put them; only the last is a copy, since [`title`] writes
/// over it.
///
/// # Safety
/// `argv` points to `argc` C strings that live as long as the process.
pub unsafe fn collect(argc: c_int, argv: *const *const c_char) -> Vec<&'static OsStr> {
    let count = usize::try_from(argc).unwrap_or(0);
    let mut words = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: index < argc, and by contract a C string stands there.
        let word = unsafe { CStr::from_ptr(*argv.add(index)) }.to_bytes();
        words.push(OsStr::from_bytes(word));
    }
    if let Some(last) = words.last_mut() {
        LAST.store(last.as_bytes().as_ptr().cast_mut(), Ordering::Relaxed);
        LAST_LEN.store(last.len(), Ordering::Relaxed);
        *last = Box::leak(last.into());
    }
    words
}

/// The memory of the last word of `argv`, which `ps` shows. Only the first call gets it; later ones get an empty slice.
pub fn title() -> &'static mut [u8] {
    let start = LAST.swap(std::ptr::null_mut(), Ordering::Relaxed);
    if start.is_null() {
        return &mut [];
    }
    // SAFETY: `collect` stored a word of the process's own argv, which is writable memory that lives as long as the
    // process; it gave out a copy of it, so nobody else holds a reference; the swap makes this the only one.
    unsafe { std::slice::from_raw_parts_mut(start, LAST_LEN.load(Ordering::Relaxed)) }
}

// In a static program glibc asks `/proc` for the program's own path before `main`, for libraries that are loaded by `$ORIGIN`. No program here loads any, and the
// question is a twentieth of a start of supervise. This function says instead that the path is unknown (-1). It is weak, so that a glibc that must have its own keeps it.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", target_feature = "crt-static"))]
std::arch::global_asm!(
    ".weak _dl_get_origin",
    ".type _dl_get_origin, @function",
    "_dl_get_origin:",
    "mov rax, -1",
    "ret",
    ".size _dl_get_origin, . - _dl_get_origin",
);
