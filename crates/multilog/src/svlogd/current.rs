//! `current`, and its rotation. It is renamed to its final name at once, so that whenever a crash comes, every byte that was written is in a file with a name
//! that the next svlogd knows, ours or the original.
//!
//! | found                                    | means                             | becomes     |
//! |------------------------------------------|-----------------------------------|-------------|
//! | `current` empty, or with the execute bit | svlogd ended as told              | appended to |
//! | `current` otherwise                      | it died while writing             | `@STAMP.u`  |
//! | `@STAMP.t`                               | it died while a processor ran     | nothing     |

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::directory::{self as modes, is_safe, set_mode};
use crate::log;
use crate::patience::{GivenUp, Patience};
use crate::svlogd::config::Config;
use crate::svlogd::directory::{Directory, Name, SAFE, UNSAFE};
use crate::svlogd::processing::Running;

/// The file `current`, and the log directory that it lies in.
pub(crate) struct Current {
    directory: Directory,
    file: File,
    written: u64,
    /// The command that finished files go through.
    processor: Option<Vec<u8>>,
    /// The processor that runs, or is to be run again.
    running: Option<Running>,
}

impl Current {
    /// Opens `current` in `directory`, which is the current directory, where `running` may still run. `None` if that is impossible, of which a warning has told.
    pub fn open(
        mut directory: Directory,
        running: Option<Running>,
        config: &Config,
        patience: &mut Patience,
    ) -> Result<Option<Current>, GivenUp> {
        let found = match fs::metadata("current") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(reason) => {
                directory.warn("unable to stat current", Some(&reason));
                return Ok(None);
            }
            Ok(found) if found.len() > 0 && !is_safe(found.mode()) => {
                let name = directory.name(UNSAFE, patience)?;
                directory.finish(&name, patience)?;
                directory.prune(running.as_ref().map_or(Some(&name), |running| Some(running.name())), patience)?;
                None
            }
            Ok(found) => Some(found.len()),
        };
        let file = begin(&directory, "unable to open current", patience)?;
        let how: &[u8] = if found.is_some() { b"append: " } else { b"new: " };
        directory.info(&[how, &directory.shown(b"current")]);
        let (written, processor) = (found.unwrap_or(0), config.processor.clone());
        Ok(Some(Current { directory, file, written, processor, running }))
    }

    /// The directory, and what runs there.
    pub fn into_directory(self) -> (Directory, Option<Running>) {
        (self.directory, self.running)
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// When the processor is to be started again.
    pub fn due(&self) -> Option<u64> {
        self.running.as_ref().and_then(Running::due)
    }

    /// Looks whether the processor has ended, and starts it again when it is time.
    pub fn tend(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        if let Some(running) = &mut self.running
            && running.tend(&self.directory, patience)?
        {
            self.running = None;
        }
        Ok(())
    }

    /// Waits until the processor has done its work.
    pub fn settle(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        if let Some(running) = &mut self.running {
            running.settle(&self.directory, patience)?;
            self.running = None;
        }
        Ok(())
    }

    fn own(&self) -> Option<&Name> {
        self.running.as_ref().map(Running::name)
    }

    fn sync(&self, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(|| self.directory.text("unable to fsync current logfile"), || self.file.sync_all())?;
        patience.insist(|| self.directory.text("unable to set mode of current"), || set_mode(&self.file, modes::SAFE))
    }
}

/// Opens `current` for what comes next.
fn begin(directory: &Directory, unable: &str, patience: &mut Patience) -> Result<File, GivenUp> {
    let file = patience.insist(|| directory.text(unable), || sys::fd::open_append(Path::new("current")))?;
    patience.insist(|| directory.text("unable to set mode of current"), || set_mode(&file, modes::UNSAFE))?;
    Ok(file)
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
        self.directory.text("unable to write to current")
    }

    fn given_up(&self, lost: Option<u64>) -> Vec<u8> {
        match lost {
            None => self.directory.text("unable to finish log, ending"),
            Some(bytes) => self.directory.text(&format!("unable to write {bytes} bytes to log, ending")),
        }
    }

    fn make_room(&self) -> bool {
        self.directory.make_room(self.own())
    }

    fn complete(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        self.sync(patience)
    }

    fn rotate(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        self.settle(patience)?;
        self.directory.enter("rotate", patience)?;
        let name = self.directory.name(if self.processor.is_some() { UNSAFE } else { SAFE }, patience)?;
        self.sync(patience)?;
        let (from, length) = (self.directory.shown(b"current"), self.written.to_string());
        self.directory.info(&[b"rename: ", &from, b" ", &name, b" ", length.as_bytes()]);
        self.directory.finish(&name, patience)?;
        self.file = begin(&self.directory, "unable to create new current", patience)?;
        self.written = 0;
        self.directory.prune(Some(&name), patience)?;
        if let Some(command) = &self.processor {
            self.running = Some(Running::start(command, name, &self.directory, patience)?);
        }
        Ok(())
    }
}
