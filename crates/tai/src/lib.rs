//! TAI64N labels: the time stamps of the suite, in status files, log lines and log file names.
//!
//! A label is 8 bytes of seconds and 4 bytes of nanoseconds, big-endian; in text it is `@` and 24 lower-case
//! hexadecimal digits. Seconds count from 2^62 at the epoch plus a constant 10: like daemontools, and unlike
//! true TAI, there is no table of leap seconds (every reader of such labels relies on that constant).
//!
//! This crate reads no clock and opens no file.

#![forbid(unsafe_code)]

mod lines;
mod utc;
mod zone;

pub use lines::{Localizer, Stamper};
pub use zone::{LocalTime, Zone};

/// TAI64 second of Unix second 0, as daemontools 0.76 writes it: 2^62 + 10.
const EPOCH: u64 = (1 << 62) + 10;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// One instant as a TAI64N label. Ordered by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// TAI64 seconds.
    pub seconds: u64,
    /// Nanoseconds; a label read from outside may hold more than 999,999,999 here.
    pub nanos: u32,
}

impl Label {
    /// Length of the packed form in bytes.
    pub const PACKED: usize = 12;
    /// Length of the text form in bytes: `@` and 24 digits.
    pub const TEXT: usize = 25;
    /// Length of the time in UTC in bytes.
    pub const UTC: usize = utc::TEXT;

    /// The label of `seconds` since 1970 and `nanos` nanoseconds.
    pub const fn from_unix(seconds: i64, nanos: u32) -> Label {
        Label { seconds: EPOCH.wrapping_add(seconds as u64), nanos }
    }

    /// Seconds since 1970. Wraps around for a label that is not a possible time, such as all zeros.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds.wrapping_sub(EPOCH) as i64
    }

    /// Whole seconds from `self` until `now`; 0 when `self` lies in the future.
    pub const fn age(self, now: Label) -> u64 {
        now.seconds.saturating_sub(self.seconds)
    }

    /// The label one microsecond later: the smallest step that the suite's clock makes.
    #[must_use]
    pub const fn next(self) -> Label {
        let nanos = self.nanos.saturating_add(1_000);
        if nanos < 1_000_000_000 {
            Label { nanos, ..self }
        } else {
            Label { seconds: self.seconds.wrapping_add(1), nanos: nanos - 1_000_000_000 }
        }
    }

    /// The 12 bytes of the label as stored in a status file.
    pub fn pack(self) -> [u8; Label::PACKED] {
        let mut bytes = [0; Label::PACKED];
        bytes[..8].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&self.nanos.to_be_bytes());
        bytes
    }

    /// Reads a label that [`pack`](Label::pack) has made.
    pub fn unpack(bytes: [u8; Label::PACKED]) -> Label {
        let [a, b, c, d, e, f, g, h, nanos @ ..] = bytes;
        Label { seconds: u64::from_be_bytes([a, b, c, d, e, f, g, h]), nanos: u32::from_be_bytes(nanos) }
    }

    /// The text form of the label: `@` and 24 lower-case hexadecimal digits.
    pub fn text(self) -> [u8; Label::TEXT] {
        let mut text = [b'@'; Label::TEXT];
        for (pair, byte) in text[1..].chunks_exact_mut(2).zip(self.pack()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    /// The time of the label in UTC, as `2001-09-09T01:46:40.123456Z`. Nanoseconds are cut; of a label whose year has not four digits this is the
    /// nearest time whose year has.
    pub fn utc(self) -> [u8; Label::UTC] {
        utc::text(self.unix_seconds(), self.nanos)
    }

    /// Reads a time in UTC that [`utc`](Label::utc) has made; `None` for anything else.
    pub fn from_utc(text: &[u8]) -> Option<Label> {
        utc::parse(text).map(|(seconds, nanos)| Label::from_unix(seconds, nanos))
    }

    /// Reads a label from its 24 digits (without the `@`); `None` for anything but 24 lower-case hexadecimal digits.
    pub fn from_digits(digits: &[u8]) -> Option<Label> {
        let digits: &[u8; Label::TEXT - 1] = digits.try_into().ok()?;
        let mut bytes = [0; Label::PACKED];
        let mut seen = 0;
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
            seen |= high | low;
            *byte = high << 4 | low;
        }
        (seen != NONE).then(|| Label::unpack(bytes))
    }
}

/// The entry of [`VALUES`] for a byte that is not a digit. ORed with any value it stays the same.
const NONE: u8 = u8::MAX;

/// The value of each byte as a hexadecimal digit. There is a label in front of every line, and a table needs no
/// branches.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Returns whether this is a lower-case hexadecimal digit.
pub(crate) const fn is_digit(byte: u8) -> bool {
    VALUES[byte as usize] != NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observed on daemontools 0.76: Unix 1000000000.123456789.
    const KNOWN: &[u8; 25] = b"@400000003b9aca0a075bcd15";

    #[test]
    fn text_is_what_daemontools_writes() {
        assert_eq!(&Label::from_unix(1_000_000_000, 123_456_789).text(), KNOWN);
    }

    #[test]
    fn digits_are_read_back() {
        let label = Label::from_digits(&KNOWN[1..]).expect("24 digits");
        assert_eq!(label.unix_seconds(), 1_000_000_000);
        assert_eq!(label.nanos, 123_456_789);
        assert_eq!(Label::unpack(label.pack()), label);
    }

    #[test]
    fn anything_but_24_lower_case_digits_is_no_label() {
        for bad in [
            &b""[..],
            b"4",
            &KNOWN[..24],
            b"400000003B9ACA0A075BCD15",
            b"400000003b9aca0a075bcd150",
            b"400000003b9aca0a075bcd1 ",
        ] {
            assert_eq!(Label::from_digits(bad), None);
        }
    }

    #[test]
    fn the_time_in_utc_is_read_back() {
        for (seconds, nanos, text) in [
            (1_000_000_000, 123_456_789, "2001-09-09T01:46:40.123456Z"),
            (1_796_105_228, 500, "2026-12-01T06:07:08.000000Z"),
            (951_782_399, 999_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (-1, 1_000, "1969-12-31T23:59:59.000001Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            let label = Label::from_unix(seconds, nanos);
            assert_eq!(String::from_utf8_lossy(&label.utc()), text);
            let read = Label::from_utc(text.as_bytes()).expect("a time");
            assert_eq!(read, Label { nanos: nanos / 1_000 * 1_000, ..label });
        }
    }

    #[test]
    fn every_label_has_a_time_in_utc() {
        for (label, text) in [
            (Label { seconds: 0, nanos: 0 }, "0000-01-01T00:00:00.000000Z"),
            (Label { seconds: (1 << 63) - 1, nanos: 5_000 }, "9999-12-31T23:59:59.999999Z"),
            (Label::from_unix(253_402_300_800, 0), "9999-12-31T23:59:59.999999Z"),
            (Label::from_unix(-62_167_219_201, 5_000), "0000-01-01T00:00:00.000000Z"),
            (Label::from_unix(0, u32::MAX), "1970-01-01T00:00:00.999999Z"),
        ] {
            assert_eq!(String::from_utf8_lossy(&label.utc()), text);
            assert_eq!(Label::from_utc(text.as_bytes()).map(Label::utc), Some(label.utc()));
        }
    }

    #[test]
    fn what_is_no_time_in_utc_is_none() {
        for bad in [
            "",
            "2026-12-01T06:07:08.123456",
            "2026-12-01T06:07:08.123456Z ",
            "2026-12-01 06:07:08.123456Z",
            "2026-12-01T06:07:08,123456Z",
            "2026-11-31T06:07:08.123456Z",
            "2026-02-29T06:07:08.123456Z",
            "2026-13-01T06:07:08.123456Z",
            "2026-00-01T06:07:08.123456Z",
            "2026-12-01T24:07:08.123456Z",
            "2026-12-01T06:07:60.123456Z",
            "+026-12-01T06:07:08.123456Z",
        ] {
            assert_eq!(Label::from_utc(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn age_is_zero_for_the_future() {
        let (early, late) = (Label::from_unix(5, 0), Label::from_unix(9, 0));
        assert_eq!(early.age(late), 4);
        assert_eq!(late.age(early), 0);
    }

    #[test]
    fn next_carries_into_the_second() {
        assert_eq!(Label::from_unix(1, 999_999_500).next(), Label::from_unix(2, 500));
        assert_eq!(Label::from_unix(1, 500).next(), Label::from_unix(1, 1_500));
        let garbage = Label { seconds: u64::MAX, nanos: u32::MAX };
        assert!(garbage.next().seconds == 0);
    }
}
