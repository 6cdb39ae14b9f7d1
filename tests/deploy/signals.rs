//! Which signals a service gets, and how it is made to end.

use testkit::{Running, Scratch, lives, signal, wait_for, wait_until};

use super::world::{lines, pid, svc, svstat, wait_down, wait_up};

/// A service that tells of each signal by a line, and ends on none of them.
const TELLER: &str = "for s in HUP INT QUIT USR1 USR2 ALRM TERM WINCH; do trap \"echo $s\" $s; done
echo start
while :; do sleep 1000 & wait; kill $!; done";

fn supervise(scratch: &Scratch) -> Running {
    let supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_up(scratch, "a");
    wait_until("it listens", || lines(scratch, "supervise.out") >= 1);
    supervise
}

fn told(scratch: &Scratch) -> Vec<String> {
    scratch.text("supervise.out").lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait_told(scratch: &Scratch, last: &str) {
    wait_until(last, || told(scratch).last().is_some_and(|line| line == last));
}

fn wait_other(scratch: &Scratch, not: u32) -> u32 {
    wait_for("another one is up", || pid(scratch, "a").filter(|&pid| pid != not))
}

#[test]
fn the_letters_of_encore_send_their_signals() {
    let scratch = Scratch::new();
    scratch.service("a", TELLER);
    let _supervise = supervise(&scratch);
    for (letter, name) in [("-q", "QUIT"), ("-1", "USR1"), ("-2", "USR2"), ("-w", "WINCH"), ("--reload", "HUP")] {
        svc(&scratch, letter, "a");
        wait_told(&scratch, name);
    }
    assert_eq!(told(&scratch), ["start", "QUIT", "USR1", "USR2", "WINCH", "HUP"]);
}

#[test]
fn what_the_knobs_say_is_sent_from_the_next_command_on() {
    let scratch = Scratch::new();
    scratch.service("a", TELLER);
    let _supervise = supervise(&scratch);
    svc(&scratch, "-r", "a");
    wait_told(&scratch, "TERM");
    scratch.write("a/down-signal", "SIGINT\n");
    scratch.write("a/reload-signal", "10");
    svc(&scratch, "--reload", "a");
    wait_told(&scratch, "USR1");
    svc(&scratch, "-d", "a");
    wait_told(&scratch, "INT");
    wait_until("it is wanted down", || svstat(&scratch, "a").ends_with(", want down"));
    svc(&scratch, "-u", "a");
    scratch.write("a/down-signal", "kill");
    svc(&scratch, "-r", "a");
    wait_told(&scratch, "start");
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn a_service_that_does_not_end_in_time_is_killed() {
    for letter in ["-d", "-r"] {
        let scratch = Scratch::new();
        scratch.service("a", TELLER);
        scratch.write("a/timeout-kill", "100");
        let _supervise = supervise(&scratch);
        let first = wait_up(&scratch, "a");
        svc(&scratch, letter, "a");
        if letter == "-d" {
            wait_down(&scratch, "a");
        } else {
            wait_other(&scratch, first);
        }
        let long = scratch.run("svstat", &["--long", "a"]).out();
        assert!(long.contains(", last killed by signal 9"), "{long}");
        assert_eq!(told(&scratch)[..2], ["start", "TERM"]);
    }
}

#[test]
fn a_service_that_ends_in_time_is_not_killed() {
    let scratch = Scratch::new();
    scratch.service("a", "trap 'echo TERM; exit 7' TERM; echo start; while :; do sleep 1000 & wait; done");
    scratch.write("a/timeout-kill", "1h");
    let _supervise = supervise(&scratch);
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    assert!(scratch.run("svstat", &["--long", "a"]).out().contains(", last exited 7"));
}

#[test]
fn a_paused_service_is_restarted() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start; exec sleep 1000");
    let _supervise = supervise(&scratch);
    let first = wait_up(&scratch, "a");
    svc(&scratch, "-pr", "a");
    wait_other(&scratch, first);
    assert!(!svstat(&scratch, "a").contains("paused"));
}

#[test]
fn a_kill_that_is_due_comes_after_a_kill_of_supervise_and_after_an_upgrade() {
    for upgrade in [false, true] {
        let scratch = Scratch::new();
        scratch.service("a", TELLER);
        scratch.write("a/timeout-kill", "2s");
        let mut first = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        svc(&scratch, "-d", "a");
        wait_told(&scratch, "TERM");
        let mut second = None;
        if upgrade {
            svc(&scratch, "--reexec", "a");
        } else {
            first.signal("KILL");
            first.end();
            second = Some(scratch.start("supervise", "supervise", &["a"]));
        }
        wait_down(&scratch, "a");
        assert!(!lives(child));
        drop(second);
    }
}

#[test]
fn a_service_told_to_end_by_anybody_else_is_not_killed_by_us() {
    let scratch = Scratch::new();
    scratch.service("a", TELLER);
    scratch.write("a/timeout-kill", "1");
    let _supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    signal(child, "TERM");
    wait_told(&scratch, "TERM");
    svc(&scratch, "-t", "a");
    svc(&scratch, "-1", "a");
    wait_told(&scratch, "USR1");
    assert_eq!(pid(&scratch, "a"), Some(child));
}

#[test]
fn a_real_time_signal_can_end_it_by_its_name_or_number() {
    for knob in ["RTMIN+3", "SIGRTMIN+3", "37"] {
        let scratch = Scratch::new();
        scratch.service("a", "trap 'echo got; exit' 37; echo start; while :; do sleep 1000 & wait; done");
        scratch.write("a/down-signal", knob);
        let _supervise = supervise(&scratch);
        svc(&scratch, "-d", "a");
        wait_down(&scratch, "a");
        assert_eq!(told(&scratch), ["start", "got"], "{knob}");
        assert_eq!(scratch.text("supervise.err"), "", "{knob}");
    }
}

#[test]
fn a_real_time_signal_can_be_the_one_to_read_the_configuration_again() {
    for knob in ["RTMIN+3", "37"] {
        let scratch = Scratch::new();
        scratch.service("a", "trap 'echo got' 37; echo start; while :; do sleep 1000 & wait; done");
        scratch.write("a/reload-signal", knob);
        let _supervise = supervise(&scratch);
        wait_told(&scratch, "start");
        svc(&scratch, "--reload", "a");
        wait_told(&scratch, "got");
        assert_eq!(scratch.text("supervise.err"), "", "{knob}");
    }
}
