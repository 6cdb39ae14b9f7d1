//! Processors: what they are given, what they give back, and what waits for them.

use std::fs;

use testkit::wait_until;

use super::{Logger, configured, finished, log, mode, names, svlogd, wait_for_line, wait_for_text, whole};

/// A line that fills a file of the size 10, and one for the next.
const LINES: &str = "123456789\nnxt\n";

#[test]
fn a_finished_file_holds_what_its_processor_made_of_it() {
    let scratch = configured("s10\n!tr 1-9 a-i\n");
    let done = svlogd(&scratch, &["-l", "5", "d"], LINES);
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    assert_eq!(names(&scratch, "d"), ["@.s", "current", "lock", "state"]);
    let file = &finished(&scratch, "d")[0];
    assert_eq!((scratch.text(file).as_str(), mode(scratch.path(file))), ("abcdefghi\n", 0o744));
    assert_eq!((scratch.text("d/current").as_str(), scratch.text("d/state").as_str()), ("nxt\n", ""));
}

#[test]
fn it_is_given_its_files_on_0_1_4_and_5_and_a_shell_in_the_directory() {
    let scratch = configured(
        "s10\n!for fd in 0 1 4 5; do readlink /proc/self/fd/$fd | sed 's/@.*\\./@./'; done; pwd -P; echo \"$0 $KNOWN\"\n",
    );
    let mut command = super::command(&scratch, &["-l", "5", "d"]);
    let done = testkit::finish_with(command.env("KNOWN", "as it was"), LINES.as_bytes());
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let directory = fs::canonicalize(scratch.path("d")).expect("the log directory");
    let directory = directory.to_str().expect("UTF-8");
    // In a pipeline, descriptor 1 is the pipe.
    let lines = scratch.text(&finished(&scratch, "d")[0]);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!(lines[0], format!("{directory}/@.u"));
    assert_eq!(
        lines[2..],
        [format!("{directory}/state"), format!("{directory}/newstate"), directory.into(), "sh as it was".into()]
    );
}

#[test]
fn what_it_writes_to_5_it_reads_from_4_the_next_time() {
    let scratch =
        configured("s10\n!cat <&4; cat; date +x >/dev/null; { cat <&4; printf +; cat state; } >&5 2>/dev/null\n");
    log(&scratch, &["-l", "5"], "123456789\n".repeat(4));
    let texts: Vec<_> = finished(&scratch, "d").iter().map(|file| scratch.text(file)).collect();
    assert_eq!(texts, ["123456789\n", "+123456789\n", "++123456789\n", "+++123456789\n"]);
    assert_eq!(scratch.text("d/state"), "++++");
}

#[test]
fn it_runs_in_the_background_and_the_next_file_waits_for_it() {
    let scratch = configured("s10\nn0\n!until [ -e go ]; do sleep 0.01; done; cat\n");
    let mut logger = Logger::start(&scratch, &["-v", "-l", "5", "d"]);
    logger.write("123456789\n");
    wait_until("it is rotated", || names(&scratch, "d").contains(&"@.u".into()));
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    wait_until("it runs", || names(&scratch, "d").contains(&"@.t".into()));
    logger.write("1234567\nb\n");
    wait_for_text(&scratch, "d/current", "a\n1234567\n");
    assert_eq!(mode(scratch.path("d/current")), 0o644);
    scratch.write("d/go", "");
    assert_eq!(logger.end(), 0);
    assert_eq!(whole(&scratch, "d"), "123456789\na\n1234567\nb\n");
    assert_eq!(names(&scratch, "d"), ["@.s", "@.s", "current", "go", "lock", "state"]);
    let said = scratch.text("err");
    let said: Vec<_> = said.lines().filter(|line| line.contains("process") || line.contains("sigchild")).collect();
    assert!(
        said.iter().any(|line| line.starts_with("svlogd: info: processing: d/@") && line.ends_with(".u")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|line| line.starts_with("svlogd: info: processed: d/@") && line.ends_with(".s")),
        "{said:?}"
    );
}

#[test]
fn the_end_waits_for_it() {
    let scratch = configured("s10\n!until [ -e go ]; do sleep 0.01; done; cat\n");
    let mut logger = Logger::start(&scratch, &["-v", "-l", "5", "d"]);
    logger.write("123456789\n");
    wait_until("it runs", || names(&scratch, "d").contains(&"@.t".into()));
    logger.signal("TERM");
    wait_for_line(&scratch, "svlogd: info: sigterm received.");
    assert!(logger.running.ended().is_none());
    scratch.write("d/go", "");
    assert_eq!(logger.running.end(), 0);
    assert_eq!(names(&scratch, "d"), ["@.s", "current", "go", "lock", "state"]);
}

#[test]
fn one_that_fails_is_told_and_started_again() {
    let scratch = configured("s10\n!echo x >>count; [ $(wc -l <count) -ge 3 ] && cat\n");
    let done = svlogd(&scratch, &["-l", "5", "d"], LINES);
    assert_eq!((done.code, done.err()), (0, "svlogd: warning: processor failed, restart: d\n".repeat(2)));
    assert_eq!(names(&scratch, "d"), ["@.s", "count", "current", "lock", "state"]);
    assert_eq!(whole(&scratch, "d"), LINES);
}

#[test]
fn an_empty_processor_is_none() {
    let scratch = configured("s10\n!\n");
    log(&scratch, &["-l", "5"], LINES);
    assert_eq!(names(&scratch, "d"), ["@.s", "current", "lock"]);
    // The last one counts.
    let scratch = configured("s10\n!false\n!cat\n!\n");
    log(&scratch, &["-l", "5"], LINES);
    assert_eq!(names(&scratch, "d"), ["@.s", "current", "lock", "state"]);
}
