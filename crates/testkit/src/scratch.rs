//! A directory of a test's own, and the processes that work in it.

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

/// The user and group `nobody`, who does what an ordinary user does where the tests run as root.
const NOBODY: u32 = 65534;

/// Where programs are copied to for a user who might not get into the directory that they were built in. The dot hides
/// it from svscan.
const LENT: &str = ".programs";

/// A new directory. When it is dropped, every process whose current directory lies in it is killed, and it is removed.
pub struct Scratch {
    directory: TempDir,
    suite: Suite,
}

impl Scratch {
    /// A new, empty directory, for the suite that is under test.
    pub fn new() -> Scratch {
        Scratch::with(Suite::under_test())
    }

    /// The same for the given suite.
    pub fn with(suite: Suite) -> Scratch {
        hear_signals();
        let directory = tempfile::Builder::new().prefix("uphold-test-").tempdir().expect("a temporary directory");
        // Ordinary users that a test turns into shall get in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
        Scratch { directory, suite }
    }

    /// The suite that `command` takes its programs from.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
        // What is never executed keeps nobody from making children.
        if fs::metadata(&path).is_ok_and(|file| file.mode() & 0o111 != 0) {
            while_nothing_forks(|| fs::write(&path, contents)).expect("a file");
        } else {
            fs::write(&path, contents).expect("a file");
        }
        path
    }

    /// Makes a directory, with those above it.
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

    /// Puts an executable file in the place of whatever has this name, as an upgrade does.
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

    /// Names that are no directory to enter, each with the reason that the suite gives.
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

    /// What a file holds; empty if there is none.
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// The same as text.
    pub fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// A command of the suite, to be run in this directory.
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

    /// Starts a program of the suite in this directory, its stdin empty, stdout going to the file `NAME.out` and stderr
    /// to `NAME.err`.
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
            let built = fs::read(self.suite().path(program)).expect("it was built");
            write_executable(&copy, &built);
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

    /// Processes whose current directory lies in this one.
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
            // Again until none is left: a supervisor may just have started another.
            let left = self.processes();
            if left.is_empty() || begin.elapsed() > Duration::from_secs(10) {
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
        // What a test locked an ordinary user out of would stay behind.
        if fs::remove_dir_all(self.root()).is_err() {
            quietly(Command::new("chmod").args(["-R", "u+rwX"]).arg(self.root()));
        }
    }
}

/// Gives signals their default action that the caller of the tests may have ignored, as nohup and a shell's `&` do: what a test starts would ignore
/// them too, and a shell cannot trap an ignored one.
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

/// Makes a file one of mode 0755 that can be executed at once.
pub fn make_executable(path: &Path) {
    if path.is_file() {
        // Somebody may still have it open for writing, so it becomes another file.
        let contents = fs::read(path).expect("a file");
        fs::remove_file(path).expect("its owner may do so");
        write_executable(path, &contents);
    } else {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
    }
}
