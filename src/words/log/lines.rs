//! Lines out of bytes that come in blocks. A line is held whole up to a bound; what is longer comes in pieces.

use std::io::{self, Read};
use std::ops::Range;

/// So much of a line is held, in bytes.
pub const HELD: usize = 1 << 18;
/// So much is read at a time, in bytes.
const BLOCK: usize = 1 << 16;

/// The lines of a stream.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the bytes begin that were not taken.
    at: usize,
    /// There is no newline before this place, from `at` on.
    looked: usize,
    /// The first piece of this line was taken.
    in_line: bool,
    /// The place of `at` in the stream.
    position: u64,
}

/// A line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    range: Range<usize>,
    /// Where it begins in the stream.
    pub position: u64,
    /// It begins a line.
    pub begins: bool,
    /// It ends the line: there was a newline behind it, or nothing.
    pub ends: bool,
}

impl Lines {
    /// Those of a stream that begins at a place of a file.
    pub fn from(position: u64) -> Lines {
        Lines { position, ..Lines::default() }
    }

    /// Reads once; `false` at the end of the input. What [`next`](Lines::next) has returned before is over.
    ///
    /// # Errors
    /// That of the read.
    pub fn fill(&mut self, input: &mut dyn Read) -> io::Result<bool> {
        self.forget();
        let length = self.buffer.len();
        self.buffer.resize(length + BLOCK, 0);
        let read = loop {
            match input.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + read.as_ref().map_or(0, |&count| count));
        Ok(read? > 0)
    }

    fn forget(&mut self) {
        self.buffer.drain(..self.at);
        self.looked -= self.at;
        self.at = 0;
    }

    /// Takes the next line, or a piece of one that is too long. `None` if more must be read first.
    pub fn next(&mut self) -> Option<Cut> {
        match memchr::memchr(b'\n', &self.buffer[self.looked..]) {
            Some(found) => {
                let end = self.looked + found;
                Some(self.take(end, 1, true))
            }
            None => {
                self.looked = self.buffer.len();
                (self.looked - self.at >= HELD).then(|| self.take(self.looked, 0, false))
            }
        }
    }

    /// Takes what has no newline, as a line that ends there. `None` if there is no such thing.
    pub fn rest(&mut self) -> Option<Cut> {
        self.is_amid().then(|| self.take(self.buffer.len(), 0, true))
    }

    fn take(&mut self, end: usize, newline: usize, ends: bool) -> Cut {
        let cut = Cut { range: self.at..end, position: self.position, begins: !self.in_line, ends };
        self.position += (end + newline - self.at) as u64;
        self.at = end + newline;
        self.looked = self.at;
        self.in_line = !ends;
        cut
    }

    /// Whether there is a beginning of a line without its end.
    pub fn is_amid(&self) -> bool {
        self.in_line || self.at < self.buffer.len()
    }

    /// Ends the line that has no end.
    pub fn end_line(&mut self) {
        if self.is_amid() {
            self.buffer.push(b'\n');
        }
    }

    /// The bytes of a piece, without the newline, until the next read.
    pub fn bytes(&self, cut: &Cut) -> &[u8] {
        &self.buffer[cut.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one by one.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((&byte, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = byte;
            self.0 = rest;
            Ok(1)
        }
    }

    fn all(mut input: impl Read) -> Vec<(String, u64)> {
        let (mut lines, mut found) = (Lines::from(7), Vec::new());
        loop {
            while let Some(cut) = lines.next() {
                found.push((String::from_utf8_lossy(lines.bytes(&cut)).into_owned(), cut.position));
            }
            if !lines.fill(&mut input).expect("it reads") {
                break;
            }
        }
        if let Some(cut) = lines.rest() {
            found.push((String::from_utf8_lossy(lines.bytes(&cut)).into_owned(), cut.position));
        }
        found
    }

    #[test]
    fn lines_are_the_same_whatever_is_read_at_once() {
        let text = b"one\n\ntwo\nno end";
        let expected = [("one", 7), ("", 11), ("two", 12), ("no end", 16)].map(|(line, at)| (line.to_owned(), at));
        assert_eq!(all(&text[..]), expected);
        assert_eq!(all(Slow(text)), expected);
        assert_eq!(all(&b""[..]), []);
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_is_not_held() {
        let mut input = io::repeat(b'x').take(50 * HELD as u64).chain(&b"\nnext\n"[..]);
        let (mut lines, mut length, mut pieces) = (Lines::default(), 0, Vec::new());
        while lines.fill(&mut input).expect("it reads") {
            assert!(lines.buffer.len() <= HELD + BLOCK);
            while let Some(cut) = lines.next() {
                length += lines.bytes(&cut).len();
                pieces.push((cut.begins, cut.ends));
            }
        }
        assert_eq!(length, 50 * HELD + 4);
        assert_eq!(pieces[0], (true, false));
        assert_eq!(pieces[1], (false, false));
        assert_eq!(pieces[pieces.len() - 2..], [(false, true), (true, true)]);
    }
}
