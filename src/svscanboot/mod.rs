//! `svscanboot [dir]`: init or rc starts it at boot. It keeps `svscan --init dir 2>&1 | readproctitle service errors: ...` running,
//! with nothing in the environment but PATH. When one of the two dies, it starts that again, while the services run on. TERM to
//! svscanboot is the orderly stop of all services.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, Program, text};
use machine::{SECOND, Tick};
use svdir::names;
use sys::exec::c_string;
use sys::process::{self, Change, Pid, Signal};
use sys::signals::{self, Signals};
use sys::{environ, fd, identity, locks};

use crate::service::holder::Servers;
use crate::service::log_pipe::LogPipe;
use crate::service::processes::kill_descendants;
use crate::service::programs::Peers;
use crate::service::running::RunningSupervise;
use crate::service::{STOP, scan_dir, tick};

const PROGRAM: Program = Program {
    name: "svscanboot",
    synopsis: "[dir]",
    usage: "svscanboot: usage: svscanboot [dir]",
    usage_exit: cli::USAGE,
    about: "Keeps svscan running from boot to shutdown, with the errors of everything below it in the process title.",
    options: &[(
        "dir",
        "the scan directory; else $SVSCAN_DIR, else $SVDIR, else for root /service (/etc/service if only that exists), for others service in $XDG_CONFIG_HOME or ~/.config",
    )],
};

/// Where programs are looked for, as the original sets it.
const PATH: &str = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";
/// How many bytes of errors stay visible.
const TITLE: usize = 400;
/// The variable in which sysvinit passes the runlevel: 0 is a halt, 6 a reboot.
const RUNLEVEL: &str = "RUNLEVEL";

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let (dir, peers) = (scan_directory(call), Peers::of(call));
    let going_down = std::env::var_os(RUNLEVEL).is_some_and(|level| level == "0" || level == "6");
    // The messages of this program itself are lost from here on, as in the original: there is nobody to read them yet.
    let null =
        File::options().read(true).write(true).open("/dev/null").with_context(|| text!("unable to open /dev/null"))?;
    for standard in 0..=2 {
        fd::place(null.as_fd(), standard).with_context(|| text!("unable to set up descriptors"))?;
    }
    environ::set("PATH", OsStr::new(PATH));
    let caught = [Signal::SIGCHLD].into_iter().chain(STOP).collect::<Vec<_>>();
    let signals = Signals::catch(&caught).with_context(|| text!("unable to create pipe"))?;
    // A shell that starts this in the background ignores QUIT; if services inherited that, `svc -q` would do nothing.
    signals::hand_on_none();
    if going_down {
        return Ok(wait_for_stop(&signals));
    }
    // When a svscan dies, its children become children of this process.
    process::adopt_orphans(true);
    end_leftovers(&peers, &dir).with_context(|| text!("unable to fork"))?;
    end_orphan(&dir);
    let (reader, writer) = fd::pipe().with_context(|| text!("unable to create pipe"))?;
    let mut boot = Boot {
        // If this fails, `uphold boot` cannot find this process while no svscan runs.
        directory: fd::open_read(&dir).ok(),
        dir,
        peers,
        signals,
        reader,
        writer,
        svscan: Keep::default(),
        title: Keep::default(),
        stopping: false,
        untold: false,
    };
    loop {
        boot.start();
        boot.wait();
        if boot.hear() {
            kill_descendants();
            return Ok(0);
        }
    }
}

/// Starts nothing, and only waits for TERM or INT: after everything was stopped for a shutdown, init starts svscanboot
/// again, as its line in inittab says.
fn wait_for_stop(signals: &Signals) -> u8 {
    while !stop_came(signals) {
        if sys::poll::readable([signals.fd()], signals.timeout(None)).is_err() {
            sys::poll::rest();
        }
        signals.drain();
    }
    0
}

/// Returns whether TERM or INT came. Asks for both, so that neither is reported again later.
fn stop_came(signals: &Signals) -> bool {
    STOP.map(|signal| signals.arrived(signal)) != [false; 2]
}

/// A program that is started again when it dies, at most once a second.
#[derive(Default)]
struct Keep {
    pid: Option<Pid>,
    /// The time before which it is not started.
    next: Tick,
}

impl Keep {
    fn is_due(&self) -> bool {
        self.pid.is_none() && self.next <= tick()
    }

    fn started(&mut self, pid: io::Result<Pid>) {
        self.next = tick().after(SECOND);
        // If no process can be made now, it is tried again in a second.
        self.pid = pid.ok();
    }
}

struct Boot {
    dir: PathBuf,
    /// The scan directory. While svscan does not run, it has the mark of this process, by which `uphold boot` finds it.
    directory: Option<File>,
    peers: Peers,
    signals: Signals,
    /// Both ends of the pipe to readproctitle, to which svscan writes, and all services without a logger. Both are held open, so that neither
    /// side sees the other die.
    reader: OwnedFd,
    writer: OwnedFd,
    svscan: Keep,
    title: Keep,
    /// TERM or INT came.
    stopping: bool,
    /// TERM or INT came, and svscan was not told yet.
    untold: bool,
}

impl Boot {
    /// Starts what does not run and is due.
    fn start(&mut self) {
        if self.title.is_due() && !self.stopping {
            let dots = OsString::from(".".repeat(TITLE));
            let words: [&OsStr; 3] = ["service".as_ref(), "errors:".as_ref(), &dots];
            self.title.started(spawn(&self.peers, "readproctitle", &words, &[(self.reader.as_fd(), 0)]));
        }
        // This is done during a stop too: if svscan dies, the services still have to be stopped.
        if self.svscan.is_due() {
            let words: [&OsStr; 3] = ["--init".as_ref(), "--".as_ref(), self.dir.as_os_str()];
            let output = [(self.writer.as_fd(), 1), (self.writer.as_fd(), 2)];
            self.mark(false);
            self.svscan.started(spawn(&self.peers, "svscan", &words, &output));
            self.untold = self.stopping;
        }
        if let Some(pid) = self.svscan.pid.filter(|_| self.untold) {
            // This fails if svscan has ended, which SIGCHLD will report.
            let _ = process::kill(pid, Signal::SIGTERM);
            self.untold = false;
        }
    }

    fn mark(&self, set: bool) {
        if let Some(directory) = &self.directory {
            let _ = locks::mark(directory.as_fd(), set);
        }
    }

    /// Sleeps until something happens.
    fn wait(&self) {
        let title = self.title.pid.is_none().then_some(self.title.next).filter(|_| !self.stopping);
        let svscan = self.svscan.pid.is_none().then_some(self.svscan.next);
        let deadline = title.into_iter().chain(svscan).min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        if sys::poll::readable([self.signals.fd()], timeout).is_err() {
            sys::poll::rest();
        }
    }

    /// Takes in signals and deaths. Returns whether everything is stopped.
    fn hear(&mut self) -> bool {
        self.signals.drain();
        if stop_came(&self.signals) {
            (self.stopping, self.untold) = (true, true);
        }
        while let Some((pid, change)) = process::reap() {
            if matches!(change, Change::Stopped | Change::Continued) {
                continue;
            }
            if self.title.pid == Some(pid) {
                self.title.pid = None;
            }
            if self.svscan.pid == Some(pid) {
                self.svscan.pid = None;
                self.mark(true);
                // A svscan that was killed has not stopped its services.
                if self.stopping && matches!(change, Change::Exited(_)) {
                    return true;
                }
            }
        }
        false
    }
}

fn scan_directory(call: &Call) -> PathBuf {
    if let Some(dir) = call.words().first() {
        return dir.into();
    }
    if let Some(dir) = std::env::var_os("SVSCAN_DIR").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    scan_dir::directory().unwrap_or_else(|| scan_dir::of_system(Path::is_dir))
}

/// Runs `svc -dx` for services of an earlier run that a new svscan cannot take over: if the log pipe cannot be found again, the
/// service would write to a pipe that nobody reads.
fn end_leftovers(peers: &Peers, dir: &Path) -> io::Result<()> {
    let mut services: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path) && is_lost(path))
        .collect();
    if services.is_empty() {
        return Ok(());
    }
    services.sort();
    let logs: Vec<PathBuf> = services.iter().map(|service| service.join(names::LOG)).collect();
    let mut words: Vec<&OsStr> = vec!["-dx".as_ref()];
    words.extend(services.iter().chain(&logs).map(|path| path.as_os_str()));
    let svc = spawn_with(peers, "svc", &words, None, || Ok(()))?;
    process::wait(svc).map(drop)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Returns whether a supervise runs for the service or its logger, but the pipe between the two cannot be found.
fn is_lost(service: &Path) -> bool {
    let log = service.join(names::LOG);
    let runs = |dir: &Path| RunningSupervise::find(dir).is_ok_and(|other| other.is_some());
    log.is_dir() && (runs(service) || runs(&log)) && LogPipe::recover(service).is_none()
}

/// Ends a svscan whose svscanboot was killed: it would keep the new one out, and nothing would tell it to stop. Uses KILL, so that the
/// services run on.
fn end_orphan(dir: &Path) {
    let parent = process::own_parent();
    let servers = Servers::of(dir).unwrap_or_default();
    for (pid, _) in servers.scans.into_iter().filter(|&(_, adopter)| adopter.as_raw() == 1 || adopter == parent) {
        let _ = process::kill(pid, Signal::SIGKILL);
        let _ = sys::adopted::wait_for_end(pid, None);
    }
}

/// Starts a program of the suite in a session of its own, with nothing in its environment but PATH. init sends TERM to the whole process
/// group, and only svscanboot is to get it.
fn spawn(peers: &Peers, name: &str, words: &[&OsStr], fds: &[(BorrowedFd<'_>, RawFd)]) -> io::Result<Pid> {
    let environment = [c_string(OsStr::new(&format!("PATH={PATH}")))];
    spawn_with(peers, name, words, Some(&environment), || {
        identity::new_session()?;
        fds.iter().try_for_each(|&(from, to)| fd::place(from, to))?;
        // svscan unblocks these signals when it has its handlers. Before that they would kill it.
        if name == "svscan" {
            signals::block(&STOP)?;
        }
        Ok(())
    })
}

fn spawn_with(
    peers: &Peers,
    name: &str,
    words: &[&OsStr],
    environment: Option<&[CString]>,
    mut prepare: impl FnMut() -> io::Result<()>,
) -> io::Result<Pid> {
    let program = peers.program(name, words);
    let mut exec = program.prepare(environment);
    let become_program = || -> Option<Infallible> {
        if prepare().is_ok() {
            drop(exec());
        }
        None
    };
    process::spawn(become_program, drop)
}
