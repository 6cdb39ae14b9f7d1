//! Where there are more old files than `n` says, runit's svlogd removes one of them at each rotation, so a directory for which `n` was made smaller keeps them all, and it
//! never removes what crashes have left behind (`.u`). Ours removes all that are too many, and counts both kinds. Why: `n` is there so that the disk does not fill.

use std::fs;

use testkit::{Scratch, finish_with};

/// The finished files, sorted.
fn finished(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path("d")).expect("the log directory").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with('@'));
    names.sort();
    names
}

#[test]
fn all_that_are_too_many_go() {
    let scratch = Scratch::new();
    scratch.write("d/config", "s10\nn2\n");
    for number in 0..150 {
        let letter = if number % 3 == 0 { 'u' } else { 's' };
        scratch.write(format!("d/@40000000{number:016x}.{letter}"), "old");
    }
    let done = finish_with(&mut scratch.command("svlogd", &["-l", "5", "d"]), b"123456789\n");
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let names = finished(&scratch);
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], format!("@40000000{:016x}.s", 149));
    assert_eq!(scratch.text(format!("d/{}", names[1])), "123456789\n");
}

#[test]
fn the_file_that_has_just_been_finished_stays_whatever_its_name() {
    let scratch = Scratch::new();
    scratch.write("d/config", "s10\nn1\n!cat\n");
    // In no order with times.
    scratch.write("d/@zzzzzzzzzzzzzzzzzzzzzzzz.s", "other");
    let done = finish_with(&mut scratch.command("svlogd", &["-l", "5", "d"]), b"123456789\n");
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let names = finished(&scratch);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(scratch.text(format!("d/{}", names[0])), "123456789\n");
}
