//! Times as people read them: UTC in the form of ISO 8601, with microseconds. As everywhere in the suite, there are no leap seconds.

use std::ops::Range;

use crate::LocalTime;
use crate::zone::{DAY, first_day_of_month, time_of};

/// The length of the text in bytes.
pub(crate) const TEXT: usize = 27;

/// The first and the last second whose year has four digits.
const SECONDS: (i64, i64) = (-62_167_219_200, 253_402_300_799);
const MICROSECONDS: u32 = 1_000_000;

/// Where year, month, day, hour, minute, second and microsecond stand.
const PLACES: [Range<usize>; 7] = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..26];

/// The text of a time: seconds since 1970, and nanoseconds, which are cut. A time without four digits for its year becomes the nearest that has them.
pub(crate) fn text(seconds: i64, nanos: u32) -> [u8; TEXT] {
    let within = seconds.clamp(SECONDS.0, SECONDS.1);
    let micros = match seconds.cmp(&within) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => (nanos / 1_000).min(MICROSECONDS - 1),
        std::cmp::Ordering::Greater => MICROSECONDS - 1,
    };
    // Every year that is left has a time.
    let LocalTime { year, month, day, hour, minute, second } = time_of(within).unwrap_or_default();
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(u32::from);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (place, value) in PLACES.into_iter().zip([year as u32, month, day, hour, minute, second, micros]) {
        put(text.get_mut(place).unwrap_or_default(), value);
    }
    text
}

/// Writes a number into all of `place`, with zeros in front.
fn put(place: &mut [u8], mut value: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads what [`text`] has made: seconds since 1970, and nanoseconds; `None` for anything else.
pub(crate) fn parse(bytes: &[u8]) -> Option<(i64, u32)> {
    let mut values = [0; PLACES.len()];
    for (value, place) in values.iter_mut().zip(PLACES) {
        *value = number(bytes.get(place)?)?;
    }
    let [year, month, day, hour, minute, second, micros] = values;
    let days = first_day_of_month(year, month) + day - 1;
    let (seconds, nanos) = (days * DAY + hour * 3_600 + minute * 60 + second, micros as u32 * 1_000);
    // A month of 31 days that has 30, a comma in place of a point: what is not read as it would be written is no time.
    (text(seconds, nanos) == bytes).then_some((seconds, nanos))
}

fn number(digits: &[u8]) -> Option<i64> {
    let value = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    digits.iter().try_fold(0, |number, byte| Some(number * 10 + value(byte)?))
}
