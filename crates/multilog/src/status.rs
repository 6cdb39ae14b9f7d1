//! A status file: it holds the last line that was selected for it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::OpenError;
use crate::patience::{GivenUp, Patience};
use crate::rules::HEAD;

/// The size of what is written to the file, in bytes: the line, then newlines. It is always written as a whole, so that
/// a reader sees one line or the other.
const SIZE: usize = HEAD + 1;

/// An open status file.
pub(crate) struct StatusFile {
    name: Vec<u8>,
    file: File,
    line: Box<[u8; SIZE]>,
    /// Whether the line is not in the file yet.
    pending: bool,
}

impl StatusFile {
    /// Opens a status file, and makes it if it does not exist. Its contents stay.
    pub fn open(name: &[u8]) -> Result<StatusFile, OpenError> {
        let path = Path::new(OsStr::from_bytes(name));
        let text = |before: &[u8]| [before, name].concat();
        sys::fd::open_append(path).map_err(OpenError::on(|| text(b"unable to create ")))?;
        let file = sys::fd::open_write(path).map_err(OpenError::on(|| text(b"unable to write ")))?;
        Ok(StatusFile { name: name.to_vec(), file, line: Box::new([b'\n'; SIZE]), pending: false })
    }

    /// Sets the line to be written. Of the lines of one block of input only the last is written.
    pub fn set(&mut self, head: &[u8]) {
        let (line, rest) = self.line.split_at_mut(head.len().min(SIZE));
        line.copy_from_slice(head.get(..line.len()).unwrap_or_default());
        rest.fill(b'\n');
        self.pending = true;
    }

    /// Writes the line over the last one, unless it was already written.
    pub fn flush(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        if !std::mem::take(&mut self.pending) {
            return Ok(());
        }
        let (name, mut file) = (&self.name, &self.file);
        let text = |before: &[u8]| [before, name, b", pausing"].concat();
        patience.insist(|| text(b"unable to move to beginning of "), || file.seek(SeekFrom::Start(0)))?;
        // Each attempt writes from the beginning, since a failed one may have written a part.
        patience.insist(|| text(b"unable to write "), || file.write_all_at(self.line.as_slice(), 0))
    }
}
