//! The processes that serve a scan directory, as the kernel reports them: a svscan has the lock on the directory or a mark there, a svscanboot has a
//! mark while no svscan runs. So no pid file is needed.
//!
//! Anybody who may read the directory can lock it. So a process is believed only if it runs as root, as the owner of the directory, or as the user
//! who asks; and nothing is read about other processes but what the kernel itself keeps.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svdir::names;
use sys::identity;
use sys::locks::{self, Facts, Holder, Kind};
use sys::process::{self, Pid, Signal};

use super::files;

/// The processes that serve a scan directory.
#[derive(Debug, Default)]
pub struct Servers {
    /// The svscanboots that keep a svscan running there.
    pub boots: Vec<Pid>,
    /// The svscans, each with its parent.
    pub scans: Vec<(Pid, Pid)>,
}

impl Servers {
    /// Finds the processes that serve `dir`; none if that does not exist.
    ///
    /// # Errors
    /// If the directory cannot be opened, or there is no `/proc`.
    pub fn of(dir: &Path) -> io::Result<Servers> {
        match sys::fd::open_read(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Servers::default()),
            directory => Servers::of_open(&directory?),
        }
    }

    fn of_open(directory: &File) -> io::Result<Servers> {
        let believed = believed(directory)?;
        let holders = |kind| locks::holders(directory.as_fd(), kind, &believed);
        let (locked, marked) = (holders(Kind::Lock)?, holders(Kind::Mark)?);
        let mut found = Servers::default();
        for Holder { pid, facts } in locked.iter().chain(&marked).filter(|holder| is_svscan(&holder.facts)) {
            if found.scans.iter().all(|(known, _)| known != pid) {
                found.scans.push((*pid, Pid::from_raw(facts.parent)));
            }
        }
        let stands_in = |facts: &Facts| hands_on(facts) && !is_svscan(facts);
        let boots = marked.iter().filter(|holder| stands_in(&holder.facts)).map(|holder| holder.pid);
        let keeps_it = |&parent: &Pid| {
            is_called(parent, "svscanboot")
                && Facts::of(parent).is_some_and(|facts| believed(&facts) && hands_on(&facts))
        };
        let parents = found.scans.iter().map(|&(_, parent)| parent).filter(keeps_it);
        for boot in boots.chain(parents) {
            if !found.boots.contains(&boot) {
                found.boots.push(boot);
            }
        }
        Ok(found)
    }

    /// The svscans that were not started by a svscanboot.
    pub fn alone(&self) -> Vec<Pid> {
        self.scans.iter().filter(|(_, parent)| !self.boots.contains(parent)).map(|&(pid, _)| pid).collect()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Pid> {
        self.boots.iter().copied().chain(self.scans.iter().map(|&(pid, _)| pid))
    }
}

/// The supervise of the service directory `dir`, of whichever suite: the process that has the lock there.
pub fn supervise_of(dir: &Path) -> Option<Holder> {
    let lock = sys::fd::open_read(&files::of(dir, names::LOCK)).ok()?;
    locks::holders(lock.as_fd(), Kind::Lock, believed(&lock).ok()?).ok()?.pop()
}

/// Returns a test for processes that may serve the directory `owned`: those of root, of its owner, and of the user of
/// this process.
pub fn believed(owned: &File) -> io::Result<impl Fn(&Facts) -> bool + use<>> {
    let trusted = [0, owned.metadata()?.uid(), identity::effective_user()];
    Ok(move |facts: &Facts| facts.users.iter().all(|user| trusted.contains(user)))
}

/// Returns whether the process catches the signal for an upgrade, as a svscan of this suite does. A process that only holds the lock
/// for a moment does not.
fn is_svscan(facts: &Facts) -> bool {
    facts.hears(Signal::SIGUSR2) && facts.hears(Signal::SIGCHLD)
}

/// Returns whether the process catches the signals that a svscanboot passes on to its svscan.
fn hands_on(facts: &Facts) -> bool {
    facts.hears(Signal::SIGTERM) && facts.hears(Signal::SIGCHLD)
}

/// Returns whether a process was called as `program`: under its own name, or as a part of the all-in-one file, which may have any
/// name.
fn is_called(pid: Pid, program: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let words: Vec<&Path> = line.split('\0').filter(|word| !word.is_empty()).map(Path::new).collect();
    let [first, rest @ ..] = words.as_slice() else {
        return false;
    };
    let named = |name: &str| first.file_name().is_some_and(|file| file == name);
    let own: PathBuf = process::own_program().unwrap_or_default();
    let all_in_one = || named("uphold") || first.file_name() == own.file_name();
    named(program) || rest.first().is_some_and(|word| *word == Path::new(program)) && all_in_one()
}
