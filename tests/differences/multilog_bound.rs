//! daemontools 0.76 bounds the number of old files (`n`) and takes the word `m` for nothing. Ours removes the oldest until all old files of
//! the directory together have at most the bytes that `m` says; what `n` says holds as well. Why: behind a processor that compresses nobody knows how long the
//! files will be, so a number of files says nothing about the disk that they need.

use std::fs;

use testkit::{Scratch, Suite, finish_with, for_each};

/// The old files of a log, the oldest first: each with its length.
fn old_files(scratch: &Scratch, log: &str) -> Vec<(String, usize)> {
    let entries = fs::read_dir(scratch.path(log)).expect("the log directory").flatten();
    let names = entries.map(|entry| format!("{log}/{}", entry.file_name().to_string_lossy()));
    let mut names: Vec<String> = names.filter(|name| name.starts_with(&format!("{log}/@"))).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), scratch.read(name).len())).collect()
}

/// How many bytes they have together.
fn total(files: &[(String, usize)]) -> usize {
    files.iter().map(|(_, length)| length).sum()
}

#[track_caller]
fn log(scratch: &Scratch, words: &[&str], input: impl AsRef<[u8]>) {
    let done = finish_with(&mut scratch.command("multilog", words), input.as_ref());
    assert_eq!((done.code, done.err().as_str()), (0, ""), "{words:?}");
}

/// `count` numbered lines of 50 bytes each. A file of 4096 bytes takes 42 of them.
fn numbered(count: usize) -> String {
    (0..count).map(|number| format!("{number:049}\n")).collect()
}
const FILE: usize = 42 * 50;

#[test]
fn the_oldest_go_until_the_rest_has_as_many_bytes_as_it_may() {
    let input = numbered(1000);
    let cases = [
        ("m20k", 20_480 / FILE),
        ("m20K", 20_480 / FILE),
        ("m10500", 5),
        ("m10499", 4),
        ("m2100", 1),
        // Not even the newest fits.
        ("m2099", 0),
        ("m1", 0),
        ("m1m", 23),
        ("m18446744073709551614", 23),
        ("m0", 23),
    ];
    for_each(&cases, |&(word, kept)| {
        let scratch = Scratch::with(Suite::under_test());
        log(&scratch, &["s4096", "n1000", word, "./log"], &input);
        let files = old_files(&scratch, "log");
        assert_eq!(files.iter().map(|file| file.1).collect::<Vec<_>>(), vec![FILE; kept], "{word}");
        let texts = files.iter().map(|(name, _)| name.as_str()).chain(["log/current"]);
        // The newest are those that are kept.
        let texts: String = texts.map(|name| scratch.text(name)).collect();
        assert!(input.ends_with(&texts) && texts.len() == kept * FILE + 34 * 50, "{word}: {texts}");
    });
}

#[test]
fn the_number_of_files_is_bounded_all_the_same() {
    let scratch = Scratch::with(Suite::under_test());
    log(&scratch, &["s4096", "n4", "m1m", "./log"], numbered(1000));
    assert_eq!(old_files(&scratch, "log").len(), 3);
}

#[test]
fn what_a_processor_made_counts_as_long_as_it_is() {
    for (processor, kept) in [("!head -c 100", 20), ("!head -c 100; head -c 9900 /dev/zero", 0), ("!true", 23)] {
        let scratch = Scratch::with(Suite::under_test());
        log(&scratch, &["s4096", "n1000", "m2000", processor, "./log"], numbered(1000));
        assert_eq!(old_files(&scratch, "log").len(), kept, "{processor}");
    }
}

#[test]
fn it_holds_for_the_directories_that_follow_until_there_is_another() {
    let scratch = Scratch::with(Suite::under_test());
    let words = ["s4096", "n1000", "./a", "m5000", "./b", "./c", "m0", "./d", "m3000", "./e"];
    log(&scratch, &words, numbered(1000));
    let counts = ["a", "b", "c", "d", "e"].map(|name| old_files(&scratch, name).len());
    assert_eq!(counts, [23, 2, 2, 23, 1]);
}

#[test]
fn old_files_of_before_count_however_many_there_are() {
    let scratch = Scratch::with(Suite::under_test());
    for number in 0..300 {
        scratch.write(format!("log/@4000000030000000{number:08x}.{}", ["s", "u", "t"][number % 3]), "x".repeat(100));
    }
    // No old files.
    scratch.write("log/@short", "x".repeat(100_000));
    scratch.mkdir("log/@4000000030000000ffffffff.s");
    log(&scratch, &["s4096", "n1000", "m5000", "./log"], numbered(50));
    let files = fs::read_dir(scratch.path("log")).expect("the log directory").flatten().filter(|entry| {
        let name = entry.file_name();
        name.len() > 25 && name.as_encoded_bytes().starts_with(b"@") && entry.path().is_file()
    });
    let mut lengths: Vec<u64> = files.map(|file| file.metadata().expect("it is there").len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [vec![100; 29], vec![FILE as u64]].concat());
    assert!(scratch.path("log/@short").exists());
}

#[test]
fn nothing_goes_before_a_rotation() {
    let scratch = Scratch::with(Suite::under_test());
    log(&scratch, &["s4096", "n1000", "./log"], numbered(1000));
    log(&scratch, &["s4096", "n1000", "m5000", "./log"], "");
    assert_eq!(total(&old_files(&scratch, "log")), 23 * FILE);
    log(&scratch, &["s4096", "n1000", "m5000", "./log"], numbered(8));
    assert_eq!(total(&old_files(&scratch, "log")), 2 * FILE);
}

#[test]
fn what_is_no_size_is_wrong_usage() {
    const NO_SIZE: &str = "not a number with k, m or nothing behind it";
    for (word, why) in [
        ("m", NO_SIZE),
        ("mk", NO_SIZE),
        ("max", NO_SIZE),
        ("m5g", NO_SIZE),
        ("m5kb", NO_SIZE),
        ("m5 k", NO_SIZE),
        ("m1.5m", NO_SIZE),
        ("m+5", NO_SIZE),
        ("m-5", "negative number"),
        ("m18446744073709551615", "too large"),
        ("m18014398509481984k", "too large"),
        ("m99999999999999999999m", "too large"),
    ] {
        let scratch = Scratch::with(Suite::under_test());
        let done = finish_with(&mut scratch.command("multilog", &["n5", word, "./log"]), b"");
        assert_eq!((done.code, done.err()), (100, format!("multilog: fatal: wrong action {word}: {why}\n")));
        assert!(!scratch.path("log").exists());
    }
    let scratch = Scratch::with(Suite::under_test());
    let done = finish_with(&mut scratch.command("multilog", &["m5k", "n5", "m6k", "./log"]), b"");
    let line = "multilog: fatal: wrong action m6k: there is one for the same directories already\n";
    assert_eq!((done.code, done.err().as_str()), (100, line));
}
