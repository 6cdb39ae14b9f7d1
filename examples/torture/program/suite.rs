//! The suites that can be tortured, and their programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A family of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This suite.
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

/// A command of an operator.
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
    /// A new copy in place of the old one, and a further command before that is done.
    Replace(Then),
    /// `uc`: up and not paused, whatever the state was.
    Restore,
}

/// The command after `R`.
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
    /// All commands that are chosen at random.
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

    /// The commands for loggers. HUP would end a logger, and the lines that it had read would be lost.
    pub const FOR_LOGGERS: [Op; 4] = [Op::Term, Op::Alarm, Op::DownExit, Op::TermExit];

    /// Returns whether supervise exits.
    pub fn exits(self) -> bool {
        matches!(self, Op::DownExit | Op::TermExit)
    }

    /// Returns whether there are two copies for a while.
    pub fn replaces(self) -> bool {
        matches!(self, Op::Replace(_))
    }

    /// The letters for svc.
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
    /// Our suite, from the directory of this program's build.
    pub fn ours() -> Suite {
        let own = std::env::current_exe().unwrap_or_default();
        let bin = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        Suite { kind: Kind::Ours, bin: bin.to_path_buf() }
    }

    /// The installed suite with this name.
    pub fn named(name: &OsStr) -> Option<Suite> {
        match name.to_str()? {
            "ours" => Some(Suite::ours()),
            "daemontools" => Some(Suite { kind: Kind::Daemontools, bin: "/usr/bin".into() }),
            "runit" => Some(Suite { kind: Kind::Runit, bin: "/usr/bin".into() }),
            _ => None,
        }
    }

    /// Builds our programs if cargo started this program: cargo does not build them for an example.
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

    /// The name of the scanner.
    pub fn scanner(&self) -> &'static str {
        if self.kind == Kind::Runit { "runsvdir" } else { "svscan" }
    }

    /// The script of the logger, which keeps everything in `main`.
    pub fn logger(&self) -> &'static str {
        if self.kind == Kind::Runit {
            "#!/bin/sh\nexec svlogd -t ./main\n"
        } else {
            "#!/bin/sh\nexec multilog t s262144 n1000000 ./main\n"
        }
    }

    /// The commands for `op`; none if the suite cannot do it with the expected result.
    pub fn commands(&self, op: Op, logger: bool) -> Vec<Vec<String>> {
        let sv = |letters: &[&str]| letters.iter().map(|letter| vec!["sv".into(), (*letter).into()]).collect();
        match (self.kind, op) {
            (Kind::Daemontools | Kind::Runit, Op::Replace(_)) => Vec::new(),
            (Kind::Ours | Kind::Daemontools, op) => vec![vec!["svc".into(), format!("-{}", op.letters())]],
            // With runit k is a d too, and x ends the service.
            (Kind::Runit, Op::Kill | Op::TermExit) => Vec::new(),
            // One runsv serves the service and its logger.
            (Kind::Runit, Op::DownExit) if logger => Vec::new(),
            (Kind::Runit, Op::DownExit) => sv(&["x"]),
            (Kind::Runit, Op::Restore) => sv(&["u", "c"]),
            (Kind::Runit, op) => sv(&[op.letters()]),
        }
    }
}
