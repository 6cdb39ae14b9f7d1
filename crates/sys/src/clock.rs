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

/// A time of day somewhere, as people write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of the common era.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// `seconds` since 1970 in the time zone of the environment; `None` if it has no such representation.
pub fn local_time(seconds: i64) -> Option<LocalTime> {
    static ZONE: std::sync::Once = std::sync::Once::new();
    unsafe extern "C" {
        // Not in the libc crate for every system; POSIX has it.
        fn tzset();
    }
    // SAFETY: single-threaded, so nobody changes the environment meanwhile.
    ZONE.call_once(|| unsafe { tzset() });
    // Not named: libc will have a wider time_t for musl, and says so until then.
    let time = seconds as _;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both point to values of ours; a zeroed tm is a valid one.
    let parts = unsafe {
        if libc::localtime_r(&raw const time, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    Some(LocalTime {
        year: i64::from(parts.tm_year) + 1900,
        month: (parts.tm_mon + 1) as u8,
        day: parts.tm_mday as u8,
        hour: parts.tm_hour as u8,
        minute: parts.tm_min as u8,
        second: parts.tm_sec as u8,
    })
}
