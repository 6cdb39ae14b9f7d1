//! Where a line ends in front of a `+` of a pattern, runit's svlogd compares what an earlier line has left in its memory, so that the same line may match or not. To ours it does
//! not match. And behind a line of just the length that is looked at, the original puts `...` on stderr and in datagrams, though nothing was cut off; ours does not.

use testkit::{Scratch, finish_with};

#[test]
fn a_line_that_ends_in_front_of_a_plus_does_not_match() {
    let scratch = Scratch::new();
    scratch.write("d/config", "-*\n+a+b\n");
    let done = finish_with(&mut scratch.command("svlogd", &["d"]), b"xb\na\nab\na\n");
    assert_eq!((done.code, scratch.text("d/current").as_str()), (0, "ab\n"));
}

#[test]
fn nothing_was_cut_off_a_line_of_just_the_length() {
    let scratch = Scratch::new();
    scratch.write("d/config", "e*\n");
    let done = finish_with(&mut scratch.command("svlogd", &["-l", "3", "d"]), b"12\n123\n1234\n123");
    assert_eq!((done.code, done.err().as_str()), (0, "12\n123\n123...\n123\n"));
}
