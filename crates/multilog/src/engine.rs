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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What came out, sink by sink.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Seen {
        stderr: Vec<u8>,
        status: Vec<Vec<u8>>,
        logs: [Vec<u8>; 2],
    }

    impl Sink for Seen {
        fn stderr(&mut self, bytes: &[u8]) {
            self.stderr.extend_from_slice(bytes);
        }

        fn status(&mut self, number: usize, head: &[u8]) {
            assert_eq!(number, 0);
            self.status.push(head.to_vec());
        }

        fn log(&mut self, number: usize, bytes: &[u8]) {
            self.logs[number].extend_from_slice(bytes);
        }
    }

    const STAMP_TEXT: &[u8; STAMP] = b"@400000003b9aca0a075bcd15";
    const WORDS: [&str; 5] = ["-*x*", "./a", "e", "+*y*", "=f"];

    fn script(stamp: bool) -> Script {
        let words = stamp.then_some("t").into_iter().chain(WORDS).chain(["./b"]);
        Script::parse(words.map(str::as_bytes))
    }

    fn run(script: &Script, blocks: &[&[u8]]) -> Seen {
        let (mut engine, mut seen) = (Engine::new(script), Seen::default());
        for block in blocks {
            engine.feed(block, STAMP_TEXT, &mut seen);
        }
        engine.end(&mut seen);
        assert!(engine.at_line_start());
        seen
    }

    /// The same, line by line and without any state.
    fn model(stamp: bool, input: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let input = input.strip_suffix(b"\n").map_or(input, |_| &input[..input.len() - 1]);
        let lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
        for line in lines {
            let line = if stamp { [STAMP_TEXT, &b" "[..], line].concat() } else { line.to_vec() };
            let head = &line[..line.len().min(HEAD)];
            let has = |byte| head.contains(&byte);
            // `-*x*` and `+*y*`: a star up to the byte, and one for the rest.
            let first = !has(b'x');
            let second = first || has(b'y');
            if first {
                seen.logs[0].extend_from_slice(&[&line, &b"\n"[..]].concat());
                let shown = if head.len() > SHOWN { [&head[..SHOWN], b"..."].concat() } else { head.to_vec() };
                seen.stderr.extend_from_slice(&[&shown, &b"\n"[..]].concat());
            }
            if second {
                seen.status.push(head.to_vec());
                seen.logs[1].extend_from_slice(&[&line, &b"\n"[..]].concat());
            }
        }
        seen
    }

    /// Lines of all kinds, many about as long as the head.
    fn input() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"abxy\n\0\xff".to_vec());
        let filler = prop_oneof![Just(0_usize), Just(199), Just(973), Just(974), Just(999), Just(1000), 0..3000_usize];
        let piece = (vec(byte, 0..6), filler).prop_map(|(front, filler)| [front, vec![b'.'; filler]].concat());
        vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_comes_out_does_not_depend_on_how_the_input_is_cut(
            input in input(),
            stamp: bool,
            cuts in vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let blocks: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            let script = script(stamp);
            prop_assert_eq!(run(&script, &blocks), run(&script, &[&input]));
        }

        #[test]
        fn each_line_is_treated_as_the_script_says(input in input(), stamp: bool) {
            let expected = if input.is_empty() { Seen::default() } else { model(stamp, &input) };
            prop_assert_eq!(run(&script(stamp), &[&input]), expected);
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
