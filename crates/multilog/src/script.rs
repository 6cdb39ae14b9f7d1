//! The script: multilog's argument list.
//!
//! The first byte of a word says what the word does. No word is an error: an unknown one does nothing, and a value that
//! is not a number counts as 0, which is then raised to the least allowed value.

use crate::Pattern;

/// The least and the greatest size limit, in bytes. daemontools 0.76 allows 16777215 at most.
const SIZES: (u64, u64) = (4_096, 2_147_483_647);
const DEFAULT_SIZE: u64 = 99_999;
const LEAST_KEPT: u64 = 2;
const DEFAULT_KEPT: u64 = 10;

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
    /// `!`: the command that processes each finished file.
    pub processor: Option<Vec<u8>>,
}

/// A parsed script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// `t`: put the time in front of each line.
    pub stamp: bool,
    /// The actions on each line.
    pub actions: Vec<Action>,
    /// The paths of the status files, by number.
    pub files: Vec<Vec<u8>>,
    /// The log directories, by number.
    pub logs: Vec<Plan>,
}

impl Script {
    /// Parses the words of a script.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Script {
        let mut parser = Parser { script: Script::default(), size: DEFAULT_SIZE, kept: DEFAULT_KEPT, processor: None };
        for (index, word) in words.into_iter().enumerate() {
            match word.split_first() {
                Some((b't', _)) if index == 0 => parser.script.stamp = true,
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
    processor: Option<Vec<u8>>,
}

impl Parser {
    fn take(&mut self, first: u8, value: &[u8], word: &[u8]) {
        match first {
            b'+' => self.script.actions.push(Action::Select(Pattern::compile(value))),
            b'-' => self.script.actions.push(Action::Deselect(Pattern::compile(value))),
            b'e' => self.script.actions.push(Action::Stderr),
            b'=' => self.status(value),
            b'.' | b'/' => self.log(word),
            b's' => self.size = number(value).clamp(SIZES.0, SIZES.1),
            b'n' => self.kept = number(value).max(LEAST_KEPT),
            // daemontools 0.76 runs an empty command for a bare `!`, and loses the file to it.
            b'!' => self.processor = (!value.is_empty()).then(|| value.to_vec()),
            _ => {}
        }
    }

    fn status(&mut self, name: &[u8]) {
        self.script.actions.push(Action::Status(self.script.files.len()));
        self.script.files.push(name.to_vec());
    }

    fn log(&mut self, path: &[u8]) {
        let (size, kept, processor) = (self.size, self.kept, self.processor.clone());
        self.script.actions.push(Action::Log(self.script.logs.len()));
        self.script.logs.push(Plan { path: path.to_vec(), size, kept, processor });
    }
}

/// Reads the number at the front of `text`; a number that is too large is the largest there is.
fn number(text: &[u8]) -> u64 {
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
        ] {
            assert_eq!(parse(&[word, "."]).logs[0].size, size, "{word}");
        }
        for (word, kept) in [("n", 2), ("n1", 2), ("n7x", 7), ("n99999999999999999999999999", u64::MAX)] {
            assert_eq!(parse(&[word, "."]).logs[0].kept, kept, "{word}");
        }
    }

    #[test]
    fn only_the_first_byte_decides_and_unknown_words_do_nothing() {
        assert_eq!(parse(&["exyz"]).actions, [Action::Stderr]);
        assert_eq!(parse(&["", "x", "\u{e9}", "t"]), Script::default());
        assert!(parse(&["txyz"]).stamp);
    }

    #[test]
    fn files_and_directories_are_numbered_by_themselves() {
        let script = parse(&["=a", "./b", "=c", "./d"]);
        assert_eq!(script.actions, [Action::Status(0), Action::Log(0), Action::Status(1), Action::Log(1)]);
    }
}
