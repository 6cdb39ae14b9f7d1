//! What the words of a script do.

use testkit::Scratch;

use super::{is_stamp, log, mode, multilog};

/// The lines of `input` that the actions select.
#[track_caller]
fn selected(actions: &[&str], input: &str) -> String {
    let scratch = Scratch::new();
    log(&scratch, &[actions, &["./log"]].concat(), input);
    scratch.text("log/current")
}

#[test]
fn a_line_is_selected_until_an_action_deselects_it() {
    assert_eq!(selected(&[], "a\nb\n"), "a\nb\n");
    assert_eq!(selected(&["-a"], "a\nb\n"), "b\n");
    assert_eq!(selected(&["-*"], "a\nb\n"), "");
}

#[test]
fn the_last_action_that_matches_decides() {
    assert_eq!(selected(&["-*", "+a*"], "a1\nb1\na2\n"), "a1\na2\n");
    assert_eq!(selected(&["-*", "+a*", "-a1"], "a1\nb1\na2\n"), "a2\n");
    assert_eq!(selected(&["+a", "-b"], "a\nb\nc\n"), "a\nc\n");
}

#[test]
fn each_directory_gets_what_is_selected_where_it_stands() {
    let scratch = Scratch::new();
    log(&scratch, &["./all", "-a*", "./some", "+*", "./again"], "a\nb\n");
    assert_eq!(scratch.text("all/current"), "a\nb\n");
    assert_eq!(scratch.text("some/current"), "b\n");
    assert_eq!(scratch.text("again/current"), "a\nb\n");
}

#[test]
fn a_star_ends_at_the_first_byte_that_follows_it_in_the_pattern() {
    for (pattern, line, matches) in [
        ("hello", "hello world", false),
        ("*", "", true),
        ("", "", true),
        ("", "x", false),
        ("a*b", "aXb", true),
        ("a*b", "aXbb", false),
        ("a*bb", "abbb", false),
        ("*one", "oone", false),
        ("[*]: x*", "[12]: xyz", true),
        ("a?c", "abc", false),
        ("a\\b", "a\\b", true),
        ("**", "abc", false),
        ("**", "ab*", true),
        ("**", "ab*c", true),
        ("***", "ab*c", true),
        ("** x", "a* x", true),
        ("*a*", "xxaxx", true),
        ("A", "a", false),
    ] {
        let expected = if matches { String::new() } else { format!("{line}\n") };
        assert_eq!(selected(&[&format!("-{pattern}")], &format!("{line}\n")), expected, "{pattern:?} on {line:?}");
    }
}

#[test]
fn patterns_see_bytes_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let mut command = scratch.command("multilog", &[]);
    command.arg(std::ffi::OsStr::from_bytes(b"-*\xff*")).arg("./log");
    assert_eq!(testkit::finish_with(&mut command, b"a\xffb\n\0\xfe\n").code, 0);
    assert_eq!(scratch.read("log/current"), b"\0\xfe\n");
}

#[test]
fn patterns_see_the_first_thousand_bytes_of_a_line() {
    let thousand = "a".repeat(1000);
    let input = format!("{0}\n{0}b\n{1}\n", thousand, &thousand[1..]);
    assert_eq!(selected(&[&format!("-{thousand}")], &input), format!("{}\n", &thousand[1..]));
    let late = format!("{}b\n{thousand}b\n", &thousand[1..]);
    assert_eq!(selected(&["-*b"], &late), format!("{thousand}b\n"));
}

#[test]
fn patterns_see_the_stamp() {
    let scratch = Scratch::new();
    log(&scratch, &["t", "-* a", "-b", "./log"], "a\nb\n");
    let text = scratch.text("log/current");
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with(" b\n"), "{text}");
}

#[test]
fn t_stamps_each_line_if_it_is_the_first_action() {
    let scratch = Scratch::new();
    log(&scratch, &["txyz", "./log"], "one\n\ntwo");
    let text = scratch.text("log/current");
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_at_checked(26)).collect();
    assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["one", "", "two"]);
    for (stamp, _) in lines {
        assert!(stamp.strip_prefix('@').and_then(|stamp| stamp.strip_suffix(' ')).is_some_and(is_stamp), "{stamp}");
    }
}

#[test]
fn t_later_in_the_script_does_nothing() {
    assert_eq!(selected(&["x", "t"], "a\n"), "a\n");
    assert_eq!(selected(&["", "t"], "a\n"), "a\n");
}

#[test]
fn unknown_and_empty_words_do_nothing() {
    assert_eq!(selected(&["x", "", "T", "--", "\u{e9}", "S5", "n", "s"], "a\n"), "a\n");
    let finished = multilog(&Scratch::new(), &[], "a\n");
    assert_eq!((finished.code, finished.out(), finished.err()), (0, String::new(), String::new()));
}

/// What `e` makes of `line`.
fn on_stderr(line: &[u8]) -> Vec<u8> {
    let finished = multilog(&Scratch::new(), &["exyz"], line);
    assert_eq!((finished.code, finished.out()), (0, String::new()));
    finished.stderr
}

#[test]
fn e_sends_a_line_to_stderr_and_cuts_a_long_one() {
    let line = |length| "x".repeat(length);
    assert_eq!(on_stderr(b"a\n\nb\0\xff\n"), b"a\n\nb\0\xff\n");
    assert_eq!(on_stderr(b"unfinished"), b"unfinished\n");
    assert_eq!(on_stderr(format!("{}\n", line(200)).as_bytes()), format!("{}\n", line(200)).into_bytes());
    for length in [201, 999, 1000, 1001, 100_000] {
        assert_eq!(on_stderr(line(length).as_bytes()), format!("{}...\n", line(200)).into_bytes(), "{length}");
    }
}

#[test]
fn e_shows_only_selected_lines() {
    let finished = multilog(&Scratch::new(), &["-a", "e"], "a\nb\n");
    assert_eq!(finished.err(), "b\n");
}

#[test]
fn a_status_file_holds_the_last_selected_line_and_newlines() {
    let scratch = Scratch::new();
    log(&scratch, &["-b*", "=status"], "a1\na2\nb1\n");
    assert_eq!(scratch.text("status"), format!("a2{}", "\n".repeat(999)));
    assert_eq!(mode(scratch.path("status")), 0o600);
}

#[test]
fn a_status_file_holds_at_most_a_thousand_bytes_of_a_line() {
    let scratch = Scratch::new();
    log(&scratch, &["=status"], "short\n".to_owned() + &"x".repeat(3000));
    assert_eq!(scratch.text("status"), "x".repeat(1000) + "\n");
}

#[test]
fn a_status_file_is_left_alone_until_a_line_comes_and_keeps_its_tail() {
    let scratch = Scratch::new();
    let old = "o".repeat(1500);
    scratch.write("status", &old);
    log(&scratch, &["=status"], "");
    assert_eq!(scratch.text("status"), old);
    log(&scratch, &["=status"], "new\n");
    assert_eq!(scratch.text("status"), format!("new{}{}", "\n".repeat(998), "o".repeat(499)));
}

#[test]
fn status_files_and_directories_are_relative_to_where_multilog_began() {
    let scratch = Scratch::new();
    log(&scratch, &["./one", "=status", "./two"], "a\n");
    assert!(scratch.text("status").starts_with("a\n"));
    assert_eq!(scratch.text("two/current"), "a\n");
}
