//! The processes of another suite, such as daemontools, that serve a scan directory. Their svscan has no lock, so it is found as the parent of the
//! supervises, which do have locks.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svdir::{Status, names};
use sys::locks::{Facts, Holder};
use sys::proc;
use sys::process::Pid;

use crate::service::{files, holder, record};

/// The pid of init.
const INIT: i32 = 1;

/// A service or logger that a supervise of another suite runs.
#[derive(Debug)]
pub struct Service {
    pub dir: PathBuf,
    /// Its supervise.
    pub supervise: Pid,
    parent: Pid,
}

/// The svscan of another suite, and its parent.
#[derive(Debug)]
pub struct Scanner {
    pub pid: Pid,
    /// Its parent, usually svscanboot.
    pub parent: Pid,
}

/// All services of `scan_dir` that supervises of other suites run, each before its logger.
pub fn services(scan_dir: &Path) -> io::Result<Vec<Service>> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(scan_dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    names.retain(|path| path.file_name().is_some_and(|name| !name.as_bytes().starts_with(b".")));
    names.sort();
    let dirs = names.into_iter().flat_map(|dir| [dir.join(names::LOG), dir].into_iter().rev());
    Ok(dirs.filter_map(find).collect())
}

fn find(dir: PathBuf) -> Option<Service> {
    let Holder { pid, facts } = holder::supervise_of(&dir)?;
    (!is_ours(&dir, pid)).then(|| Service { dir, supervise: pid, parent: Pid::from_raw(facts.parent) })
}

/// Returns whether the supervise `pid` of `dir` is of this suite: then the record names it.
pub fn is_ours(dir: &Path, pid: Pid) -> bool {
    let record = record::read(dir).ok().and_then(|found| found.record);
    record.is_some_and(|record| record.observed.supervise.pid == pid.as_raw().unsigned_abs())
}

/// Reads the status of a service, which a supervise of any suite has written.
pub fn status(dir: &Path) -> Option<Status> {
    Status::decode(&fs::read(files::of(dir, names::STATUS)).ok()?).ok()
}

/// The svscan of these services: the parent of their supervises, if it is in the scan directory.
pub fn scanner(scan_dir: &Path, services: &[Service]) -> Option<Scanner> {
    let here = fs::canonicalize(scan_dir).ok()?;
    // Compares the path that the kernel reports for its directory, without touching that directory.
    let is_here = |pid: &Pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == here);
    let pid = services.iter().map(|service| service.parent).filter(|parent| parent.as_raw() > 1).find(is_here)?;
    Some(Scanner { pid, parent: Pid::from_raw(Facts::of(pid)?.parent) })
}

/// Returns whether the file is a script: it begins with `#!`.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}

/// Returns whether a svscan of another suite runs in `scan_dir`. One without any service is not found.
pub fn runs(scan_dir: &Path) -> bool {
    services(scan_dir).is_ok_and(|services| scanner(scan_dir, &services).is_some())
}

impl Scanner {
    /// The process with the same parent that reads the pipe to which this svscan writes: readproctitle.
    pub fn reader(&self) -> Option<Pid> {
        let pipe = proc::pipe(self.pid, 2)?;
        proc::children(self.parent).into_iter().find(|&pid| proc::pipe(pid, 0) == Some(pipe))
    }

    /// The file of another suite that init would start again after this svscan has ended: a script, or svscan itself.
    pub fn started_again(&self) -> Option<PathBuf> {
        if self.parent.as_raw() == INIT {
            let file = fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?;
            // The kernel adds this when the file was removed or replaced.
            return (!file.as_os_str().as_bytes().ends_with(b" (deleted)")).then_some(file);
        }
        let by_init = Facts::of(self.parent)?.parent == INIT;
        let line = fs::read(format!("/proc/{}/cmdline", self.parent)).ok().filter(|_| by_init)?;
        let words = line.split(|&byte| byte == 0).skip(1).map(|word| PathBuf::from(OsStr::from_bytes(word)));
        words.into_iter().find(|word| word.is_absolute() && is_script(word))
    }

    /// The systemd unit that this svscan belongs to.
    pub fn unit(&self) -> Option<String> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).ok()?;
        let unit = |line: &str| line.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned);
        groups.lines().filter(|line| line.starts_with("0::") || line.contains(":name=systemd:")).find_map(unit)
    }
}
