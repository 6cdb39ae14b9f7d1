//! The option scanner. It keeps the order of options (`svc -dx` is d, then x), allows clusters and values in the same
//! word, and stops at the first operand, like that of the original.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::{Text, Word};

/// The rule for a word that begins with `--`, other than `--` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongWords {
    /// The word ends the options and is dropped, whatever follows the dashes. That is the original's way.
    Dropped,
    /// The word must be one of these long options, for each of which a byte stands; an unknown one is wrong usage. An option whose name ends with
    /// `=` takes a value: the rest of the word, or the next word.
    Known(&'static [(&'static str, u8)]),
}

/// An option that does not exist, or lacks its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongOption {
    /// An unknown letter: `illegal option -- C`.
    Illegal(u8),
    /// A letter that lacks its value: `option requires an argument -- C`.
    NoValue(u8),
    /// An unknown word that begins with `--`.
    Long(Word),
    /// A long option, with its dashes, that lacks its value.
    NoLongValue(Word),
}

impl WrongOption {
    /// The line for stderr; `name` is the last component of `argv[0]`.
    pub(crate) fn line(&self, name: &OsStr) -> Vec<u8> {
        let Text(line) = match self {
            WrongOption::Illegal(letter) => Text::of(&[&name, &": illegal option -- ", &[*letter].as_slice(), &"\n"]),
            WrongOption::NoValue(letter) => {
                Text::of(&[&name, &": option requires an argument -- ", &[*letter].as_slice(), &"\n"])
            }
            WrongOption::Long(word) => Text::of(&[&name, &": illegal option ", word, &"\n"]),
            WrongOption::NoLongValue(word) => Text::of(&[&name, &": option requires an argument ", word, &"\n"]),
        };
        line
    }
}

impl fmt::Display for WrongOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong option")
    }
}

impl std::error::Error for WrongOption {}

/// Scans the options at the front of a command line.
pub struct Options<'a> {
    words: &'a [Word],
    /// The rest of the cluster that is being scanned.
    cluster: &'a [u8],
    letters: &'static [u8],
    long: LongWords,
}

impl<'a> Options<'a> {
    /// Begins to scan `words`. `letters` names the options as for getopt: each letter, followed by a colon if it takes
    /// a value.
    pub fn new(words: &'a [Word], letters: &'static str, long: LongWords) -> Options<'a> {
        Options { words, cluster: b"", letters: letters.as_bytes(), long }
    }

    /// Scans the next option and its value, which is empty for an option that takes none. `None` when the options are over.
    ///
    /// # Errors
    /// [`WrongOption`] for the first word that is wrong. The options before it remain as they were returned.
    #[allow(clippy::should_implement_trait)] // an iterator could not give the operands back afterwards
    pub fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, WrongOption> {
        if self.cluster.is_empty() {
            if let Some(found) = self.long_option()? {
                return Ok(Some(found));
            }
            if !self.open_cluster()? {
                return Ok(None);
            }
        }
        let Some((&letter, rest)) = self.cluster.split_first() else {
            return Ok(None);
        };
        self.cluster = rest;
        match self.takes_value(letter) {
            None => Err(WrongOption::Illegal(letter)),
            Some(false) => Ok(Some((letter, b""))),
            Some(true) => self.value(letter).map(|value| Some((letter, value))),
        }
    }

    /// The operands, after `next` has returned `None`.
    pub fn operands(&self) -> &'a [Word] {
        self.words
    }

    /// Takes the next word, with its value, if it is a known long option.
    fn long_option(&mut self) -> Result<Option<(u8, &'a [u8])>, WrongOption> {
        let (LongWords::Known(known), Some((&word, rest))) = (self.long, self.words.split_first()) else {
            return Ok(None);
        };
        let Some(option) = word.as_bytes().strip_prefix(b"--") else {
            return Ok(None);
        };
        for &(long, byte) in known {
            let Some(name) = long.strip_suffix('=') else {
                if option == long.as_bytes() {
                    self.words = rest;
                    return Ok(Some((byte, b"")));
                }
                continue;
            };
            if option == name.as_bytes() {
                let (value, behind) = rest.split_first().ok_or(WrongOption::NoLongValue(word))?;
                self.words = behind;
                return Ok(Some((byte, value.as_bytes())));
            }
            if let Some(value) = option.strip_prefix(long.as_bytes()) {
                self.words = rest;
                return Ok(Some((byte, value)));
            }
        }
        Ok(None)
    }

    /// Takes the next word if it is a cluster of options.
    fn open_cluster(&mut self) -> Result<bool, WrongOption> {
        let Some((word, rest)) = self.words.split_first() else {
            return Ok(false);
        };
        match word.as_bytes() {
            [b'-', b'-', more @ ..] => {
                if self.long != LongWords::Dropped && !more.is_empty() {
                    return Err(WrongOption::Long(word));
                }
                self.words = rest;
                Ok(false)
            }
            [b'-', cluster @ ..] if !cluster.is_empty() => {
                self.words = rest;
                self.cluster = cluster;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn takes_value(&self, letter: u8) -> Option<bool> {
        let at = self.letters.iter().position(|&known| known == letter && letter != b':')?;
        Some(self.letters.get(at + 1) == Some(&b':'))
    }

    /// Takes the value of `letter`: the rest of the word, or if that is empty the next word.
    fn value(&mut self, letter: u8) -> Result<&'a [u8], WrongOption> {
        if !self.cluster.is_empty() {
            return Ok(std::mem::take(&mut self.cluster));
        }
        let (word, rest) = self.words.split_first().ok_or(WrongOption::NoValue(letter))?;
        self.words = rest;
        Ok(word.as_bytes())
    }
}

/// Scans options and operands in any order, as people type them; `--` ends the options. `letters` and `long` are as for [`Options::new`]. Each option is given to `take`, with its
/// value. Returns the operands.
///
/// # Errors
/// [`WrongOption`], or the error of `take`.
pub fn anywhere<'a>(
    mut words: &'a [Word],
    letters: &'static str,
    long: LongWords,
    mut take: impl FnMut(u8, &'a [u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Word>> {
    let mut operands = Vec::new();
    loop {
        let mut options = Options::new(words, letters, long);
        while let Some((option, value)) = options.next()? {
            take(option, value)?;
        }
        let left = options.operands();
        let ended = words.len().checked_sub(left.len() + 1).is_some_and(|at| words[at] == "--");
        match left.split_first() {
            Some((operand, rest)) if !ended => {
                operands.push(*operand);
                words = rest;
            }
            _ => {
                operands.extend_from_slice(left);
                return Ok(operands);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Scanned = (Vec<(u8, Vec<u8>)>, Result<Vec<Word>, WrongOption>);

    fn scan(words: &[&'static str], long: LongWords) -> Scanned {
        let words: Vec<Word> = words.iter().map(|word| OsStr::new(*word)).collect();
        let mut options = Options::new(&words, "abv:", long);
        let mut found = Vec::new();
        loop {
            match options.next() {
                Ok(Some((letter, value))) => found.push((letter, value.to_vec())),
                Ok(None) => return (found, Ok(options.operands().to_vec())),
                Err(wrong) => return (found, Err(wrong)),
            }
        }
    }

    fn letters(words: &[&'static str]) -> (String, Vec<Word>) {
        let (found, rest) = scan(words, LongWords::Dropped);
        (found.iter().map(|(letter, _)| char::from(*letter)).collect(), rest.expect("right options"))
    }

    #[test]
    fn order_and_clusters_are_kept() {
        assert_eq!(letters(&["-ba", "-a", "x", "-b"]), ("baa".into(), vec![OsStr::new("x"), OsStr::new("-b")]));
    }

    #[test]
    fn a_value_is_the_rest_of_the_word_or_the_next_word() {
        for words in [&["-av5", "x"][..], &["-av", "5", "x"]] {
            let (found, rest) = scan(words, LongWords::Dropped);
            assert_eq!(found, [(b'a', b"".to_vec()), (b'v', b"5".to_vec())]);
            assert_eq!(rest, Ok(vec![OsStr::new("x")]));
        }
        assert_eq!(scan(&["-v", ""], LongWords::Dropped).0, [(b'v', b"".to_vec())]);
        assert_eq!(scan(&["-v"], LongWords::Dropped).1, Err(WrongOption::NoValue(b'v')));
    }

    #[test]
    fn two_dashes_end_the_options_and_one_is_an_operand() {
        assert_eq!(letters(&["-a", "--", "-b"]), ("a".into(), vec![OsStr::new("-b")]));
        assert_eq!(letters(&["-a", "-", "-b"]), ("a".into(), vec![OsStr::new("-"), OsStr::new("-b")]));
        assert_eq!(letters(&["--xyz", "-b"]), (String::new(), vec![OsStr::new("-b")]));
    }

    #[test]
    fn a_long_word_is_refused_where_long_options_are_ours() {
        let known = LongWords::Known(&[("long", b'L')]);
        assert_eq!(scan(&["-a", "--xyz"], known).1, Err(WrongOption::Long(OsStr::new("--xyz"))));
        assert_eq!(scan(&["--", "x"], known).1, Ok(vec![OsStr::new("x")]));
        let (found, rest) = scan(&["-a", "--long", "-b", "x", "--long"], known);
        assert_eq!(found.iter().map(|&(letter, _)| letter).collect::<Vec<_>>(), b"aLb");
        assert_eq!(rest, Ok(vec![OsStr::new("x"), OsStr::new("--long")]));
    }

    #[test]
    fn a_long_option_has_its_value_in_the_same_word_or_the_next() {
        let known = LongWords::Known(&[("wait=", b'W'), ("long", b'L')]);
        let (found, rest) = scan(&["--wait=up", "--wait=", "--long", "x"], known);
        assert_eq!(found, [(b'W', b"up".to_vec()), (b'W', b"".to_vec()), (b'L', b"".to_vec())]);
        assert_eq!(rest, Ok(vec![OsStr::new("x")]));
        let (found, rest) = scan(&["--wait", "--long", "--wait", "", "x"], known);
        assert_eq!(found, [(b'W', b"--long".to_vec()), (b'W', b"".to_vec())]);
        assert_eq!(rest, Ok(vec![OsStr::new("x")]));
        assert_eq!(scan(&["--wait"], known).1, Err(WrongOption::NoLongValue(OsStr::new("--wait"))));
        for wrong in ["--long=", "--long=x", "--longer", "--wai=up"] {
            assert_eq!(scan(&[wrong], known).1, Err(WrongOption::Long(OsStr::new(wrong))));
        }
    }

    #[test]
    fn options_may_stand_behind_operands() {
        let scan = |words: &[&'static str]| {
            let words: Vec<Word> = words.iter().map(|word| OsStr::new(*word)).collect();
            let mut found = String::new();
            let take = |letter, value: &[u8]| {
                found += &format!("{}{}", char::from(letter), String::from_utf8_lossy(value));
                Ok(())
            };
            let operands = anywhere(&words, "av:", LongWords::Known(&[("long=", b'L')]), take);
            operands.map(|operands| (found, operands.join(OsStr::new(" ")))).ok()
        };
        let found = |options: &str, operands: &str| Some((options.to_owned(), operands.into()));
        assert_eq!(scan(&["x", "-a", "y", "-v5", "--long", "7", "z"]), found("av5L7", "x y z"));
        assert_eq!(scan(&["-a", "x", "--", "-a", "y"]), found("a", "x -a y"));
        assert_eq!(scan(&["-v", "--", "x", "-"]), found("v--", "x -"));
        assert_eq!(scan(&[]), found("", ""));
        assert_eq!(scan(&["x", "-b"]), None);
    }

    #[test]
    fn a_dash_or_colon_in_a_cluster_is_illegal() {
        assert_eq!(scan(&["-a-"], LongWords::Dropped).1, Err(WrongOption::Illegal(b'-')));
        assert_eq!(scan(&["-:"], LongWords::Dropped).1, Err(WrongOption::Illegal(b':')));
        assert_eq!(WrongOption::Illegal(b'z').line(OsStr::new("svc")), b"svc: illegal option -- z\n");
    }
}
