//! System calls of supervise that fail.

use std::time::Duration;

use testkit::{Running, Scratch, for_each, holds_for, lives, start, wait_until};

use crate::scene::{
    ALONE, assert_said_once, insist_up_again, is_supervised, processes, svc, wait_down, wait_up, wait_up_again,
};
use crate::strace::{
    EXEC, FORK, Injection, KILL, MAP, OPEN, PIPE, POLL, RENAME, SOCKET, TIMES, WRITE, WRITE_AT, needs_strace, reason,
};

const FORK_FAILED: &str = "supervise: warning: unable to fork for a, sleeping 60 seconds";
const OPEN_FAILED: &str = "supervise: warning: unable to open a/supervise/status.new";
const WRITE_FAILED: &str = "supervise: warning: unable to write a/supervise/status.new";
const RENAME_FAILED: &str = "supervise: warning: unable to rename a/supervise/status.new to status";
const RECORD_FAILED: &str = "supervise: warning: unable to write a/supervise/record";
const KILL_FAILED: &str = "supervise: warning: unable to signal a";
const WAIT_FAILED: &str = "supervise: warning: unable to wait for a, trying again in a second";
const RUN_FAILED: &str = "supervise: fatal: unable to start a/run";

/// Calls that fail, with which errors, and what supervise says of it.
type Fault = (&'static str, &'static [&'static str], &'static str);

/// Calls that supervise makes itself while it works.
const FAULTS: &[Fault] = &[
    (FORK, &["EAGAIN", "ENOMEM"], FORK_FAILED),
    (OPEN, &["EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EIO", "EROFS"], OPEN_FAILED),
    (WRITE, &["ENOSPC", "EIO", "ENOMEM"], WRITE_FAILED),
    (RENAME, &["ENOSPC", "EIO", "ENOMEM", "EROFS"], RENAME_FAILED),
    (WRITE_AT, &["ENOSPC", "EIO", "ENOMEM"], RECORD_FAILED),
    (KILL, &["EAGAIN", "ENOMEM"], KILL_FAILED),
    (POLL, &["ENOMEM", "EAGAIN"], WAIT_FAILED),
];

/// Those that are made again without a word.
const INTERRUPTIONS: &[Fault] =
    &[(OPEN, &["EINTR"], ""), (WRITE, &["EINTR"], ""), (RENAME, &["EINTR"], ""), (WRITE_AT, &["EINTR"], "")];

#[derive(Debug)]
struct Case {
    calls: &'static str,
    error: &'static str,
    when: u32,
    said: &'static str,
}

fn cases(faults: &[Fault]) -> Vec<Case> {
    let each = |&(calls, errors, said): &Fault| {
        let pairs = errors.iter().flat_map(|&error| TIMES.map(|when| (error, when)));
        pairs.map(|(error, when)| Case { calls, error, when, said }).collect::<Vec<_>>()
    };
    faults.iter().flat_map(each).collect()
}

fn lines(text: &str, error: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![format!("{text}: {}", reason(error))] }
}

/// A supervise whose service is up, and has done what it does at its start.
fn supervised(scratch: &Scratch) -> (Running, u32) {
    scratch.service("a", ALONE);
    let supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_until("it has started", || starts(scratch) == 1);
    (supervise, wait_up(scratch, "a"))
}

fn starts(scratch: &Scratch) -> usize {
    scratch.text("a/starts").lines().count()
}

#[test]
fn one_call_that_fails_changes_nothing_in_the_end() {
    if needs_strace() {
        for_each(&cases(FAULTS), one_call_fails);
    }
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    if needs_strace() {
        for_each(&cases(INTERRUPTIONS), one_call_fails);
    }
}

fn one_call_fails(case: &Case) {
    let scratch = Scratch::new();
    let (mut supervise, mut child) = supervised(&scratch);
    let strace = Injection::of(case.calls, case.error, &case.when.to_string()).attach(&scratch, supervise.pid());
    // Until the call was reached: a status for the pause, another for its end, one for the death; and one start.
    while strace.injected() == 0 {
        svc(&scratch, "pck", "a");
        child = insist_up_again(&scratch, "a", child);
    }
    assert_eq!(strace.detach(), 1);
    assert_eq!(supervise.ended(), None);
    assert_said_once(&scratch.text("supervise.err"), &lines(case.said, case.error));
    // It does what it is told, and there is one service.
    svc(&scratch, "u", "a");
    let child = wait_up(&scratch, "a");
    svc(&scratch, "d", "a");
    wait_until("the service is gone", || !lives(child));
    wait_down(&scratch, "a");
    svc(&scratch, "u", "a");
    wait_up_again(&scratch, "a", child);
    wait_until("there is one", || processes(&scratch, "a") == ["sleep", "supervise"]);
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}

/// The new status, as supervise and strace name it.
const STATUS: [&str; 2] = ["supervise/status.new", "a/supervise/status.new"];

/// Calls that write the status.
const LASTING: &[Fault] = &[
    (OPEN, &["EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EIO", "EROFS"], OPEN_FAILED),
    (WRITE, &["ENOSPC", "EIO", "ENOMEM"], WRITE_FAILED),
    (RENAME, &["ENOSPC", "EIO", "ENOMEM", "EROFS"], RENAME_FAILED),
];

#[test]
fn a_status_that_cannot_be_written_for_a_while_is_written_in_the_end() {
    if needs_strace() {
        let lasting: Vec<Case> = cases(LASTING).into_iter().filter(|case| case.when == 1).collect();
        for_each(&lasting, no_status_for_a_while);
    }
}

fn no_status_for_a_while(case: &Case) {
    let scratch = Scratch::new();
    let (mut supervise, first) = supervised(&scratch);
    let all = Injection::of(case.calls, case.error, "1+").with_children();
    let strace =
        STATUS.iter().fold(all, |all, path| all.on(scratch.path(path)).on(path)).attach(&scratch, supervise.pid());
    svc(&scratch, "pck", "a");
    wait_until("it is started again", || starts(&scratch) == 2);
    svc(&scratch, "pcpc", "a");
    wait_until("that was tried", || strace.injected() >= 8);
    assert_said_once(&scratch.text("supervise.err"), &lines(case.said, case.error));
    assert!(strace.detach() >= 8);
    // By itself.
    let second = wait_up_again(&scratch, "a", first);
    assert_eq!(processes(&scratch, "a"), ["sleep", "supervise"]);
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
    assert!(!lives(second));
    assert_said_once(&scratch.text("supervise.err"), &lines(case.said, case.error));
}

/// Another one of the service, while these calls fail.
#[track_caller]
fn start_while_it_fails(scratch: &Scratch, supervise: &Running, injection: &Injection, child: &mut u32) {
    let strace = injection.attach(scratch, supervise.pid());
    svc(scratch, "k", "a");
    *child = wait_up_again(scratch, "a", *child);
    assert!(strace.detach() > 0);
}

/// The same, with nothing that fails.
#[track_caller]
fn start_without_trouble(scratch: &Scratch, child: &mut u32) {
    svc(scratch, "k", "a");
    *child = wait_up_again(scratch, "a", *child);
}

#[test]
fn that_there_is_no_pipe_to_get_ready_by_is_said_again_when_it_comes_back() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    scratch.write("a/notification-fd", "3");
    let (mut supervise, mut child) = supervised(&scratch);
    let fails = Injection::of(PIPE, "EMFILE", "1+");
    let line = format!("supervise: warning: unable to create pipe for a/notification-fd: {}\n", reason("EMFILE"));
    for count in 1..=2 {
        for _ in 0..2 {
            start_while_it_fails(&scratch, &supervise, &fails, &mut child);
            assert_eq!(scratch.text("supervise.err"), line.repeat(count));
        }
        start_without_trouble(&scratch, &mut child);
    }
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
    assert_eq!(scratch.text("supervise.err"), line.repeat(2));
}

/// A socket that could be made is kept, unless it is to be of the other kind.
#[test]
fn that_there_is_no_socket_is_said_again_when_it_comes_back() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    scratch.write("a/sd-notify", "abstract");
    scratch.service("a", ALONE);
    scratch.write("a/down", "");
    let mut supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_until("it runs", || is_supervised(&scratch, "a"));
    let fails = Injection::of(SOCKET, "EMFILE", "1+");
    let mut child = 0;
    let [file, none] = ["make a/supervise/notify, taking an abstract socket", "open a socket for a"]
        .map(|what| format!("supervise: warning: unable to {what}: {}\n", reason("EMFILE")));
    let strace = fails.attach(&scratch, supervise.pid());
    svc(&scratch, "u", "a");
    child = wait_up_again(&scratch, "a", child);
    assert!(strace.detach() > 0);
    assert_eq!(scratch.text("supervise.err"), none);
    start_while_it_fails(&scratch, &supervise, &fails, &mut child);
    assert_eq!(scratch.text("supervise.err"), none);
    start_without_trouble(&scratch, &mut child);
    scratch.write("a/sd-notify", "");
    for _ in 0..2 {
        start_while_it_fails(&scratch, &supervise, &fails, &mut child);
        assert_eq!(scratch.text("supervise.err"), [none.as_str(), &file, &none].concat());
    }
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}

/// Nobody would know of it, should supervise be killed: the next one would start another.
#[test]
fn a_service_is_not_started_while_its_record_cannot_be_written() {
    if !needs_strace() {
        return;
    }
    for_each(&["ENOSPC", "EIO", "EFBIG"], |error| {
        let scratch = Scratch::new();
        let (mut supervise, first) = supervised(&scratch);
        let path = "supervise/record";
        let fails = Injection::of(WRITE_AT, error, "1+").with_children().on(scratch.path("a").join(path)).on(path);
        let strace = fails.attach(&scratch, supervise.pid());
        svc(&scratch, "k", "a");
        wait_until("its start was tried", || scratch.text("supervise.err").contains(", not starting what nobody"));
        holds_for(Duration::from_millis(1500), "it is down", || (starts(&scratch), lives(first)) == (1, false));
        assert_eq!(processes(&scratch, "a"), ["supervise"]);
        let said = scratch.text("supervise.err");
        assert_eq!(said.matches("not starting").count(), 1, "{said}");
        let reason = format!("nobody would know of: {}\n", reason(error));
        assert!(said.contains(&reason), "{said}");
        assert!(scratch.run("svstat", &["a"]).out().starts_with("a: down "));
        strace.detach();
        // By itself.
        wait_up_again(&scratch, "a", first);
        svc(&scratch, "dx", "a");
        assert_eq!(supervise.end(), 0);
    });
}

#[test]
fn the_death_of_a_service_is_noticed_where_nothing_can_be_written() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    let (mut supervise, first) = supervised(&scratch);
    // Not even the byte by which a signal wakes the loop.
    let strace = Injection::of(WRITE, "ENOMEM", "1+").attach(&scratch, supervise.pid());
    for number in 2..=4 {
        svc(&scratch, "k", "a");
        wait_until("it is started again", || {
            // Should the signal have come at the very moment when supervise went to sleep, this wakes it.
            svc(&scratch, "c", "a");
            starts(&scratch) == number
        });
    }
    assert!(strace.detach() > 0);
    wait_up_again(&scratch, "a", first);
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}

#[test]
fn a_run_that_cannot_be_executed_for_a_while_is_started_in_the_end() {
    if needs_strace() {
        for_each(&["ENOMEM", "EAGAIN", "EIO", "EMFILE", "ENFILE"], |error| no_exec_for_a_while(error));
    }
}

fn no_exec_for_a_while(error: &str) {
    let scratch = Scratch::new();
    let (mut supervise, first) = supervised(&scratch);
    let run = Injection::of(EXEC, error, "1+").with_children().on("./run").on(scratch.path("a/run"));
    let strace = run.attach(&scratch, supervise.pid());
    svc(&scratch, "k", "a");
    wait_until("it was tried twice", || strace.injected() >= 2);
    strace.detach();
    let second = wait_up_again(&scratch, "a", first);
    wait_until("it is run", || starts(&scratch) == 2);
    // One line for each attempt, as ever.
    let said = scratch.text("supervise.err");
    assert!(said.lines().all(|line| line == format!("{RUN_FAILED}: {}", reason(error))), "{said}");
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
    assert!(!lives(second));
}

#[test]
fn a_start_for_which_there_is_no_process_is_made_at_once_on_u() {
    if needs_strace() {
        for_each(&[(FORK, "EAGAIN"), (FORK, "ENOMEM")], |&(calls, error)| no_start_for_a_while(calls, error, true));
    }
}

pub fn no_start_for_a_while(calls: &'static str, error: &str, ask: bool) {
    let scratch = Scratch::new();
    let (mut supervise, _) = supervised(&scratch);
    let strace = Injection::of(calls, error, "1+").attach(&scratch, supervise.pid());
    svc(&scratch, "k", "a");
    wait_until("a start was tried", || strace.injected() == 1);
    wait_down(&scratch, "a");
    if ask {
        svc(&scratch, "u", "a");
        wait_until("another was tried", || strace.injected() == 2);
    }
    strace.detach();
    assert_said_once(&scratch.text("supervise.err"), &lines(FORK_FAILED, error));
    if ask {
        svc(&scratch, "u", "a");
    } else {
        // Nobody asks.
        holds_for(Duration::from_secs(45), "it waits", || starts(&scratch) == 1);
    }
    wait_up(&scratch, "a");
    assert_said_once(&scratch.text("supervise.err"), &lines(FORK_FAILED, error));
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}

#[test]
fn a_service_whose_score_cannot_be_restored_for_a_while_is_started_all_the_same() {
    if needs_strace() {
        for_each(&["EMFILE", "ENOMEM", "ENOENT"], |error| no_score_for_a_while(error));
    }
}

const SCORE_FAILED: &str = "supervise: warning: unable to restore the OOM score of a";

fn no_score_for_a_while(error: &str) {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let file = |kind| std::fs::File::create(scratch.path(format!("supervise.{kind}"))).expect("a file");
    // Whoever has raised a score may lower it again, whatever else is permitted.
    let mut sh = std::process::Command::new("sh");
    sh.args(["-c", "echo 300 >/proc/self/oom_score_adj; exec supervise a"]).env("PATH", scratch.suite().search_path());
    let mut supervise = start(sh.current_dir(scratch.root()).stdout(file("out")).stderr(file("err")));
    let mut child = wait_up(&scratch, "a");
    let score = |pid| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default();
    assert_eq!(score(child), "300\n");
    let own = score(supervise.pid());
    if own == "300\n" {
        return testkit::skip("OOM scores may not be lowered");
    }
    let opening = Injection::of(OPEN, error, "1+").with_children().on("/proc/self/oom_score_adj");
    let strace = opening.attach(&scratch, supervise.pid());
    for _ in 0..2 {
        svc(&scratch, "k", "a");
        child = wait_up_again(&scratch, "a", child);
        assert_eq!(score(child), own);
    }
    assert_eq!(strace.detach(), 2);
    svc(&scratch, "k", "a");
    child = wait_up_again(&scratch, "a", child);
    assert_eq!(score(child), "300\n");
    assert_said_once(&scratch.text("supervise.err"), &lines(SCORE_FAILED, error));
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}

#[test]
fn it_works_on_where_no_memory_can_be_mapped() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    let (mut supervise, mut child) = supervised(&scratch);
    let strace = Injection::of(MAP, "ENOMEM", "1+").attach(&scratch, supervise.pid());
    for _ in 0..3 {
        svc(&scratch, "pck", "a");
        child = wait_up_again(&scratch, "a", child);
    }
    strace.detach();
    assert_eq!(scratch.text("supervise.err"), "");
    svc(&scratch, "dx", "a");
    assert_eq!(supervise.end(), 0);
}
