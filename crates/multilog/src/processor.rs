//! A processor: a shell command that a finished file goes through. It reads the file from stdin, writes what is to be kept of it to stdout, and hands what it wants to
//! remember from one file to the next over by two more descriptors.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use sys::exec::Prepared;
use sys::process::{Pid, Signal};

/// The descriptor from which a processor reads the old state; it writes the new state to the next one.
const STATE: i32 = 4;
const NEW_STATE: i32 = 5;

/// The files of a processor. Their descriptors are above stderr, each above the one before, so that moving one to its
/// place never closes another.
pub(crate) struct Files {
    input: File,
    output: File,
    state: File,
    new_state: File,
}

impl Files {
    /// Opens them in the current directory. An error comes with what could not be opened.
    pub fn open(input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<Files, (&'static str, io::Error)> {
        let on = |what: &'static str| move |reason| (what, reason);
        Ok(Files {
            input: sys::fd::open_read(input.as_ref()).map_err(on("input"))?,
            output: sys::fd::open_truncate(output.as_ref()).map_err(on("output"))?,
            state: sys::fd::open_read(Path::new("state")).map_err(on("state"))?,
            new_state: sys::fd::open_truncate(Path::new("newstate")).map_err(on("newstate"))?,
        })
    }

    /// Starts the shell with the command. If that cannot be executed, `unable` is called with the error.
    pub fn start(&self, command: &[u8], unable: impl FnOnce(io::Error)) -> io::Result<Pid> {
        let argv = ["sh".as_bytes(), b"-c", command].map(|word| CString::new(word).unwrap_or_default());
        let shell = Prepared::new(&argv, None);
        let become_shell = || self.place().err().unwrap_or_else(|| shell.exec(c"/bin/sh"));
        sys::process::spawn(become_shell, unable)
    }

    /// Moves each file to its descriptor, and sets the signals as a shell expects them. Runs in the child.
    fn place(&self) -> io::Result<()> {
        sys::signals::set_default(Signal::SIGTERM)?;
        sys::signals::set_default(Signal::SIGALRM)?;
        sys::fd::place(self.input.as_fd(), 0)?;
        sys::fd::place(self.output.as_fd(), 1)?;
        sys::fd::place(self.state.as_fd(), STATE)?;
        sys::fd::place(self.new_state.as_fd(), NEW_STATE)
    }
}
