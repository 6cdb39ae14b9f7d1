//! Rotation: `current` becomes `previous`, and `previous` becomes a finished file, after the processor if there is one.
//!
//! Whenever a crash comes, every byte that was written is in a file with a name that the recovery knows.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sys::process::Change;

use crate::directory::{Code, Directory, SAFE, UNSAFE, set_mode};
use crate::log;
use crate::patience::{GivenUp, Level, Line, Patience, Trouble};
use crate::processor::Files;
use crate::recovery::open_current;
use crate::{OpenError, Plan};

/// The file `current`, and the log directory that it lies in.
pub(crate) struct Current {
    directory: Directory,
    /// The command of the processor that finished files go through.
    processor: Option<Vec<u8>>,
    file: File,
    /// The length of the file in bytes.
    written: u64,
}

impl Current {
    /// Opens the log directory, cleans up after a crash, and opens `current`. The directory is the current directory afterwards.
    pub(crate) fn open(plan: &Plan, patience: &mut Patience) -> Result<Current, OpenError> {
        let mut directory = Directory::open(&plan.path, plan.kept, plan.total)?;
        let (file, written) = open_current(&mut directory, patience)?;
        Ok(Current { directory, processor: plan.processor.clone(), file, written })
    }
}

impl log::Current for Current {
    fn file(&self) -> &File {
        &self.file
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn note(&mut self, count: u64) {
        self.written = self.written.saturating_add(count);
    }

    fn unable_to_write(&self) -> Vec<u8> {
        self.directory.text("unable to write to ", "/current, pausing")
    }

    fn given_up(&self, lost: Option<u64>) -> Vec<u8> {
        let what = match lost {
            None => "unable to finish ".to_owned(),
            Some(bytes) => format!("unable to write {bytes} bytes to "),
        };
        self.directory.text(&what, ", ending")
    }

    fn complete(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        let text = || self.directory.text("unable to write ", "/current to disk, pausing");
        patience.insist(text, || self.file.sync_all())?;
        let text = || self.directory.text("unable to set mode of ", "/current, pausing");
        patience.insist(text, || set_mode(&self.file, SAFE))
    }

    fn rotate(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        let directory = &self.directory;
        directory.enter(patience)?;
        let text = || directory.text("unable to write ", "/current to disk, pausing");
        patience.insist(text, || self.file.sync_all())?;
        let text = || directory.text("unable to rename current to previous in directory ", ", pausing");
        patience.insist(text, || fs::rename("current", "previous"))?;
        let text = || directory.text("unable to create ", "/current, pausing");
        self.file = patience.insist(text, || sys::fd::open_append(Path::new("current")))?;
        self.written = 0;
        let text = || directory.text("unable to set mode of ", "/current, pausing");
        patience.insist(text, || set_mode(&self.file, UNSAFE))?;
        let text = || directory.text("unable to set mode of ", "/previous, pausing");
        patience.insist(text, || fs::set_permissions("previous", Permissions::from_mode(SAFE)))?;
        match &self.processor {
            None => self.directory.finish("previous", Code::Safe, patience),
            Some(command) => process(&mut self.directory, command, patience),
        }
    }
}

/// Sends `previous` through the processor, and finishes what comes out.
fn process(directory: &mut Directory, command: &[u8], patience: &mut Patience) -> Result<(), GivenUp> {
    let report = patience.report();
    patience
        .insist_on(|| run(directory, command, &|reason| report(Level::Fatal, &unable_to_run(command), Some(reason))))?;
    let processed = sync(directory, "processed", patience)?;
    let text = || directory.text("unable to set mode of ", "/processed, pausing");
    patience.insist(text, || set_mode(&processed, SAFE))?;
    sync(directory, "newstate", patience)?;
    directory.remove("previous", patience)?;
    let text = || directory.text("unable to rename newstate to state in directory ", ", pausing");
    patience.insist(text, || fs::rename("newstate", "state"))?;
    directory.finish("processed", Code::Safe, patience)
}

/// Makes sure that a file exists and is on disk.
fn sync(directory: &Directory, name: &str, patience: &mut Patience) -> Result<File, GivenUp> {
    let text = || directory.text("unable to create ", &format!("/{name}, pausing"));
    let file = patience.insist(text, || sys::fd::open_append(Path::new(name)))?;
    let text = || directory.text("unable to write ", &format!("/{name} to disk, pausing"));
    patience.insist(text, || file.sync_all())?;
    Ok(file)
}

/// Runs the processor once and waits for its end.
fn run(directory: &Directory, command: &[u8], cannot: &dyn Fn(&io::Error)) -> Result<(), Trouble> {
    let files = Files::open("previous", "processed").map_err(|(_, reason)| Trouble {
        lines: vec![
            fatal(unable_to_run(command), reason),
            warning(directory.text("processor failed in ", ", pausing"), None),
        ],
        pauses: 1,
    })?;
    let pid = files.start(command, |error| cannot(&error));
    let text = || directory.text("unable to fork for processor in ", ", pausing");
    judge(directory, sys::process::wait(pid.map_err(|reason| Trouble::new(text(), reason))?))
}

/// Judges the end of the processor: it has failed unless it exited 0.
fn judge(directory: &Directory, end: io::Result<Change>) -> Result<(), Trouble> {
    let told = |what: &str, reason| warning(directory.text(what, ", pausing"), reason);
    let mut lines = match end {
        Ok(Change::Exited(0)) => return Ok(()),
        Ok(Change::Exited(_) | Change::Stopped | Change::Continued) => Vec::new(),
        Ok(Change::Killed(signal)) => {
            vec![told("processor crashed in ", Some(io::Error::other(format!("signal {signal}"))))]
        }
        Err(reason) => vec![told("wait failed for processor in ", Some(reason))],
    };
    lines.push(told("processor failed in ", None));
    Err(Trouble { pauses: lines.len() as u64, lines })
}

fn unable_to_run(command: &[u8]) -> Vec<u8> {
    [b"unable to run ", command].concat()
}

fn fatal(text: Vec<u8>, reason: io::Error) -> Line {
    Line { level: Level::Fatal, text, reason: Some(reason) }
}

fn warning(text: Vec<u8>, reason: Option<io::Error>) -> Line {
    Line { level: Level::Warning, text, reason }
}
