//! The age of `current`: when a log that is to have files of a greatest age begins a new one.
//!
//! To multilog a file is as old as its first line. What a multilog of before has left is as old as the stamp of its first line says, or, where there is none, as
//! the last change of the file: nothing else tells when it began. svlogd counts from its own start, in periods.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sys::clock;
use tai::Label;

/// The age of a `current`.
pub(crate) struct Age {
    /// How old a file may become, in nanoseconds; `None` if that is the same to all.
    limit: Option<u64>,
    /// The time from which on ages are counted all along, whatever the files; `None` if each file has its own age.
    since: Option<u64>,
    /// When the file is that old, by the monotonic clock. `None` before its first line, and afterwards.
    due: Option<u64>,
    /// Whether it is older, and only waits for the end of a line.
    over: bool,
}

impl Age {
    /// The age of a file without a line, where a file is as old as its first line.
    pub fn new(limit: Option<u64>) -> Age {
        Age { limit, since: None, due: None, over: false }
    }

    /// The age of a file without a line, where a file is too old at the end of each period since now.
    pub fn of_periods(limit: Option<u64>) -> Age {
        Age { since: limit.map(|_| clock::monotonic()), ..Age::new(limit) }
    }

    /// The file gets its first line. The clock is read only where there is a limit.
    pub fn begin(&mut self) {
        self.due = self.limit.map(|limit| {
            let now = clock::monotonic();
            let over = self.since.map_or(0, |since| now.saturating_sub(since) % limit.max(1));
            now.saturating_add(limit - over)
        });
    }

    /// The file, which is `current` in the current directory, has had its first line before this multilog began.
    pub fn resume(&mut self, file: &File) {
        if let Some(limit) = self.limit {
            let (seconds, nanos) = clock::wall();
            let now = Label::from_unix(seconds, nanos);
            let left = limit.saturating_sub(between(begun(file).unwrap_or(now), now));
            self.due = Some(clock::monotonic().saturating_add(left));
        }
    }

    /// When the file is too old, if nothing happens before.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Whether the file is too old, and is to end with the next line.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Notes what `now` means. Returns whether the file has become too old.
    pub fn pass(&mut self, now: u64) -> bool {
        let passed = self.due.take_if(|due| *due <= now).is_some();
        self.over |= passed;
        passed
    }

    /// There is a new file, without a line.
    pub fn end(&mut self) {
        (self.due, self.over) = (None, false);
    }
}

/// Nanoseconds from one time to another; 0 if that is earlier, as after the clock was set back.
fn between(begin: Label, end: Label) -> u64 {
    let nanos = begin.age(end).saturating_mul(1_000_000_000).saturating_add(u64::from(end.nanos));
    nanos.saturating_sub(u64::from(begin.nanos))
}

/// When a file that is `current` began.
fn begun(file: &File) -> io::Result<Label> {
    let mut head = [0; Label::UTC + 1];
    let head = sys::fd::read_file(Path::new("current"), &mut head);
    match head.ok().and_then(stamp) {
        Some(label) => Ok(label),
        None => file.metadata().map(|found| Label::from_unix(found.mtime(), found.mtime_nsec() as u32)),
    }
}

/// The stamp of a line, and a space behind it.
fn stamp(line: &[u8]) -> Option<Label> {
    let front = |length: usize| line.split_at_checked(length).filter(|(_, rest)| rest.first() == Some(&b' '));
    match front(Label::TEXT) {
        Some(([b'@', digits @ ..], _)) => Label::from_digits(digits),
        Some(_) | None => front(Label::UTC).and_then(|(time, _)| Label::from_utc(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_too_old_once_and_only_after_its_first_line() {
        let mut age = Age::new(Some(5));
        assert_eq!((age.due(), age.pass(u64::MAX), age.is_over()), (None, false, false));
        age.begin();
        let due = age.due().expect("it has a line");
        assert!(!age.pass(due - 1) && !age.is_over());
        assert!(age.pass(due) && age.is_over());
        assert_eq!((age.due(), age.pass(u64::MAX), age.is_over()), (None, false, true));
        age.end();
        assert_eq!((age.due(), age.is_over()), (None, false));
    }

    #[test]
    fn without_a_limit_there_is_no_time() {
        let mut age = Age::new(None);
        age.begin();
        assert_eq!((age.due(), age.pass(u64::MAX)), (None, false));
    }

    #[test]
    fn both_stamps_tell_when_a_line_was_written() {
        let label = Label::from_unix(1_000_000_000, 123_456_000);
        assert_eq!(stamp(&[&label.text()[..], b" a"].concat()), Some(label));
        assert_eq!(stamp(&[&label.utc()[..], b" "].concat()), Some(label));
        for line in
            [&label.text()[..], &label.utc()[..], b"", b"2001-09-09T01:46:40.123456Z", b"a line of a program, as long"]
        {
            assert_eq!(stamp(line), None);
        }
        assert_eq!(stamp(&[&label.text()[1..], b"  "].concat()), None);
    }

    #[test]
    fn no_time_passes_backwards() {
        let at = |seconds, nanos| Label::from_unix(seconds, nanos);
        assert_eq!(between(at(1, 999_999_500), at(3, 500)), 1_000_001_000);
        assert_eq!(between(at(3, 500), at(3, 0)), 0);
        assert_eq!(between(at(9, 0), at(3, 7)), 7);
        assert_eq!(between(Label::default(), at(3, 0)), u64::MAX);
    }
}
