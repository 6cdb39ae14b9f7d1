//! How lines are shown: with their times, and with the names of their services where there are several.

use std::io::{self, IsTerminal, Write};

use sys::fd;
use tai::Label;

use crate::service::local_time::Times;

use super::super::shown;
use super::filter::{Ahead, stamp, without};
use super::lines::Cut;

/// So much is collected before it is written, in bytes.
const FULL: usize = 1 << 16;

/// Where lines are shown.
pub struct Screen {
    out: Vec<u8>,
    /// How times are shown; `None`: as they stand there.
    times: Option<Times>,
    /// Control characters are shown, not sent.
    is_terminal: bool,
    is_coloured: bool,
    /// The longest title; `None` if none are shown.
    width: Option<usize>,
    /// The log whose line has not ended.
    open: Option<usize>,
    /// Nothing is written: of each line so many bytes are kept.
    kept: Option<usize>,
    /// How many more bytes of the line are kept.
    room: usize,
}

/// A log, as it is shown.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// Its number.
    pub number: usize,
    /// What it is called.
    pub title: &'a str,
    /// By how many seconds its labels are ahead.
    pub ahead: Ahead,
}

impl Screen {
    /// Makes one for stdout. `width` is that of the longest title if titles are shown.
    pub fn new(times: Option<Times>, width: Option<usize>) -> Screen {
        let is_terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_coloured = is_terminal && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb");
        Screen { out: Vec::new(), times, is_terminal, is_coloured, width, open: None, kept: None, room: 0 }
    }

    /// Makes one that keeps its lines as a terminal would show them, without colours, and of each so many bytes, with the time before them.
    pub const fn kept(times: Times, most: usize) -> Screen {
        Screen {
            out: Vec::new(),
            times: Some(times),
            is_terminal: true,
            is_coloured: false,
            width: None,
            open: None,
            kept: Some(most),
            room: 0,
        }
    }

    /// The lines that were kept. A tab is a blank.
    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.out).lines().map(|line| line.replace('\t', " ")).collect()
    }

    /// Shows a line, or a piece of one.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub fn put(&mut self, log: Shown, cut: &Cut, bytes: &[u8]) -> io::Result<()> {
        if self.open.is_some_and(|open| open != log.number || cut.begins) {
            self.out.push(b'\n');
            self.open = None;
        }
        if self.open.is_none() {
            self.title(log.title);
        }
        let mut rest = bytes;
        if let (true, Some(times), Some(label)) = (cut.begins, &mut self.times, stamp(bytes)) {
            let label = without(label, log.ahead);
            if times.put(label.unix_seconds(), &mut self.out) {
                // Writing to a Vec cannot fail.
                let _ = write!(self.out, ".{:09}", label.nanos);
                rest = &bytes[Label::TEXT..];
            }
        }
        if let Some(most) = self.kept {
            self.room = if cut.begins { most } else { self.room };
            rest = &rest[..rest.len().min(self.room)];
            self.room -= rest.len();
        }
        if self.is_terminal {
            for (place, part) in rest.split(|&byte| byte == b'\t').enumerate() {
                if place > 0 {
                    self.out.push(b'\t');
                }
                self.out.extend_from_slice(shown::bytes(part).as_bytes());
            }
        } else {
            self.out.extend_from_slice(rest);
        }
        if cut.ends {
            self.out.push(b'\n');
        }
        self.open = (!cut.ends).then_some(log.number);
        if self.out.len() >= FULL { self.flush() } else { Ok(()) }
    }

    fn title(&mut self, title: &str) {
        const CYAN: u8 = 36;
        let Some(width) = self.width else { return };
        let pad = width.saturating_sub(title.chars().count());
        // Writing to a Vec cannot fail.
        let _ = if self.is_coloured {
            write!(self.out, "\x1b[{CYAN}m{title}\x1b[0m{:pad$} | ", "")
        } else {
            // Scripts take the name off in front of the bar.
            write!(self.out, "{title}{:1$} | ", "", if self.is_terminal { pad } else { 0 })
        };
    }

    /// Writes what was collected.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.kept.is_some() {
            return Ok(());
        }
        let written = fd::write_all(fd::stdout(), &self.out);
        self.out.clear();
        written
    }
}
