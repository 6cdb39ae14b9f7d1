//! A svscan at work on the directory `service`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use testkit::{Running, Scratch, start, wait_for, wait_until};

use super::world::{MORTAL, Record, has_reader, supervise_of};

pub struct Scan<'a> {
    pub scratch: &'a Scratch,
    pub svscan: Running,
}

impl<'a> Scan<'a> {
    /// Scans `service`. What svscan and everything below it say goes to `svscan.out` and `svscan.err`.
    pub fn start(scratch: &'a Scratch) -> Scan<'a> {
        scratch.mkdir("service");
        Scan { scratch, svscan: scratch.start("svscan", "svscan", &["service"]) }
    }

    /// The same as an ordinary user, to whom the directory belongs.
    pub fn start_ordinary(scratch: &'a Scratch) -> Scan<'a> {
        scratch.mkdir_given("service");
        scratch.lend("supervise");
        let stderr = fs::File::create(scratch.path("svscan.err")).expect("a file");
        let mut command = scratch.ordinary("svscan", &["service"]);
        Scan { scratch, svscan: start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr)) }
    }

    pub fn dir(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.scratch.path("service").join(name.as_ref())
    }

    /// Makes a service elsewhere and links it into the directory, all at once as it should be done.
    pub fn link(&self, name: &str, run: &str) {
        self.scratch.service(&format!("made/{name}"), run);
        symlink(format!("../made/{name}"), self.dir(name)).expect("a link");
    }

    #[track_caller]
    pub fn wait_supervised(&self, name: impl AsRef<OsStr>) {
        let dir = self.dir(&name);
        wait_until(&format!("a supervise runs in {}", dir.display()), || has_reader(&dir));
    }

    /// Waits until the service is up, and returns its pid.
    #[track_caller]
    pub fn wait_up(&self, name: impl AsRef<OsStr>) -> u32 {
        self.wait_other(name, 0)
    }

    /// Waits until the service is up under another pid than `old`, and returns that.
    #[track_caller]
    pub fn wait_other(&self, name: impl AsRef<OsStr>, old: u32) -> u32 {
        let dir = self.dir(name);
        wait_for(&format!("{} is up", dir.display()), || {
            Record::read(&dir).map(|record| record.pid).filter(|&pid| pid != 0 && pid != old && has_reader(&dir))
        })
    }

    /// Waits until svscan has gone through the directory once more: a service that is new is there.
    #[track_caller]
    pub fn wait_pass(&self, marker: &str) {
        self.link(marker, MORTAL);
        self.wait_up(marker);
    }

    /// The supervise of a service.
    pub fn supervise(&self, name: &str) -> u32 {
        supervise_of(self.scratch, &self.dir(name)).unwrap_or_else(|| panic!("no supervise in {name}"))
    }

    #[track_caller]
    pub fn svc(&self, letters: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| format!("service/{name}")).collect();
        let mut words = vec![letters];
        words.extend(names.iter().map(String::as_str));
        assert_eq!(self.scratch.run("svc", &words).err(), "");
    }

    /// What svscan and everything below it have said.
    pub fn stderr(&self) -> String {
        self.scratch.text("svscan.err")
    }

    #[track_caller]
    pub fn wait_said(&self, line: &str) {
        wait_until(&format!("{line:?} is said, not {:?}", self.stderr()), || {
            self.stderr().lines().any(|said| said == line)
        });
    }
}
