//! TERM ends the original's fghack and nothing else: `svc -d` leaves the daemon running, and `svc -u` starts a second one beside
//! it. Ours passes TERM on to its child as long as that lives, and goes on waiting. When the child has ended already, what it
//! left in the background cannot be reached, and TERM ends fghack as it ends the original's.

use std::process::{Command, Stdio};

use testkit::{Running, Scratch, finish, state, wait_for, wait_until};

/// Starts fghack with a shell script that makes the file `up` holding its pid; words before fghack come from `before`.
fn fghack(scratch: &Scratch, before: &str, script: &str) -> (Running, u32) {
    let script = format!("echo $$ >up.new; mv up.new up; {script}");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("exec {before} fghack sh -c \"$0\""), &script]).current_dir(scratch.root());
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = testkit::start(shell.env("PATH", scratch.suite().search_path()));
    (running, wait_for("the child runs", || scratch.text("up").trim().parse().ok()))
}

#[test]
fn term_goes_on_to_the_child() {
    let scratch = Scratch::new();
    // A shell that reads may hear of the signal a moment before its read begins, and does not act on it then.
    let (mut running, _) = fghack(&scratch, "", "trap 'exit 7' TERM; : >ready; while :; do sleep 0.02; done");
    wait_until("the child is ready", || scratch.path("ready").exists());
    running.signal("TERM");
    assert_eq!(running.end(), 7);
}

#[test]
fn term_that_comes_more_than_once_goes_on_more_than_once() {
    let scratch = Scratch::new();
    let count = "trap 'n=$((n+1)); echo $n >got.new; mv got.new got; test $n -lt 3 || exit 3' TERM; : >ready";
    let (mut running, _) = fghack(&scratch, "", &format!("{count}; while :; do sleep 0.02; done"));
    wait_until("the child is ready", || scratch.path("ready").exists());
    for number in 1..=3 {
        running.signal("TERM");
        wait_until("the child got it", || scratch.text("got") == format!("{number}\n"));
    }
    assert_eq!(running.end(), 3);
}

#[test]
fn a_child_that_dies_of_term_has_crashed() {
    let scratch = Scratch::new();
    assert_eq!(finish(Command::new("mkfifo").arg(scratch.path("end"))).code, 0);
    let (mut running, _) = fghack(&scratch, "", "exec cat end");
    running.signal("TERM");
    assert_eq!(running.end(), 111);
}

#[test]
fn a_child_that_has_closed_the_pipe_and_lives_on_gets_it_too() {
    if testkit::needs_program("perl").is_none() {
        return;
    }
    let scratch = Scratch::new();
    assert_eq!(finish(Command::new("mkfifo").arg(scratch.path("end"))).code, 0);
    let close = "use POSIX; POSIX::close($_) for 3..100; $SIG{TERM} = sub { exit 7 }";
    let hang = "open E, q(>ready); close E; open F, q(<end); exit 1";
    let (mut running, _) = fghack(&scratch, "", &format!("exec perl -e '{close}; {hang}'"));
    wait_until("the child is ready", || scratch.path("ready").exists());
    running.signal("TERM");
    assert_eq!(running.end(), 7);
}

#[test]
fn when_the_child_is_gone_term_ends_fghack_itself() {
    let scratch = Scratch::new();
    assert_eq!(finish(Command::new("mkfifo").arg(scratch.path("end"))).code, 0);
    let (mut running, child) = fghack(&scratch, "", "cat end & exit 0");
    wait_until("the child has ended", || state(child) == Some('Z'));
    running.signal("TERM");
    assert_eq!(running.end(), 1015);
}

#[test]
fn a_child_that_is_gone_without_a_trace_does_not_make_fghack_deaf() {
    let scratch = Scratch::new();
    assert_eq!(finish(Command::new("mkfifo").arg(scratch.path("end"))).code, 0);
    if finish(Command::new("env").args(["--ignore-signal=CHLD", "true"])).code != 0 {
        testkit::skip("env cannot ignore signals");
        return;
    }
    let (mut running, child) = fghack(&scratch, "env --ignore-signal=CHLD", "cat end & exit 0");
    wait_until("the child is gone", || state(child).is_none());
    running.signal("TERM");
    assert_eq!(running.end(), 1015);
}
