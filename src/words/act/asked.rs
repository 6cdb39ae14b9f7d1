//! The command line of the words that do something.

use cli::{LongWords, Word, WrongWord, text};
use svdir::Command;
use svdir::knob;

use super::super::patience;
use super::verbs::Verb;

/// The bytes that stand for the options; none has a letter.
const NO_WAIT: u8 = 1;
const TIMEOUT: u8 = 2;
const WITH_DEPENDENTS: u8 = 3;
const ROLLING: u8 = 4;
const PARALLEL: u8 = 5;

/// The parsed command line.
pub struct Asked {
    pub wait: bool,
    /// In nanoseconds.
    pub timeout: u64,
    pub with_dependents: bool,
    pub rolling: bool,
    parallel: Option<usize>,
    pub names: Vec<Word>,
}

impl Asked {
    /// Parses options and names in any order.
    pub fn read(verb: &Verb, words: &[Word]) -> anyhow::Result<Asked> {
        let mut asked = Asked {
            wait: true,
            timeout: patience::DEFAULT,
            with_dependents: false,
            rolling: false,
            parallel: None,
            names: Vec::new(),
        };
        let names = cli::anywhere(words, "", long_words(verb), |option, value| {
            match option {
                NO_WAIT => asked.wait = false,
                TIMEOUT => asked.timeout = patience::time(value)?,
                WITH_DEPENDENTS => asked.with_dependents = true,
                ROLLING => asked.rolling = true,
                _ => asked.parallel = Some(number(value)?),
            }
            Ok(())
        })?;
        asked.names = names;
        asked.checked()
    }

    fn checked(self) -> anyhow::Result<Asked> {
        let wrong = |why: &'static str| Err(WrongWord(text!(why)).into());
        match self {
            Asked { parallel: Some(_), rolling: false, .. } => wrong("--parallel needs --rolling"),
            Asked { rolling: true, wait: false, .. } => wrong("--rolling has to wait: it does not go with --no-wait"),
            Asked { with_dependents: true, wait: false, .. } => {
                wrong("--with-dependents has to wait: it does not go with --no-wait")
            }
            asked => Ok(asked),
        }
    }

    /// How many are told at a time; `None` for all.
    pub const fn at_a_time(&self) -> Option<usize> {
        match self.parallel {
            None if self.rolling => Some(1),
            parallel => parallel,
        }
    }
}

/// The options of a word.
fn long_words(verb: &Verb) -> LongWords {
    LongWords::Known(match verb.command {
        Some(Command::Down) => &[("no-wait", NO_WAIT), ("timeout=", TIMEOUT), ("with-dependents", WITH_DEPENDENTS)],
        Some(Command::Restart | Command::Replace) => {
            &[("no-wait", NO_WAIT), ("timeout=", TIMEOUT), ("rolling", ROLLING), ("parallel=", PARALLEL)]
        }
        _ => &[("no-wait", NO_WAIT), ("timeout=", TIMEOUT)],
    })
}

fn number(value: &[u8]) -> Result<usize, WrongWord> {
    let number = knob::digits(value).filter(|&number| number > 0).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| WrongWord(text!("wrong number ", value, ": it is not a whole number above 0")))
}
