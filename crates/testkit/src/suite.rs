//! Which suite is under test.
//!
//! `UPHOLD_UNDER_TEST` chooses: unset or `ours`, the programs that cargo built beside the test; `original`, daemontools as
//! installed; a path, the programs in that directory, as ours.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the daemontools package puts its programs.
const ORIGINAL: &str = "/usr/bin";

/// A set of programs that tests can be run against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suite {
    /// uphold, built into this directory.
    Ours(PathBuf),
    /// daemontools, installed in this directory.
    Original(PathBuf),
}

impl Suite {
    /// The suite that the environment chooses.
    pub fn under_test() -> Suite {
        match env::var_os("UPHOLD_UNDER_TEST") {
            None => Suite::ours(),
            Some(word) if word == "ours" => Suite::ours(),
            Some(word) if word == "original" => Suite::Original(ORIGINAL.into()),
            Some(path) => {
                // A test must not pass because no program was there to do anything wrong.
                assert!(Path::new(&path).is_dir(), "UPHOLD_UNDER_TEST is no directory: {}", path.display());
                Suite::Ours(path.into())
            }
        }
    }

    /// The programs that cargo built beside the running test.
    pub fn ours() -> Suite {
        let test = env::current_exe().expect("the test has a path");
        let built = test.parent().and_then(Path::parent).expect("the test lies in target/PROFILE/deps");
        Suite::Ours(built.to_path_buf())
    }

    /// daemontools, if it is installed.
    pub fn original() -> Option<Suite> {
        Path::new(ORIGINAL).join("supervise").exists().then(|| Suite::Original(ORIGINAL.into()))
    }

    /// Whether it is the original.
    pub fn is_original(&self) -> bool {
        matches!(self, Suite::Original(_))
    }

    /// Where its programs lie.
    pub fn directory(&self) -> &Path {
        match self {
            Suite::Ours(path) | Suite::Original(path) => path,
        }
    }

    /// The path of one program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory().join(program)
    }

    /// A PATH on which the suite's programs come first.
    pub fn search_path(&self) -> OsString {
        let mut path = self.directory().as_os_str().to_os_string();
        path.push(":/usr/bin:/bin:/usr/sbin:/sbin");
        path
    }

    /// A command of the suite, with [`search_path`](Suite::search_path) as PATH.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.env("PATH", self.search_path()).env_remove("UPHOLD_LOG");
        command
    }
}

/// Says on stderr, past the test harness, that a test was skipped and why. Fails instead where `UPHOLD_SKIP_NOTHING` is set.
pub fn skip(why: &str) {
    assert!(env::var_os("UPHOLD_SKIP_NOTHING").is_none(), "skipped where nothing may be: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes());
}

/// daemontools, or `None` and a line that says the test is skipped.
pub fn needs_original() -> Option<Suite> {
    let original = Suite::original();
    if original.is_none() {
        skip("daemontools is not installed");
    }
    original
}

/// Whether the test runs as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whether the test runs as root; if not, a line says that it is skipped.
pub fn needs_root() -> bool {
    let root = is_root();
    if !root {
        skip("needs root");
    }
    root
}

/// The path of a program on PATH; if there is none, a line says that the test is skipped.
pub fn needs_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.exists());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Whether this user can have an inotify instance, by which a program is told at once what others find out at their next look; if not, a line says that the test is
/// skipped. A user has 128 of them, in all programs together.
pub fn needs_inotify() -> bool {
    let instance = sys::watch::Watcher::new();
    if let Err(error) = &instance {
        skip(&format!("no inotify instance can be had: {error}"));
    }
    instance.is_ok()
}
