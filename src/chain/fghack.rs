//! fghack: keeps a program that puts itself into the background in the foreground, for a supervisor to watch.
//!
//! The child gets many copies of the write end of a pipe. As long as the child or any process that it started has one open, fghack reads the
//! pipe and waits. A daemon that closes all its descriptors escapes.
//!
//! TERM is passed on to the child while that lives. Once it has ended, the processes that it left behind hold the pipe, and fghack does not know
//! which they are: then TERM ends fghack itself.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use anyhow::Context;
use cli::{Call, Program, Usage, text};
use sys::exec::Prepared;
use sys::process::{self, Change, Pid, Signal};
use sys::signals::{self, Mask, Signals};

use crate::service::exec;

const PROGRAM: Program = Program {
    name: "fghack",
    synopsis: "child [arg ...]",
    usage: "fghack: usage: fghack child",
    usage_exit: cli::USAGE,
    about: "Runs a program that puts itself into the background, and waits until it and everything that it started has ended.",
    options: &[("child", "the program to run"), ("arg ...", "its arguments")],
};

/// How many copies of the pipe the child gets. A daemon that closes the first few descriptors by number does not close
/// all of them.
const COPIES: usize = 30;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    if call.words().is_empty() {
        return Err(Usage.into());
    }
    let (reader, writer) = sys::fd::pipe().with_context(|| text!("unable to create pipe"))?;
    // TERM waits until fghack catches it and the child is there to get it.
    let mask = signals::block(&[Signal::SIGTERM]).with_context(|| text!("unable to fork"))?;
    let argv = exec::c_strings(call.words());
    let mut program = Prepared::new(&argv, None);
    let become_program = || {
        hold_pipe(&reader, &writer);
        mask.restore();
        program.path_exec()
    };
    let child =
        process::spawn(become_program, |error| unable_to_run(call, &error)).with_context(|| text!("unable to fork"))?;
    drop(writer);
    let signals = listen(&mask);
    read_to_end(&reader, signals.as_ref(), child);
    match wait(child, signals.as_ref()).with_context(|| text!("wait failed"))? {
        Change::Exited(code) => Ok(code),
        Change::Killed(_) | Change::Stopped | Change::Continued => Err(text!("child crashed").into()),
    }
}

/// Keeps the pipe's write end and its copies over exec. Runs in the child.
fn hold_pipe(reader: &OwnedFd, writer: &OwnedFd) {
    // The first copy takes the number of the read end, the lowest that was free. If a copy cannot be made, the others are
    // enough.
    let _ = sys::fd::place(writer.as_fd(), reader.as_raw_fd());
    for _ in 1..COPIES {
        let _ = sys::fd::duplicate_for_exec(writer.as_fd());
    }
    let _ = sys::fd::keep_over_exec(writer.as_fd());
}

/// Prints why the child could not execute the program.
fn unable_to_run(call: &Call, error: &io::Error) {
    PROGRAM.voice().fatal(&text!("unable to run ", call.words().first().copied().unwrap_or_default()), error);
}

/// Catches TERM, unless it was ignored when fghack was started. Where it cannot be caught, it ends fghack, as it does by default.
fn listen(mask: &Mask) -> Option<Signals> {
    let mut caught = None;
    if !signals::is_ignored(Signal::SIGTERM) {
        caught = Signals::catch(&[Signal::SIGTERM]).ok();
        if caught.is_none() {
            let _ = signals::set_default(Signal::SIGTERM);
        }
    }
    mask.restore();
    caught
}

/// Reads the pipe until all copies of its other end are closed.
fn read_to_end(pipe: &OwnedFd, signals: Option<&Signals>, child: Pid) {
    let mut buffer = [0; 512];
    let bell = signals.map_or(pipe.as_fd(), Signals::fd);
    loop {
        // If poll fails, reading still works; only TERM is not passed on any more.
        let [ready, _] = sys::poll::readable([pipe.as_fd(), bell], None).unwrap_or([true, true]);
        if let Some(signals) = signals {
            signals.drain();
            if signals.arrived(Signal::SIGTERM) {
                pass_on(child);
            }
        }
        if ready && !matches!(sys::fd::read(pipe.as_fd(), &mut buffer), Ok(1..)) {
            return;
        }
    }
}

/// Waits for the child, which may have closed all copies and still live.
fn wait(child: Pid, signals: Option<&Signals>) -> io::Result<Change> {
    // If SIGCHLD is ignored, no signal reports the end, and the wait has to block.
    let heard = (!signals::is_ignored(Signal::SIGCHLD)).then(|| Signals::catch(&[Signal::SIGCHLD]).ok()).flatten();
    let (Some(signals), Some(deaths)) = (signals, heard) else {
        if signals.is_some() {
            let _ = signals::set_default(Signal::SIGTERM);
        }
        return process::wait(child);
    };
    loop {
        deaths.drain();
        signals.drain();
        if let Some(change) = process::try_wait(child)? {
            return Ok(change);
        }
        if signals.arrived(Signal::SIGTERM) {
            pass_on(child);
        }
        if sys::poll::readable([deaths.fd(), signals.fd()], signals.timeout(deaths.timeout(None))).is_err() {
            sys::poll::rest();
        }
    }
}

/// Sends TERM to the child. If the child has ended, fghack ends by TERM itself.
fn pass_on(child: Pid) {
    let lives = matches!(process::try_wait(child), Ok(None));
    if !(lives && process::kill(child, Signal::SIGTERM).is_ok()) {
        signals::die_of(Signal::SIGTERM);
    }
}
