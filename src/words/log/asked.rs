//! The command line.

use std::os::unix::ffi::OsStrExt;

use cli::{LongWords, Usage, Word, WrongWord, text};

use crate::service::local_time::{self};
use crate::service::now;

use super::filter::Filter;
use super::when;

/// How many lines are shown where nobody says it.
const DEFAULT: usize = 20;

/// How many lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The last ones.
    Last(usize),
    /// All.
    All,
}

/// How stamps are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamps {
    /// As local time.
    #[default]
    Local,
    /// In UTC.
    Utc,
    /// As they are written.
    Raw,
}

/// The parsed command line.
pub struct Asked {
    /// Go on with what is written from now on.
    pub follows: bool,
    /// How many lines.
    pub count: Count,
    /// Which lines.
    pub filter: Filter,
    /// How times are shown.
    pub stamps: Stamps,
    /// Whose log.
    pub names: Vec<Word>,
}

impl Asked {
    /// Parses options and names in any order.
    ///
    /// # Errors
    /// If a word is wrong.
    pub fn read(words: &[Word]) -> anyhow::Result<Asked> {
        const LONG: LongWords = LongWords::Known(&[("since=", b's'), ("until=", b'u'), ("utc", b'z'), ("raw", b'r')]);
        let mut asked = Asked {
            follows: false,
            count: Count::Last(DEFAULT),
            filter: Filter::default(),
            stamps: Stamps::default(),
            names: Vec::new(),
        };
        let (mut counted, mut zone) = (false, None);
        let names = cli::anywhere(words, "fn:g:", LONG, |option, value| {
            match option {
                b'f' => asked.follows = true,
                b'n' => (asked.count, counted) = (count(value)?, true),
                b'g' => asked.filter.text = Some(memchr::memmem::Finder::new(value).into_owned()),
                b'z' => asked.stamps = Stamps::Utc,
                b'r' => asked.stamps = Stamps::Raw,
                _ => {
                    let zone = zone.get_or_insert_with(local_time::zone);
                    let text = std::str::from_utf8(value).ok();
                    let (from, to) = text.and_then(|text| when::parse(text, now(), zone)).ok_or_else(|| {
                        WrongWord(text!(
                            "wrong time ",
                            value,
                            ": no time such as 10m, 2026-11-28 or '2026-11-28 21:00'"
                        ))
                    })?;
                    if option == b's' {
                        asked.filter.since = Some(from);
                    } else {
                        asked.filter.until = Some(to);
                    }
                }
            }
            Ok(())
        })?;
        asked.names = names;
        if asked.filter.since.is_some() && !counted {
            asked.count = Count::All;
        }
        // Nothing that is still to come would be shown.
        if asked.follows && asked.filter.until.is_some() || asked.names.iter().any(|name| name.as_bytes().is_empty()) {
            return Err(Usage.into());
        }
        Ok(asked)
    }
}

fn count(value: &[u8]) -> Result<Count, WrongWord> {
    if value == b"all" {
        return Ok(Count::All);
    }
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
    number.map(Count::Last).ok_or_else(|| WrongWord(text!("wrong count ", value, ": neither a number nor all")))
}
