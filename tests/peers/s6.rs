//! Directories for s6-supervise.

use std::time::Duration;

use testkit::{STAMP, assert_paced, holds_for, lives, uptime, wait_for, wait_until};

use crate::stand::Peer::S6;
use crate::stand::{Stand, both};

/// A database that says when it is ready, ends in order on INT only, and gets KILL if it does not.
fn database(stand: Stand) -> Stand {
    stand.script(
        "run",
        "exec 2>&1\ntrap 'echo TERM >>told' TERM\ntrap 'echo INT >>told; [ -e stubborn ] || exit 0' INT\necho >>starts\n\
         sleep 0.3; : >opened; echo >&3; exec 3>&-\nwhile :; do sleep 0.02; done",
    );
    stand.script("finish", "echo \"$@\" >>ends");
    stand.put("notification-fd", "3\n");
    stand.put("down-signal", "SIGINT\n");
    stand.put("timeout-kill", "30000\n");
    stand
}

fn is_ready(stand: &Stand) -> bool {
    if stand.is_ours() {
        return stand.our_client("svc", &["--wait=ready", "--timeout=1ms", "web"]).code == 0;
    }
    stand.client("s6-svstat", &["-o", "ready", "web"]).out() == "true\n"
}

#[track_caller]
fn wait_ready(stand: &Stand) {
    wait_until("it is ready", || is_ready(stand));
}

#[test]
fn a_database_is_ready_when_it_says_so_and_ends_by_its_own_signal() {
    both(S6, |stand| {
        let stand = database(stand).supervised();
        wait_ready(&stand);
        assert!(stand.path("opened").exists());
        stand.send("d");
        stand.wait_text("ends", "0 0 web\n");
        stand.wait_down();
        assert_eq!(stand.text("told"), "INT\n");
        stand.send("u");
        stand.wait_count("starts", 2);
        wait_ready(&stand);
        // A restart by the same signal, and TERM as such.
        stand.send("t");
        stand.wait_text("told", "INT\nTERM\n");
        stand.send("r");
        stand.wait_text("told", "INT\nTERM\nINT\n");
        stand.wait_count("starts", 3);
        assert_eq!(stand.text("ends"), "0 0 web\n0 0 web\n");
    });
}

#[test]
fn one_that_does_not_end_in_time_is_killed() {
    both(S6, |stand| {
        let stand = database(stand);
        stand.put("stubborn", "");
        stand.put("timeout-kill", "300\n");
        let stand = stand.supervised();
        wait_ready(&stand);
        stand.send("d");
        stand.wait_text("ends", "256 9 web\n");
        stand.wait_down();
        assert_eq!(stand.text("told"), "INT\n");
    });
}

#[test]
fn finish_is_told_the_exit_code_or_the_signal_and_the_name() {
    both(S6, |stand| {
        stand.script("run", "ulimit -c 0\necho >>starts\n. ./end");
        stand.script("finish", "echo \"$@\" >>ends");
        stand.put("end", "exit 0");
        let stand = stand.supervised();
        for (end, told) in [
            ("exit 0", "0 0 web"),
            ("exit 3", "3 0 web"),
            ("exit 125", "125 0 web"),
            ("kill -15 $$", "256 15 web"),
            ("kill -9 $$", "256 9 web"),
            ("kill -11 $$", "256 11 web"),
        ] {
            stand.put("end", end);
            wait_until(told, || stand.text("ends").lines().last() == Some(told));
        }
    });
}

/// As in containers whose main service decides what they exit with.
#[test]
fn a_finish_that_keeps_the_code_and_gives_up_is_the_end_of_it() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\n. ./end");
        let script = "if test \"$1\" -eq 256; then e=$((128 + $2)); else e=\"$1\"; fi\necho \"$e\" >exitcode\nexit 125";
        stand.script("finish", script);
        stand.put("end", "exit 3");
        let stand = stand.supervised();
        stand.wait_text("exitcode", "3\n");
        stand.wait_down();
        stand.stays(1);
        stand.put("end", "kill -TERM $$");
        stand.send("u");
        stand.wait_text("exitcode", "143\n");
        stand.wait_down();
        stand.stays(2);
    });
}

/// `s6-permafailon` reads the death tally.
#[test]
fn too_many_deaths_are_a_permanent_failure() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\n. ./end");
        stand.script("finish", "exec s6-permafailon 3600 3 1-99,SIGSEGV true");
        stand.put("max-death-tally", "100\n");
        stand.put("end", "exit 0");
        let stand = stand.supervised();
        // These are no failures.
        stand.wait_count("starts", 4);
        stand.put("end", "exit 7");
        stand.wait_down();
        let tally = stand.client("s6-svdt", &["web"]);
        assert_eq!(tally.code, 0, "{}", tally.err());
        let deaths: Vec<String> =
            tally.out().lines().map(|line| line.split_once(' ').expect("a stamp").1.to_owned()).collect();
        let failed = deaths.iter().filter(|death| *death == "exitcode 7").count();
        let succeeded = deaths.iter().filter(|death| *death == "exitcode 0").count();
        assert_eq!((failed, succeeded + failed), (3, deaths.len()), "{deaths:?}");
        assert_eq!(deaths.len(), stand.count("starts"));
        stand.stays(deaths.len());
    });
}

#[test]
fn the_tally_keeps_as_many_deaths_as_it_is_told() {
    both(S6, |stand| {
        stand.script("run", "ulimit -c 0\necho >>starts\n. ./end");
        stand.script("finish", "echo \"$@\" >>ends");
        stand.put("max-death-tally", "3\n");
        stand.put("end", "exit 2");
        let stand = stand.supervised();
        let shown = || {
            let deaths = stand.client("s6-svdt", &["web"]).out();
            deaths.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect::<Vec<_>>()
        };
        wait_until("it is full", || shown() == ["exitcode 2"; 3]);
        stand.put("end", "kill -SEGV $$");
        wait_until("the oldest have gone", || shown() == ["signal SIGSEGV"; 3]);
    });
}

#[test]
fn a_finish_that_hangs_is_killed() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexit 1");
        stand.script("finish", "echo $$ >>pids\nexec sleep 100000");
        stand.put("timeout-finish", "300\n");
        let stand = stand.supervised();
        stand.wait_count("starts", 3);
        let first: u32 = stand.text("pids").lines().next().and_then(|pid| pid.parse().ok()).expect("it ran");
        assert!(!lives(first));
    });
}

#[test]
fn without_a_limit_finish_is_waited_for() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo \"$@\" >>ends\nwhile [ -e hold ]; do sleep 0.02; done");
        stand.put("timeout-finish", "0\n");
        stand.put("hold", "");
        let stand = stand.supervised();
        let pid = stand.kill_run(1);
        stand.wait_text("ends", "256 9 web\n");
        holds_for(Duration::from_millis(5500), "it is waited for", || stand.count("starts") == 1);
        // Signals reach nobody meanwhile.
        stand.send("tk");
        stand.send("d");
        stand.wait_view("it is wanted down", |view| !view.wanted);
        stand.send("u");
        stand.wait_view("it is wanted up", |view| view.wanted);
        assert_eq!(stand.count("starts"), 1);
        stand.remove("hold");
        stand.wait_restart(pid);
        assert_eq!(stand.text("ends"), "256 9 web\n");
    });
}

#[test]
fn what_is_not_wanted_up_does_not_fail() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo \"$@\" >>ends\nexit 125");
        let stand = stand.supervised();
        stand.wait_count("starts", 1);
        stand.wait_up();
        stand.send("d");
        stand.wait_text("ends", "256 15 web\n");
        stand.wait_down();
        stand.send("u");
        stand.wait_count("starts", 2);
    });
}

#[test]
fn a_finish_that_cannot_be_executed_stops_nothing() {
    both(S6, |stand| {
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
fn where_run_could_not_be_executed_finish_is_not_run() {
    both(S6, |stand| {
        stand.put("run", "#!/bin/sh\necho >>starts\nexec sleep 100000\n");
        stand.script("finish", "echo \"$@\" >>ends");
        let stand = stand.supervised();
        wait_until("it is said", || !stand.scratch.text("err").is_empty());
        holds_for(Duration::from_millis(1500), "finish is not run", || stand.text("ends").is_empty());
        testkit::make_executable(&stand.path("run"));
        stand.wait_count("starts", 1);
    });
}

#[test]
fn one_that_dies_at_once_is_started_once_a_second() {
    both(S6, |stand| {
        let begin = uptime();
        stand.script("run", &format!("{STAMP} >>starts\nexit 1"));
        let stand = stand.supervised();
        stand.wait_count("starts", 4);
        assert_paced(begin, &stand.text("starts"), [0.0, 1.0, 2.0, 3.0]);
    });
}

#[test]
fn one_that_is_normally_down_waits_for_a_command_and_once_is_once() {
    both(S6, |stand| {
        let stand = database(stand);
        stand.put("down", "");
        let stand = stand.supervised();
        holds_for(Duration::from_millis(1200), "it is down", || stand.count("starts") == 0);
        stand.send("o");
        wait_ready(&stand);
        stand.wait_view("it is not wanted up", |view| view.run.is_some() && !view.wanted);
        stand.kill_run(1);
        stand.wait_text("ends", "256 9 web\n");
        stand.wait_down();
        stand.stays(1);
    });
}

#[test]
fn a_logger_is_a_service_with_a_finish_of_its_own() {
    both(S6, |stand| {
        stand.script("run", "exec 2>&1\necho >>starts\necho begins\nexec sleep 100000");
        stand.script("finish", "echo \"ends $*\"");
        stand.script("log/run", "echo $$ >pid.new && mv pid.new pid\necho >&3\nexec 3>&-\nexec cat >>../logged");
        stand.put("log/notification-fd", "3\n");
        stand.script("log/finish", "echo \"$@\" >>../ends");
        let stand = stand.scanned();
        stand.wait_text("logged", "begins\n");
        stand.kill_run(1);
        stand.wait_text("logged", "begins\nends 256 9 web\nbegins\n");
        stand.wait_up();
        let logger = || stand.text("log/pid").trim_end().parse::<u32>().ok();
        let first = wait_for("the logger runs", logger);
        testkit::signal(first, "KILL");
        stand.wait_text("ends", "256 9 web/log\n");
        wait_for("another runs", || logger().filter(|&pid| pid != first));
        stand.send("d");
        stand.wait_text("logged", "begins\nends 256 9 web\nbegins\nends 256 15 web\n");
    });
}

#[test]
fn it_leaves_when_it_is_told_to_and_the_service_is_down() {
    both(S6, |stand| {
        let mut stand = database(stand).supervised();
        wait_ready(&stand);
        stand.send("dx");
        assert_eq!(stand.supervisor().end(), 0);
        assert_eq!((stand.text("told").as_str(), stand.text("ends").as_str()), ("INT\n", "0 0 web\n"));
        stand.supervise();
        stand.wait_count("starts", 2);
    });
}
