//! `svc`: writes command letters to the supervise of each service directory. Unless it is asked to, it waits for no effect, and a
//! service that it cannot reach is a warning, not a failure: boot scripts call it on whatever a pattern matched.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cli::{LongWords, Options, WrongWord, text};
use machine::wait::Wanted;
use svdir::knob::{self, Unit};
use svdir::{Command, names};
use sys::limits::{self, Resource};
use sys::process::Signal;

use crate::service::{files, running};

use super::Home;
use super::wait::Waiting;

const PROGRAM: cli::Program = cli::Program {
    name: "svc",
    synopsis: "[-udopchaitkxq12wrR] [--reload] [--reexec] [--wait=state] [--timeout=time] service ...",
    usage: "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill, \
            q quit, 1 usr1, 2 usr2, w winch, r restart, R replace, --reload, --reexec, --wait=state, --timeout=time",
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
        ("-R", "replace: start a new copy, and end the old one when the new one is ready"),
        ("--reload", "send the service's reload-signal"),
        ("--reexec", "upgrade: supervise becomes the program that now has its name; the service does not notice"),
        ("--wait=state", "wait until each service is up, down, ready or replaced; exit 1 if one will not be"),
        ("--timeout=time", "how long to wait: seconds, or a number with ms, s, m or h; default: for ever"),
        (
            "service",
            "A service directory; one that cannot be reached is a warning, and the exit code is 0 unless it is waited for",
        ),
    ],
};

/// Every command that has a letter of its own, for the option scanner.
const LETTERS: &str = "udopchaitkxq12wrR";

/// Options without a letter. A byte that none of them sends stands for each.
const WAIT: u8 = b'W';
const TIMEOUT: u8 = b'T';
const LONG: LongWords = LongWords::Known(&[
    ("reload", Command::Reload.letter()),
    ("reexec", svdir::UPGRADE),
    ("wait=", WAIT),
    ("timeout=", TIMEOUT),
]);

/// The exit code if a service is not where it was waited for.
const NOT_THERE: u8 = 1;

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    // A supervise that leaves before it has read the letters shall be a warning.
    sys::signals::ignore(Signal::SIGPIPE)?;
    let mut options = Options::new(call.words(), LETTERS, LONG);
    let asked = Asked::read(&mut options)?;
    let mut waiting = asked.wait.map(|wanted| Waiting::new(PROGRAM.voice(), wanted, asked.timeout));
    if waiting.is_some() {
        allow_many_files();
    }
    let home = Home::open()?;
    for dir in options.operands() {
        let dir = Path::new(dir);
        let there = || match &mut waiting {
            None => control(dir, &asked.letters),
            Some(waiting) => control_and_wait(dir, &asked.letters, waiting),
        };
        if let Err(error) = home.visit(dir, there)? {
            PROGRAM.voice().warning(&text!("unable to chdir to ", dir), &error);
            waiting.iter_mut().for_each(Waiting::fail);
        }
    }
    Ok(if waiting.is_none_or(Waiting::wait) { 0 } else { NOT_THERE })
}

/// Each service that is waited for takes descriptors. The soft limit is there for programs that cannot deal with high ones, and nothing is
/// started here. Where it cannot be raised, some services may get a warning.
fn allow_many_files() {
    let files = Resource::RLIMIT_NOFILE;
    let _ = limits::get(files).and_then(|limit| limits::set_soft(files, limit.hard));
}

/// What the options ask for.
#[derive(Default)]
struct Asked {
    /// In order of appearance, each once.
    letters: Vec<u8>,
    wait: Option<Wanted>,
    /// In nanoseconds.
    timeout: Option<u64>,
}

impl Asked {
    fn read(options: &mut Options) -> anyhow::Result<Asked> {
        let mut asked = Asked::default();
        while let Some((letter, value)) = options.next()? {
            match letter {
                WAIT => asked.wait = Some(state(value)?),
                TIMEOUT => asked.timeout = Some(time(value)?),
                letter if !asked.letters.contains(&letter) => asked.letters.push(letter),
                _ => {}
            }
        }
        Ok(asked)
    }
}

fn state(name: &[u8]) -> Result<Wanted, WrongWord> {
    Wanted::from_name(name)
        .ok_or_else(|| WrongWord(text!("unknown state ", name, ": neither up, down, ready nor replaced")))
}

/// In nanoseconds.
fn time(value: &[u8]) -> Result<u64, WrongWord> {
    knob::duration(value, Unit::Seconds).map_err(|why| WrongWord(text!("wrong time ", value, ": ", why.reason())))
}

/// Sends the letters to the supervise of the current directory, which messages call `dir`.
fn control(dir: &Path, letters: &[u8]) {
    if let Some(fifo) = reach(dir) {
        deliver(dir, &fifo, letters);
    }
}

/// The same, for who waits for what becomes of it.
fn control_and_wait(dir: &Path, letters: &[u8], waiting: &mut Waiting) {
    let Some(fifo) = reach(dir) else {
        return waiting.fail();
    };
    let watched = match waiting.watch() {
        Ok(watched) => watched,
        Err(why) => {
            PROGRAM.voice().warn(&text!("unable to wait for ", dir, ": ", why.0.as_slice()));
            return waiting.fail();
        }
    };
    let commanded = !letters.is_empty();
    let bytes = if commanded { [letters, &waiting.mark()].concat() } else { Vec::new() };
    if deliver(dir, &fifo, &bytes) {
        waiting.add(dir, watched, fifo, commanded);
    } else {
        waiting.fail();
    }
}

/// The control FIFO of the current directory; `None` if nobody can be reached there, which is said.
fn reach(dir: &Path) -> Option<File> {
    let voice = PROGRAM.voice();
    let unable = |why: &str| text!("unable to control ", dir, why);
    match open_control() {
        Ok(Some(fifo)) => return Some(fifo),
        // Commands written there would reach nobody, or spoil the file.
        Ok(None) => voice.warn(&unable(": supervise/control is not a FIFO")),
        Err(error) if super::has_no_reader(&error) => voice.warn(&unable(": supervise not running")),
        Err(error) => voice.warning(&unable(""), &error),
    }
    None
}

/// The control FIFO, open; `None` if the file is something else.
fn open_control() -> io::Result<Option<File>> {
    let file = sys::fd::open_write(&*files::here(names::CONTROL))?;
    if let Some(owner) = running::owner(Path::new(".")) {
        return Err(running::shared(&owner));
    }
    Ok(sys::fd::is_fifo(&file)?.then_some(file))
}

/// Sends the letters. Whether that was possible; if not, it is said.
fn deliver(dir: &Path, fifo: &File, letters: &[u8]) -> bool {
    let sent = send(fifo, letters);
    if let Err(error) = &sent {
        PROGRAM.voice().warning(&text!("error writing commands to ", dir), error);
    }
    sent.is_ok()
}

/// In one write, so that nobody else's letters come between them. Waits while the FIFO is full.
fn send(fifo: &File, letters: &[u8]) -> io::Result<()> {
    sys::fd::set_blocking(fifo.as_fd())?;
    sys::fd::write_all(fifo.as_fd(), letters)
}
