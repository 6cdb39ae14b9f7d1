//! A directory whose name looks like a finished file's (somebody unpacked something there) stops a log of daemontools 0.76: it
//! is counted, chosen as the oldest, and cannot be unlinked. Ours counts no directories.

use testkit::{Scratch, Suite, finish_with};

#[test]
fn a_directory_named_as_a_finished_file_is_not_counted() {
    let scratch = Scratch::with(Suite::under_test());
    for number in 0..3 {
        scratch.write(format!("log/@40000000000000000000000{number}.s/file"), "");
    }
    let input = "0123456789\n".repeat(1000);
    let finished = finish_with(&mut scratch.command("multilog", &["s4096", "n3", "./log"]), input.as_bytes());
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    let entries = std::fs::read_dir(scratch.path("log")).expect("the log directory").flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('@') && !entry.path().is_dir());
    assert_eq!(files.count(), 2);
    for number in 0..3 {
        assert!(scratch.path(format!("log/@40000000000000000000000{number}.s/file")).exists());
    }
}
