//! The work of multilog and the tai64n tools without any system call: nanoseconds for each line or call, and MB/s.
//!
//! Each figure is the median of many batches.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use multilog::{Engine, Pattern, Script, Sink};
use tai::{Label, Localizer, Stamper};

const LINE: usize = 100;
/// How many bytes multilog reads at once.
const BLOCK: usize = 65_536;
const BATCHES: usize = 201;
const STAMP: &[u8; Label::TEXT] = b"@400000006b02257a254bb8cc";
const PATTERNS: [&str; 10] = [
    "-*[debug]*",
    "-*[trace]*",
    "-*[verbose]*",
    "-*] GET /health*",
    "-*] HEAD *",
    "+*[error]*",
    "+*[fatal]*",
    "+*[alert]*",
    "+*[critical]*",
    "+*] POST *",
];

/// Counts the bytes that would be written, and reads the first one.
#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn stderr(&mut self, bytes: &[u8]) {
        self.log(0, bytes);
    }

    fn status(&mut self, number: usize, head: &[u8]) {
        self.log(number, head);
    }

    fn log(&mut self, _: usize, bytes: &[u8]) {
        self.0 += bytes.len() + usize::from(black_box(bytes).is_empty());
    }
}

fn main() {
    let text = lines("");
    let stamped = lines(&String::from_utf8_lossy(STAMP));
    say(format_args!("| | ns | MB/s |\n|---|--:|--:|\n"));
    for (name, stamp, patterns) in
        [("plain", false, 0), ("stamps", true, 0), ("ten patterns", false, 10), ("stamps and ten patterns", true, 10)]
    {
        let words = stamp.then_some("t").into_iter().chain(PATTERNS.into_iter().take(patterns)).chain(["./log"]);
        let mut engine = Engine::new(&Script::parse(words.map(str::as_bytes)));
        let mut sink = Count::default();
        throughput(&format!("line engine, {name}: a line"), &text, |block| engine.feed(block, STAMP, &mut sink));
        black_box(sink.0);
    }
    let mut out = Vec::with_capacity(2 * BLOCK);
    let mut stamper = Stamper::default();
    throughput("tai64n: a line", &text, |block| {
        out.clear();
        stamper.feed(block, STAMP, &mut out);
    });
    let mut localizer = Localizer::default();
    throughput("tai64nlocal: a line (the time zone apart)", &stamped, |block| {
        out.clear();
        localizer.feed(block, put, &mut out);
    });
    calls("TAI64N: text of a label", |number| Label::from_unix(number, 500).text());
    calls("TAI64N: label of a text", |_| Label::from_digits(black_box(&STAMP[1..])));
    for (name, pattern) in
        [("that matches", "*[info]*"), ("that does not", "*[debug]*"), ("that looks to the end", "*\x01*")]
    {
        let pattern = Pattern::compile(pattern.as_bytes());
        calls(&format!("pattern {name}: a line"), |_| pattern.matches(black_box(&text[..LINE - 1])));
    }
}

fn put(_: i64, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(b"2026-11-21 23:12:48");
    true
}

/// One block of whole lines, each of which begins with `front`.
fn lines(front: &str) -> Vec<u8> {
    let line = |number| {
        format!("{:.<99}\n", format!("{front} web[{}] [info] GET /articles/{number} HTTP/1.1 200", number % 97))
    };
    (0..BLOCK / LINE).flat_map(|number| line(number).into_bytes()).collect()
}

/// The time of one of the `count` operations that `run` does, in nanoseconds.
fn time(count: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[BATCHES / 2]
}

fn throughput(name: &str, block: &[u8], mut feed: impl FnMut(&[u8])) {
    let each = time(block.len() / LINE, || feed(black_box(block)));
    say(format_args!("| {name} | {each:.1} | {:.0} |\n", LINE as f64 / each * 1e3));
}

fn calls<T>(name: &str, mut call: impl FnMut(i64) -> T) {
    const COUNT: usize = 1_000;
    let each = time(COUNT, || {
        for number in 0..COUNT as i64 {
            black_box(call(black_box(number)));
        }
    });
    say(format_args!("| {name} | {each:.1} | |\n"));
}

fn say(text: std::fmt::Arguments) {
    let _ = std::io::stdout().write_fmt(text);
}
