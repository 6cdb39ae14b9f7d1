//! readproctitle.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use testkit::{Running, Scratch, finish_with, start, wait_until};

#[test]
fn a_placeholder_that_is_too_short_is_wrong_usage_and_silent() {
    for words in [&[][..], &["1234"], &["long enough", ""], &["long enough", "1234"]] {
        let finished = finish_with(&mut Scratch::new().command("readproctitle", words), b"a\n");
        assert_eq!((finished.code, finished.out(), finished.err()), (100, String::new(), String::new()), "{words:?}");
    }
}

#[test]
fn the_end_of_input_is_a_good_end() {
    let finished = finish_with(&mut Scratch::new().command("readproctitle", &["12345"]), b"a\n\0");
    assert_eq!((finished.code, finished.out(), finished.err()), (0, String::new(), String::new()));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let scratch = Scratch::new();
    let mut command = scratch.command("readproctitle", &["errors:", "....."]);
    command.stdin(fs::File::open(scratch.root()).expect("a directory")).stderr(Stdio::null());
    assert_eq!(start(&mut command).end(), 111);
}

/// The command line as `ps` sees it, its words joined by spaces.
fn title(running: &Running) -> Vec<u8> {
    let mut line = fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap_or_default();
    if line.last() == Some(&0) {
        line.pop();
    }
    let first = line.iter().position(|&byte| byte == 0).map_or(0, |at| at + 1);
    line.drain(..first);
    line.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect()
}

#[test]
fn the_title_shows_the_last_bytes_behind_three_dots() {
    if !std::path::Path::new("/proc/self/cmdline").exists() {
        return testkit::skip("needs /proc");
    }
    let scratch = Scratch::new();
    let (reader, mut input) = std::io::pipe().expect("a pipe");
    let running = start(scratch.command("readproctitle", &["service", "errors:", "xxxxxxxxxxxx"]).stdin(reader));
    let mut shows = |bytes: &[u8], expected: &[u8]| {
        input.write_all(bytes).expect("it reads");
        let expected = [b"service errors: ", expected].concat();
        wait_until(&format!("the title is {expected:?}"), || title(&running) == expected);
    };
    shows(b"", b"............");
    shows(b"ab", b"..........ab");
    shows(b"\0c\0", b".........abc");
    shows(b"\n\xff", b".......abc\n\xff");
    shows(b"0123456789", b"...123456789");
    shows(&[b'z'; 5000], b"...zzzzzzzzz");
}
