//! Processors: what they are given, what they give back, and what happens when they fail.

use testkit::{Scratch, wait_for, wait_until};

use super::{Logger, finished, log, mode, multilog, names, numbered, wait_for_lines};

/// Fills one file of 4096 bytes and a little of the next.
fn input() -> Vec<u8> {
    numbered(60)
}

/// A multilog that rotates once through `command`.
fn logger(scratch: &Scratch, command: &str) -> Logger {
    let mut logger = Logger::start(scratch, &["s4096", &format!("!{command}"), "./log"]);
    logger.write(input());
    logger
}

/// The one finished file, once it is there.
fn only_finished(scratch: &Scratch) -> String {
    wait_for("a finished file", || {
        let files = finished(scratch, "log");
        (files.len() == 1 && !scratch.path("log/processed").exists()).then(|| files[0].clone())
    })
}

#[test]
fn a_finished_file_holds_what_its_processor_made_of_it() {
    let scratch = Scratch::new();
    log(&scratch, &["s4096", "n100", "!tr 0 o", "./log"], input());
    let files = finished(&scratch, "log");
    assert_eq!(files.len(), 1);
    let made = scratch.text(&files[0]);
    assert!(made.len() >= 2096 && made.bytes().all(|byte| byte != b'0'), "{made}");
    assert!(files[0].ends_with(".s"));
    assert_eq!(mode(scratch.path(&files[0])), 0o744);
    assert_eq!(names(&scratch, "log"), ["@.s", "current", "lock", "state"]);
}

#[test]
fn a_processor_is_given_its_files_on_0_1_4_and_5() {
    let scratch = Scratch::new();
    let command = "for fd in 0 1 4 5; do readlink /proc/self/fd/$fd; done; pwd -P; echo done >&2";
    let finished_log = multilog(&scratch, &["s4096", &format!("!{command}"), "./log"], input());
    assert_eq!((finished_log.code, finished_log.err().as_str()), (0, "done\n"));
    let directory = std::fs::canonicalize(scratch.path("log")).expect("the log directory");
    let directory = directory.to_str().expect("a name that is text");
    let expected = ["previous", "processed", "state", "newstate"].map(|name| format!("{directory}/{name}\n")).concat();
    // readlink was started by the shell, which kept 4 and 5 open for it.
    assert_eq!(scratch.text(&finished(&scratch, "log")[0]), format!("{expected}{directory}\n"));
}

#[test]
fn a_processor_inherits_the_environment_and_is_called_sh() {
    let scratch = Scratch::new();
    let mut command = scratch.command("multilog", &["s4096", "!echo \"$0 $KNOWN\"", "./log"]);
    command.env("KNOWN", "as it was");
    assert_eq!(testkit::finish_with(&mut command, &input()).code, 0);
    assert_eq!(scratch.text(&finished(&scratch, "log")[0]), "sh as it was\n");
}

#[test]
fn state_goes_from_one_run_of_a_processor_to_the_next() {
    let scratch = Scratch::new();
    // Counts the files.
    let command = "!read n <&4; echo $((n + 1)) >&5; echo \"run $n\"";
    log(&scratch, &["s4096", "n100", command, "./log"], numbered(200));
    let runs: Vec<String> = finished(&scratch, "log").iter().map(|path| scratch.text(path)).collect();
    assert!(runs.len() >= 3);
    assert_eq!(runs[..3], ["run \n", "run 1\n", "run 2\n"]);
    assert_eq!(scratch.text("log/state"), format!("{}\n", runs.len()));
}

#[test]
fn only_the_directories_after_it_use_a_processor() {
    let scratch = Scratch::new();
    log(&scratch, &["s4096", "./plain", "!echo made", "./made", "./too"], input());
    assert_ne!(scratch.text(&finished(&scratch, "plain")[0]), "made\n");
    assert_eq!(scratch.text(&finished(&scratch, "made")[0]), "made\n");
    assert_eq!(scratch.text(&finished(&scratch, "too")[0]), "made\n");
}

#[test]
fn a_processor_that_fails_is_run_again_until_it_succeeds() {
    let scratch = Scratch::new();
    let mut logger = logger(&scratch, "cat; test -e ../allowed");
    wait_for_lines(&scratch, &["multilog: warning: processor failed in ./log, pausing"]);
    assert!(scratch.read("log/previous").len() >= 2096);
    assert_eq!(mode(scratch.path("log/previous")), 0o744);
    assert!(finished(&scratch, "log").is_empty());
    scratch.write("allowed", "");
    let file = only_finished(&scratch);
    // What the first run wrote is not there twice.
    assert!(input().starts_with(&scratch.read(&file)));
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_processor_that_a_signal_kills_has_crashed() {
    let scratch = Scratch::new();
    let mut logger = logger(&scratch, "test -e ../allowed || kill -9 $$; cat");
    wait_until("the crash is told", || {
        scratch
            .text("err")
            .lines()
            .any(|line| line.starts_with("multilog: warning: processor crashed in ./log, pausing"))
    });
    scratch.write("allowed", "");
    wait_for_lines(&scratch, &["multilog: warning: processor failed in ./log, pausing"]);
    only_finished(&scratch);
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_processor_that_cannot_be_given_its_files_is_run_when_it_can() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["s4096", "!cat", "./log"]);
    wait_until("the log is open", || scratch.path("log/current").exists());
    std::fs::remove_file(scratch.path("log/state")).expect("was there");
    logger.write(input());
    wait_for_lines(
        &scratch,
        &[
            "multilog: fatal: unable to run cat: file does not exist",
            "multilog: warning: processor failed in ./log, pausing",
        ],
    );
    scratch.write("log/state", "");
    only_finished(&scratch);
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_processor_may_be_ended_by_term_though_multilog_catches_it() {
    let scratch = Scratch::new();
    let finished_log =
        multilog(&scratch, &["s4096", "!trap 'echo caught; exit 0' TERM; kill -TERM $$", "./log"], input());
    assert_eq!(finished_log.code, 0);
    assert_eq!(scratch.text(&finished(&scratch, "log")[0]), "caught\n");
}
