//! System calls of svscan that fail.

use std::fs;

use testkit::{Running, Scratch, for_each, lives, needs_inotify, signal, wait_for, wait_until};

use crate::scene::{assert_said_once, is_supervised, pid, supervise_of, svc, wait_up};
use crate::strace::{EXEC, FORK, Injection, MAP, OPEN, PIPE, POLL, READ, TIMES, WATCH, WRITE, needs_strace, reason};

/// A service that leaves a line in its log, and of which two would show; and its logger.
const RUN: &str = "echo hello\nexec setlock -n alone sleep 1000";
const LOG: &str = "exec multilog ./main";

const FORK_FAILED: &[&str] = &["unable to fork for *"];
const OPEN_FAILED: &[&str] = &["unable to open */supervise/ok", RELEASE_FAILED[0]];
const PIPE_FAILED: &[&str] = &["unable to create pipe for *"];
const RELEASE_FAILED: &[&str] = &["unable to write /proc/N/cwd/supervise/control, trying again in 5 seconds"];
const WAIT_FAILED: &[&str] = &["unable to wait, trying again in a second"];
const READ_FAILED: &[&str] = &["unable to read directory"];
const CHANGES_FAILED: &[&str] = &["unable to read changes, looking at everything"];
const EXEC_FAILED: &[&str] = &["unable to start supervise *"];

/// Calls that fail, with which errors, and what svscan may say of it, with a star for the service.
type Fault = (&'static str, &'static [&'static str], &'static [&'static str]);

const FAULTS: &[Fault] = &[
    (FORK, &["EAGAIN", "ENOMEM"], FORK_FAILED),
    (OPEN, &["EMFILE", "ENFILE", "ENOMEM", "EINTR"], OPEN_FAILED),
    (PIPE, &["EMFILE", "ENFILE"], PIPE_FAILED),
    (WRITE, &["ENOMEM", "EAGAIN"], RELEASE_FAILED),
    (WATCH, &["ENOSPC", "ENOMEM"], &[]),
    (POLL, &["ENOMEM"], WAIT_FAILED),
];

#[derive(Debug)]
struct Case {
    calls: &'static str,
    error: &'static str,
    when: u32,
    said: &'static [&'static str],
}

/// All that may be said: of each service, and of each logger.
fn lines(texts: &[&str], error: &str) -> Vec<String> {
    let of = |text: &str, name: &str| format!("svscan: warning: {}: {}", text.replace('*', name), reason(error));
    let each = |text: &&str| match text.contains('*') {
        true => ["a", "a/log", "s", "s/log"].map(|name| of(text, name)).to_vec(),
        false => vec![of(text, "")],
    };
    texts.iter().flat_map(each).collect()
}

/// What svscan has said, with N for a pid.
fn said(scratch: &Scratch) -> String {
    let said = scratch.text("svscan.err");
    let words = said.split('/').map(|word| if word.parse::<u32>().is_ok() { "N" } else { word });
    words.collect::<Vec<_>>().join("/")
}

/// A svscan at work on `a`.
fn scanned(scratch: &Scratch) -> Running {
    service(scratch, "scan/a");
    scratch.mkdir("gone");
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    wait_logged(scratch, "scan/a");
    svscan
}

/// As a slow operator makes it: the directory first, then what is in it.
fn service(scratch: &Scratch, name: &str) {
    let run = scratch.script("run", RUN);
    let dir = scratch.mkdir(name);
    scratch.script(format!("{name}/log/run"), LOG);
    fs::rename(run, dir.join("run")).expect("moves");
}

#[track_caller]
fn wait_logged(scratch: &Scratch, dir: &str) {
    wait_up(scratch, &format!("{dir}/log"));
    wait_up(scratch, dir);
    wait_until(&format!("the logger of {dir} has the line"), || {
        scratch.text(format!("{dir}/log/main/current")) == "hello\n"
    });
}

/// A service comes and goes, and its logger after it.
fn come_and_go(scratch: &Scratch) {
    service(scratch, "scan/s");
    wait_logged(scratch, "scan/s");
    fs::rename(scratch.path("scan/s"), scratch.path("gone/s")).expect("moves");
    svc(scratch, "dx", "gone/s");
    for dir in ["gone/s", "gone/s/log"] {
        wait_until(&format!("{dir} is gone"), || !is_supervised(scratch, dir));
    }
    fs::remove_dir_all(scratch.path("gone/s")).expect("removes");
}

#[test]
fn one_call_that_fails_changes_nothing_in_the_end() {
    if needs_strace() {
        let each = |&(calls, errors, said): &Fault| {
            let pairs = errors.iter().flat_map(|&error| TIMES.map(|when| (error, when)));
            pairs.map(|(error, when)| Case { calls, error, when, said }).collect::<Vec<_>>()
        };
        for_each(&FAULTS.iter().flat_map(each).collect::<Vec<_>>(), one_call_fails);
    }
}

fn one_call_fails(case: &Case) {
    let scratch = Scratch::new();
    let mut svscan = scanned(&scratch);
    let child = wait_up(&scratch, "scan/a");
    let supervises = ["scan/a", "scan/a/log"].map(|dir| supervise_of(&scratch, dir));
    let strace = Injection::of(case.calls, case.error, &case.when.to_string()).attach(&scratch, svscan.pid());
    supervises.iter().for_each(|&supervise| signal(supervise, "KILL"));
    while strace.injected() == 0 {
        come_and_go(&scratch);
    }
    assert_eq!(strace.detach(), 1);
    come_and_go(&scratch);
    for (dir, old) in ["scan/a", "scan/a/log"].into_iter().zip(supervises) {
        wait_until("its supervise is back", || is_supervised(&scratch, dir) && supervise_of(&scratch, dir) != old);
    }
    assert_eq!((svscan.ended(), pid(&scratch, "scan/a")), (None, Some(child)));
    assert_said_once(&said(&scratch), &lines(case.said, case.error));
    assert_eq!(scratch.text("svscan.out"), "", "every line went to a logger");
}

/// The same until the cause is gone.
const LASTING: &[Fault] = &[
    (FORK, &["EAGAIN", "ENOMEM"], FORK_FAILED),
    (OPEN, &["EMFILE", "ENFILE", "ENOMEM"], &[OPEN_FAILED[0], READ_FAILED[0]]),
    (PIPE, &["EMFILE", "ENFILE"], PIPE_FAILED),
    (POLL, &["ENOMEM"], WAIT_FAILED),
];

#[test]
fn what_cannot_be_done_for_a_while_is_done_in_the_end() {
    if needs_strace() {
        let each = |&(calls, errors, said): &Fault| errors.iter().map(move |&error| (calls, error, said));
        for_each(&LASTING.iter().flat_map(each).collect::<Vec<_>>(), |&(calls, error, said)| {
            out_for_a_while(Injection::of(calls, error, "1+"), &lines(said, error));
        });
    }
}

#[test]
fn a_supervise_that_cannot_be_executed_for_a_while_is_started_in_the_end() {
    if needs_strace() {
        for_each(&["ENOMEM", "EAGAIN", "EIO", "EMFILE", "ENFILE"], |error| {
            let supervise = Scratch::new().suite().path("supervise");
            let exec = Injection::of(EXEC, error, "1+").with_children().on(supervise);
            out_for_a_while(exec, &lines(EXEC_FAILED, error));
        });
    }
}

fn out_for_a_while(injection: Injection, lines: &[String]) {
    let scratch = Scratch::new();
    let svscan = scanned(&scratch);
    let child = wait_up(&scratch, "scan/a");
    let supervise = supervise_of(&scratch, "scan/a");
    let strace = injection.attach(&scratch, svscan.pid());
    signal(supervise, "KILL");
    service(&scratch, "scan/s");
    svscan.signal("HUP");
    wait_until("something was tried", || !scratch.text("svscan.err").is_empty());
    let before = strace.injected();
    wait_until("it was tried again", || strace.injected() > before);
    assert_said_once(&said(&scratch), lines);
    strace.detach();
    wait_logged(&scratch, "scan/s");
    let back = wait_for("a supervise", || {
        let new = is_supervised(&scratch, "scan/a").then(|| supervise_of(&scratch, "scan/a"));
        new.filter(|&new| new != supervise)
    });
    assert!(lives(back));
    assert_eq!(pid(&scratch, "scan/a"), Some(child));
    assert_said_once(&said(&scratch), lines);
}

#[test]
fn a_logger_that_cannot_be_told_to_leave_leaves_in_the_end() {
    if needs_strace() {
        for_each(&[(OPEN, "EMFILE"), (OPEN, "ENOMEM"), (WRITE, "EAGAIN"), (WRITE, "ENOMEM")], |&(calls, error)| {
            no_release_for_a_while(calls, error);
        });
    }
}

fn no_release_for_a_while(calls: &'static str, error: &str) {
    let scratch = Scratch::new();
    let svscan = scanned(&scratch);
    let logger = supervise_of(&scratch, "scan/a/log");
    let control = scratch.path("scan/a/log/supervise/control");
    let by_pid = format!("/proc/{logger}/cwd/supervise/control");
    let injection =
        Injection::of(calls, error, "1+").on(control).on(scratch.path("a/log/supervise/control")).on(by_pid);
    let strace = injection.attach(&scratch, svscan.pid());
    fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("moves");
    svc(&scratch, "dx", "a");
    wait_until("it was tried twice", || strace.injected() >= 2);
    strace.detach();
    wait_until("the logger is gone", || !is_supervised(&scratch, "a/log"));
    assert_said_once(&said(&scratch), &lines(RELEASE_FAILED, error));
}

#[test]
fn it_works_on_where_no_memory_can_be_mapped() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    let mut svscan = scanned(&scratch);
    let strace = Injection::of(MAP, "ENOMEM", "1+").attach(&scratch, svscan.pid());
    come_and_go(&scratch);
    let supervise = supervise_of(&scratch, "scan/a");
    signal(supervise, "KILL");
    wait_until("its supervise is back", || {
        is_supervised(&scratch, "scan/a") && supervise_of(&scratch, "scan/a") != supervise
    });
    strace.detach();
    assert_eq!((svscan.ended(), scratch.text("svscan.err")), (None, String::new()));
}

#[test]
fn what_was_said_is_said_again_when_it_comes_back() {
    if needs_strace() {
        for_each(&[(POLL, "ENOMEM", WAIT_FAILED), (PIPE, "EMFILE", PIPE_FAILED)], |&(calls, error, texts)| {
            said_again(&Injection::of(calls, error, "1"), &lines(texts, error));
        });
    }
}

#[test]
fn that_changes_cannot_be_read_is_said_again_when_it_comes_back() {
    if needs_strace() && needs_inotify() {
        let changes = Injection::of(READ, "EIO", "1").on("anon_inode:inotify");
        said_again(&changes, &lines(CHANGES_FAILED, "EIO"));
    }
}

/// What fails once is over when services come and go without it.
fn said_again(injection: &Injection, lines: &[String]) {
    let scratch = Scratch::new();
    let svscan = scanned(&scratch);
    for count in 1..=2 {
        let strace = injection.attach(&scratch, svscan.pid());
        while strace.injected() == 0 {
            come_and_go(&scratch);
        }
        strace.detach();
        let times = |text: &str| lines.iter().map(|line| text.matches(line).count()).sum::<usize>();
        wait_until("it is said again", || times(&said(&scratch)) == count);
        come_and_go(&scratch);
    }
}

#[test]
fn that_a_supervise_cannot_be_told_to_end_is_said_again_when_it_comes_back() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "trap '' TERM; echo >>started; while :; do sleep 1000; done");
    let mut svscan = scratch.start("svscan", "svscan", &["--init", "--grace", "100000", "scan"]);
    wait_until("it ignores TERM", || scratch.path("scan/a/started").exists());
    let child = wait_up(&scratch, "scan/a");
    let line = format!("svscan: warning: unable to write a/supervise/control: {}\n", reason("EMFILE"));
    let exits = || testkit::record(scratch.path("scan/a")).is_some_and(|record| record.decided.service.exiting);
    // Another one is started in its place, and told in its turn.
    let kill = || {
        let old = supervise_of(&scratch, "scan/a");
        signal(old, "KILL");
        wait_until("another runs", || supervise_of(&scratch, "scan/a") != old && is_supervised(&scratch, "scan/a"));
    };
    for count in 1..=2 {
        let path = "a/supervise/control";
        let fails = Injection::of(OPEN, "EMFILE", "1+").on(scratch.path("scan").join(path)).on(path);
        let strace = fails.attach(&scratch, svscan.pid());
        if count == 1 {
            svscan.signal("TERM");
        } else {
            kill();
        }
        wait_until("it is said", || scratch.text("svscan.err") == line.repeat(count));
        strace.detach();
        if count == 1 {
            assert!(!exits());
        }
        kill();
        wait_until("it was told", exits);
    }
    assert_eq!((svscan.ended(), pid(&scratch, "scan/a")), (None, Some(child)));
    // What is left is killed.
    svscan.signal("TERM");
    assert_eq!(svscan.end(), 0);
}

#[test]
fn a_machine_whose_svscan_begins_at_the_second_attempt_has_the_limit_that_it_was_started_with() {
    let Some(strace) = needs_strace().then_some("strace") else { return };
    let scratch = Scratch::new();
    scratch.service("scan/a", "ulimit -Sn >limit.new; mv limit.new limit; exec sleep 1000");
    let inject = "inject=?pipe,?pipe2,?socketpair:error=EMFILE:when=1";
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -Sn 200 && exec \"$@\" --init --halt /bin/true scan";
    command.args(["-c", script, "sh", strace, "-qq", "-o", "/dev/null", "-e", inject]);
    command.arg(scratch.suite().path("svscan")).current_dir(scratch.root());
    let err = fs::File::create(scratch.path("err")).expect("a file");
    let mut strace = testkit::start(command.env("PATH", scratch.suite().search_path()).stderr(err));
    wait_until("the service says its limit", || scratch.path("scan/a/limit").exists());
    assert_eq!(scratch.text("scan/a/limit"), "200\n");
    assert!(scratch.text("err").starts_with("svscan: fatal: unable to create pipe: "), "{}", scratch.text("err"));
    let svscan = testkit::children(strace.pid())[0];
    signal(svscan, "TERM");
    strace.end();
}

#[test]
fn a_log_that_cannot_be_examined_once_is_looked_at_again() {
    let Some(strace) = needs_strace().then_some("strace") else { return };
    let scratch = Scratch::new();
    service(&scratch, "scan/a");
    let mut command = std::process::Command::new(strace);
    let inject = "inject=?stat,?newfstatat,?statx,?fstatat64:error=EIO:when=1";
    command
        .args(["-qq", "-o", "/dev/null", "-P", "a/log", "-e", inject])
        .arg(scratch.suite().path("svscan"))
        .arg("scan");
    let err = fs::File::create(scratch.path("err")).expect("a file");
    let mut strace =
        testkit::start(command.current_dir(scratch.root()).env("PATH", scratch.suite().search_path()).stderr(err));
    wait_until("it is said", || {
        scratch.text("err").contains("svscan: warning: unable to stat a/log: input/output error\n")
    });
    wait_logged(&scratch, "scan/a");
    // strace ends with what it has started.
    signal(testkit::children(strace.pid())[0], "KILL");
    strace.end();
}
