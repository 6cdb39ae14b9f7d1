//! Directories for runsv.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use testkit::{STAMP, assert_paced, holds_for, lives, signal, uptime, wait_for, wait_until};

use crate::stand::Peer::Runit;
use crate::stand::{Stand, both};

/// A daemon whose `finish` removes what it has left behind.
fn daemon(stand: Stand) -> Stand {
    stand.script("run", "exec 2>&1\n[ -r ./conf ] && . ./conf\n: >run.sock\necho >>starts\nexec sleep ${FOR:-1000}");
    stand.put("conf", "FOR=100000\n");
    stand.script("finish", "exec 2>&1\nrm -f run.sock\necho \"$2\" >>ends");
    stand
}

/// What `sv status` says, with N for the pid and S for the seconds.
fn status(stand: &Stand) -> String {
    let line = stand.client("sv", &["status", "./web"]).out();
    let words = line.trim_end().split(' ').map(|word| {
        let digits = word.trim_end_matches([',', ')', 's', ';']);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return word.to_owned();
        }
        word.replace(digits, if word.ends_with(')') { "N" } else { "S" })
    });
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn wait_status(stand: &Stand, expected: &str) {
    wait_until(&format!("sv says {expected:?}, not {:?}", status(stand)), || status(stand) == expected);
}

/// Makes `finish` wait as long as there is a file `hold`. On a busy machine a test may take longer than the five seconds that it has otherwise.
fn hold(stand: &Stand) {
    stand.script(
        "finish",
        "echo \"$2\" >>ends\necho $$ >pid.new && mv pid.new pid\nwhile [ -e hold ]; do sleep 0.02; done",
    );
    stand.put("timeout-finish", "0");
    stand.put("hold", "");
}

/// Waits until `finish` runs for the first time, and returns its pid.
#[track_caller]
fn wait_finishing(stand: &Stand) -> u32 {
    wait_for("finish runs", || stand.text("pid").trim_end().parse().ok())
}

#[test]
fn a_daemon_is_cleaned_up_behind_after_each_end_and_started_again() {
    both(Runit, |stand| {
        let stand = daemon(stand).supervised();
        stand.kill_run(1);
        stand.wait_text("ends", "9\n");
        stand.wait_count("starts", 2);
        stand.send("t");
        stand.wait_text("ends", "9\n15\n");
        stand.wait_count("starts", 3);
        assert!(stand.path("run.sock").exists());
        stand.send("d");
        stand.wait_text("ends", "9\n15\n15\n");
        stand.wait_down();
        assert!(!stand.path("run.sock").exists());
        stand.stays(3);
    });
}

#[test]
fn finish_is_told_the_exit_code_or_the_signal() {
    both(Runit, |stand| {
        // Without a core dump: that is a bit of what runsv passes on.
        stand.script("run", "ulimit -c 0\necho >>starts\n. ./end");
        stand.script("finish", "[ \"$2\" = 0 ] && echo exited \"$1\" >>ends || echo killed \"$2\" >>ends");
        stand.put("end", "exit 0");
        let stand = stand.supervised();
        for (end, told) in [
            ("exit 0", "exited 0"),
            ("exit 3", "exited 3"),
            ("exit 111", "exited 111"),
            ("exit 255", "exited 255"),
            ("kill -15 $$", "killed 15"),
            ("kill -9 $$", "killed 9"),
            ("kill -11 $$", "killed 11"),
            ("kill -2 $$", "killed 2"),
        ] {
            stand.put("end", end);
            wait_until(told, || stand.text("ends").lines().last() == Some(told));
        }
    });
}

#[test]
fn a_job_that_takes_itself_down_by_its_finish_is_run_once_for_each_up() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\n. ./end");
        stand.script("finish", "echo \"$1 $2\" >>ends\n[ \"$1\" = 0 ] && sv down .\n:");
        stand.put("end", "exit 4");
        let stand = stand.supervised();
        // It fails until it succeeds.
        stand.wait_count("ends", 2);
        stand.put("end", "exit 0");
        stand.wait_down();
        wait_status(&stand, "down: ./web: Ss, normally up");
        let starts = stand.count("starts");
        assert_eq!(stand.text("ends"), "4 0\n".repeat(starts - 1) + "0 0\n");
        stand.stays(starts);
        stand.send("u");
        stand.wait_count("ends", starts + 1);
        stand.wait_down();
    });
}

#[test]
fn one_that_is_normally_down_is_started_by_a_client_that_waits_for_its_check() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nrm -f bus\nsleep 0.3\n: >bus\nexec sleep 100000");
        stand.script("check", "[ -e refuse ] && exit 1\n[ -e bus ]");
        stand.put("down", "");
        let stand = stand.supervised();
        wait_status(&stand, "down: ./web: Ss");
        holds_for(Duration::from_millis(1200), "it is down", || stand.count("starts") == 0);
        let started = stand.client("sv", &["-w", "60", "start", "./web"]);
        assert_eq!((started.code, started.err().as_str()), (0, ""), "{}", started.out());
        assert!(started.out().starts_with("ok: run: ./web: (pid "), "{}", started.out());
        assert!(stand.path("bus").exists());
        stand.put("refuse", "");
        let checked = stand.client("sv", &["-w", "1", "check", "./web"]);
        assert_eq!(checked.code, 1);
        assert!(checked.out().starts_with("timeout: run: ./web: (pid "), "{}", checked.out());
        assert_eq!(stand.count("starts"), 1);
    });
}

#[test]
fn one_that_dies_at_once_is_started_once_a_second() {
    both(Runit, |stand| {
        let begin = uptime();
        stand.script("run", &format!("{STAMP} >>starts\nexit 1"));
        stand.script("finish", "echo >>ends");
        let stand = stand.supervised();
        stand.wait_count("starts", 4);
        assert_paced(begin, &stand.text("starts"), [0.0, 1.0, 2.0, 3.0]);
        wait_until("finish is run each time", || stand.count("ends") >= 3);
    });
}

#[test]
fn what_run_and_finish_print_is_in_the_log() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\necho begins\nexec sleep 100000");
        stand.script("finish", "echo \"ends $2\"");
        stand.script("log/run", "exec cat >>../logged");
        let stand = stand.scanned();
        stand.wait_text("logged", "begins\n");
        stand.kill_run(1);
        stand.wait_text("logged", "begins\nends 9\nbegins\n");
        stand.wait_up();
        stand.send("d");
        stand.wait_text("logged", "begins\nends 9\nbegins\nends 15\n");
    });
}

#[test]
fn a_finish_that_is_not_executable_stops_nothing() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexit 1");
        stand.put("finish", "#!/bin/sh\necho >>ends\n");
        let stand = stand.supervised();
        stand.wait_count("starts", 3);
        assert_eq!(stand.text("ends"), "");
        stand.send("d");
        stand.wait_down();
    });
}

#[test]
fn a_run_that_is_not_executable_is_tried_until_it_is() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        let mode = |mode| fs::set_permissions(stand.path("run"), fs::Permissions::from_mode(mode)).expect("it is ours");
        mode(0o644);
        let name = stand.path("run");
        let stand = stand.supervised();
        let said = || stand.scratch.text("err");
        wait_until("it is tried", || !said().is_empty());
        assert_eq!(stand.count("starts"), 0);
        fs::set_permissions(name, fs::Permissions::from_mode(0o755)).expect("it is ours");
        stand.wait_up();
        stand.wait_count("starts", 1);
    });
}

#[test]
fn sv_sees_run_and_finish_and_neither() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        hold(&stand);
        let stand = stand.supervised();
        wait_status(&stand, "run: ./web: (pid N) Ss");
        let run = stand.kill_run(1);
        let finish = wait_finishing(&stand);
        assert_ne!(finish, run);
        wait_status(&stand, "finish: ./web: (pid N) Ss");
        assert!(stand.client("sv", &["status", "./web"]).out().contains(&format!("(pid {finish})")));
        stand.send("d");
        wait_status(&stand, "finish: ./web: (pid N) Ss, want down");
        stand.remove("hold");
        wait_status(&stand, "down: ./web: Ss, normally up");
    });
}

#[test]
fn signals_reach_nobody_while_finish_runs() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        hold(&stand);
        let stand = stand.supervised();
        let run = stand.kill_run(1);
        let finish = wait_finishing(&stand);
        // The last letter shows when all were obeyed.
        stand.send("thaiqd");
        stand.wait_view("it is wanted down", |view| !view.wanted);
        holds_for(Duration::from_millis(200), "it lives", || lives(finish));
        stand.send("u");
        stand.wait_view("it is wanted up", |view| view.wanted);
        stand.remove("hold");
        stand.wait_restart(run);
        assert_eq!(stand.text("ends"), "9\n");
    });
}

#[test]
fn down_while_finish_runs_is_about_what_follows() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        hold(&stand);
        let stand = stand.supervised();
        stand.kill_run(1);
        let finish = wait_finishing(&stand);
        stand.send("d");
        stand.wait_view("it is wanted down", |view| !view.wanted);
        assert!(lives(finish));
        stand.remove("hold");
        wait_status(&stand, "down: ./web: Ss, normally up");
        stand.stays(1);
    });
}

#[test]
fn once_is_followed_by_finish_and_by_nothing_else() {
    both(Runit, |stand| {
        let stand = daemon(stand);
        stand.put("down", "");
        let stand = stand.supervised();
        stand.send("o");
        stand.wait_count("starts", 1);
        stand.kill_run(1);
        stand.wait_text("ends", "9\n");
        stand.wait_down();
        stand.stays(1);
    });
}

#[test]
fn pausing_and_continuing_change_nothing_else() {
    both(Runit, |stand| {
        let stand = daemon(stand).supervised();
        let pid = stand.wait_up();
        stand.wait_count("starts", 1);
        stand.send("p");
        wait_until("it is stopped", || testkit::state(pid) == Some('T'));
        wait_status(&stand, "run: ./web: (pid N) Ss, paused");
        // Continued by the letter itself, so that it can end.
        stand.send("d");
        stand.wait_text("ends", "15\n");
        stand.wait_down();
    });
}

#[test]
fn a_service_that_ignores_term_lives_until_it_is_killed() {
    both(Runit, |stand| {
        stand.script("run", "trap '' TERM\necho >>starts\nwhile :; do sleep 0.05; done");
        stand.script("finish", "echo \"$2\" >>ends");
        let stand = stand.supervised();
        stand.wait_count("starts", 1);
        let pid = stand.wait_up();
        stand.send("d");
        wait_status(&stand, "run: ./web: (pid N) Ss, want down, got TERM");
        holds_for(Duration::from_millis(500), "it lives", || lives(pid));
        signal(pid, "KILL");
        stand.wait_text("ends", "9\n");
        stand.wait_down();
    });
}
