//! The service: `torture service ./run`, as the kernel calls it for a `run` that begins with `#!`.
//!
//! One process from its birth on, so that no shell stands between supervise and what is counted. It locks a file of its own, and
//! tells on itself when another has that lock. TERM ends it between two lines; HUP and ALRM it survives.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sys::process::Signal;
use sys::signals::Signals;
use sys::{fd, poll};

use super::line::{Incarnation, Ledger, Line, now};

/// Relative to the service directory: where services tell of violations.
pub const VIOLATIONS: &str = "../../violations";
/// Relative to the service directory: the ledgers of its incarnations.
pub const LEDGERS: &str = "ledgers";
/// What a service that is not alone says.
pub const SECOND_COPY: &str = "second copy";
/// What a service says whose log pipe nobody reads any more.
pub const BROKEN_PIPE: &str = "broken pipe";

/// Until it is told to end.
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
    /// Held.
    _lock: File,
}

impl Service {
    fn new() -> io::Result<Service> {
        let signals = Signals::catch(&[Signal::SIGTERM, Signal::SIGHUP, Signal::SIGALRM])?;
        let directory = std::env::current_dir()?;
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let by = Incarnation { pid: std::process::id(), birth: now() };
        let lock = fd::open_append(Path::new("lock"))?;
        if fd::try_lock(&lock).is_err() {
            tell(&name, by, SECOND_COPY)?;
        }
        let ledger = Ledger::create(&PathBuf::from(LEDGERS).join(by.to_string()))?;
        Ok(Service { name, by, number: 0, ledger, signals, _lock: lock })
    }

    fn run(&mut self) -> io::Result<()> {
        // One in ten is talkative, so that it fills its pipe while its logger is away.
        let burst = if self.name.ends_with('0') { 20 } else { 1 };
        let interval = Duration::from_millis(80 + u64::from(self.by.pid % 40));
        loop {
            for _ in 0..burst {
                self.write_line()?;
            }
            let [signalled] = poll::readable([self.signals.fd()], Some(interval.as_nanos() as u64))?;
            if signalled {
                self.signals.drain();
            }
            if self.signals.arrived(Signal::SIGTERM) {
                return self.ledger.end();
            }
        }
    }

    fn write_line(&mut self) -> io::Result<()> {
        self.number += 1;
        let line = Line { by: self.by, number: self.number, written: now() };
        self.ledger.begin(self.number)?;
        // Shorter than PIPE_BUF: the kernel takes all of it or nothing.
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

/// Appends to the violations.
fn tell(name: &str, by: Incarnation, what: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(VIOLATIONS)?;
    file.write_all(format!("{name} {what}: pid {}\n", by.pid).as_bytes())
}
