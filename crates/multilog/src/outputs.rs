//! Everything that a script writes to: the engine's sink that writes real files.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use sys::clock;

use crate::age::Age;
use crate::alerts::Alerts;
use crate::log::{Current as _, Limits, Log};
use crate::patience::{GivenUp, MULTILOG, Patience, Report};
use crate::rotation::Current;
use crate::status::StatusFile;
use crate::{Action, Plan, Script, Sink};

/// A line end in this many last bytes finishes a file.
const MARGIN: u64 = 2_000;

/// The reason why multilog cannot begin.
#[derive(Debug)]
pub enum OpenError {
    /// The text says what failed, the error why.
    Failed(Vec<u8>, io::Error),
    /// A TERM came while multilog paused at its start. It has already printed the reason for the pause.
    Ended,
}

impl OpenError {
    /// Makes a function for `map_err`; `text` says what failed.
    pub(crate) fn on(text: impl FnOnce() -> Vec<u8>) -> impl FnOnce(io::Error) -> OpenError {
        |reason| OpenError::Failed(text(), reason)
    }
}

impl From<GivenUp> for OpenError {
    fn from(GivenUp: GivenUp) -> OpenError {
        OpenError::Ended
    }
}

/// The open status files and logs, with the bytes that are not written yet.
pub struct Outputs {
    stderr: Alerts,
    files: Vec<StatusFile>,
    logs: Vec<Log<Current>>,
    patience: Patience,
    /// Whether a status file was given up.
    given_up: bool,
}

impl Outputs {
    /// Opens all files and directories of a script: first the status files, as the original does, then the logs.
    ///
    /// # Errors
    /// [`OpenError`] for the first that cannot be opened.
    pub fn open(script: &Script, report: Report) -> Result<Outputs, OpenError> {
        let here = || b"unable to switch to current directory".to_vec();
        let start = sys::fd::open_read(Path::new(".")).map_err(OpenError::on(here))?;
        let mut patience =
            Patience::new(&MULTILOG, report).map_err(OpenError::on(|| b"unable to catch signals".to_vec()))?;
        let files = script.files.iter().map(|name| StatusFile::open(name)).collect::<Result<_, _>>()?;
        let mut logs = Vec::with_capacity(script.logs.len());
        for plan in &script.logs {
            let back = || b"unable to switch to starting directory".to_vec();
            sys::fd::change_directory(start.as_fd()).map_err(OpenError::on(back))?;
            logs.push(open(plan, &mut patience)?);
        }
        let stderr = Alerts::new(script.actions.contains(&Action::Stderr));
        Ok(Outputs { stderr, files, logs, patience, given_up: false })
    }

    /// The part that receives signals and waits.
    pub fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// How many bytes the log with the least room can take before it begins a new file.
    pub fn room(&self) -> u64 {
        self.logs.iter().map(Log::room).min().unwrap_or(u64::MAX)
    }

    /// Writes all complete lines to logs, status files and stderr. stderr comes last, since only there it may have to wait for a reader.
    pub fn flush(&mut self) {
        for file in &mut self.files {
            self.given_up |= file.flush(&mut self.patience).is_err();
        }
        for log in &mut self.logs {
            log.flush(&mut self.patience);
        }
        self.stderr.flush(&mut self.patience);
    }

    /// Begins a new file in each log whose file is not empty.
    pub fn rotate(&mut self) {
        for log in &mut self.logs {
            log.rotate_if_any(&mut self.patience);
        }
    }

    /// Begins a new file in each log whose file has become too old. Returns after how many nanoseconds this is to be called again, if nothing is
    /// written before; `None` while no file grows older.
    pub fn expire(&mut self) -> Option<u64> {
        let next = |logs: &[Log<Current>]| logs.iter().filter_map(Log::due).min();
        let (due, now) = (next(&self.logs)?, clock::monotonic());
        if due > now {
            return Some(due - now);
        }
        for log in &mut self.logs {
            log.expire(now, &mut self.patience);
        }
        Some(next(&self.logs)?.saturating_sub(clock::monotonic()))
    }

    /// Writes the rest, and marks each `current` as complete. Returns whether nothing was given up.
    pub fn close(mut self) -> bool {
        self.flush();
        let patience = &mut self.patience;
        self.logs.into_iter().fold(!self.given_up, |well, log| log.close(patience).1 && well)
    }
}

/// Opens the directory of a log and its `current`. The directory is the current directory afterwards.
fn open(plan: &Plan, patience: &mut Patience) -> Result<Log<Current>, OpenError> {
    let current = Current::open(plan, patience)?;
    let mut age = Age::new(plan.age);
    if current.written() > 0 {
        age.resume(current.file());
    }
    Ok(Log::new(current, Limits { size: plan.size, margin: MARGIN, age }))
}

impl Sink for Outputs {
    fn stderr(&mut self, bytes: &[u8]) {
        if !self.stderr.has_room(bytes.len()) {
            self.flush();
        }
        self.stderr.put(bytes);
    }

    fn status(&mut self, number: usize, head: &[u8]) {
        if let Some(file) = self.files.get_mut(number) {
            file.set(head);
        }
    }

    fn log(&mut self, number: usize, bytes: &[u8]) {
        if self.logs.get(number).is_some_and(|log| !log.has_room(bytes.len())) {
            // Flush all logs: this one may have to wait long for its disk.
            self.flush();
        }
        if let Some(log) = self.logs.get_mut(number) {
            log.put(bytes, &mut self.patience);
        }
    }
}
