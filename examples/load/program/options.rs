//! The command line.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use anyhow::{Context, bail};

use super::request::Target;

/// The parsed options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// How many clients send requests at the same time.
    pub clients: usize,
    /// How long; `None` for until a signal comes.
    pub duration: Option<Duration>,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long a client pauses after each request.
    pub pause: Duration,
    /// The beginning of the body of a right answer.
    pub expect: String,
    /// The path of the requests.
    pub path: String,
    /// Whether to print one line of `name=value` instead of a table.
    pub plain: bool,
}

const USAGE: &str = "usage: load [--clients N] [--seconds N] [--timeout SECONDS] [--pause MILLISECONDS] [--expect TEXT] [--path PATH] [--plain] \
                     tcp:HOST:PORT|unix:PATH";

impl Options {
    /// The defaults.
    pub fn new(target: Target) -> Options {
        Options {
            target,
            clients: 16,
            duration: None,
            timeout: Duration::from_secs(10),
            pause: Duration::ZERO,
            expect: String::new(),
            path: "/".to_owned(),
            plain: false,
        }
    }

    /// Reads the words of the command line.
    pub fn parse(words: &[OsString]) -> anyhow::Result<Options> {
        let (target, words) = words.split_last().context(USAGE)?;
        let mut options = Options::new(Target::parse(target).context(USAGE)?);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--plain" {
                options.plain = true;
            } else {
                options.set(word, words.next().context(USAGE)?)?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, word: &OsStr, value: &OsStr) -> anyhow::Result<()> {
        let value = value.to_str().context(USAGE)?;
        let number = || value.parse::<u64>().ok().context(USAGE);
        match word.to_str() {
            Some("--clients") => self.clients = usize::try_from(number()?)?.max(1),
            Some("--seconds") => self.duration = Some(Duration::from_secs(number()?)),
            // Without a timeout a client could wait for ever.
            Some("--timeout") => self.timeout = Duration::from_secs(number()?.max(1)),
            Some("--pause") => self.pause = Duration::from_millis(number()?),
            Some("--expect") => value.clone_into(&mut self.expect),
            Some("--path") => value.clone_into(&mut self.path),
            _ => bail!(USAGE),
        }
        Ok(())
    }
}
