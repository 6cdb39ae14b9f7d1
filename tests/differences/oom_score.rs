//! The original's programs are killed like any others when memory runs out, and a service whose supervise is dead is nobody's. Ours lower their
//! own OOM score where that is permitted, and give every service the value that it would have had. Why: a supervisor holds next to no memory,
//! so its death helps nobody.
//!
//! All begins with a score that was raised first: whoever has done that may take it back, so this shows itself also where -1000 is
//! not permitted.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, finish, signal, start, wait_for, wait_until};

use crate::talker::Talker;
use crate::world::{lines, pid, process, svc, wait_up};

/// What everything is started with.
const RAISED: &str = "300";

/// What a `run` begins with: it notes the score that it is started with.
const NOTE: &str = "cat /proc/self/oom_score_adj >>scores";

/// What ours give themselves here. `None` where even what was raised may not be lowered again.
fn low() -> Option<&'static str> {
    let permits = |low: &&str| {
        let script = format!("echo {RAISED} >/proc/self/oom_score_adj && echo {low} >/proc/self/oom_score_adj");
        finish(Command::new("sh").args(["-c", &script])).code == 0
    };
    let low = ["-1000", "0"].into_iter().find(permits);
    if low.is_none() {
        testkit::skip("OOM scores may not be changed");
    }
    low
}

/// The score of a process.
fn score(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default().trim().to_owned()
}

/// Puts our program, as it was built, in the place of the one that the test runs.
fn upgrade(scratch: &Scratch, program: &str) {
    let built = fs::read(scratch.suite().path(program)).expect("it was built");
    scratch.install(format!("bin/{program}"), &built);
}

/// Starts `bin/PROGRAM dir` with a score of its own.
fn start_raised(scratch: &Scratch, program: &str, dir: &str) -> Running {
    for program in [program, "supervise"] {
        if !scratch.path("bin").join(program).exists() {
            upgrade(scratch, program);
        }
    }
    let file = |kind| {
        let path = scratch.path(format!("{program}.{kind}"));
        fs::File::options().create(true).append(true).open(path).expect("a file")
    };
    let script = format!("echo {RAISED} >/proc/self/oom_score_adj; exec bin/{program} {dir}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    start(command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")))
}

/// A service with a logger, as multilog, under a svscan.
fn scan(scratch: &Scratch) -> (Running, Talker) {
    let talker = Talker::make(scratch, &format!("{NOTE}; exec multilog ./main"));
    scratch.service("scan/a", &format!("{NOTE}; exec cat <>fifo"));
    let svscan = start_raised(scratch, "svscan", "scan");
    wait_all_scores(scratch, 1);
    (svscan, talker)
}

/// Waits until service and logger were each started so many times, always with the score that svscan was given.
#[track_caller]
fn wait_all_scores(scratch: &Scratch, starts: usize) {
    for dir in ["scan/a", "scan/a/log"] {
        let scores = format!("{dir}/scores");
        wait_until("it was started", || lines(scratch, &scores) >= starts);
        assert_eq!(scratch.text(&scores), format!("{RAISED}\n").repeat(starts), "{dir}");
    }
}

fn supervise_of(scratch: &Scratch, dir: &str) -> u32 {
    wait_for("its supervise runs", || process(scratch, &[dir]))
}

/// Ends service and logger, and waits until others have taken their place.
fn restart_all(scratch: &Scratch, starts: usize) {
    for dir in ["scan/a", "scan/a/log"] {
        let old = wait_up(scratch, dir);
        svc(scratch, "-k", dir);
        wait_until("it is started again", || pid(scratch, dir).is_some_and(|pid| pid != old));
    }
    wait_all_scores(scratch, starts);
}

/// Waits until svscan and both supervises have the score `low`.
fn wait_low(scratch: &Scratch, svscan: &Running, low: &str) {
    for dir in ["a", "a/log"] {
        let supervise = supervise_of(scratch, dir);
        wait_until("its supervise is spared", || score(supervise) == low);
    }
    wait_until("svscan is spared", || score(svscan.pid()) == low);
}

#[test]
fn what_supervises_is_spared_and_what_is_supervised_is_not() {
    let Some(low) = low() else { return };
    let scratch = Scratch::new();
    let (svscan, _talker) = scan(&scratch);
    wait_low(&scratch, &svscan, low);
    let [service, logger] = ["scan/a", "scan/a/log"].map(|dir| wait_up(&scratch, dir));
    assert_eq!(score(service), RAISED);
    wait_until("multilog is spared", || score(logger) == low);
    // The operator's choice for the service that runs is left alone.
    fs::write(format!("/proc/{service}/oom_score_adj"), "500").expect("it may be raised");
    restart_all(&scratch, 2);
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn a_supervise_by_itself_does_so_too() {
    let Some(low) = low() else { return };
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let supervise = start_raised(&scratch, "supervise", "a");
    let child = wait_up(&scratch, "a");
    assert_eq!((score(supervise.pid()).as_str(), score(child).as_str()), (low, RAISED));
}

#[test]
fn a_service_that_is_started_after_an_upgrade_is_not_spared() {
    let Some(low) = low() else { return };
    let scratch = Scratch::new();
    let (svscan, _talker) = scan(&scratch);
    for program in ["svscan", "supervise"] {
        upgrade(&scratch, program);
    }
    let is_new =
        |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.to_string_lossy().ends_with(")"));
    let supervises = ["a", "a/log"].map(|dir| supervise_of(&scratch, dir));
    svscan.signal("USR2");
    svc(&scratch, "--reexec", "scan/a");
    svc(&scratch, "--reexec", "scan/a/log");
    for pid in supervises.into_iter().chain([svscan.pid()]) {
        wait_until("it is the new file", || is_new(pid));
    }
    restart_all(&scratch, 2);
    wait_low(&scratch, &svscan, low);
    // And by supervises that the new svscan has started.
    for supervise in supervises {
        signal(supervise, "KILL");
    }
    for (dir, old) in ["a", "a/log"].into_iter().zip(supervises) {
        wait_until("another runs", || process(&scratch, &[dir]).is_some_and(|new| new != old));
        wait_until("it supervises", || scratch.run("svok", &[&format!("scan/{dir}")]).code == 0);
    }
    wait_low(&scratch, &svscan, low);
    restart_all(&scratch, 3);
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn a_service_that_was_taken_over_is_left_as_it_is_and_the_next_is_not_spared() {
    let Some(low) = low() else { return };
    let scratch = Scratch::new();
    let (mut first, _talker) = scan(&scratch);
    let service = wait_up(&scratch, "scan/a");
    fs::write(format!("/proc/{service}/oom_score_adj"), "500").expect("it may be raised");
    let supervises = ["a", "a/log"].map(|dir| supervise_of(&scratch, dir));
    first.signal("KILL");
    first.end();
    for supervise in supervises {
        signal(supervise, "KILL");
    }
    wait_until("both are gone", || ["a", "a/log"].iter().all(|dir| process(&scratch, &[dir]).is_none()));
    let svscan = start_raised(&scratch, "svscan", "scan");
    wait_low(&scratch, &svscan, low);
    for dir in ["scan/a", "scan/a/log"] {
        wait_until("it is supervised", || scratch.run("svok", &[dir]).code == 0);
    }
    assert_eq!((pid(&scratch, "scan/a"), score(service).as_str()), (Some(service), "500"));
    restart_all(&scratch, 2);
}

#[test]
fn a_processor_of_multilog_is_not_spared() {
    let Some(low) = low() else { return };
    let scratch = Scratch::new();
    let script = format!(
        "echo {RAISED} >/proc/self/oom_score_adj; exec multilog s4096 '!cat /proc/self/oom_score_adj >../score; cat' ./main"
    );
    let mut multilog = start(
        Command::new("sh")
            .args(["-c", &script])
            .env("PATH", scratch.suite().search_path())
            .current_dir(scratch.root())
            .stdin(Stdio::piped()),
    );
    wait_until("multilog is spared", || score(multilog.pid()) == low);
    let mut stdin = multilog.child().stdin.take().expect("piped");
    stdin.write_all(&b"line\n".repeat(1000)).expect("it reads");
    wait_until("the processor has run", || scratch.text("score") == format!("{RAISED}\n"));
    drop(stdin);
    assert_eq!(multilog.end(), 0);
}

#[test]
fn what_may_not_be_lowered_stays_without_a_word() {
    let scratch = Scratch::new();
    scratch.service("a", "cat /proc/self/oom_score_adj >score; exec sleep 1000");
    scratch.give("a");
    let err = fs::File::create(scratch.path("err")).expect("a file");
    let mut command = scratch.ordinary("supervise", &["a"]);
    let supervise = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err));
    let child = wait_up(&scratch, "a");
    let own = score(std::process::id());
    if own.parse::<i32>().is_ok_and(|own| own <= 0) {
        assert_eq!(score(supervise.pid()), own);
    }
    wait_until("it has noted its score", || scratch.text("a/score").trim() == own);
    assert_eq!((score(child), scratch.text("err")), (own, String::new()));
}
