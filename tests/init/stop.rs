//! The orderly stop.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Scratch, children, session, signal, start, state, wait_for, wait_until};

use super::world::{FOREVER, Init, MORTAL, lines};

/// A `run` that does not end on TERM.
const STUBBORN: &str = "trap : TERM; echo >>started; while :; do sleep 100000 & wait $!; done";

#[test]
fn a_hundred_services_stop_side_by_side() {
    let scratch = Scratch::new();
    for number in 0..99 {
        scratch.service(&format!("scan/{number}"), "echo >>started; exec sleep 100000");
    }
    scratch.service("scan/stubborn", STUBBORN);
    scratch.write("scan/stubborn/timeout-kill", "500\n");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    for number in 0..99 {
        init.wait_lines(&format!("scan/{number}/started"), 1);
    }
    init.wait_lines("scan/stubborn/started", 1);
    init.wait_ready();
    let begin = Instant::now();
    assert_eq!(init.stop(), 0);
    let took = begin.elapsed();
    let line = format!("100 services, one of which is killed after 500 ms, stopped in {took:?}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(took >= Duration::from_millis(500), "it had its time");
    let said = scratch.text("svscan.err");
    let killed = said.strip_prefix("supervise: warning: unable to end stubborn in time, killing pid ");
    assert!(killed.is_some_and(|pid| pid.trim_end().parse::<u32>().is_ok()), "{said}");
}

#[test]
fn a_service_that_was_started_this_moment_is_stopped_too() {
    for _ in 0..10 {
        let scratch = Scratch::new();
        for number in 0..10 {
            scratch.service(&format!("scan/{number}"), MORTAL);
        }
        scratch.service("scan/0/log", "exec cat >lines");
        // Whichever supervise has come how far.
        let init = Init::start(&scratch, &["--grace", FOREVER]);
        assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    }
}

#[test]
fn a_service_that_waits_for_its_next_start_does_not_get_it() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "echo >>started; exit 1");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_lines("scan/a/started", 1);
    assert_eq!(init.stop(), 0);
}

#[test]
fn the_service_of_a_supervise_that_was_killed_is_stopped() {
    let scratch = Scratch::new();
    scratch.service(
        "scan/a",
        "trap 'echo >>ended; exit' TERM; echo $$ >>started; while :; do sleep 100000 & wait $!; done",
    );
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_lines("scan/a/started", 1);
    init.wait_up(&["a"]);
    let supervise = wait_for("its supervise", || children(init.pid()).first().copied());
    signal(supervise, "KILL");
    init.signal("TERM");
    assert_eq!((init.end(), lines(&scratch, "scan/a/ended").len()), (0, 1));
}

#[test]
fn a_service_that_was_removed_is_stopped_too() {
    let scratch = Scratch::new();
    scratch
        .service("scan/a", "trap 'echo >>ended; exit' TERM; echo >>started; while :; do sleep 100000 & wait $!; done");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_lines("scan/a/started", 1);
    init.wait_up(&["a"]);
    std::fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("it can be renamed");
    // Whether svscan has seen that already or not.
    assert_eq!((init.stop(), lines(&scratch, "a/ended").len()), (0, 1));
}

#[test]
fn what_holds_a_log_pipe_open_is_killed_when_the_grace_is_over_and_no_line_is_lost() {
    let scratch = Scratch::new();
    // The orphan ignores TERM, and writes until it is killed.
    scratch.service("scan/a", "(trap '' TERM; echo orphan; exec sleep 100001) & echo service; exec sleep 100000");
    scratch.service("scan/a/log", "exec cat >lines");
    let init = Init::start(&scratch, &["--grace", "0.3"]);
    init.wait_up(&["a", "a/log"]);
    init.wait_lines("scan/a/log/lines", 2);
    assert_eq!(init.stop(), 0);
    let mut written = lines(&scratch, "scan/a/log/lines");
    written.sort();
    assert_eq!(written, ["orphan", "service"]);
}

/// Stops a service whose `run` and `finish` do not end, and returns whether its logger came to the end of file.
fn a_logger_ends_behind_a_finish() -> bool {
    let scratch = Scratch::new();
    scratch.service("scan/a", "trap '' TERM; echo >up; exec sleep 100000");
    scratch.script("scan/a/finish", "trap '' TERM; echo >finishes; exec sleep 100001");
    scratch.write("scan/a/timeout-finish", "0");
    scratch.service("scan/a/log", "cat; echo >end");
    let init = Init::start(&scratch, &["--grace", "0.1"]);
    init.wait_up(&["a", "a/log"]);
    init.wait_lines("scan/a/up", 1);
    assert_eq!(init.stop(), 0);
    scratch.path("scan/a/finishes").exists() && scratch.path("scan/a/log/end").exists()
}

#[test]
fn a_finish_that_begins_when_the_grace_is_over_is_killed_before_the_logger() {
    // On a busy machine one of them may be late.
    assert!((0..5).any(|_| a_logger_ends_behind_a_finish()));
}

#[test]
fn what_a_service_leaves_behind_with_its_log_open_ends_with_the_services() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "sleep 100001 & echo $! >left; exec sleep 100000");
    scratch.service("scan/a/log", "exec cat >lines");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["a", "a/log"]);
    init.wait_lines("scan/a/left", 1);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
}

#[test]
fn what_ends_neither_with_its_service_nor_on_term_is_named_and_killed() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "sh -c 'trap \"\" TERM; echo $$ >left; while :; do sleep 1; done' & exec sleep 100000");
    scratch.service("scan/a/log", "exec cat >lines");
    let init = Init::told(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["a", "a/log"]);
    init.wait_lines("scan/a/left", 1);
    assert_eq!(init.stop(), 0);
    let pid = scratch.text("scan/a/left");
    let said = format!("unable to end the log of a, killing process {} (sh), which has it open\n", pid.trim());
    assert!(scratch.text("svscan.err").contains(&said), "{}", scratch.text("svscan.err"));
    assert!(!scratch.text("svscan.err").contains("too long"));
}

#[test]
fn what_was_left_behind_below_a_svscan_before_this_one_ends_too() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "(trap '' TERM; exec sleep 100001) & echo >left; exec sleep 100000");
    scratch.service("scan/a/log", "exec cat >lines");
    let first = Init::told(&scratch, &["--grace", FOREVER]);
    first.wait_up(&["a", "a/log"]);
    first.wait_lines("scan/a/left", 1);
    first.kill();
    let second = Init::told(&scratch, &["--grace", FOREVER]);
    assert_eq!(second.stop(), 0);
    assert!(scratch.text("svscan.err").contains(" (sleep), which has it open\n"), "{}", scratch.text("svscan.err"));
}

#[test]
fn who_was_sent_the_stdout_of_a_service_is_not_killed() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 100000");
    scratch.service("scan/a/log", "exec cat >lines");
    let mut init = Init::told(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["a", "a/log"]);
    let up = scratch.run("svstat", &["scan/a"]).out();
    let pid = up.split("pid ").nth(1).and_then(|rest| rest.split(')').next()).expect("it is up").to_owned();
    // It lies outside of the directory of the test, as it has nothing to do with it.
    let mut stranger = Command::new("sh");
    stranger.args(["-c", &format!("exec 3>/proc/{pid}/fd/1; echo; exec sleep 100002")]).stdin(Stdio::null());
    let mut stranger = start(stranger.stdout(Stdio::piped()));
    let mut line = [0];
    std::io::Read::read_exact(&mut stranger.child().stdout.take().expect("piped"), &mut line).expect("it has it");
    init.wait_ready();
    init.signal("TERM");
    init.wait_left(1);
    // The second one hurries it.
    init.signal("TERM");
    assert_eq!(init.end(), 0);
    let said = "svscan: warning: the stop took too long, and what was left was killed: a/log\n";
    assert_eq!((stranger.ended(), scratch.text("svscan.err").as_str()), (None, said));
}

#[test]
fn hup_looks_for_new_services_and_a_stop_for_none() {
    let scratch = Scratch::new();
    scratch.service("scan/a", MORTAL);
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["a"]);
    init.signal("HUP");
    scratch.service("scan/b", MORTAL);
    init.wait_up(&["b"]);
    init.signal("TERM");
    assert_eq!((init.end(), init.err().as_str()), (0, ""));
}

#[test]
fn supervises_are_in_sessions_of_their_own() {
    let scratch = Scratch::new();
    scratch.service("scan/a", MORTAL);
    let init = Init::told(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["a"]);
    let supervise = wait_for("its supervise", || children(init.pid()).first().copied());
    assert_eq!(session(supervise), Some(supervise));
    assert_ne!(session(init.pid()), Some(supervise));
    assert_eq!(init.stop(), 0);
}

#[test]
fn after_an_upgrade_in_place_it_is_still_an_init() {
    let scratch = Scratch::new();
    scratch
        .service("scan/web", "trap 'exit 3' TERM; echo >>started; while :; do sleep 100000 >/dev/null & wait $!; done");
    scratch.service("scan/web/log", "exec cat >>lines");
    scratch.service("scan/other", MORTAL);
    let init = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web", "--prefix"]);
    init.wait_up(&["web", "web/log", "other"]);
    init.wait_lines("scan/web/started", 1);
    // Where its stack lies is another place after each exec.
    let place = || std::fs::read(format!("/proc/{}/auxv", init.pid())).expect("it lives");
    let before = place();
    init.signal("USR2");
    wait_until("it is another program", || place() != before);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (3, ""));
}

#[test]
fn a_term_that_comes_with_the_answer_of_the_new_file_is_not_lost() {
    let scratch = Scratch::new();
    scratch.service("scan/a", MORTAL);
    let built = std::fs::read(scratch.suite().path("svscan")).expect("it was built");
    scratch.install("bin/real", &built);
    let program = scratch.install("bin/svscan", &built);
    let mut command = Command::new(program);
    command.args(["--init", "--grace", FOREVER, "scan"]).current_dir(scratch.root());
    let mut init = start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()));
    wait_until("a is up", || scratch.run("svstat", &["scan/a"]).out().contains(": up "));
    // The new file answers a svscan that stands still, and will hear of TERM and of the answer in the same moment.
    let answer = "kill -STOP $PPID; kill -TERM $PPID; exit 99";
    let body = format!("[ \"$1\" != --understand-handover ] || {{ {answer}; }}; exec {{0}}/bin/real \"$@\"");
    let body = body.replace("{0}", scratch.root().to_str().expect("a name of ours"));
    scratch.install("bin/svscan", format!("#!/bin/sh\n{body}\n").as_bytes());
    init.signal("USR2");
    wait_until("it stands still", || state(init.pid()) == Some('T'));
    wait_until("it was answered", || children(init.pid()).into_iter().any(|child| state(child) == Some('Z')));
    init.signal("CONT");
    assert_eq!(init.end(), 0);
    wait_until("nothing is left behind", || scratch.processes().is_empty());
}

#[test]
fn without_descriptors_a_service_has_no_logger_only_if_it_does_not_run_and_is_stopped_in_order() {
    let names = ["a", "b", "c", "d", "e"];
    let mut ran = 0;
    // A pipe takes two, so each of them is the last one in one case.
    for limit in 13..=16 {
        let scratch = Scratch::new();
        for name in names {
            scratch.service(
                &format!("scan/{name}"),
                "trap 'echo >>ended; exit' TERM; echo >>started; while :; do sleep 100000 >/dev/null & wait $!; done",
            );
            scratch.service(&format!("scan/{name}/log"), "exec cat >lines");
        }
        let mut shell = Command::new("sh");
        let line = format!("ulimit -n {limit}; exec \"$0\" --init --grace {FOREVER} scan 2>err");
        shell.args(["-c", &line]).arg(scratch.suite().path("svscan")).current_dir(scratch.root());
        shell.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut init = start(&mut shell);
        let waits = |name: &str| scratch.text("err").contains(&format!("unable to create pipe for {name}: "));
        let is_up = |dir: String| scratch.run("svstat", &[&dir]).out().contains(": up ");
        let runs = |name: &str| !lines(&scratch, &format!("scan/{name}/started")).is_empty();
        wait_until("each runs or waits", || names.iter().all(|name| waits(name) || runs(name)));
        let up: Vec<&str> = names.into_iter().filter(|name| runs(name)).collect();
        assert!(up.len() < names.len(), "{up:?} with {limit} descriptors");
        for name in &up {
            wait_until("it has a logger", || is_up(format!("scan/{name}/log")));
        }
        init.signal("TERM");
        assert_eq!(init.end(), 0);
        wait_until("nothing is left behind", || scratch.processes().is_empty());
        for name in &up {
            assert_eq!(lines(&scratch, &format!("scan/{name}/ended")).len(), 1, "{name} with {limit} descriptors");
        }
        ran += up.len();
    }
    assert!(ran > 0, "with a few more descriptors some run");
}
