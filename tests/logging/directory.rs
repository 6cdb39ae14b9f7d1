//! What a log directory holds, and with which modes.

use std::fs;
use std::process::Command;

use testkit::{Scratch, finish_with};

use super::{Logger, finished, log, mode, names, numbered, set_mode, wait_for_text};

#[test]
fn a_new_directory_has_its_files_and_modes_whatever_the_umask() {
    for umask in ["000", "077", "022"] {
        let scratch = Scratch::new();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$0\" =status ./log"));
        shell.arg(scratch.suite().path("multilog")).current_dir(scratch.root());
        assert_eq!(finish_with(&mut shell, b"a\n").code, 0);
        assert_eq!(names(&scratch, "log"), ["current", "lock", "state"]);
        for (name, expected) in
            [("log", 0o700), ("log/current", 0o744), ("log/lock", 0o600), ("log/state", 0o644), ("status", 0o600)]
        {
            assert_eq!(mode(scratch.path(name)), expected, "{name} under umask {umask}");
        }
    }
}

#[test]
fn the_mode_of_a_directory_that_is_there_is_kept() {
    let scratch = Scratch::new();
    scratch.mkdir("log");
    set_mode(scratch.path("log"), 0o751);
    log(&scratch, &["./log"], "a\n");
    assert_eq!(mode(scratch.path("log")), 0o751);
}

#[test]
fn current_is_not_marked_complete_while_multilog_runs() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], "a\n");
    assert_eq!(mode(scratch.path("log/current")), 0o744);
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("b\n");
    wait_for_text(&scratch, "log/current", "a\nb\n");
    assert_eq!(mode(scratch.path("log/current")), 0o644);
    assert_eq!(logger.end(), 0);
    assert_eq!(mode(scratch.path("log/current")), 0o744);
}

#[test]
fn a_clean_restart_appends_and_touches_nothing_else() {
    let scratch = Scratch::new();
    log(&scratch, &["./log"], "a\n");
    for name in ["previous", "processed", "newstate", "state"] {
        scratch.write(format!("log/{name}"), name);
    }
    for number in 0..5 {
        scratch.write(format!("log/@40000000000000000000000{number}.s"), "old");
    }
    log(&scratch, &["n2", "./log"], "b\n");
    assert_eq!(scratch.text("log/current"), "a\nb\n");
    assert_eq!(finished(&scratch, "log").len(), 5);
    for name in ["previous", "processed", "newstate", "state"] {
        assert_eq!(scratch.text(format!("log/{name}")), name);
    }
}

#[test]
fn a_log_goes_on_where_it_was_moved_to() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["s4096", "./log"]);
    logger.write("a\n");
    wait_for_text(&scratch, "log/current", "a\n");
    fs::rename(scratch.path("log"), scratch.path("moved")).expect("renames");
    logger.write(numbered(60));
    assert_eq!(logger.end(), 0);
    assert_eq!(finished(&scratch, "moved").len(), 1);
    assert!(!scratch.path("log").exists());
}

#[test]
fn foreign_files_are_left_alone() {
    let scratch = Scratch::new();
    // 24 characters are one too few to be counted.
    let foreign = ["notes", "@short", "@12345678901234567890123", ".hidden", "current.old", "directory/file"];
    for name in foreign {
        scratch.write(format!("log/{name}"), name);
    }
    log(&scratch, &["s4096", "n2", "./log"], numbered(300));
    for name in foreign {
        assert!(scratch.path(format!("log/{name}")).exists(), "{name}");
    }
}

#[test]
fn a_foreign_file_that_is_named_as_a_finished_one_is_counted_and_removed() {
    let scratch = Scratch::new();
    scratch.write("log/@0000000000000000000000000 whatever it is", "");
    scratch.write("log/@400000000000000000000000.t", "");
    log(&scratch, &["s4096", "n2", "./log"], numbered(60));
    assert_eq!(names(&scratch, "log"), ["@.s", "current", "lock", "state"]);
}
