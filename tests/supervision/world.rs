//! Services at work, and what a test can see of them from outside.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use testkit::{Running, Scratch, state, wait_for, wait_until};

/// A `run` that lives until a signal ends it.
pub const MORTAL: &str = "exec sleep 100000";

/// A `run` that notes each start (with its pid) in `started` and each signal in `signals`, and lives on.
pub const NOTING: &str = "for name in HUP ALRM INT TERM; do trap \"echo $name >>signals\" $name; done
echo $$ >>started
while :; do sleep 100000 & wait $!; done";

/// A directory for services.
pub fn scratch() -> Scratch {
    Scratch::new()
}

/// The part of a status record that every suite writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub stamp: [u8; 12],
    pub pid: u32,
    pub paused: u8,
    pub want: u8,
}

impl Record {
    pub fn read(dir: &Path) -> Option<Record> {
        let bytes = fs::read(dir.join("supervise/status")).ok()?;
        assert!(bytes.len() >= 18, "{}: a status of {} bytes", dir.display(), bytes.len());
        Some(Record {
            stamp: bytes[..12].try_into().expect("12 bytes"),
            pid: u32::from_le_bytes(bytes[12..16].try_into().expect("4 bytes")),
            paused: bytes[16],
            want: bytes[17],
        })
    }

    /// Seconds since 1970 of the stamp.
    pub fn seconds(&self) -> u64 {
        u64::from_be_bytes(self.stamp[..8].try_into().expect("8 bytes")) - ((1 << 62) + 10)
    }
}

/// A service directory with a supervise that the test started.
pub struct Service<'a> {
    scratch: &'a Scratch,
    pub name: String,
    pub dir: PathBuf,
    pub supervise: Running,
}

impl<'a> Service<'a> {
    /// Makes a service directory whose `run` is a shell script, and supervises it.
    pub fn new(scratch: &'a Scratch, name: &str, run: &str) -> Service<'a> {
        scratch.service(name, run);
        Service::of(scratch, name)
    }

    /// The same with a `down` file.
    pub fn down(scratch: &'a Scratch, name: &str, run: &str) -> Service<'a> {
        scratch.service(name, run);
        scratch.write(Path::new(name).join("down"), "");
        Service::of(scratch, name)
    }

    /// Supervises a service directory. Its stdout goes to `NAME.out` and its stderr to `NAME.err`.
    pub fn of(scratch: &'a Scratch, name: &str) -> Service<'a> {
        let supervise = scratch.start(name, "supervise", &[name]);
        let service = Service { scratch, name: name.to_owned(), dir: scratch.path(name), supervise };
        wait_until("supervise runs", || has_reader(&service.dir));
        service
    }

    /// Sends command letters by the suite's svc.
    pub fn svc(&self, letters: &str) {
        let ran = self.scratch.run("svc", &[&format!("-{letters}"), &self.name]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""), "svc -{letters}");
    }

    /// What svstat says of it, with S for the number of seconds and N for the pid.
    pub fn svstat(&self) -> String {
        svstat(self.scratch, &self.name)
    }

    pub fn record(&self) -> Record {
        Record::read(&self.dir).expect("written before the FIFOs were opened")
    }

    /// Waits until the status says what `expected` asks for, and returns it.
    #[track_caller]
    pub fn wait_record(&self, what: &str, expected: impl Fn(&Record) -> bool) -> Record {
        wait_for(&format!("{}: {what}", self.name), || Some(self.record()).filter(&expected))
    }

    /// Waits until it is up, and returns the pid.
    #[track_caller]
    pub fn wait_up(&self) -> u32 {
        self.wait_record("up", |record| record.pid != 0).pid
    }

    /// Waits until it is up under another pid than `old`, and returns that.
    #[track_caller]
    pub fn wait_restart(&self, old: u32) -> u32 {
        self.wait_record("up again", |record| record.pid != 0 && record.pid != old).pid
    }

    #[track_caller]
    pub fn wait_down(&self) -> Record {
        self.wait_record("down", |record| record.pid == 0)
    }

    /// Waits for the first start of a [`NOTING`] service, its traps set; returns its pid.
    #[track_caller]
    pub fn wait_started(&self) -> u32 {
        let pid = self.wait_up();
        self.wait_file("started", &format!("{pid}\n"));
        pid
    }

    /// Waits until `file` in the service directory holds `contents`.
    #[track_caller]
    pub fn wait_file(&self, file: &str, contents: &str) {
        wait_until(&format!("{}/{file} is {contents:?}, not {:?}", self.name, self.text(file)), || {
            self.text(file) == contents
        });
    }

    /// What a file in the service directory holds.
    pub fn text(&self, file: &str) -> String {
        self.scratch.text(Path::new(&self.name).join(file))
    }

    /// What supervise and `run` wrote on stderr.
    pub fn stderr(&self) -> String {
        self.scratch.text(format!("{}.err", self.name))
    }

    /// Whether every byte that was written to `control` has been read, or nobody is left to read it.
    pub fn drained(&mut self) -> bool {
        if self.supervise.ended().is_some() {
            return true;
        }
        let control = sys::fd::open_read(&self.dir.join("supervise/control")).expect("a FIFO");
        let [unread] = sys::poll::readable([control.as_fd()], Some(0)).expect("a poll");
        !unread
    }

    /// The control FIFO, open for bytes that svc would not send.
    pub fn control(&self) -> File {
        let control = sys::fd::open_write(&self.dir.join("supervise/control")).expect("supervise reads it");
        sys::fd::set_blocking(control.as_fd()).expect("a FIFO");
        control
    }

    /// Writes bytes to the control FIFO.
    pub fn write(&self, bytes: &[u8]) {
        self.control().write_all(bytes).expect("supervise reads it");
    }

    /// Waits for the end of supervise, and returns its exit code.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        self.supervise.end()
    }
}

/// Whether a supervise has `ok` open, found out as svok does.
pub fn has_reader(dir: &Path) -> bool {
    sys::fd::open_write(&dir.join("supervise/ok")).is_ok()
}

/// What svstat says of the service directory `name`, with S for the number of seconds and N for the pid.
pub fn svstat(scratch: &Scratch, name: &str) -> String {
    let ran = scratch.run("svstat", &[name]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""), "svstat {name}");
    masked(ran.out().strip_prefix(&format!("{name}: ")).expect("its name").trim_end())
}

/// `text` with S for the number of seconds and N for the pid.
pub fn masked(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    match words.as_mut_slice() {
        ["up", "(pid", pid, seconds, ..] => {
            assert!(pid.trim_end_matches(')').parse::<u32>().is_ok() && seconds.parse::<u64>().is_ok(), "{text}");
            (*pid, *seconds) = ("N)", "S");
        }
        ["down", seconds, ..] => {
            assert!(seconds.parse::<u64>().is_ok(), "{text}");
            *seconds = "S";
        }
        _ => {}
    }
    words.join(" ")
}

/// Waits until the shell that ran [`MORTAL`] has become sleep and does nothing else any more, such as loading itself.
#[track_caller]
pub fn wait_sleep(pid: u32) {
    wait_until("sleep runs", || {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with(b"sleep") && state(pid) == Some('S')
    });
}

/// One line of `/proc/PID/status`, without its name.
pub fn status_line(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {text}")).trim().to_owned()
}

/// The descriptors of a process and where they lead.
pub fn descriptors(pid: u32) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, fs::read_link(entry.path()).ok()?)))
        .collect();
    found.sort();
    found
}

/// The supervise of `dir`: whoever has its lock file open.
pub fn supervise_of(scratch: &Scratch, dir: &Path) -> Option<u32> {
    let lock = fs::canonicalize(dir.join("supervise/lock")).ok()?;
    let holds = |pid: &u32| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        entries.map(|entry| fs::read_link(entry.path())).any(|target| target.is_ok_and(|path| path == lock))
    };
    scratch.processes().into_iter().find(holds)
}
