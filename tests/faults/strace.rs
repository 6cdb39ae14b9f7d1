//! strace, which makes system calls fail.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::{Running, Scratch, finish, needs_program, signal, skip, start, wait_until};

/// The system calls that start a process, whichever the C library uses; strace passes over a name that it does not know.
pub const FORK: &str = "?fork,?vfork,?clone,?clone3";
pub const EXEC: &str = "execve";
pub const OPEN: &str = "?open,?openat";
pub const PIPE: &str = "?pipe,?pipe2";
pub const SOCKET: &str = "socket";
pub const READ: &str = "read";
pub const WRITE: &str = "write";
/// How the record is written: in its place.
pub const WRITE_AT: &str = "?pwrite,?pwrite64";
pub const RENAME: &str = "?rename,?renameat,?renameat2";
pub const LINK: &str = "?link,?linkat";
pub const UNLINK: &str = "?unlink,?unlinkat";
pub const CHMOD: &str = "?chmod,?fchmod,?fchmodat";
pub const FSYNC: &str = "fsync";
pub const KILL: &str = "kill";
pub const WATCH: &str = "inotify_add_watch";
pub const MAP: &str = "mmap";
pub const POLL: &str = "?poll,?ppoll";

/// Which call fails: the first, the second and the tenth of them.
pub const TIMES: [u32; 3] = [1, 2, 10];

/// The suite's text for an errno.
pub fn reason(errno: &str) -> &'static str {
    match errno {
        "EAGAIN" => "temporary failure",
        "EFBIG" => "file too big",
        "EINTR" => "interrupted system call",
        "EIO" => "input/output error",
        "EMFILE" => "process cannot open more files",
        "ENOENT" => "file does not exist",
        "ENFILE" => "system cannot open more files",
        "ENOMEM" => "out of memory",
        "ENOSPC" => "out of disk space",
        "EROFS" => "read-only file system",
        other => panic!("{other} has no text here"),
    }
}

/// Whether faults can be injected here; if not, a line says that the test is skipped.
pub fn needs_strace() -> bool {
    let Some(strace) = needs_program("strace") else {
        return false;
    };
    let traces = finish(Command::new(strace).args(["-qq", "-o", "/dev/null", "true"])).code == 0;
    if !traces {
        skip("strace may not trace");
    }
    traces
}

/// What is injected: calls, and what happens to them in strace's words.
#[derive(Clone, Debug)]
pub struct Injection {
    calls: &'static str,
    what: String,
    paths: Vec<PathBuf>,
    children: bool,
}

impl Injection {
    /// The `calls` fail with `errno`, those that `when` names: `2` is the second of each process, `1+` all from the first on.
    pub fn of(calls: &'static str, errno: &str, when: &str) -> Injection {
        Injection { calls, what: format!("error={errno}:when={when}"), paths: Vec::new(), children: false }
    }

    /// The `calls` are held up for so long before they are made.
    pub fn delay(calls: &'static str, microseconds: u64) -> Injection {
        Injection { calls, what: format!("delay_enter={microseconds}"), paths: Vec::new(), children: false }
    }

    /// Only where they are about this path, as the program names it or in full.
    pub fn on(mut self, path: impl Into<PathBuf>) -> Injection {
        self.paths.push(path.into());
        self
    }

    /// In children of the program, too.
    pub fn with_children(mut self) -> Injection {
        self.children = true;
        self
    }

    fn strace(&self, scratch: &Scratch) -> (Command, PathBuf) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let log = scratch.path(format!(".strace{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let mut command = Command::new("strace");
        command.args(["-qq", "-e", "signal=none", "-o"]).arg(&log);
        command.args(["-e", &format!("trace={}", self.calls), "-e", &format!("inject={}:{}", self.calls, self.what)]);
        command.args(self.children.then_some("-f"));
        for path in &self.paths {
            command.arg("-P").arg(path);
        }
        command.current_dir(scratch.root()).stdin(Stdio::null());
        (command, log)
    }

    /// Into a program that runs. Returns when it is under way.
    #[track_caller]
    pub fn attach(&self, scratch: &Scratch, pid: u32) -> Strace {
        let (mut command, log) = self.strace(scratch);
        let running = start(command.args(["-p", &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()));
        let tracer = format!("\nTracerPid:\t{}\n", running.pid());
        wait_until("strace has attached", || {
            std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains(&tracer))
        });
        Strace { running, log, traced: pid }
    }
}

/// A strace at work.
pub struct Strace {
    pub running: Running,
    log: PathBuf,
    traced: u32,
}

impl Strace {
    /// How many calls were tampered with.
    pub fn injected(&self) -> usize {
        injected(&self.log)
    }

    /// Leaves the program alone, which runs on. Returns how many calls were tampered with.
    ///
    /// It waits for a moment when the program sleeps: strace cannot leave a program that waits for a child which is traced too.
    #[track_caller]
    pub fn detach(mut self) -> usize {
        let mut since = Instant::now();
        wait_until("the program is at rest", || {
            if !sleeps(self.traced) {
                since = Instant::now();
            }
            since.elapsed() > Duration::from_millis(20)
        });
        self.running.signal("TERM");
        let begin = Instant::now();
        wait_until("strace has left", || self.running.ended().is_some() || begin.elapsed() > Duration::from_secs(5));
        drop(self.running);
        // A signal that is being delivered when strace leaves is lost (its detach passes none on). It can only be this one.
        signal(self.traced, "CHLD");
        injected(&self.log)
    }
}

fn injected(log: &Path) -> usize {
    let log = std::fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    log.matches("(INJECTED)").count() + log.matches("(DELAYED)").count()
}

/// Whether a process waits for something to happen, and not for a child that borrows its memory or for strace.
pub fn sleeps(pid: u32) -> bool {
    testkit::state(pid) == Some('S')
}
