//! The service: `torture service ./run`, as the kernel calls it for a `run` that begins with `#!`.
//!
//! It is one process from its birth on, so that there is no shell between supervise and what is counted. It locks a file of its
//! own, and reports itself as a violation if another process has that lock: during a replacement there may be two copies, but no
//! third. TERM ends it between two lines; it survives HUP and ALRM. If it has a readiness descriptor it writes to it, and if it
//! has a socket it is its own client. If descriptors are kept for it, it has one kept. If it has a cgroup, it looks whether it is there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sys::process::Signal;
use sys::signals::Signals;
use sys::{fd, poll, sealed};

use super::hooks::{SCRIPT_LOCK, SICK, start_helper};
use super::limits;
use super::line::{Incarnation, Ledger, Line, now};
use super::needs::{self, Readiness};
use super::stored::Parked;

/// The file to which services report violations, relative to the service directory.
pub const VIOLATIONS: &str = "../../violations";
/// The directory of the ledgers of its incarnations, relative to the service directory.
pub const LEDGERS: &str = "ledgers";
/// The report of a service that is one copy too many.
pub const SECOND_COPY: &str = "second copy";
/// The report of a service that is not alone.
pub const BESIDE: &str = "copy beside another";
/// The report of a service that was started while a script runs for which it waits.
pub const BESIDE_SCRIPT: &str = "service beside its script";
/// The files of which each copy holds one.
pub const PLACES: [&str; 2] = ["lock", "lock.second"];
/// The report of a service that cannot be reached on its socket.
pub const UNREACHABLE: &str = "refused";
/// The service's socket, relative to the service directory.
pub const SOCKET: &str = "socket";
/// The descriptor on which a service says that it is ready.
pub const READY: i32 = 9;
/// The report of a service whose log pipe has no reader any more.
pub const BROKEN_PIPE: &str = "broken pipe";

/// Runs until it is told to end.
pub fn main() -> ExitCode {
    match Service::new().and_then(|mut service| service.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "torture service: fatal: {error}");
            ExitCode::from(111)
        }
    }
}

struct Service {
    name: String,
    by: Incarnation,
    number: u64,
    ledger: Ledger,
    signals: Signals,
    socket: Option<UnixListener>,
    parked: Option<Parked>,
    /// Kept open for the lock.
    _lock: File,
}

impl Service {
    fn new() -> io::Result<Service> {
        let signals = Signals::catch(&[Signal::SIGTERM, Signal::SIGHUP, Signal::SIGALRM])?;
        let name = own_name()?;
        let by = Incarnation { pid: std::process::id(), birth: now() };
        let lock = take_place(&name, by)?;
        if fd::try_lock(&fd::open_append(Path::new(SCRIPT_LOCK))?).is_err() {
            tell(&name, by, BESIDE_SCRIPT)?;
        }
        limits::look(&name, by)?;
        let parked = Parked::take(&name, by)?;
        let _ = std::fs::remove_file(SICK);
        start_helper()?;
        let socket = Path::new("sockets").exists().then(|| sealed::inherit(FIRST_SOCKET)).transpose()?;
        let socket = socket.map(UnixListener::from);
        if let Some(socket) = &socket {
            socket.set_nonblocking(true)?;
        }
        let ledger = Ledger::create(&PathBuf::from(LEDGERS).join(by.to_string()))?;
        Ok(Service { name, by, number: 0, ledger, signals, socket, parked, _lock: lock })
    }

    fn run(&mut self) -> io::Result<()> {
        // One in ten is talkative, so that it fills its pipe while its logger is away.
        let burst = if self.name.ends_with('0') { 20 } else { 1 };
        let interval = Duration::from_millis(80 + u64::from(self.by.pid % 40));
        let (readiness, mut is_noted, mut is_said) = (Readiness::of(self.by), false, false);
        // Not closed: a supervise that takes over reads what the one before it has not.
        let ready = Path::new("notification-fd").exists().then(|| sealed::inherit(READY)).transpose()?;
        loop {
            self.serve()?;
            self.parked.as_mut().map_or(Ok(()), Parked::turn)?;
            for _ in 0..burst {
                self.write_line()?;
            }
            let [signalled] = poll::readable([self.signals.fd()], Some(interval.as_nanos() as u64))?;
            if signalled {
                self.signals.drain();
            }
            if let Some(ready) = ready.as_ref().filter(|_| !is_said && readiness.is_due()) {
                if !std::mem::replace(&mut is_noted, true) {
                    needs::note_ready()?;
                }
                // Nobody reads it while supervise is dead, so it is written again.
                is_said = fd::write(ready.as_fd(), b"\n").is_ok();
            }
            if self.signals.arrived(Signal::SIGTERM) {
                return self.ledger.end();
            }
        }
    }

    /// Connects to itself, or to another copy with the same socket, and accepts connections.
    fn serve(&self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        if UnixStream::connect(SOCKET).is_err() {
            tell(&self.name, self.by, UNREACHABLE)?;
        }
        while socket.accept().is_ok() {}
        Ok(())
    }

    fn write_line(&mut self) -> io::Result<()> {
        self.number += 1;
        let line = Line { by: self.by, number: self.number, written: now() };
        self.ledger.begin(self.number)?;
        // Shorter than PIPE_BUF, so the kernel takes all of it or nothing.
        let text = line.text(&self.name);
        match fd::write(fd::stdout(), text.as_bytes()) {
            Ok(count) if count == text.len() => Ok(()),
            Ok(_) => Err(io::Error::other("a line was taken in part")),
            Err(error) => {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    tell(&self.name, self.by, BROKEN_PIPE)?;
                }
                Err(error)
            }
        }
    }
}

/// The descriptor of the only socket.
const FIRST_SOCKET: i32 = 3;

/// Takes one of two places: there are two, since one copy may be there to replace another.
fn take_place(name: &str, by: Incarnation) -> io::Result<File> {
    let [first, second] = PLACES.map(|place| fd::open_append(Path::new(place)));
    let [first, second] = [first?, second?];
    match (fd::try_lock(&first), fd::try_lock(&second)) {
        (Ok(()), Ok(())) => Ok(first),
        (Ok(()), Err(_)) => tell(name, by, BESIDE).and(Ok(first)),
        (Err(_), Ok(())) => tell(name, by, BESIDE).and(Ok(second)),
        (Err(_), Err(_)) => tell(name, by, SECOND_COPY).and(Ok(first)),
    }
}

/// The name of the service in whose directory this process is.
pub fn own_name() -> io::Result<String> {
    Ok(std::env::current_dir()?.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Appends to the violations.
pub fn tell(name: &str, by: Incarnation, what: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(VIOLATIONS)?;
    file.write_all(format!("{name} {what}: {by}\n").as_bytes())
}
