//! A processor in the background: a shell command that makes `@STAMP.s` of a finished file `@STAMP.u`. The log goes on meanwhile.
//!
//! One that fails is started again after a second, until it succeeds. After a TERM there is one more attempt.

use std::fs;
use std::io;
use std::path::Path;

use sys::clock;
use sys::process::{Change, Pid};

use crate::directory::{SAFE as MODE, set_mode};
use crate::patience::{GivenUp, Level, Patience};
use crate::processor::Files;
use crate::svlogd::directory::{Directory, MADE, Name, SAFE, path, with};

/// How long a processor that has failed is left alone, in nanoseconds.
const PAUSE: u64 = 1_000_000_000;

/// A processor that runs, or is to be run again.
pub(crate) struct Running {
    command: Vec<u8>,
    /// The file that it reads.
    name: Name,
    pid: Option<Pid>,
    /// If it does not run, when it is to be started.
    due: u64,
}

impl Running {
    /// Starts the processor for a file.
    pub fn start(
        command: &[u8],
        name: Name,
        directory: &Directory,
        patience: &mut Patience,
    ) -> Result<Running, GivenUp> {
        let mut running = Running { command: command.to_vec(), name, pid: None, due: 0 };
        running.launch(directory, patience)?;
        Ok(running)
    }

    /// The file that it reads.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// When it is to be started again.
    pub fn due(&self) -> Option<u64> {
        self.pid.is_none().then_some(self.due)
    }

    /// Looks whether it has ended, and starts it again when it is time. Returns whether it has done its work.
    pub fn tend(&mut self, directory: &Directory, patience: &mut Patience) -> Result<bool, GivenUp> {
        match self.pid.map(sys::process::try_wait) {
            Some(Ok(None)) => {}
            Some(Ok(Some(Change::Exited(0)))) => {
                self.pid = None;
                return self.conclude(directory, patience).map(|()| true);
            }
            Some(Ok(Some(_)) | Err(_)) => {
                directory.enter("processor", patience)?;
                self.fail(directory);
            }
            None if self.due <= clock::monotonic() => self.launch(directory, patience)?,
            None => {}
        }
        Ok(false)
    }

    /// Waits until it has done its work. After a TERM it is given up when it has failed once more.
    pub fn settle(&mut self, directory: &Directory, patience: &mut Patience) -> Result<(), GivenUp> {
        let mut last = false;
        while !self.tend(directory, patience)? {
            match self.due() {
                None => patience.await_signal(None),
                Some(_) if last => return Err(GivenUp),
                Some(due) => {
                    last = patience.pause(due.saturating_sub(clock::monotonic()));
                    self.due = 0;
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, directory: &Directory, patience: &mut Patience) -> Result<(), GivenUp> {
        directory.enter("processor", patience)?;
        directory.info(&[b"processing: ", &directory.shown(&self.name)]);
        let made = with(self.name, MADE);
        if !Path::new("state").exists() {
            // If it cannot be made, opening it shows why.
            let _ = sys::fd::open_truncate(Path::new("state"));
        }
        let fatal = |what: &str, reason: &io::Error| {
            directory.teller.say(Level::Fatal, &[&directory.text(what)], Some(reason));
        };
        match Files::open(path(&self.name), path(&made)) {
            Ok(files) => {
                let unable = || directory.text("unable to fork for processor");
                let start = || files.start(&self.command, |error| fatal("unable to run processor", &error));
                self.pid = Some(patience.insist(unable, start)?);
            }
            Err((what, reason)) => {
                fatal(&format!("unable to open {what} for processor"), &reason);
                self.fail(directory);
            }
        }
        Ok(())
    }

    /// Notes that it has failed. The directory is the current one.
    fn fail(&mut self, directory: &Directory) {
        directory.warn("processor failed, restart", None);
        // What is left of it is in nobody's way: the next start empties it.
        let _ = fs::remove_file(path(&with(self.name, MADE)));
        self.pid = None;
        self.due = clock::monotonic().saturating_add(PAUSE);
    }

    /// Gives what it has made its final name. At each moment, what was logged is in a file that is kept.
    fn conclude(&self, directory: &Directory, patience: &mut Patience) -> Result<(), GivenUp> {
        directory.enter("processor", patience)?;
        let (made, done) = (with(self.name, MADE), with(self.name, SAFE));
        let text = || directory.text("unable to fsync processed");
        // It may have removed its own output, which then is empty.
        let file = patience.insist(text, || sys::fd::open_append(path(&made)))?;
        patience.insist(text, || file.sync_all())?;
        patience.insist(|| directory.text("unable to set mode of processed"), || set_mode(&file, MODE))?;
        patience.insist(|| directory.text("unable to rename processed"), || fs::rename(path(&made), path(&done)))?;
        if fs::remove_file(path(&self.name)).is_err() {
            directory.teller.say(Level::Warning, &[b"unable to unlink: ", &directory.shown(&self.name)], None);
        }
        let text = || directory.text("unable to rename state");
        patience.insist(text, || sys::fd::open_append(Path::new("newstate")).map(drop))?;
        patience.insist(text, || fs::rename("newstate", "state"))?;
        directory.info(&[b"processed: ", &directory.shown(&done)]);
        Ok(())
    }
}
