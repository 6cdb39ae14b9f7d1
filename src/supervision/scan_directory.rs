//! The scan directory, which is the current one, and the ways in which the kernel tells of changes in it.
//!
//! inotify tells of names. It does not tell a process that its current directory was removed, and such a directory reads as
//! empty: so the parent is watched for removals. A directory that has no executable `run` yet is watched itself.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sys::watch::{Change, Watch, Watcher};

/// What a change calls for.
pub enum Look {
    /// A look at every name.
    Everything,
    /// A look at this one.
    Name(OsString),
}

/// The current directory as the scan directory.
pub struct ScanDirectory {
    watcher: Option<Watcher>,
    /// The watch on the directory itself, while there is one.
    own: Option<Watch>,
    /// That on its parent.
    parent: Option<Watch>,
    /// Directories that are watched until their `run` is there.
    filling: Vec<(Watch, OsString)>,
    /// Where it was at the start, to find it again when it was removed and made anew.
    home: Option<PathBuf>,
}

impl ScanDirectory {
    /// The current directory, not watched yet.
    pub fn current() -> ScanDirectory {
        ScanDirectory {
            watcher: None,
            own: None,
            parent: None,
            filling: Vec::new(),
            home: std::env::current_dir().ok(),
        }
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
            if let Some(home) = &self.home {
                let _ = std::env::set_current_dir(home);
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

    /// Every name in it.
    ///
    /// # Errors
    /// ENOENT if it was removed: then it reads as empty, but that says nothing about the services.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        if is_removed() {
            return Err(io::Error::from_raw_os_error(sys::ENOENT));
        }
        std::fs::read_dir(".")?.map(|entry| Ok(entry?.file_name())).collect()
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
                let (_, name) = self.filling.iter().find(|(known, _)| *known == watch)?;
                Some(Look::Name(name.clone()))
            }
        }
    }

    /// From now on a change in the directory `name` calls for a look at it. Where this cannot be had, its time runs out.
    pub fn watch_filling(&mut self, name: &OsStr) {
        if let Some(watch) = self.watcher.as_ref().and_then(|watcher| watcher.add(Path::new(name)).ok()) {
            self.filling.push((watch, name.to_os_string()));
        }
    }

    /// The directory `name` is complete, or its time has run out.
    pub fn stop_watching(&mut self, name: &OsStr) {
        let Some(at) = self.filling.iter().position(|(_, known)| known == name) else {
            return;
        };
        let (watch, _) = self.filling.swap_remove(at);
        if let Some(watcher) = &self.watcher {
            watcher.remove(watch);
        }
    }
}

/// Whether the current directory was removed.
fn is_removed() -> bool {
    std::fs::metadata(".").is_ok_and(|own| own.nlink() == 0)
}
