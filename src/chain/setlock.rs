//! setlock: runs a program with a lock held on a file.
//!
//! The program inherits the open file. The lock lasts until every process that has the file open has closed it or ended, so a child that is
//! left in the background keeps it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, IntoRawFd};
use std::path::Path;

use anyhow::Context;
use cli::{Call, LongWords, Options, Program, text};

use crate::service::exec;

const PROGRAM: Program = Program {
    name: "setlock",
    synopsis: "[ -nNxX ] file program [ arg ... ]",
    usage: "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]",
    usage_exit: cli::USAGE,
    about: "Runs a program with an exclusive lock on a file held. The file is created if it does not exist, and never changed.",
    options: &[
        ("-n", "do not wait for a lock that is taken"),
        ("-N", "wait for it (the default)"),
        ("-x", "exit 0 without a word if the lock cannot be had"),
        ("-X", "complain then, and exit 111 (the default)"),
        ("file", "what to lock"),
        ("program", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let mut options = Options::new(call.words(), "nNxX", LongWords::Dropped);
    let (mut wait, mut complain) = (true, true);
    while let Some((letter, _)) = options.next()? {
        match letter {
            b'n' => wait = false,
            b'N' => wait = true,
            b'x' => complain = false,
            _ => complain = true,
        }
    }
    let (file, program) = exec::operand(options.operands())?;
    match acquire(file, wait, ["unable to open ", "unable to lock "]) {
        Ok(()) => Err(exec::pathexec(program, None)),
        Err(error) if complain => Err(error),
        Err(_) => Ok(0),
    }
}

/// Locks the file and leaves it open, for this process and the program that it becomes. `opening` and `locking` are what stands before the name of the file in the
/// message if that fails.
pub fn acquire(file: &OsStr, wait: bool, [opening, locking]: [&str; 2]) -> anyhow::Result<()> {
    let lock = sys::fd::open_append(Path::new(file)).with_context(|| text!(opening, file))?;
    let locked = if wait { sys::fd::lock(&lock) } else { sys::fd::try_lock(&lock) };
    locked.and_then(|()| sys::fd::keep_over_exec(lock.as_fd())).with_context(|| text!(locking, file))?;
    let _ = lock.into_raw_fd();
    Ok(())
}
