//! The original's supervise, when it was killed, leaves its service behind without supervision, and the next one starts a second copy
//! beside it. Ours finds the process again by what it has recorded of it, and supervises it as if nothing had happened. Why: of a
//! service that wants one instance, two must never run, whatever dies.

#![cfg(target_os = "linux")]

use std::time::Duration;

use svdir::Want;
use svdir::record::Boot;
use testkit::{Running, Scratch, holds_for, lives, signal, start, wait_for, wait_until};

use crate::world::{lines, pid, svc, svstat, wait_down, wait_up};

/// A service that writes a line whenever it is started.
const SLEEPER: &str = "echo start; exec sleep 1000";

fn supervise(scratch: &Scratch) -> Running {
    scratch.start("supervise", "supervise", &["a"])
}

/// Kills supervise, and waits until it is gone.
fn kill(mut supervise: Running) {
    supervise.signal("KILL");
    assert_eq!(supervise.end(), 1009);
}

fn wait_supervised(scratch: &Scratch) {
    wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
}

fn seconds_up(scratch: &Scratch) -> u64 {
    let line = svstat(scratch, "a");
    line.split(") ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_killed_supervise_comes_back_to_its_child() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    wait_until("it has been up for a second", || seconds_up(&scratch) >= 1);
    kill(first);
    assert_eq!(svstat(&scratch, "a"), "supervise not running");
    let second = supervise(&scratch);
    wait_supervised(&scratch);
    assert_eq!(pid(&scratch, "a"), Some(child));
    assert!(seconds_up(&scratch) >= 1, "its age is its own");
    // And once more, since this supervise is not its parent.
    kill(second);
    let _third = supervise(&scratch);
    wait_supervised(&scratch);
    assert_eq!((pid(&scratch, "a"), lines(&scratch, "supervise.out")), (Some(child), 1));
    // Signals reach it, and its end leads to a start, as for a child of supervise's own.
    svc(&scratch, "-t", "a");
    let next = wait_for("another one is up", || pid(&scratch, "a").filter(|&pid| pid != child));
    wait_until("it was started", || lines(&scratch, "supervise.out") == 2);
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    assert!(!lives(next));
}

#[test]
fn what_another_process_has_been_told_about_the_boot_is_not_believed() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    kill(first);
    let mut command = scratch.command("supervise", &["a"]);
    let parent = std::process::id();
    let _second = start(command.env("UPHOLD_BOOT", format!("{}:{:032x}", parent - 1, 7)));
    wait_supervised(&scratch);
    assert_eq!(pid(&scratch, "a"), Some(child));
}

#[test]
fn the_supervises_of_svscan_and_of_a_shell_know_the_same_boot() {
    let scratch = Scratch::new();
    scratch.service("scan/a", SLEEPER);
    let mut svscan = scratch.start("svscan", "svscan", &["scan"]);
    let child = wait_up(&scratch, "scan/a");
    let boot = || testkit::record(scratch.path("scan/a")).expect("a record").observed.supervise.boot;
    let told = boot();
    svscan.signal("KILL");
    svscan.end();
    svc(&scratch, "-dx", "scan/a");
    wait_until("it is gone", || !lives(child) && scratch.run("svok", &["scan/a"]).code != 0);
    let _supervise = scratch.start("supervise", "supervise", &["scan/a"]);
    wait_until("another runs", || scratch.run("svok", &["scan/a"]).code == 0);
    assert_eq!(boot(), told);
}

#[test]
fn what_is_wanted_is_carried_over() {
    for (letters, want) in [("-d", ", want down"), ("-o", ""), ("-p", ", paused"), ("-x", "")] {
        let scratch = Scratch::new();
        // It ignores TERM, and so stays up although it is wanted down.
        scratch.service("a", "trap '' TERM; echo start; while :; do sleep 1000; done");
        let first = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        wait_until("it ignores TERM", || lines(&scratch, "supervise.out") == 1);
        svc(&scratch, letters, "a");
        let before = || svstat(&scratch, "a");
        wait_until("the command is obeyed", || before().ends_with(want));
        // The record tells of x and o, which svstat does not show.
        let obeyed = |scratch: &Scratch| {
            let decided = testkit::record(scratch.path("a")).expect("a record").decided;
            let main = decided.main.expect("it is up");
            (main.paused, decided.service.want, main.ending, decided.service.exiting)
        };
        let expected = match letters {
            "-d" => (false, Want::Down, true, false),
            "-o" => (false, Want::Once, false, false),
            "-p" => (true, Want::Up, false, false),
            _ => (false, Want::Up, false, true),
        };
        wait_until("it is recorded", || obeyed(&scratch) == expected);
        kill(first);
        let mut second = supervise(&scratch);
        wait_supervised(&scratch);
        assert_eq!(pid(&scratch, "a"), Some(child), "{letters}");
        assert!(before().ends_with(want), "{letters}: {}", before());
        assert_eq!(obeyed(&scratch), expected, "{letters}");
        svc(&scratch, "-ck", "a");
        match letters {
            "-p" => wait_until("it is started again", || pid(&scratch, "a").is_some_and(|pid| pid != child)),
            "-x" => assert_eq!(second.end(), 0),
            _ => wait_down(&scratch, "a"),
        }
    }
}

#[test]
fn a_child_that_ended_meanwhile_is_started_again_or_left_down() {
    for (letters, up) in [("-u", true), ("-o", false)] {
        let scratch = Scratch::new();
        scratch.service("a", SLEEPER);
        let first = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        svc(&scratch, letters, "a");
        let want = if up { b'u' } else { 0 };
        wait_until("it is recorded", || scratch.read("a/supervise/status")[17] == want);
        kill(first);
        signal(child, "KILL");
        wait_until("it is gone", || !lives(child));
        let _second = supervise(&scratch);
        if up {
            wait_until("it is started again", || pid(&scratch, "a").is_some_and(|pid| pid != child));
            wait_until("it has run twice", || lines(&scratch, "supervise.out") == 2);
        } else {
            wait_down(&scratch, "a");
            holds_for(Duration::from_millis(1500), "once is once", || lines(&scratch, "supervise.out") == 1);
        }
    }
}

#[test]
fn a_service_that_was_taken_down_stays_down() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    wait_up(&scratch, "a");
    wait_until("it has written its line", || lines(&scratch, "supervise.out") == 1);
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    kill(first);
    let _second = supervise(&scratch);
    wait_supervised(&scratch);
    holds_for(Duration::from_millis(1500), "it stays down", || svstat(&scratch, "a").starts_with("down "));
    assert_eq!(lines(&scratch, "supervise.out"), 1);
    svc(&scratch, "-u", "a");
    wait_up(&scratch, "a");
}

#[test]
fn one_that_left_by_itself_leaves_nothing_to_take_over() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut first = supervise(&scratch);
    wait_up(&scratch, "a");
    svc(&scratch, "-dx", "a");
    assert_eq!(first.end(), 0);
    let _second = supervise(&scratch);
    wait_up(&scratch, "a");
}

#[test]
fn a_pid_that_was_given_anew_is_neither_taken_over_nor_signalled() {
    for what in ["another birth", "another boot"] {
        let scratch = Scratch::new();
        scratch.service("a", SLEEPER);
        let first = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        kill(first);
        // The process lives on, but the record is now about one that was born at another time, or before a reboot.
        testkit::change_record(scratch.path("a"), |record| match what {
            "another birth" => {
                let born = &mut record.observed.main.born;
                (born.earliest, born.latest) = (born.earliest ^ 1 << 56, born.latest ^ 1 << 56);
            }
            _ => record.observed.supervise.boot = Boot::Namespace([7; 16]),
        });
        let _second = supervise(&scratch);
        let other = wait_up_other(&scratch, child);
        svc(&scratch, "-dk", "a");
        wait_down(&scratch, "a");
        assert!(lives(child) && !lives(other), "{what}");
        signal(child, "KILL");
    }
}

fn wait_up_other(scratch: &Scratch, not: u32) -> u32 {
    wait_for("another one is up", || pid(scratch, "a").filter(|&pid| pid != not))
}

#[test]
fn a_record_of_any_length_and_content_is_met_without_harm() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    kill(first);
    signal(child, "KILL");
    wait_until("it is gone", || !lives(child));
    let (status, good) = (scratch.read("a/supervise/status"), scratch.read("a/supervise/record"));
    assert_eq!((status.len(), good.len()), (20, 1024));
    let hostile = [
        Vec::new(),
        good[..18].to_vec(),
        good[..512].to_vec(),
        good[..600].to_vec(),
        vec![0xff; 1024],
        vec![0; 100_000],
    ];
    let statuses = [Vec::new(), status[..18].to_vec(), status, vec![0xff; 104], vec![0; 100_000]];
    let rounds = hostile.iter().map(|bytes| ("record", bytes)).chain(statuses.iter().map(|bytes| ("status", bytes)));
    for (round, (file, bytes)) in rounds.enumerate() {
        scratch.write(format!("a/supervise/{file}"), bytes);
        let supervise = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        svc(&scratch, "-dx", "a");
        let mut supervise = supervise;
        assert_eq!(supervise.end(), 0, "round {round}");
        assert!(!lives(child));
    }
}

#[test]
fn a_record_that_could_not_be_written_is_written_when_it_can_be() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    // A directory in its place cannot be opened as a file.
    scratch.mkdir("a/supervise/status.new/in the way");
    let _supervise = supervise(&scratch);
    wait_until("that is said", || scratch.text("supervise.err").contains("unable to open a/supervise/status.new: "));
    wait_until("it runs", || lines(&scratch, "supervise.out") == 1);
    std::fs::remove_dir_all(scratch.path("a/supervise/status.new")).expect("it is there");
    wait_up(&scratch, "a");
}

#[test]
fn a_second_supervise_is_still_refused_at_once() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _first = supervise(&scratch);
    wait_up(&scratch, "a");
    let mut second = start(scratch.command("supervise", &["a"]).stderr(std::process::Stdio::null()));
    assert_eq!(second.end(), 111);
}

/// As one that is being killed holds it for a moment longer than what says that it runs.
#[test]
fn a_lock_that_no_supervise_answers_for_is_waited_for() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    kill(first);
    let lock = hold_lock(&scratch);
    let mut second = supervise(&scratch);
    holds_for(Duration::from_millis(200), "it waits", || {
        second.ended().is_none() && scratch.run("svok", &["a"]).code != 0
    });
    drop(lock);
    wait_supervised(&scratch);
    assert_eq!((pid(&scratch, "a"), scratch.text("supervise.err").as_str()), (Some(child), ""));
}

#[test]
fn a_lock_that_nobody_gives_up_is_said() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let first = supervise(&scratch);
    wait_supervised(&scratch);
    kill(first);
    let _lock = hold_lock(&scratch);
    let refused = scratch.run("supervise", &["a"]);
    assert_eq!(refused.err(), "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n");
    assert_eq!(refused.code, 111);
}

fn hold_lock(scratch: &Scratch) -> std::fs::File {
    let lock = std::fs::File::options().append(true).open(scratch.path("a/supervise/lock")).expect("it is there");
    lock.lock().expect("nobody else has it");
    lock
}
