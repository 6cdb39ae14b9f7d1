//! A log directory as a place: entered by its descriptor, so it may be moved or its path may go while multilog runs, and
//! kept from a second multilog by a lock. Here finished files get their names, and the oldest go.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use tai::Label;

use crate::OpenError;
use crate::patience::{GivenUp, Patience};

/// Mode of a file that is being written, or was when its writer died.
pub(crate) const UNSAFE: u32 = 0o644;
/// Mode of a file that is complete and on disk: the owner's execute bit says so.
pub(crate) const SAFE: u32 = 0o744;

/// Whether a file of this mode is complete and on disk.
pub(crate) const fn is_safe(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// Why a file was finished: the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Complete, on disk, processed.
    Safe,
    /// Left over from a crash.
    Unsafe,
}

impl Code {
    const fn suffix(self) -> &'static [u8] {
        match self {
            Code::Safe => b".s",
            Code::Unsafe => b".u",
        }
    }
}

/// An open and locked log directory.
pub(crate) struct Directory {
    path: Vec<u8>,
    kept: u64,
    handle: File,
    _lock: File,
}

impl Directory {
    /// Makes it if it is missing, enters it and locks it.
    pub fn open(path: &[u8], kept: u64) -> Result<Directory, OpenError> {
        let name = Path::new(OsStr::from_bytes(path));
        let text = |before: &[u8]| [before, path].concat();
        // If this fails for another reason than that it is there, opening it shows why.
        let _ = DirBuilder::new().mode(0o700).create(name);
        let handle =
            sys::fd::open_read(name).and_then(|handle| sys::fd::change_directory(handle.as_fd()).map(|()| handle));
        let handle = handle.map_err(OpenError::on(|| text(b"unable to open directory ")))?;
        let lock = lock().map_err(OpenError::on(|| text(b"unable to lock directory ")))?;
        Ok(Directory { path: path.to_vec(), kept, handle, _lock: lock })
    }

    /// The directory's path between two pieces of a message.
    pub fn text(&self, before: &str, after: &str) -> Vec<u8> {
        [before.as_bytes(), &self.path, after.as_bytes()].concat()
    }

    /// Makes it the current directory.
    pub fn enter(&self, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(
            || self.text("unable to switch to ", ", pausing"),
            || sys::fd::change_directory(self.handle.as_fd()),
        )
    }

    /// Removes a file, which may be missing.
    pub fn remove(&self, name: &str, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(|| self.text("unable to remove ", &format!("/{name}, pausing")), || remove(name))
    }

    /// Gives a file its final name, the time, and removes the oldest ones that are too many. A missing file needs none.
    pub fn finish(&self, name: &str, code: Code, patience: &mut Patience) -> Result<(), GivenUp> {
        let found = patience.insist(|| self.text("unable to stat ", &format!("/{name}, pausing")), || stat(name))?;
        let Some(found) = found else {
            return Ok(());
        };
        // With a second name it was linked already, and a crash kept the first from going.
        if found.nlink() == 1 {
            let seen = patience.insist(|| self.text("unable to read ", ", pausing"), Finished::look)?;
            let (seconds, nanos) = sys::clock::wall();
            let now = Label::from_unix(seconds, nanos);
            // After a clock was set back, the newest file would have the oldest name, and be the first to be removed.
            let label = seen.newest.filter(|&newest| newest >= now).map_or(now, Label::next);
            self.link(name, code, label, patience)?;
        }
        self.remove(name, patience)?;
        patience.insist(|| self.text("unable to read ", ", pausing"), || self.prune())?;
        // So that a power failure leaves the names as they are now. Some file systems cannot do that to a directory; what
        // a file holds is safe there all the same.
        let _ = self.handle.sync_all();
        Ok(())
    }

    fn link(&self, name: &str, code: Code, mut label: Label, patience: &mut Patience) -> Result<(), GivenUp> {
        let target = |label: Label| [&label.text(), code.suffix()].concat();
        loop {
            let taken = patience.insist(
                || [self.text("unable to link to ", "/").as_slice(), &target(label), b", pausing"].concat(),
                || match fs::hard_link(name, OsStr::from_bytes(&target(label))) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
                    done => done.map(|()| false),
                },
            )?;
            if !taken {
                return Ok(());
            }
            // Two files were finished in one microsecond.
            label = label.next();
        }
    }

    /// Removes the oldest finished files until there is room for `current`.
    fn prune(&self) -> io::Result<()> {
        let room = usize::try_from(self.kept.saturating_sub(1)).unwrap_or(usize::MAX);
        loop {
            let seen = Finished::look()?;
            let excess = seen.count.saturating_sub(room);
            seen.oldest.iter().take(excess).try_for_each(remove)?;
            if excess <= seen.oldest.len() {
                return Ok(());
            }
        }
    }
}

/// The finished files: those whose names begin as one's does, whoever gave them. Directories are none of ours.
#[derive(Default)]
struct Finished {
    count: usize,
    /// The newest label.
    newest: Option<Label>,
    /// The first names, [`OLDEST`](Finished::OLDEST) at most: however many files there are, they fit into memory.
    oldest: BTreeSet<OsString>,
}

impl Finished {
    const OLDEST: usize = 64;

    /// Looks at the current directory.
    fn look() -> io::Result<Finished> {
        let mut seen = Finished::default();
        for entry in fs::read_dir(".")? {
            let entry = entry?;
            let name = entry.file_name();
            let (front, len) = (name.as_bytes().first(), name.as_bytes().len());
            if front == Some(&b'@') && len >= Label::TEXT && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                seen.add(name);
            }
        }
        Ok(seen)
    }

    fn add(&mut self, name: OsString) {
        /// From here on, no time is meant.
        const RESERVED: u64 = 1 << 63;
        let label = name.as_bytes().get(1..Label::TEXT).and_then(Label::from_digits);
        self.count += 1;
        self.newest = self.newest.max(label.filter(|label| label.seconds < RESERVED));
        if self.oldest.len() < Finished::OLDEST {
            self.oldest.insert(name);
        } else if self.oldest.last().is_some_and(|last| name < *last) {
            self.oldest.pop_last();
            self.oldest.insert(name);
        }
    }
}

fn lock() -> io::Result<File> {
    let file = sys::fd::open_append(Path::new("lock"))?;
    sys::fd::try_lock(&file)?;
    Ok(file)
}

/// The file's metadata; `None` if there is none.
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

/// The mode with which an open file says what it is.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_trouble(_: crate::Level, text: &[u8], reason: Option<&io::Error>) {
        panic!("{}: {reason:?}", String::from_utf8_lossy(text));
    }

    /// The only test of the library that changes the current directory.
    #[test]
    fn a_stamp_that_is_taken_is_advanced() {
        let scratch = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(scratch.path().as_os_str().as_bytes(), 10).expect("opens");
        let mut patience = Patience::new(no_trouble).expect("a pipe");
        let label = Label::from_unix(1_000_000_000, 999_999_500);
        for content in ["first", "second", "third"] {
            fs::write("file", content).expect("writes");
            directory.link("file", Code::Safe, label, &mut patience).expect("links");
            remove("file").expect("removes");
        }
        let names: Vec<_> = Finished::look().expect("lists").oldest.into_iter().collect();
        let contents: Vec<_> = names.iter().map(|name| fs::read_to_string(name).expect("reads")).collect();
        assert_eq!(contents, ["first", "second", "third"]);
        assert_eq!(names[1], "@400000003b9aca0b000001f4.s");
    }
}
