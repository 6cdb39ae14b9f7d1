//! Control groups of version 2: finding the one of this process, making others, limits, and what the kernel tells of them.
//!
//! Where the hierarchy is mounted is read from `/proc/self/mountinfo`, since the path differs: `/sys/fs/cgroup`, a directory beside those of version 1, or
//! anything in a container. A cgroup is named by its path in the hierarchy, as in `/proc/PID/cgroup`, and used through a descriptor of its directory: no name
//! leads out of it.
//!
//! Only Linux has cgroups. On other systems every look finds none.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, geteuid, unlinkat};

use crate::fd;
use crate::mounts::unescaped;

/// How many cgroups one call removes or looks into at most: a service may have made any number.
const MOST: usize = 1_000;

/// A cgroup, whose directory is open.
#[derive(Debug)]
pub struct Cgroup {
    directory: File,
    path: PathBuf,
}

impl Cgroup {
    /// The cgroup of this process.
    ///
    /// # Errors
    /// NotFound if there is no hierarchy of version 2, or it is not mounted where this process can reach it.
    pub fn own() -> io::Result<Cgroup> {
        Cgroup::open(&own_path(&table("/proc/self/cgroup")?).ok_or_else(nowhere)?)
    }

    /// The cgroup with this path in the hierarchy.
    ///
    /// # Errors
    /// NotFound if there is none, or as [`own`](Cgroup::own).
    pub fn open(path: &Path) -> io::Result<Cgroup> {
        let mut last = nowhere();
        for place in mounts(&table("/proc/self/mountinfo")?).iter().filter_map(|mount| mount.place(path)) {
            match fd::open_directory(place.as_path()) {
                Ok(directory) if is_hierarchy(&directory) => return Ok(Cgroup { directory, path: path.to_path_buf() }),
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Its path in the hierarchy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cgroup that it lies in.
    ///
    /// # Errors
    /// As [`open`](Cgroup::open), or NotFound for the first one.
    pub fn parent(&self) -> io::Result<Cgroup> {
        Cgroup::open(self.path.parent().ok_or_else(nowhere)?)
    }

    /// The cgroup `name` in it.
    ///
    /// # Errors
    /// NotFound if there is none.
    pub fn below(&self, name: &OsStr) -> io::Result<Cgroup> {
        let name = Path::new(name);
        let mut components = name.components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return Err(Errno::EINVAL.into());
        }
        let directory = self.open_in(name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        Ok(Cgroup { directory, path: self.path.join(name) })
    }

    /// Makes the cgroup `name` in it, or opens it if it is there.
    ///
    /// # Errors
    /// If one is there that belongs to another user, who could kill what runs in it; or the error of the system.
    pub fn make(&self, name: &OsStr) -> io::Result<Cgroup> {
        const EVERYBODY_MAY_LOOK: Mode = Mode::S_IRWXU.union(Mode::S_IRGRP).union(Mode::S_IXGRP).union(Mode::S_IROTH);
        match mkdirat(&self.directory, name, EVERYBODY_MAY_LOOK.union(Mode::S_IXOTH)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let made = self.below(name)?;
        if made.is_ours()? { Ok(made) } else { Err(io::Error::other("it belongs to another user")) }
    }

    /// Returns whether it belongs to the user of this process.
    pub fn is_ours(&self) -> io::Result<bool> {
        Ok(self.directory.metadata()?.uid() == geteuid().as_raw())
    }

    /// Removes the cgroup `name` in it, with all that lie in that one. It is no error if there is none.
    ///
    /// # Errors
    /// EBUSY if a process lives there, or the error of the system.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.remove_at_most(name, &mut MOST.clone())
    }

    fn remove_at_most(&self, name: &OsStr, left: &mut usize) -> io::Result<()> {
        let attempt = || match unlinkat(&self.directory, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        };
        // EBUSY also if others lie in it.
        let Err(errno) = attempt() else {
            return Ok(());
        };
        let inner = self.below(name)?;
        if errno != Errno::EBUSY || !inner.is_empty()? {
            return Err(errno.into());
        }
        for name in inner.names()? {
            *left = left.checked_sub(1).ok_or(Errno::EBUSY)?;
            inner.remove_at_most(&name, left)?;
        }
        Ok(attempt()?)
    }

    /// The names of the cgroups in it, at most a thousand of them.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let again = self.open_in(Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(again.into())?.iter().take(MOST) {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if entry.file_type() == Some(Type::Directory) && name != "." && name != ".." {
                names.push(name.to_os_string());
            }
        }
        Ok(names)
    }

    /// Writes `value` to the file `name`, in one write, which the kernel accepts as a whole or not at all.
    ///
    /// # Errors
    /// NotFound if the kernel has no such file here, or the reason why it refuses the value.
    pub fn write(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        let file = self.open_in(Path::new(name), OFlag::O_WRONLY)?;
        if fd::write(file.as_fd(), value)? == value.len() { Ok(()) } else { Err(Errno::EINVAL.into()) }
    }

    /// The contents of the file `name`, or the first 4,096 bytes of them.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open_in(Path::new(name), OFlag::O_RDONLY)?;
        let mut bytes = vec![0; 4096];
        let length = fd::read(file.as_fd(), &mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The controllers that it can pass on to those in it.
    pub fn controllers(&self) -> io::Result<Vec<Vec<u8>>> {
        self.words("cgroup.controllers")
    }

    /// The controllers that it passes on to those in it.
    pub fn enabled(&self) -> io::Result<Vec<Vec<u8>>> {
        self.words("cgroup.subtree_control")
    }

    fn words(&self, name: &str) -> io::Result<Vec<Vec<u8>>> {
        let text = self.read(name)?;
        Ok(text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// Passes a controller on to the cgroups in it.
    ///
    /// # Errors
    /// EBUSY if processes live in it itself: then the kernel does not allow that, except in the first cgroup of all.
    pub fn enable(&self, controller: &[u8]) -> io::Result<()> {
        self.write(OsStr::new("cgroup.subtree_control"), &[b"+", controller].concat())
    }

    /// Returns whether no process lives in it, nor in one that lies in it. One that has ended and was not reaped does not live.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(value_of(&self.read("cgroup.events")?, b"populated") == Some(0))
    }

    /// Kills all processes in it, and in those that lie in it, also processes that are being made.
    ///
    /// # Errors
    /// NotFound before Linux 5.14, or the error of the system.
    pub fn kill(&self) -> io::Result<()> {
        self.write(OsStr::new("cgroup.kill"), b"1")
    }

    /// How many processes of it, and of those that lie in it, the kernel has killed because memory ran out, under a limit or in the machine. 0 if it does not count
    /// memory.
    pub fn killed_for_memory(&self) -> io::Result<u64> {
        match self.read("memory.events") {
            Ok(events) => Ok(value_of(&events, b"oom_kill").unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The memory that it uses, in bytes. `None` if it does not count memory.
    pub fn memory(&self) -> Option<u64> {
        number(self.read("memory.current").ok()?.trim_ascii_end())
    }

    /// The processor time that its processes have used, also those that have ended, in microseconds (cpu.stat of the kernel's cgroup-v2.rst). `None` if it is not counted.
    pub fn processor_time(&self) -> Option<u64> {
        value_of(&self.read("cpu.stat").ok()?, b"usage_usec")
    }

    /// The processes that live in it and in those that lie in it: in the first thousand of them. One in another namespace, which has no pid here, is not among them.
    pub fn processes(&self) -> io::Result<Vec<Pid>> {
        let mut found = Vec::new();
        self.find_processes(&mut MOST.clone(), &mut found)?;
        Ok(found)
    }

    fn find_processes(&self, left: &mut usize, found: &mut Vec<Pid>) -> io::Result<()> {
        let mut text = Vec::new();
        match self.open_in(Path::new("cgroup.procs"), OFlag::O_RDONLY)?.read_to_end(&mut text) {
            Ok(_) => {
                let pids = text.split(|&byte| byte == b'\n').filter_map(|line| i32::try_from(number(line)?).ok());
                found.extend(pids.filter(|&pid| pid > 0).map(Pid::from_raw));
            }
            // It has threads alone.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        for name in self.names()? {
            *left = match left.checked_sub(1) {
                Some(left) => left,
                None => break,
            };
            // It may be gone by now.
            let _ = self.below(&name).and_then(|inner| inner.find_processes(left, found));
        }
        Ok(())
    }

    /// What a process needs to [`enter`](Entrance::enter) it.
    pub fn entrance(&self) -> io::Result<Entrance> {
        Ok(Entrance(self.open_in(Path::new("cgroup.procs"), OFlag::O_WRONLY)?))
    }

    fn open_in(&self, name: &Path, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        fd::uninterrupted(|| Ok(nix::fcntl::openat(&self.directory, name, flags, Mode::empty())?.into()))
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The way into a cgroup.
#[derive(Debug)]
pub struct Entrance(File);

impl Entrance {
    /// Moves this process into the cgroup; a child that shares the memory of its parent moves alone. Takes no memory.
    ///
    /// # Errors
    /// If this process may not write to the cgroup above both the old one and the new, or the new one passes on controllers and so has no place for processes.
    pub fn enter(&self) -> io::Result<()> {
        fd::write(self.0.as_fd(), b"0").map(drop)
    }
}

/// Reads a file of the kernel's, which other systems do not have.
fn table(path: &str) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| if error.kind() == io::ErrorKind::NotFound { nowhere() } else { error })
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no cgroup of version 2 can be reached here")
}

/// The path after `0::` in a file `/proc/PID/cgroup`.
fn own_path(text: &[u8]) -> Option<PathBuf> {
    let path = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

/// A place where a cgroup of version 2, and all below it, are mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The directory.
    at: PathBuf,
    /// The path of the cgroup.
    root: PathBuf,
    is_writable: bool,
}

impl Mount {
    /// The directory of a cgroup that lies below the mounted one.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let rest = path.strip_prefix(&self.root).ok()?;
        // The path of a cgroup outside the namespace of this process begins with two dots.
        rest.components().all(|part| matches!(part, Component::Normal(_))).then(|| self.at.join(rest))
    }
}

/// The mounts in the text of a file `/proc/PID/mountinfo`, the writable ones first.
fn mounts(table: &[u8]) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for line in table.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b' ');
        let (Some(root), Some(at), Some(options)) = (fields.nth(3), fields.next(), fields.next()) else {
            continue;
        };
        let (root, at) = (PathBuf::from(unescaped(root)), PathBuf::from(unescaped(at)));
        // What is mounted later hides what was there.
        found.retain(|earlier| earlier.at != at);
        let mut behind = fields.skip_while(|&field| field != b"-").skip(1);
        let (kind, all_options) = (behind.next(), behind.nth(1).unwrap_or_default());
        if kind == Some(b"cgroup2") {
            let is_writable = [options, all_options].iter().all(|options| options.starts_with(b"rw"));
            found.push(Mount { at, root, is_writable });
        }
    }
    found.sort_by_key(|mount| !mount.is_writable);
    found
}

/// Returns whether this is a directory of the hierarchy: something else may be mounted there by now.
fn is_hierarchy(directory: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};
        fstatfs(directory).is_ok_and(|system| system.filesystem_type() == CGROUP2_SUPER_MAGIC)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        false
    }
}

/// The number behind `key` in lines of a key and a number.
fn value_of(text: &[u8], key: &[u8]) -> Option<u64> {
    text.split(|&byte| byte == b'\n').find_map(|line| number(line.strip_prefix(key)?.strip_prefix(b" ")?))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw
";

    fn places(table: &[u8], path: &str) -> Vec<String> {
        let places = mounts(table).into_iter().filter_map(|mount| mount.place(Path::new(path)));
        places.map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn the_hierarchy_is_found_wherever_it_is_mounted() {
        assert_eq!(places(HYBRID, "/"), ["/sys/fs/cgroup/unified/"]);
        assert_eq!(places(HYBRID, "/a.slice/b"), ["/sys/fs/cgroup/unified/a.slice/b"]);
        let part = b"1 2 0:3 /a /mnt/with\\040blank rw - cgroup2 none rw";
        assert_eq!(places(part, "/a/b"), ["/mnt/with blank/b"]);
        assert_eq!(places(part, "/ab"), [""; 0]);
        assert_eq!(places(part, "/"), [""; 0]);
        // One that can be written comes first; one that is hidden does not count.
        let two = b"1 2 0:3 / /x ro - cgroup2 none rw\n2 2 0:3 / /y rw - cgroup2 none rw\n";
        assert_eq!(places(two, "/a"), ["/y/a", "/x/a"]);
        assert_eq!(places(&[&two[..], b"3 2 0:9 / /y rw - tmpfs none rw\n"].concat(), "/a"), ["/x/a"]);
    }

    #[test]
    fn no_path_leads_out_of_a_namespace() {
        assert_eq!(places(HYBRID, "/../other"), [""; 0]);
        assert_eq!(places(HYBRID, "/a/../../b"), [""; 0]);
        // The mount of a namespace above this one.
        let above = b"1 2 0:3 /.. /sys/fs/cgroup rw - cgroup2 none rw";
        assert_eq!(places(above, "/../a"), ["/sys/fs/cgroup/a"]);
        assert_eq!(places(above, "/a"), [""; 0]);
    }

    #[test]
    fn the_own_cgroup_is_that_of_version_2() {
        assert_eq!(own_path(b"4:memory:/x\n0::/a/b c\n"), Some("/a/b c".into()));
        assert_eq!(own_path(b"4:memory:/x\n10::/y\n"), None);
    }

    #[test]
    fn numbers_are_read_by_their_keys() {
        let events = b"low 0\nhigh 2\noom 1\noom_kill 3\noom_group_kill 4\n";
        assert_eq!((value_of(events, b"oom_kill"), value_of(events, b"oom")), (Some(3), Some(1)));
        assert_eq!((value_of(events, b"oo"), value_of(b"", b"oom")), (None, None));
    }

    /// A cgroup for a test in that of this process, if there can be one.
    #[cfg(target_os = "linux")]
    fn sandbox(name: &str) -> Option<(Cgroup, Cgroup)> {
        let made = Cgroup::own().and_then(|own| Ok((own.make(OsStr::new(name))?, own)));
        match made {
            Ok((made, own)) => Some((own, made)),
            Err(error) => {
                let line = format!("skipped {name}: no cgroup can be made: {error}\n");
                let _ = io::Write::write_all(&mut io::stderr(), line.as_bytes());
                None
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_in_a_cgroup_is_found_and_killed() {
        let name = format!("uphold-test-sys-{}", std::process::id());
        let Some((own, made)) = sandbox(&name) else {
            return;
        };
        let inner = made.make(OsStr::new("1")).expect("another");
        assert_eq!(made.names().expect("they are told"), ["1"]);
        let entrance = inner.entrance().expect("it is ours");
        let words = [c"/bin/sleep", c"1000"].map(std::ffi::CString::from);
        let sleep = crate::exec::Prepared::new(&words, None);
        let born = || entrance.enter().err().unwrap_or_else(|| sleep.exec(c"/bin/sleep"));
        let child = crate::process::spawn(born, |error| panic!("it does not sleep: {error}")).expect("a child");
        assert_eq!((made.processes().expect("told").len(), made.is_empty().expect("told")), (1, false));
        let busy = own.remove(OsStr::new(&name)).expect_err("a process lives in it");
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
        assert_eq!(made.killed_for_memory().expect("it is told"), 0);
        made.kill().expect("it is ours");
        assert_eq!(crate::process::wait(child).expect("a child"), crate::process::Change::Killed(9));
        own.remove(OsStr::new(&name)).expect("nobody lives in it");
        assert_eq!(own.below(OsStr::new(&name)).expect_err("it is gone").kind(), io::ErrorKind::NotFound);
        own.remove(OsStr::new(&name)).expect("there is none");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_leads_nowhere_else() {
        let Ok(own) = Cgroup::own() else {
            return;
        };
        for name in ["", ".", "..", "a/b", "/", "../x"] {
            assert!(own.below(OsStr::new(name)).is_err(), "{name:?}");
        }
    }
}
