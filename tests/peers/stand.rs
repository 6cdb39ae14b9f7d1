//! A service directory `web` and what supervises it: a peer, or ours.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, Suite, finish, lives, needs_program, signal, start, wait_for, wait_until};

/// A suite whose service directories are run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Runit,
    S6,
}

use Peer::{Runit, S6};

impl Peer {
    fn supervisor(self) -> &'static str {
        match self {
            Runit => "runsv",
            S6 => "s6-supervise",
        }
    }

    fn scanner(self) -> &'static str {
        match self {
            Runit => "runsvdir",
            S6 => "s6-svscan",
        }
    }
}

/// Who supervises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Peer(Peer),
    Ours,
}

/// Runs `test` on the peer, which proves it, and on ours.
pub fn both(peer: Peer, test: impl Fn(Stand) + Sync) {
    if needs_program(peer.supervisor()).is_some() {
        testkit::for_each(&[Who::Peer(peer), Who::Ours], |&who| test(Stand::new(peer, who)));
    }
}

/// Runs `test` with the directories of either suite, on that peer and on ours.
pub fn all(test: impl Fn(Stand) + Sync) {
    both(Runit, &test);
    both(S6, &test);
}

/// What the status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The process that executes `run`, if it is up.
    pub run: Option<u32>,
    /// Whether it is started again when it ends.
    pub wanted: bool,
}

/// The service directory.
pub struct Stand {
    pub scratch: Scratch,
    peer: Peer,
    who: Who,
    supervisor: Option<Running>,
}

impl Stand {
    fn new(peer: Peer, who: Who) -> Stand {
        let stand = Stand { scratch: Scratch::with(ours()), peer, who, supervisor: None };
        stand.scratch.mkdir("web");
        stand
    }

    /// Whether ours supervises.
    pub fn is_ours(&self) -> bool {
        self.who == Who::Ours
    }

    /// Writes an executable shell script.
    pub fn script(&self, name: &str, body: &str) {
        self.scratch.script(Path::new("web").join(name), body);
    }

    /// Replaces a file in one step, since it may be read at any moment.
    pub fn put(&self, name: &str, contents: &str) {
        let new = self.scratch.write("new", contents);
        fs::rename(new, self.path(name)).expect("a file of ours");
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it is there");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path("web").join(name)
    }

    /// What a file holds; nothing if it is not there.
    pub fn text(&self, name: &str) -> String {
        self.scratch.text(Path::new("web").join(name))
    }

    /// How many lines a file has.
    pub fn count(&self, name: &str) -> usize {
        self.text(name).lines().count()
    }

    #[track_caller]
    pub fn wait_text(&self, name: &str, expected: &str) {
        wait_until(&format!("{name} is {expected:?}, not {:?}", self.text(name)), || self.text(name) == expected);
    }

    #[track_caller]
    pub fn wait_count(&self, name: &str, count: usize) {
        wait_until(&format!("{count} lines in {name}, not {:?}", self.text(name)), || self.count(name) >= count);
    }

    /// A client or a supervisor, in the directory above the service directory; it finds the programs of the peer and, in front of them, those of ours where these
    /// supervise.
    fn command(&self, program: &Path) -> Command {
        let mut path = OsString::new();
        if self.is_ours() {
            path.push(self.scratch.suite().directory());
            path.push(":");
        }
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command.current_dir(self.scratch.root()).env("PATH", path).env_remove("SVDIR").env_remove("UPHOLD_LOG");
        command
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.scratch.path(name)).expect("a file")
    }

    /// Starts the program that the peer calls so, or ours in its place.
    fn launch(&mut self, [of_peer, of_ours]: [&str; 2], directory: &str) {
        let program = match self.who {
            Who::Peer(_) => PathBuf::from(of_peer),
            Who::Ours => self.scratch.suite().path(of_ours),
        };
        let mut command = self.command(&program);
        command.arg(directory).stdin(Stdio::null()).stdout(self.append("out")).stderr(self.append("err"));
        self.supervisor = Some(start(&mut command));
        wait_until("a supervisor reads commands", || self.control().is_some());
    }

    /// Supervises it, without a logger.
    pub fn supervise(&mut self) {
        self.launch([self.peer.supervisor(), "supervise"], "web");
    }

    /// The same, by value.
    pub fn supervised(mut self) -> Stand {
        self.supervise();
        self
    }

    /// Supervises it and its `log`.
    pub fn scanned(mut self) -> Stand {
        self.scratch.mkdir("scan");
        symlink("../web", self.scratch.path("scan/web")).expect("a link");
        self.launch([self.peer.scanner(), "svscan"], "scan");
        self
    }

    /// The supervisor, or whatever scans.
    pub fn supervisor(&mut self) -> &mut Running {
        self.supervisor.as_mut().expect("it was started")
    }

    fn control(&self) -> Option<File> {
        let control = sys::fd::open_write(&self.path("supervise/control")).ok()?;
        sys::fd::set_blocking(control.as_fd()).expect("a FIFO");
        Some(control)
    }

    /// Writes letters to the control FIFO, where they mean the same to all.
    #[track_caller]
    pub fn send(&self, letters: &str) {
        self.control().expect("it is supervised").write_all(letters.as_bytes()).expect("it is read");
    }

    /// Runs a client of the peer, whoever supervises, with these words.
    #[track_caller]
    pub fn client(&self, program: &str, words: &[&str]) -> Finished {
        // Not one of ours that has the same name, and may be first on the PATH that it gets.
        let program = needs_program(program).expect("its supervisor is there");
        finish(self.command(&program).args(words))
    }

    /// Runs a client of ours.
    #[track_caller]
    pub fn our_client(&self, program: &str, words: &[&str]) -> Finished {
        finish(self.command(&self.scratch.suite().path(program)).args(words))
    }

    /// What the status says. That of s6 has a format of its own.
    pub fn view(&self) -> View {
        if self.who == Who::Peer(S6) {
            return wait_for("s6-svstat says something", || {
                let shown = self.client("s6-svstat", &["-o", "up,wantedup,pid", "web"]).out();
                match shown.split_whitespace().collect::<Vec<_>>()[..] {
                    ["true", wanted, pid] => Some(View { run: pid.parse().ok(), wanted: wanted == "true" }),
                    ["false", wanted, _] => Some(View { run: None, wanted: wanted == "true" }),
                    _ => None,
                }
            });
        }
        let whole = || Some(self.scratch.read("web/supervise/status")).filter(|status| status.len() == 20);
        let status = wait_for("a whole status", whole);
        let pid = u32::from_le_bytes(status[12..16].try_into().expect("four bytes"));
        View { run: (status[19] == 1).then_some(pid), wanted: status[17] == b'u' }
    }

    #[track_caller]
    pub fn wait_view(&self, what: &str, expected: impl Fn(View) -> bool) -> View {
        wait_for(&format!("{what}, not {:?}", self.view()), || Some(self.view()).filter(|&view| expected(view)))
    }

    /// Waits until it is up, and returns the pid.
    #[track_caller]
    pub fn wait_up(&self) -> u32 {
        wait_for("it is up", || self.view().run)
    }

    /// Waits until another process than `old` is up, and returns its pid.
    #[track_caller]
    pub fn wait_restart(&self, old: u32) -> u32 {
        wait_for("another is up", || self.view().run.filter(|&pid| pid != old))
    }

    /// Waits until it is down and will not be started.
    #[track_caller]
    pub fn wait_down(&self) {
        self.wait_view("it is down for good", |view| view.run.is_none() && !view.wanted);
    }

    /// Kills by KILL the process that has added the line number `start` to `starts`, and returns what its pid was.
    #[track_caller]
    pub fn kill_run(&self, start: usize) -> u32 {
        self.wait_count("starts", start);
        let pid = self.wait_up();
        signal(pid, "KILL");
        wait_until("it is dead", || !lives(pid));
        pid
    }

    /// Checks for longer than a restart takes that `run` is not started again: the number of lines in `starts` stays.
    #[track_caller]
    pub fn stays(&self, starts: usize) {
        let period = std::time::Duration::from_millis(2200);
        testkit::holds_for(period, "it is not started again", || self.count("starts") == starts);
    }
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.who)
    }
}

/// uphold, even where the original is under test.
fn ours() -> Suite {
    let suite = Suite::under_test();
    if suite.is_original() { Suite::ours() } else { suite }
}
