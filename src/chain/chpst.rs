//! chpst, of runit: changes everything about the process that its options ask for, and becomes another program.
//!
//! Whatever the order of the options, the changes are made in one order: session, environment directory, root, niceness, account, lock, standard descriptors, limits.
//! So accounts are looked up below the new root, the lock is opened by the new user, and the limits do not hold for any of this.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use cli::{Call, LongWords, Options, Program, Usage, Word, text};
use svdir::knob;
use sys::exec::{Prepared, c_string};
use sys::{descriptors, identity};

use crate::service::account::Account;
use crate::service::exec::Environment;

use super::ids::Ids;
use super::limits::{self, Wanted};
use super::{envdir, envuidgid, setlock};

const PROGRAM: Program = Program {
    name: "chpst",
    synopsis: "[-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] [-n nice] [-l|-L lock] [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-r n] [-t n] prog [arg ...]",
    // That of Debian's runit, with its empty line.
    usage: "usage: chpst [-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] [-n nice] [-l|-L lock] [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-t n] prog\n",
    usage_exit: cli::USAGE,
    about: "Runs a program with another user, environment, root, niceness or limits, with a lock held, in a session of its own, or without standard descriptors.",
    options: &[
        ("-u user", "change to user, or user:group[:group ...], or as numbers :uid:gid[:gid ...]"),
        ("-U user", "set UID and GID to the ids of such a user, and change to none"),
        ("-b argv0", "the name under which the program is run"),
        ("-e dir", "set and remove variables by the files in dir, as envdir; directories there are passed over"),
        ("-/ root", "change the root directory, and go there"),
        ("-n nice", "add this to the niceness; may be negative"),
        ("-l lock", "lock this file, and wait for it if it is taken"),
        ("-L lock", "lock this file, or fail if it is taken"),
        ("-m n", "limit the data segment, the stack, locked memory and the address space to n bytes each"),
        ("-d n", "limit the data segment"),
        ("-o n", "limit the number of open descriptors"),
        ("-p n", "limit the number of processes of the user"),
        ("-f n", "limit the size of files that are written"),
        ("-c n", "limit the size of a core file"),
        ("-r n", "limit resident memory"),
        ("-t n", "limit the seconds of processor time"),
        ("-P", "lead a new session and process group"),
        ("-0", "close standard input"),
        ("-1", "close standard output"),
        ("-2", "close standard error"),
        ("-v", "warn about what is passed over"),
        ("-V", "print the version and the usage, and exit 100"),
        ("prog", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let (asked, words) = Asked::read(call.words())?;
    let (program, rest) = words.split_first().ok_or(Usage)?;
    if asked.session {
        // This fails only for the leader of a process group, which already is what is wanted.
        let _ = identity::new_session();
    }
    let mut environment = Environment::inherited();
    asked.change(&mut environment)?;
    let file = c_string(program);
    let name = asked.argv0.unwrap_or(program);
    let argv: Vec<CString> = [name].iter().chain(rest).map(|word| c_string(word)).collect();
    // Everything that needs memory is done before the limits are set, since they may leave none.
    let mut prepared = Prepared::named(&file, &argv, Some(environment.strings()));
    asked.limit(None)?;
    let failed = prepared.path_exec();
    // The message may need more memory, or a larger file, than the new limits allow.
    asked.limit(Some(Wanted::Hard))?;
    Err(failed).with_context(|| text!("unable to run: ", name))
}

/// What the options ask for.
#[derive(Default)]
struct Asked<'a> {
    session: bool,
    env_dir: Option<&'a OsStr>,
    root: Option<&'a OsStr>,
    niceness: i32,
    env_user: Option<&'a OsStr>,
    user: Option<&'a OsStr>,
    /// The lock file, and whether to wait for it.
    lock: Option<(&'a OsStr, bool)>,
    /// Which of the standard descriptors to close.
    closed: [bool; 3],
    /// The letters of limits, and the limits. Of those for one resource the last counts.
    limits: Vec<(u8, u64)>,
    argv0: Option<&'a OsStr>,
    verbose: bool,
}

impl<'a> Asked<'a> {
    /// Reads the options, and returns them with the other words.
    fn read(words: &'a [Word]) -> anyhow::Result<(Asked<'a>, &'a [Word])> {
        let mut options = Options::new(words, "u:U:b:e:m:d:o:p:f:c:r:t:/:n:l:L:vP012V", LongWords::Dropped);
        let mut asked = Asked::default();
        while let Some((letter, value)) = options.next()? {
            let word = || Some(OsStr::from_bytes(value));
            match letter {
                b'u' => asked.user = word(),
                b'U' => asked.env_user = word(),
                b'b' => asked.argv0 = word(),
                b'e' => asked.env_dir = word(),
                b'/' => asked.root = word(),
                b'n' => asked.niceness = increment(value)?,
                b'l' | b'L' if asked.lock.is_some() => return Err(Usage.into()),
                b'l' | b'L' => asked.lock = word().map(|file| (file, letter == b'l')),
                b'v' => asked.verbose = true,
                b'P' => asked.session = true,
                b'0'..=b'2' => asked.closed[usize::from(letter - b'0')] = true,
                b'V' => {
                    cli::print_error(concat!("$Id: uphold ", env!("CARGO_PKG_VERSION"), " $\n").as_bytes());
                    return Err(Usage.into());
                }
                _ => asked.limits.push((letter, number(value)?)),
            }
        }
        Ok((asked, options.operands()))
    }

    /// Makes all changes but the session and the limits.
    fn change(&self, environment: &mut Environment) -> anyhow::Result<()> {
        if let Some(dir) = self.env_dir {
            self.read_environment(environment, dir)?;
        }
        if let Some(root) = self.root {
            std::env::set_current_dir(root).with_context(|| text!("unable to change directory: ", root))?;
            identity::change_root_to_here().with_context(|| text!("unable to change root directory"))?;
        }
        if self.niceness != 0 {
            identity::add_niceness(self.niceness).with_context(|| text!("unable to set nice level"))?;
        }
        if let Some(user) = self.env_user {
            let Ids { uid, gid, .. } = Ids::find(user)?;
            envuidgid::tell(environment, Account { uid, gid })?;
        }
        if let Some(user) = self.user {
            assume(&Ids::find(user)?)?;
        }
        if let Some((file, wait)) = self.lock {
            setlock::acquire(file, wait, ["unable to open lock: ", "unable to lock: "])?;
        }
        for (number, name) in (0u8..).zip(["stdin", "stdout", "stderr"]) {
            if self.closed[usize::from(number)] {
                descriptors::close_standard(number).with_context(|| text!("unable to close ", name))?;
            }
        }
        Ok(())
    }

    /// Changes the environment by the files of a directory. A directory in it is passed over.
    fn read_environment(&self, environment: &mut Environment, dir: &OsStr) -> anyhow::Result<()> {
        let start =
            sys::fd::open_read(Path::new(".")).with_context(|| text!("unable to open current working directory"))?;
        envdir::change(environment, b"", dir, ": ", |error, reading| {
            if error.kind() != io::ErrorKind::IsADirectory {
                return Err(error).context(reading);
            }
            if self.verbose {
                PROGRAM.voice().warning(&reading, &error);
            }
            Ok(())
        })?;
        sys::fd::change_directory(start.as_fd()).with_context(|| text!("unable to switch to starting directory"))
    }

    /// Sets the limits, or each of them to `instead`.
    fn limit(&self, instead: Option<Wanted>) -> anyhow::Result<()> {
        for &(letter, number) in &self.limits {
            for resource in limits::resources(letter) {
                let wanted = instead.unwrap_or(Wanted::AtMost(number));
                match resource {
                    Some(resource) => {
                        limits::apply(*resource, wanted, ["unable to getrlimit()", "unable to setrlimit()"])?;
                    }
                    None if self.verbose && instead.is_none() => {
                        PROGRAM.voice().warn(&text!("system does not support all of -", [letter].as_slice()));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }
}

/// Changes to the ids. The groups come first, since the new user may not change them.
fn assume(ids: &Ids) -> anyhow::Result<()> {
    identity::set_supplementary_groups(&ids.gids).with_context(|| text!("unable to setgroups"))?;
    identity::set_main_group(ids.gid).with_context(|| text!("unable to setgid"))?;
    identity::set_user(ids.uid).with_context(|| text!("unable to setuid"))
}

/// Reads a number: digits; nothing at all is 0.
fn number(value: &[u8]) -> Result<u64, Usage> {
    if value.is_empty() { Ok(0) } else { knob::digits(value).ok_or(Usage) }
}

/// Reads an increment of the niceness: a number, perhaps with a sign in front. What is larger than all of niceness leads to its end too.
fn increment(value: &[u8]) -> Result<i32, Usage> {
    const ALL: u64 = 40;
    let (sign, digits) = match value {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    number(digits).map(|number| sign * number.min(ALL) as i32)
}
