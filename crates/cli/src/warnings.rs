//! Warnings, each once for each cause. The original repeats them for as long as the cause lasts.

use std::collections::BTreeMap;
use std::io;

use crate::{Text, Voice, reason};

/// The memory of what was said last about each subject.
pub struct Warnings {
    voice: Voice,
    last: BTreeMap<Vec<u8>, (Text, String)>,
}

impl Warnings {
    /// A memory in which nothing was said yet.
    pub fn new(voice: Voice) -> Warnings {
        Warnings { voice, last: BTreeMap::new() }
    }

    /// Says `text` and the reason, unless that is what was said last about this subject.
    pub fn warning(&mut self, subject: impl AsRef<[u8]>, text: Text, error: &io::Error) {
        let cause = (text, reason(error).into_owned());
        if self.last.get(subject.as_ref()) == Some(&cause) {
            return;
        }
        self.voice.warning(&cause.0, error);
        self.last.insert(subject.as_ref().to_vec(), cause);
    }

    /// Forgets the trouble with this subject, which is over: if it comes back, it is said again.
    pub fn over(&mut self, subject: impl AsRef<[u8]>) {
        if !self.last.is_empty() {
            self.last.remove(subject.as_ref());
        }
    }

    /// Forgets the subjects that begin with `prefix` and that `keep` does not hold for.
    pub fn retain(&mut self, prefix: &[u8], keep: impl Fn(&[u8]) -> bool) {
        self.last.retain(|subject, _| subject.strip_prefix(prefix).is_none_or(&keep));
    }
}
