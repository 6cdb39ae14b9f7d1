//! The scan directory, which is the current one, and the ways in which the kernel tells of changes in it.
//!
//! inotify tells of names. It does not tell a process that its current directory was removed, and such a directory reads as
//! empty: so the parent is watched for removals. A directory that has no executable `run` yet is watched itself.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use machine::scan::Id;
use sys::watch::{Change, Watch, Watcher};

use super::lock::DirectoryLock;
use super::system::Look;

/// The current directory as the scan directory.
pub struct ScanDirectory {
    watcher: Option<Watcher>,
    /// The watch on the directory itself, while there is one.
    own: Option<Watch>,
    /// That on its parent.
    parent: Option<Watch>,
    /// Directories that are watched until their `run` is there.
    filling: Vec<(Watch, Id)>,
    /// Where it was at the start, to find it again when it was removed and made anew.
    home: Option<PathBuf>,
    /// That of this svscan, where there can be one.
    lock: Option<DirectoryLock>,
}

impl ScanDirectory {
    /// The current directory, locked and not watched yet.
    ///
    /// # Errors
    /// EAGAIN if another svscan serves it; those of a process or system that has run out of something.
    pub fn current() -> io::Result<ScanDirectory> {
        Ok(ScanDirectory { lock: DirectoryLock::take(Path::new("."))?, ..ScanDirectory::inherit(None)? })
    }

    /// The current directory, with the lock that another svscan had in this process.
    pub fn inherit(lock: Option<RawFd>) -> io::Result<ScanDirectory> {
        let lock = lock.map(DirectoryLock::inherit).transpose()?;
        Ok(ScanDirectory {
            watcher: None,
            own: None,
            parent: None,
            filling: Vec::new(),
            home: std::env::current_dir().ok(),
            lock,
        })
    }

    /// The descriptor of the lock, where there is one.
    pub fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(DirectoryLock::fd)
    }

    /// Whether somebody holds the lock who may not serve the directory.
    pub fn is_locked_by_a_stranger(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| !lock.is_held())
    }

    /// Whether the kernel tells of its changes.
    pub fn is_watched(&self) -> bool {
        self.own.is_some()
    }

    /// What to poll for changes, if it is watched.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(Watcher::fd)
    }

    /// If it was removed, enters the one that was made anew in its place, if there is one. Then watches it, if it is not watched yet.
    pub fn renew(&mut self) -> io::Result<()> {
        if is_removed() {
            self.own = None;
            if let Some(home) = self.home.as_deref().filter(|home| home.is_dir()) {
                let lock = DirectoryLock::take(home)?;
                std::env::set_current_dir(home)?;
                self.lock = lock;
            }
        }
        if self.is_watched() { Ok(()) } else { self.watch() }
    }

    fn watch(&mut self) -> io::Result<()> {
        let watcher = match self.watcher.take() {
            Some(watcher) => watcher,
            None => Watcher::new()?,
        };
        self.own = watcher.add(Path::new(".")).map(Some)?;
        // The original never notices a removal; so it is no trouble where this cannot be had.
        let parent = self.home.as_deref().and_then(Path::parent);
        self.parent = parent.and_then(|path| watcher.add_for_removals(path).ok());
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Watches nothing any more, and keeps the descriptor: the kernel forgets the watches by and by, and a close waits for that.
    pub fn unwatch(&mut self) {
        let filling = self.filling.drain(..).map(|(watch, _)| watch);
        let watches = filling.chain(self.own.take()).chain(self.parent.take());
        if let Some(watcher) = &self.watcher {
            watches.for_each(|watch| watcher.remove(watch));
        }
    }

    /// Every name in it.
    ///
    /// # Errors
    /// ENOENT if it was removed: then it reads as empty, but that says nothing about the services.
    pub fn names(&mut self) -> io::Result<Vec<OsString>> {
        if is_removed() {
            return Err(io::Error::from_raw_os_error(sys::ENOENT));
        }
        let names = std::fs::read_dir(".").and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        if let Some(lock) = &mut self.lock {
            lock.renew();
        }
        names
    }

    /// What the changes that have come call for.
    ///
    /// # Errors
    /// If they cannot be read. Then it is not watched any more.
    pub fn changes(&mut self) -> io::Result<Vec<Look>> {
        let Some(watcher) = &self.watcher else {
            return Ok(Vec::new());
        };
        match watcher.changes() {
            Ok(changes) => Ok(changes.into_iter().filter_map(|change| self.translate(change)).collect()),
            Err(error) => {
                (self.watcher, self.own) = (None, None);
                self.filling.clear();
                Err(error)
            }
        }
    }

    fn translate(&mut self, change: Change) -> Option<Look> {
        match change {
            Change::Lost => Some(Look::Everything),
            Change::Gone(watch) if Some(watch) == self.own => {
                self.own = None;
                Some(Look::Everything)
            }
            Change::Gone(watch) => {
                self.filling.retain(|(known, _)| *known != watch);
                None
            }
            Change::Entry(watch, name) if Some(watch) == self.own => Some(Look::Name(name)),
            Change::Entry(watch, name) if Some(watch) == self.parent => {
                (self.home.as_deref()?.file_name()? == name).then_some(Look::Everything)
            }
            Change::Entry(watch, _) => {
                let (_, id) = self.filling.iter().find(|(known, _)| *known == watch)?;
                Some(Look::Filling(*id))
            }
        }
    }

    /// From now on a change in the directory `id`, which has this name, calls for a look at it. Where this cannot be had, its time runs out.
    pub fn watch_filling(&mut self, name: &OsStr, id: Id) {
        let watch = self.watcher.as_ref().and_then(|watcher| watcher.add(Path::new(name)).ok());
        // Under another name it has the same watch.
        if let Some(entry) = watch.map(|watch| (watch, id)).filter(|entry| !self.filling.contains(entry)) {
            self.filling.push(entry);
        }
    }

    /// Watches no directory any more but those that are waited for: the others may have lost their names.
    pub fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool) {
        let watcher = self.watcher.as_ref();
        for (watch, _) in self.filling.extract_if(.., |(_, id)| !waited_for(*id)) {
            watcher.inspect(|watcher| watcher.remove(watch));
        }
    }
}

/// Whether the current directory was removed.
fn is_removed() -> bool {
    std::fs::metadata(".").is_ok_and(|own| own.nlink() == 0)
}
