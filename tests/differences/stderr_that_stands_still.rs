//! A stderr whose reader stands still, as a stopped pager or a hung collector does, stops the original with the first message for which the pipe has no
//! room. Ours drop that message and go on; multilog gives the reader of what `e` selects five seconds first. Why: no service may stay down and no log
//! unwritten because of whoever reads messages.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;

use testkit::{Running, Scratch, Suite, start, wait_until};

use crate::world::{lines, svc, wait_up};

/// Starts a program whose stderr is a pipe without room; the other end shows that there is a reader, and reads what stands there.
fn start_unread(scratch: &Scratch, program: &str, words: &[&str]) -> (Running, PipeReader) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    sys::fd::set_nonblocking(writer.as_fd()).expect("a pipe can");
    while writer.write(&[b'.'; 4_096]).is_ok() {}
    sys::fd::set_blocking(writer.as_fd()).expect("a pipe can");
    let mut command = scratch.command(program, words);
    command.env("UPHOLD_LOG", "debug");
    (start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(writer)), reader)
}

#[test]
fn multilog_logs_all_lines_and_shows_those_that_can_be_read() {
    let scratch = Scratch::with(Suite::under_test());
    let (mut multilog, mut reader) = start_unread(&scratch, "multilog", &["e", "./log"]);
    let mut input = multilog.child().stdin.take().expect("piped");
    for number in 1..=3 {
        writeln!(input, "{number}").expect("it reads");
        wait_until("it is logged", || lines(&scratch, "log/current") == number);
    }
    // What stands in the pipe has been read; two of three lines came when it was known that nobody does.
    let mut filler = vec![0; 65_536];
    reader.read_exact(&mut filler).expect("it is full");
    writeln!(input, "4").expect("it reads");
    drop(input);
    assert_eq!(multilog.end(), 0);
    let mut shown = String::new();
    reader.read_to_string(&mut shown).expect("reads");
    assert!(shown.ends_with("4\n") && !shown.contains('2'), "{shown}");
    assert_eq!(scratch.text("log/current"), "1\n2\n3\n4\n");
}

#[test]
fn multilog_tries_again_what_it_cannot_tell_of() {
    let scratch = Scratch::with(Suite::under_test());
    let words = ["s4096", "!echo tried >>../tries; test -e ../allowed", "./log"];
    let (mut multilog, _reader) = start_unread(&scratch, "multilog", &words);
    let mut input = multilog.child().stdin.take().expect("piped");
    input.write_all("0123456789\n".repeat(250).as_bytes()).expect("it reads");
    wait_until("it was tried twice", || lines(&scratch, "tries") == 2);
    scratch.write("allowed", "");
    drop(input);
    assert_eq!(multilog.end(), 0);
}

#[test]
fn supervise_starts_what_it_said_that_it_cannot() {
    let scratch = Scratch::with(Suite::under_test());
    scratch.service("a", "exec sleep 1000");
    fs::rename(scratch.path("a/run"), scratch.path("a/not yet")).expect("it is there");
    let (mut supervise, _reader) = start_unread(&scratch, "supervise", &["a"]);
    wait_until("it can be told", || scratch.run("svok", &["a"]).code == 0);
    svc(&scratch, "-u", "a");
    fs::rename(scratch.path("a/not yet"), scratch.path("a/run")).expect("it is there");
    wait_up(&scratch, "a");
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
}

#[test]
fn svscan_serves_what_comes_after_what_it_complained_of() {
    let scratch = Scratch::with(Suite::under_test());
    scratch.mkdir("scan");
    std::os::unix::fs::symlink("nowhere", scratch.path("scan/dangling")).expect("a link");
    let (mut svscan, _reader) = start_unread(&scratch, "svscan", &["scan"]);
    scratch.service("a", "exec sleep 1000");
    std::os::unix::fs::symlink("../a", scratch.path("scan/a")).expect("a link");
    wait_up(&scratch, "scan/a");
    assert_eq!(svscan.ended(), None);
}

#[test]
fn hupwatch_starts_its_command_whoever_reads_its_log() {
    let scratch = Scratch::with(Suite::under_test());
    let (mut hupwatch, _reader) = start_unread(&scratch, "hupwatch", &["-vvv", "--", "sh", "-c", "echo >started"]);
    wait_until("it is started", || scratch.path("started").exists());
    hupwatch.end();
}
