//! daemontools 0.76 takes the word `i` for nothing. Ours puts the time in front of each line, as `t` does, but so that people and other programs
//! can read it: UTC in the form of ISO 8601. Why: who collects logs of several programs wants one form of time, and
//! tai64nlocal between a log and its reader is one program more. `t` and `i` together are wrong usage, and so is an `i` that is not the first
//! word: a log without the stamps that somebody wanted would not be noticed before it is needed.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use tai::Label;
use testkit::{Scratch, Suite, finish_with, start, wait_until};

/// What `current` holds when multilog has read `input` as these words say.
fn logged(words: &[&str], input: &[u8]) -> Vec<u8> {
    let scratch = Scratch::with(Suite::under_test());
    let done = finish_with(&mut scratch.command("multilog", &[words, &["s1000000", "./log"]].concat()), input);
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    scratch.read("log/current")
}

/// Microseconds since 1970.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_micros()
}

/// Splits a line into the time of its stamp, in microseconds since 1970, and the rest.
#[track_caller]
fn split(line: &[u8]) -> (u128, &[u8]) {
    let (stamp, rest) = line.split_at_checked(27).expect("a stamp");
    let stamp = Label::from_utc(stamp).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(line)));
    let seconds = u128::try_from(stamp.unix_seconds()).expect("it is later");
    (seconds * 1_000_000 + u128::from(stamp.nanos / 1_000), rest.strip_prefix(b" ").expect("a space"))
}

#[test]
fn each_line_gets_the_time_in_utc_and_stays_as_it_is() {
    let long = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
    for input in [&b"a\nb\n"[..], b"\n\n", b"\0\xff\n2026-12-01T06:07:08.123456Z b\n", &long, &b"\n".repeat(10_000)] {
        let before = now();
        let log = logged(&["i"], input);
        let after = now();
        let mut rest = Vec::new();
        for line in log.split_inclusive(|&byte| byte == b'\n') {
            let (time, text) = split(line);
            assert!((before..=after).contains(&time), "{before} {after}: {}", String::from_utf8_lossy(line));
            rest.extend_from_slice(text);
        }
        assert!(rest == input);
    }
}

#[test]
fn the_form_is_that_of_iso_8601() {
    let log = String::from_utf8(logged(&["i"], b"line\n")).expect("text");
    let form: String = log.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000000Z line\n");
}

#[test]
fn patterns_see_the_stamp_in_front() {
    let input = b"a\nb\nZ a\n";
    let texts = |words: &[&str]| -> Vec<Vec<u8>> {
        let log = logged(words, input);
        log.split_inclusive(|&byte| byte == b'\n').map(|line| split(line).1.to_vec()).collect()
    };
    assert_eq!(texts(&["i", "-*", "+*Z a"]), [b"a\n"]);
    assert_eq!(texts(&["i", "-* a"]), [&b"b\n"[..], b"Z a\n"]);
    // Without the stamp these would match.
    assert_eq!(texts(&["i", "-a", "-b"]).len(), 3);
}

#[test]
fn a_line_has_the_time_at_which_it_began() {
    let scratch = Scratch::with(Suite::under_test());
    let mut command = scratch.command("multilog", &["i", "./log"]);
    let mut running = start(command.stdin(Stdio::piped()).stdout(Stdio::null()));
    let mut input = running.child().stdin.take().expect("piped");
    input.write_all(b"first\nbeg").expect("read");
    // Both were written at once, so they are read at once.
    wait_until("the first is there", || scratch.text("log/current").ends_with("first\n"));
    let middle = now();
    input.write_all(b"un\nlast\n").expect("read");
    drop(input);
    assert_eq!(running.end(), 0);
    let log = scratch.read("log/current");
    let lines: Vec<_> = log.split_inclusive(|&byte| byte == b'\n').map(split).collect();
    assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), [&b"first\n"[..], b"begun\n", b"last\n"]);
    assert!(lines[1].0 <= middle && middle <= lines[2].0, "{middle} {lines:?}");
}

#[test]
fn e_and_status_files_have_the_stamp_too() {
    let scratch = Scratch::with(Suite::under_test());
    let done = finish_with(&mut scratch.command("multilog", &["i", "e", "=status"]), b"a\n");
    assert_eq!(done.code, 0);
    assert_eq!(split(&done.stderr).1, b"a\n");
    assert_eq!(split(scratch.text("status").trim_end().as_bytes()).1, b"a");
}

#[test]
fn two_stamps_and_a_late_one_are_wrong_usage() {
    for (words, line) in [
        (&["t", "i", "./log"][..], "wrong action i: t and i may not be used together"),
        (&["i", "t", "./log"], "wrong action t: t and i may not be used together"),
        (&["t", "./log", "i"], "wrong action i: t and i may not be used together"),
        (&["i", "i", "./log"], "wrong action i: it may only be the first action"),
        (&["e", "i", "./log"], "wrong action i: it may only be the first action"),
    ] {
        let scratch = Scratch::with(Suite::under_test());
        let input = File::open("/dev/null").expect("it is there");
        let done = testkit::finish(scratch.command("multilog", words).stdin(input));
        assert_eq!((done.code, done.err()), (100, format!("multilog: fatal: {line}\n")), "{words:?}");
        assert_eq!(fs::read_dir(scratch.root()).expect("the scratch directory").count(), 0);
    }
}

#[test]
fn what_only_begins_like_it_does_nothing_as_before() {
    assert_eq!(logged(&["info", "x"], b"a\n"), b"a\n");
    assert_eq!(logged(&["t", "info"], b"a\n")[25..], *b" a\n");
}
