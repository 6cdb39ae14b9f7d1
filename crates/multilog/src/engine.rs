//! The line engine: it takes bytes, and lets rules decide for each line where it goes.
//!
//! A line is decided on when it is complete, when as many bytes of it are there as the rules look at, or when the input
//! ends. The rest of a longer line goes to the logs as it
//! comes. It makes no difference how the input is cut into blocks, and no line costs an allocation.

use std::ops::Range;

use memchr::{memchr, memchr_iter};
use tai::Stamper;

use crate::rules::{Actions, Rules};
use crate::script::Script;

/// How many bytes of stamped lines are collected before they are passed on.
const STAMPED: usize = 65_536;
/// How many bytes of input are stamped at once: an empty line becomes up to 29 times as long.
const PIECE: usize = 1_024;
/// The room for the beginning of a line that is allocated at the start, at most.
const ROOM: usize = 65_536;

/// The receiver of lines.
pub trait Sink {
    /// Takes bytes for stderr.
    fn stderr(&mut self, bytes: &[u8]);
    /// Takes a line, without its newline, for the status file with this number.
    fn status(&mut self, number: usize, head: &[u8]);
    /// Takes bytes for the log with this number.
    fn log(&mut self, number: usize, bytes: &[u8]);
    /// Takes a line, which these pieces make together, to be sent to the address of the log with this number. Rules without addresses never call this.
    fn send(&mut self, _number: usize, _pieces: &[&[u8]]) {}
}

/// The engine, with its state between two blocks.
#[derive(Clone, Debug)]
pub struct Engine<R = Actions> {
    /// Puts stamps in front of the lines, if that is wanted.
    stamped: Option<Stamped>,
    lines: Lines<R>,
}

impl Engine {
    /// Makes an engine for `script`.
    pub fn new(script: &Script) -> Engine {
        Engine::with(Actions::of(script), script.stamp.map(|stamp| stamp.length()))
    }
}

impl<R: Rules> Engine<R> {
    /// Makes an engine for any rules. `stamp` is the length of the stamp that each line gets, without the space behind it.
    pub fn with(rules: R, stamp: Option<usize>) -> Engine<R> {
        Engine { stamped: stamp.map(Stamped::new), lines: Lines::new(rules) }
    }

    /// Lets other rules, for as many logs, decide on all lines that are not decided on yet.
    pub fn set_rules(&mut self, rules: R) {
        self.lines.rules = rules;
    }

    /// Returns whether each line gets a stamp.
    pub fn stamps(&self) -> bool {
        self.stamped.is_some()
    }

    /// Takes `block`. `stamp` is the text of the time of the lines that begin in it.
    pub fn feed<const N: usize>(&mut self, block: &[u8], stamp: &[u8; N], sink: &mut impl Sink) {
        match &mut self.stamped {
            Some(stamped) => stamped.feed(block, stamp, |text| self.lines.feed(text, sink)),
            None => self.lines.feed(block, sink),
        }
    }

    /// Ends the input: an incomplete last line gets a newline.
    pub fn end(&mut self, sink: &mut impl Sink) {
        if !self.at_line_start() {
            // In the middle of a line the stamp is not used.
            self.feed(b"\n", b"", sink);
        }
    }

    /// Returns whether every line that has begun is complete.
    pub fn at_line_start(&self) -> bool {
        self.lines.head.is_empty() && !self.lines.in_tail
    }
}

/// Puts a stamp and a space in front of each line, and passes the result on to the lines.
#[derive(Clone, Debug)]
struct Stamped {
    stamper: Stamper,
    text: Vec<u8>,
}

impl Stamped {
    fn new(stamp: usize) -> Stamped {
        let text = Vec::with_capacity(STAMPED + PIECE * (1 + stamp + 1));
        Stamped { stamper: Stamper::default(), text }
    }

    fn feed<const N: usize>(&mut self, block: &[u8], stamp: &[u8; N], mut take: impl FnMut(&[u8])) {
        for piece in block.chunks(PIECE) {
            self.stamper.feed(piece, stamp, &mut self.text);
            if self.text.len() >= STAMPED {
                take(&self.text);
                self.text.clear();
            }
        }
        take(&self.text);
        self.text.clear();
    }
}

/// The state of the lines, and the rules that decide on them.
#[derive(Clone, Debug)]
struct Lines<R> {
    rules: R,
    /// The beginning of a line that is not decided on yet.
    head: Vec<u8>,
    /// Whether the line was decided on but is not complete.
    in_tail: bool,
    /// The logs to which the last line that was decided on goes.
    chosen: Vec<usize>,
    /// For each log, the adjacent lines of the block that go there and were not sent yet.
    runs: Vec<Range<usize>>,
}

impl<R: Rules> Lines<R> {
    fn new(rules: R) -> Lines<R> {
        let head = Vec::with_capacity(rules.head().saturating_add(1).min(ROOM));
        let (chosen, runs) = (Vec::with_capacity(rules.logs()), vec![0..0; rules.logs()]);
        Lines { rules, head, in_tail: false, chosen, runs }
    }

    fn feed(&mut self, mut block: &[u8], sink: &mut impl Sink) {
        while !block.is_empty() {
            block = if self.in_tail {
                self.take_tail(block, sink)
            } else if !self.head.is_empty() {
                self.take_head(block, sink)
            } else {
                self.take_lines(block, sink);
                return;
            };
        }
    }

    /// Takes lines from a line start on. They are not copied, except for the last one if its end is missing.
    fn take_lines(&mut self, block: &[u8], sink: &mut impl Sink) {
        let most = self.rules.head();
        let mut start = 0;
        for end in memchr_iter(b'\n', block) {
            let line = block.get(start..end).unwrap_or_default();
            self.rules.decide(line.get(..most).unwrap_or(line), &mut self.chosen, sink);
            self.extend_runs(start..end + 1, block, sink);
            start = end + 1;
        }
        let rest = block.get(start..).unwrap_or_default();
        if let Some(head) = rest.get(..most) {
            self.rules.decide(head, &mut self.chosen, sink);
            self.extend_runs(start..block.len(), block, sink);
            self.in_tail = true;
        } else {
            self.head.extend_from_slice(rest);
        }
        self.send_runs(block, sink);
    }

    /// Continues a line that began in an earlier block, up to its end or until the head is full. Returns the rest of
    /// the block.
    fn take_head<'a>(&mut self, block: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let most = self.rules.head();
        let room = most.saturating_sub(self.head.len());
        let window = block.get(..=room).unwrap_or(block);
        if let Some(end) = memchr(b'\n', window) {
            let (line, rest) = block.split_at(end);
            self.head.extend_from_slice(line);
            self.finish_head(true, sink);
            return rest.get(1..).unwrap_or_default();
        }
        let (part, rest) = block.split_at(room.min(block.len()));
        self.head.extend_from_slice(part);
        if self.head.len() >= most {
            self.finish_head(false, sink);
        }
        rest
    }

    /// Decides on the line in the head. If it is not `complete`, its tail follows.
    fn finish_head(&mut self, complete: bool, sink: &mut impl Sink) {
        self.rules.decide(&self.head, &mut self.chosen, sink);
        if complete {
            self.head.push(b'\n');
        }
        for &number in &self.chosen {
            match self.rules.prefix(number) {
                Some(prefix) => prefix.put(number, &self.head, sink),
                None => sink.log(number, &self.head),
            }
        }
        self.head.clear();
        self.in_tail = !complete;
    }

    fn take_tail<'a>(&mut self, block: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let end = memchr(b'\n', block);
        let (tail, rest) = block.split_at(end.map_or(block.len(), |at| at + 1));
        for &number in &self.chosen {
            sink.log(number, tail);
        }
        self.in_tail = end.is_none();
        rest
    }

    /// Adds a line to the runs of the chosen logs. A run that the line does not continue is sent first.
    fn extend_runs(&mut self, line: Range<usize>, block: &[u8], sink: &mut impl Sink) {
        for &number in &self.chosen {
            if let Some(prefix) = self.rules.prefix(number) {
                prefix.put(number, block.get(line.clone()).unwrap_or_default(), sink);
                continue;
            }
            let Some(run) = self.runs.get_mut(number) else {
                continue;
            };
            if run.end != line.start {
                send(number, run, block, sink);
                run.start = line.start;
            }
            run.end = line.end;
        }
    }

    fn send_runs(&mut self, block: &[u8], sink: &mut impl Sink) {
        for (number, run) in self.runs.iter_mut().enumerate() {
            send(number, run, block, sink);
            *run = 0..0;
        }
    }
}

fn send(number: usize, run: &Range<usize>, block: &[u8], sink: &mut impl Sink) {
    if let Some(bytes) = block.get(run.clone()).filter(|bytes| !bytes.is_empty()) {
        sink.log(number, bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::rules::{HEAD, SHOWN};
    use crate::script::{Action, Stamp};
    use tai::Label;

    /// What came out, sink by sink.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Seen {
        stderr: Vec<u8>,
        status: Vec<(usize, Vec<u8>)>,
        logs: [Vec<u8>; MOST],
    }

    impl Sink for Seen {
        fn stderr(&mut self, bytes: &[u8]) {
            self.stderr.extend_from_slice(bytes);
        }

        fn status(&mut self, number: usize, head: &[u8]) {
            self.status.push((number, head.to_vec()));
        }

        fn log(&mut self, number: usize, bytes: &[u8]) {
            self.logs[number].extend_from_slice(bytes);
        }
    }

    const STAMP_TEXT: &[u8; Label::TEXT] = b"@400000003b9aca0a075bcd15";
    const UTC_TEXT: &[u8; Label::UTC] = b"2001-09-09T01:46:40.123456Z";
    const WORDS: [&[u8]; 10] = [b"-*x*", b"+*y*", b"-*", b"+*a", b"-* b*", b"e", b"=f", b"./a", b"./b", b"./c"];
    /// How many words a script here has, and so how many logs it may have.
    const MOST: usize = 7;

    fn run(script: &Script, blocks: &[&[u8]]) -> Seen {
        let (mut engine, mut seen) = (Engine::new(script), Seen::default());
        for block in blocks {
            match script.stamp {
                Some(Stamp::Utc) => engine.feed(block, UTC_TEXT, &mut seen),
                Some(Stamp::Label) | None => engine.feed(block, STAMP_TEXT, &mut seen),
            }
        }
        engine.end(&mut seen);
        assert!(engine.at_line_start());
        seen
    }

    /// The same, line by line and without any state.
    fn model(script: &Script, input: &[u8]) -> Seen {
        let mut seen = Seen::default();
        for line in input.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = match script.stamp {
                Some(Stamp::Label) => [STAMP_TEXT, &b" "[..], line].concat(),
                Some(Stamp::Utc) => [UTC_TEXT, &b" "[..], line].concat(),
                None => line.to_vec(),
            };
            let head = &line[..line.len().min(HEAD)];
            let mut selected = true;
            for action in &script.actions {
                match action {
                    Action::Select(pattern) if !selected => selected = pattern.matches(head),
                    Action::Deselect(pattern) if selected => selected = !pattern.matches(head),
                    Action::Stderr if selected => {
                        let (shown, dots) = if head.len() > SHOWN { (&head[..SHOWN], "...") } else { (head, "") };
                        seen.stderr.extend_from_slice(&[shown, dots.as_bytes(), b"\n"].concat());
                    }
                    Action::Status(number) if selected => seen.status.push((*number, head.to_vec())),
                    Action::Log(number) if selected => {
                        seen.logs[*number].extend_from_slice(&[&line, &b"\n"[..]].concat());
                    }
                    Action::Select(_) | Action::Deselect(_) => {}
                    Action::Stderr | Action::Status(_) | Action::Log(_) => {}
                }
            }
        }
        seen
    }

    fn script() -> impl Strategy<Value = Script> {
        let words = vec(prop::sample::select(WORDS.to_vec()), 1..=MOST);
        let stamp = prop::sample::select(vec![None, Some(&b"t"[..]), Some(b"i")]);
        (stamp, words).prop_map(|(stamp, words)| Script::parse(stamp.into_iter().chain(words)))
    }

    /// Lines of all kinds, many about as long as the head, and empty ones that fill more than a block with their stamps.
    fn input() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"abxy\n\0\xff".to_vec());
        let length = prop_oneof![
            Just(0_usize),
            Just(199),
            Just(971),
            Just(972),
            Just(973),
            Just(974),
            Just(999),
            Just(1000),
            0..3000_usize
        ];
        let filler = prop_oneof![9 => Just(b'.'), 1 => Just(b'\n')];
        let piece = (vec(byte, 0..6), length, filler)
            .prop_map(|(front, length, filler)| [front, vec![filler; length]].concat());
        vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn each_line_is_treated_as_the_script_says_however_the_input_is_cut(
            script in script(),
            input in input(),
            cuts in vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let blocks: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(run(&script, &blocks), model(&script, &input));
        }
    }

    #[test]
    fn an_unfinished_line_waits_until_a_thousand_bytes_are_there() {
        let script = Script::parse([&b"./a"[..]]);
        let (mut engine, mut seen) = (Engine::new(&script), Seen::default());
        engine.feed(&[b'.'; HEAD - 1], STAMP_TEXT, &mut seen);
        assert_eq!(seen, Seen::default());
        assert!(!engine.at_line_start());
        engine.feed(b".", STAMP_TEXT, &mut seen);
        assert_eq!(seen.logs[0].len(), HEAD);
        engine.feed(b"!", STAMP_TEXT, &mut seen);
        assert_eq!(seen.logs[0].len(), HEAD + 1);
        assert!(!engine.at_line_start());
    }

    #[test]
    fn a_line_keeps_the_stamp_of_its_first_byte() {
        let script = Script::parse([&b"t"[..], b"./a"]);
        let (mut engine, mut seen) = (Engine::new(&script), Seen::default());
        engine.feed(b"a", STAMP_TEXT, &mut seen);
        engine.feed(b"b\nc\n", b"@400000003b9aca0b00000000", &mut seen);
        assert_eq!(seen.logs[0], b"@400000003b9aca0a075bcd15 ab\n@400000003b9aca0b00000000 c\n");
    }
}
