//! `svc -R`: a new copy beside the old one.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::{Running, Scratch, address, holds_for, lives, wait_for, wait_until};

use super::helper;
use super::world::{lines, pid, svc, svstat, wait_down, wait_up};

/// Ready when `go` is there. Ends by TERM when `end` is there.
const STEPS: &str = "trap 'while ! test -e end; do sleep 0.01; done; exit' TERM
echo start; while ! test -e go; do sleep 0.01; done; echo >&7
while :; do sleep 1000 & wait; kill $!; done";

fn supervise(scratch: &Scratch) -> Running {
    scratch.start("supervise", "supervise", &["a"])
}

/// One that tells when it is ready, and is.
fn ready(scratch: &Scratch) -> (Running, u32) {
    scratch.service("a", STEPS);
    scratch.write("a/notification-fd", "7");
    scratch.write("a/go", "");
    let supervise = supervise(scratch);
    wait_until("it is ready", || svstat(scratch, "a").contains(", ready "));
    let own = wait_up(scratch, "a");
    std::fs::remove_file(scratch.path("a/go")).expect("it is there");
    (supervise, own)
}

/// The pid that stands behind `word` in the state.
fn other(scratch: &Scratch, word: &str) -> Option<u32> {
    svstat(scratch, "a").split(&format!(", {word} pid ")).nth(1)?.parse().ok()
}

#[test]
fn the_old_copy_goes_when_the_new_one_is_ready() {
    let scratch = Scratch::new();
    let (_supervise, old) = ready(&scratch);
    svc(&scratch, "-R", "a");
    let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
    assert_eq!(pid(&scratch, "a"), Some(old));
    holds_for(Duration::from_millis(300), "it waits", || other(&scratch, "starting") == Some(new));
    scratch.write("a/go", "");
    wait_until("the old copy is ending", || other(&scratch, "ending") == Some(old));
    let line = svstat(&scratch, "a");
    let expected = format!("up (pid {new}) 0 seconds, ready 0 seconds, ending pid {old}");
    let without_digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_digits(&line), without_digits(&expected), "{line}");
    assert_eq!(pid(&scratch, "a"), Some(new));
    scratch.write("a/end", "");
    wait_until("it has ended", || !svstat(&scratch, "a").contains("ending"));
    assert!(!lives(old) && lives(new));
    assert_eq!((scratch.text("supervise.err").as_str(), lines(&scratch, "supervise.out")), ("", 2));
}

#[test]
fn one_that_does_not_tell_goes_after_the_warm_up() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.write("a/warmup", "200ms");
    let _supervise = supervise(&scratch);
    let old = wait_up(&scratch, "a");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "--timeout=1m", "a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert!(pid(&scratch, "a").is_some_and(|pid| pid != old));
    wait_until("the old copy has ended", || !lives(old));
    // What is down is started.
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    wait_up(&scratch, "a");
}

#[test]
fn a_new_copy_that_fails_is_given_up_with_a_clear_line_and_the_old_one_serves_on() {
    for (body, patience, why) in [
        ("exit 3", "5m", "exited 3 before it was ready"),
        ("sleep 0.3; exit 4", "5m", "exited 4 before it was ready"),
        ("kill -9 $$", "5m", "was killed by signal 9 before it was ready"),
        ("exec sleep 1000", "700ms", "was not ready in time"),
        ("sleep 1000 & echo $! >left; exit 0", "5m", "exited 0 before it was ready, and must stay in the foreground"),
    ] {
        let scratch = Scratch::new();
        let (_supervise, old) = ready(&scratch);
        scratch.write("a/timeout-ready", patience);
        scratch.write("new", format!("#!/bin/sh\n{body}\n"));
        testkit::make_executable(&scratch.path("new"));
        std::fs::rename(scratch.path("new"), scratch.path("a/run")).expect("a file of ours");
        let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
        assert_eq!(ran.code, 1, "{body}");
        let said = scratch.text("supervise.err");
        let told = said.strip_prefix("supervise: warning: unable to replace a, going on as before: ");
        let told = told.and_then(|told| told.strip_suffix('\n')).expect("one line");
        assert!(told.starts_with("pid ") && told.ends_with(&format!(" {why}")), "{said}");
        let short = told.split_once(',').map_or(told, |(short, _)| short);
        let unable = format!("svc: warning: unable to wait for a to be replaced: it is up (pid {old}), {short}\n");
        assert_eq!(ran.err(), unable);
        let long = scratch.run("svstat", &["--long", "a"]);
        assert!(long.out().ends_with(&format!(", not replaced: {short}\n")), "{}", long.out());
        wait_until("one copy is left", || {
            svstat(&scratch, "a").starts_with(&format!("up (pid {old}) ")) && !svstat(&scratch, "a").contains("ending")
        });
        if body.contains("left") {
            let left: u32 = scratch.text("a/left").trim().parse().expect("a pid");
            wait_until("what it left is gone", || !lives(left));
        }
    }
}

#[test]
fn a_new_copy_that_cannot_have_what_it_needs_is_not_started_and_the_reason_is_told() {
    let scratch = Scratch::new();
    let (_supervise, old) = ready(&scratch);
    scratch.write("a/sockets/web", "unix web.sock fd=7");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
    let why = "descriptor 7 is given twice, see sockets/ and notification-fd";
    assert_eq!(ran.err(), format!("svc: warning: unable to wait for a to be replaced: it is up (pid {old}), {why}\n"));
    assert_eq!(ran.code, 1);
    let said = format!(
        "supervise: warning: unable to start a: {why}\n\
         supervise: warning: unable to replace a, going on as before: {why}\n"
    );
    assert_eq!(scratch.text("supervise.err"), said);
    assert!(scratch.run("svstat", &["--long", "a"]).out().ends_with(&format!(", not replaced: {why}\n")));
    // It is tried anew, and what was in the way is forgotten.
    std::fs::remove_file(scratch.path("a/sockets/web")).expect("it is there");
    scratch.write("a/go", "");
    scratch.write("a/end", "");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert!(!scratch.run("svstat", &["--long", "a"]).out().contains("not replaced"));
}

#[test]
fn an_old_copy_that_does_not_end_is_killed() {
    let scratch = Scratch::new();
    let (_supervise, old) = ready(&scratch);
    scratch.write("a/timeout-kill", "300");
    svc(&scratch, "-R", "a");
    scratch.write("a/go", "");
    wait_until("it is gone", || !lives(old) && !svstat(&scratch, "a").contains("ending"));
    assert!(wait_up(&scratch, "a") != old);
    let line = format!("supervise: warning: unable to end a in time, killing pid {old}\n");
    assert_eq!(scratch.text("supervise.err"), line);
}

#[test]
fn twenty_in_a_burst_are_two_and_give_one_running_copy() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start; exec sleep 1000");
    scratch.write("a/warmup", "100");
    let _supervise = supervise(&scratch);
    let old = wait_up(&scratch, "a");
    let fifo = std::fs::OpenOptions::new().write(true).open(scratch.path("a/supervise/control"));
    std::io::Write::write_all(&mut fifo.expect("it has a reader"), &[b'R'; 20]).expect("it has room");
    let ran = scratch.run("svc", &["-c", "--wait=replaced", "a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    wait_until("one is left", || {
        !svstat(&scratch, "a").contains(", starting") && !svstat(&scratch, "a").contains(", ending")
    });
    assert_eq!(lines(&scratch, "supervise.out"), 3);
    assert!(!lives(old));
}

#[test]
fn down_ends_both_copies() {
    let scratch = Scratch::new();
    let (_supervise, old) = ready(&scratch);
    scratch.write("a/end", "");
    svc(&scratch, "-R", "a");
    let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
    let ran = scratch.run("svc", &["-d", "--wait=down", "a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert!(!lives(old) && !lives(new));
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn no_copy_is_unknown_after_a_kill_of_supervise_and_after_an_upgrade() {
    for upgrade in [false, true] {
        let scratch = Scratch::new();
        let (first, old) = ready(&scratch);
        let mut supervisor = first;
        let next = |supervisor: &mut Running| {
            if upgrade {
                svc(&scratch, "--reexec", "a");
            } else {
                supervisor.signal("KILL");
                supervisor.end();
                *supervisor = supervise(&scratch);
                wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
            }
        };
        svc(&scratch, "-R", "a");
        let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
        next(&mut supervisor);
        assert_eq!((pid(&scratch, "a"), other(&scratch, "starting")), (Some(old), Some(new)));
        scratch.write("a/go", "");
        wait_until("the old copy is ending", || other(&scratch, "ending") == Some(old));
        next(&mut supervisor);
        assert_eq!((pid(&scratch, "a"), other(&scratch, "ending")), (Some(new), Some(old)));
        scratch.write("a/end", "");
        wait_until("it has ended", || !svstat(&scratch, "a").contains("ending"));
        assert!(!lives(old) && lives(new));
        assert_eq!(lines(&scratch, "supervise.out"), 2);
    }
}

#[test]
fn an_old_copy_that_ended_while_nobody_looked_is_replaced_by_the_new_one() {
    let scratch = Scratch::new();
    let (mut first, old) = ready(&scratch);
    svc(&scratch, "-R", "a");
    let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
    first.signal("KILL");
    first.end();
    testkit::signal(old, "KILL");
    wait_until("it is gone", || !lives(old));
    let _second = supervise(&scratch);
    wait_until("the new one is the main one", || pid(&scratch, "a") == Some(new));
    assert!(!svstat(&scratch, "a").contains("starting"));
    scratch.write("a/go", "");
    wait_until("it is ready", || svstat(&scratch, "a").contains(", ready "));
    assert_eq!(lines(&scratch, "supervise.out"), 2);
}

/// A process in the group of `leader`, or in one of its own.
fn member(leader: Option<&Running>) -> Running {
    let group = leader.map_or(0, |leader| leader.pid().cast_signed());
    testkit::start(Command::new("sleep").arg("1000").process_group(group))
}

#[test]
fn a_group_that_has_the_pid_of_a_new_copy_which_ended_while_nobody_looked_lives_on() {
    let scratch = Scratch::new();
    let mut leader = member(None);
    let mut others = member(Some(&leader));
    let (mut first, old) = ready(&scratch);
    let begun = Instant::now();
    wait_until("no time of birth is that of the others", || begun.elapsed() > Duration::from_millis(100));
    svc(&scratch, "-R", "a");
    let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
    first.signal("KILL");
    first.end();
    testkit::signal(new, "KILL");
    wait_until("it is gone", || !lives(new));
    // As if the kernel had given its pid to another one.
    testkit::change_record(scratch.path("a"), |record| {
        let (_, second) = record.decided.second.as_mut().expect("two copies");
        second.pid = std::num::NonZeroU32::new(leader.pid()).expect("not 0");
    });
    let _second = supervise(&scratch);
    let line = format!(
        "supervise: warning: unable to replace a, going on as before: pid {} ended before it was ready\n",
        leader.pid()
    );
    wait_until("it is given up", || !scratch.text("supervise.err").is_empty());
    assert_eq!(scratch.text("supervise.err"), line);
    holds_for(Duration::from_millis(200), "they live", || (leader.ended(), others.ended()) == (None, None));
    assert_eq!(pid(&scratch, "a"), Some(old));
}

#[test]
fn what_a_new_copy_leaves_behind_is_killed_by_a_successor_that_has_found_the_copy() {
    for upgrade in [false, true] {
        let scratch = Scratch::new();
        let (mut supervisor, old) = ready(&scratch);
        scratch.script(
            "a/new",
            "sleep 1000 & echo $! >left.new; mv left.new left; while ! test -e go; do sleep 0.01; done; exit 3",
        );
        std::fs::rename(scratch.path("a/new"), scratch.path("a/run")).expect("a file of ours");
        svc(&scratch, "-R", "a");
        let new = wait_for("the new copy is starting", || other(&scratch, "starting"));
        let left = wait_for("it has a child", || scratch.text("a/left").trim().parse().ok());
        if upgrade {
            svc(&scratch, "--reexec", "a");
        } else {
            supervisor.signal("KILL");
            supervisor.end();
            supervisor = supervise(&scratch);
            wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
        }
        assert_eq!(other(&scratch, "starting"), Some(new));
        scratch.write("a/go", "");
        wait_until("it is given up", || !svstat(&scratch, "a").contains("starting"));
        wait_until("what it left is gone", || !lives(left));
        assert_eq!(pid(&scratch, "a"), Some(old));
        drop(supervisor);
    }
}

#[test]
fn what_a_new_copy_that_is_given_up_leaves_behind_when_it_ends_is_killed() {
    for letters in ["", "-d", "-x"] {
        let scratch = Scratch::new();
        let (mut supervisor, old) = ready(&scratch);
        scratch.write("a/timeout-ready", if letters.is_empty() { "5s" } else { "60s" });
        // The shell dies of TERM, and nobody tells its child.
        scratch.script("a/new", "sleep 1000 & echo $! >left.new; mv left.new left; wait");
        std::fs::rename(scratch.path("a/new"), scratch.path("a/run")).expect("a file of ours");
        svc(&scratch, "-R", "a");
        let left = wait_for("it has a child", || scratch.text("a/left").trim().parse().ok());
        if !letters.is_empty() {
            scratch.write("a/end", "");
            svc(&scratch, letters, "a");
        }
        wait_until("what it left is gone", || !lives(left));
        match letters {
            "" => assert_eq!(pid(&scratch, "a"), Some(old)),
            "-d" => wait_down(&scratch, "a"),
            // It waits for the old copy, which nobody has told to end.
            _ => {
                testkit::signal(old, "TERM");
                assert_eq!(supervisor.end(), 0);
            }
        }
    }
}

#[test]
fn no_request_is_lost_over_twenty_replacements_under_load() {
    let scratch = Scratch::new();
    let port = &address();
    scratch.service("a", &format!("exec env {}", helper::run("serve-gently", "")));
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/sd-notify", "");
    let _supervise = supervise(&scratch);
    wait_until("it is ready", || svstat(&scratch, "a").contains(", ready "));
    let done = AtomicBool::new(false);
    let ask = || {
        let mut answer = String::new();
        TcpStream::connect(port)?.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    std::thread::scope(|scope| {
        let load = || {
            let (mut asked, mut lost) = (0, Vec::new());
            while !done.load(Ordering::Relaxed) {
                asked += 1;
                match ask() {
                    Ok(answer) if answer.ends_with(" 1 web") => {}
                    other => lost.push(other),
                }
            }
            (asked, lost)
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        for _ in 0..20 {
            let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
            if ran.code != 0 {
                done.store(true, Ordering::Relaxed);
            }
            assert_eq!((ran.code, ran.err().as_str()), (0, ""), "{}", scratch.text("supervise.err"));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let (asked, lost) = client.join().expect("it does not panic");
            assert!(asked > 0 && lost.is_empty(), "{} of {asked}: {lost:?}", lost.len());
        }
    });
    wait_until("one is left", || !svstat(&scratch, "a").contains(", ending"));
}

#[test]
fn a_socket_that_only_the_old_copy_has_is_closed_with_it_after_an_upgrade_too() {
    let scratch = Scratch::new();
    let (web, old) = (testkit::address(), testkit::address());
    scratch.service("a", "while ! test -e go; do sleep 0.01; done; echo >&7; exec sleep 1000");
    scratch.write("a/notification-fd", "7");
    scratch.write("a/sockets/web", format!("tcp {web}"));
    scratch.write("a/sockets/old", format!("tcp {old}"));
    let go = scratch.write("a/go", "");
    let supervise = scratch.start("supervise", "supervise", &["a"]);
    let first = wait_up(&scratch, "a");
    // A shell that still waits has a child, which may live a little longer than the shell and has the sockets too.
    assert_eq!(scratch.run("svc", &["--wait=ready", "a"]).code, 0);
    std::fs::remove_file(&go).expect("it is there");
    std::fs::remove_file(scratch.path("a/sockets/old")).expect("it is there");
    svc(&scratch, "-R", "a");
    wait_until("the new copy starts", || svstat(&scratch, "a").contains(", starting pid "));
    svc(&scratch, "--reexec", "a");
    // When this has been obeyed the new file has been asked, by a process that is a child too until it answers.
    assert_eq!(scratch.run("svc", &["-c", "--wait=up", "--timeout=20", "a"]).code, 0);
    wait_until("both copies are left", || testkit::children(supervise.pid()).len() == 2);
    let connect = |address: &str| std::net::TcpStream::connect(address).is_ok();
    assert!(connect(&old) && connect(&web), "the old copy has both");
    scratch.write("a/go", "");
    wait_until("the new copy serves alone", || {
        let line = svstat(&scratch, "a");
        line.starts_with("up (pid ") && !line.starts_with(&format!("up (pid {first})")) && !line.contains("ending pid")
    });
    assert!(!connect(&old) && connect(&web));
    assert_eq!(scratch.text("supervise.err"), "");
}
