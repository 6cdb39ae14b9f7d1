//! Directories and processes that are removed when a measurement ends, even if it fails or is ended by a signal.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sys::process::{Pid, Signal, kill};
use sys::signals::Signals;
use tempfile::TempDir;

/// What a signal has to clean up: all our present directories and processes. A thread that starts processes must hold the lock; the
/// signal takes it for good.
static ALIVE: Mutex<Alive> = Mutex::new(Alive { roots: Vec::new(), pids: Vec::new() });

struct Alive {
    roots: Vec<PathBuf>,
    pids: Vec<i32>,
}

/// A temporary directory. When it is dropped, every process whose current directory is inside is killed, and the
/// directory is removed.
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a directory in memory if the system has a place for it, so that no disk is measured.
    pub fn in_memory() -> Result<Scratch> {
        let shared = Path::new("/dev/shm");
        Scratch::below(if shared.is_dir() { shared } else { Path::new("/tmp") })
    }

    /// Makes a directory where temporary files are.
    pub fn new() -> Result<Scratch> {
        Scratch::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Result<Scratch> {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::Builder::new()
            .prefix("uphold-bench-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .context("unable to make a temporary directory")?;
        alive().roots.push(directory.path().to_owned());
        Ok(Scratch(directory))
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a directory in it.
    pub fn mkdir(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("unable to make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        kill_inside(self.0.path());
        alive().roots.retain(|root| root != self.0.path());
    }
}

fn alive() -> MutexGuard<'static, Alive> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all processes in a directory, again and again until none is left: a supervisor may just have started another.
fn kill_inside(root: &Path) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        let left = inside(root);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Processes whose current directory lies in `root`.
fn inside(root: &Path) -> Vec<i32> {
    let within = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(root));
    pids().into_iter().filter(within).collect()
}

/// All processes.
pub fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Makes INT, TERM and HUP clean up before they end this process.
pub fn clean_up_on_signals() -> Result<()> {
    let signals =
        Signals::catch(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]).context("unable to catch signals")?;
    thread::spawn(move || {
        while !sys::poll::readable([signals.fd().as_fd()], None).is_ok_and(|[signal]| signal) {}
        let alive = alive();
        for pid in &alive.pids {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for root in &alive.roots {
            kill_inside(root);
            let _ = fs::remove_dir_all(root);
        }
        std::process::exit(1);
    });
    Ok(())
}

/// A process that is killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Starts `command` with stdin, stdout and stderr on `/dev/null`.
    pub fn start(command: &mut Command) -> Result<Process> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process::start_as_is(command)
    }

    /// Starts `command` with the descriptors that it has.
    pub fn start_as_is(command: &mut Command) -> Result<Process> {
        let mut alive = alive();
        let child = command.spawn().with_context(|| format!("unable to start {}", command.get_program().display()))?;
        alive.pids.push(child.id() as i32);
        Ok(Process(child))
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// Waits for its end, which must be a success.
    pub fn end(mut self) -> Result<()> {
        let status = self.0.wait().context("unable to wait")?;
        anyhow::ensure!(status.success(), "{status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = self.pid();
        let _ = self.0.kill();
        let _ = self.0.wait();
        alive().pids.retain(|alive| *alive != pid);
    }
}
