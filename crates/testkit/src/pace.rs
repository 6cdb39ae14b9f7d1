//! When services start: the stamps that they write, and the earliest times that are allowed.

/// Shell words with which a service writes the seconds since boot to its stdout.
pub const STAMP: &str = "read up rest </proc/uptime; echo $up";

/// The seconds since boot, on the clock of [`STAMP`].
///
/// # Panics
/// If `/proc/uptime` cannot be read.
pub fn uptime() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
    uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds")
}

/// Checks that no start was early. `stamps` are the lines of [`STAMP`], `begin` is a time before the first start, and `dues` are the seconds from
/// there to each start at the earliest. A busy service writes its stamp late, perhaps after the next start is due. So each stamp is compared with
/// `begin`, and not with the stamp before it.
///
/// # Panics
/// If a start was early, or a line is no stamp.
#[track_caller]
pub fn assert_paced(begin: f64, stamps: &str, dues: impl IntoIterator<Item = f64>) {
    let starts: Vec<f64> = stamps.lines().map(|line| line.parse().expect("seconds")).collect();
    for (start, due) in starts.iter().zip(dues) {
        // Both clocks are rounded down to hundredths.
        assert!(start - begin > due - 0.02, "started again too early: {begin}, {starts:?}");
    }
}
