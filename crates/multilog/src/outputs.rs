//! All that a script writes to: the engine's sink in a real multilog.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::log::Log;
use crate::patience::{GivenUp, Patience, Report};
use crate::status::StatusFile;
use crate::{Action, Script, Sink};

/// How much is gathered for stderr before it is written.
const BUFFER: usize = 65_536;
/// How long whoever reads stderr may take to read some of it, in nanoseconds.
const READING: u64 = 5_000_000_000;

/// The reason why multilog cannot begin.
#[derive(Debug)]
pub enum OpenError {
    /// This could not be done, for that reason of the system.
    Failed(Vec<u8>, io::Error),
    /// A TERM came while multilog paused at its start; what it paused for has been told.
    Ended,
}

impl OpenError {
    /// Makes a function for `map_err`; `text` says what could not be done.
    pub(crate) fn on(text: impl FnOnce() -> Vec<u8>) -> impl FnOnce(io::Error) -> OpenError {
        |reason| OpenError::Failed(text(), reason)
    }
}

impl From<GivenUp> for OpenError {
    fn from(GivenUp: GivenUp) -> OpenError {
        OpenError::Ended
    }
}

/// Open status files and logs, and what is on its way to them.
pub struct Outputs {
    stderr: Vec<u8>,
    /// Whether stderr had no room for what came last.
    unread: bool,
    files: Vec<StatusFile>,
    logs: Vec<Log>,
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
        let mut patience = Patience::new(report).map_err(OpenError::on(|| b"unable to catch signals".to_vec()))?;
        let files = script.files.iter().map(|name| StatusFile::open(name)).collect::<Result<_, _>>()?;
        let mut logs = Vec::with_capacity(script.logs.len());
        for plan in &script.logs {
            let back = || b"unable to switch to starting directory".to_vec();
            sys::fd::change_directory(start.as_fd()).map_err(OpenError::on(back))?;
            logs.push(Log::open(plan, &mut patience)?);
        }
        let stderr = Vec::with_capacity(if script.actions.contains(&Action::Stderr) { BUFFER } else { 0 });
        Ok(Outputs { stderr, unread: false, files, logs, patience, given_up: false })
    }

    /// The part that hears signals and waits.
    pub fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// How many bytes the fullest log can take before it has to begin a new file.
    pub fn room(&self) -> u64 {
        self.logs.iter().map(Log::room).min().unwrap_or(u64::MAX)
    }

    /// Writes all lines that are complete to logs, status files and stderr. To stderr at the end: only there it may have to wait for somebody else.
    pub fn flush(&mut self) {
        for file in &mut self.files {
            self.given_up |= file.flush(&mut self.patience).is_err();
        }
        for log in &mut self.logs {
            log.flush(&mut self.patience);
        }
        self.flush_stderr();
    }

    /// Begins a new file in each log whose file is not empty.
    pub fn rotate(&mut self) {
        for log in &mut self.logs {
            log.rotate_if_any(&mut self.patience);
        }
    }

    /// Writes all that is left, and marks each `current` as complete. Returns whether nothing was given up.
    pub fn close(mut self) -> bool {
        self.flush();
        let patience = &mut self.patience;
        self.logs.into_iter().fold(!self.given_up, |well, log| log.close(patience) && well)
    }

    /// Writes what `e` has selected. Nothing is done about a stderr that cannot be written, and whoever reads it has a while to do so: what is not
    /// read by then is dropped, and so is all that comes until there is room again.
    fn flush_stderr(&mut self) {
        for piece in self.stderr.chunks(sys::fd::PIECE) {
            let patience = if self.unread { 0 } else { READING };
            self.unread = !self.patience.wait_for_room(sys::fd::stderr(), patience);
            if self.unread || sys::fd::write_all(sys::fd::stderr(), piece).is_err() {
                break;
            }
        }
        self.stderr.clear();
    }
}

impl Sink for Outputs {
    fn stderr(&mut self, bytes: &[u8]) {
        if self.stderr.len() + bytes.len() > BUFFER {
            self.flush();
        }
        self.stderr.extend_from_slice(bytes);
    }

    fn status(&mut self, number: usize, head: &[u8]) {
        if let Some(file) = self.files.get_mut(number) {
            file.set(head);
        }
    }

    fn log(&mut self, number: usize, bytes: &[u8]) {
        if self.logs.get(number).is_some_and(|log| !log.has_room(bytes.len())) {
            // All of them: this one may have to wait long for its disk.
            self.flush();
        }
        if let Some(log) = self.logs.get_mut(number) {
            log.put(bytes, &mut self.patience);
        }
    }
}
