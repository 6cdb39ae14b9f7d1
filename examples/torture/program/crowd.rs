//! The processes that work in the scratch directory, found through /proc.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sys::process::{Pid, Signal};

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Its name: the last component of its first argument.
    pub name: String,
    /// Its current directory, relative to the scratch directory.
    pub place: PathBuf,
    /// Whether it is stopped.
    pub stopped: bool,
}

/// Finds every process whose current directory lies in `root`. Dead processes have none.
pub fn look(root: &Path) -> io::Result<Vec<Process>> {
    let mut crowd = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            crowd.extend(process(root, pid));
        }
    }
    Ok(crowd)
}

/// `None` for one that is elsewhere or gone.
fn process(root: &Path, pid: u32) -> Option<Process> {
    let place = place(root, pid)?;
    let name = name(root, pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    let (state, parent) = (words.next()?, words.next()?.parse().ok()?);
    Some(Process { pid, parent, name, place, stopped: state == "T" })
}

/// The name of a process. During its exec, a process has no arguments; on a busy machine that may take long. So this waits until it has
/// arguments, or is gone.
fn name(root: &Path, pid: u32) -> Option<String> {
    const LONGEST: Duration = Duration::from_secs(2);
    let begin = Instant::now();
    while begin.elapsed() < LONGEST {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let first = words.split(|&byte| byte == 0).next()?;
        let name = first.rsplit(|&byte| byte == b'/').next()?;
        if !name.is_empty() {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        place(root, pid)?;
        sys::poll::rest_for(200_000);
    }
    None
}

fn place(root: &Path, pid: u32) -> Option<PathBuf> {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(cwd.strip_prefix(root).ok()?.to_path_buf())
}

/// Signals a process, after a check that it is one of ours. Returns `false` if it is gone.
pub fn signal(root: &Path, pid: u32, signal: Signal) -> bool {
    place(root, pid).is_some() && sys::process::kill(Pid::from_raw(pid.cast_signed()), signal).is_ok()
}

/// The device and inode of the file that a process runs.
pub fn executable(pid: u32) -> Option<(u64, u64)> {
    identity(Path::new(&format!("/proc/{pid}/exe")))
}

/// The device and inode of a file.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
