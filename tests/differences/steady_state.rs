//! The original's programs are ended by SIGPIPE when nobody reads their stderr any more, and svscan and multilog by signals that they do not
//! expect. Ours live on. Why: what supervises must not be ended by the death of what reads its messages, or by many signals at a time.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use sys::process::{Pid, Signal, kill};
use testkit::{Running, Scratch, start, wait_until};

use crate::world::{lines, pid, svc, wait_up};

/// A service that notes its starts, and which signals are caught, ignored or blocked then.
const RUN: &str = "grep Sig /proc/self/status >>signals; echo >>starts; exec sleep 1000";

/// A pipe that nobody reads.
fn broken() -> OwnedFd {
    sys::fd::pipe().expect("a pipe").1
}

/// Starts a program whose stderr nobody reads.
fn start_unheard(scratch: &Scratch, program: &str, words: &[&str]) -> Running {
    let mut command = scratch.command(program, words);
    start(command.env("UPHOLD_LOG", "debug").stdin(Stdio::null()).stdout(Stdio::null()).stderr(broken()))
}

#[test]
fn supervise_lives_on_when_nobody_reads_its_stderr() {
    let scratch = Scratch::new();
    scratch.service("a", RUN);
    // It has something to say: the record cannot be written.
    scratch.mkdir("a/supervise/status.new/in the way");
    let mut supervise = start_unheard(&scratch, "supervise", &["a"]);
    wait_until("it runs", || lines(&scratch, "a/starts") == 1);
    supervise.signal("PIPE");
    fs::remove_dir_all(scratch.path("a/supervise/status.new")).expect("it is there");
    let child = wait_up(&scratch, "a");
    // And what cannot be run.
    fs::rename(scratch.path("a/run"), scratch.path("a/not yet")).expect("it is there");
    svc(&scratch, "-k", "a");
    wait_until("it is gone", || pid(&scratch, "a").is_none());
    fs::rename(scratch.path("a/not yet"), scratch.path("a/run")).expect("it is there");
    wait_until("it is up again", || pid(&scratch, "a").is_some_and(|pid| pid != child));
    wait_until("it runs", || lines(&scratch, "a/starts") == 2);
    assert_eq!(supervise.ended(), None);
    // The service dies of SIGPIPE as it would without supervise.
    let ignored =
        scratch.text("a/signals").lines().filter(|line| line.starts_with("SigIgn:")).map(has_pipe).collect::<Vec<_>>();
    assert_eq!(ignored, [false; 2]);
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
}

/// Whether SIGPIPE is in a set of `/proc/PID/status`.
fn has_pipe(line: &str) -> bool {
    let set = line.split_whitespace().nth(1).and_then(|set| u64::from_str_radix(set, 16).ok());
    set.expect("hexadecimal digits") & 1 << (Signal::SIGPIPE as u64 - 1) != 0
}

#[test]
fn svscan_lives_on_when_nobody_reads_its_stderr() {
    let scratch = Scratch::new();
    scratch.mkdir("scan");
    symlink("nowhere", scratch.path("scan/dangling")).expect("a link");
    scratch.service("scan/a", RUN);
    let mut svscan = start_unheard(&scratch, "svscan", &["scan"]);
    wait_up(&scratch, "scan/a");
    svscan.signal("PIPE");
    scratch.service("b", RUN);
    symlink("../b", scratch.path("scan/b")).expect("a link");
    wait_up(&scratch, "scan/b");
    assert_eq!(svscan.ended(), None);
}

#[test]
fn multilog_loses_nothing_when_nobody_reads_its_stderr() {
    let scratch = Scratch::new();
    let mut command = scratch.command("multilog", &["e", "./log"]);
    let mut multilog = start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(broken()));
    let mut input = multilog.child().stdin.take().expect("piped");
    for number in 1..=3 {
        writeln!(input, "{number}").expect("it reads");
        wait_until("it is logged", || lines(&scratch, "log/current") == number);
        multilog.signal("PIPE");
    }
    drop(input);
    assert_eq!(multilog.end(), 0);
    assert_eq!(scratch.text("log/current"), "1\n2\n3\n");
}

const STORM: usize = 10_000;

/// Sends these signals in turn.
fn storm(pid: u32, signals: &[Signal]) {
    let pid = Pid::from_raw(pid.cast_signed());
    for &signal in signals.iter().cycle().take(STORM) {
        kill(pid, signal).expect("it lives");
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count()
}

#[test]
fn supervise_outlives_ten_thousand_signals() {
    let scratch = Scratch::new();
    scratch.service("a", RUN);
    let mut supervise = scratch.start("supervise", "supervise", &["a"]);
    let child = wait_up(&scratch, "a");
    let before = descriptors(supervise.pid());
    storm(supervise.pid(), &[Signal::SIGCHLD, Signal::SIGPIPE]);
    svc(&scratch, "-k", "a");
    wait_until("it is up again", || pid(&scratch, "a").is_some_and(|pid| pid != child));
    assert_eq!((descriptors(supervise.pid()), supervise.ended()), (before, None));
    assert_eq!(scratch.text("supervise.err"), "");
}

/// Puts our program, as it was built, in the place of the one that the test runs.
fn upgrade(scratch: &Scratch, program: &str) {
    let built = fs::read(scratch.suite().path(program)).expect("it was built");
    scratch.install(format!("bin/{program}"), &built);
}

fn is_new(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| !file.to_string_lossy().ends_with(" (deleted)"))
}

#[test]
fn svscan_outlives_ten_thousand_signals_also_while_it_is_upgraded() {
    let scratch = Scratch::new();
    scratch.service("scan/a", RUN);
    for program in ["svscan", "supervise"] {
        upgrade(&scratch, program);
    }
    let mut command = Command::new(scratch.path("bin/svscan"));
    let err = File::create(scratch.path("err")).expect("a file");
    let mut svscan =
        start(command.arg("scan").current_dir(scratch.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(err));
    let child = wait_up(&scratch, "scan/a");
    let before = descriptors(svscan.pid());
    upgrade(&scratch, "svscan");
    // It becomes its new file in the middle of it, again and again.
    for _ in 0..5 {
        storm(svscan.pid(), &[Signal::SIGUSR2, Signal::SIGHUP, Signal::SIGCHLD]);
    }
    wait_until("it is the new file", || is_new(svscan.pid()));
    scratch.service("b", RUN);
    symlink("../b", scratch.path("scan/b")).expect("a link");
    wait_up(&scratch, "scan/b");
    wait_until("nothing more is open", || descriptors(svscan.pid()) == before);
    assert_eq!((pid(&scratch, "scan/a"), svscan.ended(), scratch.text("err").as_str()), (Some(child), None, ""));
}

#[test]
fn multilog_outlives_ten_thousand_signals_and_loses_nothing() {
    let scratch = Scratch::new();
    let mut command = scratch.command("multilog", &["n1000000", "./log"]);
    let mut multilog = start(command.stdin(Stdio::piped()).stdout(Stdio::null()));
    let mut input = multilog.child().stdin.take().expect("piped");
    wait_until("it has begun", || scratch.path("log/current").exists());
    let said: String = (0..10).map(|number| format!("{number}\n")).collect();
    for line in said.lines() {
        writeln!(input, "{line}").expect("it reads");
        storm(multilog.pid(), &[Signal::SIGALRM, Signal::SIGCHLD, Signal::SIGPIPE]);
    }
    drop(input);
    assert_eq!(multilog.end(), 0);
    let entries = fs::read_dir(scratch.path("log")).expect("it is there").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with('@'));
    names.sort();
    let logged: String =
        names.iter().map(String::as_str).chain(["current"]).map(|name| scratch.text(format!("log/{name}"))).collect();
    assert_eq!(logged, said);
    assert!(names.len() > 1, "{names:?}");
}
