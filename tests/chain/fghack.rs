//! fghack: it waits for all that its child leaves behind.

use std::fs;
use std::path::Path;

use testkit::{Running, Scratch, finish, needs_program, signal, wait_for, wait_until};

use super::common::{refused, sh};

/// Starts fghack with a shell script that makes the file `up` holding its pid.
fn fghack(scratch: &Scratch, script: &str) -> (Running, u32) {
    let script = format!("echo $$ >up.new; mv up.new up; {script}");
    let running = scratch.start("fghack", "fghack", &["sh", "-c", &script]);
    let child = wait_for("the child runs", || scratch.text("up").trim().parse().ok());
    (running, child)
}

/// The state letter in /proc/PID/stat, or `None` if there is no such process.
fn state(pid: u32) -> Option<char> {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn it_waits_for_what_its_child_leaves_in_the_background() {
    let scratch = Scratch::new();
    assert_eq!(sh(&scratch, "mkfifo first second").code, 0);
    let (mut running, child) = fghack(&scratch, "sh -c 'read line <first; : >between; read line <second' & exit 3");
    wait_until("the child has ended", || state(child) == Some('Z'));
    fs::write(scratch.path("first"), "\n").expect("it is read");
    wait_until("what it left goes on", || scratch.path("between").exists());
    assert_eq!((running.ended(), state(child)), (None, Some('Z')));
    fs::write(scratch.path("second"), "\n").expect("it is read");
    assert_eq!(running.end(), 3);
}

#[test]
fn it_waits_for_the_child_too_when_that_has_closed_the_pipe() {
    let Some(perl) = needs_program("perl") else {
        return;
    };
    let scratch = Scratch::new();
    assert_eq!(sh(&scratch, "mkfifo end").code, 0);
    let script = format!(
        "exec {} -MPOSIX -e 'POSIX::close($_) for 3..99; open F, q(>), q(closed); open F, q(<), q(end); readline F; exit 5'",
        perl.display()
    );
    let (mut running, _) = fghack(&scratch, &script);
    wait_until("the pipe is closed", || scratch.path("closed").exists());
    assert_eq!(running.ended(), None);
    fs::write(scratch.path("end"), "\n").expect("it is read");
    assert_eq!(running.end(), 5);
}

#[test]
fn a_daemon_that_closes_all_descriptors_escapes() {
    let Some(perl) = needs_program("perl") else {
        return;
    };
    let scratch = Scratch::new();
    let script = "POSIX::close($_) for 0..99; $SIG{ALRM} = sub {}; POSIX::pause()";
    let (mut running, _) = fghack(&scratch, &format!("{} -MPOSIX -e '{script}' & echo $! >daemon", perl.display()));
    assert_eq!(running.end(), 0);
    let daemon = scratch.text("daemon").trim().parse().expect("a pid");
    assert!(state(daemon).is_some_and(|state| state != 'Z'), "it lives on");
}

#[test]
fn the_child_gets_31_copies_of_the_pipe_on_the_lowest_descriptors() {
    let scratch = Scratch::new();
    // Which descriptors are open before, and which lead to the pipe that the child has most often.
    scratch.write("list", "ls -l /proc/$1/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p' >$2");
    for redirections in ["", "3</dev/null 6</dev/null", "<&-", "2>&- <&-"] {
        let list = "sh ./list $$";
        let ran =
            sh(&scratch, &format!("exec {redirections}; {list} before; exec fghack sh -c '{list} after; exit 2'"));
        assert_eq!(ran.code, 2);
        let numbers = |text: String, wanted: &dyn Fn(&str) -> bool| -> Vec<u32> {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            let mut found: Vec<u32> =
                lines.filter(|line| wanted(line.1)).filter_map(|line| line.0.parse().ok()).collect();
            found.sort_unstable();
            found
        };
        let before = numbers(scratch.text("before"), &|_| true);
        let already: Vec<String> = scratch.text("before").lines().map(str::to_owned).collect();
        let is_new = |target: &str| target.starts_with("pipe:") && !already.iter().any(|line| line.ends_with(target));
        let expected: Vec<u32> = (0..).filter(|number| !before.contains(number)).take(31).collect();
        assert_eq!(numbers(scratch.text("after"), &is_new), expected, "{redirections}");
    }
}

#[test]
fn what_is_written_into_the_pipe_is_thrown_away() {
    let scratch = Scratch::new();
    let ran =
        scratch.run("fghack", &["sh", "-c", "head -c 1000000 /dev/zero >&3; head -c 100000 /dev/zero >&9; exit 4"]);
    refused(&ran, 4, "");
}

#[test]
fn a_child_that_a_signal_kills_crashed() {
    let scratch = Scratch::new();
    // The last one is a real-time signal.
    for number in [1, 9, 15, 6, 34] {
        let ran = scratch.run("fghack", &["sh", "-c", &format!("ulimit -c 0; kill -{number} $$")]);
        refused(&ran, 111, "fghack: fatal: child crashed\n");
    }
}

#[test]
fn signals_other_than_term_end_fghack_alone() {
    for (name, code) in [("HUP", 1001), ("INT", 1002), ("ALRM", 1014), ("USR1", 1010)] {
        let scratch = Scratch::new();
        assert_eq!(sh(&scratch, "mkfifo end").code, 0);
        let (mut running, child) = fghack(&scratch, "exec cat end");
        running.signal(name);
        assert_eq!(running.end(), code);
        assert!(state(child).is_some_and(|state| state != 'Z'), "the child lives on");
        signal(child, "KILL");
    }
}

#[test]
fn term_is_ignored_where_it_was_ignored_before() {
    let scratch = Scratch::new();
    assert_eq!(sh(&scratch, "mkfifo end").code, 0);
    let script = "trap '' TERM; exec fghack sh -c 'echo >up; read line <end; exit 6'";
    let mut running = testkit::start(&mut super::common::shell(&scratch, script));
    wait_until("the child runs", || scratch.path("up").exists());
    running.signal("TERM");
    running.signal("TERM");
    fs::write(scratch.path("end"), "\n").expect("it is read");
    assert_eq!(running.end(), 6);
}

#[test]
fn without_descriptors_for_the_pipe_it_says_so() {
    let scratch = Scratch::new();
    let ran = sh(&scratch, "ulimit -n 4; exec fghack true");
    refused(&ran, 111, "fghack: fatal: unable to create pipe: process cannot open more files\n");
}

#[test]
fn copies_that_cannot_be_made_are_not_missed() {
    let scratch = Scratch::new();
    // That leaves the child no descriptor to load its libraries with: it is run, and says that it cannot.
    let ran = sh(&scratch, "ulimit -n 20; exec fghack ./nosuch");
    refused(&ran, 111, "fghack: fatal: unable to run ./nosuch: file does not exist\n");
    assert_eq!(sh(&scratch, "ulimit -n 20; exec fghack sh -c 'exit 7'").code, 127);
}

#[test]
fn without_processes_it_says_so() {
    let scratch = Scratch::new();
    scratch.lend("fghack");
    let ran = finish(&mut scratch.ordinary("softlimit", &["-p", "0", "fghack", "true"]));
    refused(&ran, 111, "fghack: fatal: unable to fork: temporary failure\n");
}

#[test]
fn where_the_end_of_the_child_is_not_reported_it_says_so() {
    let scratch = Scratch::new();
    if sh(&scratch, "env --ignore-signal=CHLD true").code != 0 {
        testkit::skip("env cannot ignore signals");
        return;
    }
    let ran = sh(&scratch, "exec env --ignore-signal=CHLD fghack true");
    refused(&ran, 111, "fghack: fatal: wait failed: no child processes\n");
}
