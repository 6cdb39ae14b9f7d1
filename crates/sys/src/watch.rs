//! Watches directories for changes, with inotify on systems that have it.
//!
//! A user has only so many inotify instances, often 128. A process that is one of very many, and needs not know what has changed, asks for [`Told`] instead (dnotify):
//! that costs an open directory and nothing else.

pub use imp::{Told, Watch, Watcher};

/// One change in a watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The entry with this name has changed.
    Entry(Watch, std::ffi::OsString),
    /// The watched directory or file itself was removed or unmounted, or what it was watched for has happened, and it is not watched any more.
    Gone(Watch),
    /// Changes were lost: look at everything.
    Lost,
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::path::Path;

    use nix::errno::Errno;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
    use nix::sys::statfs::{FsType, fstatfs, statfs};

    use super::Change;
    use crate::inode::{self, Identity};

    /// Numbers of file systems that other machines or programs can change without the kernel's knowledge: NFS, SMB (three),
    /// 9P, FUSE, AFS (two), Coda, Ceph, OCFS2, GFS2; from statfs(2) and linux/magic.h.
    const REMOTE: [u32; 12] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x5346_414f,
        0x6b41_4653,
        0x7375_7245,
        0x00c3_6400,
        0x7461_636f,
        0x0116_1970,
    ];

    /// IN_MASK_ADD: what a directory is watched for already, it stays watched for.
    const MORE: AddWatchFlags = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);

    /// A watched directory.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Watch(WatchDescriptor);

    /// The watched directories of a process.
    pub struct Watcher(Inotify);

    impl Watcher {
        /// Makes a watcher without any directory.
        pub fn new() -> io::Result<Watcher> {
            Ok(Watcher(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
        }

        /// Watches the entries of the directory at `path`: new, gone, renamed, written and closed, other mode.
        ///
        /// # Errors
        /// EOPNOTSUPP for a file system that changes without the kernel's knowledge.
        pub fn add(&self, path: &Path) -> io::Result<Watch> {
            let flags = AddWatchFlags::IN_CREATE
                | AddWatchFlags::IN_DELETE
                | AddWatchFlags::IN_MOVE
                | AddWatchFlags::IN_ATTRIB
                | AddWatchFlags::IN_CLOSE_WRITE
                | AddWatchFlags::IN_DELETE_SELF;
            self.add_with(path, flags)
        }

        /// Watches the directory at `path` for entries that are removed. A directory that is the current one of a process does not
        /// report its own removal, but its parent does.
        pub fn add_for_removals(&self, path: &Path) -> io::Result<Watch> {
            self.add_with(path, AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM)
        }

        /// Watches the directory at `path` for files that are renamed to a name in it, or are written. A write is reported when it
        /// happens, not when the file is closed: that would also report FIFOs that were only opened.
        pub fn add_for_contents(&self, path: &Path) -> io::Result<Watch> {
            self.add_with(path, AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF)
        }

        /// Watches the directory at `path` as [`add_for_contents`](Watcher::add_for_contents) does, and for names in it that come and go.
        pub fn add_for_contents_and_names(&self, path: &Path) -> io::Result<Watch> {
            let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
            self.add_with(path, names | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF)
        }

        /// Watches the directory at `path` for names that come, and for files in it that are opened.
        pub fn add_for_openings(&self, path: &Path) -> io::Result<Watch> {
            let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            self.add_with(path, names | AddWatchFlags::IN_OPEN | AddWatchFlags::IN_DELETE_SELF)
        }

        /// Watches the directory at `path` for names in it that come, go, or get another mode. What is watched there already stays so.
        pub fn add_for_names(&self, path: &Path) -> io::Result<Watch> {
            let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
            let flags = names | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF;
            self.add_with(path, flags | MORE)
        }

        /// Watches the directory at `path` for files that are made in it, are renamed to a name in it, or are written, and for those that were open for writing and are
        /// closed by the last who had them open. What is watched there already stays so.
        pub fn add_for_writers(&self, path: &Path) -> io::Result<Watch> {
            let come = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            let written = come | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE;
            self.add_with(path, written | AddWatchFlags::IN_DELETE_SELF | MORE)
        }

        /// Watches the file at `path` until it is opened the next time: then the watch is gone, and [`Change::Gone`] tells so.
        pub fn add_for_next_open(&self, path: &Path) -> io::Result<Watch> {
            let once = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_ONESHOT | AddWatchFlags::IN_DONT_FOLLOW;
            require_local(statfs(path)?.filesystem_type())?;
            Ok(Watch(self.0.add_watch(path, once)?))
        }

        fn add_with(&self, path: &Path, flags: AddWatchFlags) -> io::Result<Watch> {
            require_local(statfs(path)?.filesystem_type())?;
            Ok(Watch(self.0.add_watch(path, flags | AddWatchFlags::IN_ONLYDIR)?))
        }

        /// Stops watching a directory. Does nothing if the directory is gone already.
        pub fn remove(&self, watch: Watch) {
            let _ = self.0.rm_watch(watch.0);
        }

        /// What to poll.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        /// Reads the changes that have come; empty if there are none (more).
        pub fn changes(&self) -> io::Result<Vec<Change>> {
            loop {
                match self.0.read_events() {
                    Ok(events) => return Ok(events.into_iter().filter_map(translate).collect()),
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => return Ok(Vec::new()),
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }

    fn require_local(FsType(kind): FsType) -> io::Result<()> {
        if REMOTE.contains(&(kind as u32)) { Err(Errno::EOPNOTSUPP.into()) } else { Ok(()) }
    }

    /// A directory whose changes are told by CHLD, as long as this lives: one signal may stand for many.
    pub struct Told {
        /// The kernel forgets the request when this is closed.
        _directory: File,
        identity: Identity,
        contents: bool,
    }

    impl Told {
        /// Asks to be told when an entry of this directory, which is open for reading, is made, removed or renamed; with `contents` also when a file in it is written.
        /// The process must [catch](crate::signals::Signals) CHLD.
        ///
        /// # Errors
        /// EINVAL for a kernel without dnotify; EOPNOTSUPP for a file system that changes without the kernel's knowledge.
        pub fn of(directory: File, contents: bool) -> io::Result<Told> {
            // From linux/fcntl.h and asm-generic/fcntl.h.
            const SET_SIGNAL: libc::c_int = 10;
            const MODIFY: libc::c_int = 0x2;
            const CREATE: libc::c_int = 0x4;
            const DELETE: libc::c_int = 0x8;
            const RENAME: libc::c_int = 0x10;
            const AGAIN_AND_AGAIN: libc::c_int = i32::MIN;
            require_local(fstatfs(&directory)?.filesystem_type())?;
            // The kernel sends IO, which ends a process by default, where it has no signal to send.
            crate::signals::survive(crate::process::Signal::SIGIO);
            let what = CREATE | DELETE | RENAME | AGAIN_AND_AGAIN | if contents { MODIFY } else { 0 };
            for (command, value) in [(SET_SIGNAL, libc::SIGCHLD), (libc::F_NOTIFY, what)] {
                // SAFETY: the descriptor is open, and both commands take a number.
                Errno::result(unsafe { libc::fcntl(directory.as_raw_fd(), command, value) })?;
            }
            Ok(Told { identity: inode::of(&directory)?, _directory: directory, contents })
        }

        /// Returns whether it tells of the directory with this identity, with `contents` also of writes there.
        pub fn tells_of(&self, identity: Identity, contents: bool) -> bool {
            self.identity == identity && (self.contents || !contents)
        }
    }

    fn translate(event: InotifyEvent) -> Option<Change> {
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_IGNORED;
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Change::Lost);
        }
        match event.name {
            Some(name) => Some(Change::Entry(Watch(event.wd), name)),
            None => event.mask.intersects(gone).then_some(Change::Gone(Watch(event.wd))),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::fs::File;
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::path::Path;

    use nix::errno::Errno;

    use super::Change;
    use crate::inode::Identity;

    /// A watched directory. There is none on this system.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Watch(());

    /// A directory whose changes are told by a signal. There is none on this system.
    pub struct Told(());

    impl Told {
        /// Fails: this system has no dnotify.
        pub fn of(_directory: File, _contents: bool) -> io::Result<Told> {
            Err(Errno::ENOSYS.into())
        }

        /// Never called, since there is none.
        pub const fn tells_of(&self, _identity: Identity, _contents: bool) -> bool {
            let Told(()) = self;
            false
        }
    }

    /// The watched directories of a process. This system has no inotify, so there are none.
    pub enum Watcher {}

    impl Watcher {
        /// Fails: this system has no inotify.
        pub fn new() -> io::Result<Watcher> {
            Err(Errno::ENOSYS.into())
        }

        /// Never called.
        pub fn add(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_removals(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_contents(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_contents_and_names(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_openings(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_names(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_writers(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn add_for_next_open(&self, _path: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// Never called.
        pub fn remove(&self, _watch: Watch) {
            match *self {}
        }

        /// Never called.
        pub fn fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }

        /// Never called.
        pub fn changes(&self) -> io::Result<Vec<Change>> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;
    use crate::fd;
    use crate::inode;
    use crate::poll;
    use crate::process::Signal;
    use crate::signals::Signals;

    /// Waits until a signal comes, up to a minute.
    fn comes(signals: &Signals) -> bool {
        const MINUTE: u64 = 60_000_000_000;
        let came = poll::readable([signals.fd()], Some(MINUTE)).is_ok_and(|[came]| came) || signals.came();
        signals.drain();
        came
    }

    /// The names of the entries that have changed; `gone` for the watched thing itself.
    fn changed(watcher: &Watcher) -> Vec<String> {
        let name = |change| match change {
            Change::Entry(_, name) => name.into_string().expect("text"),
            Change::Gone(_) => "gone".to_owned(),
            Change::Lost => "lost".to_owned(),
        };
        watcher.changes().expect("the kernel tells").into_iter().map(name).collect()
    }

    #[test]
    fn a_directory_can_be_watched_for_names_and_for_writers() {
        let scratch = tempfile::tempdir().expect("a directory");
        let file = scratch.path().join("file");
        let watcher = Watcher::new().expect("the kernel watches");
        let watch = watcher.add_for_writers(scratch.path()).expect("it is there");
        // It stays watched for the one when it is watched for the other.
        assert_eq!(watcher.add_for_names(scratch.path()).expect("it is there"), watch);
        let open = File::create(&file).expect("a file");
        assert_eq!(changed(&watcher), ["file"], "made");
        let copy = open.try_clone().expect("a copy");
        drop(open);
        assert_eq!(changed(&watcher), [""; 0], "somebody has it open");
        drop(copy);
        assert_eq!(changed(&watcher), ["file"], "closed");
        fs::remove_file(&file).expect("it is there");
        assert_eq!(changed(&watcher), ["file"], "gone");
    }

    #[test]
    fn the_next_open_of_a_fifo_is_told_once() {
        let scratch = tempfile::tempdir().expect("a directory");
        let fifo = scratch.path().join("fifo");
        fd::make_fifo(&*fifo).expect("a FIFO");
        let watcher = Watcher::new().expect("the kernel watches");
        watcher.add_for_next_open(&fifo).expect("it is there");
        assert!(fd::open_write(&*fifo).is_err(), "nobody reads it");
        assert_eq!(changed(&watcher), [""; 0]);
        let _reader = fd::open_read(&*fifo).expect("it is there");
        assert_eq!(changed(&watcher), ["gone"]);
        let _writer = fd::open_write(&*fifo).expect("it has a reader");
        assert_eq!(changed(&watcher), [""; 0]);
    }

    #[test]
    fn a_change_of_an_entry_is_told_and_with_contents_a_write_too() {
        let signals = Signals::catch(&[Signal::SIGCHLD]).expect("it may be caught");
        let scratch = tempfile::tempdir().expect("a directory");
        let file = scratch.path().join("file");
        let directory = |path: &Path| File::open(path).expect("it is there");
        for contents in [false, true] {
            let told = Told::of(directory(scratch.path()), contents).expect("the kernel tells");
            let here = inode::at(fd::CURRENT_DIRECTORY, scratch.path()).expect("it is there");
            assert!(told.tells_of(here, false) && told.tells_of(here, true) == contents);
            assert!(!told.tells_of((here.0, here.1 + 1), false));
            fs::write(&file, "").expect("writes");
            assert!(comes(&signals), "made");
            if contents {
                fs::write(&file, "more").expect("writes");
                assert!(comes(&signals), "written");
            }
            fs::rename(&file, scratch.path().join("other")).expect("renames");
            assert!(comes(&signals), "renamed");
            fs::remove_file(scratch.path().join("other")).expect("removes");
            assert!(comes(&signals), "removed");
            drop(told);
        }
        assert!(Told::of(directory(Path::new("/dev/null")), false).is_err(), "it is no directory");
    }
}
