//! Where the last lines of a file begin. A file is read from its end backwards, and no further than is needed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use tai::Label;

use super::filter::{Ahead, Filter, stamp, without};
use super::lines::Lines;

/// So much is looked at at a time, in bytes.
const STEP: u64 = 1 << 18;

/// The last lines that were found.
#[derive(Debug, PartialEq, Eq)]
pub struct Last {
    /// Where the first of them begins.
    pub position: u64,
    /// How many they are.
    pub count: usize,
}

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// Which lines count.
    pub filter: &'a Filter,
    /// By how many seconds their labels are ahead.
    pub ahead: Ahead,
    /// How many lines are enough.
    pub wanted: usize,
    /// The file begins within a line.
    pub begins_amid: bool,
}

/// Finds the last lines of a file, up to `end`.
///
/// # Errors
/// If it cannot be read.
pub fn last(file: &File, end: u64, search: Search) -> io::Result<Last> {
    let mut found = Last { position: end, count: 0 };
    let mut upper = end;
    while upper > 0 && found.count < search.wanted {
        let lower = chunk(file, upper, search.filter.is_timed())?;
        let wanted = search.wanted - found.count;
        let mut part = Part { file, at: lower, end: upper };
        let places =
            scan(&mut part, lower, Search { wanted, begins_amid: search.begins_amid && lower == 0, ..search })?;
        found.count += places.len();
        found.position = places.front().copied().unwrap_or(found.position);
        upper = lower;
    }
    if found.count == 0 {
        // A line that is not complete yet is judged when it is.
        found.position = line_start(file, end)?;
    }
    Ok(found)
}

/// Finds the last lines of a stream, which is read to its end.
///
/// # Errors
/// If it cannot be read.
pub fn last_of_stream(input: &mut dyn Read, search: Search) -> io::Result<Last> {
    let places = scan(input, 0, search)?;
    Ok(Last { position: places.front().copied().unwrap_or(0), count: places.len() })
}

/// Where the lines begin that count, the last of them.
fn scan(input: &mut dyn Read, from: u64, search: Search) -> io::Result<VecDeque<u64>> {
    let (mut lines, mut places, mut time) = (Lines::from(from), VecDeque::new(), None::<Label>);
    let mut is_first = search.begins_amid;
    loop {
        let more = lines.fill(input)?;
        while let Some(cut) = lines.next().or_else(|| if more { None } else { lines.rest() }) {
            if !cut.begins || std::mem::take(&mut is_first) {
                continue;
            }
            let line = lines.bytes(&cut);
            time = stamp(line).map(|label| without(label, search.ahead)).or(time);
            if search.filter.takes(time, line) {
                places.push_back(cut.position);
                if places.len() > search.wanted {
                    places.pop_front();
                }
            }
        }
        if !more {
            return Ok(places);
        }
    }
}

/// A place before `upper` where a line begins, if possible not much further away than a step. With `stamped` one with a stamp is preferred.
fn chunk(file: &File, upper: u64, stamped: bool) -> io::Result<u64> {
    let probe = upper.saturating_sub(STEP);
    if probe == 0 {
        return Ok(0);
    }
    let mut bytes = vec![0; usize::try_from(upper - probe).unwrap_or(0)];
    let length = read_at(file, &mut bytes, probe)?;
    // A newline that ends the last line begins none.
    let bytes = &bytes[..length.min(bytes.len().saturating_sub(1))];
    let with_stamp = || memchr::memmem::find(bytes, b"\n@");
    match stamped.then(with_stamp).flatten().or_else(|| memchr::memchr(b'\n', bytes)) {
        Some(at) => Ok(probe + at as u64 + 1),
        None => line_start(file, probe),
    }
}

/// Where the line begins in which `place` lies.
fn line_start(file: &File, place: u64) -> io::Result<u64> {
    let mut upper = place;
    let mut bytes = vec![0; usize::try_from(STEP).unwrap_or(0)];
    while upper > 0 {
        let lower = upper.saturating_sub(STEP);
        let length = usize::try_from(upper - lower).unwrap_or(0);
        let length = read_at(file, &mut bytes[..length], lower)?;
        if let Some(at) = memchr::memrchr(b'\n', &bytes[..length]) {
            return Ok(lower + at as u64 + 1);
        }
        upper = lower;
    }
    Ok(0)
}

/// Reads as much as there is.
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], at + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text).expect("it is written");
        file
    }

    fn find(text: &[u8], wanted: usize, begins_amid: bool, contains: Option<&[u8]>) -> (u64, usize) {
        let text_finder = contains.map(|bytes| memchr::memmem::Finder::new(bytes).into_owned());
        let filter = Filter { text: text_finder, ..Filter::default() };
        let search = Search { filter: &filter, ahead: 0, wanted, begins_amid };
        let found = last(&file(text), text.len() as u64, search).expect("it is read");
        if wanted > 0 {
            let streamed = last_of_stream(&mut &text[..], search).expect("it is read");
            assert_eq!(streamed.count, found.count);
            assert!(found.count == 0 || streamed.position == found.position);
        }
        (found.position, found.count)
    }

    #[test]
    fn the_last_lines_of_a_short_file() {
        let text = b"a\nbb\n\nc";
        for (wanted, expected) in [(1, (6, 1)), (2, (5, 2)), (3, (2, 3)), (4, (0, 4)), (9, (0, 4)), (0, (6, 0))] {
            assert_eq!(find(text, wanted, false, None), expected, "{wanted}");
        }
        assert_eq!(find(text, 9, true, None), (2, 3));
        assert_eq!(find(text, 9, false, Some(b"b")), (2, 1));
        // The line that is not complete yet is looked at once more.
        assert_eq!(find(text, 9, false, Some(b"x")), (6, 0));
        assert_eq!(find(b"", 9, false, None), (0, 0));
    }

    #[test]
    fn the_last_lines_of_a_long_file_and_long_lines() {
        let mut text = Vec::new();
        let mut begins = Vec::new();
        for number in 0..3_000_usize {
            begins.push(text.len() as u64);
            text.extend(std::iter::repeat_n(b'x', number % 700));
            text.extend_from_slice(format!(" {number}\n").as_bytes());
            if number % 1000 == 999 {
                begins.push(text.len() as u64);
                text.extend(std::iter::repeat_n(b'y', 3 * STEP as usize));
                text.push(b'\n');
            }
        }
        for wanted in [1, 2, 7, 900, 1001, 1002, 2004, 3003] {
            assert_eq!(find(&text, wanted, false, None), (begins[begins.len() - wanted], wanted), "{wanted}");
        }
        assert_eq!(find(&text, 9, false, Some(b" 17\n")).1, 0);
        assert_eq!(find(&text, 9, false, Some(b" 2345")), (begins[2347], 1));
    }
}
