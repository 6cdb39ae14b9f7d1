//! Any script and any input, cut anywhere: cuts make no difference, and what a log gets are lines of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multilog::{Engine, Script, Sink, Stamp};

#[derive(Debug, Default, PartialEq, Eq)]
struct Sunk {
    stderr: Vec<u8>,
    status: Vec<(usize, Vec<u8>)>,
    logs: Vec<Vec<u8>>,
}

impl Sink for Sunk {
    fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
    }

    fn status(&mut self, number: usize, head: &[u8]) {
        assert!(head.len() <= 1000);
        self.status.push((number, head.to_vec()));
    }

    fn log(&mut self, number: usize, bytes: &[u8]) {
        if self.logs.len() <= number {
            self.logs.resize_with(number + 1, Vec::new);
        }
        self.logs[number].extend_from_slice(bytes);
    }
}

fuzz_target!(|case: (Vec<Vec<u8>>, Vec<u8>, usize)| {
    let (mut words, mut input, cut) = case;
    // The values of some actions are parsed, which a fuzzer seldom begins with.
    for (word, first) in words.iter_mut().zip(b"iams").filter(|(word, _)| word.first() == Some(&b'V')) {
        word[0] = *first;
    }
    // Lines of more than a thousand bytes are rare in what a fuzzer makes.
    if input.first() == Some(&b'L') {
        input = input.iter().flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'\n' { 1 } else { 97 })).collect();
    }
    let script = Script::parse(words.iter().map(Vec::as_slice));
    for plan in &script.logs {
        assert!((4_096..=2_147_483_647).contains(&plan.size) && plan.kept >= 2);
        assert!(plan.total != Some(0) && plan.age != Some(0));
    }
    if let Some(wrong) = &script.wrong {
        assert!(words.contains(&wrong.word) && b"aimst".contains(&wrong.word[0]));
    }
    let label = tai::Label::from_unix(1_000_000_000, 500);
    let feed = |engine: &mut Engine, bytes: &[u8], sunk: &mut Sunk| match script.stamp {
        Some(Stamp::Utc) => engine.feed(bytes, &label.utc(), sunk),
        Some(Stamp::Label) | None => engine.feed(bytes, &label.text(), sunk),
    };

    let mut whole = Sunk::default();
    let mut engine = Engine::new(&script);
    feed(&mut engine, &input, &mut whole);
    engine.end(&mut whole);
    assert!(engine.at_line_start());

    let (front, back) = input.split_at(cut % (input.len() + 1));
    let mut pieces = Sunk::default();
    let mut engine = Engine::new(&script);
    feed(&mut engine, front, &mut pieces);
    feed(&mut engine, back, &mut pieces);
    engine.end(&mut pieces);
    assert_eq!(whole, pieces);

    let begun = input.split_inclusive(|&byte| byte == b'\n').count();
    let most = input.len() + 1 + script.stamp.map_or(0, |stamp| begun * (stamp.length() + 1));
    for log in &whole.logs {
        assert!(log.len() <= most && (log.is_empty() || log.ends_with(b"\n")));
    }
});
