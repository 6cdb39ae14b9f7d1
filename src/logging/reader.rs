//! The loop of multilog and svlogd: it reads, decides and writes.
//!
//! It reads as much as there is, and writes all complete lines before it waits for more. TERM ends it at the next line end.

use std::io;
use std::thread;

use anyhow::Context;
use cli::{Text, Voice};
use multilog::{Engine, Level, OpenError, Patience, Rules, Sink};
use sys::input::Input;
use sys::process::Signal;
use sys::{clock, fd, poll};
use tai::Label;

/// How many bytes are read at once: the capacity of a pipe.
const BLOCK: usize = 65_536;
/// The least number of bytes to read at once when a file is nearly full.
const LEAST: usize = 4_096;
/// After a read of fewer bytes than this, the reader yields the processor. If the writer runs then, the pipe has more the
/// next time, and the writer need not wake a reader for each line.
const SHORT: usize = 4_096;

/// What the lines go to.
pub(super) trait Destination: Sink {
    /// The rules that decide on the lines.
    type Rules: Rules;
    /// The part that receives signals and waits.
    fn patience(&mut self) -> &mut Patience;
    /// Does what the signals ask for that have come, but for TERM.
    fn obey(&mut self, engine: &mut Engine<Self::Rules>);
    /// Does what is to be done by now. Returns after how many nanoseconds this is to be called again, if nothing is written before; `None` if only
    /// input and signals are waited for.
    fn expire(&mut self) -> Option<u64>;
    /// How many bytes can be taken before a new file is begun.
    fn room(&self) -> u64;
    /// Writes all complete lines.
    fn flush(&mut self);
}

/// Prepares the process, before anything is opened. `no_memory` is called while there is no memory.
pub(super) fn prepare(no_memory: fn(u32)) {
    // If stderr is closed, a log file must not get its number: lines that are meant for stderr would go there. Without /dev/null there is no
    // remedy.
    let _ = fd::fill_standard();
    // If the parent ignored SIGCHLD, every processor would seem to fail. This call cannot fail for that signal.
    let _ = sys::signals::set_default(Signal::SIGCHLD);
    // Lines that are not written yet must not be lost because nobody reads stderr, or because of a limit on file sizes.
    sys::signals::survive_writes();
    // Nor because the reader of stderr does not read.
    cli::write_errors_with(fd::write_stderr_at_once);
    sys::arena::without_memory(no_memory);
    // Without its logger, a service that writes to it would block. If lowering the score is not permitted, nothing
    // changes.
    let _ = sys::oom::lower();
}

/// The error of a logger that cannot begin.
pub(super) fn unable(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Failed(text, reason) => Err::<(), _>(reason).context(Text(text)).expect_err("it is one"),
        OpenError::Ended => cli::Exit(cli::TEMPORARY).into(),
    }
}

/// Prints a message.
pub(super) fn report(voice: Voice, level: Level, text: &[u8], reason: Option<&io::Error>) {
    let level = match level {
        Level::Fatal => "fatal: ",
        Level::Warning => "warning: ",
        Level::Pausing => "pausing: ",
        Level::Info => "info: ",
    };
    match reason {
        Some(reason) => voice.say(&[&level, &text, &": ", &cli::reason(reason).as_ref()]),
        None => voice.say(&[&level, &text]),
    }
}

/// Copies the input to a destination until its end, or until a line end after TERM. `feed` gets each block with the time at which it was read.
///
/// # Errors
/// That of the read which failed; all that was read before was fed.
pub(super) fn copy<D: Destination>(
    engine: &mut Engine<D::Rules>,
    outputs: &mut D,
    input: &Input,
    mut feed: impl FnMut(&mut Engine<D::Rules>, &mut [u8], Label, &mut D),
) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK);
    while read(engine, outputs, input, &mut block)? {
        // The clock is read once for all lines of one read.
        let (seconds, nanos) = clock::wall();
        feed(engine, &mut block, Label::from_unix(seconds, nanos), outputs);
        outputs.flush();
        if block.len() < SHORT {
            thread::yield_now();
        }
    }
    Ok(())
}

/// Reads a block. Returns `false` at the end of input, and at a line end after TERM.
fn read<D: Destination>(
    engine: &mut Engine<D::Rules>,
    outputs: &mut D,
    input: &Input,
    block: &mut Vec<u8>,
) -> io::Result<bool> {
    loop {
        outputs.obey(engine);
        let ending = outputs.patience().ending();
        if ending && engine.at_line_start() {
            return Ok(false);
        }
        // Only where a file grows older is there something to wait for beside input and signals, for which the read below waits alone.
        if let left @ Some(_) = outputs.expire()
            && !wait(outputs, left)
        {
            continue;
        }
        // After TERM, do not read beyond the end of the line: the rest is for the next reader.
        let limit = if ending { 1 } else { at_once(outputs.room(), engine.stamps()) };
        match input.read_onto(block, limit) {
            Ok(Some(count)) => return Ok(count > 0),
            Ok(None) => outputs.patience().hear(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = outputs.expire();
                wait(outputs, left);
            }
            Err(error) => return Err(error),
        }
    }
}

/// How many bytes to read: no more than fit into the current file. Finishing a file takes long, and if the logger is killed then,
/// it loses what it has read.
fn at_once(room: u64, stamps: bool) -> usize {
    // With stamps there is more to write than to read, though less than twice as much: most lines are longer than a
    // stamp.
    let room = if stamps { room / 2 } else { room };
    usize::try_from(room).unwrap_or(BLOCK).clamp(LEAST, BLOCK)
}

/// Waits for a signal, for input, or until a time in nanoseconds is over. Returns whether there may be input, and no signal.
fn wait(outputs: &mut impl Destination, limit: Option<u64>) -> bool {
    let patience = outputs.patience();
    match poll::readable([patience.fd(), fd::stdin()], patience.timeout(limit)) {
        Ok([true, _]) => patience.hear(),
        Ok([false, _]) if patience.came() => patience.hear(),
        Ok([false, input]) => return input,
        Err(_) => poll::rest(),
    }
    false
}
