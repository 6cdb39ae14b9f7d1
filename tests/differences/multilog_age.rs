//! daemontools 0.76 begins a new file only when one is full, and takes the word `a` for nothing. Ours also finishes a `current` that is as old as `a`
//! says, though nothing more is written. Why: a log that is seldom written to has lines in `current` for months, which no processor has
//! sent away or compressed, and which stay longer than they may.

use std::fs;
use std::io::{PipeWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tai::Label;
use testkit::{Running, Scratch, Suite, finish_with, holds_for, start, wait_rest, wait_until};

/// A multilog whose input goes on.
struct Logger {
    running: Running,
    input: PipeWriter,
}

impl Logger {
    fn start(scratch: &Scratch, words: &[&str]) -> Logger {
        Logger::run(scratch.command("multilog", words))
    }

    fn run(mut command: Command) -> Logger {
        let (reader, input) = std::io::pipe().expect("a pipe");
        let running = start(command.stdin(reader).stdout(Stdio::null()));
        Logger { running, input }
    }

    fn write(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).expect("read by multilog");
    }

    /// How often it has waited, which goes on while it looks again and again.
    fn waits(&self) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.pid())).ok()?;
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned)
    }

    #[track_caller]
    fn end(mut self) {
        drop(self.input);
        assert_eq!(self.running.end(), 0);
    }
}

/// What the old files of a log hold, the oldest first. One that is being finished may be missing.
fn old_files(scratch: &Scratch, log: &str) -> Vec<String> {
    let entries = fs::read_dir(scratch.path(log)).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("it is there")).collect()
}

/// A log as an orderly end has left it.
fn left(scratch: &Scratch, text: &str) {
    let current = scratch.write("log/current", text);
    fs::set_permissions(current, PermissionsExt::from_mode(0o744)).expect("ours");
}

/// The label of so many seconds ago.
fn ago(seconds: i64) -> Label {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    Label::from_unix(now.cast_signed() - seconds, 0)
}

fn text(stamp: &[u8]) -> String {
    String::from_utf8_lossy(stamp).into_owned()
}

#[test]
fn a_file_is_finished_when_it_is_old_and_nothing_is_written() {
    for ordinary in [false, true] {
        let scratch = Scratch::with(Suite::under_test());
        scratch.mkdir_given("mine");
        let words = ["a300ms", "!tr a b", "./mine/log"];
        let command = if ordinary { scratch.ordinary("multilog", &words) } else { scratch.command("multilog", &words) };
        let mut logger = Logger::run(command);
        let begin = Instant::now();
        logger.write("a\n");
        wait_until("an old file", || old_files(&scratch, "mine/log") == ["b\n"]);
        assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
        wait_until("a new file", || scratch.text("mine/log/current").is_empty());
        // And once more.
        logger.write("aa\n");
        wait_until("two old files", || old_files(&scratch, "mine/log") == ["b\n", "bb\n"]);
        logger.end();
    }
}

#[test]
fn an_empty_file_stays_and_wakes_nobody() {
    let scratch = Scratch::with(Suite::under_test());
    let mut logger = Logger::start(&scratch, &["a50ms", "./log", "-*", "./empty"]);
    logger.write("a\n");
    wait_until("an old file", || old_files(&scratch, "log") == ["a\n"]);
    wait_rest("it waits for input alone", Duration::from_millis(700), || logger.waits());
    assert_eq!((old_files(&scratch, "log").len(), old_files(&scratch, "empty").len()), (1, 0));
    logger.end();
}

#[test]
fn nobody_looks_whether_a_file_is_old_yet() {
    let scratch = Scratch::with(Suite::under_test());
    let mut logger = Logger::start(&scratch, &["a1h", "./log"]);
    logger.write("a\n");
    wait_until("it is written", || scratch.path("log/current").exists() && scratch.text("log/current") == "a\n");
    wait_rest("it waits for its time", Duration::from_millis(700), || logger.waits());
    assert_eq!(old_files(&scratch, "log").len(), 0);
    logger.end();
}

#[test]
fn the_age_counts_from_the_first_line_though_there_are_always_more() {
    let scratch = Scratch::with(Suite::under_test());
    let mut logger = Logger::start(&scratch, &["a400ms", "n1000", "./log"]);
    let mut written = String::new();
    wait_until("three old files", || {
        let line = format!("{:020}\n", written.len());
        logger.write(&line);
        written.push_str(&line);
        old_files(&scratch, "log").len() >= 3
    });
    logger.end();
    assert_eq!([old_files(&scratch, "log").concat(), scratch.text("log/current")].concat(), written);
}

#[test]
fn a_line_that_has_begun_is_not_split() {
    let scratch = Scratch::with(Suite::under_test());
    let mut logger = Logger::start(&scratch, &["a200ms", "./log"]);
    // So much of a line is written before its end is there.
    let begun = "x".repeat(1500);
    logger.write(&format!("a\n{begun}"));
    let current = format!("a\n{begun}");
    wait_until("it is written", || scratch.path("log/current").exists() && scratch.text("log/current") == current);
    holds_for(Duration::from_millis(700), "the line is not complete", || old_files(&scratch, "log").is_empty());
    wait_rest("it waits for the line alone", Duration::from_millis(500), || logger.waits());
    logger.write("y\nb\n");
    wait_until("two old files", || old_files(&scratch, "log") == [format!("a\n{begun}y\n").as_str(), "b\n"]);
    logger.end();
}

#[test]
fn each_log_has_its_own_age() {
    let scratch = Scratch::with(Suite::under_test());
    let words = ["./never", "a1h", "./late", "a600ms", "./soon", "a0", "./not", "a200ms", "./first"];
    let mut logger = Logger::start(&scratch, &words);
    logger.write("a\n");
    wait_until("two old files", || ["first", "soon"].iter().all(|log| old_files(&scratch, log) == ["a\n"]));
    logger.end();
    for log in ["never", "late", "not"] {
        assert_eq!(
            (old_files(&scratch, log).len(), scratch.text(format!("{log}/current"))),
            (0, "a\n".into()),
            "{log}"
        );
    }
}

#[test]
fn signals_are_obeyed_while_a_file_grows_older() {
    let scratch = Scratch::with(Suite::under_test());
    let mut logger = Logger::start(&scratch, &["a1h", "./log"]);
    logger.write("a\n");
    wait_until("it is written", || scratch.path("log/current").exists() && scratch.text("log/current") == "a\n");
    wait_rest("it waits", Duration::from_millis(100), || logger.waits());
    logger.running.signal("ALRM");
    wait_until("an old file", || old_files(&scratch, "log") == ["a\n"]);
    logger.write("b\n");
    wait_until("it is written", || scratch.text("log/current") == "b\n");
    wait_rest("it waits", Duration::from_millis(100), || logger.waits());
    logger.running.signal("TERM");
    assert_eq!(logger.running.end(), 0);
    assert_eq!((old_files(&scratch, "log").len(), scratch.text("log/current")), (1, "b\n".into()));
}

#[test]
fn after_a_restart_a_file_is_as_old_as_its_first_stamp() {
    let of = |label: Label| [text(&label.text()), text(&label.utc())];
    let old = of(ago(3_700));
    let young = of(ago(3_000));
    // The clock was set back since.
    let future = of(ago(-1_000_000));
    for (stamps, is_old) in [(old, true), (young, false), (future, false)] {
        for (stamp, word) in stamps.iter().zip(["t", "i"]) {
            for mtime in [0, 10_000] {
                let scratch = Scratch::with(Suite::under_test());
                let line = format!("{stamp} a\n");
                left(&scratch, &line);
                let current = fs::File::open(scratch.path("log/current")).expect("it is there");
                current.set_modified(SystemTime::now() - Duration::from_secs(mtime)).expect("ours");
                let done = finish_with(&mut scratch.command("multilog", &[word, "a1h", "./log"]), b"");
                assert_eq!((done.code, done.err().as_str()), (0, ""));
                let expected = if is_old { [&line, ""] } else { ["", &line] };
                let found = [old_files(&scratch, "log").concat(), scratch.text("log/current")];
                assert_eq!(found, expected, "{stamp} {mtime}");
            }
        }
    }
}

#[test]
fn after_a_restart_a_file_without_a_stamp_is_as_old_as_its_last_change() {
    for (first, mtime, is_old) in [
        ("a\n", 3_700, true),
        ("a\n", 3_000, false),
        // Nearly stamps.
        ("@400000003b9aca0a075bcd1 a\n", 3_000, false),
        ("2001-09-09T01:46:40.123456 a\n", 3_000, false),
        ("", 3_700, false),
    ] {
        let scratch = Scratch::with(Suite::under_test());
        left(&scratch, first);
        let current = fs::File::open(scratch.path("log/current")).expect("it is there");
        current.set_modified(SystemTime::now() - Duration::from_secs(mtime)).expect("ours");
        assert_eq!(finish_with(&mut scratch.command("multilog", &["a1h", "./log"]), b"").code, 0);
        assert_eq!(old_files(&scratch, "log").concat(), if is_old { first } else { "" }, "{first} {mtime}");
    }
}

#[test]
fn after_a_restart_only_the_rest_of_the_time_is_waited_for() {
    let scratch = Scratch::with(Suite::under_test());
    let line = format!("{} a\n", text(&ago(3_590).text()));
    left(&scratch, &line);
    let logger = Logger::start(&scratch, &["t", "a1h", "./log"]);
    wait_until("an old file", || old_files(&scratch, "log") == [line.as_str()]);
    logger.end();
}

#[test]
fn what_is_no_time_is_wrong_usage() {
    const NO_TIME: &str = "not a number with ms, s, m, h or d behind it";
    for (word, why) in [
        ("a", NO_TIME),
        ("ah", NO_TIME),
        ("all", NO_TIME),
        ("a5w", NO_TIME),
        ("a5H", NO_TIME),
        ("a1h30m", NO_TIME),
        ("a60", "it has no unit: say ms, s, m, h or d"),
        ("a-1h", "negative number"),
        ("a213504d", "too large"),
        ("a99999999999999999999s", "too large"),
    ] {
        let scratch = Scratch::with(Suite::under_test());
        let done = finish_with(&mut scratch.command("multilog", &[word, "./log"]), b"");
        assert_eq!((done.code, done.err()), (100, format!("multilog: fatal: wrong action {word}: {why}\n")));
        assert!(!scratch.path("log").exists());
    }
    let scratch = Scratch::with(Suite::under_test());
    let done = finish_with(&mut scratch.command("multilog", &["a1h", "a2h", "./log"]), b"");
    let line = "multilog: fatal: wrong action a2h: there is one for the same directories already\n";
    assert_eq!((done.code, done.err().as_str()), (100, line));
}
