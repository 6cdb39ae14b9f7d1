//! Processes that a test starts.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;
use crate::wait::pause;

/// Held for reading while a child is made, for writing while an executable file is written. A child that is made while the file is open for
/// writing keeps it open until its own exec, and until then executing the file fails with ETXTBSY. It does not help to wait for that exec
/// afterwards: the thread that made the child continues before the kernel has closed the files.
static FORKING: RwLock<()> = RwLock::new(());

fn spawn(command: &mut Command) -> Child {
    link_quick_spawn();
    let _guard = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Makes the standard library start children without a copy of the test's memory. The library finds these functions by weak
/// symbols, which alone do not link the functions into a static executable. Without them it forks, which takes several times as long.
fn link_quick_spawn() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    std::hint::black_box([
        libc::gnu_get_libc_version as *const (),
        libc::posix_spawn_file_actions_addchdir_np as *const (),
    ]);
}

/// Runs `command` to its end, without input and output. Errors are ignored.
pub(crate) fn quietly(command: &mut Command) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = {
        let _guard = FORKING.read().unwrap_or_else(PoisonError::into_inner);
        command.spawn()
    };
    let _ = child.and_then(|mut child| child.wait());
}

/// Runs `write` while no child is being made.
pub(crate) fn while_nothing_forks<T>(write: impl FnOnce() -> T) -> T {
    let _guard = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    write()
}

/// The exit code and the output of a program that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; for a death by signal, 1000 plus its number.
    pub code: i32,
    /// The bytes that it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The bytes that it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Returns stdout as text, with invalid UTF-8 replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns stderr as text, with invalid UTF-8 replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0))
}

/// Runs `command` to its end, with an empty stdin.
///
/// # Panics
/// If it cannot be started, or does not end within [`PATIENCE`]; then it is killed.
#[track_caller]
pub fn finish(command: &mut Command) -> Finished {
    finish_with(command, b"")
}

/// Runs `command` to its end, with `input` on stdin.
///
/// # Panics
/// As [`finish`].
#[track_caller]
pub fn finish_with(command: &mut Command, input: &[u8]) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let input = input.to_vec();
    let feeder = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.read_to_end(&mut bytes);
        bytes
    });
    let err = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        bytes
    });
    let status = wait(&mut child).unwrap_or_else(|| panic!("{command:?} did not end in {PATIENCE:?}"));
    let _ = feeder.join();
    Finished { code: code(status), stdout: out.join().expect("reads"), stderr: err.join().expect("reads") }
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        pause(begin);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Sends a signal to the process `pid`, by the name that `kill` knows, such as `TERM`.
///
/// # Panics
/// If the signal cannot be sent, or `pid` is 0 or 1. As a pid, 0 means the whole process group of the test.
#[track_caller]
pub fn signal(pid: u32, name: &str) {
    assert!(pid > 1, "kill -{name} {pid}");
    let sent = finish(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
    assert_eq!(sent.code, 0, "kill -{name} {pid}: {}", sent.err());
}

/// A program that is killed when this value is dropped.
pub struct Running(Child);

/// Starts `command`; it is killed when the result is dropped.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn start(command: &mut Command) -> Running {
    Running(spawn(command))
}

impl Running {
    /// Returns the pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns the process, for access to its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Sends it a signal, by the name that `kill` knows, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Returns the exit code if it has ended (see [`Finished::code`]).
    pub fn ended(&mut self) -> Option<i32> {
        self.0.try_wait().expect("a child of ours").map(code)
    }

    /// Waits for its end, and returns the exit code (see [`Finished::code`]).
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        code(wait(&mut self.0).expect("ends before the deadline"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
