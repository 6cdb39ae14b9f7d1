//! A temporary directory for one test, and the processes that work in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{quietly, while_nothing_forks};
use crate::{Finished, Running, Suite, finish, is_root, start};

/// The id of the user and group `nobody`, which is the ordinary user if the tests run as root.
const NOBODY: u32 = 65534;

/// The directory to which programs are copied for the ordinary user, who may have no access to the directory in which they
/// were built. The dot hides it from svscan.
const LENT: &str = ".programs";

/// A temporary directory. On drop, every process whose current directory lies in it is killed, and the directory is removed.
pub struct Scratch {
    directory: TempDir,
    suite: Suite,
}

impl Scratch {
    /// Makes a new, empty directory, for the suite under test.
    pub fn new() -> Scratch {
        Scratch::with(Suite::under_test())
    }

    /// Makes a new, empty directory, for the given suite.
    pub fn with(suite: Suite) -> Scratch {
        Scratch::make(&std::env::temp_dir(), suite)
    }

    /// Makes a new, empty directory in `place`, which must be writable, for the suite under test.
    pub fn below(place: impl AsRef<Path>) -> Scratch {
        Scratch::make(place.as_ref(), Suite::under_test())
    }

    fn make(place: &Path, suite: Suite) -> Scratch {
        hear_signals();
        let directory =
            tempfile::Builder::new().prefix("uphold-test-").tempdir_in(place).expect("a temporary directory");
        // The ordinary user needs access.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
        Scratch { directory, suite }
    }

    /// Returns the suite from which `command` takes its programs.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// Returns the path of the directory.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the path of a file in the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file, and makes missing directories above it.
    pub fn write(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
        // Only an executable file must be written while no child is being made.
        if fs::metadata(&path).is_ok_and(|file| file.mode() & 0o111 != 0) {
            while_nothing_forks(|| fs::write(&path, contents)).expect("a file");
        } else {
            fs::write(&path, contents).expect("a file");
        }
        path
    }

    /// Makes a directory, and missing directories above it.
    pub fn mkdir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// Writes an executable `/bin/sh` script with the given body.
    pub fn script(&self, name: impl AsRef<Path>, body: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
        write_executable(&path, format!("#!/bin/sh\n{body}\n").as_bytes());
        path
    }

    /// Replaces the file with this name by a new executable file, as an upgrade does.
    pub fn install(&self, name: impl AsRef<Path>, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        let new = path.with_extension("new");
        self.mkdir(path.parent().expect("it lies in the scratch directory"));
        write_executable(&new, contents);
        fs::rename(&new, &path).expect("a file in a directory of ours");
        path
    }

    /// Makes a service directory `name` whose `run` is a shell script with the given body.
    pub fn service(&self, name: &str, body: &str) -> PathBuf {
        self.script(Path::new(name).join("run"), body);
        self.path(name)
    }

    /// Returns names of directories that cannot be entered, each with the reason that the suite gives.
    pub fn no_way_in(&self) -> Vec<(String, &'static str)> {
        self.write("file", "");
        std::os::unix::fs::symlink("loop", self.path("loop")).expect("a link");
        let long = "n".repeat(256);
        let reasons = [
            ("missing", "file does not exist"),
            ("", "file does not exist"),
            ("file", "not a directory"),
            ("loop", "symbolic link loop"),
            (&long, "file name too long"),
        ];
        reasons.map(|(name, reason)| (name.to_owned(), reason)).into()
    }

    /// Returns the contents of a file; empty if it cannot be read.
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// Returns the contents of a file as text, with invalid UTF-8 replaced.
    pub fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// Returns a command of the suite that runs in this directory.
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = self.suite.command(program);
        command.args(words).current_dir(self.root());
        command
    }

    /// Runs a program of the suite to its end in this directory.
    #[track_caller]
    pub fn run(&self, program: &str, words: &[&str]) -> Finished {
        finish(&mut self.command(program, words))
    }

    /// Starts a program of the suite in this directory, with an empty stdin. Its stdout is appended to the file `NAME.out`, its
    /// stderr to `NAME.err`.
    #[track_caller]
    pub fn start(&self, name: &str, program: &str, words: &[&str]) -> Running {
        let mut command = self.command(program, words);
        command
            .stdin(Stdio::null())
            .stdout(self.append(&format!("{name}.out")))
            .stderr(self.append(&format!("{name}.err")));
        start(&mut command)
    }

    fn append(&self, name: &str) -> fs::File {
        fs::OpenOptions::new().create(true).append(true).open(self.path(name)).expect("a file")
    }

    /// Returns a command of the suite that runs in this directory as the ordinary user.
    pub fn ordinary(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.lend(program));
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.path(LENT).display());
        command.args(words).current_dir(self.root()).env("PATH", path).env_remove("UPHOLD_LOG");
        self.as_ordinary(command)
    }

    /// Makes any command run as the ordinary user: as `nobody` if the tests run as root, otherwise as the user who runs them.
    pub fn as_ordinary(&self, mut command: Command) -> Command {
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Copies a program to a directory that is on the PATH of the ordinary user, and returns the path of the copy.
    pub fn lend(&self, program: &str) -> PathBuf {
        let copy = self.mkdir(LENT).join(program);
        if !copy.exists() {
            let built = fs::read(self.suite().path(program)).expect("it was built");
            write_executable(&copy, &built);
        }
        copy
    }

    /// Gives the file or directory `name` to the ordinary user, and returns its path.
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

    /// Returns the pids of the processes whose current directory is this one or lies in it.
    pub fn processes(&self) -> Vec<u32> {
        let root = fs::canonicalize(self.root()).unwrap_or_else(|_| self.root().to_path_buf());
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let inside = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&root));
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(inside).collect()
    }

    fn kill_processes(&self) {
        let begin = Instant::now();
        loop {
            // Repeat until none is left: a supervise may just have started another process.
            let left = self.processes();
            if left.is_empty() || begin.elapsed() > Duration::from_secs(60) {
                return;
            }
            for chunk in left.chunks(500) {
                quietly(Command::new("kill").arg("-KILL").args(chunk.iter().map(u32::to_string)));
            }
        }
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.kill_processes();
        // A test may have made a directory inaccessible to the user who runs it.
        if fs::remove_dir_all(self.root()).is_err() {
            quietly(Command::new("chmod").args(["-R", "u+rwX"]).arg(self.root()));
        }
    }
}

/// Restores the default action of signals that the caller of the tests may ignore, as nohup and a shell's `&` do. Programs that a test starts would
/// ignore them too, and a shell cannot trap an ignored signal.
fn hear_signals() {
    use sys::process::Signal::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            sys::signals::set_default(signal).expect("a signal that can be set");
        }
    });
}

/// Writes a file of mode 0755 that can be executed at once.
fn write_executable(path: &Path, contents: &[u8]) {
    while_nothing_forks(|| fs::write(path, contents)).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
}

/// Makes an existing file executable at once, with mode 0755. For a directory, only sets the mode.
pub fn make_executable(path: &Path) {
    if path.is_file() {
        // A process may still have the file open for writing, so a new file takes its place.
        let contents = fs::read(path).expect("a file");
        fs::remove_file(path).expect("its owner may do so");
        write_executable(path, &contents);
    } else {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
    }
}
