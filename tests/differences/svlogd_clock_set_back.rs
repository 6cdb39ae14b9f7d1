//! runit's svlogd names a finished file after the clock, and removes the file with the oldest name: once the clock was set back, the one that it has just finished. Ours gives a file a
//! name behind those that are there, as multilog does. Why: what was written last is what the operator wants to read.

use testkit::{Scratch, finish_with};

#[test]
fn the_newest_lines_are_kept_after_the_clock_was_set_back() {
    let scratch = Scratch::new();
    scratch.write("d/config", "s10\nn3\n");
    for number in 0..3 {
        scratch.write(format!("d/@40000000f486570000000{number:03}.s"), "old");
    }
    let done = finish_with(&mut scratch.command("svlogd", &["-l", "5", "d"]), b"123456789\nabcdefghi\n");
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let entries = std::fs::read_dir(scratch.path("d")).expect("the log directory").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with('@'));
    names.sort();
    let texts: Vec<_> = names.iter().map(|name| scratch.text(format!("d/{name}"))).collect();
    assert_eq!(texts, ["old", "123456789\n", "abcdefghi\n"], "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("@40000000f4865700")), "{names:?}");
}
