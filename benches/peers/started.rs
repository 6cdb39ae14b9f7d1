//! The FIFO to which every service writes when it runs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The interval at which records are read. They contain their time, so nothing needs to run meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// The start of one service.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub pid: i32,
    /// The time, on the monotonic clock in nanoseconds.
    pub at: u64,
}

/// The FIFO.
pub struct Started {
    pub path: PathBuf,
    fifo: File,
}

impl Started {
    /// Makes one.
    pub fn make(path: &Path) -> Result<Started> {
        let fail = || format!("unable to make {}", path.display());
        nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o666)).with_context(fail)?;
        // Opened for reading and writing, so that there is no end of file.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let fifo = options.open(path).with_context(fail)?;
        // A large pipe, so that no service has to wait for this process. Not every user may have one.
        let _ = fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(1 << 20));
        Ok(Started { path: path.to_owned(), fifo })
    }

    /// Reads the records that have come.
    pub fn read(&mut self) -> Result<Vec<Start>> {
        let mut bytes = vec![0; 65_536];
        let mut starts = Vec::new();
        loop {
            match self.fifo.read(&mut bytes) {
                Ok(count) => starts.extend(bytes[..count].chunks_exact(16).map(record)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(starts),
                Err(error) => return Err(error).context("unable to read what the services say"),
            }
        }
    }

    /// Waits for `count` more.
    pub fn wait(&mut self, count: usize) -> Result<Vec<Start>> {
        let begin = Instant::now();
        let mut starts = self.read()?;
        while starts.len() < count {
            ensure!(begin.elapsed() < DEADLINE, "{} of {count} services started in {DEADLINE:?}", starts.len());
            thread::sleep(LOOK);
            starts.extend(self.read()?);
        }
        Ok(starts)
    }

    /// Waits for the next one and returns the milliseconds from `begin` to it.
    pub fn next_after(&mut self, begin: u64) -> Result<f64> {
        let starts = self.wait(1)?;
        ensure!(starts.len() == 1, "{} starts where one was to be", starts.len());
        Ok(milliseconds(begin, starts[0].at))
    }
}

fn record(bytes: &[u8]) -> Start {
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|place| bytes[at + place]));
    Start { pid: word(0) as i32, at: word(8) }
}

/// The milliseconds between two times of the monotonic clock.
pub fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}
