//! What multilog makes of what a crash left.

use std::fs;

use testkit::Scratch;

use super::{finished, log, mode, names, set_mode};

/// A log directory with these files and modes, each holding its own name and a newline.
fn left(files: &[(&str, u32)]) -> Scratch {
    let scratch = Scratch::new();
    scratch.mkdir("log");
    for (name, bits) in files {
        let path = scratch.write(format!("log/{name}"), format!("{name}\n"));
        set_mode(path, *bits);
    }
    scratch
}

/// What the finished files hold, oldest first, each with the end of its name.
fn finished_texts(scratch: &Scratch) -> Vec<(String, String)> {
    let end = |path: &String| path.rsplit('.').next().unwrap_or_default().to_owned();
    finished(scratch, "log").iter().map(|path| (end(path), scratch.text(path))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(end, text)| (end.to_owned(), text.to_owned())).collect()
}

#[track_caller]
fn becomes(files: &[(&str, u32)], expected: &[(&str, &str)]) {
    let scratch = left(files);
    log(&scratch, &["./log"], "new\n");
    assert_eq!(finished_texts(&scratch), pairs(expected));
    assert_eq!(scratch.text("log/current"), "new\n");
    assert_eq!(scratch.text("log/state"), "");
    let others: Vec<String> = names(&scratch, "log").into_iter().filter(|name| !name.starts_with('@')).collect();
    assert_eq!(others, ["current", "lock", "state"]);
}

#[test]
fn an_interrupted_current_is_kept_as_unprocessed() {
    becomes(&[("current", 0o644)], &[("u", "current\n")]);
    becomes(&[("current", 0o600), ("state", 0o644)], &[("u", "current\n")]);
    // Only the owner's bit counts.
    becomes(&[("current", 0o655)], &[("u", "current\n")]);
}

#[test]
fn an_empty_current_is_kept_as_well() {
    let scratch = Scratch::new();
    scratch.write("log/current", "");
    log(&scratch, &["./log"], "");
    assert_eq!(names(&scratch, "log"), ["@.u", "current", "lock", "state"]);
    assert_eq!(mode(scratch.path("log/current")), 0o744);
}

#[test]
fn an_interrupted_rotation_is_kept_as_unprocessed() {
    becomes(&[("current", 0o644), ("previous", 0o644)], &[("u", "previous\n"), ("u", "current\n")]);
    becomes(&[("previous", 0o744)], &[("u", "previous\n")]);
}

#[test]
fn an_interrupted_processor_is_forgotten() {
    let files = [("current", 0o644), ("previous", 0o744), ("processed", 0o644), ("newstate", 0o644), ("state", 0o644)];
    becomes(&files, &[("u", "previous\n"), ("u", "current\n")]);
}

#[test]
fn a_finished_processor_is_taken_at_its_word() {
    let files = [("current", 0o644), ("previous", 0o744), ("processed", 0o744), ("newstate", 0o644)];
    becomes(&files, &[("s", "processed\n"), ("u", "current\n")]);
}

#[test]
fn a_file_that_has_its_final_name_already_gets_no_second_one() {
    let scratch = left(&[("current", 0o644), ("previous", 0o744)]);
    let last = scratch.path("log/@400000003b4a39c23294b13c.s");
    fs::hard_link(scratch.path("log/previous"), &last).expect("links");
    log(&scratch, &["./log"], "");
    assert_eq!(finished_texts(&scratch), pairs(&[("s", "previous\n"), ("u", "current\n")]));
    assert!(last.exists());
}

#[test]
fn modes_of_what_is_kept_stay_as_they_are() {
    let scratch = left(&[("current", 0o640)]);
    log(&scratch, &["./log"], "");
    let path = finished(&scratch, "log").pop().expect("one file");
    assert_eq!(mode(scratch.path(path)), 0o640);
}

#[test]
fn recovery_counts_files_too() {
    let scratch = left(&[
        ("current", 0o644),
        ("previous", 0o644),
        ("@400000003b4a39c23294b13c.s", 0o744),
        ("@400000003b4a39c23294b13d.s", 0o744),
    ]);
    log(&scratch, &["n3", "./log"], "");
    assert_eq!(finished_texts(&scratch), pairs(&[("u", "previous\n"), ("u", "current\n")]));
}
