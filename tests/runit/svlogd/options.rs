//! The command line, and how it begins.

use std::fs;

use super::{Logger, USAGE, command, log, logged, mode, names, scratch, svlogd, unstamped, wait_for_text};

#[test]
fn wrong_usage_is_told_in_one_line_and_ends_with_111() {
    let scratch = scratch();
    for words in [
        &[][..],
        &["-v"],
        &["-r", "", "d"],
        &["-r", "ab", "d"],
        &["-l", "2000", "d"],
        &["-l", "1024", "d"],
        &["-b", "1000", "d"],
        &["-b1", "d"],
        &["-l", "99999999999", "d"],
    ] {
        let done = svlogd(&scratch, words, "a\n");
        assert_eq!((done.code, done.err().as_str(), done.out().as_str()), (111, USAGE, ""), "{words:?}");
    }
    for (words, line) in [
        (&["-x", "d"][..], "svlogd: illegal option -- x\n"),
        (&["-tqv", "d"], "svlogd: illegal option -- q\n"),
        (&["-r"], "svlogd: option requires an argument -- r\n"),
        (&["-t", "-l"], "svlogd: option requires an argument -- l\n"),
    ] {
        let done = svlogd(&scratch, words, "a\n");
        assert_eq!((done.code, done.err()), (111, format!("{line}{USAGE}")), "{words:?}");
    }
    assert_eq!(names(&scratch, "d"), [""; 0]);
}

#[test]
fn numbers_of_options_are_read_as_far_as_they_go() {
    for options in [
        &["-l", "0"][..],
        &["-l", "x"],
        &["-b0"],
        &["-bx"],
        &["-l", "1023"],
        &["-l5x"],
        &["-b", "1001"],
        &["-l", "2000", "-b", "2001"],
        &["-l", "2000", "-b2001x"],
        &["-vvv", "--"],
        &["-R", ""],
    ] {
        let scratch = scratch();
        let done = svlogd(&scratch, &[options, &["d"]].concat(), "abc\n");
        assert_eq!((done.code, scratch.text("d/current").as_str()), (0, "abc\n"), "{options:?}");
    }
}

#[test]
fn a_line_lands_in_current() {
    let scratch = scratch();
    log(&scratch, &[], "hello\n");
    assert_eq!(scratch.text("d/current"), "hello\n");
    assert_eq!(names(&scratch, "d"), ["current", "lock"]);
    assert_eq!(mode(scratch.path("d/current")), 0o744);
    assert_eq!(mode(scratch.path("d/lock")), 0o600);
    log(&scratch, &[], "");
    log(&scratch, &[], "again\n");
    assert_eq!(scratch.text("d/current"), "hello\nagain\n");
}

#[test]
fn while_it_runs_current_is_0644() {
    let scratch = scratch();
    let mut logger = Logger::start(&scratch, &["d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    assert_eq!(mode(scratch.path("d/current")), 0o644);
    assert_eq!(logger.end(), 0);
    assert_eq!(mode(scratch.path("d/current")), 0o744);
}

#[test]
fn stamps_stand_in_front_of_each_line() {
    for (option, form) in [
        ("-t", "@000000000000000000000000 "),
        ("-tt", "0000-00-00_00:00:00.00000 "),
        ("-ttt", "0000-00-00T00:00:00.00000 "),
        ("-ttttt", "0000-00-00T00:00:00.00000 "),
    ] {
        let text = logged("", &[option], "a\n\nb c\n");
        let lines: Vec<_> = text.lines().map(|line| line.split_at(26)).collect();
        assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["a", "", "b c"]);
        for (stamp, _) in lines {
            let hexadecimal = option == "-t";
            let digit = |c: char| c.is_ascii_digit() || hexadecimal && c.is_ascii_hexdigit();
            let shown: String = stamp.chars().map(|c| if digit(c) { '0' } else { c }).collect();
            assert_eq!(shown, form, "{stamp}");
        }
    }
}

#[test]
fn stamps_tell_the_time_in_utc() {
    let scratch = scratch();
    let mut zoned = command(&scratch, &["-ttt", "d"]);
    zoned.env("TZ", "XYZ-11");
    let seconds = || {
        i64::try_from(
            fs::metadata(scratch.write("now", ""))
                .and_then(|file| file.modified())
                .expect("a time")
                .duration_since(std::time::UNIX_EPOCH)
                .expect("it is later")
                .as_secs(),
        )
        .expect("it fits")
    };
    let before = seconds();
    assert_eq!(testkit::finish_with(&mut zoned, b"a\n").code, 0);
    let text = scratch.text("d/current");
    let label = tai::Label::from_utc(format!("{}0Z", &text[..25]).as_bytes()).expect("a time");
    assert!((before..=seconds()).contains(&label.unix_seconds()), "{text}");
}

#[test]
fn what_cannot_be_printed_is_replaced() {
    let line = b"a\tb\x01c\xc3\xa4 x(y)z\x7f~\n";
    for (options, expected) in [
        (&["-r", "."][..], "a.b.c.. x(y)z.~\n"),
        (&["-R", "()"], "a_b_c__ x_y_z_~\n"),
        (&["-r", ".", "-R", "()"], "a.b.c.. x.y.z.~\n"),
        (&["-R", "()", "-r", "."], "a.b.c.. x.y.z.~\n"),
        (&["-R", ""], "a_b_c__ x(y)z_~\n"),
        (&["-l", "3", "-R", "()c"], "a_b\x01c\u{e4} x(y)z\x7f~\n"),
        (&["-Rab", "-Rz", "-rX"], "aXbXcXX x(y)XX~\n"),
    ] {
        assert_eq!(logged("", options, line), expected, "{options:?}");
    }
    assert_eq!(logged("-*\n+a.b*\np\t(: \n", &["-r", ".", "-R", "()"], line), "\t(: a.b.c.. x.y.z.~\n");
}

#[test]
fn directories_that_cannot_be_opened_are_left_out() {
    let scratch = scratch();
    scratch.write("file", "");
    let words = ["missing/d", "d", "file", "d", ""];
    let done = svlogd(&scratch, &words, "a\n");
    assert_eq!((done.code, scratch.text("d/current").as_str()), (0, "a\n"));
    let lines = [
        "svlogd: warning: unable to open log directory: missing/d: file does not exist\n",
        "svlogd: warning: unable to change directory: file: not a directory\n",
        "svlogd: warning: unable to lock directory: d: temporary failure\n",
        "svlogd: warning: unable to open log directory: : file does not exist\n",
    ];
    assert_eq!(done.err(), lines.concat());
    let done = svlogd(&scratch, &["missing/d", "file"], "a\n");
    assert_eq!(done.code, 111);
    assert_eq!(done.err(), format!("{}{}svlogd: fatal: no functional log directories.\n", lines[0], lines[1]));
}

#[test]
fn a_directory_has_one_logger() {
    let scratch = scratch();
    let mut logger = Logger::start(&scratch, &["d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    let second = svlogd(&scratch, &["d"], "b\n");
    let lines = "svlogd: warning: unable to lock directory: d: temporary failure\nsvlogd: fatal: no functional log directories.\n";
    assert_eq!((second.code, second.err().as_str()), (111, lines));
    assert_eq!(logger.end(), 0);
    assert_eq!(scratch.text("d/current"), "a\n");
}

#[test]
fn with_v_it_says_what_it_does() {
    let scratch = scratch();
    scratch.write("d/config", "s10\nn1\n");
    let done = svlogd(&scratch, &["-v", "-l", "5", "d"], "123456789\nabcdefghi\nc\n");
    let files = super::finished(&scratch, "d");
    assert_eq!(done.code, 0);
    let lines = unlabelled(&done.err());
    assert_eq!(files.len(), 1);
    let expected = [
        "svlogd: info: read: d/config",
        "svlogd: info: new: d/current",
        "svlogd: info: rename: d/current @.s 10",
        "svlogd: info: rename: d/current @.s 10",
        "svlogd: info: delete: d/@.s",
        "svlogd: info: close: d",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    let done = svlogd(&scratch, &["-v", "d"], "");
    assert_eq!(done.err(), "svlogd: info: read: d/config\nsvlogd: info: append: d/current\nsvlogd: info: close: d\n");
    assert_eq!(unstamped("2026-11-28T18:51:29.20303 a\n"), "@ a\n");
}

/// With all labels as `@`.
fn unlabelled(text: &str) -> String {
    let mut parts = text.split("@4");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}@{}", &part[23..]))
}
