//! The arguments of svscan.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;
use cli::{Call, LongWords, Options, Program, Usage, Voice, text};
use machine::SECOND;
use svdir::knob::{self, Unit};
use sys::process;

/// The program, as its help and its usage line describe it.
pub const PROGRAM: Program = Program {
    name: "svscan",
    synopsis: "[--init] [--exit-with NAME] [--grace SEC] [--halt PROGRAM] [--state DIR] [--prefix] [--cgroup] [--default | dir]",
    usage: "svscan: usage: svscan [--init] [--exit-with name] [--grace sec] [--halt program] [--state dir] [--prefix] [--cgroup] [--default | dir]",
    usage_exit: cli::USAGE,
    about: "Supervises every service directory in the scan directory.",
    options: &[
        (
            "--init",
            "be the first process of a container: TERM and INT stop every service in order, then svscan ends; as process 1 without being told",
        ),
        ("--exit-with NAME", "end when the service NAME ends by itself, with its exit code; an init too"),
        ("--grace SEC", "KILL what is left of the stop after so many seconds, default 8; an init too"),
        (
            "--halt PROGRAM",
            "be the first process of a machine: never end, but become PROGRAM when all is down; an init too",
        ),
        ("--state DIR", "supervises have their files in DIR, not in the service directories; sets SUPERVISEDIR"),
        ("--prefix", "write the name of the service before each line of a service without a logger"),
        ("--cgroup", "move, with the supervises, to a cgroup in the present one: limits of services are possible then"),
        (
            "--default",
            "the scan directory is $SVDIR, else for root /service, or /etc/service if only that is there, else service in $XDG_CONFIG_HOME or ~/.config",
        ),
        ("dir", "the scan directory; else the current one"),
    ],
};

/// Prints the messages of svscan.
pub const VOICE: Voice = PROGRAM.voice();

/// The default of `--grace`: how long the stop may take before anything is killed, in nanoseconds. Docker and Podman send KILL after 10 seconds.
const GRACE: u64 = 8 * SECOND;

/// The options, and the letters that stand for them in this file.
const OPTIONS: &[(&str, u8)] = &[
    ("init", b'i'),
    ("exit-with=", b'e'),
    ("grace=", b'g'),
    ("halt=", b'h'),
    ("state=", b's'),
    ("prefix", b'p'),
    ("cgroup", b'c'),
    ("default", b'd'),
];

/// Which directory is the scan directory.
#[derive(Debug, Default, PartialEq)]
pub enum Place {
    /// The current directory.
    #[default]
    Here,
    /// The directory with this name.
    Named(OsString),
    /// The directory in which clients look for names.
    Default,
}

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The scan directory.
    pub place: Place,
    /// How this svscan ends, if it is an init.
    pub init: Option<Init>,
    /// The absolute path of the directory for the files of supervises, if these are not in the service directories.
    pub state: Option<PathBuf>,
    /// Whether the lines of services without a logger get the name of the service as a prefix.
    pub prefix: bool,
    /// Whether svscan moves to a cgroup of its own.
    pub cgroup: bool,
}

/// How an init ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// The service with which svscan ends.
    pub exit_with: Option<OsString>,
    /// The time from the beginning of the stop to the first KILL, in nanoseconds.
    pub grace: u64,
    /// The program that svscan executes at its end, instead of exiting.
    pub halt: Option<PathBuf>,
}

impl Default for Init {
    fn default() -> Init {
        Init { exit_with: None, grace: GRACE, halt: None }
    }
}

impl Arguments {
    /// Returns whether this release knows all options of a call. A first word that begins with two dashes counts as an option of a later release here,
    /// not as a directory.
    pub fn are_known(call: &Call) -> bool {
        let is_known = |word: &OsStr| is_option(word) || !word.as_bytes().starts_with(b"--");
        call.words().first().is_none_or(|word| is_known(word)) && Arguments::of(call).is_ok()
    }

    /// Parses the arguments of a call.
    ///
    /// # Errors
    /// [`Usage`], or the text for a wrong option.
    pub fn of(call: &Call) -> anyhow::Result<Arguments> {
        let mut arguments = Arguments::default();
        if process::own_pid().as_raw() == 1 {
            arguments.init = Some(Init::default());
        }
        // The original has no options: a word that begins with dashes is a directory, unless it is one of our options.
        let long = call.words().first().is_some_and(|word| is_option(word));
        let mut options = Options::new(if long { call.words() } else { &[] }, "", LongWords::Known(OPTIONS));
        while let Some((option, value)) = options.next()? {
            let value = OsStr::from_bytes(value);
            if option == b'p' {
                arguments.prefix = true;
                continue;
            }
            if option == b'c' {
                arguments.cgroup = true;
                continue;
            }
            if option == b'd' {
                arguments.place = Place::Default;
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
                b'g' => init.grace = knob::duration(value.as_bytes(), Unit::Seconds).map_err(|_| Usage)?,
                b'h' => init.halt = Some(value.into()),
                _ => {}
            }
        }
        let operands = if long { options.operands() } else { call.words() };
        if let Some(dir) = operands.first() {
            if arguments.place == Place::Default {
                return Err(Usage.into());
            }
            arguments.place = Place::Named(dir.to_os_string());
        }
        Ok(arguments)
    }
}

/// Returns whether `word` is one of our options, with or without a value.
fn is_option(word: &OsStr) -> bool {
    let name = word.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
    OPTIONS.iter().any(|(option, _)| name.strip_prefix(b"--") == Some(option.trim_end_matches('=').as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&'static str]) -> Option<Arguments> {
        let argv: Vec<&'static OsStr> =
            std::iter::once("svscan").chain(words.iter().copied()).map(OsStr::new).collect();
        Arguments::of(&Call::from(argv)).ok()
    }

    fn named(dir: &str) -> Place {
        Place::Named(dir.into())
    }

    #[test]
    fn a_plain_call_is_that_of_the_original() {
        assert_eq!(arguments(&[]), Some(Arguments::default()));
        for words in [&["/service"][..], &["/service", "--init"], &["/service", "x"]] {
            let expected = Arguments { place: named("/service"), ..Arguments::default() };
            assert_eq!(arguments(words), Some(expected));
        }
        for word in ["-x", "--", "--xyz", "--initial", "--in", "---init"] {
            assert_eq!(arguments(&[word]).map(|arguments| arguments.place), Some(named(word)));
        }
    }

    #[test]
    fn options_about_the_end_make_it_an_init() {
        let expected = Init { exit_with: Some("web".into()), grace: 1_500_000_000, halt: Some("/sbin/halt".into()) };
        let words = ["--exit-with", "web", "--grace=1.5", "--halt", "/sbin/halt", "dir"];
        let expected = Arguments { place: named("dir"), init: Some(expected), ..Arguments::default() };
        assert_eq!(arguments(&words), Some(expected));
        let expected = Arguments { state: Some("/run/x".into()), ..Arguments::default() };
        assert_eq!(arguments(&["--state", "/run/x"]), Some(expected));
        assert_eq!(arguments(&["--prefix"]), Some(Arguments { prefix: true, ..Arguments::default() }));
        assert_eq!(arguments(&["--cgroup"]), Some(Arguments { cgroup: true, ..Arguments::default() }));
        let expected = Arguments { place: Place::Default, prefix: true, ..Arguments::default() };
        assert_eq!(arguments(&["--default", "--prefix"]), Some(expected));
        assert_eq!(arguments(&["--init"]).and_then(|arguments| arguments.init), Some(Init::default()));
        let grace = |word| arguments(&[word]).and_then(|arguments| arguments.init).map(|init| init.grace);
        assert_eq!(grace("--grace=1500ms"), Some(1_500_000_000));
        assert_eq!(grace("--grace=0"), Some(0));
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
            &["--default", "dir"],
        ] {
            assert_eq!(arguments(words), None, "{words:?}");
        }
    }
}
