//! Who is tortured, and what the programs of each suite are called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A family of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This one.
    Ours,
    /// The original.
    Daemontools,
    /// runsvdir, runsv and svlogd.
    Runit,
}

/// A suite, and where it is.
pub struct Suite {
    /// Which.
    pub kind: Kind,
    /// The directory of its programs.
    pub bin: PathBuf,
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `d`.
    Down,
    /// `u`.
    Up,
    /// `o`.
    Once,
    /// `t`.
    Term,
    /// `i`.
    Interrupt,
    /// `k`.
    Kill,
    /// `h`.
    Hup,
    /// `a`.
    Alarm,
    /// `p`.
    Pause,
    /// `c`.
    Continue,
    /// `dx`: down, and a new supervise.
    DownExit,
    /// `tx`: TERM, and a new supervise.
    TermExit,
    /// A new copy in place of the old, and what is asked for before that is done.
    Replace(Then),
    /// `uc`: up and running, whatever was before.
    Restore,
}

/// What comes behind `R`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Done,
    /// `R`: another copy in its place.
    Again,
    /// `d`: both are to end.
    Down,
    /// `k`: the old one is killed before the new one is ready.
    Kill,
}

impl Op {
    /// All that are chosen at random.
    pub const ALL: [Op; 16] = [
        Op::Down,
        Op::Up,
        Op::Once,
        Op::Term,
        Op::Interrupt,
        Op::Kill,
        Op::Hup,
        Op::Alarm,
        Op::Pause,
        Op::Continue,
        Op::DownExit,
        Op::TermExit,
        Op::Replace(Then::Done),
        Op::Replace(Then::Again),
        Op::Replace(Then::Down),
        Op::Replace(Then::Kill),
    ];

    /// Those that a logger meets. It would not survive HUP, and what it had read by then would be lost.
    pub const FOR_LOGGERS: [Op; 4] = [Op::Term, Op::Alarm, Op::DownExit, Op::TermExit];

    /// Whether supervise leaves.
    pub fn exits(self) -> bool {
        matches!(self, Op::DownExit | Op::TermExit)
    }

    /// Whether there are two copies for a while.
    pub fn replaces(self) -> bool {
        matches!(self, Op::Replace(_))
    }

    /// As svc is given it.
    pub fn letters(self) -> &'static str {
        match self {
            Op::Down => "d",
            Op::Up => "u",
            Op::Once => "o",
            Op::Term => "t",
            Op::Interrupt => "i",
            Op::Kill => "k",
            Op::Hup => "h",
            Op::Alarm => "a",
            Op::Pause => "p",
            Op::Continue => "c",
            Op::DownExit => "dx",
            Op::TermExit => "tx",
            Op::Replace(Then::Done) => "R",
            Op::Replace(Then::Again) => "RR",
            Op::Replace(Then::Down) => "Rd",
            Op::Replace(Then::Kill) => "Rk",
            Op::Restore => "uc",
        }
    }
}

impl Suite {
    /// Ours, as built beside this program.
    pub fn ours() -> Suite {
        let own = std::env::current_exe().unwrap_or_default();
        let bin = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        Suite { kind: Kind::Ours, bin: bin.to_path_buf() }
    }

    /// The one that is called so, as installed.
    pub fn named(name: &OsStr) -> Option<Suite> {
        match name.to_str()? {
            "ours" => Some(Suite::ours()),
            "daemontools" => Some(Suite { kind: Kind::Daemontools, bin: "/usr/bin".into() }),
            "runit" => Some(Suite { kind: Kind::Runit, bin: "/usr/bin".into() }),
            _ => None,
        }
    }

    /// Builds ours if cargo started this program: for an example it builds no programs.
    pub fn build(&self) -> anyhow::Result<()> {
        let (Kind::Ours, Some(cargo)) = (self.kind, std::env::var_os("CARGO")) else {
            return Ok(());
        };
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "--bins"])
            .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        ensure!(build.status().context("unable to run cargo")?.success(), "unable to build the programs");
        Ok(())
    }

    /// What the scanner is called.
    pub fn scanner(&self) -> &'static str {
        if self.kind == Kind::Runit { "runsvdir" } else { "svscan" }
    }

    /// The script that becomes the logger, which keeps all in `main`.
    pub fn logger(&self) -> &'static str {
        if self.kind == Kind::Runit {
            "#!/bin/sh\nexec svlogd -t ./main\n"
        } else {
            "#!/bin/sh\nexec multilog t s262144 n1000000 ./main\n"
        }
    }

    /// The commands that ask for `op`; none if it cannot be asked for with the result that is expected.
    pub fn commands(&self, op: Op, logger: bool) -> Vec<Vec<String>> {
        let sv = |letters: &[&str]| letters.iter().map(|letter| vec!["sv".into(), (*letter).into()]).collect();
        match (self.kind, op) {
            (Kind::Daemontools | Kind::Runit, Op::Replace(_)) => Vec::new(),
            (Kind::Ours | Kind::Daemontools, op) => vec![vec!["svc".into(), format!("-{}", op.letters())]],
            // Its k is a d, too, and its x leaves no service that is not wanted down.
            (Kind::Runit, Op::Kill | Op::TermExit) => Vec::new(),
            // One runsv for both.
            (Kind::Runit, Op::DownExit) if logger => Vec::new(),
            (Kind::Runit, Op::DownExit) => sv(&["x"]),
            (Kind::Runit, Op::Restore) => sv(&["u", "c"]),
            (Kind::Runit, op) => sv(&[op.letters()]),
        }
    }
}
