//! Doing things as somebody who may not do everything: the user who runs the tests, or nobody if that is root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::{Scratch, make_executable};

/// The user and group `nobody` where the tests run as root.
const NOBODY: u32 = 65534;

/// Where programs are copied to for a user who might not get into the directory that they were built in. The dot hides
/// it from svscan.
const LENT: &str = ".programs";

/// Whether the test runs as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Scratch {
    /// A command of the suite, to be run in this directory by an ordinary user.
    pub fn ordinary(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.lend(program));
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.path(LENT).display());
        command.args(words).current_dir(self.root()).env("PATH", path).env_remove("UPHOLD_LOG");
        self.as_ordinary(command)
    }

    /// A command of any program, to be run by the ordinary user.
    pub fn as_ordinary(&self, mut command: Command) -> Command {
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Puts a copy of a program where an ordinary user finds it on PATH.
    pub fn lend(&self, program: &str) -> PathBuf {
        let copy = self.mkdir(LENT).join(program);
        if !copy.exists() {
            fs::copy(self.suite().path(program), &copy).expect("a copy of the program");
            make_executable(&copy);
        }
        copy
    }

    /// Gives the file or directory `name` to the ordinary user.
    pub fn give(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may chown");
        }
        path
    }

    /// Makes a directory that belongs to the ordinary user.
    pub fn mkdir_given(&self, name: &str) -> PathBuf {
        self.mkdir(name);
        self.give(name)
    }
}
