//! How the figures look in a message.

/// A size in bytes, in the greatest unit of which there are ten or more, else in k. It is rounded up, so that a size which is not below a bound does
/// not look as if it were.
pub fn size(bytes: u64) -> String {
    for (unit, letter) in [(1 << 30, 'G'), (1 << 20, 'M')] {
        if bytes >= 10 * unit {
            return format!("{}{letter}", bytes.div_ceil(unit));
        }
    }
    format!("{}k", bytes.div_ceil(1 << 10))
}

/// A duration in nanoseconds, in its greatest unit and the next one, as `2h5m`. The rest is dropped.
pub fn age(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let milliseconds = nanoseconds / 1_000_000;
    let first = UNITS.iter().position(|&(unit, _)| milliseconds >= unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let mut shown = format!("{}{name}", milliseconds / unit);
    // Whole seconds are exact enough.
    if let Some(&(next, name)) = UNITS.get(first + 1).filter(|&&(next, _)| next > 1)
        && milliseconds % unit >= next
    {
        shown += &format!("{}{name}", milliseconds % unit / next);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_never_shown_as_less_than_it_is() {
        for (bytes, text) in [
            (0, "0k"),
            (1, "1k"),
            (4096, "4k"),
            (10 << 20, "10M"),
            ((10 << 20) - 4096, "10236k"),
            ((612 << 20) - 4096, "612M"),
            (2 << 30, "2048M"),
            ((10 << 30) + 1, "11G"),
            (u64::MAX, "17179869184G"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn an_age_has_two_units() {
        const SECOND: u64 = 1_000_000_000;
        for (nanoseconds, text) in [
            (0, "0ms"),
            (20_000_000, "20ms"),
            (SECOND + 999_000_000, "1s"),
            (60 * SECOND, "1m"),
            (61 * SECOND, "1m1s"),
            (7200 * SECOND, "2h"),
            (7259 * SECOND, "2h"),
            (7500 * SECOND, "2h5m"),
            (86_400 * SECOND, "1d"),
            (90_000 * SECOND, "1d1h"),
        ] {
            assert_eq!(age(nanoseconds), text);
        }
    }
}
