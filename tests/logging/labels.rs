//! tai64n and tai64nlocal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use testkit::{Finished, Scratch, finish_with, start, wait_for};

use super::is_stamp;

const LABEL: &str = "@400000003b4a39c23294b13c";

#[track_caller]
fn tai64n(input: &[u8]) -> Vec<u8> {
    let finished = finish_with(&mut Scratch::new().command("tai64n", &[]), input);
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    finished.stdout
}

/// The lines without their stamps, each of which must be one.
#[track_caller]
fn unstamped(output: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        let (stamp, text) = line.split_at_checked(26).expect("a stamp and a space");
        let stamp = std::str::from_utf8(stamp).expect("text");
        assert!(stamp.strip_prefix('@').and_then(|stamp| stamp.strip_suffix(' ')).is_some_and(is_stamp), "{stamp}");
        rest.extend_from_slice(text);
    }
    rest
}

#[test]
fn each_line_gets_a_stamp_and_stays_as_it_is() {
    let long = [vec![b'x'; 200_000], b"\n".to_vec()].concat();
    for input in [&b"a\nb\n"[..], b"\n\n", b"unfinished", b"\0\xff\n\0", b"@4000 a\n", &long, &b"\n".repeat(100_000)] {
        assert!(unstamped(&tai64n(input)) == input, "{input:?}");
    }
    assert_eq!(tai64n(b""), b"");
}

#[test]
fn a_stamp_is_the_time_of_the_line() {
    let seconds = |label: &str| u64::from_str_radix(&label[1..17], 16).expect("digits") - (1 << 62) - 10;
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let before = now();
    let output = String::from_utf8(tai64n(b"a\n")).expect("text");
    assert!((before..=now()).contains(&seconds(&output)), "{output}");
    assert_eq!(u32::from_str_radix(&output[17..25], 16).expect("digits") % 1000, 500);
}

#[test]
fn a_filter_does_not_lag() {
    for program in ["tai64n", "tai64nlocal"] {
        let scratch = Scratch::new();
        let (reader, mut input) = std::io::pipe().expect("a pipe");
        let (mut output, writer) = std::io::pipe().expect("a pipe");
        let mut running = start(scratch.command(program, &[]).stdin(reader).stdout(writer));
        for line in [&b"one\n"[..], b"unfinished"] {
            input.write_all(line).expect("it reads");
            let mut seen = Vec::new();
            while !seen.ends_with(line) {
                let mut byte = [0];
                assert_eq!(output.read(&mut byte).expect("a pipe"), 1);
                seen.push(byte[0]);
            }
        }
        drop(input);
        assert_eq!(running.end(), 0);
    }
}

#[test]
fn words_are_ignored() {
    let finished = finish_with(&mut Scratch::new().command("tai64nlocal", &["x", "-y"]), b"a\n");
    assert_eq!((finished.code, finished.out(), finished.err()), (0, "a\n".into(), String::new()));
    let finished = finish_with(&mut Scratch::new().command("tai64n", &["x", "-y"]), b"a\n");
    assert_eq!((finished.code, finished.err()), (0, String::new()));
}

#[test]
fn what_cannot_be_read_or_written_ends_a_filter_silently() {
    for program in ["tai64n", "tai64nlocal"] {
        let scratch = Scratch::new();
        let mut command = scratch.command(program, &[]);
        command.stdin(File::open(scratch.root()).expect("a directory")).stdout(Stdio::null());
        command.stderr(File::create(scratch.path("err")).expect("a file"));
        assert_eq!(start(&mut command).end(), 111, "{program}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("exec \"$0\" >/dev/full").arg(scratch.suite().path(program));
        let finished = finish_with(&mut shell, b"a\n");
        assert_eq!((finished.code, finished.err()), (111, String::new()), "{program}");
        assert_eq!(scratch.text("err"), "");
    }
}

#[test]
fn a_filter_dies_of_a_closed_pipe() {
    for program in ["tai64n", "tai64nlocal"] {
        let (reader, mut input) = std::io::pipe().expect("a pipe");
        let (output, writer) = std::io::pipe().expect("a pipe");
        drop(output);
        // Though the test ignores SIGPIPE, what it starts does not.
        let mut command = Scratch::new().command(program, &[]);
        let mut running = start(command.current_dir("/").stdin(reader).stdout(writer));
        drop(command);
        input.write_all(b"a\n").expect("there is room");
        let code = wait_for("its end", || running.ended());
        assert_eq!(code, 1013, "{program}");
    }
}

fn local_in(zone: &str, input: &[u8]) -> Finished {
    finish_with(Scratch::new().command("tai64nlocal", &[]).env("TZ", zone), input)
}

#[track_caller]
fn local(input: &str) -> String {
    let finished = local_in("UTC0", input.as_bytes());
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    finished.out()
}

#[test]
fn a_label_in_front_of_a_line_becomes_local_time() {
    let time = "2001-07-09 23:09:44.848605500";
    assert_eq!(local(&format!("{LABEL} fatal: out of memory\n")), format!("{time} fatal: out of memory\n"));
    assert_eq!(local(&format!("{LABEL}\n")), format!("{time}\n"));
    assert_eq!(local(&format!("{LABEL}x\n{LABEL}y")), format!("{time}x\n{time}y"));
    assert_eq!(local(&format!("{LABEL}@4 x")), format!("{time}@4 x"));
}

#[test]
fn other_lines_and_second_labels_are_copied() {
    for text in [format!("plain {LABEL}\n"), format!(" {LABEL} x\n"), "\n\n".into(), "unfinished".into()] {
        assert_eq!(local(&text), text);
    }
    assert_eq!(local(&format!("{LABEL} {LABEL}\n")), format!("2001-07-09 23:09:44.848605500 {LABEL}\n"));
    let bytes = b"\0\xff@\n\0";
    assert_eq!(local_in("UTC0", bytes).stdout, bytes);
}

#[test]
fn nanoseconds_have_nine_digits_or_more() {
    let second = &LABEL[..17];
    for (nanos, text) in [("00000000", "000000000"), ("00000001", "000000001"), ("ffffffff", "4294967295")] {
        assert_eq!(local(&format!("{second}{nanos} x\n")), format!("2001-07-09 23:09:44.{text} x\n"));
    }
}

#[test]
fn years_are_not_padded() {
    for (seconds, text) in [
        (0, "1970-01-01 00:00:00"),
        (-1, "1969-12-31 23:59:59"),
        (-62_135_596_800_i64, "1-01-01 00:00:00"),
        (253_402_300_800, "10000-01-01 00:00:00"),
    ] {
        let label = format!("@{:016x}00000000", ((1_i64 << 62) + 10).wrapping_add(seconds));
        assert_eq!(local(&format!("{label} x\n")), format!("{text}.000000000 x\n"));
    }
}

#[test]
fn the_zone_of_the_environment_counts() {
    for (zone, text) in [("XYZ-5:30", "2001-07-10 04:39:44"), ("ABC3", "2001-07-09 20:09:44")] {
        let finished = local_in(zone, format!("{LABEL} x\n").as_bytes());
        assert_eq!(finished.out(), format!("{text}.848605500 x\n"));
    }
}

#[test]
fn a_label_that_the_end_of_input_cuts_is_dropped() {
    assert_eq!(local(&format!("a\n{LABEL}")), "a\n");
    assert_eq!(local("@"), "");
    assert_eq!(local("a\n@400000003b4a"), "a\n");
}

#[test]
fn a_large_stream_is_converted_to_its_end() {
    let input: String = (0..20_000).map(|number| format!("{LABEL} line {number}\n")).collect();
    let expected = input.replace(LABEL, "2001-07-09 23:09:44.848605500");
    assert!(local(&input) == expected);
}
