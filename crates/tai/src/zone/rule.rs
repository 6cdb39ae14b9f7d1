//! The rule of a zone: `STDoffset[DST[offset][,start[/time],end[/time]]]`, the POSIX form of `TZ`, which is also at the end of
//! zone files.

use super::{DAY, date_of, first_day_of, first_day_of_month, is_leap};

const HOUR: i64 = 3_600;
/// The dates of summer time if a rule has none: as in the United States since 2007.
const MARCH: Change = Change { day: Day::Weekday { month: 3, week: 2, day: 0 }, time: 2 * HOUR };
const NOVEMBER: Change = Change { day: Day::Weekday { month: 11, week: 1, day: 0 }, time: 2 * HOUR };

/// Standard time, and the dates of summer time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    standard: i64,
    summer: i64,
    when: When,
}

/// The dates of summer time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Never,
    Between(Change, Change),
}

/// A time in each year, by the clock that holds until then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// The time of day, in seconds since midnight.
    time: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    /// `Jn`: 1 to 365, February 29 is not counted.
    Julian(i64),
    /// `n`: 0 to 365, February 29 is counted.
    FromZero(i64),
    /// `Mm.w.d`: this day of the week in week `w` of month `m`; week 5 is the last one.
    Weekday { month: i64, week: i64, day: i64 },
}

impl Rule {
    /// Reads a rule; `None` if it has no offset. If its dates cannot be read, there is no summer time.
    pub fn parse(text: &[u8]) -> Option<Rule> {
        let mut text = Text(text);
        text.name()?;
        let standard = -text.offset()?;
        if text.name().is_none() {
            return Some(Rule { standard, summer: standard, when: When::Never });
        }
        let summer = text.offset().map_or(standard + HOUR, |offset| -offset);
        let (start, end) = (text.change(MARCH), text.change(NOVEMBER));
        let when = start.zip(end).map_or(When::Never, |(start, end)| When::Between(start, end));
        Some(Rule { standard, summer, when })
    }

    /// Seconds east of Greenwich in winter.
    pub const fn standard(&self) -> i64 {
        self.standard
    }

    /// Seconds east of Greenwich at `seconds` since 1970.
    pub fn offset(&self, seconds: i64) -> i64 {
        let When::Between(start, end) = &self.when else {
            return self.standard;
        };
        // glibc has no rules for the years before 1970.
        let year = date_of(seconds.div_euclid(DAY)).0.max(1970);
        let (start, end) = (start.in_year(year) - self.standard, end.in_year(year) - self.summer);
        // On the southern hemisphere the year begins and ends in summer.
        let summer = if start <= end { (start..end).contains(&seconds) } else { !(end..start).contains(&seconds) };
        if summer { self.summer } else { self.standard }
    }
}

impl Change {
    /// The time of the change in this year, as shown by the clock, in seconds since 1970.
    fn in_year(&self, year: i64) -> i64 {
        let first = first_day_of(year);
        let day = match self.day {
            Day::Julian(day) => first + day - i64::from(day < 60 || !is_leap(year)),
            Day::FromZero(day) => first + day,
            Day::Weekday { month, week, day } => weekday(year, month, week, day),
        };
        day * DAY + self.time
    }
}

/// The day, in days since 1970-01-01, of a weekday in a week of a month.
fn weekday(year: i64, month: i64, week: i64, day: i64) -> i64 {
    /// The weekday of 1970-01-01.
    const THURSDAY: i64 = 4;
    let (first, next) = (first_day_of_month(year, month), first_day_of_month(year, month + 1));
    let found = first + (day - first - THURSDAY).rem_euclid(7) + (week - 1) * 7;
    if found < next { found } else { found - 7 }
}

/// The rest of the text.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Passes over a name: three letters or more, or anything between `<` and `>`.
    fn name(&mut self) -> Option<()> {
        const LEAST: usize = 3;
        let quoted = self.take(b'<');
        let belongs =
            |byte: &u8| byte.is_ascii_alphabetic() || quoted && (byte.is_ascii_digit() || b"+-".contains(byte));
        let len = self.0.iter().take_while(|byte| belongs(byte)).count();
        self.0 = &self.0[len..];
        (len >= LEAST && (!quoted || self.take(b'>'))).then_some(())
    }

    fn number(&mut self, limit: i64) -> Option<i64> {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        let number = digits.iter().try_fold(0_i64, |number, digit| {
            Some(number * 10 + i64::from(digit - b'0')).filter(|&number| number <= limit)
        });
        self.0 = rest;
        number.filter(|_| len > 0)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn offset(&mut self) -> Option<i64> {
        const LONGEST: i64 = 167;
        let minus = self.take(b'-');
        if !minus {
            self.take(b'+');
        }
        let mut seconds = self.number(LONGEST)? * HOUR;
        for unit in [60, 1] {
            if !self.take(b':') {
                break;
            }
            seconds += self.number(59)? * unit;
        }
        Some(if minus { -seconds } else { seconds })
    }

    /// `,day[/time]`; `default` at the end of the text.
    fn change(&mut self, default: Change) -> Option<Change> {
        self.take(b',');
        if self.0.is_empty() {
            return Some(default);
        }
        let day = self.day()?;
        let time = if self.take(b'/') { self.offset()? } else { 2 * HOUR };
        Some(Change { day, time })
    }

    fn day(&mut self) -> Option<Day> {
        if self.take(b'J') {
            return self.number(365).filter(|&day| day > 0).map(Day::Julian);
        }
        if !self.take(b'M') {
            return self.number(365).map(Day::FromZero);
        }
        let month = self.number(12).filter(|&month| month > 0)?;
        let week = self.take(b'.').then(|| self.number(5)).flatten().filter(|&week| week > 0)?;
        let day = self.take(b'.').then(|| self.number(6)).flatten()?;
        Some(Day::Weekday { month, week, day })
    }
}
