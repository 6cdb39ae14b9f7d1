//! A log directory of svlogd: its lock, and the names of its files.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use sys::clock;
use sys::inode::{self, Identity};
use sys::names::Names;
use tai::Label;

use crate::finished::Finished;
use crate::patience::{GivenUp, Level, Patience};
use crate::svlogd::config::Config;
use crate::svlogd::logs::Teller;

/// The name of a finished file: its label, a dot, and the letter that says what it is.
pub(crate) type Name = [u8; NAME];

const NAME: usize = Label::TEXT + 2;
/// How long a `config` may be in bytes: far longer than any that was written by hand.
const CONFIG: u64 = 1 << 26;

/// Why a file was finished: the end of its name.
pub(crate) const SAFE: u8 = b's';
/// A file that was left behind by a crash, or waits for its processor.
pub(crate) const UNSAFE: u8 = b'u';
/// What a processor has made so far.
pub(crate) const MADE: u8 = b't';

/// The name with another letter at its end.
pub(crate) fn with(mut name: Name, letter: u8) -> Name {
    name[NAME - 1] = letter;
    name
}

/// The path of a file in the current directory.
pub(crate) fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

fn is_finished(name: &[u8]) -> bool {
    name.len() == NAME && name.last() != Some(&MADE)
}

/// An open and locked log directory.
pub(crate) struct Directory {
    path: Vec<u8>,
    handle: File,
    pub teller: Teller,
    names: Names,
    finished: Finished,
    /// How many old files there may be; 0 if there is no bound.
    kept: u64,
    /// How many old files stay on a full disk.
    least: u64,
    _lock: File,
}

impl Directory {
    /// Opens a directory, enters it and locks it. If that is impossible, says why.
    pub fn open(name: &[u8], make: bool, teller: Teller) -> Option<Directory> {
        if make {
            // If this fails for any reason but that the directory exists, opening it will show why.
            let _ = DirBuilder::new().mode(0o700).create(path(name));
        }
        let opened = sys::fd::open_read(path(name)).map_err(|reason| ("unable to open log directory", reason));
        let entered = opened.and_then(|handle| {
            let entered = sys::fd::change_directory(handle.as_fd());
            entered.map(|()| handle).map_err(|reason| ("unable to change directory", reason))
        });
        let locked = entered.and_then(|handle| {
            lock().map(|lock| (handle, lock)).map_err(|reason| ("unable to lock directory", reason))
        });
        match locked {
            Ok((handle, lock)) => {
                let (names, finished) = (Names::new(), Finished::new(false, is_finished));
                let path = name.to_vec();
                Some(Directory { path, handle, teller, names, finished, kept: 0, least: 0, _lock: lock })
            }
            Err((what, reason)) => {
                teller.say(Level::Warning, &[what.as_bytes(), b": ", name], Some(&reason));
                None
            }
        }
    }

    /// Which directory it is.
    pub fn identity(&self) -> io::Result<Identity> {
        inode::of(&self.handle)
    }

    /// Reads `config`. If there is none, or it cannot be read, the defaults hold.
    pub fn configure(&mut self) -> Config {
        let mut text = Vec::new();
        match sys::fd::open_read(Path::new("config")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                let read = opened.and_then(|file| file.take(CONFIG).read_to_end(&mut text));
                if let Err(reason) = read {
                    self.warn("unable to read config", Some(&reason));
                }
                self.info(&[b"read: ", &self.path, b"/config"]);
            }
        }
        let config = Config::parse(&text, |what, line| {
            self.teller.say(Level::Warning, &[what.as_bytes(), b": ", line], None);
        });
        (self.kept, self.least) = (config.kept, config.least);
        config
    }

    /// A message about the directory.
    pub fn text(&self, what: &str) -> Vec<u8> {
        [what.as_bytes(), b": ", &self.path].concat()
    }

    /// Warns of something about the directory.
    pub fn warn(&self, what: &str, reason: Option<&io::Error>) {
        self.teller.say(Level::Warning, &[&self.text(what)], reason);
    }

    /// Says what was done, to those who want to know.
    pub fn info(&self, pieces: &[&[u8]]) {
        self.teller.say(Level::Info, pieces, None);
    }

    /// The path of a file in it, as it is to be shown.
    pub fn shown(&self, name: &[u8]) -> Vec<u8> {
        [&self.path, &b"/"[..], name].concat()
    }

    /// Makes the directory the current one.
    pub fn enter(&self, want: &str, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(
            || self.text(&format!("unable to change directory, want {want}")),
            || sys::fd::change_directory(self.handle.as_fd()),
        )
    }

    /// Finds a name for a file that is finished now: one that no file has, behind all others in the order of names. The directory is the current one.
    pub fn name(&mut self, letter: u8, patience: &mut Patience) -> Result<Name, GivenUp> {
        self.look(patience)?;
        let (seconds, nanos) = clock::wall();
        let now = Label::from_unix(seconds, nanos);
        // After the clock was set back, the newest file would otherwise have the oldest name, and be removed first.
        let mut label = self.finished.newest.filter(|&newest| newest >= now).map_or(now, Label::next);
        loop {
            let mut name = [b'.'; NAME];
            name[..Label::TEXT].copy_from_slice(&label.text());
            let name = with(name, letter);
            if fs::symlink_metadata(path(&name)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                return Ok(name);
            }
            label = label.next();
        }
    }

    /// Renames `current`.
    pub fn finish(&mut self, name: &Name, patience: &mut Patience) -> Result<(), GivenUp> {
        patience.insist(|| self.text("unable to rename current"), || fs::rename("current", path(name)))?;
        self.finished.add(name, 0);
        Ok(())
    }

    /// Removes the oldest files if there are too many, and what processors have left behind, but no file of `own`: the name of one that has just been finished, or is
    /// being processed.
    pub fn prune(&mut self, own: Option<&Name>, patience: &mut Patience) -> Result<(), GivenUp> {
        self.remove_made(own);
        while self.kept > 0 && self.finished.count as u64 > self.kept {
            let before = self.finished.count;
            let mut left = before;
            for name in self.finished.oldest().filter(|&name| own.is_none_or(|own| name != own)) {
                if left as u64 <= self.kept {
                    break;
                }
                self.info(&[b"delete: ", &self.shown(name)]);
                if let Err(reason) = remove(name) {
                    self.warn("unable to unlink oldest logfile", Some(&reason));
                    return Ok(());
                }
                left -= 1;
            }
            if left == before {
                break;
            }
            self.look(patience)?;
        }
        // So that the names survive a power failure. Some file systems cannot sync a directory; the contents of the files
        // are safe there all the same.
        let _ = self.handle.sync_all();
        Ok(())
    }

    fn look(&mut self, patience: &mut Patience) -> Result<(), GivenUp> {
        let Directory { path, handle, names, finished, .. } = self;
        let text = || [b"unable to open directory, want rotate: ", path.as_slice()].concat();
        patience.insist(text, || finished.look(names, handle.as_fd()))
    }

    fn remove_made(&mut self, own: Option<&Name>) {
        let own = own.map(|&own| with(own, MADE));
        let Directory { handle, names, teller, .. } = self;
        let look = names.each(handle.as_fd(), |name| {
            let name = name.bytes();
            let is_made = name.first() == Some(&b'@') && name.len() == NAME && name.last() == Some(&MADE);
            if is_made
                && own.is_none_or(|own| name != own)
                && let Err(reason) = remove(name)
            {
                teller.say(Level::Warning, &[b"unable to unlink processor leftover: ", name], Some(&reason));
            }
        });
        if let Err(reason) = look {
            self.warn("unable to read directory", Some(&reason));
        }
    }

    /// Removes the oldest file if there are more than a full disk may leave, but no file of `own`. Returns whether there was one.
    pub fn make_room(&self, own: Option<&Name>) -> bool {
        if self.least >= self.kept || sys::fd::change_directory(self.handle.as_fd()).is_err() {
            return false;
        }
        let mut finished = Finished::new(false, |name| name.len() == NAME);
        if let Err(reason) = finished.look(&mut Names::new(), self.handle.as_fd()) {
            self.warn("unable to read directory, want remove old logfile", Some(&reason));
            return false;
        }
        let is_own = |name: &[u8]| own.is_some_and(|own| name[..NAME - 1] == own[..NAME - 1]);
        let oldest = finished.oldest().find(|name| !is_own(name));
        let Some(name) = oldest.filter(|_| finished.count as u64 > self.least) else {
            return false;
        };
        self.teller.say(Level::Warning, &[b"out of disk space, delete: ", &self.shown(name)], None);
        match remove(name) {
            Ok(()) => true,
            Err(reason) => {
                self.warn("unable to unlink oldest logfile", Some(&reason));
                false
            }
        }
    }
}

fn lock() -> io::Result<File> {
    let file = sys::fd::open_append(Path::new("lock"))?;
    sys::fd::try_lock(&file)?;
    Ok(file)
}

/// Removes a file of the current directory. It is no error if that does not exist.
fn remove(name: &[u8]) -> io::Result<()> {
    match fs::remove_file(path(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
