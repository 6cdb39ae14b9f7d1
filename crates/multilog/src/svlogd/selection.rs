//! What the log directories of svlogd take of each line, and what is sent elsewhere.

use std::net::SocketAddrV4;

use crate::Pattern;
use crate::engine::Sink;
use crate::rules::{Prefix, Rules};

/// What a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `+`: a line that matches goes to the log.
    Select,
    /// `-`: it does not.
    Deselect,
    /// `e`: it goes to stderr.
    Show,
    /// `E`: it does not.
    Hide,
}

/// What one log directory takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The patterns in their order: the last one that matches decides.
    pub patterns: Vec<(Verb, Pattern)>,
    /// `p`: what stands in front of each line, behind the stamp.
    pub prefix: Vec<u8>,
    /// `u`, `U`: where selected lines are sent.
    pub address: Option<SocketAddrV4>,
    /// `U`: they are not written to the log.
    pub only: bool,
}

impl Selection {
    /// Whether a line goes to the log, and whether it goes to stderr.
    fn judge(&self, line: &[u8]) -> (bool, bool) {
        let (mut selected, mut shown) = (true, false);
        for (verb, pattern) in &self.patterns {
            match verb {
                Verb::Select => selected = selected || pattern.matches(line),
                Verb::Deselect => selected = selected && !pattern.matches(line),
                Verb::Show => shown = shown || pattern.matches(line),
                Verb::Hide => shown = shown && !pattern.matches(line),
            }
        }
        (selected, shown)
    }
}

/// What all log directories take.
#[derive(Clone, Debug)]
pub struct Selections {
    /// The length of the stamp with the space behind it, in bytes; patterns do not see it.
    stamp: usize,
    /// How many bytes of a line are looked at.
    length: usize,
    /// By number; `None` for a directory that cannot be written to.
    logs: Vec<Option<Selection>>,
}

impl Selections {
    pub(crate) fn new(stamp: usize, length: usize, logs: Vec<Option<Selection>>) -> Selections {
        Selections { stamp, length, logs }
    }
}

impl Rules for Selections {
    /// One byte more than patterns see: whether there is one decides about the dots behind a line that is cut.
    fn head(&self) -> usize {
        self.length.saturating_add(self.stamp + 1)
    }

    fn logs(&self) -> usize {
        self.logs.len()
    }

    fn decide(&self, head: &[u8], chosen: &mut Vec<usize>, sink: &mut impl Sink) {
        chosen.clear();
        let (stamp, line) = head.split_at(self.stamp.min(head.len()));
        let (line, end) = match line.split_at_checked(self.length) {
            Some((line, rest)) if !rest.is_empty() => (line, &b"...\n"[..]),
            Some(_) | None => (line, &b"\n"[..]),
        };
        for (number, selection) in self.logs.iter().enumerate() {
            let Some(selection) = selection else {
                continue;
            };
            let (selected, shown) = selection.judge(line);
            let pieces = [stamp, &selection.prefix, line, end];
            if shown {
                pieces.into_iter().for_each(|piece| sink.stderr(piece));
            }
            if selected && selection.address.is_some() {
                sink.send(number, &pieces);
            }
            if selected && !selection.only {
                chosen.push(number);
            }
        }
    }

    fn prefix(&self, number: usize) -> Option<Prefix<'_>> {
        let selection = self.logs.get(number)?.as_ref()?;
        // What could not be sent is said in the log in front of the line, so the line may not be held back.
        let alone = selection.prefix.is_empty() && selection.address.is_none();
        (!alone).then_some(Prefix { place: self.stamp, text: &selection.prefix })
    }
}
