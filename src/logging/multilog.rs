//! multilog: reads lines, and writes each to the logs for which its script selects the line.
//!
//! It reads as much as there is, and writes all complete lines before it waits for more. TERM ends it at the next line end,
//! so that the next reader of the same pipe begins with a whole line; nothing that it has read is lost.

use std::io;
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;
use cli::{Text, Voice, WrongWord, text};
use multilog::{Actions, Engine, Level, Outputs, Patience, Script, Stamp};
use sys::{fd, poll};

use super::reader::{self, Destination};

const MULTILOG: cli::Program = cli::Program {
    name: "multilog",
    synopsis: "action ...",
    usage: "multilog: usage: multilog action ...",
    usage_exit: cli::USAGE,
    about: "Reads lines from stdin and appends those that are selected to automatically rotated logs.",
    options: &[
        ("t", "as the first action: put a TAI64N label and a space in front of each line"),
        (
            "i",
            "as the first action: put the time in UTC and a space in front of each line, as 2026-12-01T06:07:08.123456Z",
        ),
        ("-PATTERN", "deselect a line that matches; a * takes all before the byte that follows it"),
        ("+PATTERN", "select a line that matches; at first every line is selected"),
        ("e", "send a selected line to stderr, its first 200 bytes"),
        ("=FILE", "keep a selected line in FILE, its first 1000 bytes, in place of the last one"),
        (
            "sSIZE",
            "let files of the logs that follow have SIZE bytes at most: 4096 to 2147483647 (99999), or 4k to 2047m",
        ),
        ("nNUM", "let the logs that follow have NUM files at most, 2 or more (10)"),
        (
            "aTIME",
            "begin a new file in the logs that follow when the first line of one is that old: 1h, also ms, s, m, d (0: never)",
        ),
        (
            "mSIZE",
            "remove the oldest files of the logs that follow until all old ones have SIZE bytes at most, also 5k, 5m (0: no bound)",
        ),
        ("!processor", "send finished files of the logs that follow through this shell command; a bare ! ends that"),
        ("DIR", "a log, if it begins with a dot or a slash: append a selected line to DIR/current"),
    ],
};

const VOICE: Voice = MULTILOG.voice();

/// Logs until the end of input or a TERM.
pub fn main(call: cli::Call) -> i32 {
    MULTILOG.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let script = Script::parse(call.words().iter().map(|word| word.as_bytes()));
    if let Some(wrong) = &script.wrong {
        return Err(WrongWord(text!("wrong action ", wrong.word.as_slice(), ": ", wrong.why)).into());
    }
    fd::set_umask(0o022);
    reader::prepare(pause);
    let mut outputs = Outputs::open(&script, report).map_err(reader::unable)?;
    let mut engine = Engine::new(&script);
    let input = outputs.patience().input();
    if let Ok(input) = &input {
        // An error counts as the end.
        let _ = reader::copy(&mut engine, &mut outputs, input, |engine, block, label, outputs| match script.stamp {
            Some(Stamp::Utc) => engine.feed(block, &label.utc(), outputs),
            Some(Stamp::Label) | None => engine.feed(block, &label.text(), outputs),
        });
        engine.end(&mut outputs);
    }
    let well = outputs.close();
    input.context(Text(b"unable to read stdin".to_vec()))?;
    Ok(if well { 0 } else { cli::TEMPORARY })
}

/// Warns and pauses when there is no memory, without allocating any. A signal ends the pause; it is obeyed when there is memory again.
fn pause(refused: u32) {
    const PAUSE: u64 = 5_000_000_000;
    if refused == 0 {
        fd::write_stderr_at_once(b"multilog: warning: unable to allocate memory, pausing: out of memory\n");
    }
    if poll::readable([], Some(PAUSE)).is_err() {
        poll::rest();
    }
}

fn report(level: Level, text: &[u8], reason: Option<&io::Error>) {
    reader::report(VOICE, level, text, reason);
}

impl Destination for Outputs {
    type Rules = Actions;

    fn patience(&mut self) -> &mut Patience {
        self.patience()
    }

    fn obey(&mut self, _: &mut Engine) {
        if self.patience().rotation_wanted() {
            self.rotate();
        }
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
