//! The copier of `svscan --prefix`: the process that reads the output of one service without a logger, and writes it to the stdout of svscan with
//! `name | ` before each line. svscan treats the copier like a logger: it keeps the pipe, and starts the copier again when it dies.
//!
//! Lines of several services do not mix, since each copier writes under a lock. The lock is on a pipe that only the copiers have: any service
//! that has the stdout of svscan could hold a lock on that. If the stdout of svscan blocks, the copiers wait, and in the end the services wait
//! too; svscan never does.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cli::{Warnings, text};
use machine::Pid;
use sys::process::Signal;
use sys::{environ, fd, sealed, signals};

use super::arguments::VOICE;
use crate::service::COPIER;

/// The text between the name and the line.
const BETWEEN: &[u8] = b" | ";
/// The longest line, in bytes. A longer line is broken, since the copier has to hold a whole line in memory.
const LONGEST: usize = 1 << 20;
/// The number of bytes to read at once: the capacity of a pipe on Linux.
const BATCH: usize = 65_536;

/// The variable that tells a copier that descriptor [`LOCK`] is the lock.
const LOCKED: &str = "UPHOLD_PREFIX_LOCK";
/// The number of the lock's descriptor in a copier.
pub const LOCK: RawFd = 3;

/// Makes a new lock for the copiers of one svscan. Where a pipe cannot be locked, only long lines may mix.
pub fn lock() -> io::Result<OwnedFd> {
    fd::pipe().map(|(_, writer)| writer)
}

/// Returns the environment for the copier of the service `name`. `locked` says whether the copier gets the lock.
pub fn environment(name: &OsStr, locked: bool) -> Vec<CString> {
    let name = Some(name.as_bytes().to_vec());
    environ::changed(&[(COPIER, name), (LOCKED, locked.then(|| b"1".to_vec()))])
}

/// Returns the name of the service if this process is to be a copier, and removes the variable that says so.
pub fn received() -> Option<OsString> {
    environ::take(COPIER)
}

/// Returns whether the child `pid` is a copier, for a state that does not say: a copier stays in the scan directory, a supervise enters its
/// service directory.
pub fn is_copier(pid: Pid) -> bool {
    let place = |path: &str| std::fs::metadata(path).ok().map(|entry| (entry.dev(), entry.ino()));
    let place_of_child = place(&format!("/proc/{}/cwd", pid.0));
    place_of_child.is_some() && place_of_child == place(".")
}

/// Copies stdin to stdout until the end of file. Returns the exit code.
pub fn copy(name: &OsStr) -> anyhow::Result<u8> {
    // A signal that is sent to svscan by its name, as by pkill, reaches the copiers too.
    [Signal::SIGHUP, Signal::SIGUSR2].into_iter().for_each(signals::survive);
    // The copier of a svscan that was killed may still read this pipe. It has to finish the line that it has begun.
    if let Err(error) = fd::wait_for_lock(fd::stdin()) {
        VOICE.warning(&text!("unable to lock the output of ", name), &error);
    }
    // An older svscan gives no lock.
    let lock = environ::take(LOCKED).and_then(|_| sealed::inherit(LOCK).ok());
    let mut copier = Copier { name, lock, lines: Lines::new(name), said: Warnings::new(VOICE) };
    let mut buffer = Vec::with_capacity(BATCH);
    loop {
        match fd::read_onto(fd::stdin(), &mut buffer, BATCH) {
            Ok(0) => break,
            Ok(_) => {
                copier.said.over("read");
                copier.lines.take(&buffer);
                copier.write();
            }
            Err(error) => {
                copier.said.warning("read", text!("unable to read the output of ", name), &error);
                sys::poll::rest();
            }
        }
    }
    copier.lines.end();
    copier.write();
    Ok(0)
}

struct Copier<'a> {
    name: &'a OsStr,
    /// Held while lines are written.
    lock: Option<OwnedFd>,
    lines: Lines,
    said: Warnings,
}

impl Copier<'_> {
    /// Writes the complete lines, without lines of other copiers in between.
    fn write(&mut self) {
        if self.lines.complete.is_empty() {
            return;
        }
        self.lock(true);
        self.write_locked();
        self.lock(false);
        self.lines.written();
    }

    fn lock(&self, lock: bool) {
        // Without the lock only long lines may mix.
        let _ = self.lock.as_ref().map(|file| fd::lock_for_process(file.as_fd(), lock));
    }

    fn write_locked(&mut self) {
        let mut rest = self.lines.complete.as_slice();
        while !rest.is_empty() {
            match fd::write(fd::stdout(), rest) {
                Ok(count) => {
                    self.said.over("write");
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop(fd::set_blocking(fd::stdout())),
                // The service must not wait for a reader that never comes.
                Err(error) if is_for_good(&error) => {
                    let text = text!("unable to write the output of ", self.name, ", dropping it");
                    return self.said.warning("write", text, &error);
                }
                Err(error) => {
                    let text = text!("unable to write the output of ", self.name, ", trying again in a second");
                    self.said.warning("write", text, &error);
                    sys::poll::rest();
                }
            }
        }
    }
}

/// Returns whether an error of a write to stdout is permanent: the pipe has no reader, or the terminal has hung up. For a terminal that has hung
/// up, the kernel no longer says that it is a terminal, so every character device counts.
fn is_for_good(error: &io::Error) -> bool {
    let is_device =
        || File::from(fd::stdout().try_clone_to_owned()?).metadata().map(|file| file.file_type().is_char_device());
    match error.raw_os_error() {
        Some(sys::EIO) => is_device().unwrap_or(false),
        _ => error.kind() == io::ErrorKind::BrokenPipe,
    }
}

/// Joins pieces of output to whole lines.
struct Lines {
    prefix: Vec<u8>,
    /// Whole lines with their prefixes, not written yet.
    complete: Vec<u8>,
    /// The beginning of a line whose end has not been read yet.
    begun: Vec<u8>,
}

impl Lines {
    fn new(name: &OsStr) -> Lines {
        Lines { prefix: [name.as_bytes(), BETWEEN].concat(), complete: Vec::new(), begun: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.finish();
            } else if self.begun.len() >= LONGEST {
                self.end();
            }
        }
    }

    /// Takes `begun` as a whole line.
    fn finish(&mut self) {
        self.complete.extend_from_slice(&self.prefix);
        self.complete.append(&mut self.begun);
    }

    /// Ends the line that has begun, if there is one, with a newline.
    fn end(&mut self) {
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            self.finish();
        }
    }

    /// Forgets the complete lines, which were written, and gives back the memory of an unusually long line.
    fn written(&mut self) {
        self.complete.clear();
        self.complete.shrink_to(2 * BATCH);
        self.begun.shrink_to(BATCH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(pieces: &[&[u8]]) -> Vec<u8> {
        let mut lines = Lines::new(OsStr::new("web"));
        let mut all = Vec::new();
        for piece in pieces {
            lines.take(piece);
            all.extend_from_slice(&lines.complete);
            lines.written();
        }
        lines.end();
        all.extend_from_slice(&lines.complete);
        all
    }

    #[test]
    fn every_line_has_its_prefix_whatever_pieces_it_comes_in() {
        let text = b"one\n\nthree\xff\nlast";
        let expected: &[u8] = b"web | one\nweb | \nweb | three\xff\nweb | last\n";
        assert_eq!(copied(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(copied(&bytes), expected);
        assert_eq!(copied(&[b"a\n"]), b"web | a\n");
        assert_eq!(copied(&[]), b"");
    }

    #[test]
    fn a_long_line_is_one_line_and_only_one_that_is_too_long_is_broken() {
        let long = vec![b'x'; LONGEST - 1];
        let pieces: Vec<&[u8]> = long.chunks(BATCH).chain([&b"\n"[..]]).collect();
        let line = copied(&pieces);
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(line.len(), "web | ".len() + LONGEST);
        let longer = vec![b'x'; LONGEST + 1];
        let pieces: Vec<&[u8]> = longer.chunks(BATCH).collect();
        let lines = copied(&pieces);
        assert_eq!(lines.iter().filter(|&&byte| byte == b'x').count(), LONGEST + 1);
        assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 2);
    }
}
