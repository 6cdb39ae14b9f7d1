//! The clocks: one that never jumps, for waits, and the wall clock, for stamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock.
pub fn monotonic() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // It cannot fail on a system that has the clock, and all that we build for have it.
    let now = clock_gettime(clock).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64)
}

/// Nanoseconds since the boot of the machine, in which the kernel counts the births of processes: sleep included.
pub fn since_boot() -> u64 {
    #[cfg(target_os = "linux")]
    const BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const BOOT: ClockId = ClockId::CLOCK_MONOTONIC;
    nanoseconds(BOOT)
}

/// The wall clock: seconds since 1970, and nanoseconds. It has the original's resolution: microseconds, and every value of
/// nanoseconds ends in 500.
pub fn wall() -> (i64, u32) {
    let (seconds, nanos) = real_time();
    (seconds, nanos / 1_000 * 1_000 + 500)
}

/// The wall clock as files have it. Unlike `SystemTime::now`, which ends the process where the C library's seconds end in 2038.
pub fn now() -> SystemTime {
    let (seconds, nanos) = real_time();
    UNIX_EPOCH + Duration::new(seconds.max(0).unsigned_abs(), nanos)
}

/// Seconds since 1970, and nanoseconds.
fn real_time() -> (i64, u32) {
    #[cfg(all(target_os = "linux", target_pointer_width = "32"))]
    if let Some(time) = wide_real_time() {
        return time;
    }
    // It cannot fail on a system that has the clock, as all have, unless the time does not fit into 32 bits.
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    #[allow(clippy::useless_conversion)]
    (now.tv_sec().into(), now.tv_nsec() as u32)
}

/// The time of a kernel that counts in 64 bits, as Linux does from 5.1 on; asked by the number of the call, which is the same for every 32-bit processor, since
/// what the libc crate knows of the C library has 32 bits.
#[cfg(all(target_os = "linux", target_pointer_width = "32"))]
fn wide_real_time() -> Option<(i64, u32)> {
    const CLOCK_GETTIME64: libc::c_long = 403;
    let mut time = [0_i64; 2];
    // SAFETY: the kernel writes seconds and nanoseconds, eight bytes each, to what is ours.
    let asked = unsafe { libc::syscall(CLOCK_GETTIME64, libc::CLOCK_REALTIME, time.as_mut_ptr()) };
    (asked == 0).then_some((time[0], time[1] as u32))
}
