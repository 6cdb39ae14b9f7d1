//! The script: multilog's argument list.
//!
//! The first byte of a word says what the word does. Of the words that daemontools 0.76 knows none is an error: a value that
//! is not a number counts as 0, which is then raised to the least allowed value. An unknown word does nothing. Of the words that only
//! this multilog knows, one that makes no sense is kept as wrong.

use tai::Label;

use crate::Pattern;

/// The least and the greatest size limit, in bytes. daemontools 0.76 allows 16777215 at most.
const SIZES: (u64, u64) = (4_096, 2_147_483_647);
const DEFAULT_SIZE: u64 = 99_999;
const LEAST_KEPT: u64 = 2;
const DEFAULT_KEPT: u64 = 10;

const TOO_LARGE: &str = "too large";
const NEGATIVE: &str = "negative number";
const NO_SIZE: &str = "not a number with k, m or nothing behind it";
const NO_TIME: &str = "not a number with ms, s, m, h or d behind it";
const NO_UNIT: &str = "it has no unit: say ms, s, m, h or d";
const TWO_STAMPS: &str = "t and i may not be used together";

/// What is put in front of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `t`: a TAI64N label.
    Label,
    /// `i`: the time in UTC, in the form of ISO 8601.
    Utc,
}

impl Stamp {
    /// The length of the stamp in bytes, without the space behind it.
    pub const fn length(self) -> usize {
        match self {
            Stamp::Label => Label::TEXT,
            Stamp::Utc => Label::UTC,
        }
    }
}

/// A word that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongAction {
    /// The word.
    pub word: Vec<u8>,
    /// What is wrong with it.
    pub why: &'static str,
}

/// One action on each line; actions are done in the order of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `+`: select a line that matches.
    Select(Pattern),
    /// `-`: deselect a line that matches.
    Deselect(Pattern),
    /// `e`: a selected line goes to stderr.
    Stderr,
    /// `=`: a selected line goes into the status file with this number.
    Status(usize),
    /// A selected line goes to the log directory with this number.
    Log(usize),
}

/// The settings of a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The path of the directory.
    pub path: Vec<u8>,
    /// `s`: how many bytes a file may hold.
    pub size: u64,
    /// `n`: how many files there may be, including `current`.
    pub kept: u64,
    /// `m`: how many bytes all old files together may have, if there is a bound.
    pub total: Option<u64>,
    /// `a`: how old a file may become, in nanoseconds, if there is a limit.
    pub age: Option<u64>,
    /// `!`: the command that processes each finished file.
    pub processor: Option<Vec<u8>>,
}

/// A parsed script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What is put in front of each line.
    pub stamp: Option<Stamp>,
    /// The actions on each line.
    pub actions: Vec<Action>,
    /// The paths of the status files, by number.
    pub files: Vec<Vec<u8>>,
    /// The log directories, by number.
    pub logs: Vec<Plan>,
    /// The first word that makes no sense, and so does nothing. Nobody is to run a script with one.
    pub wrong: Option<WrongAction>,
}

impl Script {
    /// Parses the words of a script.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Script {
        let mut parser = Parser::new();
        for (index, word) in words.into_iter().enumerate() {
            match word.split_first() {
                Some((b't', _)) if index == 0 => parser.script.stamp = Some(Stamp::Label),
                Some((b'i', b"")) if index == 0 => parser.script.stamp = Some(Stamp::Utc),
                Some((&first, value)) => parser.take(first, value, word),
                None => {}
            }
        }
        parser.script
    }
}

struct Parser {
    script: Script,
    /// The size limit for the next log directory.
    size: u64,
    kept: u64,
    total: Option<u64>,
    age: Option<u64>,
    processor: Option<Vec<u8>>,
    /// The first bytes of the words since the last log directory of which there may be one.
    seen: Vec<u8>,
}

impl Parser {
    fn new() -> Parser {
        let (size, kept) = (DEFAULT_SIZE, DEFAULT_KEPT);
        Parser { script: Script::default(), size, kept, total: None, age: None, processor: None, seen: Vec::new() }
    }

    fn take(&mut self, first: u8, value: &[u8], word: &[u8]) {
        match first {
            b'+' => self.script.actions.push(Action::Select(Pattern::compile(value))),
            b'-' => self.script.actions.push(Action::Deselect(Pattern::compile(value))),
            b'e' => self.script.actions.push(Action::Stderr),
            b'=' => self.status(value),
            b'.' | b'/' => self.log(word),
            b's' => match size_limit(value) {
                Ok(size) => self.size = size,
                Err(why) => self.wrong(word, why),
            },
            b'm' => match self.once(first).and_then(|()| bytes(value)) {
                Ok(total) => self.total = (total > 0).then_some(total),
                Err(why) => self.wrong(word, why),
            },
            b'a' => match self.once(first).and_then(|()| time(value)) {
                Ok(age) => self.age = (age > 0).then_some(age),
                Err(why) => self.wrong(word, why),
            },
            b'n' => self.kept = number(value).max(LEAST_KEPT),
            // daemontools 0.76 runs an empty command for a bare `!`, and loses the file to it.
            b'!' => self.processor = (!value.is_empty()).then(|| value.to_vec()),
            // A `t` that is not the first word does nothing in daemontools 0.76, and so it stays without an `i`.
            b't' if self.script.stamp == Some(Stamp::Utc) => self.wrong(word, TWO_STAMPS),
            b'i' if value.is_empty() && self.script.stamp == Some(Stamp::Label) => self.wrong(word, TWO_STAMPS),
            b'i' if value.is_empty() => self.wrong(word, "it may only be the first action"),
            _ => {}
        }
    }

    /// Notes a word that begins with `first`: a second one for the same log directories would take the first away.
    fn once(&mut self, first: u8) -> Result<(), &'static str> {
        if self.seen.contains(&first) {
            return Err("there is one for the same directories already");
        }
        self.seen.push(first);
        Ok(())
    }

    fn wrong(&mut self, word: &[u8], why: &'static str) {
        self.script.wrong.get_or_insert_with(|| WrongAction { word: word.to_vec(), why });
    }

    fn status(&mut self, name: &[u8]) {
        self.script.actions.push(Action::Status(self.script.files.len()));
        self.script.files.push(name.to_vec());
    }

    fn log(&mut self, path: &[u8]) {
        let Parser { size, kept, total, age, .. } = *self;
        let processor = self.processor.clone();
        self.seen.clear();
        self.script.actions.push(Action::Log(self.script.logs.len()));
        self.script.logs.push(Plan { path: path.to_vec(), size, kept, total, age, processor });
    }
}

/// Reads the value of `s`. A unit counts only where it ends the word: daemontools 0.76 passes over what follows the number.
fn size_limit(value: &[u8]) -> Result<u64, &'static str> {
    let plain = match value.split_last() {
        Some((b'k' | b'K' | b'm' | b'M', digits)) => digits.is_empty() || !digits.iter().all(u8::is_ascii_digit),
        Some(_) | None => true,
    };
    let size = if plain { number(value).min(SIZES.1) } else { bytes(value)? };
    if size > SIZES.1 { Err(TOO_LARGE) } else { Ok(size.max(SIZES.0)) }
}

/// Reads a number of bytes, of KiB or of MiB.
fn bytes(value: &[u8]) -> Result<u64, &'static str> {
    let count = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = value.split_at(count);
    let unit = match unit {
        [b'-', ..] if digits.is_empty() => return Err(NEGATIVE),
        b"" => 1,
        b"k" | b"K" => 1 << 10,
        b"m" | b"M" => 1 << 20,
        _ => return Err(NO_SIZE),
    };
    let bytes = number(digits).checked_mul(unit);
    // The largest number there is stands for those that are larger, too.
    if digits.is_empty() { Err(NO_SIZE) } else { bytes.filter(|&bytes| bytes < u64::MAX).ok_or(TOO_LARGE) }
}

/// Reads a time in nanoseconds: a decimal number, perhaps with a fraction, and a unit, which only 0 does not need.
fn time(value: &[u8]) -> Result<u64, &'static str> {
    const MILLISECOND: u64 = 1_000_000;
    let count = value.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let (decimal, unit) = value.split_at(count);
    let mut parts = decimal.split(|&byte| byte == b'.');
    let [whole, fraction] = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
    let is_number = parts.next().is_none() && whole.len() + fraction.len() > 0;
    let unit = match unit {
        [b'-', ..] if decimal.is_empty() => return Err(NEGATIVE),
        _ if !is_number => return Err(NO_TIME),
        b"ms" => MILLISECOND,
        b"s" => 1_000 * MILLISECOND,
        b"m" => 60_000 * MILLISECOND,
        b"h" => 3_600_000 * MILLISECOND,
        b"d" => 86_400_000 * MILLISECOND,
        b"" if decimal.iter().all(|byte| b"0.".contains(byte)) => MILLISECOND,
        b"" => return Err(NO_UNIT),
        _ => return Err(NO_TIME),
    };
    let mut place = unit;
    let part = fraction.iter().map(|digit| {
        place /= 10;
        u64::from(digit - b'0') * place
    });
    let part = part.sum();
    number(whole).checked_mul(unit).and_then(|time| time.checked_add(part)).ok_or(TOO_LARGE)
}

/// Reads the number at the front of `text`; a number that is too large is the largest there is.
pub fn number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Script {
        Script::parse(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn settings_hold_for_later_directories() {
        let plans = parse(&["./a", "s5000", "n3", "!gzip", "./b", "!", "/c"]).logs;
        let found: Vec<_> = plans.iter().map(|plan| (plan.size, plan.kept, plan.processor.as_deref())).collect();
        assert_eq!(found, [(99_999, 10, None), (5_000, 3, Some(&b"gzip"[..])), (5_000, 3, None)]);
    }

    #[test]
    fn numbers_are_clamped_and_never_wrap() {
        for (word, size) in [
            ("s", 4_096),
            ("s4095", 4_096),
            ("s5000abc", 5_000),
            ("sx9999", 4_096),
            ("s2147483648", 2_147_483_647),
            ("s99999999999999999999999999", 2_147_483_647),
            ("s2048mm", 4_096),
            ("s5k", 5_120),
            ("s16M", 16_777_216),
            ("s2047m", 2_146_435_072),
            ("s1k", 4_096),
        ] {
            assert_eq!(parse(&[word, "."]).logs[0].size, size, "{word}");
        }
        for (word, kept) in [("n", 2), ("n1", 2), ("n7x", 7), ("n99999999999999999999999999", u64::MAX)] {
            assert_eq!(parse(&[word, "."]).logs[0].kept, kept, "{word}");
        }
    }

    #[test]
    fn a_bound_holds_for_later_directories_and_is_one_for_each() {
        let script = parse(&["./a", "m3k", "./b", "./c", "m0", "./d", "m7", "./e"]);
        let found: Vec<_> = script.logs.iter().map(|plan| plan.total).collect();
        assert_eq!((found, script.wrong), (vec![None, Some(3_072), Some(3_072), None, Some(7)], None));
        for (word, why) in [("m", NO_SIZE), ("m7x", NO_SIZE), ("m-7", NEGATIVE), ("m18446744073709551615", TOO_LARGE)] {
            assert_eq!(parse(&[word, "."]).wrong, Some(WrongAction { word: word.into(), why }));
        }
        // The first that is wrong is told.
        assert_eq!(parse(&["m1", "m2", "m", "."]).wrong.map(|wrong| wrong.word), Some(b"m2".to_vec()));
    }

    #[test]
    fn an_age_is_a_time_with_a_unit() {
        for (word, age) in [
            ("a0", None),
            ("a0.0s", None),
            ("a1ms", Some(1_000_000)),
            ("a90s", Some(90_000_000_000)),
            ("a1.5h", Some(5_400_000_000_000)),
            ("a.25m", Some(15_000_000_000)),
            ("a2.d", Some(172_800_000_000_000)),
            ("a0.00000000000000000000001d", None),
            ("a213503d", Some(18_446_659_200_000_000_000)),
        ] {
            let script = parse(&[word, "."]);
            assert_eq!((script.logs[0].age, script.wrong), (age, None), "{word}");
        }
        for (word, why) in [
            ("a", NO_TIME),
            ("a.", NO_TIME),
            ("a.s", NO_TIME),
            ("a1.2.3s", NO_TIME),
            ("ah", NO_TIME),
            ("a5x", NO_TIME),
            ("a5M", NO_TIME),
            ("a5 s", NO_TIME),
            ("a1h30m", NO_TIME),
            ("a60", NO_UNIT),
            ("a-1s", NEGATIVE),
            ("a213504d", TOO_LARGE),
            ("a99999999999999999999999ms", TOO_LARGE),
        ] {
            assert_eq!(parse(&[word, "."]).wrong, Some(WrongAction { word: word.into(), why }));
        }
        let script = parse(&["a1s", "./a", "./b", "a0", "./c", "a2s", "./d", "a3s", "./e", "a4s", "a5s"]);
        let ages: Vec<_> = script.logs.iter().map(|plan| plan.age.map(|age| age / 1_000_000_000)).collect();
        assert_eq!(ages, [Some(1), Some(1), None, Some(2), Some(3)]);
        assert_eq!(script.wrong.map(|wrong| wrong.word), Some(b"a5s".to_vec()));
    }

    #[test]
    fn only_the_first_byte_decides_and_unknown_words_do_nothing() {
        assert_eq!(parse(&["exyz"]).actions, [Action::Stderr]);
        assert_eq!(parse(&["", "x", "\u{e9}", "t"]), Script::default());
        assert_eq!(parse(&["txyz"]).stamp, Some(Stamp::Label));
        assert_eq!(parse(&["ixyz", "./a", "ii"]).actions, [Action::Log(0)]);
    }

    #[test]
    fn a_script_has_one_stamp_which_comes_first() {
        assert_eq!((parse(&["i", "./a"]).stamp, parse(&["i", "./a"]).wrong), (Some(Stamp::Utc), None));
        assert_eq!((parse(&["./a", "t"]).stamp, parse(&["./a", "t"]).wrong), (None, None));
        for (words, word, why) in [
            (["t", "i"], "i", TWO_STAMPS),
            (["i", "t"], "t", TWO_STAMPS),
            (["i", "txyz"], "txyz", TWO_STAMPS),
            (["i", "i"], "i", "it may only be the first action"),
            (["./a", "i"], "i", "it may only be the first action"),
        ] {
            assert_eq!(parse(&words).wrong, Some(WrongAction { word: word.into(), why }), "{words:?}");
        }
    }

    #[test]
    fn files_and_directories_are_numbered_by_themselves() {
        let script = parse(&["=a", "./b", "=c", "./d"]);
        assert_eq!(script.actions, [Action::Status(0), Action::Log(0), Action::Status(1), Action::Log(1)]);
    }
}
