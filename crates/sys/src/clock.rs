//! The clocks: one that never jumps, for waits, and the wall clock, for stamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// The monotonic clock, in nanoseconds.
pub fn monotonic() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // This cannot fail on a system that has the clock, and all systems that we build for have it.
    let now = clock_gettime(clock).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64)
}

/// The clock by which the kernel counts births of processes: nanoseconds since the boot of the machine, including
/// sleep.
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

/// The wall clock as a `SystemTime`, to compare with the times of files. `SystemTime::now` would end the process if the seconds
/// of the C library end in 2038.
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
    // Every system has this clock, so this fails only if the time does not fit into 32 bits.
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    #[allow(clippy::useless_conversion)]
    (now.tv_sec().into(), now.tv_nsec() as u32)
}

/// The wall clock of a kernel that counts seconds in 64 bits on a 32-bit processor, as Linux does from 5.1 on. The call is made by its number, which
/// is the same for every 32-bit processor, since the libc crate has 32-bit seconds there.
#[cfg(all(target_os = "linux", target_pointer_width = "32"))]
fn wide_real_time() -> Option<(i64, u32)> {
    const CLOCK_GETTIME64: libc::c_long = 403;
    let mut time = [0_i64; 2];
    // SAFETY: the kernel writes seconds and nanoseconds, eight bytes each, to what is ours.
    let asked = unsafe { libc::syscall(CLOCK_GETTIME64, libc::CLOCK_REALTIME, time.as_mut_ptr()) };
    (asked == 0).then_some((time[0], time[1] as u32))
}
