//! Knobs: files of a service directory that hold one value, as with s6.
//!
//! The value is the whole file, except for newlines at its end: no spaces, no comments, no second line. If the file is wrong, the reader
//! warns once and uses the default.
//!
//! Times have the same form everywhere, in these files and in the options of every program ([`duration`]). Only a number without a unit
//! differs: it counts milliseconds in a file, as with s6, and seconds in an option.

use std::fmt;

/// The greatest length of a knob, in bytes; only [`final-exits`](crate::finals::LONGEST) may be longer. A reader need not read more than one byte beyond
/// the length.
pub const LONGEST: usize = 64;

const MILLISECOND: u64 = 1_000_000;

/// Why a knob has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The file is empty.
    Empty,
    /// The file contains a blank or a second line.
    Spaces,
    /// The number has a sign.
    Negative,
    /// The file is longer than any value, or the number is too large.
    TooLarge,
    /// The value is not a number with a known unit or none.
    NoDuration,
    /// The value is not a number with a known unit, where it needs one.
    NoTime,
    /// The value is neither the name nor the number of a signal.
    NoSignal,
    /// The value is not a number.
    NoNumber,
    /// No list of exit codes and signals.
    NoExits,
    /// A time without a unit, where it needs one.
    NoUnit,
    /// Not a number and a time.
    NoRate,
}

impl Wrong {
    /// The text for a message.
    pub const fn reason(self) -> &'static str {
        match self {
            Wrong::Empty => "it is empty",
            Wrong::Spaces => "it holds a blank or a second line",
            Wrong::Negative => "negative number",
            Wrong::TooLarge => "too large",
            Wrong::NoDuration => "not a number with ms, s, m, h or nothing behind it",
            Wrong::NoTime => "not a number with ms, s, m or h behind it",
            Wrong::NoSignal => "not a signal",
            Wrong::NoNumber => "not a number",
            Wrong::NoUnit => "it has no unit: say ms, s, m or h",
            Wrong::NoRate => "not a number from 1 to 100, a slash and a time",
            Wrong::NoExits => "not exit codes from 0 to 255, ranges of them, signals or any, with commas between",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Wrong {}

/// The unit of a number without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds: in a file, as with s6.
    Milliseconds,
    /// Seconds: in an option of a program.
    Seconds,
    /// Nothing, in a file that s6 does not know: there it is taken for whatever its reader is used to. 0 is 0 all the same.
    Nothing,
}

/// Parses a duration into nanoseconds: a decimal number, perhaps with a fraction, followed by `ms`, `s`, `m`, `h` or nothing, which means
/// `bare`. Fractions of a nanosecond are dropped.
///
/// # Errors
/// If it is not a duration, or longer than 584 years.
pub fn duration(bytes: &[u8], bare: Unit) -> Result<u64, Wrong> {
    let value = value(bytes, LONGEST)?;
    let wrong = if bare == Unit::Nothing { Wrong::NoTime } else { Wrong::NoDuration };
    let end = value.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let (decimal, unit) = value.split_at(end);
    let unit = match (unit, bare) {
        (b"ms", _) | (b"", Unit::Milliseconds) => MILLISECOND,
        (b"s", _) | (b"", Unit::Seconds) => 1000 * MILLISECOND,
        (b"m", _) => 60_000 * MILLISECOND,
        (b"h", _) => 3_600_000 * MILLISECOND,
        (b"", Unit::Nothing) if decimal.iter().all(|byte| b"0.".contains(byte)) => MILLISECOND,
        (b"", Unit::Nothing) => return Err(Wrong::NoUnit),
        _ => return Err(wrong),
    };
    let point = decimal.iter().position(|&byte| byte == b'.').unwrap_or(decimal.len());
    let (whole, fraction) = (&decimal[..point], decimal.get(point + 1..).unwrap_or_default());
    if whole.is_empty() && fraction.is_empty() {
        return Err(wrong);
    }
    let whole = if whole.is_empty() { 0 } else { number(whole, wrong)? };
    let nanoseconds = whole.checked_mul(unit).ok_or(Wrong::TooLarge)?;
    nanoseconds.checked_add(part(fraction, unit, wrong)?).ok_or(Wrong::TooLarge)
}

/// How often in how much time, as `5/1m`: a number from 1 to 100 and a time in nanoseconds, which has a unit and is not 0.
///
/// # Errors
/// For what is none.
pub fn rate(bytes: &[u8]) -> Result<(u8, u64), Wrong> {
    let value = value(bytes, LONGEST)?;
    let slash = value.iter().position(|&byte| byte == b'/').ok_or(Wrong::NoRate)?;
    let times = digits(&value[..slash]).filter(|times| (1..=100).contains(times)).ok_or(Wrong::NoRate)?;
    match duration(&value[slash + 1..], Unit::Nothing) {
        Ok(0) | Err(Wrong::Empty | Wrong::NoTime) => Err(Wrong::NoRate),
        time => Ok((times as u8, time?)),
    }
}

/// The part of `unit` (in nanoseconds) that the digits after a decimal point stand for; `wrong` for anything but digits.
fn part(fraction: &[u8], unit: u64, wrong: Wrong) -> Result<u64, Wrong> {
    /// This many digits are exact to the nanosecond, whatever the unit.
    const EXACT: usize = 18;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let tenths = fraction
        .iter()
        .take(EXACT)
        .fold((0, 1), |(sum, scale): (u128, u128), digit| (sum * 10 + u128::from(digit - b'0'), scale * 10));
    u64::try_from(u128::from(unit) * tenths.0 / tenths.1).map_err(|_| Wrong::TooLarge)
}

/// Parses decimal digits; `None` for anything but digits, for no digits at all, and for a number of more than 64 bits.
pub fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let add = |sum: u64, &byte: &u8| {
        let digit = char::from(byte).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    };
    bytes.iter().try_fold(0, add)
}

/// Formats a duration in nanoseconds for a message: in whole seconds or milliseconds, and if it is neither, in
/// microseconds.
pub fn shown(nanoseconds: u64) -> String {
    match nanoseconds {
        whole if whole % (1000 * MILLISECOND) == 0 => format!("{}s", whole / (1000 * MILLISECOND)),
        whole if whole % MILLISECOND == 0 => format!("{}ms", whole / MILLISECOND),
        fine => format!("{}us", fine / 1_000),
    }
}

/// Parses the number of a descriptor.
///
/// # Errors
/// If it is not a number that a descriptor can have. The limits of the process are not considered.
pub fn descriptor(bytes: &[u8]) -> Result<i32, Wrong> {
    let number = number(value(bytes, LONGEST)?, Wrong::NoNumber)?;
    i32::try_from(number).map_err(|_| Wrong::TooLarge)
}

/// Parses a signal: a name or a number, with or without `SIG` before it, in upper or lower case. `number_of` returns the
/// number of a signal of this system; names are passed to it in the form `SIGTERM`.
///
/// # Errors
/// If it is not a signal.
pub fn signal(bytes: &[u8], number_of: impl Fn(Named<'_>) -> Option<u8>) -> Result<u8, Wrong> {
    signal_of(value(bytes, LONGEST)?, number_of)
}

/// Parses a word as [`signal`] does.
pub(crate) fn signal_of(word: &[u8], number_of: impl Fn(Named<'_>) -> Option<u8>) -> Result<u8, Wrong> {
    let name = std::str::from_utf8(word).map_err(|_| Wrong::NoSignal)?.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let found = if name.bytes().all(|byte| byte.is_ascii_digit()) {
        u8::try_from(number(name.as_bytes(), Wrong::NoSignal)?).ok().and_then(|number| number_of(Named::Number(number)))
    } else {
        number_of(Named::Name(&format!("SIG{name}")))
    };
    found.ok_or(Wrong::NoSignal)
}

/// A signal by number or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// By its number.
    Number(u8),
    /// By its name, such as `SIGTERM`.
    Name(&'a str),
}

/// The only word in the contents of a file, which has at most `longest` bytes.
pub(crate) fn value(bytes: &[u8], longest: usize) -> Result<&[u8], Wrong> {
    if bytes.len() > longest {
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

/// Parses decimal digits, with a reason if they are wrong: `otherwise` if they are not digits.
fn number(bytes: &[u8], otherwise: Wrong) -> Result<u64, Wrong> {
    let all = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits(bytes).ok_or(if all { Wrong::TooLarge } else { otherwise })
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
        for (text, nanoseconds) in [
            ("0.25", SECOND / 4),
            (".5", SECOND / 2),
            ("2.", 2 * SECOND),
            ("1.5m", 90 * SECOND),
            ("0.1h", 360 * SECOND),
            ("1.5ms", 1_500_000),
            ("0.0000000019", 1),
            ("0.9999999999999999999999999999999h", 3600 * SECOND - 1),
        ] {
            assert_eq!(duration(text.as_bytes(), Unit::Seconds), Ok(nanoseconds), "{text:?}");
        }
        assert_eq!(duration(b"1.5", Unit::Milliseconds), Ok(1_500_000));
        assert_eq!(duration(b"5ms", Unit::Seconds), Ok(5_000_000));
    }

    #[test]
    fn where_a_unit_is_needed_only_0_has_none() {
        let time = |text: &str| duration(text.as_bytes(), Unit::Nothing);
        assert_eq!([time("0"), time("0.00"), time("0s")], [Ok(0); 3]);
        assert_eq!([time("500ms"), time("1.5s")], [Ok(SECOND / 2), Ok(3 * SECOND / 2)]);
        assert_eq!([time("30"), time("0.5"), time("1\n")], [Err(Wrong::NoUnit); 3]);
        assert_eq!([time("."), time(""), time("5d")], [Err(Wrong::NoTime), Err(Wrong::Empty), Err(Wrong::NoTime)]);
    }

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        let rates = ["5/1m", "1/1ms\n", "100/.5h"].map(|text| rate(text.as_bytes()));
        assert_eq!(rates, [Ok((5, 60 * SECOND)), Ok((1, 1_000_000)), Ok((100, 1800 * SECOND))]);
        for text in
            ["5", "5/", "/5s", "0/5s", "101/5s", "5/0", "5/0s", "5/5d", "5/5s/5s", "x/5s", "1.5/5s", "5\0/5s", "+5/5s"]
        {
            assert_eq!(rate(text.as_bytes()), Err(Wrong::NoRate), "{text}");
        }
        assert_eq!([rate(b"5/60"), rate(b"5/0.5")], [Err(Wrong::NoUnit); 2]);
        assert_eq!([rate(b"-5/60s"), rate(b"5/-60s")], [Err(Wrong::Negative); 2]);
        assert_eq!([rate(b"5/ 60s"), rate(b"5/60s\n1")], [Err(Wrong::Spaces); 2]);
        assert_eq!([rate(b""), rate(b"5/99999999999999999999s")], [Err(Wrong::Empty), Err(Wrong::TooLarge)]);
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
            (".", Wrong::NoDuration),
            (".s", Wrong::NoDuration),
            ("1.2.3", Wrong::NoDuration),
            ("1.-5", Wrong::NoDuration),
            ("1e3", Wrong::NoDuration),
            ("inf", Wrong::NoDuration),
            ("nan", Wrong::NoDuration),
            ("+5", Wrong::NoDuration),
            ("5\0", Wrong::NoDuration),
            (&huge, Wrong::TooLarge),
            ("18446744073709551615h", Wrong::TooLarge),
            ("18446744073.8s", Wrong::TooLarge),
            (&file, Wrong::TooLarge),
        ] {
            assert_eq!(duration(text.as_bytes(), Unit::Milliseconds), Err(wrong), "{text:?}");
        }
        assert_eq!(descriptor(b"2147483648"), Err(Wrong::TooLarge));
        assert_eq!(descriptor(b"x"), Err(Wrong::NoNumber));
        assert_eq!(descriptor(b"3\n"), Ok(3));
    }

    #[test]
    fn digits_are_digits_and_nothing_else() {
        assert_eq!(digits(b"0042"), Some(42));
        assert_eq!(digits(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "18446744073709551616", "-1", "+1", "1k", " 1", "1 ", "\u{b2}"] {
            assert_eq!(digits(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_signal_has_names_and_a_number() {
        let known = |signal: Named<'_>| match signal {
            Named::Number(15) | Named::Name("SIGTERM") => Some(15),
            Named::Number(_) | Named::Name(_) => None,
        };
        for text in ["TERM", "SIGTERM", "term\n", "sigterm", "15", "SIG15"] {
            assert_eq!(signal(text.as_bytes(), known), Ok(15), "{text:?}");
        }
        for text in ["0", "64", "300", "SIG", "SIG300", "SIGSIGTERM", "TERMINATE", "15x", "\u{df}"] {
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
                let _ = (duration(&bytes, Unit::Seconds), digits(&bytes), descriptor(&bytes), signal(&bytes, |_| None));
            }
        }
    }
}
