//! Services that tell when they are ready.

use std::time::Duration;

use testkit::{Running, Scratch, holds_for, lives, signal, wait_until};

use super::world::{lines, pid, svc, svstat, wait_down, wait_up};

fn supervise(scratch: &Scratch) -> Running {
    scratch.start("supervise", "supervise", &["a"])
}

fn is_ready(scratch: &Scratch) -> bool {
    let line = svstat(scratch, "a");
    let after = line.split(", ready ").nth(1).and_then(|rest| rest.strip_suffix(" seconds"));
    assert!(after.is_none_or(|seconds| seconds.parse::<u64>().is_ok()), "{line}");
    after.is_some()
}

#[track_caller]
fn wait_ready(scratch: &Scratch) {
    wait_until("it is ready", || is_ready(scratch));
}

/// Ready when the file `go` is there; it ends by TERM.
const WAITER: &str = "echo start; while ! test -e go; do sleep 0.01; done; echo ready >&7; exec sleep 1000";

#[test]
fn a_service_that_declares_nothing_is_never_shown_as_ready() {
    let scratch = Scratch::new();
    scratch.service("a", "(echo >&7) 2>/dev/null && echo it is open; exec sleep 1000");
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    holds_for(Duration::from_millis(300), "no word of ready", || !svstat(&scratch, "a").contains("ready"));
    assert_eq!(scratch.text("supervise.out"), "");
}

#[test]
fn a_newline_on_the_descriptor_says_ready_and_a_new_start_has_to_say_it_again() {
    let scratch = Scratch::new();
    scratch.service("a", WAITER);
    scratch.write("a/notification-fd", "7\n");
    let _supervise = supervise(&scratch);
    let first = wait_up(&scratch, "a");
    holds_for(Duration::from_millis(300), "not yet", || !is_ready(&scratch));
    scratch.write("a/go", "");
    wait_ready(&scratch);
    assert_eq!(pid(&scratch, "a"), Some(first));
    std::fs::remove_file(scratch.path("a/go")).expect("it is there");
    svc(&scratch, "-t", "a");
    wait_until("it was started again", || lines(&scratch, "supervise.out") == 2);
    assert!(!is_ready(&scratch));
    scratch.write("a/go", "");
    wait_ready(&scratch);
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    assert!(!svstat(&scratch, "a").contains("ready"));
}

#[test]
fn what_stands_before_the_newline_does_not_count_and_a_closed_descriptor_is_no_word() {
    let scratch = Scratch::new();
    let body = "printf 'not yet' >&7; while ! test -e go; do sleep 0.01; done; echo >&7; exec 7>&-; exec sleep 1000";
    scratch.service("a", body);
    scratch.write("a/notification-fd", "7");
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    holds_for(Duration::from_millis(300), "not yet", || !is_ready(&scratch));
    scratch.write("a/go", "");
    wait_ready(&scratch);
    scratch.service("a", "exec 7>&-; exec sleep 1000");
    svc(&scratch, "-t", "a");
    wait_until("the other one runs", || pid(&scratch, "a").is_some() && !is_ready(&scratch));
    holds_for(Duration::from_millis(300), "it will not tell", || !is_ready(&scratch));
}

#[test]
fn a_check_is_run_until_it_succeeds_and_then_no_more() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start; exec sleep 1000");
    scratch.script("a/check", "echo nothing; echo $1 >>checks; test -e go");
    let _supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    wait_until("it was run some times", || lines(&scratch, "a/checks") > 3);
    assert!(!is_ready(&scratch));
    scratch.write("a/go", "");
    wait_ready(&scratch);
    let checks = lines(&scratch, "a/checks");
    holds_for(Duration::from_millis(1500), "no more", || lines(&scratch, "a/checks") == checks);
    assert!(scratch.text("a/checks").lines().all(|line| line == child.to_string()));
    assert_eq!(scratch.text("supervise.out"), "start\n");
    assert_eq!(pid(&scratch, "a"), Some(child), "the end of a check is not that of the service");
}

#[test]
fn an_upgrade_leaves_the_check_that_runs_and_ends_it_when_it_is_due() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.script("a/check", "echo $$ >>checks; exec sleep 1000");
    let supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    wait_until("the check runs", || lines(&scratch, "a/checks") == 1);
    let check: u32 = scratch.text("a/checks").trim().parse().expect("a pid");
    for round in 0..2 {
        svc(&scratch, "--reexec", "a");
        // When this has been obeyed the new file has been asked, by a process that is a child too until it answers.
        assert_eq!(scratch.run("svc", &["-c", "--wait=up", "--timeout=20", "a"]).code, 0, "{round}");
        let children = || testkit::children(supervise.pid());
        wait_until("the service and its check are left", || children().len() == 2);
        holds_for(Duration::from_millis(500), "no other check", || lines(&scratch, "a/checks") == 1);
        assert!(lives(check) && children().contains(&check), "{round}");
    }
    wait_until("it is ended", || !lives(check));
    wait_until("and another runs", || lines(&scratch, "a/checks") == 2);
    svc(&scratch, "-dx", "a");
}

#[test]
fn a_check_behind_a_link_is_noticed_when_it_appears_and_when_it_goes() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.mkdir("releases");
    std::os::unix::fs::symlink("../releases/check", scratch.path("a/check")).expect("a link");
    // So long ago that the next change is seen by the time.
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(100);
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    let age = || {
        let directory = std::fs::File::open(scratch.path("a")).expect("it is there");
        directory.set_modified(long_ago).expect("ours");
    };
    age();
    let restart = || {
        let before = pid(&scratch, "a");
        svc(&scratch, "-t", "a");
        wait_until("another is up", || pid(&scratch, "a").is_some_and(|pid| Some(pid) != before));
    };
    restart();
    holds_for(Duration::from_millis(300), "there is none", || !is_ready(&scratch));
    scratch.script("releases/check", "exit 0");
    restart();
    wait_ready(&scratch);
    std::fs::remove_file(scratch.path("releases/check")).expect("it is there");
    restart();
    holds_for(Duration::from_millis(300), "there is none", || !is_ready(&scratch));
}

#[test]
fn a_service_that_ends_takes_its_check_along() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.script("a/check", "echo $$ >checks; sleep 1000 & echo $! >>checks; wait");
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    wait_until("the check runs", || lines(&scratch, "a/checks") == 2);
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    for process in scratch.text("a/checks").lines() {
        let process: u32 = process.parse().expect("a pid");
        wait_until("the check is gone, and what it has started", || !lives(process));
    }
}

#[test]
fn a_check_that_is_stopped_has_not_ended() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.script("a/check", "echo $$ >>checks; kill -STOP $$");
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    wait_until("the check runs", || lines(&scratch, "a/checks") == 1);
    holds_for(Duration::from_millis(500), "there is no other", || lines(&scratch, "a/checks") == 1);
    signal(scratch.text("a/checks").trim().parse().expect("a pid"), "CONT");
    wait_ready(&scratch);
    assert_eq!(lines(&scratch, "a/checks"), 1);
}

#[test]
fn a_check_reads_nothing_of_what_is_for_the_service() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.script("a/check", "cat >read.new; mv read.new read");
    let input = std::fs::File::open(scratch.write("input", "a line\n")).expect("a file of ours");
    let mut command = scratch.command("supervise", &["a"]);
    let _supervise = testkit::start(command.stdin(input).stdout(std::process::Stdio::null()));
    wait_until("the check has read all", || scratch.path("a/read").exists());
    assert_eq!(scratch.text("a/read"), "");
}

#[test]
fn a_check_that_cannot_be_run_is_said_once() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.write("a/check", "no program");
    let _supervise = supervise(&scratch);
    let line = "supervise: warning: unable to run a/check, trying again: access denied\n";
    wait_until("it is said", || scratch.text("supervise.err") == line);
    scratch.script("a/check.new", "exit 0");
    std::fs::rename(scratch.path("a/check.new"), scratch.path("a/check")).expect("a file of ours");
    wait_ready(&scratch);
    assert_eq!(scratch.text("supervise.err"), line);
}

#[test]
fn a_service_gets_ready_after_a_kill_of_supervise_and_after_an_upgrade() {
    for upgrade in [false, true] {
        for by_check in [false, true] {
            let scratch = Scratch::new();
            scratch.service("a", WAITER);
            if by_check {
                scratch.script("a/check", "test -e go");
                scratch.service("a", "echo start; exec sleep 1000");
            } else {
                scratch.write("a/notification-fd", "7");
            }
            let mut first = supervise(&scratch);
            let child = wait_up(&scratch, "a");
            wait_until("it has begun", || lines(&scratch, "supervise.out") == 1);
            assert!(!is_ready(&scratch));
            let mut second = None;
            if upgrade {
                svc(&scratch, "--reexec", "a");
            } else {
                first.signal("KILL");
                first.end();
                // It says so while nobody listens, and must not die of that.
                scratch.write("a/go", "");
                if !by_check {
                    wait_until("it goes on", || {
                        std::fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\0")
                    });
                }
                second = Some(supervise(&scratch));
            }
            scratch.write("a/go", "");
            wait_ready(&scratch);
            assert_eq!(pid(&scratch, "a"), Some(child));
            // And what was once told is not forgotten.
            if let Some(mut second) = second {
                second.signal("KILL");
                second.end();
                let _third = supervise(&scratch);
                wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
                assert!(is_ready(&scratch));
            }
        }
    }
}

#[test]
fn a_descriptor_that_cannot_be_had_is_said_and_the_service_starts() {
    for (number, line) in [
        ("0", "unable to use a/notification-fd, taking none: it is stdin"),
        ("1000000000", "unable to use a/notification-fd, taking none: past the limit on descriptors"),
        ("x", "unable to use a/notification-fd, taking none: not a number"),
        ("2147483648", "unable to use a/notification-fd, taking none: too large"),
        ("2", "using a/notification-fd: it takes the place of stderr"),
    ] {
        let scratch = Scratch::new();
        scratch.service("a", "exec sleep 1000");
        scratch.write("a/notification-fd", number);
        let _supervise = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        assert_eq!(scratch.text("supervise.err"), format!("supervise: warning: {line}\n"));
        signal(child, "KILL");
        wait_until("it was started again", || pid(&scratch, "a").is_some_and(|pid| pid != child));
        assert_eq!(scratch.text("supervise.err"), format!("supervise: warning: {line}\n"), "once");
    }
}

#[test]
fn a_knob_that_is_made_or_removed_holds_from_the_next_start_on() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start; (echo >&7) 2>/dev/null; exec sleep 1000");
    let _supervise = supervise(&scratch);
    for round in 1..4 {
        wait_until("it was started", || lines(&scratch, "supervise.out") == 2 * round - 1);
        wait_until("it is up and not ready", || pid(&scratch, "a").is_some() && !is_ready(&scratch));
        scratch.write("a/notification-fd", "7");
        svc(&scratch, "-t", "a");
        wait_ready(&scratch);
        std::fs::remove_file(scratch.path("a/notification-fd")).expect("it is there");
        svc(&scratch, "-t", "a");
    }
}
