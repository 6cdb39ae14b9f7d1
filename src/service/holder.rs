//! What serves a scan directory: found in `/proc` by being in that directory, so nothing has to be written down about it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sys::process::{self, Pid};
use sys::table;

use super::COPIER;

/// The processes that serve a scan directory.
#[derive(Debug, Default)]
pub struct Servers {
    /// The svscanboots that keep a svscan running there.
    pub boots: Vec<Pid>,
    /// The svscans, each with its parent.
    pub scans: Vec<(Pid, Pid)>,
}

impl Servers {
    /// Those of `dir`; none if that is not there.
    ///
    /// # Errors
    /// If there is no `/proc`.
    pub fn of(dir: &Path) -> io::Result<Servers> {
        let mut found = Servers::default();
        let Ok(directory) = fs::metadata(dir) else {
            return Ok(found);
        };
        let table = table::read()?;
        for &(pid, parent) in table.iter().filter(|(pid, _)| is(&proc(*pid).join("cwd"), &directory)) {
            if runs(&words(pid), "svscan") && !is_copier(pid) {
                found.scans.push((pid, parent));
            }
        }
        // A child of one that has not become its supervise yet.
        let pids: Vec<Pid> = found.scans.iter().map(|&(pid, _)| pid).collect();
        found.scans.retain(|(_, parent)| !pids.contains(parent));
        for (pid, _) in table {
            let words = words(pid);
            // The original's is a script.
            let interpreted = || words.get(1).is_some_and(|word| named(word, "svscanboot"));
            let parent = || found.scans.iter().any(|&(_, parent)| parent == pid);
            // Its last word is the directory, if it has one; and it may be without a svscan for a moment.
            let keeps_one = || words.last().is_some_and(|word| word.is_absolute() && is(word, &directory));
            let runs = runs(&words, "svscanboot");
            if (runs || interpreted()) && parent() || runs && keeps_one() {
                found.boots.push(pid);
            }
        }
        Ok(found)
    }

    /// The svscans that no svscanboot keeps.
    pub fn alone(&self) -> Vec<Pid> {
        self.scans.iter().filter(|(_, parent)| !self.boots.contains(parent)).map(|&(pid, _)| pid).collect()
    }
}

fn proc(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// What a process was called with.
fn words(pid: Pid) -> Vec<PathBuf> {
    strings(pid, "cmdline").map(|word| OsStr::from_bytes(&word).into()).collect()
}

/// The strings of a file of `/proc/PID`.
fn strings(pid: Pid, file: &str) -> impl Iterator<Item = Vec<u8>> {
    let strings = fs::read(proc(pid).join(file)).unwrap_or_default();
    strings
        .split(|&byte| byte == 0)
        .filter(|string| !string.is_empty())
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether it is that program: by its own name, or as a part of the all-in-one file, which may have another one. An editor that has a file
/// of that name open is none.
fn runs(words: &[PathBuf], program: &str) -> bool {
    let [first, rest @ ..] = words else {
        return false;
    };
    let own = process::own_program().unwrap_or_default();
    let all_in_one = || named(first, "uphold") || first.file_name() == own.file_name();
    named(first, program) || rest.first().is_some_and(|word| word == Path::new(program)) && all_in_one()
}

fn named(word: &Path, program: &str) -> bool {
    word.file_name().is_some_and(|name| name == program)
}

/// Whether a svscan is a copier of another one. Its environment says so for as long as it lives.
fn is_copier(pid: Pid) -> bool {
    strings(pid, "environ").any(|string| string.split(|&byte| byte == b'=').next() == Some(COPIER.as_bytes()))
}

fn is(path: &Path, directory: &Metadata) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (directory.dev(), directory.ino()))
}
