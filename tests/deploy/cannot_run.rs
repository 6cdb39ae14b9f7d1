//! A `run` that cannot be executed: the service is down, svstat and `svc --wait` say why, and the process that did not become `run` is shown to nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{Running, Scratch, for_each, wait_for, wait_until};

use super::world::{pid, svc, svstat, wait_down, wait_up};

const SLEEPER: &str = "exec sleep 1000";

/// The ways in which `run` cannot be executed, each with the reason that is given.
const BROKEN: [(&str, &str); 4] = [
    ("is missing", "file does not exist"),
    ("is not executable", "access denied"),
    ("has no interpreter", "file does not exist"),
    ("is a directory", "access denied"),
];

fn break_run(scratch: &Scratch, how: &str) {
    let run = scratch.path("a/run");
    fs::remove_file(&run).expect("it is there");
    match how {
        "is missing" => {}
        "is not executable" => {
            scratch.write("a/run", "#!/bin/sh\n");
            fs::set_permissions(&run, fs::Permissions::from_mode(0o644)).expect("ours");
        }
        "has no interpreter" => drop(scratch.install("a/run", b"#!/nowhere/sh\n")),
        _ => drop(scratch.mkdir("a/run")),
    }
}

fn mend_run(scratch: &Scratch) {
    let run = scratch.path("a/run");
    let _ = fs::remove_dir(&run);
    let _ = fs::remove_file(&run);
    scratch.service("a", SLEEPER);
}

fn supervise(scratch: &Scratch) -> Running {
    let supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
    supervise
}

fn seconds_down(scratch: &Scratch) -> Option<u64> {
    svstat(scratch, "a").strip_prefix("down ")?.split(' ').next()?.parse().ok()
}

/// Watches the status while `act` runs: the pids that it names.
fn pids_while(scratch: &Scratch, act: impl FnOnce()) -> Vec<[u8; 4]> {
    let (done, status) = (AtomicBool::new(false), scratch.path("a/supervise/status"));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let bytes = fs::read(&status).expect("it is there always");
                assert_eq!(bytes.len(), 20);
                let pid = [bytes[12], bytes[13], bytes[14], bytes[15]];
                if pid != [0; 4] && !seen.contains(&pid) {
                    seen.push(pid);
                }
            }
            seen
        });
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        done.store(true, Ordering::Relaxed);
        let seen = watching.join().expect("it reads");
        acted.unwrap_or_else(|why| std::panic::resume_unwind(why));
        seen
    })
}

#[test]
fn no_wait_takes_it_for_up_and_nobody_shows_its_process() {
    for_each(&BROKEN, |&(how, reason)| {
        let scratch = Scratch::new();
        scratch.service("a", SLEEPER);
        scratch.write("a/down", "");
        let _supervise = supervise(&scratch);
        break_run(&scratch, how);
        let why = format!("unable to start run: {reason}");
        let seen = pids_while(&scratch, || {
            svc(&scratch, "-u", "a");
            wait_until("it was tried", || svstat(&scratch, "a").ends_with(&why));
            for wanted in ["up", "ready"] {
                let wait = format!("--wait={wanted}");
                let ran = scratch.run("svc", &["-u", &wait, "--timeout=1.2", "a"]);
                let said = format!(
                    "svc: warning: unable to wait for a to be {wanted}: timed out, it is down and will be started, {why}\n"
                );
                assert_eq!((ran.code, ran.err()), (1, said), "{how}");
            }
            let line = svstat(&scratch, "a");
            assert!(
                line.starts_with("down ") && line.ends_with(&format!(", normally down, want up, {why}")) || {
                    line.starts_with("down ") && line.ends_with(&format!(", want up, {why}"))
                },
                "{how}: {line}"
            );
        });
        assert_eq!(seen, Vec::<[u8; 4]>::new(), "{how}");
        mend_run(&scratch);
        let ran = scratch.run("svc", &["--wait=up", "--timeout=20", "a"]);
        assert_eq!((ran.code, ran.err()), (0, String::new()), "{how}");
        assert!(svstat(&scratch, "a").starts_with("up "), "{how}");
    });
}

#[test]
fn a_deployment_without_run_fails_and_tells_since_when_it_is_down() {
    let scratch = Scratch::new();
    scratch.service("web", SLEEPER);
    let _supervise = scratch.start("supervise", "supervise", &["web"]);
    wait_up(&scratch, "web");
    fs::remove_file(scratch.path("web/run")).expect("it is there");
    let ran = scratch.run("svc", &["--wait=ready", "--timeout=2", "-r", "web"]);
    let why = "it is down and will be started, unable to start run: file does not exist";
    assert_eq!(
        (ran.code, ran.err()),
        (1, format!("svc: warning: unable to wait for web to be ready: timed out, {why}\n"))
    );
    scratch.service("web", SLEEPER);
    let ran = scratch.run("svc", &["--wait=ready", "--timeout=20", "web"]);
    assert_eq!((ran.code, ran.err()), (0, String::new()));
}

#[test]
fn the_seconds_count_from_its_end_and_not_from_the_last_attempt() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    fs::remove_file(scratch.path("a/run")).expect("it is there");
    svc(&scratch, "-t", "a");
    wait_down(&scratch, "a");
    // It is tried once a second.
    wait_until("it has been down for three seconds", || seconds_down(&scratch).expect("it stays down") >= 3);
    let attempts = scratch.text("supervise.err").lines().count();
    assert!(attempts >= 2, "{attempts}");
}

#[test]
fn a_second_copy_that_cannot_be_executed_leaves_the_first_up() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    // Before that the shell may not have read its script.
    wait_until("it sleeps", || fs::read(format!("/proc/{child}/comm")).is_ok_and(|name| name == b"sleep\n"));
    fs::remove_file(scratch.path("a/run")).expect("it is there");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "--timeout=20", "a"]);
    let why = "unable to start run: file does not exist";
    let said = format!("svc: warning: unable to wait for a to be replaced: it is up (pid {child}), {why}\n");
    assert_eq!((ran.code, ran.err()), (1, said));
    assert_eq!(pid(&scratch, "a"), Some(child));
}

#[test]
fn the_status_has_daemontools_length_whatever_happens() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    wait_up(&scratch, "a");
    let mut first = first;
    let _second = std::cell::Cell::new(None);
    let seen = pids_while(&scratch, || {
        let replaced = |letters: &[&str]| {
            let ran = scratch.run("svc", &[letters, &["--timeout=20", "a"]].concat());
            assert_eq!((ran.code, ran.err()), (0, String::new()));
        };
        replaced(&["-R", "--wait=replaced"]);
        svc(&scratch, "-p", "a");
        wait_until("it is paused", || svstat(&scratch, "a").ends_with(", paused"));
        svc(&scratch, "-c", "a");
        replaced(&["-d", "--wait=down"]);
        replaced(&["-u", "--wait=up"]);
        svc(&scratch, "--reexec", "a");
        replaced(&["-r", "--wait=up"]);
        first.signal("KILL");
        first.end();
        let child = pid_of_status(&scratch);
        _second.set(Some(supervise(&scratch)));
        assert_eq!(wait_for("it is taken over", || pid(&scratch, "a")), child);
    });
    assert!(seen.len() >= 3, "{seen:?}");
}

/// The pid in the status, whoever has written that.
fn pid_of_status(scratch: &Scratch) -> u32 {
    let bytes = scratch.read("a/supervise/status");
    u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}
