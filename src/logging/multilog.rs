//! multilog: reads lines, and writes each to the logs for which its script selects the line.
//!
//! It reads as much as there is, and writes all complete lines before it waits for more. TERM ends it at the next line end,
//! so that the next reader of the same pipe begins with a whole line; nothing that it has read is lost.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::thread;

use anyhow::Context;
use cli::{Text, Voice, WrongWord, text};
use multilog::{Engine, Level, OpenError, Outputs, Script, Stamp};
use sys::input::Input;
use sys::process::Signal;
use sys::{clock, fd, poll};

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

/// How many bytes are read at once: the capacity of a pipe.
const BLOCK: usize = 65_536;
/// The least number of bytes to read at once when a file is nearly full.
const LEAST: usize = 4_096;
/// After a read of fewer bytes than this, multilog yields the processor. If the writer runs then, the pipe has more the
/// next time, and the writer need not wake a reader for each line.
const SHORT: usize = 4_096;

/// Logs until the end of input or a TERM.
pub fn main(call: cli::Call) -> i32 {
    MULTILOG.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let script = Script::parse(call.words().iter().map(|word| word.as_bytes()));
    if let Some(wrong) = &script.wrong {
        return Err(WrongWord(text!("wrong action ", wrong.word.as_slice(), ": ", wrong.why)).into());
    }
    prepare();
    let mut outputs = Outputs::open(&script, report).or_else(unable)?;
    let mut engine = Engine::new(&script);
    let input = outputs.patience().input();
    if let Ok(input) = &input {
        copy(&mut engine, &mut outputs, input);
        engine.end(&mut outputs);
    }
    let well = outputs.close();
    input.context(Text(b"unable to read stdin".to_vec()))?;
    Ok(if well { 0 } else { cli::TEMPORARY })
}

fn prepare() {
    fd::set_umask(0o022);
    // If stderr is closed, a log file must not get its number: `e` would write there. Without /dev/null there is no
    // remedy.
    let _ = fd::fill_standard();
    // If the parent ignored SIGCHLD, every processor would seem to fail. This call cannot fail for that signal.
    let _ = sys::signals::set_default(Signal::SIGCHLD);
    // Lines that are not written yet must not be lost because nobody reads stderr, or because of a limit on file sizes.
    sys::signals::survive_writes();
    // Nor because the reader of stderr does not read.
    cli::write_errors_with(fd::write_stderr_at_once);
    sys::arena::without_memory(pause);
    // Without multilog, the service that writes to it would block. If lowering the score is not permitted, nothing
    // changes.
    let _ = sys::oom::lower();
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

fn unable(error: OpenError) -> anyhow::Result<Outputs> {
    match error {
        OpenError::Failed(text, reason) => Err(reason).context(Text(text)),
        OpenError::Ended => Err(cli::Exit(cli::TEMPORARY).into()),
    }
}

fn report(level: Level, text: &[u8], reason: Option<&io::Error>) {
    let text = Text(text.to_vec());
    match (level, reason) {
        (Level::Fatal, Some(reason)) => VOICE.fatal(&text, reason),
        (Level::Fatal, None) => VOICE.say(&[&"fatal: ", &text.0.as_slice()]),
        (Level::Warning, Some(reason)) => VOICE.warning(&text, reason),
        (Level::Warning, None) => VOICE.warn(&text),
    }
}

/// Copies the input to the logs until its end: the loop that reads, decides and writes.
fn copy(engine: &mut Engine, outputs: &mut Outputs, input: &Input) {
    let mut block = Vec::with_capacity(BLOCK);
    while read(engine, outputs, input, &mut block) {
        // The clock is read once for all lines of one read.
        let (seconds, nanos) = clock::wall();
        let label = tai::Label::from_unix(seconds, nanos);
        match engine.stamp() {
            Some(Stamp::Utc) => engine.feed(&block, &label.utc(), outputs),
            Some(Stamp::Label) | None => engine.feed(&block, &label.text(), outputs),
        }
        outputs.flush();
        if block.len() < SHORT {
            thread::yield_now();
        }
    }
}

/// Reads a block. Returns `false` at the end of input, and at a line end after TERM. An error counts as the end.
fn read(engine: &Engine, outputs: &mut Outputs, input: &Input, block: &mut Vec<u8>) -> bool {
    loop {
        if outputs.patience().rotation_wanted() {
            outputs.rotate();
        }
        let ending = outputs.patience().ending();
        if ending && engine.at_line_start() {
            return false;
        }
        // Only where a file grows older is there something to wait for beside input and signals, for which the read below waits alone.
        if let left @ Some(_) = outputs.expire()
            && !wait(outputs, left)
        {
            continue;
        }
        // After TERM, do not read beyond the end of the line: the rest is for the next reader.
        let limit = if ending { 1 } else { at_once(outputs.room(), engine.stamp().is_some()) };
        match input.read_onto(block, limit) {
            Ok(Some(count)) => return count > 0,
            Ok(None) => outputs.patience().hear(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = outputs.expire();
                wait(outputs, left);
            }
            Err(_) => return false,
        }
    }
}

/// How many bytes to read: no more than fit into the current file. Finishing a file takes long, and if multilog is killed then,
/// it loses what it has read.
fn at_once(room: u64, stamps: bool) -> usize {
    // With stamps there is more to write than to read, though less than twice as much: most lines are longer than a
    // stamp.
    let room = if stamps { room / 2 } else { room };
    usize::try_from(room).unwrap_or(BLOCK).clamp(LEAST, BLOCK)
}

/// Waits for a signal, for input, or until a time in nanoseconds is over. Returns whether there may be input, and no signal.
fn wait(outputs: &mut Outputs, limit: Option<u64>) -> bool {
    let patience = outputs.patience();
    match poll::readable([patience.fd(), fd::stdin()], patience.timeout(limit)) {
        Ok([true, _]) => patience.hear(),
        Ok([false, _]) if patience.came() => patience.hear(),
        Ok([false, input]) => return input,
        Err(_) => poll::rest(),
    }
    false
}
