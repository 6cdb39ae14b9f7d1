//! Knobs: files of a service directory that hold one value, as s6 has them.
//!
//! The value is all that the file holds, but for newlines at its end: no spaces, no comments, no second line. A bare number is one of
//! milliseconds, as in s6; `ms`, `s`, `m` and `h` say otherwise. What is wrong has no value: whoever reads the file says so
//! once and goes on with the default.

use std::fmt;

/// A knob holds no more bytes than this. A reader need not look further than one byte behind it.
pub const LONGEST: usize = 64;

const MILLISECOND: u64 = 1_000_000;

/// Why a knob has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is nothing in it.
    Empty,
    /// A blank or a further line stands in it.
    Spaces,
    /// A sign stands in front of the number.
    Negative,
    /// More bytes than any value has, or a number past all limits.
    TooLarge,
    /// No number, or no unit that is known.
    NoDuration,
    /// Neither the name nor the number of a signal.
    NoSignal,
    /// No number.
    NoNumber,
}

impl Wrong {
    /// For a message.
    pub const fn reason(self) -> &'static str {
        match self {
            Wrong::Empty => "empty file",
            Wrong::Spaces => "it holds more than one value without spaces",
            Wrong::Negative => "negative number",
            Wrong::TooLarge => "too large",
            Wrong::NoDuration => "not a number with ms, s, m, h or nothing behind it",
            Wrong::NoSignal => "not a signal",
            Wrong::NoNumber => "not a number",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Wrong {}

/// What a number without a unit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// In a file, as in s6.
    Milliseconds,
    /// In an option of a program.
    Seconds,
}

/// A span of time, in nanoseconds: digits, and `ms`, `s`, `m`, `h` or nothing.
///
/// # Errors
/// For what is none, and for more than 584 years.
pub fn duration(bytes: &[u8], bare: Unit) -> Result<u64, Wrong> {
    let value = value(bytes)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = value.split_at(digits);
    let unit = match (unit, bare) {
        (b"ms", _) | (b"", Unit::Milliseconds) => MILLISECOND,
        (b"s", _) | (b"", Unit::Seconds) => 1000 * MILLISECOND,
        (b"m", _) => 60_000 * MILLISECOND,
        (b"h", _) => 3_600_000 * MILLISECOND,
        _ => return Err(Wrong::NoDuration),
    };
    let number = number(digits, Wrong::NoDuration)?;
    number.checked_mul(unit).ok_or(Wrong::TooLarge)
}

/// A span of time, in nanoseconds, as [`duration`] reads it. What is finer than a millisecond is shown in microseconds.
pub fn shown(nanoseconds: u64) -> String {
    match nanoseconds {
        whole if whole % (1000 * MILLISECOND) == 0 => format!("{}s", whole / (1000 * MILLISECOND)),
        whole if whole % MILLISECOND == 0 => format!("{}ms", whole / MILLISECOND),
        fine => format!("{}us", fine / 1_000),
    }
}

/// The number of a descriptor.
///
/// # Errors
/// For what is none. Whether the process may have such a one is another question.
pub fn descriptor(bytes: &[u8]) -> Result<i32, Wrong> {
    let number = number(value(bytes)?, Wrong::NoNumber)?;
    i32::try_from(number).map_err(|_| Wrong::TooLarge)
}

/// A signal: a number, or a name with or without `SIG`, in upper or lower case. `number_of` knows the system's, by names such
/// as `SIGTERM`, and which numbers are signals.
///
/// # Errors
/// For what is none.
pub fn signal(bytes: &[u8], number_of: impl Fn(Named<'_>) -> Option<u8>) -> Result<u8, Wrong> {
    let value = value(bytes)?;
    let found = if value.iter().all(u8::is_ascii_digit) {
        u8::try_from(number(value, Wrong::NoSignal)?).ok().and_then(|number| number_of(Named::Number(number)))
    } else {
        let mut name = std::str::from_utf8(value).map_err(|_| Wrong::NoSignal)?.to_ascii_uppercase();
        if !name.starts_with("SIG") {
            name.insert_str(0, "SIG");
        }
        number_of(Named::Name(&name))
    };
    found.ok_or(Wrong::NoSignal)
}

/// How a signal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// By its number.
    Number(u8),
    /// By its name, such as `SIGTERM`.
    Name(&'a str),
}

/// The only word of a file.
fn value(bytes: &[u8]) -> Result<&[u8], Wrong> {
    if bytes.len() > LONGEST {
        return Err(Wrong::TooLarge);
    }
    let end = bytes.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1);
    match &bytes[..end] {
        [] => Err(Wrong::Empty),
        value if value.iter().any(u8::is_ascii_whitespace) => Err(Wrong::Spaces),
        [b'-', ..] => Err(Wrong::Negative),
        value => Ok(value),
    }
}

/// Digits and nothing else.
fn number(digits: &[u8], otherwise: Wrong) -> Result<u64, Wrong> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(otherwise);
    }
    let add = |sum: u64, &digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.iter().try_fold(0, add).ok_or(Wrong::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("1500\n", 3 * SECOND / 2),
            ("7ms", 7_000_000),
            ("30s\n\n", 30 * SECOND),
            ("2m", 120 * SECOND),
            ("1h", 3600 * SECOND),
            ("0010", 10_000_000),
        ] {
            assert_eq!(duration(text.as_bytes(), Unit::Milliseconds), Ok(nanoseconds), "{text:?}");
        }
        assert_eq!(duration(b"5", Unit::Seconds), Ok(5 * SECOND));
        assert_eq!(duration(b"5ms", Unit::Seconds), Ok(5_000_000));
    }

    #[test]
    fn a_duration_is_shown_as_it_is_read() {
        for (nanoseconds, text) in
            [(2 * SECOND, "2s"), (90 * SECOND, "90s"), (1_500_000_000, "1500ms"), (7_000_000, "7ms")]
        {
            assert_eq!(shown(nanoseconds), text);
            assert_eq!(duration(text.as_bytes(), Unit::Milliseconds), Ok(nanoseconds));
        }
        assert_eq!(shown(1_234_567), "1234us");
    }

    #[test]
    fn each_kind_of_nonsense_has_its_reason() {
        let huge = "9".repeat(30);
        let file = "1".repeat(LONGEST + 1);
        for (text, wrong) in [
            ("", Wrong::Empty),
            ("\n", Wrong::Empty),
            (" ", Wrong::Spaces),
            ("5 s", Wrong::Spaces),
            ("5\n6", Wrong::Spaces),
            ("5\r\n", Wrong::Spaces),
            ("-5", Wrong::Negative),
            ("s", Wrong::NoDuration),
            ("5d", Wrong::NoDuration),
            ("1.5s", Wrong::NoDuration),
            ("+5", Wrong::NoDuration),
            ("5\0", Wrong::NoDuration),
            (&huge, Wrong::TooLarge),
            ("18446744073709551615h", Wrong::TooLarge),
            (&file, Wrong::TooLarge),
        ] {
            assert_eq!(duration(text.as_bytes(), Unit::Milliseconds), Err(wrong), "{text:?}");
        }
        assert_eq!(descriptor(b"2147483648"), Err(Wrong::TooLarge));
        assert_eq!(descriptor(b"x"), Err(Wrong::NoNumber));
        assert_eq!(descriptor(b"3\n"), Ok(3));
    }

    #[test]
    fn a_signal_has_names_and_a_number() {
        let known = |signal: Named<'_>| match signal {
            Named::Number(15) | Named::Name("SIGTERM") => Some(15),
            Named::Number(_) | Named::Name(_) => None,
        };
        for text in ["TERM", "SIGTERM", "term\n", "sigterm", "15"] {
            assert_eq!(signal(text.as_bytes(), known), Ok(15), "{text:?}");
        }
        for text in ["0", "64", "300", "SIG", "TERMINATE", "15x", "\u{df}"] {
            assert_eq!(signal(text.as_bytes(), known), Err(Wrong::NoSignal), "{text:?}");
        }
        assert_eq!(signal(b"-15", known), Err(Wrong::Negative));
        assert_eq!(signal(b"", known), Err(Wrong::Empty));
        assert_eq!(signal(b"99999999999999999999", known), Err(Wrong::TooLarge));
    }

    #[test]
    fn no_bytes_do_harm() {
        for byte in 0..=255 {
            for length in [1, 2, LONGEST, 5000] {
                let bytes = vec![byte; length];
                let _ = (duration(&bytes, Unit::Seconds), descriptor(&bytes), signal(&bytes, |_| None));
            }
        }
    }
}
