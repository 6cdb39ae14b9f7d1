//! Killed at the moment of birth: a supervise between the birth of its child and the moment when that has become `run`. strace holds the
//! child up there.

use std::fs;
use std::time::Duration;

use testkit::{Running, Scratch, children, for_each, holds_for, signal, wait_for, wait_until};

use crate::scene::{ALONE, is_supervised, pid, processes, supervise_of, svc, wait_up};
use crate::strace::{EXEC, Injection, Strace, WRITE_AT, needs_strace};

/// Long enough to be killed in, and shorter than the next supervise waits for the lock.
const HELD_UP: u64 = 300_000;

/// What the child does before it is `run`, and the paths that this is about.
const MOMENTS: [(&str, [&str; 2]); 2] =
    [(WRITE_AT, ["supervise/record", "scan/a/supervise/record"]), (EXEC, ["./run", "scan/a/run"])];

/// Whether the process has not become another program yet.
fn is_unborn(pid: u32, program: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == program)
}

/// Holds up each child of `supervise` at that moment, ends the service, and kills supervise when the next one is being born. Returns
/// who that is.
fn kill_in_birth(scratch: &Scratch, supervise: u32, (calls, paths): (&'static str, [&str; 2])) -> (u32, Strace) {
    let delay = Injection::delay(calls, HELD_UP).with_children().on(paths[0]).on(scratch.path(paths[1]));
    let strace = delay.attach(scratch, supervise);
    svc(scratch, "k", "scan/a");
    let unborn =
        wait_for("a child is born", || children(supervise).into_iter().find(|&child| is_unborn(child, "supervise")));
    signal(supervise, "KILL");
    (unborn, strace)
}

fn starts(scratch: &Scratch) -> usize {
    scratch.text("scan/a/starts").lines().count()
}

/// The service is the one that was being born, and there is no other.
#[track_caller]
fn assert_is_the_only_one(scratch: &Scratch, unborn: u32) {
    wait_until("it is supervised", || is_supervised(scratch, "scan/a") && pid(scratch, "scan/a") == Some(unborn));
    wait_until("it has become run", || starts(scratch) == 2);
    wait_until("it has become sleep", || processes(scratch, "scan/a") == ["sleep", "supervise"]);
    // Longer than from one start to the next.
    holds_for(Duration::from_millis(1500), "there is one", || {
        (starts(scratch), pid(scratch, "scan/a")) == (2, Some(unborn))
    });
    // The next supervise acts on it.
    svc(scratch, "k", "scan/a");
    wait_until("it is started again", || starts(scratch) == 3);
}

#[test]
fn a_supervise_that_is_killed_in_a_birth_leaves_nobody_unknown() {
    if needs_strace() {
        for_each(&MOMENTS, |&moment| {
            let scratch = Scratch::new();
            scratch.service("scan/a", ALONE);
            let mut first = scratch.start("supervise", "supervise", &["scan/a"]);
            wait_until("it has started", || starts(&scratch) == 1);
            wait_up(&scratch, "scan/a");
            let (unborn, strace) = kill_in_birth(&scratch, first.pid(), moment);
            let _second = start_until_it_stays(&scratch, "supervise", "scan/a");
            assert_is_the_only_one(&scratch, unborn);
            drop(strace);
            assert_eq!(first.end(), 1009);
            // A second copy would say that it cannot have the lock.
            let said = scratch.text("supervise.err");
            assert!(said.lines().all(|line| line.starts_with("supervise: fatal: unable to acquire ")), "{said}");
        });
    }
}

/// As init or svscan would: until it can begin. On a busy machine the child may be held up for longer than it waits. Only its record says that it has begun: the child has the FIFOs
/// of its dead parent open, so somebody seems to supervise.
fn start_until_it_stays(scratch: &Scratch, program: &str, dir: &str) -> Running {
    loop {
        let mut running = scratch.start(program, program, &[dir]);
        let pid = running.pid();
        wait_until("it has begun or ended", || running.ended().is_some() || supervise_of(scratch, "scan/a") == pid);
        if running.ended().is_none() {
            return running;
        }
        assert_eq!(running.end(), 111);
    }
}

#[test]
fn svscan_comes_back_to_a_service_whose_supervise_was_killed_in_its_birth() {
    if needs_strace() {
        for_each(&MOMENTS, |&moment| {
            let scratch = Scratch::new();
            scratch.service("scan/a", ALONE);
            let _svscan = scratch.start("svscan", "svscan", &["scan"]);
            wait_until("it has started", || starts(&scratch) == 1);
            wait_up(&scratch, "scan/a");
            let (unborn, _strace) = kill_in_birth(&scratch, supervise_of(&scratch, "scan/a"), moment);
            assert_is_the_only_one(&scratch, unborn);
            let said = scratch.text("svscan.err");
            assert!(said.lines().all(|line| line.starts_with("supervise: fatal: unable to acquire ")), "{said}");
        });
    }
}
