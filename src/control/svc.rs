//! `svc`: writes command letters to the supervise of each service directory. It waits for no effect, and a service that
//! it cannot reach is a warning, not a failure: boot scripts call it on whatever a pattern matched.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cli::{LongWords, Options, WrongOption, text};
use svdir::{Command, names};
use sys::process::Signal;

use super::Home;

const PROGRAM: cli::Program = cli::Program {
    name: "svc",
    synopsis: "[-udopchaitkxq12wr] [--reload] [--reexec] service ...",
    usage: "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill",
    usage_exit: cli::USAGE,
    about: "Sends commands to the supervise of each service directory, in the order of the options.",
    options: &[
        ("-u", "up: start the service if it is down, and again whenever it dies"),
        ("-d", "down: send TERM and CONT, and do not start it again"),
        ("-o", "once: start the service if it is down, and do not start it again"),
        ("-p", "pause: send STOP"),
        ("-c", "continue: send CONT"),
        ("-h", "send HUP"),
        ("-a", "send ALRM"),
        ("-i", "send INT"),
        ("-t", "send TERM"),
        ("-k", "send KILL"),
        ("-x", "exit: supervise leaves as soon as the service is down"),
        ("-q", "send QUIT"),
        ("-1", "send USR1"),
        ("-2", "send USR2"),
        ("-w", "send WINCH"),
        ("-r", "restart: send the service's down-signal, and KILL when its timeout-kill is over"),
        ("--reload", "send the service's reload-signal"),
        ("--reexec", "upgrade: supervise becomes the program that now has its name; the service does not notice"),
        (
            "service",
            "A service directory; one that cannot be reached is a warning, and the exit code is 0 all the same",
        ),
    ],
};

/// Every command that has a letter of its own, for the option scanner.
const LETTERS: &str = "udopchaitkxq12wr";

const LONG: LongWords = LongWords::Known(&[("reload", Command::Reload.letter()), ("reexec", svdir::UPGRADE)]);

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    // A supervise that leaves before it has read the letters shall be a warning.
    sys::signals::ignore(Signal::SIGPIPE)?;
    let mut options = Options::new(call.words(), LETTERS, LONG);
    let letters = letters(&mut options)?;
    let home = Home::open()?;
    for dir in options.operands() {
        let dir = Path::new(dir);
        match home.visit(dir, || control(dir, &letters))? {
            Ok(()) => {}
            Err(error) => PROGRAM.voice().warning(&text!("unable to chdir to ", dir), &error),
        }
    }
    Ok(0)
}

/// The letters in order of appearance, each once.
fn letters(options: &mut Options) -> Result<Vec<u8>, WrongOption> {
    let mut letters = Vec::new();
    while let Some((letter, _)) = options.next()? {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    Ok(letters)
}

/// Sends the letters to the supervise of the current directory, which messages call `dir`.
fn control(dir: &Path, letters: &[u8]) {
    let voice = PROGRAM.voice();
    let unable = |why: &str| text!("unable to control ", dir, why);
    match open_control() {
        Ok(Some(fifo)) => {
            if let Err(error) = send(&fifo, letters) {
                voice.warning(&text!("error writing commands to ", dir), &error);
            }
        }
        // Commands written there would reach nobody, or spoil the file.
        Ok(None) => voice.warn(&unable(": supervise/control is not a FIFO")),
        Err(error) if super::has_no_reader(&error) => voice.warn(&unable(": supervise not running")),
        Err(error) => voice.warning(&unable(""), &error),
    }
}

/// The control FIFO, open; `None` if the file is something else.
fn open_control() -> io::Result<Option<File>> {
    let file = sys::fd::open_write(Path::new(names::CONTROL))?;
    Ok(sys::fd::is_fifo(&file)?.then_some(file))
}

/// In one write, so that nobody else's letters come between them. Waits while the FIFO is full.
fn send(fifo: &File, letters: &[u8]) -> io::Result<()> {
    sys::fd::set_blocking(fifo.as_fd())?;
    sys::fd::write_all(fifo.as_fd(), letters)
}
