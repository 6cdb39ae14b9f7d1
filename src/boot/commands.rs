//! Starts other programs: those of the suite, which outlive this one, and commands of the init.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use sys::exec::{Prepared, c_string};
use sys::process::{self, Change};
use sys::{fd, identity};

use crate::service::programs::Peers;

/// Starts a program of the suite in a session of its own, with nothing open but `/dev/null`.
pub fn start(peers: &Peers, name: &str, words: &[&OsStr]) -> io::Result<()> {
    start_on(peers, name, words, &null()?)
}

/// Starts a readproctitle that reads `input` until its end.
pub fn read_title(peers: &Peers, input: &File) -> io::Result<()> {
    let dots = ".".repeat(400);
    start_on(peers, "readproctitle", &["service", "errors:", &dots].map(OsStr::new), input)
}

fn start_on(peers: &Peers, name: &str, words: &[&OsStr], input: &File) -> io::Result<()> {
    let null = null()?;
    let program = peers.program(name, words);
    let mut exec = program.prepare(None);
    let mut failed = None;
    let become_program = || {
        let prepared = (|| {
            identity::new_session()?;
            fd::place(input.as_fd(), 0)?;
            (1..=2).try_for_each(|standard| fd::place(null.as_fd(), standard))
        })();
        prepared.err().unwrap_or_else(&mut exec)
    };
    process::spawn(become_program, |error| failed = Some(error))?;
    failed.map_or(Ok(()), Err)
}

fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// Runs a program from PATH and waits for its end. Returns whether it succeeded.
///
/// # Errors
/// If it cannot be started.
pub fn run(words: &[&str]) -> io::Result<bool> {
    let argv: Vec<_> = words.iter().map(|word| c_string(OsStr::new(word))).collect();
    let mut prepared = Prepared::new(&argv, None);
    let mut failed = None;
    let pid = process::spawn(|| prepared.path_exec(), |error| failed = Some(error))?;
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(process::wait(pid)? == Change::Exited(0))
}
