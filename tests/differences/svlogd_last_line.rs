//! runit's svlogd writes neither a last line that no newline ends nor the line that it has begun to read when TERM comes. Ours writes both, and completes the first
//! with a newline. Why: what a program says last, when it dies in the middle of a line, is what the operator looks for.

use std::io::Write;
use std::process::Stdio;

use testkit::{Scratch, finish_with, start, wait_until};

#[test]
fn a_last_line_without_a_newline_gets_one() {
    let scratch = Scratch::new();
    for (text, expected) in [("partial", "partial\n"), ("a\npartial", "a\npartial\n"), ("a\n", "a\n"), ("", "")] {
        let name = format!("d{}", text.len());
        scratch.mkdir(&name);
        let done = finish_with(&mut scratch.command("svlogd", &[&name]), text.as_bytes());
        assert_eq!((done.code, done.err().as_str()), (0, ""));
        assert_eq!(scratch.text(format!("{name}/current")), expected);
    }
}

#[test]
fn the_line_that_is_being_read_when_term_comes_is_read_to_its_end_and_no_further() {
    let scratch = Scratch::new();
    scratch.mkdir("d");
    let mut command = scratch.command("svlogd", &["-v", "d"]);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut rest = reader.try_clone().expect("a copy");
    command.stdin(reader).stdout(Stdio::null());
    let mut running = start(command.stderr(std::fs::File::create(scratch.path("err")).expect("a file")));
    writer.write_all(b"a\npart").expect("read");
    wait_until("it is read", || scratch.text("d/current") == "a\n");
    running.signal("TERM");
    wait_until("it is heard", || scratch.text("err").contains("svlogd: info: sigterm received.\n"));
    assert!(running.ended().is_none());
    writer.write_all(b"ial\nnext\n").expect("read");
    assert_eq!(running.end(), 0);
    assert_eq!(scratch.text("d/current"), "a\npartial\n");
    drop(writer);
    let mut left = String::new();
    std::io::Read::read_to_string(&mut rest, &mut left).expect("reads");
    assert_eq!(left, "next\n");
}
