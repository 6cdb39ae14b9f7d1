//! Time zones: local time at a given second, from the file of a zone or the text of `TZ`.
//!
//! The C libraries differ here: musl has no summer time without a rule, does not look for a file whose name could be a rule, and ignores leap
//! seconds; on 32-bit systems seconds may end in 2038. This module gives the results of glibc everywhere.
//!
//! A damaged file is not a zone, and neither is a text without an offset. Nothing here panics, whatever the bytes.

mod file;
mod rule;

use file::File;
use rule::Rule;

/// The seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A local date and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of the common era; 0 is the year before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59, and 60 in a leap second.
    pub second: u8,
}

/// A time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of Greenwich before the first change.
    first: i64,
    /// The changes of the offset, in order of time: the Unix second, and the new offset in seconds.
    changes: Vec<(i64, i64)>,
    /// The rule that holds after the last change.
    rule: Option<Rule>,
    /// The leap seconds: from which second on a clock that counts them is ahead, and by how many seconds. Only the files
    /// below `right/` have them.
    leaps: Vec<(i64, i64)>,
}

impl Zone {
    /// Reads a file of `/usr/share/zoneinfo` (TZif, RFC 9636); `None` if it is not such a file or is damaged.
    pub fn from_file(bytes: &[u8]) -> Option<Zone> {
        let file = File::parse(bytes)?;
        let rule = Rule::parse(&file.rule);
        let changes = file.changes.iter().map(|change| (change.at, change.kind.offset)).collect();
        Some(Zone { first: file.first()?.offset, changes, rule, leaps: file.leaps })
    }

    /// Reads a text such as `CET-1CEST,M3.5.0,M10.5.0/3` (POSIX, TZ); `None` if it has no offset.
    ///
    /// If a text names a summer time but not its dates (`EST5EDT`), today's rule of the United States holds. (glibc does the same, unless there is a
    /// file `posixrules`, as tzdata had until 2020: then it uses that file for the years that the file covers, and gives wrong times for the others.)
    pub fn from_text(text: &[u8]) -> Option<Zone> {
        let rule = Rule::parse(text)?;
        Some(Zone { first: rule.standard(), rule: Some(rule), ..Zone::default() })
    }

    /// The local time at `seconds` since 1970; `None` if its year does not fit into an int of C.
    pub fn local_time(&self, seconds: i64) -> Option<LocalTime> {
        /// A number of seconds beyond every year that fits into an int of C, and small enough for the sums below.
        const FAR: u64 = 1 << 57;
        if seconds.unsigned_abs() > FAR {
            return None;
        }
        let leap = self.leaps.partition_point(|&(from, _)| from <= seconds).checked_sub(1);
        let (ahead, inserted) = leap.map_or((0, false), |at| self.leap(at, seconds));
        let mut time = time_of(seconds + self.offset(seconds) - ahead)?;
        time.second += u8::from(inserted);
        Some(time)
    }

    /// By how many seconds a clock that counts leap seconds is ahead, and whether `seconds` is itself a leap second.
    fn leap(&self, at: usize, seconds: i64) -> (i64, bool) {
        let (from, ahead) = self.leaps[at];
        let before = at.checked_sub(1).map_or(0, |before| self.leaps[before].1);
        (ahead, from == seconds && ahead > before)
    }

    /// Seconds east of Greenwich.
    fn offset(&self, seconds: i64) -> i64 {
        let past = self.changes.partition_point(|&(at, _)| at <= seconds);
        match (&self.rule, past.checked_sub(1)) {
            (Some(rule), _) if past == self.changes.len() => rule.offset(seconds),
            (_, Some(last)) => self.changes[last].1,
            (_, None) => self.first,
        }
    }
}

/// The date and time of a clock that shows `wall` seconds since 1970.
pub(crate) fn time_of(wall: i64) -> Option<LocalTime> {
    let (days, second) = (wall.div_euclid(DAY), wall.rem_euclid(DAY));
    let (year, month, day) = date_of(days);
    // C counts years from 1900, in an int.
    i32::try_from(year - 1900).ok()?;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    Some(LocalTime { year, month, day, hour: hour as u8, minute: minute as u8, second: second as u8 })
}

/// Year, month and day of the date that is this many days after 1970-01-01. Years are counted from March, so that a leap day is
/// the last day.
fn date_of(days: i64) -> (i64, u8, u8) {
    /// Days of 400 years, of a century without its leap day, and from March of the year 0 to 1970.
    const ERA: i64 = 146_097;
    const SHIFT: i64 = 719_468;
    let days = days + SHIFT;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (late, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (era * 400 + year + late, month as u8, of_month as u8)
}

/// The number of days from 1970-01-01 to the first of January of a year.
const fn first_day_of(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// The number of days from 1970-01-01 to the first of a month, 1 to 12, or 13 for that of the next January.
pub(crate) fn first_day_of_month(year: i64, month: i64) -> i64 {
    let leap = i64::from(month > 2 && is_leap(year));
    // In a year that begins with March, months have 30.6 days on average; January and February come before them.
    let days = if month > 2 { (153 * (month - 3) + 2) / 5 + 59 } else { (month - 1) * 31 };
    first_day_of(year) + days + leap
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &Zone, seconds: i64) -> String {
        let LocalTime { year, month, day, hour, minute, second } = zone.local_time(seconds).expect("a time");
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    fn zone(text: &str) -> Zone {
        Zone::from_text(text.as_bytes()).expect("a zone")
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = date_of(-40_001);
        for days in -40_000..40_000 {
            let next = date_of(days);
            let length = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length[usize::from(month) - 1] => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
            assert_eq!(next, expected);
            if next.1 == 1 && next.2 == 1 {
                assert_eq!(first_day_of(next.0), days);
            }
            (year, month, day) = next;
        }
        assert_eq!(date_of(0), (1970, 1, 1));
    }

    #[test]
    fn a_summer_time_without_a_rule_is_that_of_the_united_states() {
        let zone = zone("CET-1CEST");
        assert_eq!(shown(&zone, 1_704_067_200), "2024-01-01 01:00:00");
        assert_eq!(shown(&zone, 1_720_000_000), "2024-07-03 11:46:40");
        assert_eq!(shown(&zone, 4_000_000_000), "2096-10-02 09:06:40");
    }

    #[test]
    fn a_rule_holds_to_the_second() {
        let zone = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(shown(&zone, 1_711_846_799), "2024-03-31 01:59:59");
        assert_eq!(shown(&zone, 1_711_846_800), "2024-03-31 03:00:00");
        assert_eq!(shown(&zone, 1_729_990_799), "2024-10-27 02:59:59");
        assert_eq!(shown(&zone, 1_729_990_800), "2024-10-27 02:00:00");
    }

    #[test]
    fn what_is_no_text_of_a_zone_is_none() {
        for text in ["", "5", "E5", "EST", "<EST5", "EST+", ",M3.2.0", "/dev/null"] {
            assert_eq!(Zone::from_text(text.as_bytes()), None, "{text}");
        }
        // What cannot be read as a rule is no summer time.
        assert_eq!(shown(&zone("EST5EDT,M13.1.0,M11.1.0"), 1_720_000_000), "2024-07-03 04:46:40");
    }

    #[test]
    fn a_year_that_c_could_not_tell_has_no_local_time() {
        for seconds in [i64::MIN, i64::MAX, i64::from(i32::MAX) * 366 * DAY] {
            assert_eq!(zone("UTC0").local_time(seconds), None);
        }
    }
}
