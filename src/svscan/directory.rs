//! The scan directory, which is the current directory, and how the kernel reports changes in it.
//!
//! inotify reports names. It does not report to a process that its current directory was removed, and a removed directory
//! reads as empty: so the parent is watched for removals. A service directory without an executable `run` is watched too.

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
    /// The watch on its parent, while there is one.
    parent: Option<Watch>,
    /// The service directories that are watched until they have a `run`.
    filling: Vec<(Watch, Id)>,
    /// Its path at the start, to find it again if it is removed and made anew.
    home: Option<PathBuf>,
    /// The lock of this svscan; `None` if the directory cannot be locked.
    lock: Option<DirectoryLock>,
}

impl ScanDirectory {
    /// Locks the current directory. It is not watched yet.
    ///
    /// # Errors
    /// EAGAIN if another svscan serves the directory; EMFILE, ENFILE or ENOMEM if descriptors or memory have run out.
    pub fn current() -> io::Result<ScanDirectory> {
        Ok(ScanDirectory { lock: DirectoryLock::take(Path::new("."))?, ..ScanDirectory::inherit(None)? })
    }

    /// Takes the current directory with descriptor `lock`, which the program before this one has left open in this process.
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

    /// Returns the descriptor of the lock, if there is a lock.
    pub fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(DirectoryLock::fd)
    }

    /// Returns whether the lock is held by a process that may not serve the directory.
    pub fn is_locked_by_a_stranger(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| !lock.is_held())
    }

    /// Returns whether the kernel reports changes in the directory.
    pub fn is_watched(&self) -> bool {
        self.own.is_some()
    }

    /// Returns the descriptor to poll for changes, if there is a watcher.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(Watcher::fd)
    }

    /// If the directory was removed, and made anew in the same place, enters the new one. Then watches the directory, if it is not watched yet.
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
        // A failure here is no trouble: the original never notices a removal.
        let parent = self.home.as_deref().and_then(Path::parent);
        self.parent = parent.and_then(|path| watcher.add_for_removals(path).ok());
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Removes all watches, but keeps the descriptor open: the kernel takes its time to free the watches, and a close would wait for that.
    pub fn unwatch(&mut self) {
        let filling = self.filling.drain(..).map(|(watch, _)| watch);
        let watches = filling.chain(self.own.take()).chain(self.parent.take());
        if let Some(watcher) = &self.watcher {
            watches.for_each(|watch| watcher.remove(watch));
        }
    }

    /// Reads every name in the directory.
    ///
    /// # Errors
    /// ENOENT if the directory was removed: it reads as empty then, but that says nothing about the services.
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

    /// Reads the changes that have arrived, and returns the looks that they call for.
    ///
    /// # Errors
    /// If the changes cannot be read. The directory is not watched any more then.
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

    /// Watches the service directory `id`, which has this name: from now on a change in it calls for a look at it. If it cannot be watched, its
    /// supervise is started when the time to fill it is over.
    pub fn watch_filling(&mut self, name: &OsStr, id: Id) {
        let watch = self.watcher.as_ref().and_then(|watcher| watcher.add(Path::new(name)).ok());
        // A directory has the same watch under each of its names.
        if let Some(entry) = watch.map(|watch| (watch, id)).filter(|entry| !self.filling.contains(entry)) {
            self.filling.push(entry);
        }
    }

    /// Removes the watches on service directories, except on those for which `waited_for` is true.
    pub fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool) {
        let watcher = self.watcher.as_ref();
        for (watch, _) in self.filling.extract_if(.., |(_, id)| !waited_for(*id)) {
            watcher.inspect(|watcher| watcher.remove(watch));
        }
    }
}

/// Returns whether the current directory was removed.
fn is_removed() -> bool {
    std::fs::metadata(".").is_ok_and(|own| own.nlink() == 0)
}
