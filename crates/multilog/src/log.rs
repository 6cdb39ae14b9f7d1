//! A log: it writes to the `current` of a directory, finishes that when it is full, and handles failures.
//!
//! A file never becomes longer than the size limit. It is finished at the first line end in its last bytes, the margin; a line
//! that does not fit goes on in the next file. One that has become too old is finished at its next line end.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use memchr::memchr;

use crate::age::Age;
use crate::patience::{GivenUp, Level, Line, Patience};

/// How many bytes are collected before they are written: the capacity of a pipe.
const BUFFER: usize = 65_536;
/// A piece of at least this many bytes is written directly, without being copied to the buffer.
const LARGE: usize = 16_384;

/// The file `current` of a log directory, as a program of the family keeps it.
pub(crate) trait Current {
    /// The open file.
    fn file(&self) -> &File;
    /// The length of the file in bytes.
    fn written(&self) -> u64;
    /// Notes that so many bytes more were written.
    fn note(&mut self, count: u64);
    /// What is said when a write fails.
    fn unable_to_write(&self) -> Vec<u8>;
    /// What is said at the end of a log of which something was given up: so many bytes, or a rotation.
    fn given_up(&self, lost: Option<u64>) -> Vec<u8>;
    /// Finishes `current` and begins a new one. If that is given up, the file that is `current` by then can still be written to.
    fn rotate(&mut self, patience: &mut Patience) -> Result<(), GivenUp>;
    /// Writes the file to disk and marks it as complete.
    fn complete(&mut self, patience: &mut Patience) -> Result<(), GivenUp>;
    /// Makes room on a full disk. Returns whether there may be some.
    fn make_room(&self) -> bool {
        false
    }
}

/// When a file is finished.
pub(crate) struct Limits {
    /// How many bytes it has at most.
    pub size: u64,
    /// A line end in this many last bytes finishes it. If it never has as many, no line end does.
    pub margin: u64,
    /// How old it may become.
    pub age: Age,
}

/// Whether a log still works after a TERM during a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// Nothing was given up.
    Sound,
    /// A rotation was given up: nothing is lost, and the next start completes it. There is no further rotation.
    Unrotated,
    /// A write was given up, and this many bytes are lost.
    Lost(u64),
}

/// An open log.
pub(crate) struct Log<C> {
    current: C,
    size: u64,
    margin: u64,
    age: Age,
    /// Whether a line has begun that is not complete in the file.
    in_line: bool,
    buffer: Vec<u8>,
    health: Health,
}

impl<C: Current> Log<C> {
    /// Makes the log of an open `current`.
    pub fn new(current: C, limits: Limits) -> Log<C> {
        let Limits { size, margin, age } = limits;
        Log { current, size, margin, age, in_line: false, buffer: Vec::with_capacity(BUFFER), health: Health::Sound }
    }

    /// The file, and what belongs to it.
    pub fn current(&mut self) -> &mut C {
        &mut self.current
    }

    /// Returns whether the buffer has room for this many bytes.
    pub fn has_room(&self, count: usize) -> bool {
        count < LARGE && self.buffer.len() + count <= BUFFER
    }

    /// How many bytes the log can take before a line end finishes its file.
    pub fn room(&self) -> u64 {
        match self.health {
            Health::Sound => self.closing().saturating_sub(self.current.written() + self.buffer.len() as u64),
            Health::Unrotated | Health::Lost(_) => u64::MAX,
        }
    }

    /// Takes `bytes`. They are written with the next [`flush`](Log::flush), or at once if the buffer has no room.
    pub fn put(&mut self, bytes: &[u8], patience: &mut Patience) {
        if self.has_room(bytes.len()) {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.flush(patience);
            self.write(bytes, patience);
        }
    }

    /// Writes what is in the buffer.
    pub fn flush(&mut self, patience: &mut Patience) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer, patience);
        buffer.clear();
        self.buffer = buffer;
    }

    /// The length from which on a line end finishes the file.
    fn closing(&self) -> u64 {
        if self.age.is_over() { 0 } else { self.size.checked_sub(self.margin).unwrap_or(u64::MAX) }
    }

    /// When the file is too old, by the monotonic clock, if nothing is written before.
    pub fn due(&self) -> Option<u64> {
        self.age.due().filter(|_| self.health == Health::Sound)
    }

    /// Begins a new file if the current one is too old by `now`: at once, or at the end of the line that has begun.
    pub fn expire(&mut self, now: u64, patience: &mut Patience) {
        self.flush(patience);
        if self.age.pass(now) && !self.in_line {
            self.try_rotate(patience);
        }
    }

    /// Begins a new file, unless the current one is empty.
    pub fn rotate_if_any(&mut self, patience: &mut Patience) {
        self.flush(patience);
        if self.current.written() > 0 {
            self.try_rotate(patience);
        }
    }

    /// Writes the rest and marks the file as complete. Returns what is left of it, and whether everything succeeded.
    pub fn close(mut self, patience: &mut Patience) -> (C, bool) {
        self.flush(patience);
        if self.health == Health::Sound && self.current.complete(patience).is_err() {
            self.health = Health::Unrotated;
        }
        let lost = match self.health {
            Health::Sound => return (self.current, true),
            Health::Unrotated => None,
            Health::Lost(bytes) => Some(bytes),
        };
        patience.say(&Line { level: Level::Warning, text: self.current.given_up(lost), reason: None });
        (self.current, false)
    }

    fn write(&mut self, mut bytes: &[u8], patience: &mut Patience) {
        while !bytes.is_empty() {
            if let Health::Lost(lost) = &mut self.health {
                *lost = lost.saturating_add(bytes.len() as u64);
                return;
            }
            let written = self.write_some(bytes, patience).unwrap_or_else(|GivenUp| {
                self.health = Health::Lost(0);
                0
            });
            bytes = bytes.get(written..).unwrap_or_default();
        }
    }

    /// Writes as many bytes as belong into the present file, and returns their number.
    fn write_some(&mut self, bytes: &[u8], patience: &mut Patience) -> Result<usize, GivenUp> {
        if self.current.written() >= self.size {
            self.try_rotate(patience);
        }
        let part = match self.health {
            Health::Sound => {
                let fits = fitting(bytes, self.current.written(), self.size, self.closing());
                bytes.get(..fits).unwrap_or(bytes)
            }
            Health::Unrotated | Health::Lost(_) => bytes,
        };
        let count = patience.insist(
            || self.current.unable_to_write(),
            || loop {
                match sys::fd::write(self.current.file().as_fd(), part) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Err(error) if error.kind() == io::ErrorKind::StorageFull && self.current.make_room() => {}
                    done => return done,
                }
            },
        )?;
        if self.current.written() == 0 {
            self.age.begin();
        }
        self.current.note(count as u64);
        self.in_line = part.get(count - 1) != Some(&b'\n');
        if self.current.written() >= self.closing() && !self.in_line {
            self.try_rotate(patience);
        }
        Ok(count)
    }

    fn try_rotate(&mut self, patience: &mut Patience) {
        if self.health == Health::Sound && self.current.rotate(patience).is_err() {
            self.health = Health::Unrotated;
        }
        self.age.end();
    }
}

/// How many of `bytes` go into a file that holds `written` bytes: up to the first line end that finishes it, from a length of `closing` bytes on, or
/// as many as fit.
fn fitting(bytes: &[u8], written: u64, size: u64, closing: u64) -> usize {
    let room = usize::try_from(size.saturating_sub(written)).unwrap_or(usize::MAX);
    let fits = bytes.len().min(room);
    let closing = closing.saturating_sub(written).saturating_sub(1);
    let from = usize::try_from(closing).unwrap_or(usize::MAX);
    let end = bytes.get(from..fits).and_then(|part| memchr(b'\n', part));
    end.map_or(fits, |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_closed_at_the_first_line_end_in_its_last_2000_bytes() {
        let lines = b"123456789\n".repeat(1000);
        let fitting = |bytes: &[u8], written| fitting(bytes, written, 4096, 2096);
        assert_eq!(fitting(&lines, 0), 2100);
        assert_eq!(fitting(&lines, 2090), 10);
        assert_eq!(fitting(&lines[..2000], 0), 2000);
        assert_eq!(fitting(&lines[..2096], 0), 2096);
        assert_eq!(fitting(&lines, 4000), 10);
    }

    #[test]
    fn a_file_that_is_too_old_is_closed_at_the_next_line_end() {
        let lines = b"123456789\n".repeat(1000);
        assert_eq!(fitting(&lines, 5, 4096, 0), 10);
        assert_eq!(fitting(b"\n", 5, 4096, 0), 1);
        assert_eq!(fitting(b"12", 5, 4096, 0), 2);
    }

    #[test]
    fn a_line_longer_than_the_room_is_split() {
        let fitting = |bytes: &[u8], written| fitting(bytes, written, 4096, 2096);
        assert_eq!(fitting(&[b'x'; 9000], 0), 4096);
        assert_eq!(fitting(&[b'x'; 9000], 4000), 96);
        assert_eq!(fitting(b"x\n", 4095), 1);
        assert_eq!(fitting(b"\n", 4095), 1);
    }
}
