//! The clocks: one that never jumps, for waits, and the wall clock, for stamps.

use std::time::{SystemTime, UNIX_EPOCH};

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
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => (since.as_secs() as i64, since.subsec_micros() * 1_000 + 500),
        Err(before) => (-(before.duration().as_secs() as i64) - 1, 500),
    }
}
