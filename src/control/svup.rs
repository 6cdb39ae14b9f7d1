//! `svup`: says by its exit code whether a service is up, and its logger too, as in daemontools-encore. A service is up if it has a process that has
//! executed `run`, even if that process is paused, or if it is done. Another script that runs does not count. It neither waits nor prints anything about the state.

use std::io;
use std::path::Path;

use anyhow::Context;
use cli::{LongWords, Options, Text, text};
use svdir::names;

use crate::service::record::Unreadable;
use crate::service::{client, home};

use super::supervised::is_supervised;

const PROGRAM: cli::Program = cli::Program {
    name: "svup",
    synopsis: "[-L] [-l] dir",
    // The line of daemontools-encore.
    usage: "svup: usage: svup [-L] [-l] dir",
    usage_exit: cli::USAGE,
    about: "Exits 0 if the service is up, and its logger too if it has one, 100 if not, 111 if it cannot find out.",
    options: &[
        ("-L", "look at the logger only; a service without one is not up"),
        ("-l", "look at the service only, and not at its logger"),
        ("dir", "the service directory; further words are ignored"),
    ],
};

/// What must be up.
#[derive(Clone, Copy)]
enum Asked {
    Both,
    Logger,
    Service,
}

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let mut options = Options::new(call.words(), "lL", LongWords::Known(&[]));
    let mut asked = Asked::Both;
    while let Some((letter, _)) = options.next()? {
        asked = if letter == b'L' { Asked::Logger } else { Asked::Service };
    }
    let dir = Path::new(options.operands().first().ok_or(cli::Usage)?);
    home::enter(dir).with_context(|| text!("unable to chdir to ", dir))?;
    let up = match asked {
        Asked::Both => is_up(dir)? && (!has_logger(dir)? || logger_is_up(dir)?),
        Asked::Logger => has_logger(dir)? && logger_is_up(dir)?,
        Asked::Service => is_up(dir)?,
    };
    Ok(if up { 0 } else { cli::USAGE })
}

/// Returns whether the service of the current directory, which messages call `dir`, is up. Without a supervise, or before its first status, it is
/// not.
fn is_up(dir: &Path) -> anyhow::Result<bool> {
    if !is_supervised(dir)? {
        return Ok(false);
    }
    let status = |verb| text!("unable to ", verb, " ", dir, "/", names::STATUS);
    match client::read() {
        Ok(facts) => Ok(facts.pid().is_some() || facts.is_done()),
        Err(Unreadable::Open(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(Unreadable::Open(error)) => Err(error).with_context(|| status("open")),
        Err(Unreadable::Read(error)) => Err(error).with_context(|| status("read")),
        Err(Unreadable::TooShort) => {
            let Text(read) = status("read");
            Err(anyhow::Error::new(text!(read.as_slice(), ": bad format")))
        }
    }
}

/// Returns whether the current directory has a directory `log`: svscan takes nothing else for a logger.
fn has_logger(dir: &Path) -> anyhow::Result<bool> {
    match std::fs::metadata(names::LOG) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| text!("unable to stat ", dir, "/", names::LOG)),
    }
}

/// Enters the directory of the logger, and returns whether that is up.
fn logger_is_up(dir: &Path) -> anyhow::Result<bool> {
    let dir = dir.join(names::LOG);
    std::env::set_current_dir(names::LOG).with_context(|| text!("unable to chdir to ", dir))?;
    is_up(&dir)
}
