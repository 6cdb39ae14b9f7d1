//! The processes that hold a lock on a file or directory, from `/proc/locks`, and what the kernel says about these
//! processes.
//!
//! Nothing is read about any other process: a look at a process whose directory is on a dead file system would never
//! return.

use std::io;
use std::os::fd::BorrowedFd;

use crate::proc;
use crate::process::{Pid, Signal};

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: Pid,
    /// What else the kernel says about it.
    pub facts: Facts,
}

/// What `/proc/PID/status` says about a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The pid of its parent; 0 if that is not visible in this PID namespace.
    pub parent: i32,
    /// Its user ids: real, effective, saved, and that for files.
    pub users: [u32; 4],
    /// The signals that it catches or blocks: bit 0 is signal 1.
    heard: u64,
}

impl Facts {
    /// Reads the facts about a process; `None` if it has ended, or is not visible.
    pub fn of(pid: Pid) -> Option<Facts> {
        Facts::parse(&std::fs::read(format!("/proc/{pid}/status")).ok()?)
    }

    fn parse(status: &[u8]) -> Option<Facts> {
        let text = String::from_utf8_lossy(status);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let bits = |name: &str| u64::from_str_radix(field(name).unwrap_or_default().trim(), 16).unwrap_or(0);
        let users = proc::users_in(status)?;
        Some(Facts { parent: field("PPid")?.trim().parse().ok()?, users, heard: bits("SigCgt") | bits("SigBlk") })
    }

    /// Returns whether the process catches or blocks the signal, so that the signal would not just end it.
    pub fn hears(&self, signal: Signal) -> bool {
        self.heard >> (signal as i32 - 1) & 1 == 1
    }
}

/// The kind of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A lock by `flock`, which excludes all others.
    Lock,
    /// A [mark](mark), which excludes no process.
    Mark,
}

/// Finds the processes that have such a lock on `file`, that still have it open, and that are `believed` for what the kernel says about them.
/// A process that took the lock and has closed the file since, while another process has a copy of the descriptor, does not count: its pid
/// may belong to another process by now.
///
/// # Errors
/// If there is no `/proc/locks`.
pub fn holders(file: BorrowedFd<'_>, kind: Kind, believed: impl Fn(&Facts) -> bool) -> io::Result<Vec<Holder>> {
    imp::holders(file, kind, &|_, facts| believed(facts))
}

/// Returns the other processes that have flock's lock or a [mark](mark) on `file`, have that open now, and are `believed`. `held` says that this
/// process has flock's lock, so that no other has it. The kernel's list is read only if there may be somebody to find, and again, since it may have
/// lacked one, until a process is found that is believed.
///
/// # Errors
/// If there is no `/proc/locks` to be read.
pub fn others(file: BorrowedFd<'_>, held: bool, believed: impl Fn(Pid, &Facts) -> bool) -> io::Result<Vec<Pid>> {
    let is_other = |pid, facts: &Facts| pid != crate::process::own_pid() && believed(pid, facts);
    let kinds = [(Kind::Lock, !held), (Kind::Mark, imp::is_marked(file)?)];
    let mut found: Vec<Pid> = Vec::new();
    for (kind, _) in kinds.into_iter().filter(|(_, possible)| *possible) {
        found.extend(imp::holders(file, kind, &is_other)?.into_iter().map(|holder| holder.pid));
    }
    Ok(found)
}

/// Puts a mark of this process on `file`, or removes it. Any number of processes may have one, and no process can prevent a mark on a
/// directory. It lasts until the process ends or closes any descriptor of the same file.
///
/// # Errors
/// If the file system has no such locks.
pub fn mark(file: BorrowedFd<'_>, set: bool) -> io::Result<()> {
    imp::mark(file, set)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, Read};
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::os::unix::fs::MetadataExt;

    use nix::fcntl::{FcntlArg, fcntl};

    use super::{Facts, Holder, Kind, Pid};

    /// How many times a list that comes in parts is read at most to find a holder in it.
    const READINGS: usize = 5;

    pub fn holders(
        file: BorrowedFd<'_>,
        kind: Kind,
        believed: &dyn Fn(Pid, &Facts) -> bool,
    ) -> io::Result<Vec<Holder>> {
        let key = key(file)?;
        let mut found: Vec<Holder> = Vec::new();
        for _ in 0..READINGS {
            let (list, in_parts) = list()?;
            for line in list.split(|&byte| byte == b'\n') {
                let Some(pid) = owner(line, kind, &key).filter(|&pid| pid > 0).map(Pid::from_raw) else {
                    continue;
                };
                if found.iter().any(|known| known.pid == pid) {
                    continue;
                }
                let facts = Facts::of(pid).filter(|facts| believed(pid, facts) && has_it(pid, kind, &key));
                found.extend(facts.map(|facts| Holder { pid, facts }));
            }
            if !found.is_empty() || !in_parts {
                break;
            }
        }
        Ok(found)
    }

    /// Reads the kernel's list of locks, and tells whether it may have come in parts. The kernel gives at most a page at a time, in whole
    /// lines. If a lock is removed between two parts, the others move up, and one of them may be in neither part.
    fn list() -> io::Result<(Vec<u8>, bool)> {
        const PAGE: usize = 4096;
        const LONGEST_LINE: usize = 256;
        let mut file = std::fs::File::open("/proc/locks")?;
        let (mut list, mut part) = (Vec::new(), [0; PAGE]);
        loop {
            match file.read(&mut part) {
                Ok(0) => {
                    let in_parts = list.len() > PAGE - LONGEST_LINE;
                    return Ok((list, in_parts));
                }
                Ok(count) => list.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn mark(file: BorrowedFd<'_>, set: bool) -> io::Result<()> {
        fcntl(file, FcntlArg::F_SETLK(&whole(if set { libc::F_RDLCK } else { libc::F_UNLCK })))?;
        Ok(())
    }

    /// Returns whether another process has a mark on `file`, or such a lock on a part of it.
    #[allow(clippy::unnecessary_cast, reason = "the types of these constants differ between systems")]
    pub fn is_marked(file: BorrowedFd<'_>) -> io::Result<bool> {
        let mut asked = whole(libc::F_WRLCK);
        fcntl(file, FcntlArg::F_GETLK(&mut asked))?;
        Ok(i32::from(asked.l_type) != libc::F_UNLCK as i32)
    }

    /// Finds the key of `file` in the kernel's list. The device number there is not always that of stat (btrfs, overlays), so this takes a
    /// lock that blocks no process, and looks for it in the list.
    fn key(file: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        let locked = fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK))).is_ok();
        let own = std::fs::read(format!("/proc/self/fdinfo/{}", file.as_raw_fd()));
        if locked {
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)));
        }
        let key = |line: &[u8]| Some(words(line.strip_prefix(b"lock:")?).nth(5)?.to_vec());
        if let Some(key) = own?.split(|&byte| byte == b'\n').find_map(key) {
            return Ok(key);
        }
        let there = std::fs::metadata(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let (major, minor) = (libc::major(there.dev()), libc::minor(there.dev()));
        Ok(format!("{major:02x}:{minor:02x}:{}", there.ino()).into_bytes())
    }

    fn whole(kind: i32) -> libc::flock {
        // SAFETY: a zeroed flock is a valid one, about the whole file.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as _;
        range.l_whence = libc::SEEK_SET as _;
        range
    }

    /// Returns whether a descriptor of the process has such a lock. If this process may not look, the list is believed: then it cannot
    /// signal the other process either.
    fn has_it(pid: Pid, kind: Kind, key: &[u8]) -> bool {
        let directory = format!("/proc/{pid}/fdinfo");
        let descriptors = match std::fs::read_dir(&directory) {
            Ok(descriptors) => descriptors,
            Err(error) => return error.kind() == io::ErrorKind::PermissionDenied,
        };
        let has = |text: Vec<u8>| {
            let mut locks = text.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"lock:"));
            locks.any(|line| owner(line, kind, key).is_some())
        };
        descriptors.flatten().any(|descriptor| std::fs::read(descriptor.path()).is_ok_and(has))
    }

    /// Returns the process that has such a lock on the file with this `key`, according to a line of the list. Lines with an
    /// arrow are about processes that wait.
    pub fn owner(line: &[u8], kind: Kind, key: &[u8]) -> Option<i32> {
        let mut words = words(line).skip(1);
        let (found, pid, place, start) = (words.next()?, words.nth(2)?, words.next()?, words.next()?);
        // A lock on a part of the file does not count: a supervise has one on its service directory.
        let matches = found == name(kind) && place == key && start == b"0";
        matches.then(|| std::str::from_utf8(pid).ok()?.parse().ok())?
    }

    fn name(kind: Kind) -> &'static [u8] {
        match kind {
            Kind::Lock => b"FLOCK",
            Kind::Mark => b"POSIX",
        }
    }

    fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{BorrowedFd, Facts, Holder, Kind, Pid, io};

    pub fn holders(
        _file: BorrowedFd<'_>,
        _kind: Kind,
        _believed: &dyn Fn(Pid, &Facts) -> bool,
    ) -> io::Result<Vec<Holder>> {
        Err(nix::errno::Errno::ENOSYS.into())
    }

    pub fn is_marked(_file: BorrowedFd<'_>) -> io::Result<bool> {
        Err(nix::errno::Errno::ENOSYS.into())
    }

    pub fn mark(_file: BorrowedFd<'_>, _set: bool) -> io::Result<()> {
        Err(nix::errno::Errno::ENOSYS.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_while_it_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || File::open(dir.path()).expect("it is there");
        let (held, asked) = (open(), open());
        let found = |kind| -> Vec<Pid> {
            let found = holders(asked.as_fd(), kind, |_| true).expect("/proc/locks");
            found.into_iter().map(|holder| holder.pid).collect()
        };
        let own = crate::process::own_pid();
        assert_eq!(found(Kind::Lock), []);
        crate::fd::try_lock(&held).expect("nobody has it");
        assert_eq!((found(Kind::Lock), found(Kind::Mark)), (vec![own], vec![]));
        assert_eq!(holders(asked.as_fd(), Kind::Lock, |_| false).expect("/proc/locks"), []);
        mark(held.as_fd(), true).expect("there are such locks");
        assert_eq!(found(Kind::Mark), [own]);
        mark(held.as_fd(), false).expect("there are such locks");
        assert_eq!(found(Kind::Mark), []);
        drop(held);
        assert_eq!((found(Kind::Lock), found(Kind::Mark)), (vec![], vec![]));
    }

    #[test]
    fn the_holder_is_found_in_a_long_list_that_changes_meanwhile() {
        use std::sync::atomic::{AtomicBool, Ordering};

        // Some pages of the list.
        const LOCKS: usize = 300;
        let dir = tempfile::tempdir().expect("a directory");
        let held = File::open(dir.path()).expect("it is there");
        crate::fd::try_lock(&held).expect("nobody has it");
        let files: Vec<File> =
            (0..LOCKS).map(|number| File::create(dir.path().join(number.to_string())).expect("a file")).collect();
        let over = AtomicBool::new(false);
        let missed = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for file in &files {
                        crate::fd::try_lock(file).expect("nobody has it");
                    }
                    for file in &files {
                        file.unlock().expect("it is ours");
                    }
                }
            });
            let own = crate::process::own_pid();
            let found = || holders(held.as_fd(), Kind::Lock, |_| true).expect("/proc/locks");
            let missed = (0..500).filter(|_| found().iter().all(|holder| holder.pid != own)).count();
            over.store(true, Ordering::Relaxed);
            missed
        });
        assert_eq!(missed, 0);
    }

    #[test]
    fn who_took_a_lock_and_left_it_to_another_does_not_hold_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let held = File::open(dir.path()).expect("it is there");
        crate::fd::try_lock(&held).expect("nobody has it");
        let mut other = std::process::Command::new("sleep").arg("1000").stdin(held).spawn().expect("a child");
        let asked = File::open(dir.path()).expect("it is there");
        let is_locked = crate::fd::try_lock(&asked).is_err();
        let found = holders(asked.as_fd(), Kind::Lock, |_| true);
        other.kill().expect("it is ours");
        other.wait().expect("it is ours");
        assert!(is_locked);
        assert_eq!(found.expect("/proc/locks"), []);
    }

    #[test]
    fn who_waits_for_a_lock_has_none() {
        let key = b"fe:00:17";
        assert_eq!(imp::owner(b"1: FLOCK  ADVISORY  WRITE 7 fe:00:17 0 EOF", Kind::Lock, key), Some(7));
        for line in [
            &b"1: -> FLOCK  ADVISORY  WRITE 7 fe:00:17 0 EOF"[..],
            b"1: FLOCK  ADVISORY  WRITE 7 fe:00:170 0 EOF",
            b"1: POSIX  ADVISORY  WRITE 7 fe:00:17 0 EOF",
            b"1: FLOCK",
            b"",
        ] {
            assert_eq!(imp::owner(line, Kind::Lock, key), None);
        }
    }

    #[test]
    fn a_status_tells_of_the_parent_the_users_and_the_signals() {
        let text = b"Name:\tx\nUid:\t1\t2\t3\t4\nPPid:\t9\nSigBlk:\t0000000000000001\nSigCgt:\t0000000000000800\n";
        let facts = Facts::parse(text).expect("well formed");
        assert_eq!((facts.parent, facts.users), (9, [1, 2, 3, 4]));
        assert!(facts.hears(Signal::SIGUSR2) && facts.hears(Signal::SIGHUP) && !facts.hears(Signal::SIGTERM));
        assert_eq!(Facts::parse(b"Name:\tx\n"), None);
    }
}
