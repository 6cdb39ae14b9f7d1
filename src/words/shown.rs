//! How names, times and sizes look to a person.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use machine::{SECOND, Tick};
use tai::Label;

use crate::service::facts::Facts;
use crate::service::summary::State;
use crate::service::{now, tick};

/// What a service is that was to come up, and has done so.
pub fn there(facts: &Facts) -> &'static str {
    match facts {
        facts if facts.is_done() => "done",
        facts if facts.ready().is_some() => "ready",
        _ => "up",
    }
}

/// How long something has taken, behind what it was; nothing if it was less than a second.
pub fn after(since: Tick) -> String {
    let taken = since.until(tick());
    if taken < SECOND { String::new() } else { format!(" after {}", span(taken)) }
}

/// A span of time in nanoseconds, in its greatest unit, with the next one for hours and days.
pub fn span(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => both(hours, "h", minutes % 60, "m"),
        _ => both(days, "d", hours % 24, "h"),
    }
}

/// For how long it has been since a moment.
pub fn age(label: Label) -> String {
    span(label.age(now()).saturating_mul(1_000_000_000))
}

fn both(great: u64, unit: &str, small: u64, next: &str) -> String {
    if small == 0 { format!("{great}{unit}") } else { format!("{great}{unit} {small}{next}") }
}

/// Whether colours are wanted where somebody reads, who has a terminal if `is_terminal` is true.
pub fn is_coloured(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    is_terminal && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// The colour of a state: red for what is wrong, yellow for what is under way, green for what is as it should be.
pub const fn colour(state: State) -> Option<u8> {
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    match state {
        State::Broken | State::Failed | State::Refused | State::Unhealthy => Some(RED),
        State::Waiting
        | State::BackingOff
        | State::Starting
        | State::Finishing
        | State::Stopping
        | State::Paused
        | State::Replacing => Some(YELLOW),
        State::Ready | State::Up | State::Done => Some(GREEN),
        State::Down => None,
    }
}

/// A size in bytes, in the greatest unit of which there is at least one, to two digits.
pub fn size(bytes: u64) -> String {
    for (unit, letter) in [(1 << 40, 'T'), (1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'k')] {
        if bytes >= 10 * unit {
            return format!("{}{letter}", bytes / unit);
        }
        if bytes >= unit {
            return format!("{}.{}{letter}", bytes / unit, bytes % unit * 10 / unit);
        }
    }
    format!("{bytes}")
}

/// A share of one processor in thousandths, as per cent.
pub fn share(thousandths: u64) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

/// A name or a text, with what a terminal would obey, and what is not UTF-8, as `\xNN`.
pub fn name(name: &OsStr) -> String {
    bytes(name.as_bytes())
}

/// As [`name`].
pub fn bytes(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() {
                char.to_string().bytes().for_each(|byte| shown += &format!("\\x{byte:02x}"));
            } else {
                shown.push(char);
            }
        }
        chunk.invalid().iter().for_each(|byte| shown += &format!("\\x{byte:02x}"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_units_that_matter() {
        const SECOND: u64 = 1_000_000_000;
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (3661, "1h 1m"),
            (86_400, "1d"),
            (270_000, "3d 3h"),
        ] {
            assert_eq!(span(seconds * SECOND), text);
        }
    }

    #[test]
    fn a_size_has_two_digits() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0k"),
            (10_240, "10k"),
            (84 << 20, "84M"),
            ((3 << 30) / 2, "1.5G"),
            (u64::MAX, "16777215T"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!([share(3), share(1000), share(0)], ["0.3%", "100.0%", "0.0%"]);
    }

    #[test]
    fn no_byte_of_a_name_reaches_a_terminal_that_would_obey_it() {
        assert_eq!(bytes(b"web"), "web");
        assert_eq!(bytes("b\u{e4}r\u{9b}".as_bytes()), "b\u{e4}r\\xc2\\x9b");
        assert_eq!(bytes(b"a\x1b[2J\n\xff"), "a\\x1b[2J\\x0a\\xff");
    }
}
