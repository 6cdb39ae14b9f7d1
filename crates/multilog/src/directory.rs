//! A log directory. multilog enters it by its descriptor, so it may be moved or its path may go while multilog runs, and
//! locks it against a second multilog. This module gives finished files their names, and removes the oldest.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use sys::names::Names;
use tai::Label;

use crate::OpenError;
use crate::finished::{Finished, length};
use crate::patience::{GivenUp, Patience};

/// Mode of a file that is being written, or that was being written when its multilog died.
pub(crate) const UNSAFE: u32 = 0o644;
/// Mode of a file that is complete and on disk: the owner's execute bit says so.
pub(crate) const SAFE: u32 = 0o744;

/// Returns whether a file of this mode is complete and on disk.
pub(crate) const fn is_safe(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// Why a file was finished: the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The file is complete, on disk and processed.
    Safe,
    /// The file is left over from a crash.
    Unsafe,
}

impl Code {
    /// The name of a file that was finished at `label`.
    fn name(self, label: Label) -> [u8; Label::TEXT + 2] {
        let mut name = [b'.'; Label::TEXT + 2];
        name[..Label::TEXT].copy_from_slice(&label.text());
        name[Label::TEXT + 1] = match self {
            Code::Safe => b's',
            Code::Unsafe => b'u',
        };
        name
    }
}

/// An open and locked log directory.
pub(crate) struct Directory {
    path: Vec<u8>,
    kept: u64,
    /// How many bytes all old files together may have, if there is a bound.
    total: Option<u64>,
    handle: File,
    names: Names,
    finished: Finished,
    _lock: File,
}

impl Directory {
    /// Opens a log directory: makes it if it does not exist, enters it and locks it. `kept` is how many files there may
    /// be, including `current`, and `total` how many bytes all the others may have together, if there is a bound.
    pub fn open(path: &[u8], kept: u64, total: Option<u64>) -> Result<Directory, OpenError> {
        let name = Path::new(OsStr::from_bytes(path));
        let text = |before: &[u8]| [before, path].concat();
        // If this fails for any reason but that the directory exists, opening it will show why.
        let _ = DirBuilder::new().mode(0o700).create(name);
        let handle =
            sys::fd::open_read(name).and_then(|handle| sys::fd::change_directory(handle.as_fd()).map(|()| handle));
        let handle = handle.map_err(OpenError::on(|| text(b"unable to open directory ")))?;
        let lock = lock().map_err(OpenError::on(|| text(b"unable to lock directory ")))?;
        let (names, finished) = (Names::new(), Finished::new(total.is_some(), |name| name.len() >= Label::TEXT));
        Ok(Directory { path: path.to_vec(), kept, total, handle, names, finished, _lock: lock })
    }

    /// A message about the directory: its path between two pieces of text.
    pub fn text(&self, before: &str, after: &str) -> Vec<u8> {
        text_about(&self.path, before, after)
    }

    /// Makes the directory the current one.
    pub fn enter(&self, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(
            || self.text("unable to switch to ", ", pausing"),
            || sys::fd::change_directory(self.handle.as_fd()),
        )
    }

    /// Removes a file. It is no error if that does not exist.
    pub fn remove(&self, name: &str, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(|| self.text("unable to remove ", &format!("/{name}, pausing")), || remove(name))
    }

    /// Gives a file its final name, which contains the time, and removes the oldest files if there are too many, or they are too long together. A
    /// file that does not exist is ignored.
    pub fn finish(&mut self, name: &str, code: Code, patience: &mut Patience) -> Result<(), GivenUp> {
        let found = patience.insist(|| self.text("unable to stat ", &format!("/{name}, pausing")), || stat(name))?;
        let Some(found) = found else {
            return Ok(());
        };
        self.look(patience)?;
        // If it has two names, it was already linked to its final name, and a crash came before the old name was
        // removed.
        if found.nlink() == 1 {
            let (seconds, nanos) = sys::clock::wall();
            let now = Label::from_unix(seconds, nanos);
            // After the clock was set back, the newest file would otherwise have the oldest name, and be removed first.
            let label = self.finished.newest.filter(|&newest| newest >= now).map_or(now, Label::next);
            let label = self.link(name, code, label, patience)?;
            self.finished.add(&code.name(label), found.len());
        }
        self.remove(name, patience)?;
        self.prune(patience)?;
        // So that the names survive a power failure. Some file systems cannot sync a directory; the contents of the files
        // are safe there all the same.
        let _ = self.handle.sync_all();
        Ok(())
    }

    /// Reads which finished files there are.
    fn look(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        let Directory { path, handle, names, finished, .. } = self;
        patience.insist(|| text_about(path, "unable to read ", ", pausing"), || finished.look(names, handle.as_fd()))
    }

    /// Links a file to its final name, which has `label` or the first later label that is free. Returns the label.
    fn link(&self, name: &str, code: Code, mut label: Label, patience: &mut Patience) -> Result<Label, GivenUp> {
        loop {
            let target = code.name(label);
            let taken = patience.insist(
                || [self.text("unable to link to ", "/").as_slice(), &target, b", pausing"].concat(),
                || match fs::hard_link(name, OsStr::from_bytes(&target)) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
                    done => done.map(|()| false),
                },
            )?;
            if !taken {
                return Ok(label);
            }
            // Two files were finished in one microsecond.
            label = label.next();
        }
    }

    /// Removes the oldest finished files until there is room for `current` and the others are not too long together. If more must go than are
    /// remembered, it reads the directory again.
    fn prune(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        let room = usize::try_from(self.kept.saturating_sub(1)).unwrap_or(usize::MAX);
        loop {
            let Finished { mut count, mut bytes, .. } = self.finished;
            for name in self.finished.oldest() {
                if count <= room && self.total.is_none_or(|total| bytes <= total) {
                    return Ok(());
                }
                let name = OsStr::from_bytes(name);
                if self.total.is_some() {
                    let length = patience.insist(|| self.text("unable to stat ", "/@, pausing"), || length(name))?;
                    bytes = bytes.saturating_sub(length);
                }
                patience.insist(|| self.text("unable to remove ", "/@, pausing"), || remove(name))?;
                count = count.saturating_sub(1);
            }
            if count == 0 {
                return Ok(());
            }
            self.look(patience)?;
        }
    }
}

fn text_about(path: &[u8], before: &str, after: &str) -> Vec<u8> {
    [before.as_bytes(), path, after.as_bytes()].concat()
}

fn lock() -> io::Result<File> {
    let file = sys::fd::open_append(Path::new("lock"))?;
    sys::fd::try_lock(&file)?;
    Ok(file)
}

/// The metadata of a file; `None` if the file does not exist.
pub(crate) fn stat(name: &str) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

fn remove(name: impl AsRef<Path>) -> io::Result<()> {
    match fs::remove_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Sets the mode of an open file, which shows whether it is safe.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::MULTILOG;

    fn no_trouble(_: crate::Level, text: &[u8], reason: Option<&io::Error>) {
        panic!("{}: {reason:?}", String::from_utf8_lossy(text));
    }

    /// The only test of the library that changes the current directory.
    #[test]
    fn a_stamp_that_is_taken_is_advanced() {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut directory = Directory::open(scratch.path().as_os_str().as_bytes(), 10, None).expect("opens");
        let mut patience = Patience::new(&MULTILOG, no_trouble).expect("a pipe");
        let label = Label::from_unix(1_000_000_000, 999_999_500);
        for content in ["first", "second", "third"] {
            fs::write("file", content).expect("writes");
            directory.link("file", Code::Safe, label, &mut patience).expect("links");
            remove("file").expect("removes");
        }
        let Directory { names, finished, handle, .. } = &mut directory;
        finished.look(names, handle.as_fd()).expect("lists");
        let names: Vec<_> = finished.oldest().map(OsStr::from_bytes).collect();
        let contents: Vec<_> = names.iter().map(|name| fs::read_to_string(name).expect("reads")).collect();
        assert_eq!(contents, ["first", "second", "third"]);
        assert_eq!(names[1], "@400000003b9aca0b000001f4.s");
    }
}
