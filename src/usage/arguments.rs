//! The arguments of `uphold usage`: a process, and the bounds for what it uses.

use std::os::unix::ffi::OsStrExt;

use cli::{LongWords, Options, Usage, Word, WrongWord, text};
use svdir::knob::{self, Unit, Wrong};
use sys::process::Pid;

/// What can be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Memory, in bytes.
    Rss,
    /// Processor time, in per cent of one processor.
    Cpu,
    /// The number of open descriptors.
    Descriptors,
    /// The time since its birth, in nanoseconds.
    Age,
}

/// A bound: what is measured must be below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<'a> {
    /// What it bounds.
    pub figure: Figure,
    /// The bound, in the unit of the figure.
    pub below: u64,
    /// The bound as the operator has written it.
    pub word: &'a [u8],
}

/// The parsed command line.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// The process.
    pub pid: Pid,
    /// Its descendants count too.
    pub tree: bool,
    /// The bounds, in the order of the options.
    pub bounds: Vec<Bound<'a>>,
}

/// The options, and the byte that stands for each.
const LONG: LongWords = LongWords::Known(&[
    ("tree", b't'),
    ("rss-below=", b'r'),
    ("cpu-below=", b'c'),
    ("fds-below=", b'f'),
    ("age-below=", b'a'),
]);

impl Arguments<'_> {
    /// Parses the options, each with its value in the same word or the next one, and the pid behind them.
    ///
    /// # Errors
    /// For wrong usage.
    pub fn parse(words: &[Word]) -> anyhow::Result<Arguments<'_>> {
        let mut options = Options::new(words, "", LONG);
        let (mut tree, mut bounds) = (false, Vec::new());
        while let Some((option, word)) = options.next()? {
            let (figure, below) = match option {
                b'r' => (Figure::Rss, size(word).map_err(|why| wrong("size", word, why))?),
                b'c' => (Figure::Cpu, percentage(word).map_err(|why| wrong("percentage", word, why))?),
                b'f' => (Figure::Descriptors, number(word).map_err(|why| wrong("number", word, why))?),
                b'a' => (Figure::Age, time(word).map_err(|why| wrong("time", word, why))?),
                _ => {
                    tree = true;
                    continue;
                }
            };
            bounds.push(Bound { figure, below, word });
        }
        let &[word] = options.operands() else {
            return Err(Usage.into());
        };
        let pid = pid(word.as_bytes()).map_err(|why| wrong("pid", word.as_bytes(), why))?;
        Ok(Arguments { pid, tree, bounds })
    }
}

fn wrong(kind: &str, word: &[u8], why: &str) -> WrongWord {
    WrongWord(text!("wrong ", kind, " ", word, ": ", why))
}

/// Why a word is not a number; a sign, a blank or a newline is none either.
const NO_NUMBER: &str = "not a whole number";
const TOO_LARGE: &str = "too large";

/// A number of digits alone.
fn number(word: &[u8]) -> Result<u64, &'static str> {
    let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    knob::digits(word).ok_or(if digits { TOO_LARGE } else { NO_NUMBER })
}

/// Bytes: a number, perhaps with k, M or G in either case.
fn size(word: &[u8]) -> Result<u64, &'static str> {
    let (digits, unit) = match word {
        [digits @ .., b'k' | b'K'] => (digits, 1 << 10),
        [digits @ .., b'm' | b'M'] => (digits, 1 << 20),
        [digits @ .., b'g' | b'G'] => (digits, 1 << 30),
        digits => (digits, 1),
    };
    match number(digits) {
        Err(NO_NUMBER) => Err("not a whole number with k, M, G or nothing behind it"),
        number => number?.checked_mul(unit).ok_or(TOO_LARGE),
    }
}

/// Per cent of one processor, with or without the sign.
fn percentage(word: &[u8]) -> Result<u64, &'static str> {
    number(word.strip_suffix(b"%").unwrap_or(word))
}

/// A duration in nanoseconds. Its unit must be there, since elsewhere a bare number means seconds or milliseconds.
fn time(word: &[u8]) -> Result<u64, &'static str> {
    if word.contains(&b'\n') {
        return Err(Wrong::Spaces.reason());
    }
    let time = match word.strip_suffix(b"d") {
        Some(days) => knob::duration(&[days, b"h"].concat(), Unit::Nothing)
            .and_then(|hours| hours.checked_mul(24).ok_or(Wrong::TooLarge)),
        None => knob::duration(word, Unit::Nothing),
    };
    time.map_err(|why| match why {
        Wrong::NoTime => "not a number with ms, s, m, h or d behind it",
        Wrong::NoUnit => "it has no unit: say ms, s, m, h or d",
        why => why.reason(),
    })
}

fn pid(word: &[u8]) -> Result<Pid, &'static str> {
    let number = number(word)?;
    match i32::try_from(number) {
        Err(_) => Err(TOO_LARGE),
        Ok(0) => Err("no process has it"),
        Ok(number) => Ok(Pid::from_raw(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn each_bound_has_its_units() {
        for (word, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("2K", 2048),
            ("500M", 500 << 20),
            ("1m", 1 << 20),
            ("3G", 3 << 30),
        ] {
            assert_eq!(size(word.as_bytes()), Ok(bytes), "{word}");
        }
        for (word, percent) in [("90", 90), ("90%", 90), ("0%", 0), ("1600%", 1600)] {
            assert_eq!(percentage(word.as_bytes()), Ok(percent), "{word}");
        }
        for (word, nanoseconds) in [
            ("0", 0),
            ("90ms", 90_000_000),
            ("30m", HOUR / 2),
            ("2h", 2 * HOUR),
            ("1d", 24 * HOUR),
            ("1.5d", 36 * HOUR),
        ] {
            assert_eq!(time(word.as_bytes()), Ok(nanoseconds), "{word}");
        }
        assert_eq!(pid(b"0042"), Ok(Pid::from_raw(42)));
        assert_eq!(pid(b"2147483647"), Ok(Pid::from_raw(i32::MAX)));
    }

    #[test]
    fn nonsense_is_none_of_them() {
        const HUGE: &str = "99999999999999999999";
        for word in ["", "-1", "+1", " 1", "1 ", "1\n", "x", "1.5", "0x10", "1e3", "\u{b2}", HUGE] {
            let word = word.as_bytes();
            assert!(number(word).is_err() && size(word).is_err() && percentage(word).is_err() && pid(word).is_err());
        }
        for word in ["k", "M", "1T", "1kB", "1.5G", "-1M", "1 M", "1M\n", "18446744073709551615k", "17179869184G"] {
            assert!(size(word.as_bytes()).is_err(), "{word}");
        }
        for word in ["%", "90%%", "%90", "9 %"] {
            assert!(percentage(word.as_bytes()).is_err(), "{word}");
        }
        for word in
            ["", "5", "5w", "d", "5dd", "5hd", "5 d", "5\nd", "5s\n", "-5s", "-5d", "213504d", "99999999999999h"]
        {
            assert!(time(word.as_bytes()).is_err(), "{word}");
        }
        for word in ["0", "00", "2147483648"] {
            assert!(pid(word.as_bytes()).is_err(), "{word}");
        }
    }

    #[test]
    fn no_bytes_do_harm() {
        for byte in 0..=255 {
            for length in [1, 2, 64, 5000] {
                let word = vec![byte; length];
                let _ = (size(&word), percentage(&word), number(&word), time(&word), pid(&word));
            }
        }
    }
}
