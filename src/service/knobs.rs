//! The knobs of a service directory that hold one value: how each is read and judged, and what holds where that cannot be used.
//!
//! supervise reads a knob when it needs it ([`Knob::read`]). Who shows what is wrong with a directory reads all of them ([`wrong`]), in the same way, so that the two
//! do not disagree.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::path::Path;

use cli::{Text, reason, text};
use machine::Signal;
use machine::supervise::restarts::Limit;
use svdir::finals::{self, Finals};
use svdir::knob::{self, Named, Unit, Wrong as Unfit};
use svdir::tally::MOST;
use svdir::{KillMode, UnknownKillMode, names, stored};
use sys::process::Pid;
use sys::{fd, identity, proc, process};

use super::facts::Facts;

/// Makes the value of a knob from what its file holds. The error is the text that says why that is none.
pub type Parse<T> = fn(&[u8]) -> Result<T, &'static str>;

/// A file with a value.
pub struct Knob<P> {
    /// Its name in the service directory.
    pub name: &'static str,
    /// What holds where the value cannot be used, for messages.
    pub default: &'static str,
    parse: P,
}

/// A time with a default, where a number without a unit counts milliseconds, as with s6.
type Time = Knob<Parse<u64>>;

/// `down-signal`: the signal that ends the service.
pub const DOWN_SIGNAL: Knob<Parse<Signal>> = Knob { name: names::DOWN_SIGNAL, default: "TERM", parse: signal };
/// `reload-signal`: the signal that makes the service read its configuration again.
pub const RELOAD_SIGNAL: Knob<Parse<Signal>> = Knob { name: names::RELOAD_SIGNAL, default: "HUP", parse: signal };
/// `timeout-kill`: how long the service may take to end, in nanoseconds; 0 for no limit.
pub const TIMEOUT_KILL: Time = Knob { name: names::TIMEOUT_KILL, default: "none", parse: milliseconds };
/// `timeout-ready`: how long a copy that says when it is ready may take for that, in nanoseconds; 0 for no limit.
pub const TIMEOUT_READY: Time = Knob { name: names::TIMEOUT_READY, default: "60s", parse: milliseconds };
/// `warmup`: how long a new copy that does not say when it is ready must live, in nanoseconds.
pub const WARMUP: Time = Knob { name: names::WARMUP, default: "1s", parse: milliseconds };
/// `timeout-finish`: how long `finish` or `stop` may take, in nanoseconds; 0 for no limit.
pub const TIMEOUT_FINISH: Time = Knob { name: names::TIMEOUT_FINISH, default: "5s", parse: milliseconds };
/// `watchdog`: the time within which the service says that it is alive, in nanoseconds; 0 for no watchdog.
pub const WATCHDOG: Time = Knob { name: names::WATCHDOG, default: "none", parse: milliseconds };
/// `backoff`: the longest pace, in nanoseconds.
pub const BACKOFF: Time = Knob { name: names::BACKOFF, default: "1s", parse: with_unit };
/// `health-interval`: the time from one run of `health` to the next, in nanoseconds.
pub const HEALTH_INTERVAL: Time = Knob { name: names::HEALTH_INTERVAL, default: "30s", parse: interval };
/// `health-fails`: how many runs of `health` must fail in a row.
pub const HEALTH_FAILS: Knob<Parse<u8>> = Knob { name: names::HEALTH_FAILS, default: "3", parse: times };
/// `fd-store`: how many descriptors are kept for the service.
pub const FD_STORE: Knob<Parse<usize>> = Knob { name: names::FD_STORE, default: "none", parse: descriptors };
/// `final-exits`: which ends of `run` are final.
pub const FINAL_EXITS: Knob<Parse<Finals>> = Knob { name: names::FINAL_EXITS, default: "none", parse: ends };
/// `max-restarts`: how often `run` may end in how much time.
pub const MAX_RESTARTS: Knob<Parse<Limit>> = Knob { name: names::MAX_RESTARTS, default: "no limit", parse: rate };
/// `max-death-tally`: how many ends of `run` are kept.
pub const MAX_DEATH_TALLY: Knob<Parse<u16>> = Knob { name: names::MAX_DEATH_TALLY, default: "none", parse: tally };

/// `notification-fd`: the descriptor on which the service says that it is ready. `limit` is that of supervise on open files.
pub const fn notification_fd(limit: u64) -> Knob<impl Fn(&[u8]) -> Result<RawFd, &'static str>> {
    let parse = move |bytes: &[u8]| match knob::descriptor(bytes).map_err(Unfit::reason)? {
        0 => Err("it is stdin"),
        number if u64::from(number.unsigned_abs()) >= limit => Err("past the limit on descriptors"),
        number => Ok(number),
    };
    Knob { name: names::NOTIFICATION_FD, default: "none", parse }
}

impl<P> Knob<P> {
    /// Reads the knob of the current directory.
    ///
    /// # Errors
    /// NotFound if there is no such file; otherwise why it cannot be used.
    pub fn read<T>(&self) -> io::Result<T>
    where
        P: Fn(&[u8]) -> Result<T, &'static str>,
    {
        read(self.name).and_then(|bytes| (self.parse)(&bytes).map_err(io::Error::other))
    }
}

/// Reads a file, up to one byte more than the longest file may have, so that a longer one is noticed. Not inlined:
/// the buffer must not be on the stack of a supervise whose service has no such file.
#[inline(never)]
fn read(name: &str) -> io::Result<Vec<u8>> {
    let file = fd::open_read(Path::new(name))?;
    let mut bytes = [0; finals::LONGEST + 1];
    let count = fd::read(file.as_fd(), &mut bytes)?;
    Ok(bytes.get(..count).unwrap_or_default().to_vec())
}

/// Reads `kill-mode` of the current directory, which is there.
///
/// # Errors
/// Why it says nothing that can be done.
pub fn kill_mode() -> Result<KillMode, Wrong> {
    let wrong = |value: &[u8], why: &str| Wrong::new(names::KILL_MODE, value, why, None);
    let bytes = read(names::KILL_MODE).map_err(|error| Wrong::unread(names::KILL_MODE, &error, None))?;
    KillMode::parse(&bytes).map_err(|unknown| match unknown {
        UnknownKillMode::Word(word) => wrong(word, "not known"),
        UnknownKillMode::NoWord(why) => wrong(b"", why.reason()),
    })
}

/// What is wrong with a directory that has `flag-newpidns`.
pub fn no_pid_namespace() -> Wrong {
    Wrong::new(names::FLAG_NEWPIDNS, b"", &format!("not supported, see {}", names::KILL_MODE), None)
}

/// Why a limit is never reached, given the pace whose longest is `backoff`. None if it may be.
pub fn never_reached(limit: Limit, backoff: Option<u64>) -> Option<String> {
    let least = limit.least(backoff);
    (least > limit.within).then(|| {
        let with =
            backoff.map_or_else(String::new, |longest| format!(" with {} {}", names::BACKOFF, knob::shown(longest)));
        format!("it is never reached{with}, since {} ends take at least {}", limit.times, knob::shown(least))
    })
}

/// A file that says nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its name in the service directory.
    pub name: &'static str,
    /// What it says, as it is; empty if that is nothing, or not known.
    pub value: Vec<u8>,
    /// Why that cannot be done.
    pub why: String,
    /// What holds in its place. None for what does not come about, and for a file that holds the next start back.
    pub holds: Option<&'static str>,
    /// It may not be read by who has looked. Another user may read it.
    pub is_hidden: bool,
}

impl Wrong {
    /// How much is shown of a value, in bytes.
    const SHOWN: usize = knob::LONGEST;

    fn new(name: &'static str, value: &[u8], why: &str, holds: Option<&'static str>) -> Wrong {
        let end = value.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1);
        Wrong { name, value: value[..end].to_vec(), why: why.to_owned(), holds, is_hidden: false }
    }

    fn unread(name: &'static str, error: &io::Error, holds: Option<&'static str>) -> Wrong {
        let is_hidden = error.kind() == io::ErrorKind::PermissionDenied;
        Wrong { is_hidden, ..Wrong::new(name, b"", &reason(error), holds) }
    }

    /// The reason for which the service is not started, as supervise gives it.
    pub fn reason(&self) -> Text {
        if self.value.is_empty() {
            return text!(self.name, ": ", self.why.as_str());
        }
        // A zero would end the reason in the record.
        let word: Vec<u8> = self.value.iter().map(|&byte| if byte == 0 { b'?' } else { byte }).collect();
        text!(self.name, ": ", word.as_slice(), ": ", self.why.as_str())
    }

    /// All of it as a text without characters that a terminal or a script could take for more: the name, the value, why, and what holds.
    pub fn shown(&self) -> String {
        let mut shown = format!("{}: ", self.name);
        if !self.value.is_empty() {
            let (start, rest) = self.value.split_at(self.value.len().min(Wrong::SHOWN));
            shown += &format!("{}{}: ", start.escape_ascii(), if rest.is_empty() { "" } else { "..." });
        }
        shown += &self.why;
        if let Some(holds) = self.holds {
            shown += &format!(" ({holds} holds)");
        }
        shown
    }
}

/// The limit of a process on open files; `None` if it has none, or that is not known.
pub fn open_files(pid: Pid) -> Option<u64> {
    // There are some twenty lines.
    let mut text = [0; 4096];
    let text = fd::read_file(&*format!("/proc/{pid}/limits"), &mut text).ok()?;
    let limits = std::str::from_utf8(text).ok()?.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // One that is no number is no limit.
    limits.split_ascii_whitespace().next()?.parse().ok()
}

/// Reads every knob of the current directory, each once, and returns what is wrong with them. `limit` is that of supervise on open files.
pub fn wrong(limit: u64) -> Vec<Wrong> {
    let mut found = Vec::new();
    judge(&DOWN_SIGNAL, &mut found);
    judge(&RELOAD_SIGNAL, &mut found);
    judge(&TIMEOUT_KILL, &mut found);
    judge(&notification_fd(limit), &mut found);
    judge(&FD_STORE, &mut found);
    judge(&WATCHDOG, &mut found);
    judge(&TIMEOUT_READY, &mut found);
    judge(&WARMUP, &mut found);
    judge(&TIMEOUT_FINISH, &mut found);
    judge(&FINAL_EXITS, &mut found);
    let backoff = judge(&BACKOFF, &mut found).map(|(longest, _)| longest);
    if let Some((limit, value)) = judge(&MAX_RESTARTS, &mut found)
        && let Some(why) = never_reached(limit, backoff)
    {
        found.push(Wrong::new(MAX_RESTARTS.name, &value, &why, None));
    }
    // What asks for isolation and cannot be read must not be taken for absent, and neither must a link that leads nowhere.
    let is_asked =
        |name| std::fs::symlink_metadata(name).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true);
    if is_asked(names::KILL_MODE) {
        found.extend(kill_mode().err());
    }
    if is_asked(names::FLAG_NEWPIDNS) {
        found.push(no_pid_namespace());
    }
    judge(&MAX_DEATH_TALLY, &mut found);
    judge(&HEALTH_INTERVAL, &mut found);
    judge(&HEALTH_FAILS, &mut found);
    found
}

/// The knobs of the current directory that cannot be used, as its supervise finds them too, but for what its `facts` say already.
pub fn wrong_for(facts: &Facts) -> Vec<Wrong> {
    let supervise = Pid::from_raw(facts.author().0.cast_signed());
    let mut wrong = wrong(open_files(supervise).unwrap_or(u64::MAX));
    // What this user may not read says nothing about one who may.
    let is_another = proc::users(supervise).is_some_and(|[_, effective, ..]| effective != identity::effective_user());
    wrong.retain(|wrong| !(wrong.is_hidden && is_another || facts.gives(&wrong.reason().0)));
    wrong
}

/// Reads a knob, and adds it to what was `found` if it cannot be used. Returns its value and what stands in the file.
fn judge<T, P: Fn(&[u8]) -> Result<T, &'static str>>(knob: &Knob<P>, found: &mut Vec<Wrong>) -> Option<(T, Vec<u8>)> {
    match read(knob.name) {
        Ok(bytes) => match (knob.parse)(&bytes) {
            Ok(value) => return Some((value, bytes)),
            Err(why) => found.push(Wrong::new(knob.name, &bytes, why, Some(knob.default))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => found.push(Wrong::unread(knob.name, &error, Some(knob.default))),
    }
    None
}

fn number_of(signal: Named<'_>) -> Option<u8> {
    match signal {
        Named::Number(number) => Some(number).filter(|&number| process::is_signal(number)),
        Named::Name(name) => process::signal_named(name),
    }
}

fn signal(bytes: &[u8]) -> Result<Signal, &'static str> {
    knob::signal(bytes, number_of).map(Signal).map_err(Unfit::reason)
}

fn ends(bytes: &[u8]) -> Result<Finals, &'static str> {
    Finals::parse(bytes, number_of).map_err(Unfit::reason)
}

fn milliseconds(bytes: &[u8]) -> Result<u64, &'static str> {
    knob::duration(bytes, Unit::Milliseconds).map_err(Unfit::reason)
}

fn with_unit(bytes: &[u8]) -> Result<u64, &'static str> {
    knob::duration(bytes, Unit::Nothing).map_err(Unfit::reason)
}

fn interval(bytes: &[u8]) -> Result<u64, &'static str> {
    match with_unit(bytes)? {
        0 => Err("there must be some time between two runs"),
        interval => Ok(interval),
    }
}

fn rate(bytes: &[u8]) -> Result<Limit, &'static str> {
    let (times, within) = knob::rate(bytes).map_err(Unfit::reason)?;
    Ok(Limit { times, within })
}

fn times(bytes: &[u8]) -> Result<u8, &'static str> {
    let number = knob::descriptor(bytes).map_err(Unfit::reason)?;
    u8::try_from(number).ok().filter(|&times| times > 0).ok_or("not a number from 1 to 255")
}

fn tally(bytes: &[u8]) -> Result<u16, &'static str> {
    let number = knob::descriptor(bytes).map_err(Unfit::reason)?;
    u16::try_from(number).ok().filter(|&most| most <= MOST).ok_or("not a number from 0 to 4096")
}

fn descriptors(bytes: &[u8]) -> Result<usize, &'static str> {
    let number = knob::descriptor(bytes).map_err(Unfit::reason)?;
    usize::try_from(number).ok().filter(|most| (1..=stored::MOST).contains(most)).ok_or("not a number from 1 to 256")
}
