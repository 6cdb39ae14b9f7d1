//! Which lines are meant: by their time, and by what they contain.

use memchr::memmem;
use tai::Label;

/// What is asked of a line.
#[derive(Default)]
pub struct Filter {
    /// No line from before this time.
    pub since: Option<Label>,
    /// No line from after this time.
    pub until: Option<Label>,
    /// The line contains these bytes.
    pub text: Option<memmem::Finder<'static>>,
}

/// By how many seconds the labels are ahead of those of multilog: s6-log counts the leap seconds.
pub type Ahead = u64;

/// The label in front of a line, as it is written there.
pub fn stamp(line: &[u8]) -> Option<Label> {
    let digits = line.strip_prefix(b"@")?.get(..Label::TEXT - 1)?;
    let is_longer = line.get(Label::TEXT).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Label::from_digits(digits).filter(|_| !is_longer)
}

/// The label that multilog would have written.
pub const fn without(label: Label, ahead: Ahead) -> Label {
    Label { seconds: label.seconds.saturating_sub(ahead), nanos: label.nanos }
}

impl Filter {
    /// Whether the time matters.
    pub const fn is_timed(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Whether a line of this time, if that is known, is meant.
    pub fn takes(&self, time: Option<Label>, line: &[u8]) -> bool {
        let in_time = time.is_none_or(|time| {
            self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
        });
        in_time && self.text.as_ref().is_none_or(|text| text.find(line).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_25_bytes_and_no_more() {
        let text = Label::from_unix(1_000_000_000, 5).text();
        let line = |rest: &[u8]| [&text[..], rest].concat();
        assert_eq!(stamp(&line(b" x")), Some(Label::from_unix(1_000_000_000, 5)));
        assert_eq!(stamp(&line(b"")), Some(Label::from_unix(1_000_000_000, 5)));
        for none in [line(b"0"), b"@4000".to_vec(), b"".to_vec(), b"x".to_vec()] {
            assert_eq!(stamp(&none), None);
        }
        assert_eq!(without(Label::from_unix(37, 5), 27), Label::from_unix(10, 5));
    }

    #[test]
    fn a_line_is_within_its_bounds_and_contains_its_text() {
        let at = |seconds| Some(Label::from_unix(seconds, 0));
        let filter = Filter { since: at(10), until: at(20), text: Some(memmem::Finder::new(b"a*").into_owned()) };
        for (time, line, taken) in
            [(10, "xa*", true), (20, "a*", true), (9, "a*", false), (21, "a*", false), (15, "aa", false)]
        {
            assert_eq!(filter.takes(at(time), line.as_bytes()), taken, "{time} {line}");
        }
        assert!(filter.takes(None, b"a*") && Filter::default().takes(None, b""));
    }
}
