//! The original's svscan looks at the scan directory every five seconds, and sees a dead supervise only then. Ours is told by the
//! kernel: a new link is served at once, a dead supervise is back at once, and while nothing happens nothing wakes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use testkit::{DEADLINE, Running, STAMP, Scratch, assert_paced, holds_for, uptime, wait_until, watches};

use crate::world::{A_LOOK, pid, process, wait_up};

#[test]
fn links_are_served_one_after_the_other_in_far_less_than_a_look_each() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.mkdir("service");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let begin = Instant::now();
    // Two and a half seconds each in the original, on the average.
    for number in 0..40 {
        let dir = scratch.service(&format!("s{number}"), "exec sleep 1000");
        symlink(dir, scratch.path(format!("service/s{number}"))).expect("a link");
        wait_up(&scratch, &format!("service/s{number}"));
    }
    assert!(begin.elapsed() < DEADLINE, "forty links took {:?}", begin.elapsed());
}

#[test]
fn a_dead_supervise_is_back_before_the_next_look_would_come() {
    let scratch = Scratch::new();
    scratch.service("service/a", "trap '' TERM; exec sleep 1000");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    for _ in 0..8 {
        wait_up(&scratch, "service/a");
        let before = supervise(&scratch);
        crate::world::svc(&scratch, "-kdx", "service/a");
        wait_until("another supervise", || process(&scratch, &["a"]).is_some_and(|pid| Some(pid) != before));
    }
}

fn supervise(scratch: &Scratch) -> Option<u32> {
    testkit::wait_for("a supervise", || process(scratch, &["a"]).map(Some))
}

#[test]
fn a_supervise_that_ends_is_not_started_twice_within_a_second() {
    let scratch = Scratch::new();
    scratch.service("service/a", &format!("{STAMP} >>starts; exec sleep 1000"));
    let begin = uptime();
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    for known in 1..=3 {
        wait_until("started again", || crate::world::lines(&scratch, "service/a/starts") >= known);
        wait_up(&scratch, "service/a");
        crate::world::svc(&scratch, "-dx", "service/a");
    }
    assert_paced(begin, &scratch.text("service/a/starts"), (0..).map(f64::from));
}

/// How often a process went to sleep by itself: it grows with every wakeup.
fn sleeps(pid: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned)
}

#[test]
fn nothing_wakes_while_nothing_happens() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 1000");
    scratch.script("service/a/log/run", "exec sleep 1000");
    scratch.service("service/b", "exec sleep 1000");
    scratch.write("service/b/down", "");
    let svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_up(&scratch, "service/a");
    wait_up(&scratch, "service/a/log");
    wait_until("b is supervised", || crate::world::svstat(&scratch, "service/b").starts_with("down"));
    let supervises = [&["a"][..], &["a/log"], &["b"]].map(|words| process(&scratch, words).expect("it runs"));
    let all: Vec<u32> = supervises.into_iter().chain([svscan.pid()]).collect();
    let look = || all.iter().map(|&pid| sleeps(pid)).collect::<Vec<_>>();
    // Whatever follows the start comes to rest.
    let mut before = look();
    wait_until("they are at rest", || {
        let now = look();
        std::mem::replace(&mut before, now.clone()) == now
    });
    holds_for(A_LOOK, "no wakeup", || look() == before);
}

#[test]
fn a_directory_that_is_made_first_and_filled_afterwards_is_started_when_it_is_complete() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.mkdir("service");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let begin = Instant::now();
    for number in 0..20 {
        let run = scratch.script(format!("ready{number}/run"), "echo main; exec sleep 1000");
        let dir = scratch.mkdir(format!("service/s{number}"));
        scratch.script(format!("service/s{number}/log/run"), "read line; echo \"$line\" >got; exec sleep 1000");
        fs::rename(run, dir.join("run")).expect("moves");
        wait_up(&scratch, &format!("service/s{number}"));
        wait_until("the logger got the line", || fs::read(dir.join("log/got")).is_ok_and(|got| got == b"main\n"));
    }
    assert!(begin.elapsed() < DEADLINE, "twenty directories took {:?}", begin.elapsed());
    assert_eq!(scratch.text("svscan.err"), "", "nobody tried to run what was not there yet");
}

/// A svscan that has no more to do than to wait.
fn at_rest() -> (Scratch, Running) {
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 1000");
    let svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_up(&scratch, "service/a");
    (scratch, svscan)
}

/// Makes a directory that svscan watches until its `run` is there, besides the `before` that it watches always.
fn unfilled(scratch: &Scratch, svscan: &Running, before: usize) -> PathBuf {
    let new = scratch.mkdir("service/new");
    wait_until("it is watched", || watches(svscan.pid()) == before + 1);
    new
}

#[test]
fn a_directory_that_is_renamed_before_it_is_filled_is_started_when_it_is_complete() {
    if !testkit::needs_inotify() {
        return;
    }
    let (scratch, svscan) = at_rest();
    let before = watches(svscan.pid());
    let begin = Instant::now();
    // Five seconds each if svscan was not told.
    for number in 0..8 {
        let run = scratch.script("ready/run", "exec sleep 1000");
        let new = unfilled(&scratch, &svscan, before);
        let dir = scratch.path(format!("service/s{number}"));
        fs::rename(new, &dir).expect("renames");
        // svscan has seen that when it serves what came later.
        let later = scratch.service(&format!("later{number}"), "exec sleep 1000");
        symlink(later, scratch.path(format!("service/later{number}"))).expect("a link");
        wait_up(&scratch, &format!("service/later{number}"));
        fs::rename(run, dir.join("run")).expect("moves");
        wait_up(&scratch, &format!("service/s{number}"));
    }
    assert!(begin.elapsed() < DEADLINE, "eight directories took {:?}", begin.elapsed());
    assert_eq!(scratch.text("svscan.err"), "", "nobody tried to run what was not there yet");
}

#[test]
fn a_directory_that_was_filled_is_watched_no_more_whatever_its_name() {
    if !testkit::needs_inotify() {
        return;
    }
    let (scratch, svscan) = at_rest();
    let before = watches(svscan.pid());
    for number in 0..5 {
        let run = scratch.script("ready/run", "exec sleep 1000");
        let new = unfilled(&scratch, &svscan, before);
        fs::rename(run, new.join("run")).expect("moves");
        let dir = format!("service/s{number}");
        fs::rename(new, scratch.path(&dir)).expect("renames");
        wait_up(&scratch, &dir);
        wait_until("it is watched no more", || watches(svscan.pid()) == before);
    }
    // One that goes without ever having been filled.
    let new = unfilled(&scratch, &svscan, before);
    fs::rename(new, scratch.path("new")).expect("renames");
    wait_until("it is watched no more", || watches(svscan.pid()) == before);
}

#[test]
fn a_directory_without_run_is_supervised_all_the_same_in_the_end() {
    let scratch = Scratch::new();
    scratch.mkdir("service/a");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_until("tried", || {
        scratch.text("svscan.err").contains("supervise: fatal: unable to start a/run: file does not exist\n")
    });
}

#[test]
fn hup_looks_again_and_is_no_death() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    let svscan = scratch.start("svscan", "svscan", &["service"]);
    let dir = scratch.service("a", "exec sleep 1000");
    symlink(dir, scratch.path("service/a")).expect("a link");
    let first = wait_up(&scratch, "service/a");
    // What the link leads to changes where nobody watches.
    fs::rename(scratch.path("a"), scratch.path("old")).expect("renames");
    scratch.service("a", "exec sleep 1000");
    svscan.signal("HUP");
    wait_until("the new directory is served", || pid(&scratch, "service/a").is_some_and(|pid| pid != first));
    assert_eq!(pid(&scratch, "old"), Some(first), "the old one runs on, as in the original");
}

#[test]
fn a_hup_that_was_ignored_stays_ignored() {
    let scratch = Scratch::new();
    scratch.service("service/a", "grep SigIgn /proc/self/status; exec sleep 1000");
    let mut command = Command::new("nohup");
    command.arg(scratch.suite().path("svscan")).arg("service").current_dir(scratch.root());
    command.env("PATH", scratch.suite().search_path()).stdin(std::process::Stdio::null());
    command.stdout(fs::File::create(scratch.path("out")).expect("a file")).stderr(std::process::Stdio::null());
    let mut svscan = testkit::start(&mut command);
    wait_up(&scratch, "service/a");
    wait_until("it wrote", || scratch.text("out").ends_with('\n'));
    let mask =
        u64::from_str_radix(scratch.text("out").trim().rsplit('\t').next().unwrap_or_default(), 16).expect("a mask");
    assert_eq!(mask & 1, 1, "the service ignores HUP");
    svscan.signal("HUP");
    assert_eq!(svscan.ended(), None);
}
