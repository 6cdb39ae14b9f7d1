//! `svscan --init`: what the first process of a container or of a machine has to do besides. It ends in order, and with the right code.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, LongWords, Options, Usage, text};
use machine::SECOND;
use svdir::Exit;
use sys::exec::{Prepared, c_string};
use sys::process::{self, Signal};
use sys::signals::Signals;

use super::svscan::VOICE;
use super::tick;

/// The signals that begin the stop, and the second time cut it short.
pub const STOP: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// How long the stop may take before anything is killed, in nanoseconds. Docker, Podman and the like send KILL after 10 seconds.
const GRACE: u64 = 8 * SECOND;
/// In a year every service has had its time.
const LONGEST_GRACE: f64 = 365.0 * 86_400.0;

/// How long what was left behind may take to die of KILL.
const LAST_LOOK: u64 = SECOND / 2;
/// A machine's svscan that cannot begin tries again so much later: it must not end.
const AGAIN: u64 = 5 * SECOND;

/// The options, and the letters that stand for them here.
const OPTIONS: &[(&str, u8)] =
    &[("init", b'i'), ("exit-with=", b'e'), ("grace=", b'g'), ("halt=", b'h'), ("state=", b's'), ("prefix", b'p')];

/// What svscan was called for.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The scan directory; the usual one if `None`.
    pub dir: Option<OsString>,
    /// Set if this is an init.
    pub init: Option<Init>,
    /// Where supervises have their files, if not in the service directories. Absolute.
    pub state: Option<PathBuf>,
    /// Whether the output of services without a logger gets their names.
    pub prefix: bool,
}

/// How an init ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// The service whose end is svscan's.
    pub exit_with: Option<OsString>,
    /// Nanoseconds from the beginning of the stop to the first KILL.
    pub grace: u64,
    /// What it becomes instead of ending.
    pub halt: Option<PathBuf>,
}

impl Default for Init {
    fn default() -> Init {
        Init { exit_with: None, grace: GRACE, halt: None }
    }
}

impl Arguments {
    /// Those of a call.
    ///
    /// # Errors
    /// [`Usage`], or a wrong option.
    pub fn of(call: &Call) -> anyhow::Result<Arguments> {
        let mut arguments = Arguments::default();
        if process::own_pid().as_raw() == 1 {
            arguments.init = Some(Init::default());
        }
        // The original has no options: unless it is one of ours, whatever begins with dashes is a directory.
        let long = call.words().first().is_some_and(|word| is_option(word));
        let mut options = Options::new(if long { call.words() } else { &[] }, "", LongWords::Known(OPTIONS));
        while let Some((option, value)) = options.next()? {
            let value = OsStr::from_bytes(value);
            if option == b'p' {
                arguments.prefix = true;
                continue;
            }
            if option == b's' {
                let state = std::path::absolute(value).with_context(|| text!("unable to find ", value))?;
                arguments.state = Some(state);
                continue;
            }
            let init = arguments.init.get_or_insert_default();
            match option {
                b'e' => init.exit_with = Some(value.to_os_string()),
                b'g' => init.grace = grace(value).ok_or(Usage)?,
                b'h' => init.halt = Some(value.into()),
                _ => {}
            }
        }
        let operands = if long { options.operands() } else { call.words() };
        arguments.dir = operands.first().map(|word| word.to_os_string());
        Ok(arguments)
    }
}

/// Whether `word` is an option of ours, whatever its value.
fn is_option(word: &OsStr) -> bool {
    let name = word.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
    OPTIONS.iter().any(|(option, _)| name.strip_prefix(b"--") == Some(option.trim_end_matches('=').as_bytes()))
}

/// Seconds, in decimal notation, as nanoseconds.
fn grace(seconds: &OsStr) -> Option<u64> {
    let text = seconds.to_str()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    (seconds <= LONGEST_GRACE).then_some((seconds * SECOND as f64) as u64)
}

/// The code of a process's end, as a shell gives it.
pub fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128_u8.saturating_add(signal),
        Exit::Unknown => cli::TEMPORARY,
    }
}

/// All services are gone. Ends what they have left behind, collects it, and becomes `halt` if there is one. Returns if there is none, or
/// tries for ever.
pub fn end(signals: &Signals, halt: Option<&Path>) {
    // As process 1 this one takes everything with it when it ends, quicker than it could do that itself.
    let first = process::own_pid().as_raw() == 1;
    if first && halt.is_none() {
        return;
    }
    kill_leftovers(signals, first);
    let Some(halt) = halt else {
        return;
    };
    loop {
        let argv: [CString; 1] = [c_string(halt.as_os_str())];
        let failed = Prepared::new(&argv, None).exec(&argv[0]);
        VOICE.warning(&text!("unable to start ", halt, ", trying again in 5 seconds"), &failed);
        let until = tick().after(AGAIN);
        while tick() < until {
            reap(signals, tick().until(until));
        }
    }
}

fn kill_leftovers(signals: &Signals, first: bool) {
    let until = tick().after(LAST_LOOK);
    loop {
        if first {
            process::kill_everything();
        } else {
            super::stop::kill_descendants();
        }
        while process::reap().is_some() {}
        if !process::has_children() || until <= tick() {
            return;
        }
        reap(signals, tick().until(until));
    }
}

/// Collects children that end, until a signal comes or the time is over.
fn reap(signals: &Signals, time: u64) {
    if sys::poll::readable([signals.fd()], signals.timeout(Some(time))).is_err() {
        sys::poll::rest();
    }
    signals.drain();
    while process::reap().is_some() {}
}

/// Waits before the next attempt to begin, as the init of a machine has to.
pub fn wait_to_begin_again() {
    let until = tick().after(AGAIN);
    while tick() < until {
        while process::reap().is_some() {}
        sys::poll::rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&'static str]) -> Option<Arguments> {
        let argv: Vec<&'static OsStr> =
            std::iter::once("svscan").chain(words.iter().copied()).map(OsStr::new).collect();
        Arguments::of(&Call::from(argv)).ok()
    }

    fn dir(words: &[&'static str]) -> Option<OsString> {
        arguments(words).expect("right").dir
    }

    #[test]
    fn a_plain_call_is_that_of_the_original() {
        assert_eq!(arguments(&[]), Some(Arguments::default()));
        for words in [&["/service"][..], &["/service", "--init"], &["/service", "x"]] {
            let expected = Arguments { dir: Some("/service".into()), ..Arguments::default() };
            assert_eq!(arguments(words), Some(expected));
        }
        for word in ["-x", "--", "--xyz", "--initial", "--in", "---init"] {
            assert_eq!(dir(&[word]), Some(word.into()));
        }
    }

    #[test]
    fn options_about_the_end_make_it_an_init() {
        let expected = Init { exit_with: Some("web".into()), grace: 1_500_000_000, halt: Some("/sbin/halt".into()) };
        let words = ["--exit-with", "web", "--grace=1.5", "--halt", "/sbin/halt", "dir"];
        let expected = Arguments { dir: Some("dir".into()), init: Some(expected), ..Arguments::default() };
        assert_eq!(arguments(&words), Some(expected));
        let expected = Arguments { state: Some("/run/x".into()), ..Arguments::default() };
        assert_eq!(arguments(&["--state", "/run/x"]), Some(expected));
        assert_eq!(arguments(&["--prefix"]), Some(Arguments { prefix: true, ..Arguments::default() }));
        assert_eq!(arguments(&["--init"]).and_then(|arguments| arguments.init), Some(Init::default()));
        assert_eq!(arguments(&["--grace=0"]).and_then(|arguments| arguments.init).map(|init| init.grace), Some(0));
    }

    #[test]
    fn what_is_no_time_or_no_option_is_wrong() {
        for words in [
            &["--grace=x"][..],
            &["--grace=-1"],
            &["--grace="],
            &["--grace=."],
            &["--grace=inf"],
            &["--grace=1e3"],
            &["--grace=99999999999"],
            &["--grace"],
            &["--exit-with"],
            &["--init", "-x"],
            &["--init", "--unit"],
            &["--init=x"],
        ] {
            assert_eq!(arguments(words), None, "{words:?}");
        }
    }

    #[test]
    fn a_code_is_what_a_shell_gives() {
        let codes = [Exit::Code(0), Exit::Code(255), Exit::Signal(9), Exit::Signal(64), Exit::Unknown].map(code);
        assert_eq!(codes, [0, 255, 137, 192, 111]);
    }
}
