//! What the signals do.

use std::fs;

use super::{Logger, configured, finished, mode, names, scratch, wait_for_line, wait_for_text};
use testkit::wait_until;

#[test]
fn term_ends_it_at_a_line_end_and_with_0() {
    let scratch = scratch();
    let mut logger = Logger::start(&scratch, &["-v", "d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    logger.signal("TERM");
    assert_eq!(logger.running.end(), 0);
    assert_eq!((scratch.text("d/current").as_str(), mode(scratch.path("d/current"))), ("a\n", 0o744));
    assert!(scratch.text("err").ends_with("svlogd: info: sigterm received.\nsvlogd: info: close: d\n"));
}

#[test]
fn hangup_reads_the_configuration_again() {
    let scratch = configured("-*\n");
    scratch.mkdir("e");
    let mut logger = Logger::start(&scratch, &["-v", "d", "e"]);
    logger.write("a\n");
    wait_for_text(&scratch, "e/current", "a\n");
    scratch.write("d/config", "pnew \n");
    logger.signal("HUP");
    wait_for_line(&scratch, "svlogd: info: sighangup received.");
    logger.write("b\n");
    wait_for_text(&scratch, "e/current", "a\nb\n");
    assert_eq!((scratch.text("d/current").as_str(), mode(scratch.path("d/current"))), ("new b\n", 0o644));
    let said = scratch.text("err");
    let said: Vec<_> = said.lines().skip_while(|line| !line.contains("sighangup")).skip(1).collect();
    // The original closes and opens one after the other.
    for line in ["close: d", "read: d/config", "append: d/current", "close: e", "append: e/current"] {
        assert!(said.contains(&format!("svlogd: info: {line}").as_str()), "{said:?}");
    }
    assert_eq!((said.len(), logger.end()), (5, 0));
    // Not everything is in the file when the configuration was already read.
    assert_eq!(names(&scratch, "d"), ["current", "lock"]);
}

#[test]
fn hangup_leaves_out_a_directory_that_is_gone_and_takes_one_that_came() {
    let scratch = scratch();
    scratch.mkdir("e");
    let mut logger = Logger::start(&scratch, &["d", "e"]);
    logger.write("a\n");
    wait_for_text(&scratch, "e/current", "a\n");
    fs::rename(scratch.path("d"), scratch.path("away")).expect("renames");
    logger.write("b\n");
    wait_for_text(&scratch, "e/current", "a\nb\n");
    // Until then it is the same directory.
    wait_for_text(&scratch, "away/current", "a\nb\n");
    logger.signal("HUP");
    wait_for_line(&scratch, "svlogd: warning: unable to open log directory: d: file does not exist");
    logger.write("c\n");
    wait_for_text(&scratch, "e/current", "a\nb\nc\n");
    assert_eq!((scratch.text("away/current").as_str(), mode(scratch.path("away/current"))), ("a\nb\n", 0o744));
    assert!(!scratch.path("d").exists());
    scratch.mkdir("d");
    logger.signal("HUP");
    wait_until("it is there", || scratch.path("d/current").exists());
    logger.write("d\n");
    assert_eq!(logger.end(), 0);
    assert_eq!((scratch.text("d/current").as_str(), scratch.text("e/current").as_str()), ("d\n", "a\nb\nc\nd\n"));
}

#[test]
fn stop_and_continue_lose_nothing() {
    let scratch = scratch();
    let mut logger = Logger::start(&scratch, &["d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    logger.signal("STOP");
    logger.write("b\n");
    logger.running.signal("CONT");
    wait_for_text(&scratch, "d/current", "a\nb\n");
    assert_eq!(logger.end(), 0);
    assert!(finished(&scratch, "d").is_empty());
}

#[test]
fn after_kill_the_file_is_set_aside() {
    let scratch = scratch();
    let mut logger = Logger::start(&scratch, &["d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    logger.running.signal("KILL");
    logger.running.end();
    super::log(&scratch, &[], "b\n");
    assert_eq!(names(&scratch, "d"), ["@.u", "current", "lock"]);
    assert_eq!(super::whole(&scratch, "d"), "a\nb\n");
}
