//! `svc`: writes command letters to the supervise of each service directory. Without `--wait` it does not wait for their effect, and a
//! service that cannot be reached is a warning, not a failure: boot scripts call svc on whatever a pattern has matched.

use std::fs::File;
use std::io;
use std::path::Path;

use cli::{LongWords, Options, WrongWord, text};
use machine::wait::Wanted;
use svdir::Command;
use svdir::knob::{self, Unit};
use sys::process::Signal;

use crate::service::client;
use crate::service::home::Home;
use crate::service::wait::allow_many_files;

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
        ("-x", "exit: supervise exits as soon as the service is down"),
        ("-q", "send QUIT"),
        ("-1", "send USR1"),
        ("-2", "send USR2"),
        ("-w", "send WINCH"),
        ("-r", "restart: send the service's down-signal, and KILL when its timeout-kill is over"),
        ("-R", "replace: start a new copy, and end the old one when the new one is ready"),
        ("--reload", "send the service's reload-signal"),
        ("--reexec", "upgrade: supervise executes the file that now has its name; the service does not notice"),
        ("--wait=state", "wait until each service is up, down, ready or replaced; exit 1 if one cannot get there"),
        ("--timeout=time", "how long to wait: seconds, or a number with ms, s, m or h; default: for ever"),
        ("service", "a service directory; if it cannot be reached, svc warns, and with --wait exits 1"),
    ],
};

/// The letters of all commands that have one, for the option scanner.
const LETTERS: &str = "udopchaitkxq12wrR";

/// The byte that stands for `--wait`, which has no letter. No command has this byte.
const WAIT: u8 = b'W';
/// The byte that stands for `--timeout`.
const TIMEOUT: u8 = b'T';
/// The options that have no letter, and the byte that stands for each.
const LONG: LongWords = LongWords::Known(&[
    ("reload", Command::Reload.letter()),
    ("reexec", svdir::UPGRADE),
    ("wait=", WAIT),
    ("timeout=", TIMEOUT),
]);

/// The exit code if a service does not get to the state that was waited for.
const NOT_THERE: u8 = 1;

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    // If a supervise exits before it has read the letters, that is a warning, not the end of svc.
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

/// The parsed options.
#[derive(Default)]
struct Asked {
    /// The letters to send, in order of appearance, each once.
    letters: Vec<u8>,
    wait: Option<Wanted>,
    /// How long to wait, in nanoseconds; for ever if `None`.
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

/// Parses the value of `--wait`.
fn state(name: &[u8]) -> Result<Wanted, WrongWord> {
    Wanted::from_name(name)
        .ok_or_else(|| WrongWord(text!("unknown state ", name, ": neither up, down, ready nor replaced")))
}

/// Parses the value of `--timeout` into nanoseconds.
fn time(value: &[u8]) -> Result<u64, WrongWord> {
    knob::duration(value, Unit::Seconds).map_err(|why| WrongWord(text!("wrong time ", value, ": ", why.reason())))
}

/// Sends the letters to the supervise of the current directory, which messages call `dir`.
fn control(dir: &Path, letters: &[u8]) {
    if let Some(fifo) = reach(dir) {
        was_sent(dir, client::send(&fifo, letters));
    }
}

/// Sends the letters as [`control`] does, and adds the service to those that are waited for.
fn control_and_wait(dir: &Path, letters: &[u8], waiting: &mut Waiting) {
    let Some(fifo) = reach(dir) else {
        return waiting.fail();
    };
    match waiting.send(dir, fifo, letters) {
        Ok(sent) => {
            if !was_sent(dir, sent) {
                waiting.fail();
            }
        }
        Err(why) => {
            PROGRAM.voice().warn(&text!("unable to wait for ", dir, ": ", why.0.as_slice()));
            waiting.fail();
        }
    }
}

/// Opens the control FIFO of the current directory. If no supervise can be reached there, says so and returns `None`.
fn reach(dir: &Path) -> Option<File> {
    let fifo = client::reach();
    if let Err(why) = &fifo {
        PROGRAM.voice().warn(&text!("unable to control ", dir, ": ", why.reason().as_ref()));
    }
    fifo.ok()
}

/// Returns whether letters could be sent, and warns if not.
fn was_sent(dir: &Path, sent: io::Result<()>) -> bool {
    if let Err(error) = &sent {
        PROGRAM.voice().warning(&text!("error writing commands to ", dir), error);
    }
    sent.is_ok()
}
