//! Warnings, printed once for each cause. The original repeats them for as long as the cause lasts.

use std::collections::BTreeMap;
use std::io;

use crate::{Text, Voice, reason};

/// Remembers the last warning about each subject.
pub struct Warnings {
    voice: Voice,
    last: BTreeMap<Vec<u8>, (Text, String)>,
}

impl Warnings {
    /// Begins without any warning.
    pub fn new(voice: Voice) -> Warnings {
        Warnings { voice, last: BTreeMap::new() }
    }

    /// Prints `text` and the reason, unless the last warning about this subject was the same.
    pub fn warning(&mut self, subject: impl AsRef<[u8]>, text: Text, error: &io::Error) {
        let cause = (text, reason(error).into_owned());
        if self.last.get(subject.as_ref()) == Some(&cause) {
            return;
        }
        self.voice.warning(&cause.0, error);
        self.last.insert(subject.as_ref().to_vec(), cause);
    }

    /// Prints `text`, unless the last warning about this subject was the same.
    pub fn warn(&mut self, subject: impl AsRef<[u8]>, text: Text) {
        let cause = (text, String::new());
        if self.last.get(subject.as_ref()) != Some(&cause) {
            self.voice.warn(&cause.0);
            self.last.insert(subject.as_ref().to_vec(), cause);
        }
    }

    /// Notes that the trouble with this subject is over: if it comes back, it is printed again.
    pub fn over(&mut self, subject: impl AsRef<[u8]>) {
        if !self.last.is_empty() {
            self.last.remove(subject.as_ref());
        }
    }

    /// Forgets the subjects that begin with `prefix` and for which `keep` returns false.
    pub fn retain(&mut self, prefix: &[u8], keep: impl Fn(&[u8]) -> bool) {
        self.last.retain(|subject, _| subject.strip_prefix(prefix).is_none_or(&keep));
    }
}
