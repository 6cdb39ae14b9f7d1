//! Lines of all lengths, with and without an end.

use std::fs::File;
use std::process::Stdio;

use testkit::{Scratch, finish_with, start};

use super::{Logger, log, wait_for_text, whole};

#[test]
fn a_final_line_without_an_end_gets_one() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], "a\nb");
    assert_eq!(scratch.text("log/current"), "a\nb\n");
}

#[test]
fn empty_lines_and_nuls_are_kept() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], b"\n\n\0\n\0a\0\n\n");
    assert_eq!(scratch.read("log/current"), b"\n\n\0\n\0a\0\n\n");
}

#[test]
fn no_input_makes_an_empty_log() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], "");
    assert_eq!(scratch.read("log/current"), b"");
}

#[test]
fn a_line_of_ten_megabytes_is_logged_complete() {
    let scratch = Scratch::new();
    let line = b"0123456789".repeat(1 << 20);
    log(&scratch, &["s9000000", "./log"], [b"a\n", line.as_slice(), b"\nb\n"].concat());
    assert!(whole(&scratch, "log") == [b"a\n", line.as_slice(), b"\nb\n"].concat());
}

#[test]
fn a_long_line_that_is_not_selected_leaves_nothing() {
    let scratch = Scratch::new();
    log(&scratch, &["-x*", "./log"], "a\n".to_owned() + &"x".repeat(1 << 20) + "\nb\n");
    assert_eq!(scratch.text("log/current"), "a\nb\n");
}

#[test]
fn lines_around_the_length_that_is_looked_at_are_logged_unchanged() {
    let scratch = Scratch::new();
    let input: Vec<u8> = (970..1030).flat_map(|length| [vec![b'x'; length], vec![b'\n']].concat()).collect();
    log(&scratch, &["s16777215", "./log"], &input);
    assert!(scratch.read("log/current") == input);
}

#[test]
fn a_complete_line_is_in_the_file_while_multilog_waits() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log", "=status"]);
    logger.write("one\n");
    wait_for_text(&scratch, "log/current", "one\n");
    logger.write("two\nthr");
    wait_for_text(&scratch, "log/current", "one\ntwo\n");
    assert!(scratch.text("status").starts_with("two\n"));
    logger.write("ee\n");
    wait_for_text(&scratch, "log/current", "one\ntwo\nthree\n");
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_thousand_bytes_of_a_line_are_in_the_file_before_it_is_complete() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    let long = "x".repeat(1000);
    logger.write(&long);
    wait_for_text(&scratch, "log/current", &long);
    assert_eq!(logger.end(), 0);
    assert_eq!(scratch.text("log/current"), long + "\n");
}

#[test]
fn what_cannot_be_read_is_an_end() {
    let scratch = Scratch::new();
    let mut command = scratch.command("multilog", &["./log"]);
    command.stdin(File::open(scratch.root()).expect("a directory")).stderr(Stdio::null());
    assert_eq!(start(&mut command).end(), 0);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg("exec \"$0\" ./log <&-").arg(scratch.suite().path("multilog")).current_dir(scratch.root());
    let finished = finish_with(&mut shell, b"");
    assert_eq!((finished.code, finished.err()), (0, String::new()));
}

#[test]
fn a_closed_stderr_does_not_become_a_log() {
    let scratch = Scratch::new();
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg("exec \"$0\" s4096 e ./log >&- 2>&-").arg(scratch.suite().path("multilog"));
    let input = super::numbered(200);
    assert_eq!(finish_with(shell.current_dir(scratch.root()), &input).code, 0);
    assert!(whole(&scratch, "log") == input);
    assert_eq!(scratch.read("log/lock"), b"");
}
