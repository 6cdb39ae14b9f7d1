//! When a file is full, and what becomes of it.

use std::fs;

use testkit::{Scratch, wait_until};

use super::{Logger, finished, log, mode, names, numbered, wait_for_text, whole};

#[test]
fn a_full_file_is_closed_at_a_line_end_and_no_line_is_lost() {
    let scratch = Scratch::new();
    let input = numbered(2000);
    log(&scratch, &["s4096", "n1000", "./log"], &input);
    let files = finished(&scratch, "log");
    assert!(files.len() > 20);
    for path in &files {
        let length = scratch.read(path).len();
        assert!((2096..=4096).contains(&length) && length.is_multiple_of(50), "{path} has {length} bytes");
        assert_eq!(mode(scratch.path(path)), 0o744);
        assert!(path.ends_with(".s"));
    }
    assert!(scratch.read("log/current").len() < 4096);
    assert!(whole(&scratch, "log") == input);
}

#[test]
fn a_line_longer_than_the_room_goes_on_in_the_next_file() {
    let scratch = Scratch::new();
    let input = ["a\n", "x".repeat(10_000).as_str(), "\nb\n"].concat();
    log(&scratch, &["s4096", "n1000", "./log"], &input);
    let lengths: Vec<usize> = finished(&scratch, "log").iter().map(|path| scratch.read(path).len()).collect();
    assert_eq!(lengths, [4096, 4096]);
    assert!(whole(&scratch, "log") == input.as_bytes());
}

#[test]
fn a_file_of_exactly_its_size_is_current_until_there_is_more() {
    let scratch = Scratch::new();
    let input = "x".repeat(4096 + 1000);
    let mut logger = Logger::start(&scratch, &["s4096", "./log"]);
    logger.write(&input[..4096]);
    wait_for_text(&scratch, "log/current", &input[..4096]);
    logger.write(&input[4096..]);
    wait_for_text(&scratch, "log/current", &input[4096..]);
    assert_eq!(finished(&scratch, "log").len(), 1);
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_size_below_the_least_is_the_least() {
    for word in ["s", "s1", "s4095", "sx"] {
        let scratch = Scratch::new();
        log(&scratch, &[word, "n1000", "./log"], numbered(200));
        for path in finished(&scratch, "log") {
            assert!((2096..=4096).contains(&scratch.read(&path).len()), "{word}: {path}");
        }
        assert!(!finished(&scratch, "log").is_empty());
    }
}

#[test]
fn a_file_has_99999_bytes_at_most_by_default() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], numbered(3000));
    let lengths: Vec<usize> = finished(&scratch, "log").iter().map(|path| scratch.read(path).len()).collect();
    assert_eq!(lengths.len(), 1);
    assert!((97_999..=99_999).contains(&lengths[0]), "{lengths:?}");
}

#[test]
fn one_file_less_than_the_number_is_kept_beside_current() {
    for (word, kept) in [("n5", 4), ("n2", 1), ("n1", 1), ("n0", 1), ("n", 1), ("n3x", 2)] {
        let scratch = Scratch::new();
        let input = numbered(1000);
        log(&scratch, &["s4096", word, "./log"], &input);
        assert_eq!(finished(&scratch, "log").len(), kept, "{word}");
        // The newest are those that are kept.
        assert!(input.ends_with(&whole(&scratch, "log")));
    }
}

#[test]
fn nine_files_are_kept_by_default() {
    let scratch = Scratch::new();
    log(&scratch, &["s4096", "./log"], numbered(2000));
    assert_eq!(finished(&scratch, "log").len(), 9);
}

#[test]
fn a_current_that_is_too_long_already_is_rotated_first() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], numbered(200));
    log(&scratch, &["s4096", "./log"], "a\n");
    assert_eq!(scratch.text("log/current"), "a\n");
    let files = finished(&scratch, "log");
    assert_eq!(files.len(), 1);
    assert!(scratch.read(&files[0]) == numbered(200));
}

#[test]
fn alarm_rotates_each_log_that_holds_something() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./full", "-*", "./empty"]);
    logger.write("a\n");
    wait_for_text(&scratch, "full/current", "a\n");
    logger.signal("ALRM");
    wait_for_text(&scratch, "full/current", "");
    wait_until("a finished file", || names(&scratch, "full") == ["@.s", "current", "lock", "state"]);
    logger.write("b\n");
    wait_for_text(&scratch, "full/current", "b\n");
    assert_eq!(names(&scratch, "empty"), ["current", "lock", "state"]);
    assert_eq!(logger.end(), 0);
}

#[test]
fn an_unfinished_line_goes_to_the_file_after_an_alarm() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("a\nb");
    wait_for_text(&scratch, "log/current", "a\n");
    logger.signal("ALRM");
    wait_until("a finished file", || finished(&scratch, "log").len() == 1);
    logger.write("c\n");
    wait_for_text(&scratch, "log/current", "bc\n");
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_file_that_took_no_new_name_does_not_stay() {
    let scratch = Scratch::new();
    log(&scratch, &["s4096", "n3", "./log"], numbered(1000));
    assert_eq!(names(&scratch, "log"), ["@.s", "@.s", "current", "lock", "state"]);
    assert_eq!(fs::read_dir(scratch.root()).expect("the scratch directory").count(), 1);
}
