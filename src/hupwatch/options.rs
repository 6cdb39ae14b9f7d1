//! The options of hupwatch.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cli::{Call, LongWords, Options, Program, Text, Usage, Word, WrongWord, text};
use machine::SECOND;
use machine::hupwatch::Plan;
use machine::overlap::{Readiness, Settings};
use svdir::Listener;
use svdir::knob::{self, Unit};
use svdir::listener::LARGEST_FD;

/// What hupwatch is called with.
pub const PROGRAM: Program = Program {
    name: "hupwatch",
    synopsis: "[-vk] [-w sec] [option ...] -- command [argument ...]",
    usage: "hupwatch: usage: hupwatch [-vk] [-w sec] [option ...] -- command [argument ...]",
    usage_exit: cli::USAGE,
    about: "Runs a command, and replaces it on HUP by a new copy: the old copy is sent TERM when the new one is ready, and goes on if the new one does not get ready.",
    options: &[
        ("-v, --verbose", "say more on stderr: errors; twice: warnings; three times: everything"),
        ("-w, --warmup-time sec", "how long a new copy must live before the old one is sent TERM (default 1)"),
        (
            "-k, --kill-at-exit",
            "end the command and its process group when hupwatch ends: TERM, and KILL after the grace",
        ),
        (
            "--listen address",
            "open a socket once and hand it to every copy: tcp:HOST:PORT, udp:HOST:PORT or unix:PATH, with options after commas: mode=, owner=, group=, backlog=, reuseport, fd=; may be repeated",
        ),
        (
            "--ready how",
            "how a new copy says that it is ready, in place of the warm-up time: fd:N, it writes a newline to descriptor N; notify, it says so by sd_notify; check:COMMAND, that command succeeds",
        ),
        ("--ready-timeout sec", "give up a new copy that is not ready by then (default 60)"),
        (
            "--grace sec",
            "send KILL to a copy that has not ended this long after TERM (default: never to an old copy, 10 for all others)",
        ),
        ("--pidfile path", "keep hupwatch's pid in this file while it runs"),
        ("--compat", "exit 0 when the command ends, whatever its exit code"),
        ("-h", "the same as --help"),
        ("command", "the program to run"),
        ("argument ...", "its arguments"),
    ],
};

/// The grace without `--grace`, in nanoseconds, for a new copy that was given up, and with kill-at-exit for the copy that
/// serves.
const GRACE: u64 = 10 * SECOND;
const WARM_UP: u64 = SECOND;
const READY_TIMEOUT: u64 = 60 * SECOND;

/// The parsed options.
pub(super) struct Settled {
    /// How often `-v` was given.
    pub verbose: u8,
    pub plan: Plan,
    pub listeners: Vec<Listener>,
    pub ready: Ready,
    pub pidfile: Option<PathBuf>,
    /// The exit code of the command is not passed on.
    pub compat: bool,
    pub command: Vec<Word>,
}

/// How a copy says that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// It does not say so, and is taken for ready after the warm-up time.
    WarmUp,
    /// By a newline on this descriptor.
    Descriptor(RawFd),
    /// By sd_notify.
    Notify,
    /// A command is run until it succeeds.
    Check(OsString),
}

const LONG: LongWords = LongWords::Known(&[
    ("verbose", b'v'),
    ("warmup-time=", b'w'),
    ("kill-at-exit", b'k'),
    ("listen=", b'L'),
    ("ready=", b'R'),
    ("ready-timeout=", b'T'),
    ("grace=", b'G'),
    ("pidfile=", b'P'),
    ("compat", b'C'),
    ("help", b'h'),
]);

/// Reads the words. `None` if help was asked for.
///
/// # Errors
/// An error that [`cli::Program::run`] turns into the usage line, or [`cli::Exit`] if a message was printed.
pub(super) fn read(call: &Call) -> anyhow::Result<Option<Settled>> {
    let words = call.words();
    // The first `--`, wherever it is, as in the original.
    let cut = words.iter().position(|&word| word == "--");
    let (own, command) = cut.map_or((words, &[][..]), |cut| (&words[..cut], &words[cut + 1..]));
    let (mut verbose, mut warm_up, mut kill, mut compat) = (0_u8, WARM_UP, false, false);
    let (mut listeners, mut ready, mut ready_timeout) = (Vec::new(), Ready::WarmUp, READY_TIMEOUT);
    let (mut grace, mut pidfile) = (None, None);
    let mut options = Options::new(own, "vw:kh", LONG);
    while let Some((letter, value)) = options.next()? {
        match letter {
            b'v' => verbose = verbose.saturating_add(1),
            b'w' => warm_up = duration(value)?,
            b'k' => kill = true,
            b'L' => listeners.push(listener(value)?),
            b'R' => ready = readiness(value)?,
            b'T' => ready_timeout = duration(value)?,
            b'G' => grace = Some(duration(value)?),
            b'P' => pidfile = Some(PathBuf::from(OsStr::from_bytes(value))),
            b'C' => compat = true,
            _ => return Ok(None),
        }
    }
    if !options.operands().is_empty() || command.is_empty() {
        return Err(Usage.into());
    }
    let readiness = match ready {
        Ready::WarmUp => Readiness::WarmUp(warm_up),
        Ready::Descriptor(_) | Ready::Notify | Ready::Check(_) => Readiness::Declared(Some(ready_timeout)),
    };
    let settings = Settings { readiness, grace, give_up_grace: Some(grace.unwrap_or(GRACE)) };
    let plan = Plan { settings, kill_at_exit: kill.then_some(grace.unwrap_or(GRACE)) };
    Ok(Some(Settled { verbose, plan, listeners, ready, pidfile, compat, command: command.to_vec() }))
}

/// Prints what is wrong with a word of the command line, and returns the error to exit with.
pub(super) fn wrong(text: Text) -> anyhow::Error {
    WrongWord(text).into()
}

fn listener(value: &[u8]) -> anyhow::Result<Listener> {
    Listener::from_argument(value)
        .map_err(|error| wrong(text!("wrong address ", value, ": ", error.to_string().as_str())))
}

fn readiness(value: &[u8]) -> anyhow::Result<Ready> {
    let unknown = || wrong(text!("wrong readiness ", value, ": neither fd:N, notify nor check:COMMAND"));
    if value == b"notify" {
        return Ok(Ready::Notify);
    }
    if let Some(command) = value.strip_prefix(b"check:").filter(|command| !command.is_empty()) {
        return Ok(Ready::Check(OsStr::from_bytes(command).into()));
    }
    let digits = value.strip_prefix(b"fd:").ok_or_else(unknown)?;
    // The pipe must not be the stdin of the copy, which could read nothing there.
    let number = knob::digits(digits).filter(|&number| number > 0).and_then(|number| RawFd::try_from(number).ok());
    number.filter(|&number| number <= LARGEST_FD).map(Ready::Descriptor).ok_or_else(unknown)
}

fn duration(value: &[u8]) -> anyhow::Result<u64> {
    knob::duration(value, Unit::Seconds).map_err(|why| wrong(text!("wrong time ", value, ": ", why.reason())))
}
