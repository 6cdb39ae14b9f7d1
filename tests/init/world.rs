//! An init, and what a test can see of it from outside.

use std::fs;
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, children, is_root, needs_program, start, wait_for, wait_until};

/// A `run` that lives until a signal ends it.
pub const MORTAL: &str = "exec sleep 100000";

/// A grace that no test can wait for: what ends before it ended by itself.
pub const FOREVER: &str = "100000";

/// A svscan that was started as an init in the scan directory `scan`, perhaps as process 1 of a namespace.
pub struct Init<'a> {
    scratch: &'a Scratch,
    /// svscan, or the program that made the namespace and passes on its exit code.
    running: Running,
    /// svscan, or `GONE`.
    pid: u32,
}

/// What is no pid: that of a process 1 that had ended before it could be seen.
const GONE: u32 = 0;

impl<'a> Init<'a> {
    /// Process 1 if this test may make namespaces. Options besides `--init`, which process 1 needs not be told.
    pub fn start(scratch: &'a Scratch, options: &[&str]) -> Init<'a> {
        let namespaces = is_root() && needs_program("unshare").is_some();
        Init::start_as(scratch, namespaces, options)
    }

    /// No process 1.
    pub fn told(scratch: &'a Scratch, options: &[&str]) -> Init<'a> {
        Init::start_as(scratch, false, options)
    }

    fn start_as(scratch: &'a Scratch, first: bool, options: &[&str]) -> Init<'a> {
        let svscan = scratch.suite().path("svscan");
        let mut command = if first {
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(svscan);
            unshare
        } else {
            let mut command = Command::new(svscan);
            command.arg("--init");
            command
        };
        let file = |name: &str| fs::File::options().create(true).append(true).open(scratch.path(name)).expect("a file");
        command.args(options).arg("scan").env("PATH", scratch.suite().search_path()).current_dir(scratch.root());
        command.stdin(Stdio::null()).stdout(file("svscan.out")).stderr(file("svscan.err"));
        let mut running = start(&mut command);
        let pid = match first {
            // One that ends with a service may have done so.
            true => wait_for("process 1", || child(running.pid()).or_else(|| running.ended().map(|_| GONE))),
            false => running.pid(),
        };
        Init { scratch, running, pid }
    }

    /// Its pid, outside.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until svscan hears signals: as process 1 it would not get them before that.
    #[track_caller]
    pub fn wait_ready(&self) {
        wait_until("svscan catches TERM", || catches_term(self.pid));
    }

    /// Waits until the services are up.
    #[track_caller]
    pub fn wait_up(&self, services: &[&str]) {
        for service in services {
            wait_until(&format!("{service} is up"), || self.is_up(service));
        }
    }

    /// Waits until so many supervises are left, and svscan knows that.
    #[track_caller]
    pub fn wait_left(&self, count: usize) {
        wait_until(&format!("{count} supervises are left"), || children(self.pid).len() == count);
    }

    /// Whether the service is up.
    pub fn is_up(&self, service: &str) -> bool {
        self.scratch.run("svstat", &[&format!("scan/{service}")]).out().contains(": up ")
    }

    /// Waits for a file in a service directory to have as many lines.
    #[track_caller]
    pub fn wait_lines(&self, file: &str, count: usize) {
        wait_until(&format!("{file} has {count} lines"), || lines(self.scratch, file).len() >= count);
    }

    pub fn svc(&self, letters: &str, service: &str) -> Finished {
        self.scratch.run("svc", &[letters, &format!("scan/{service}")])
    }

    pub fn signal(&self, name: &str) {
        testkit::signal(self.pid, name);
    }

    /// TERM, and the exit code.
    #[track_caller]
    pub fn stop(mut self) -> i32 {
        self.wait_ready();
        self.signal("TERM");
        self.end()
    }

    /// KILL, which leaves all services behind.
    #[track_caller]
    pub fn kill(mut self) {
        self.signal("KILL");
        assert_eq!(self.running.end(), 1009);
    }

    /// Waits for its end, and that nothing is left behind.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let code = self.running.end();
        let left = self.scratch.processes();
        wait_until("nothing is left behind", || self.scratch.processes().is_empty());
        assert!(left.is_empty(), "left behind for a moment: {left:?}");
        code
    }

    pub fn err(&self) -> String {
        self.scratch.text("svscan.err")
    }
}

/// Lines of a file below the scratch directory.
pub fn lines(scratch: &Scratch, file: &str) -> Vec<String> {
    scratch.text(file).lines().map(Into::into).collect()
}

/// The only child of a process.
pub fn child(parent: u32) -> Option<u32> {
    children(parent).first().copied()
}

/// Whether a process has taken TERM for itself.
pub fn catches_term(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & 1 << (15 - 1) != 0
}
