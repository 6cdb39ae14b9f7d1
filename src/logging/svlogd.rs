//! svlogd: reads lines, and writes each to the log directories that select it. What a directory takes, and how it is kept, is said by its `config`.
//!
//! It reads as much as there is, and writes all complete lines before it waits for more. TERM ends it at the next line end,
//! so that the next reader of the same pipe begins with a whole line; nothing that it has read is lost.

use std::io;
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;
use cli::{LongWords, Options, Text, Usage, Voice, text};
use multilog::svlogd::{Logs, Replacer, Selections, Settings};
use multilog::{Engine, Level, Patience};
use sys::{fd, poll};
use tai::Label;

use super::reader::{self, Destination};

const SVLOGD: cli::Program = cli::Program {
    name: "svlogd",
    synopsis: "[-tttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...",
    usage: "usage: svlogd [-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...\n",
    usage_exit: cli::TEMPORARY,
    about: "Reads lines from stdin and appends those that the file config of a log directory selects to its automatically rotated log.",
    options: &[
        ("-t", "put a TAI64N label and a space in front of each line"),
        ("-tt", "put the time in UTC and a space in front of each line, as 2026-12-01_06:07:08.12345"),
        ("-ttt", "put it there as 2026-12-01T06:07:08.12345"),
        ("-r CHAR", "replace each byte that cannot be printed by this one"),
        ("-R CHARS", "replace these bytes, too; by _ unless there is -r"),
        ("-l LEN", "look at so many bytes of a line only, for patterns, replacement and stderr (1000)"),
        ("-b BUFLEN", "must be more than LEN, and has no other meaning (1024)"),
        ("-v", "say on stderr what is done"),
        ("DIR", "a log directory; DIR/config has its settings, one to a line, and is read again on HUP:"),
        ("sSIZE", "let a file have SIZE bytes at most, also 5k, 5m (1000000; 0: no bound)"),
        ("nNUM", "keep NUM old files (10; 0: all)"),
        ("NMIN", "when the disk is full, remove the oldest files as long as there are more than MIN (10)"),
        ("tTIME", "begin a new file every TIME seconds, also 5m, 5h, unless the old one is empty"),
        ("!PROCESSOR", "send finished files through this shell command"),
        ("uIP[:PORT]", "also send selected lines to this address by UDP (port 514)"),
        ("UIP[:PORT]", "send them there and keep them in no file"),
        ("pPREFIX", "put this in front of each line, behind the stamp"),
        (
            "-PATTERN",
            "deselect a line that matches; * takes all before the byte that follows it, + that byte once or more",
        ),
        ("+PATTERN", "select a line that matches; at first every line is selected"),
        ("ePATTERN", "show a line that matches on stderr"),
        ("EPATTERN", "do not; at first no line is shown"),
    ],
};

const VOICE: Voice = SVLOGD.voice();

/// How many bytes of a line are looked at, and the size of the original's buffer, if nothing else is said.
const LENGTH: u64 = 1_000;
const BUFFER: u64 = 1_024;
/// The length of each stamp in bytes.
const STAMP: usize = Label::TEXT;

/// What the options say.
struct Arguments {
    settings: Settings,
    /// How many `t` there were.
    stamp: usize,
    replacer: Option<Replacer>,
}

/// Logs until the end of input or a TERM.
pub fn main(call: cli::Call) -> i32 {
    SVLOGD.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let Arguments { settings, stamp, mut replacer } = arguments(call)?;
    reader::prepare(pause);
    let length = settings.stamp;
    let (mut logs, selections) = Logs::open(settings, report).map_err(reader::unable)?;
    if !logs.any() {
        VOICE.say(&[&"fatal: no functional log directories."]);
        return Ok(cli::TEMPORARY);
    }
    let mut engine = Engine::with(selections, length);
    let input = logs.patience().input();
    if let Ok(input) = &input {
        let read = reader::copy(&mut engine, &mut logs, input, |engine, block, label, logs| {
            if let Some(replacer) = &mut replacer {
                replacer.apply(block);
            }
            match stamp {
                0 | 1 => engine.feed(block, &label.text(), logs),
                2 => engine.feed(block, &human(label, b'_'), logs),
                _ => engine.feed(block, &human(label, b'T'), logs),
            }
        });
        if let Err(reason) = read {
            VOICE.warning(&text!("unable to read standard input"), &reason);
        }
        engine.end(&mut logs);
    }
    let well = logs.close();
    input.context(Text(b"unable to read standard input".to_vec()))?;
    Ok(if well { 0 } else { cli::TEMPORARY })
}

fn arguments(call: &cli::Call) -> anyhow::Result<Arguments> {
    let mut options = Options::new(call.words(), "R:r:l:b:tvV", LongWords::Dropped);
    let (mut stamp, mut verbose, mut length, mut buffer) = (0, false, LENGTH, BUFFER);
    let (mut by, mut others) = (None, None);
    while let Some((letter, value)) = options.next()? {
        match (letter, value) {
            (b'R', _) => others = Some(value),
            (b'r', &[byte]) => by = Some(byte),
            (b'l', _) => length = number(value, LENGTH),
            (b'b', _) => buffer = number(value, BUFFER),
            (b't', _) => stamp += 1,
            (b'v', _) => verbose = true,
            _ => return Err(Usage.into()),
        }
    }
    if options.operands().is_empty() || buffer <= length {
        return Err(Usage.into());
    }
    let paths = options.operands().iter().map(|word| word.as_bytes().to_vec()).collect();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let replacer = by.or(others.map(|_| b'_')).map(|by| Replacer::new(by, others.unwrap_or_default(), length));
    let settings = Settings { paths, stamp: (stamp > 0).then_some(STAMP), length, verbose };
    Ok(Arguments { settings, stamp, replacer })
}

/// The number at the front of a text; `default` for 0.
fn number(text: &[u8], default: u64) -> u64 {
    match multilog::number(text) {
        0 => default,
        number => number,
    }
}

/// The time in UTC with five decimals, and `between` between day and hour.
fn human(label: Label, between: u8) -> [u8; STAMP] {
    const DAY: usize = 10;
    let utc = label.utc();
    let mut stamp: [u8; STAMP] = std::array::from_fn(|at| utc[at]);
    stamp[DAY] = between;
    stamp
}

/// Warns and pauses when there is no memory, without allocating any. A signal ends the pause; it is obeyed when there is memory again.
fn pause(refused: u32) {
    const PAUSE: u64 = 3_000_000_000;
    if refused == 0 {
        fd::write_stderr_at_once(b"svlogd: pausing: out of memory.\n");
    }
    if poll::readable([], Some(PAUSE)).is_err() {
        poll::rest();
    }
}

fn report(level: Level, text: &[u8], reason: Option<&io::Error>) {
    reader::report(VOICE, level, text, reason);
}

impl Destination for Logs {
    type Rules = Selections;

    fn patience(&mut self) -> &mut Patience {
        self.patience()
    }

    fn obey(&mut self, engine: &mut Engine<Selections>) {
        self.obey(engine);
    }

    fn expire(&mut self) -> Option<u64> {
        self.expire()
    }

    fn room(&self) -> u64 {
        self.room()
    }

    fn flush(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_five_decimals() {
        let label = Label::from_unix(1_000_000_000, 987_654_500);
        assert_eq!(&human(label, b'_'), b"2001-09-09_01:46:40.98765");
        assert_eq!(&human(label, b'T'), b"2001-09-09T01:46:40.98765");
    }
}
