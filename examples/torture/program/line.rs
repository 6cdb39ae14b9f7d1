//! The lines of a service: it writes numbered lines into its log, and each number into a ledger before that. The ledger
//! outlives the service.
//!
//! A line is `NAME PID.BIRTH NUMBER TIME DOTS`, times in microseconds since 1970. How many dots there are follows from the
//! number, so that a line that was cut off is not taken for a complete one. The ledger of each incarnation is a file
//! `PID.BIRTH` with the number of the line that is about to be written: all lines before it were written, that one
//! perhaps.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub type Micros = u64;

/// The time.
pub fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as Micros)
}

/// One process that was a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    /// When it began.
    pub birth: Micros,
    /// Its pid.
    pub pid: u32,
}

impl Incarnation {
    /// Reads `PID.BIRTH`.
    pub fn parse(text: &str) -> Option<Incarnation> {
        let (pid, birth) = text.split_once('.')?;
        Some(Incarnation { birth: birth.parse().ok()?, pid: pid.parse().ok()? })
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pid, self.birth)
    }
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who wrote it.
    pub by: Incarnation,
    /// The number of the line in this incarnation; the first is 1.
    pub number: u64,
    /// When.
    pub written: Micros,
}

impl Line {
    /// The text of the line, with its newline.
    pub fn text(&self, name: &str) -> String {
        format!("{name} {} {} {} {}\n", self.by, self.number, self.written, dots(self.number))
    }

    /// Reads what [`text`](Line::text) gave, without the line end; `None` for anything else.
    pub fn parse(name: &str, text: &str) -> Option<Line> {
        let mut words = text.strip_prefix(name)?.strip_prefix(' ')?.split(' ');
        let by = Incarnation::parse(words.next()?)?;
        let number = words.next()?.parse().ok()?;
        let written = words.next()?.parse().ok()?;
        let whole = words.next() == Some(dots(number)) && words.next().is_none();
        whole.then_some(Line { by, number, written })
    }
}

fn dots(number: u64) -> &'static str {
    const DOTS: &str = "................................................................";
    &DOTS[..1 + (number * 7 % 60) as usize]
}

/// The ledger of one incarnation.
pub struct Ledger(File);

/// The contents of a ledger.
pub struct Account {
    /// How many lines were certainly written.
    pub certain: u64,
    /// Whether one more line was perhaps written.
    pub doubtful: bool,
    /// When the ledger was last written to.
    pub last: Micros,
}

/// The flag after the number: the incarnation ended in order, so its last line was written.
const ENDED: u64 = 1;

impl Ledger {
    /// Makes a new ledger.
    pub fn create(path: &Path) -> io::Result<Ledger> {
        Ok(Ledger(File::create_new(path)?))
    }

    /// Notes that line `number` is about to be written.
    pub fn begin(&self, number: u64) -> io::Result<()> {
        self.0.write_all_at(&number.to_le_bytes(), 0)
    }

    /// Notes that all lines were written.
    pub fn end(&self) -> io::Result<()> {
        self.0.write_all_at(&ENDED.to_le_bytes(), 8)
    }
}

impl Account {
    /// Reads the ledger at `path`.
    pub fn read(path: &Path) -> io::Result<Account> {
        let bytes = std::fs::read(path)?;
        let last = std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let number = bytes.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
        let doubtful = number > 0 && bytes.len() <= 8;
        Ok(Account { certain: number - u64::from(doubtful), doubtful, last: last as Micros })
    }
}
