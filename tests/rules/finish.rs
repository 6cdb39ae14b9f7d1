//! The script `finish`, which is run after each end of the service.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use testkit::{holds_for, lives, signal, wait_for, wait_until};

use super::service::{ENDS, HELD, LIVES, Service, for_each_user};

#[test]
fn finish_is_told_how_run_has_ended() {
    for_each_user(|user| {
        let service = Service::finishing(user, ENDS, HELD);
        service.put("end", "exit 3");
        let service = service.start();
        wait_until("it is told of an exit", || service.ends().starts_with("3 0 web\n"));
        service.put("end", "kill -9 $$");
        wait_until("it is told of a signal", || service.ends().ends_with("256 9 web\n"));
        let first = service.ends().replace("3 0 web\n", "");
        assert!(first.lines().all(|line| line == "256 9 web"), "{first}");
    });
}

#[test]
fn a_logger_is_called_by_the_name_of_its_service() {
    let service = Service::new(super::service::User::Own, LIVES, &[]);
    service.scratch.service("web/log", "exec cat");
    service.scratch.script("web/log/finish", "echo \"$@\" >>../ends");
    service.scratch.mkdir("scan");
    symlink("../web", service.scratch.path("scan/site")).expect("a link");
    let _svscan = service.scratch.start("svscan", "svscan", &["scan"]);
    let logger = super::world::wait_up(&service.scratch, "scan/site/log");
    signal(logger, "KILL");
    service.wait_ends("256 9 site/log\n");
}

#[test]
fn finish_is_for_a_service_that_has_ended_and_not_for_a_copy_that_made_place() {
    for_each_user(|user| {
        let service = Service::finishing(user, LIVES, HELD).start();
        let old = service.wait_up();
        service.put("warmup", "1ms");
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        wait_until("the old one has ended", || !lives(old));
        let new = service.wait_restart(old);
        // A new copy that cannot be executed is given up. It was never up, so `finish` is not run for it.
        fs::set_permissions(service.scratch.path("web/run"), fs::Permissions::from_mode(0o644)).expect("it is ours");
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 1);
        assert_eq!(service.ends(), "");
        // The new copy was started in a process group of its own.
        signal(new, "KILL");
        service.wait_ends(&format!("256 9 web {new}\n"));
        holds_for(Duration::from_millis(1500), "it is run once", || service.ends().lines().count() == 1);
    });
}

#[test]
fn a_finish_that_exits_125_says_that_the_service_has_failed() {
    for_each_user(|user| {
        let service = Service::finishing(user, ENDS, "exit 125");
        service.put("end", "exit 1");
        let service = service.start();
        service.wait_svstat("down S seconds, normally up, failed: finish said so");
        service.wait_wanted_down();
        service.stays(1);
        let waited = service.wait(&["--wait=up"]);
        let why = "svc: warning: unable to wait for web to be up: it has failed: finish said so\n";
        assert_eq!((waited.code, waited.err().as_str()), (1, why));
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        for (count, letter) in ["-u", "-R", "-du"].into_iter().enumerate() {
            service.svc(letter);
            service.wait_starts(count + 2);
            service.wait_svstat("down S seconds, normally up, failed: finish said so");
        }
        service.wait_said(&"supervise: warning: not starting web again: finish said so\n".repeat(4));
    });
}

/// The service is down, after its `finish` has exited 125, or after `-x` its supervise has left; and nothing says that it has failed.
#[track_caller]
fn is_down_without_failure(mut service: Service, letters: &str) {
    if letters.contains('x') {
        assert_eq!(service.end(), 0);
    } else {
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert_eq!(service.svstat(), "down S seconds, normally up");
    }
    assert_eq!((service.record().decided.over, service.said().as_str()), (None, ""), "{letters}");
}

/// It was said to have failed.
#[test]
fn what_is_not_wanted_up_does_not_fail_by_its_finish() {
    for_each_user(|user| {
        for letters in ["-d", "-dx", "-o"] {
            let service = Service::finishing(user, LIVES, "exit 125").start();
            service.wait_starts(1);
            let run = service.wait_up();
            service.svc(letters);
            if letters == "-o" {
                // When this returns, -o was obeyed.
                assert_eq!(service.wait(&["--wait=up"]).code, 0);
                signal(run, "KILL");
            }
            is_down_without_failure(service, letters);
        }
        for letters in ["-d", "-dx"] {
            let (service, ..) = Service::held(user, &format!("{HELD}; exit 125"));
            service.obey_while_finishing(letters);
            service.remove("hold");
            is_down_without_failure(service, letters);
        }
    });
}

#[test]
fn what_has_failed_stays_so_over_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        let service = Service::finishing(user, ENDS, "exit 125");
        service.put("end", "exit 1");
        let mut service = service.start();
        let failed = "down S seconds, normally up, failed: finish said so";
        service.wait_svstat(failed);
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.svstat(), failed);
        let waited = service.wait(&["--reexec", "--wait=up"]);
        assert_eq!((waited.code, service.svstat().as_str()), (1, failed));
        service.stays(1);
        service.svc("-x");
        assert_eq!(service.end(), 0);
        // After a supervise that was told to exit, the next one begins anew.
        service.supervise();
        service.wait_starts(2);
    });
}

#[test]
fn a_finish_that_hangs_is_killed_with_its_group_and_the_service_is_started_again() {
    for_each_user(|user| {
        let hangs = "trap '' TERM; sleep 1000 & echo $! >>ends; wait";
        let service = Service::finishing(user, ENDS, hangs);
        service.put("end", "exit 1");
        service.put("timeout-finish", "200");
        let service = service.start();
        let helper = || service.ends().lines().next().and_then(|pid| pid.parse().ok());
        let helper: u32 = wait_for("finish runs", helper);
        service.wait_starts(2);
        wait_until("what it has started is gone", || !lives(helper));
        let said = service.said();
        assert!(said.starts_with("supervise: warning: unable to end web/finish in time, killing pid "), "{said}");
    });
}

#[test]
fn while_finish_runs_svstat_and_the_status_say_so_and_signals_reach_nobody() {
    for_each_user(|user| {
        let (service, first, finish) = Service::held(user, HELD);
        assert_eq!(service.svstat(), format!("down S seconds, normally up, want up, finishing pid {finish}"));
        // The status has the format of runit. It is written after the record, so it may be a moment late.
        wait_until("the status says so", || {
            let status = service.scratch.read("web/supervise/status");
            status[12..16] == finish.to_le_bytes() && status[19] == 2
        });
        service.wait_ends("256 9 web\n");
        service.obey_while_finishing("-tkhrp");
        assert!(lives(finish) && service.ends().lines().count() == 1);
        service.remove("hold");
        service.wait_restart(first);
    });
}

#[test]
fn a_command_while_finish_runs_is_about_what_follows() {
    for_each_user(|user| {
        for (letters, up) in [("-d", false), ("-o", true), ("-du", true), ("-ud", false), ("-dx", false), ("-ox", true)]
        {
            let (mut service, first, finish) = Service::held(user, HELD);
            service.obey_while_finishing(letters);
            assert!(lives(finish), "{letters}: it is not down before finish is over");
            service.remove("hold");
            if up {
                service.wait_restart(first);
            } else if letters.contains('x') {
                assert_eq!(service.end(), 0);
            } else {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                service.stays(1);
            }
            assert_eq!(service.ends(), "256 9 web\n", "{letters}");
        }
    });
}

#[test]
fn a_start_that_is_asked_for_while_finish_runs_is_made_whatever_that_says() {
    for_each_user(|user| {
        let (service, first, _) = Service::held(user, &format!("{HELD}; exit 125"));
        service.obey_while_finishing("-u");
        service.remove("hold");
        service.wait_restart(first);
    });
}

#[test]
fn a_finish_that_cannot_be_run_is_told_once_and_the_service_goes_on() {
    let warning = |why: &str| format!("supervise: warning: unable to run web/finish, going on without: {why}\n");
    for_each_user(|user| {
        for (mode, contents, why) in [
            (0o644, "#!/bin/sh\n", "access denied"),
            (0o755, "#!/no/such/interpreter\n", "file does not exist"),
            (0o755, "", "exec format error"),
        ] {
            let service = Service::new(user, ENDS, &[("end", "exit 1"), ("finish", contents)]);
            let file = service.scratch.path("web/finish");
            match mode {
                0o755 => testkit::make_executable(&file),
                mode => fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("it is ours"),
            }
            let service = service.start();
            service.wait_starts(3);
            assert_eq!(service.said(), warning(why));
        }
        let service = Service::new(user, ENDS, &[("end", "exit 1")]);
        service.scratch.mkdir("web/finish");
        let service = service.start();
        service.wait_starts(3);
        assert_eq!(service.said(), warning("access denied"));
        let service = Service::new(user, ENDS, &[("end", "exit 1")]);
        symlink("nowhere", service.scratch.path("web/finish")).expect("a link");
        let service = service.start();
        service.wait_starts(3);
        assert_eq!(service.said(), "", "a dangling link is none");
    });
}

#[test]
fn where_run_cannot_be_executed_nothing_has_lived_that_finish_could_be_about() {
    for_each_user(|user| {
        let service = Service::finishing(user, LIVES, HELD);
        service.scratch.write("web/run", "#!/no/such/interpreter\n");
        let service = service.start();
        wait_until("it was tried twice", || service.said().lines().count() >= 2);
        assert_eq!(service.ends(), "");
        assert!(service.svstat().contains("unable to start run"), "{}", service.svstat());
    });
}

#[test]
fn a_finish_that_is_replaced_while_it_runs_is_another_one_the_next_time() {
    for_each_user(|user| {
        let (service, first, _) = Service::held(user, HELD);
        service.scratch.script("web/finish.new", "echo another >>ends");
        fs::rename(service.scratch.path("web/finish.new"), service.scratch.path("web/finish")).expect("files of ours");
        service.remove("hold");
        let second = service.wait_restart(first);
        service.wait_ends("256 9 web\n");
        signal(second, "KILL");
        service.wait_ends("256 9 web\nanother\n");
    });
}

#[test]
fn a_limit_that_is_nonsense_is_told_once_and_five_seconds_hold() {
    for_each_user(|user| {
        let cases = [
            ("", "it is empty"),
            ("-5", "negative number"),
            ("5 6", "it holds a blank or a second line"),
            ("99999999999999999999", "too large"),
            ("5\0", "not a number with ms, s, m, h or nothing behind it"),
            ("soon", "not a number with ms, s, m, h or nothing behind it"),
        ];
        let services = cases.map(|(contents, why)| {
            let service = Service::finishing(user, ENDS, HELD);
            service.put("end", "exit 1");
            service.put("timeout-finish", contents);
            (service.start(), why)
        });
        for (service, why) in services {
            service.wait_starts(3);
            let line = "supervise: warning: unable to use web/timeout-finish, taking 5s: ";
            assert_eq!(service.said(), format!("{line}{why}\n"));
        }
    });
}

#[test]
fn without_a_limit_finish_may_take_for_ever() {
    let service = Service::finishing(super::service::User::Own, LIVES, HELD);
    service.put("hold", "");
    service.put("timeout-finish", "0");
    let service = service.start();
    signal(service.wait_up(), "KILL");
    let finish = service.wait_finishing();
    // The default timeout is shorter than this.
    holds_for(Duration::from_millis(5500), "it lives", || lives(finish));
    assert_eq!(service.said(), "");
}
