//! The line engine: bytes in, and for each line what is to be done with it.
//!
//! A line is decided on when it is complete, when 1000 bytes of it (the stamp among them) are there, or when the input
//! ends; patterns, stderr and status files see no more of it than these. What is longer goes to the logs as it comes.
//! How the input is cut into blocks makes no difference, and no line costs an allocation.

use memchr::memchr;

use crate::script::{Action, Script};

/// How much of a line is looked at.
pub const HEAD: usize = 1_000;
/// How much of it `e` shows.
const SHOWN: usize = 200;
/// `@`, 24 digits.
const STAMP: usize = tai::Label::TEXT;

/// Where lines go.
pub trait Sink {
    /// These bytes go to stderr.
    fn stderr(&mut self, bytes: &[u8]);
    /// This line, without its end, goes into the status file of that number.
    fn status(&mut self, number: usize, head: &[u8]);
    /// These bytes go to the log of that number.
    fn log(&mut self, number: usize, bytes: &[u8]);
}

/// The state between two blocks.
#[derive(Clone, Debug)]
pub struct Engine {
    stamp: bool,
    actions: Vec<Action>,
    /// A line that is not decided on yet, and room for its end.
    head: [u8; HEAD + 1],
    len: usize,
    /// Whether the line was decided on but is not complete.
    in_tail: bool,
    /// The logs that the last line decided on goes to.
    chosen: Vec<usize>,
}

impl Engine {
    /// One that does what `script` says.
    pub fn new(script: &Script) -> Engine {
        let actions = script.actions.clone();
        let chosen = Vec::with_capacity(actions.len());
        Engine { stamp: script.stamp, actions, head: [b'\n'; HEAD + 1], len: 0, in_tail: false, chosen }
    }

    /// Takes `block`. `stamp` is the time of the lines that begin in it.
    pub fn feed(&mut self, mut block: &[u8], stamp: &[u8; STAMP], sink: &mut impl Sink) {
        while !block.is_empty() {
            block = match (self.in_tail, self.stamp) {
                (true, _) => self.take_tail(block, sink),
                (false, true) => self.take_stamped(block, stamp, sink),
                (false, false) => self.take_plain(block, sink),
            };
        }
    }

    /// The input is over: a line that is not complete gets its end.
    pub fn end(&mut self, sink: &mut impl Sink) {
        if !self.at_line_start() {
            // As if the end had come; the stamp is never looked at in the middle of a line.
            self.feed(b"\n", &[0; STAMP], sink);
        }
    }

    /// Whether every line that has begun is complete.
    pub fn at_line_start(&self) -> bool {
        self.len == 0 && !self.in_tail
    }

    fn take_stamped<'a>(&mut self, block: &'a [u8], stamp: &[u8; STAMP], sink: &mut impl Sink) -> &'a [u8] {
        if self.len == 0 {
            self.append(stamp);
            self.append(b" ");
        }
        self.take_head(block, sink)
    }

    /// A line that is all in `block` is not copied.
    fn take_plain<'a>(&mut self, block: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let window = block.get(..=HEAD).unwrap_or(block);
        let whole = if self.len == 0 { memchr(b'\n', window) } else { None };
        let Some((line, rest)) = whole.and_then(|end| block.split_at_checked(end + 1)) else {
            return self.take_head(block, sink);
        };
        decide(&self.actions, line.strip_suffix(b"\n").unwrap_or(line), &mut self.chosen, sink);
        put(&self.chosen, line, sink);
        rest
    }

    /// Fills the head up to the line's end, or as far as it goes.
    fn take_head<'a>(&mut self, block: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let room = HEAD.saturating_sub(self.len);
        let window = block.get(..=room).unwrap_or(block);
        if let Some(end) = memchr(b'\n', window) {
            let (line, rest) = block.split_at(end);
            self.append(line);
            self.finish_head(true, sink);
            return rest.get(1..).unwrap_or_default();
        }
        let (part, rest) = block.split_at(room.min(block.len()));
        self.append(part);
        if self.len == HEAD {
            self.finish_head(false, sink);
        }
        rest
    }

    /// Decides on the line. Its tail follows if it is not `complete`.
    fn finish_head(&mut self, complete: bool, sink: &mut impl Sink) {
        decide(&self.actions, self.head.get(..self.len).unwrap_or_default(), &mut self.chosen, sink);
        if complete {
            self.append(b"\n");
        }
        put(&self.chosen, self.head.get(..self.len).unwrap_or_default(), sink);
        self.len = 0;
        self.in_tail = !complete;
    }

    fn take_tail<'a>(&mut self, block: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let end = memchr(b'\n', block);
        let (tail, rest) = block.split_at(end.map_or(block.len(), |at| at + 1));
        put(&self.chosen, tail, sink);
        self.in_tail = end.is_none();
        rest
    }

    /// Adds to the head what has room there.
    fn append(&mut self, bytes: &[u8]) {
        if let Some(room) = self.head.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

/// Runs the actions on the head of a line.
fn decide(actions: &[Action], head: &[u8], chosen: &mut Vec<usize>, sink: &mut impl Sink) {
    chosen.clear();
    let mut selected = true;
    for action in actions {
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

fn put(chosen: &[usize], bytes: &[u8], sink: &mut impl Sink) {
    for &number in chosen {
        sink.log(number, bytes);
    }
}

/// The line for stderr: what is long is cut short.
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
