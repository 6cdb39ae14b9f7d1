//! What serves a scan directory: found in `/proc` by being in that directory, so nothing has to be written down about it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sys::process::Pid;
use sys::table;

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
            if runs(&words(pid), "svscan") {
                found.scans.push((pid, parent));
            }
        }
        for (pid, _) in table {
            let words = words(pid);
            let parent = || found.scans.iter().any(|&(_, parent)| parent == pid);
            // Its last word is the directory, if it has one; and it may be without a svscan for a moment.
            let named = || words.last().is_some_and(|word| word.is_absolute() && is(word, &directory));
            if runs(&words, "svscanboot") && (parent() || named()) {
                found.boots.push(pid);
            }
        }
        Ok(found)
    }
}

fn proc(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// What a process was called with.
fn words(pid: Pid) -> Vec<PathBuf> {
    let line = fs::read(proc(pid).join("cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).filter(|word| !word.is_empty()).map(|word| OsStr::from_bytes(word).into()).collect()
}

/// Whether it is that program: by its own file, as a part of the all-in-one file, or, as the original's svscanboot, a script.
fn runs(words: &[PathBuf], program: &str) -> bool {
    words.iter().take(2).any(|word| word.file_name().is_some_and(|name| name == program))
}

fn is(path: &Path, directory: &Metadata) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (directory.dev(), directory.ino()))
}
