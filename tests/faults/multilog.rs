//! System calls of multilog that fail: it pauses for five seconds, and no line is lost.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, finish, for_each, lives, needs_program, signal, start, wait_until};

use crate::scene::assert_said_once;
use crate::strace::{
    CHMOD, EXEC, FORK, FSYNC, Injection, LINK, OPEN, READ, RENAME, TIMES, UNLINK, WRITE, needs_strace, reason,
};

/// Calls that fail, with which errors, and what multilog may say of it.
type Fault = (&'static str, &'static [&'static str], &'static [&'static str]);

const FAULTS: &[Fault] = &[
    (WRITE, &["ENOSPC", "EIO", "ENOMEM", "EAGAIN", "EROFS"], &["unable to write to ./log/current, pausing"]),
    (FSYNC, &["EIO", "ENOSPC"], SYNC_FAILED),
    (RENAME, &["ENOSPC", "EIO", "ENOMEM", "EROFS"], RENAME_FAILED),
    (OPEN, &["EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EIO", "EROFS"], OPEN_FAILED),
    (LINK, &["ENOSPC", "EIO", "ENOMEM"], &["unable to link to ./log/@, pausing"]),
    (
        UNLINK,
        &["EIO", "EROFS", "ENOMEM"],
        &["unable to remove ./log/previous, pausing", "unable to remove ./log/processed, pausing"],
    ),
    (CHMOD, &["EIO", "EROFS"], MODE_FAILED),
    (FORK, &["EAGAIN", "ENOMEM"], FORK_FAILED),
];

const SYNC_FAILED: &[&str] = &[
    "unable to write ./log/current to disk, pausing",
    "unable to write ./log/processed to disk, pausing",
    "unable to write ./log/newstate to disk, pausing",
];
const RENAME_FAILED: &[&str] = &[
    "unable to rename current to previous in directory ./log, pausing",
    "unable to rename newstate to state in directory ./log, pausing",
];
const OPEN_FAILED: &[&str] = &[
    "unable to create ./log/current, pausing",
    "unable to create ./log/processed, pausing",
    "unable to create ./log/newstate, pausing",
    "unable to read ./log, pausing",
    "unable to run cat",
];
const MODE_FAILED: &[&str] = &[
    "unable to set mode of ./log/current, pausing",
    "unable to set mode of ./log/previous, pausing",
    "unable to set mode of ./log/processed, pausing",
];
const FORK_FAILED: &[&str] = &["unable to fork for processor in ./log, pausing"];
/// What follows where a processor could not be run.
const PROCESSOR_FAILED: &str = "multilog: warning: processor failed in ./log, pausing";

/// Those that are made again without a word.
const INTERRUPTIONS: &[Fault] = &[
    (WRITE, &["EINTR"], &[]),
    (FSYNC, &["EINTR"], &[]),
    (RENAME, &["EINTR"], &[]),
    (OPEN, &["EINTR"], &[]),
    (LINK, &["EINTR"], &[]),
    (UNLINK, &["EINTR"], &[]),
    (CHMOD, &["EINTR"], &[]),
    (READ, &["EINTR"], &[]),
];

#[derive(Debug)]
struct Case {
    calls: &'static str,
    error: &'static str,
    when: u32,
    said: &'static [&'static str],
}

fn cases(faults: &[Fault]) -> Vec<Case> {
    let each = |&(calls, errors, said): &Fault| {
        let pairs = errors.iter().flat_map(|&error| TIMES.map(|when| (error, when)));
        pairs.map(|(error, when)| Case { calls, error, when, said }).collect::<Vec<_>>()
    };
    faults.iter().flat_map(each).collect()
}

fn lines(texts: &[&str], error: &str) -> Vec<String> {
    let level = |text: &str| if text.starts_with("unable to run") { "fatal" } else { "warning" };
    let lines = texts.iter().map(|text| format!("multilog: {}: {text}: {}", level(text), reason(error)));
    lines.chain([PROCESSOR_FAILED.to_owned()]).collect()
}

/// A multilog with small files, each put through a processor.
struct Logger {
    running: Running,
    input: Option<std::process::ChildStdin>,
    number: usize,
}

impl Logger {
    fn start(scratch: &Scratch) -> Logger {
        Logger::start_with(scratch, "!cat")
    }

    fn start_with(scratch: &Scratch, processor: &str) -> Logger {
        let mut command = scratch.command("multilog", &["s4096", "n1000", processor, "./log"]);
        let said = fs::File::create(scratch.path("multilog.err")).expect("a file");
        let mut running = start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said));
        let input = running.child().stdin.take();
        let mut logger = Logger { running, input, number: 0 };
        logger.write(1);
        wait_until("it is at work", || scratch.read("log/current").len() == 50);
        logger
    }

    /// Writes so many lines more.
    fn write(&mut self, count: usize) {
        let lines: Vec<u8> = (self.number..self.number + count).flat_map(line).collect();
        self.number += count;
        self.input.as_mut().expect("open").write_all(&lines).expect("it reads");
    }

    /// Ends the input, waits for the end, and checks that every line is there once and in order.
    #[track_caller]
    fn end(mut self, scratch: &Scratch) {
        self.input = None;
        assert_eq!(self.running.end(), 0);
        let expected: Vec<u8> = (0..self.number).flat_map(line).collect();
        assert!(whole(scratch) == expected, "lines are lost or doubled");
    }
}

/// 50 bytes.
fn line(number: usize) -> Vec<u8> {
    format!("{number:049}\n").into_bytes()
}

/// All that the log holds.
fn whole(scratch: &Scratch) -> Vec<u8> {
    let entries = fs::read_dir(scratch.path("log")).expect("a directory").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with('@') || name == "current");
    // `@` sorts before `c`.
    names.sort();
    names.iter().flat_map(|name| scratch.read(format!("log/{name}"))).collect()
}

/// What multilog has said, without the stamp of a file.
fn said(scratch: &Scratch) -> String {
    let said = scratch.text("multilog.err");
    let short = |line: &str| match line.split_once("/@") {
        Some((front, stamped)) => format!("{front}/@{}\n", stamped.split_once(".s").map_or(stamped, |(_, rest)| rest)),
        None => format!("{line}\n"),
    };
    said.lines().map(short).collect()
}

#[test]
fn one_call_that_fails_loses_no_line() {
    if needs_strace() {
        for_each(&cases(FAULTS), one_call_fails);
    }
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    if needs_strace() {
        for_each(&cases(INTERRUPTIONS), |case| {
            let scratch = one_call_fails_in_a_scratch(case);
            assert_eq!(said(&scratch), "");
        });
    }
}

fn one_call_fails(case: &Case) {
    let scratch = one_call_fails_in_a_scratch(case);
    assert_said_once(&said(&scratch), &lines(case.said, case.error));
}

fn one_call_fails_in_a_scratch(case: &Case) -> Scratch {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch);
    let strace = Injection::of(case.calls, case.error, &case.when.to_string()).attach(&scratch, logger.running.pid());
    // Half a file at a time; each file takes two writes and one of most other calls.
    while strace.injected() == 0 {
        logger.write(40);
        wait_until("it has read all", || unread(&logger) == 0);
    }
    // Each of the calls is counted by itself.
    assert!((1..=2).contains(&strace.detach()));
    logger.write(100);
    logger.end(&scratch);
    scratch
}

/// How much stands in the pipe to it.
fn unread(logger: &Logger) -> usize {
    use std::os::fd::AsFd;
    let reader = sys::fd::open_read(format!("/proc/{}/fd/0", logger.running.pid()).as_str()).expect("it has one");
    let [any] = sys::poll::readable([reader.as_fd()], Some(0)).expect("polls");
    usize::from(any)
}

/// Calls that fail until the cause is gone: of multilog, and of the shell that it runs.
#[test]
fn what_cannot_be_done_for_a_while_is_done_in_the_end() {
    if needs_strace() {
        for_each(&cases(FAULTS), |case| {
            if case.when == 1 {
                out_for_a_while(Injection::of(case.calls, case.error, "1+"), &lines(case.said, case.error), None);
            }
        });
    }
}

#[test]
fn a_processor_that_cannot_be_executed_for_a_while_is_run_in_the_end() {
    if needs_strace() {
        for_each(&["ENOMEM", "EAGAIN", "EIO", "EMFILE"], |error| {
            let exec = Injection::of(EXEC, error, "1+").with_children().on("/bin/sh");
            out_for_a_while(exec, &lines(&["unable to run cat"], error), Some("unable to run cat"));
        });
    }
}

/// The second try of a processor is as loud as the first: `repeated` says which line that is.
fn out_for_a_while(injection: Injection, lines: &[String], repeated: Option<&str>) {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch);
    let strace = injection.attach(&scratch, logger.running.pid());
    logger.write(200);
    wait_until("something was tried", || strace.injected() > 0);
    let before = strace.injected();
    wait_until("it was tried again", || strace.injected() > before);
    let mut all = lines.to_vec();
    if let Some(text) = repeated {
        all.extend(lines.iter().filter(|line| line.contains(text)).cloned());
    }
    assert_said_once(&said(&scratch), &all);
    assert!(lives(logger.running.pid()));
    strace.detach();
    logger.write(100);
    logger.end(&scratch);
}

#[test]
fn term_while_nothing_can_be_written_ends_it_and_says_what_is_lost() {
    if !needs_strace() {
        return;
    }
    // EINTR is no trouble, and a signal that cannot be told by a byte is heard all the same.
    for error in ["ENOSPC", "ENOMEM"] {
        let scratch = Scratch::new();
        let mut logger = Logger::start(&scratch);
        let strace = Injection::of(WRITE, error, "1+").attach(&scratch, logger.running.pid());
        logger.write(10);
        wait_until("it was tried", || strace.injected() > 0);
        signal(logger.running.pid(), "TERM");
        assert_eq!(logger.running.end(), 111);
    }
}

/// Lets a process have no more memory than it has, or as much as it likes.
fn limit_memory(prlimit: &Path, pid: u32, limited: bool) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")).expect("a size");
    let bytes = size.parse::<u64>().expect("a number") * 1024;
    let soft = if limited { bytes.to_string() } else { "unlimited".to_owned() };
    let limit = format!("--as={soft}:unlimited");
    assert_eq!(finish(Command::new(prlimit).args([&limit, "--pid", &pid.to_string()])).code, 0);
}

#[test]
fn it_works_on_where_no_memory_can_be_had() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch);
    limit_memory(&prlimit, logger.running.pid(), true);
    logger.write(500);
    wait_until("it has read all", || unread(&logger) == 0);
    logger.end(&scratch);
    assert_eq!(said(&scratch), "");
}

#[test]
fn it_waits_for_memory_that_it_must_have() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::new();
    // A message about a processor with such a long text takes more than a C library has at hand.
    let processor = format!("!cat #{}", ".".repeat(120_000));
    let mut logger = Logger::start_with(&scratch, &processor);
    fs::remove_file(scratch.path("log/state")).expect("it is there");
    limit_memory(&prlimit, logger.running.pid(), true);
    logger.write(100);
    let warning = "multilog: warning: unable to allocate memory, pausing: out of memory\n";
    wait_until("it says so, or dies", || logger.running.ended().is_some() || said(&scratch) == warning);
    assert_eq!(logger.running.ended(), None);
    scratch.write("log/state", "");
    limit_memory(&prlimit, logger.running.pid(), false);
    logger.write(100);
    logger.end(&scratch);
}
