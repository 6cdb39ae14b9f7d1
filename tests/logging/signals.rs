//! TERM ends multilog at a line end; other signals kill it.

use std::io::Read;

use sys::process::Signal;
use sys::signals::is_ignored;
use testkit::{Scratch, wait_for, wait_until};

use super::{Logger, log, mode, names, numbered, wait_for_text};

#[test]
fn term_at_a_line_end_ends_it_cleanly() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("a\n");
    wait_for_text(&scratch, "log/current", "a\n");
    logger.signal("TERM");
    assert_eq!(logger.running.end(), 0);
    assert_eq!(mode(scratch.path("log/current")), 0o744);
    assert_eq!(scratch.text("log/current"), "a\n");
    assert_eq!(scratch.text("err"), "");
}

#[test]
fn term_before_any_input_ends_it_cleanly() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    wait_until("the log is open", || scratch.path("log/current").exists());
    logger.signal("TERM");
    assert_eq!(logger.running.end(), 0);
    assert_eq!(names(&scratch, "log"), ["current", "lock", "state"]);
    assert_eq!(mode(scratch.path("log/current")), 0o744);
}

#[test]
fn term_in_a_line_waits_for_its_end_and_leaves_the_rest_in_the_pipe() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("a\nb");
    wait_for_text(&scratch, "log/current", "a\n");
    logger.signal("TERM");
    logger.write("c\nnext\n");
    assert_eq!(logger.running.end(), 0);
    assert_eq!(scratch.text("log/current"), "a\nbc\n");
    logger.input = None;
    let mut left = String::new();
    logger.rest.read_to_string(&mut left).expect("a pipe");
    assert_eq!(left, "next\n");
}

#[test]
fn the_end_of_input_ends_a_line_after_term() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    logger.write("a\nb");
    wait_for_text(&scratch, "log/current", "a\n");
    logger.signal("TERM");
    assert_eq!(logger.end(), 0);
    assert_eq!(scratch.text("log/current"), "a\nb\n");
    assert_eq!(mode(scratch.path("log/current")), 0o744);
}

#[test]
fn other_signals_kill_it_and_the_next_start_keeps_the_file() {
    let signals = [(Signal::SIGHUP, "HUP"), (Signal::SIGINT, "INT"), (Signal::SIGUSR1, "USR1")];
    for (signal, name) in signals {
        // As nohup and background jobs have it; multilog would inherit that.
        if is_ignored(signal) {
            continue;
        }
        let scratch = Scratch::new();
        let mut logger = Logger::start(&scratch, &["./log"]);
        logger.write("a\n");
        wait_for_text(&scratch, "log/current", "a\n");
        logger.signal(name);
        assert_eq!(logger.running.end(), 1000 + signal as i32);
        assert_eq!(mode(scratch.path("log/current")), 0o644);
        log(&scratch, &["./log"], "b\n");
        assert_eq!(names(&scratch, "log"), ["@.u", "current", "lock", "state"]);
        assert_eq!(scratch.text("log/current"), "b\n");
    }
}

#[test]
fn what_came_before_a_kill_is_in_the_file() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["./log"]);
    for number in 0..100 {
        logger.write(format!("{number}\n"));
    }
    let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
    wait_for_text(&scratch, "log/current", &expected);
    logger.signal("KILL");
    assert_eq!(logger.running.end(), 1009);
    log(&scratch, &["./log"], "");
    let kept = super::finished(&scratch, "log");
    assert_eq!(scratch.text(&kept[0]), expected);
}

/// What has been read and not written is lost with the one who read it; finishing a file may take long.
#[test]
fn while_a_file_is_finished_most_of_what_follows_is_still_in_the_pipe() {
    for (before, script) in [
        (48_000, ["s50000", "!: >begun; exec sleep 1000", "./log"]),
        (2_100, ["s4096", "!: >begun; exec sleep 1000", "./log"]),
    ] {
        let scratch = Scratch::new();
        let mut logger = Logger::start(&scratch, &script);
        let lines = numbered(1_200);
        logger.write(&lines);
        wait_until("the file is being finished", || scratch.path("log/begun").exists());
        logger.signal("KILL");
        assert_eq!(logger.running.end(), 1009);
        logger.input = None;
        let mut rest = Vec::new();
        logger.rest.read_to_end(&mut rest).expect("a pipe");
        let kept = [scratch.read("log/previous"), scratch.read("log/current")].concat();
        assert!(kept.len() >= before && lines.starts_with(&kept) && lines.ends_with(&rest));
        let lost = lines.len() - kept.len() - rest.len();
        assert!(lost <= 4_096, "{lost} bytes");
    }
}

#[test]
fn many_alarms_at_once_lose_nothing() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["n10000", "./log"]);
    logger.write("begin\n");
    wait_for_text(&scratch, "log/current", "begin\n");
    let mut expected = "begin\n".to_owned();
    for number in 0..20 {
        let line = format!("{number}\n");
        logger.write(&line);
        logger.signal("ALRM");
        expected.push_str(&line);
    }
    let held = || String::from_utf8_lossy(&super::whole(&scratch, "log")).into_owned();
    wait_for("all lines", || (held() == expected).then_some(()));
    assert_eq!(logger.end(), 0);
    assert_eq!(held(), expected);
}
