//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use super::suite::Suite;

/// What is asked for.
pub struct Options {
    /// How long to torture.
    pub duration: Duration,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Who is tortured.
    pub suite: Suite,
    /// How many services there are, each with a logger.
    pub services: usize,
    /// From one act of violence to the next, on average.
    pub pace: Duration,
    /// How long after the last kill something may be wrong.
    pub grace: Duration,
    /// Who is not killed.
    pub spare: Spare,
    /// Leave the directory behind.
    pub keep: bool,
}

/// Who is not killed, so that there is less to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spare {
    /// All are.
    Nobody,
    /// Whoever scans.
    Svscan,
    /// Nor the supervises; nor are these told to leave. Every suite bears it.
    Supervisors,
}

const USAGE: &str = "usage: torture [--seconds N] [--seed N] [--suite ours|daemontools|runit] [--bin DIR] [--services N] \
                     [--pace MILLISECONDS] [--grace SECONDS] [--spare svscan|supervisors] [--keep]";

impl Options {
    /// Reads the words of the command line.
    pub fn parse(words: &[OsString]) -> anyhow::Result<Options> {
        let mut options = Options {
            duration: Duration::from_secs(60),
            seed: super::line::now(),
            suite: Suite::ours(),
            services: 50,
            pace: Duration::from_millis(100),
            grace: Duration::from_secs(2),
            spare: Spare::Nobody,
            keep: false,
        };
        let mut bin = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--keep") => options.keep = true,
                _ => options.set(word, words.next().context(USAGE)?, &mut bin)?,
            }
        }
        match bin {
            Some(bin) => options.suite.bin = bin,
            None => options.suite.build()?,
        }
        Ok(options)
    }

    fn set(&mut self, word: &OsStr, value: &OsStr, bin: &mut Option<PathBuf>) -> anyhow::Result<()> {
        match word.to_str() {
            Some("--seconds") => self.duration = Duration::from_secs(number(value)?),
            Some("--seed") => self.seed = number(value)?,
            Some("--suite") => self.suite = Suite::named(value).context(USAGE)?,
            Some("--bin") => *bin = Some(PathBuf::from(value)),
            Some("--services") => self.services = number(value)? as usize,
            Some("--spare") if value == "svscan" => self.spare = Spare::Svscan,
            Some("--spare") if value == "supervisors" => self.spare = Spare::Supervisors,
            Some("--pace") => self.pace = Duration::from_millis(number(value)?),
            Some("--grace") => self.grace = Duration::from_secs(number(value)?),
            Some(_) | None => bail!(USAGE),
        }
        Ok(())
    }
}

fn number(word: &OsStr) -> anyhow::Result<u64> {
    word.to_str().and_then(|word| word.parse().ok()).context(USAGE)
}
