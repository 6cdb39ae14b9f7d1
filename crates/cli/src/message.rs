//! Messages: `PROG: fatal: TEXT: REASON` and `PROG: warning: TEXT: REASON`, one line each.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::reason;

/// A piece of a message.
pub trait Piece {
    /// Appends its bytes as they are.
    fn put(&self, to: &mut Vec<u8>);
}

impl Piece for [u8] {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }
}

impl Piece for str {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.as_bytes());
    }
}

impl Piece for OsStr {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.as_bytes());
    }
}

impl Piece for OsString {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_os_str().put(to);
    }
}

impl Piece for Path {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_os_str().put(to);
    }
}

impl Piece for PathBuf {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_os_str().put(to);
    }
}

impl Piece for u64 {
    fn put(&self, to: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = write!(to, "{self}");
    }
}

impl<T: Piece + ?Sized> Piece for &T {
    fn put(&self, to: &mut Vec<u8>) {
        (**self).put(to);
    }
}

/// The context of an error: what failed and on what, such as `unable to chdir to /service/web`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// Joins the pieces. [`text!`](crate::text) is shorter.
    pub fn of(pieces: &[&dyn Piece]) -> Text {
        let mut text = Text::default();
        text.add(pieces);
        text
    }

    /// Appends the pieces.
    pub fn add(&mut self, pieces: &[&dyn Piece]) {
        for piece in pieces {
            piece.put(&mut self.0);
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Text {}

/// Makes a [`Text`] of pieces: `text!("unable to stat ", dir, "/down")`.
#[macro_export]
macro_rules! text {
    ($($piece:expr),+ $(,)?) => {
        $crate::Text::of(&[$(&$piece as &dyn $crate::Piece),+])
    };
}

/// The name of a program in its messages: a constant of the program, never `argv[0]`.
#[derive(Clone, Copy, Debug)]
pub struct Voice(pub &'static str);

impl Voice {
    /// Prints `PROG: warning: TEXT: REASON`.
    pub fn warning(self, text: &Text, error: &io::Error) {
        self.say(&[&"warning: ", &text.0.as_slice(), &": ", &reason(error).as_ref()]);
    }

    /// Prints `PROG: warning: TEXT`, for a warning without an error of the system.
    pub fn warn(self, text: &Text) {
        self.say(&[&"warning: ", &text.0.as_slice()]);
    }

    /// Prints `PROG: fatal: TEXT: REASON`. The caller ends the program.
    pub fn fatal(self, text: &Text, error: &io::Error) {
        self.say(&[&"fatal: ", &text.0.as_slice(), &": ", &reason(error).as_ref()]);
    }

    /// Prints `PROG: ` and the pieces, as one line in one write.
    pub fn say(self, pieces: &[&dyn Piece]) {
        let Text(mut line) = Text::of(&[&self.0, &": "]);
        for piece in pieces {
            piece.put(&mut line);
        }
        line.push(b'\n');
        print_error(&line);
    }
}

/// The function that writes messages, if [`write_errors_with`] has set one.
static WRITER: OnceLock<fn(&[u8])> = OnceLock::new();

/// Lets `writer` write all messages from now on: for a program that must not wait for the reader of its stderr.
pub fn write_errors_with(writer: fn(&[u8])) {
    // There is one already only if this was called before.
    let _ = WRITER.set(writer);
}

/// Writes `bytes` to stderr. Errors are ignored.
pub fn print_error(bytes: &[u8]) {
    match WRITER.get() {
        Some(writer) => writer(bytes),
        None => drop(io::stderr().write_all(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let name = OsStr::from_bytes(b"a\xff");
        assert_eq!(text!("unable to stat ", name, "/", "log").0, b"unable to stat a\xff/log");
    }
}
