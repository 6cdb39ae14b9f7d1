//! The finished files of a log directory: how many there are, which are the oldest, and when the newest was finished.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use sys::names::Names;
use tai::Label;

/// The finished files that the last look at the directory has found: all files with such a name, whoever made them, but no directories. Memory is
/// allocated only when this is made.
pub(crate) struct Finished {
    /// Whether a name that begins with an `@` is that of a finished file.
    belongs: fn(&[u8]) -> bool,
    /// How many there are.
    pub count: usize,
    /// How many bytes they have together; 0 if nobody wants to know.
    pub bytes: u64,
    /// Whether anybody wants to know: that takes a system call for each file.
    measured: bool,
    /// The newest label.
    pub newest: Option<Label>,
    /// The first names in the order of names, at most [`OLDEST`](Finished::OLDEST), stored in no order. There is room
    /// for them however many files there are.
    names: Vec<FileName>,
    /// The indices of these names, in the order of names.
    order: Vec<u8>,
}

/// The length of a name, and the name; no file system has longer ones.
type FileName = (u8, [u8; 255]);

impl Finished {
    const OLDEST: usize = 64;

    /// Of no directory yet. `measured` says whether anybody wants to know how many bytes the files have.
    pub fn new(measured: bool, belongs: fn(&[u8]) -> bool) -> Finished {
        let (names, order) = (Vec::with_capacity(Finished::OLDEST), Vec::with_capacity(Finished::OLDEST));
        Finished { belongs, count: 0, bytes: 0, measured, newest: None, names, order }
    }

    /// Reads `directory`, which is the current one, again from the beginning.
    pub fn look(&mut self, names: &mut Names, directory: BorrowedFd<'_>) -> io::Result<()> {
        (self.count, self.bytes, self.newest) = (0, 0, None);
        self.names.clear();
        self.order.clear();
        let mut measured = Ok(());
        names.each(directory, |name| {
            let bytes = name.bytes();
            if bytes.first() == Some(&b'@') && (self.belongs)(bytes) && !name.is_directory() {
                let length = if self.measured { length(OsStr::from_bytes(bytes)) } else { Ok(0) };
                match length {
                    Ok(length) => self.add(bytes, length),
                    Err(error) => measured = Err(error),
                }
            }
        })?;
        measured
    }

    /// The first names, in the order of names.
    pub fn oldest(&self) -> impl Iterator<Item = &[u8]> {
        self.order.iter().map(|&place| self.name(place))
    }

    fn name(&self, place: u8) -> &[u8] {
        let (length, bytes) = &self.names[usize::from(place)];
        &bytes[..usize::from(*length)]
    }

    /// Notes one more file.
    pub fn add(&mut self, name: &[u8], length: u64) {
        /// TAI64 reserves labels from this number of seconds on: they are not times.
        const RESERVED: u64 = 1 << 63;
        let label = name.get(1..Label::TEXT).and_then(Label::from_digits);
        self.count += 1;
        self.bytes = self.bytes.saturating_add(length);
        self.newest = self.newest.max(label.filter(|label| label.seconds < RESERVED));
        // Most files are younger than all remembered ones, which takes one comparison.
        let full = self.order.len() == Finished::OLDEST;
        if full && self.order.last().is_some_and(|&last| name >= self.name(last)) {
            return;
        }
        let place = self.order.partition_point(|&place| self.name(place) < name);
        let mut own: FileName = (name.len() as u8, [0; 255]);
        if let Some(bytes) = own.1.get_mut(..name.len()) {
            bytes.copy_from_slice(name);
        }
        let free = if full { self.order.pop() } else { None };
        let slot = free.unwrap_or(self.names.len() as u8);
        match self.names.get_mut(usize::from(slot)) {
            Some(last) => *last = own,
            None => self.names.push(own),
        }
        self.order.insert(place, slot);
    }
}

/// The length of a file in bytes, or of a link; 0 if it does not exist.
pub(crate) fn length(name: &OsStr) -> io::Result<u64> {
    match fs::symlink_metadata(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => found.map(|found| found.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_remembered_whatever_the_order() {
        let name = |number: usize| format!("@{number:024x}.s").into_bytes();
        for step in [1, 7, 999] {
            let mut finished = Finished::new(true, |_| true);
            let capacity = finished.names.capacity();
            (0..1_000).for_each(|at| finished.add(&name(at * step % 1_000), 3));
            let expected: Vec<_> = (0..Finished::OLDEST).map(name).collect();
            let found: Vec<_> = finished.oldest().map(<[u8]>::to_vec).collect();
            assert_eq!(found, expected);
            assert!(finished.count == 1_000 && finished.bytes == 3_000 && finished.names.capacity() == capacity);
        }
    }
}
