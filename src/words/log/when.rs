//! Times, as people write them.

use svdir::knob::{self, Unit};
use tai::{Label, LocalTime, Zone};

const DAY: i64 = 86_400;

/// Reads a time: so long before `now` (`90s`, `10m`, `2h`, `3d`), a date, with or without a time of the day, in `zone`, or a time of RFC 3339, whose zone is told.
/// Returns the first moment that is meant, and the last one. `None` if it is no time.
pub fn parse(text: &str, now: Label, zone: &Zone) -> Option<(Label, Label)> {
    if let Some(ago) = ago(text) {
        let total = i128::from(now.unix_seconds()) * 1_000_000_000 + i128::from(now.nanos) - i128::from(ago);
        let label = Label::from_unix(
            i64::try_from(total.div_euclid(1_000_000_000)).ok()?,
            u32::try_from(total.rem_euclid(1_000_000_000)).ok()?,
        );
        return Some((label, label));
    }
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=length(year, month)).contains(&day) {
        return None;
    }
    let days = days(year, month, day);
    if rest.is_empty() {
        // To the end of the day, which may have 23 or 25 hours.
        let [begin, next] = [days, days + 1].map(|days| unix(days * DAY, zone));
        return Some((Label::from_unix(begin, 0), Label::from_unix(next - 1, 999_999_999)));
    }
    let rest = rest.strip_prefix([' ', 'T', 't', '_'])?;
    let (clock, offset) = split_offset(rest)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map(|second| number(second, 2));
    let (has_second, second) = (second.is_some(), second.unwrap_or(Some(0))?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 || fraction.is_some() && !has_second {
        return None;
    }
    let nanos = fraction.map(nanoseconds);
    let wall = days * DAY + hour * 3600 + minute * 60 + second;
    let begin = offset.map_or_else(|| unix(wall, zone), |offset| wall - offset);
    let (from, to) = match nanos {
        Some(nanos) => (nanos?, nanos?),
        None => (0, 999_999_999),
    };
    let more = if has_second { 0 } else { 59 };
    Some((Label::from_unix(begin, from), Label::from_unix(begin + more, to)))
}

/// How long ago, in nanoseconds.
fn ago(text: &str) -> Option<u64> {
    let text = text.strip_suffix(" ago").unwrap_or(text);
    match text.strip_suffix('d') {
        Some(days) => knob::duration(format!("{days}h").as_bytes(), Unit::Nothing).ok()?.checked_mul(24),
        None => knob::duration(text.as_bytes(), Unit::Nothing).ok(),
    }
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    digits.parse().ok().filter(|_| is_number)
}

/// Splits `Z` or an offset from a time of the day: seconds east of Greenwich.
fn split_offset(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, None)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let offset = hours * 3600 + minutes * 60;
    let sign = if text[at..].starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some((&text[..at], Some(sign * offset)))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days of a month.
const fn length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + is_leap(year) as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let of_years = before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162;
    of_years + (1..month).map(|month| length(year, month)).sum::<i64>() + day - 1
}

/// The Unix second at which the clocks of a zone show `wall` seconds since 1970; the first of two, and for what they leave out, as if they had gone on.
fn unix(wall: i64, zone: &Zone) -> i64 {
    let shown = |second: i64| {
        let time = zone.local_time(second)?;
        let LocalTime { year, month, day, hour, minute, second } = time;
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(days(year, i64::from(month), i64::from(day)) * DAY + of_day)
    };
    // No zone is further away than a day, or changes twice within two.
    let offsets = [wall - DAY, wall + DAY].map(|near| shown(near).map_or(0, |shown| shown - near));
    let mut found: Vec<i64> = offsets.iter().map(|offset| wall - offset).collect();
    found.sort_unstable();
    found.iter().copied().find(|&second| shown(second) == Some(wall)).unwrap_or(wall - offsets[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> Option<(i64, i64)> {
        let zone = Zone::from_text(b"CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let (from, to) = parse(text, Label::from_unix(1_000_000, 5), &zone)?;
        Some((from.unix_seconds(), to.unix_seconds()))
    }

    #[test]
    fn times_are_read() {
        let november = 1_795_824_000;
        let same = |second: i64| Some((second, second));
        assert_eq!(times("10m"), same(1_000_000 - 600));
        assert_eq!(times("2h ago"), same(1_000_000 - 7200));
        assert_eq!(times("1d"), same(1_000_000 - 86_400));
        assert_eq!(times("1.5s"), same(999_998));
        assert_eq!(times("2026-11-28"), Some((november - 3600, november - 3600 + 86_399)));
        assert_eq!(times("2026-11-28 21:00"), Some((november + 72_000, november + 72_059)));
        assert_eq!(times("2026-11-28 21:00:05"), same(november + 72_005));
        assert_eq!(times("2026-11-28T21:00:05Z"), same(november + 75_605));
        assert_eq!(times("2026-11-28T21:00:05.25+02:30"), same(november + 75_605 - 9000));
        assert_eq!(times("2026-11-28t21:00-01:00"), Some((november + 79_200, november + 79_259)));
        assert_eq!(times("2100-02-28 00:00:00Z"), same(4_107_456_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "10",
            "x",
            "m",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-28 ",
            "2026-11-28 24:00",
            "2026-11-28 21",
            "2026-11-28 21:00:61",
            "2026-11-28 21:00.5",
            "2026-11-28 21:00:05.",
            "2026-11-28 21:00+1",
            "2026-11-28\u{e4}21:00",
            "+026-11-28",
            "2026-11-28-1",
        ] {
            assert_eq!(times(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_that_are_changed() {
        // What was left out, and what came twice.
        assert_eq!(times("2024-03-31 02:30:00"), Some((1_711_848_600, 1_711_848_600)));
        assert_eq!(times("2024-10-27 02:30:00"), Some((1_729_989_000, 1_729_989_000)));
        assert_eq!(times("2024-10-27"), Some((1_729_980_000, 1_729_980_000 + 25 * 3600 - 1)));
    }
}
