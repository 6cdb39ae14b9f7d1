//! supervise is killed or upgraded around an end of the service: `finish` is still run once for each end.

use std::fs;
use std::process::Stdio;

use testkit::{Scratch, lives, signal, start, wait_for, wait_until};

use super::service::{HELD, LIVES, Service, for_each_user};

#[test]
fn a_finish_that_runs_is_found_by_the_next_supervise() {
    for_each_user(|user| {
        let (mut service, run, finish) = Service::held(user, HELD);
        for _ in 0..2 {
            service.kill_supervise();
            service.supervise();
            assert_eq!(service.wait_finishing(), finish);
            assert_eq!(service.starts(), 1, "it is not started beside its finish");
        }
        assert_eq!(service.ends(), "256 9 web\n", "it is run once");
        service.remove("hold");
        service.wait_restart(run);
    });
}

#[test]
fn a_finish_that_has_ended_meanwhile_is_not_run_again() {
    for_each_user(|user| {
        let (mut service, run, finish) = Service::held(user, HELD);
        service.kill_supervise();
        signal(finish, "KILL");
        wait_until("it has ended", || !lives(finish));
        service.supervise();
        service.wait_restart(run);
        assert_eq!(service.ends(), "256 9 web\n");
    });
}

#[test]
fn a_finish_that_was_left_behind_has_its_time_too() {
    for_each_user(|user| {
        let (mut service, run, finish) = Service::held(user, HELD);
        service.put("timeout-finish", "100");
        service.kill_supervise();
        service.supervise();
        service.wait_restart(run);
        assert!(!lives(finish));
        let said = format!("supervise: warning: unable to end web/finish in time, killing pid {finish}\n");
        assert_eq!(service.said(), said);
    });
}

#[test]
fn an_end_that_nobody_has_seen_gets_its_finish_from_the_next_supervise() {
    for_each_user(|user| {
        let mut service = Service::finishing(user, LIVES, HELD).start();
        let run = service.wait_up();
        service.kill_supervise();
        signal(run, "KILL");
        wait_until("it has ended", || !lives(run));
        assert_eq!(service.ends(), "");
        service.supervise();
        service.wait_restart(run);
        assert_eq!(service.ends(), "256 0 web\n", "how it has ended is not known");
    });
}

#[test]
fn what_was_wanted_while_finish_ran_is_wanted_by_the_next_supervise() {
    for_each_user(|user| {
        for (letters, up) in [("-d", false), ("-o", true)] {
            let (mut service, run, _) = Service::held(user, HELD);
            service.obey_while_finishing(letters);
            let start_due = testkit::record(service.scratch.path("web")).expect("a record").decided.service.start_due;
            assert_eq!(start_due, up, "{letters}");
            service.kill_supervise();
            service.supervise();
            service.remove("hold");
            if up {
                service.wait_restart(run);
            } else {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                service.stays(1);
            }
            assert_eq!(service.ends(), "256 9 web\n");
        }
    });
}

/// Below a `SUPERVISEDIR`, `web:log` and `web/log` have the same directory for their files.
#[test]
fn the_finish_of_a_killed_supervise_is_not_taken_over_by_one_whose_path_differs_by_a_colon() {
    let scratch = Scratch::new();
    for name in ["scan/web:log", "scan/web/log"] {
        scratch.service(name, "exit 1");
        scratch.script(
            format!("{name}/finish"),
            "echo $$ >pid.new; mv pid.new pid; while [ -e ../hold ]; do sleep 0.02; done",
        );
        scratch.write(format!("{name}/timeout-finish"), "0");
    }
    scratch.write("scan/hold", "");
    let state = scratch.mkdir("state");
    let supervise = |dir: &str| {
        let mut command = scratch.command("supervise", &[dir]);
        command.stdin(Stdio::null()).env("SUPERVISEDIR", &state);
        command
    };
    let mut first = start(&mut supervise("scan/web:log"));
    let pid = || fs::read_to_string(scratch.path("scan/web:log/pid")).ok()?.trim_end().parse::<u32>().ok();
    let finish = wait_for("finish runs", pid);
    first.signal("KILL");
    first.end();
    let other = testkit::finish(&mut supervise("scan/web/log"));
    let why = format!(
        ": it is that of another service, which runs as pid {finish} and whose path differs only by a colon; rename one of the two\n"
    );
    assert!(other.code == 111 && other.err().ends_with(&why), "{}", other.err());
    let _second = start(&mut supervise("scan/web:log"));
    fs::remove_file(scratch.path("scan/hold")).expect("it is there");
    wait_until("its own supervise runs the next one", || pid().is_some_and(|next| next != finish));
}

#[test]
fn an_upgrade_goes_on_with_a_finish_that_runs() {
    for_each_user(|user| {
        let (mut service, run, finish) = Service::held(user, HELD);
        // First `finish` is a child of supervise, then the child of a supervise that was killed.
        for _ in 0..2 {
            for _ in 0..2 {
                service.obey_while_finishing("--reexec");
                assert_eq!(service.wait_finishing(), finish);
            }
            service.kill_supervise();
            service.supervise();
        }
        service.remove("hold");
        service.wait_restart(run);
        assert_eq!(service.ends(), "256 9 web\n");
    });
}
