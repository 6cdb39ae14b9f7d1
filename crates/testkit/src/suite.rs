//! The suite under test. The variable `UPHOLD_UNDER_TEST` chooses it:
//!
//! - unset or `ours`: the programs that cargo has built beside the test
//! - `original`: daemontools, as installed
//! - `runit`: runit, as installed
//! - a path: the programs in that directory, which are tested as ours

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory in which the packages of daemontools and runit install their programs.
const ORIGINAL: &str = "/usr/bin";

/// A set of programs that can be tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suite {
    /// uphold, built into this directory.
    Ours(PathBuf),
    /// daemontools, installed in this directory.
    Original(PathBuf),
    /// runit, installed in this directory.
    Runit(PathBuf),
}

impl Suite {
    /// Returns the suite that the environment chooses.
    pub fn under_test() -> Suite {
        match env::var_os("UPHOLD_UNDER_TEST") {
            None => Suite::ours(),
            Some(word) if word == "ours" => Suite::ours(),
            Some(word) if word == "original" => Suite::Original(ORIGINAL.into()),
            Some(word) if word == "runit" => Suite::Runit(ORIGINAL.into()),
            Some(path) => {
                // A test must not pass only because there was no program that could do something wrong.
                assert!(Path::new(&path).is_dir(), "UPHOLD_UNDER_TEST is no directory: {}", path.display());
                Suite::Ours(path.into())
            }
        }
    }

    /// Returns the programs that cargo has built beside the running test.
    pub fn ours() -> Suite {
        let test = env::current_exe().expect("the test has a path");
        let built = test.parent().and_then(Path::parent).expect("the test lies in target/PROFILE/deps");
        Suite::Ours(built.to_path_buf())
    }

    /// Returns daemontools, if it is installed.
    pub fn original() -> Option<Suite> {
        Path::new(ORIGINAL).join("supervise").exists().then(|| Suite::Original(ORIGINAL.into()))
    }

    /// Returns whether this is daemontools.
    pub fn is_original(&self) -> bool {
        matches!(self, Suite::Original(_))
    }

    /// Returns whether this is runit.
    pub fn is_runit(&self) -> bool {
        matches!(self, Suite::Runit(_))
    }

    /// Returns the directory of its programs.
    pub fn directory(&self) -> &Path {
        match self {
            Suite::Ours(path) | Suite::Original(path) | Suite::Runit(path) => path,
        }
    }

    /// Returns the path of one program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory().join(program)
    }

    /// Returns a PATH on which the suite's programs come first.
    pub fn search_path(&self) -> OsString {
        let mut path = self.directory().as_os_str().to_os_string();
        path.push(":/usr/bin:/bin:/usr/sbin:/sbin");
        path
    }

    /// Returns a command of the suite, with [`search_path`](Suite::search_path) as PATH.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.env("PATH", self.search_path()).env_remove("UPHOLD_LOG");
        command
    }
}

/// Says on stderr that a test was skipped, and why. The test harness does not capture this line.
///
/// # Panics
/// If `UPHOLD_SKIP_NOTHING` is set.
pub fn skip(why: &str) {
    assert!(env::var_os("UPHOLD_SKIP_NOTHING").is_none(), "skipped where nothing may be: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes());
}

/// Returns daemontools. If it is not installed, says that the test is skipped, and returns `None`.
pub fn needs_original() -> Option<Suite> {
    let original = Suite::original();
    if original.is_none() {
        skip("daemontools is not installed");
    }
    original
}

/// Returns whether the test runs as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Returns whether the test runs as root. If not, says that the test is skipped.
pub fn needs_root() -> bool {
    let root = is_root();
    if !root {
        skip("needs root");
    }
    root
}

/// Returns the path of a program on PATH. If there is none, says that the test is skipped, and returns `None`.
pub fn needs_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.exists());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Returns whether this user can get an inotify instance, by which a program learns of a change at once instead of at its next look. If not, says
/// that the test is skipped. By default a user can have 128 instances in all programs together.
pub fn needs_inotify() -> bool {
    let instance = sys::watch::Watcher::new();
    if let Err(error) = &instance {
        skip(&format!("no inotify instance can be had: {error}"));
    }
    instance.is_ok()
}
