//! What a program of the family does with each line, and multilog's way: the actions of its script.

use crate::engine::Sink;
use crate::script::{Action, Script};

/// How many bytes of a line multilog looks at.
pub const HEAD: usize = 1_000;
/// How many bytes of a line `e` shows.
pub(crate) const SHOWN: usize = 200;

/// How a program of the family decides on a line.
pub trait Rules {
    /// How many bytes of a line are looked at, with the stamp and its space: as many as [`decide`](Rules::decide) gets at most.
    fn head(&self) -> usize;

    /// How many logs there are.
    fn logs(&self) -> usize;

    /// Does what is to be done with the head of a line, and leaves in `chosen` the logs that the line goes to.
    fn decide(&self, head: &[u8], chosen: &mut Vec<usize>, sink: &mut impl Sink);

    /// What the lines of a log get behind their stamp. `None`: nothing, so that many lines are passed on at once.
    fn prefix(&self, _number: usize) -> Option<Prefix<'_>> {
        None
    }
}

/// A text that stands in each line of a log.
#[derive(Clone, Copy, Debug)]
pub struct Prefix<'a> {
    /// How many bytes of the line stand in front of it.
    pub place: usize,
    /// The text.
    pub text: &'a [u8],
}

impl Prefix<'_> {
    /// Sends a line, or its beginning, with the text in it.
    pub(crate) fn put(self, number: usize, line: &[u8], sink: &mut impl Sink) {
        let (stamp, rest) = line.split_at(self.place.min(line.len()));
        for piece in [stamp, self.text, rest] {
            sink.log(number, piece);
        }
    }
}

/// The actions of a script, which are done in their order.
#[derive(Clone, Debug)]
pub struct Actions {
    actions: Vec<Action>,
    logs: usize,
}

impl Actions {
    /// The actions of `script`.
    pub(crate) fn of(script: &Script) -> Actions {
        Actions { actions: script.actions.clone(), logs: script.logs.len() }
    }
}

impl Rules for Actions {
    fn head(&self) -> usize {
        HEAD
    }

    fn logs(&self) -> usize {
        self.logs
    }

    fn decide(&self, head: &[u8], chosen: &mut Vec<usize>, sink: &mut impl Sink) {
        chosen.clear();
        let mut selected = true;
        for action in &self.actions {
            match action {
                Action::Select(pattern) => selected = selected || pattern.matches(head),
                Action::Deselect(pattern) => selected = selected && !pattern.matches(head),
                Action::Stderr if selected => show(head, sink),
                Action::Status(number) if selected => sink.status(*number, head),
                Action::Log(number) if selected => chosen.push(*number),
                Action::Stderr | Action::Status(_) | Action::Log(_) => {}
            }
        }
    }
}

/// Sends a line to stderr, cut off if it is long.
fn show(head: &[u8], sink: &mut impl Sink) {
    match head.split_at_checked(SHOWN) {
        Some((front, rest)) if !rest.is_empty() => {
            sink.stderr(front);
            sink.stderr(b"...\n");
        }
        Some(_) | None => {
            sink.stderr(head);
            sink.stderr(b"\n");
        }
    }
}
