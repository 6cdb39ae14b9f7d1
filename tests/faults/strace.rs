//! strace, which makes system calls fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use testkit::{Running, Scratch, finish, needs_program, skip, start, wait_until};

/// The system calls that start a process, whichever the C library uses; strace passes over a name that it does not know.
pub const FORK: &str = "?fork,?vfork,?clone,?clone3";
pub const EXEC: &str = "execve";
pub const OPEN: &str = "?open,?openat";
pub const PIPE: &str = "?pipe,?pipe2";
pub const WRITE: &str = "write";
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
        "EINTR" => "interrupted system call",
        "EIO" => "input/output error",
        "EMFILE" => "process cannot open more files",
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
        Strace { running, log }
    }

    /// Into a program of the suite from its start on; its stderr goes to the file `NAME.err`.
    #[track_caller]
    pub fn start(&self, scratch: &Scratch, name: &str, program: &str, words: &[&str]) -> Strace {
        let (mut command, log) = self.strace(scratch);
        let said = scratch.path(format!("{name}.err"));
        let said = std::fs::OpenOptions::new().create(true).append(true).open(said).expect("a file");
        command.arg(scratch.suite().path(program)).args(words).env("PATH", scratch.suite().search_path());
        command.env_remove("UPHOLD_LOG").stdout(Stdio::null()).stderr(said);
        Strace { running: start(&mut command), log }
    }
}

/// A strace at work.
pub struct Strace {
    pub running: Running,
    log: PathBuf,
}

impl Strace {
    /// How many calls were tampered with.
    pub fn injected(&self) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches("INJECTED").count()
            + String::from_utf8_lossy(&log).matches("DELAYED").count()
    }

    /// Leaves the program alone, which runs on. Returns how many calls were tampered with.
    #[track_caller]
    pub fn detach(mut self) -> usize {
        self.running.signal("TERM");
        self.running.end();
        self.injected()
    }
}

/// Runs `check` for each case, some at a time, and then tells which of them failed.
pub fn for_each<T: Sync + std::fmt::Debug>(cases: &[T], check: impl Fn(&T) + Sync) {
    const AT_A_TIME: usize = 12;
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                        failed.lock().expect("nobody panics with it").push(format!("{case:?}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics with it");
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
