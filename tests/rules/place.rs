//! A cgroup for one test, in which supervise is started.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::chown;
use std::path::PathBuf;

use sys::cgroup::Cgroup;
use testkit::{is_root, skip};

use super::service::User;

/// A cgroup for one test.
pub struct Place {
    own: Cgroup,
    name: OsString,
    pub cgroup: Cgroup,
}

impl Place {
    /// Makes a cgroup that belongs to the user. `None`, and a line on stderr, if there can be none.
    pub fn new(user: User) -> Option<Place> {
        match Place::made(user) {
            Ok(place) => Some(place),
            Err(error) if is_root() => {
                skip(&format!("no cgroup can be made: {error}"));
                None
            }
            // An ordinary user rarely has a cgroup of his own.
            Err(error) => {
                let line = format!("skipped a test of cgroup/: no cgroup can be made: {error}\n");
                let _ = io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    /// Makes a cgroup that belongs to the user, if there can be one.
    pub fn made(user: User) -> io::Result<Place> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = OsString::from(format!("uphold-test-{}-{number}", std::process::id()));
        let own = Cgroup::own()?;
        let place = Place { cgroup: own.make(&name)?, own, name };
        if user == User::Ordinary {
            let owner = nobody();
            for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
                chown(place.path().join(file), Some(owner), Some(owner)).expect("root may do that");
            }
        }
        Ok(place)
    }

    /// The directory of the cgroup.
    pub fn path(&self) -> PathBuf {
        path(&self.cgroup)
    }

    /// The same, for other processes.
    pub fn directory(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.cgroup.as_fd().as_raw_fd()).into()
    }

    /// Nobody can make a cgroup in it any more.
    pub fn close(&self) {
        self.cgroup.write(OsStr::new("cgroup.max.descendants"), b"0").expect("it is ours");
    }

    /// Moves a process there.
    pub fn take(&self, pid: u32) {
        self.cgroup.write(OsStr::new("cgroup.procs"), pid.to_string().as_bytes()).expect("it is ours");
    }

    /// The names of the cgroups in it.
    pub fn names(&self) -> Vec<OsString> {
        let mut names = self.cgroup.names().expect("they are told");
        names.sort();
        names
    }

    /// The cgroup of the service, which is the only one in it.
    pub fn service(&self) -> Cgroup {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.cgroup.below(&names[0]).expect("it is there")
    }

    /// The lives that the cgroup of the service has.
    pub fn lives(&self) -> Vec<OsString> {
        let mut lives = self.service().names().expect("they are told");
        lives.sort();
        lives
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.cgroup.kill();
        for _ in 0..500 {
            if self.own.remove(&self.name).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

pub fn path(cgroup: &Cgroup) -> PathBuf {
    format!("/proc/self/fd/{}/", cgroup.as_fd().as_raw_fd()).into()
}

pub fn nobody() -> u32 {
    65534
}
