//! The command line of `uphold scale`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{LongWords, Usage, Word, WrongWord, text};

use super::family::{MOST, number};
use crate::words::patience;

/// The bytes that stand for the options; none has a letter.
const NO_WAIT: u8 = 1;
const TIMEOUT: u8 = 2;
const TEMPLATE: u8 = 3;

/// The parsed command line.
pub struct Asked {
    pub name: Word,
    /// How many instances there are to be; `None` for as many as there are.
    pub count: Option<u16>,
    /// The directory that was named as the template.
    pub template: Option<PathBuf>,
    /// How long each is waited for, in nanoseconds; `None` not at all.
    pub timeout: Option<u64>,
}

impl Asked {
    /// Parses options and operands in any order.
    pub fn read(words: &[Word]) -> anyhow::Result<Asked> {
        const LONG: LongWords =
            LongWords::Known(&[("no-wait", NO_WAIT), ("timeout=", TIMEOUT), ("template=", TEMPLATE)]);
        let (mut wait, mut timeout, mut template) = (true, patience::DEFAULT, None);
        let operands = cli::anywhere(words, "", LONG, |option, value| {
            match option {
                NO_WAIT => wait = false,
                TIMEOUT => timeout = patience::time(value)?,
                _ => template = Some(Path::new(OsStr::from_bytes(value)).to_path_buf()),
            }
            Ok(())
        })?;
        let (name, count) = match operands[..] {
            [name] => (name, None),
            [name, count] => (name, Some(how_many(count)?)),
            _ => return Err(Usage.into()),
        };
        if let Some(why) = unfit(name.as_bytes()) {
            return Err(WrongWord(text!("wrong name ", name, ": ", why)).into());
        }
        Ok(Asked { name, count, template, timeout: wait.then_some(timeout) })
    }
}

fn how_many(word: Word) -> Result<u16, WrongWord> {
    match word.as_bytes() {
        b"0" => Ok(0),
        digits => number(digits).ok_or_else(|| {
            let most = MOST.to_string();
            WrongWord(text!("wrong number ", word, ": a name has 0 to ", most.as_str(), " instances"))
        }),
    }
}

/// Why instances cannot have this name; `None` if they can.
fn unfit(name: &[u8]) -> Option<&'static str> {
    let behind = name.rsplit(|&byte| byte == b'@').next().filter(|behind| behind.len() < name.len());
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains(&b'/') {
        Some("it has a slash in it; the template is named with --template")
    } else if name.starts_with(b".") {
        Some("svscan passes names over that begin with a dot")
    } else if name.iter().any(u8::is_ascii_control) {
        Some("it has a control character in it")
    } else if behind.is_some_and(|behind| behind.iter().all(u8::is_ascii_digit)) {
        Some("the name of the instances is what stands before the @")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_names_that_svscan_serves_and_that_are_no_instances() {
        for name in ["web", "a@b", "@a", "b\u{e4}r", "-"] {
            assert_eq!(unfit(name.as_bytes()), None, "{name}");
        }
        for name in ["", "a/b", ".a", "..", "a\nb", "a\x1b[2Jb", "web@", "web@1", "@", "a@b@12"] {
            assert!(unfit(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn a_number_has_one_way_to_be_written() {
        let parsed = |word: &'static str| how_many(OsStr::new(word)).ok();
        assert_eq!([parsed("0"), parsed("1"), parsed("1000")], [Some(0), Some(1), Some(1000)]);
        for wrong in ["", "00", "01", "1001", "65537", "-1", "+1", "1 ", "x", "99999999999999999999999"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
