//! The file `health`: a program that is run about the service again and again, and that ends it when it has failed so many times in a row.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use testkit::{holds_for, lives, wait_until};

use super::service::{LIVES, Service, User, for_each_user};

/// A `health` that notes its argument in `ends`, and exits as the shell commands in the file `well` say.
const NOTES: &str = "echo \"$@\" >>ends; . ./well";

/// Makes a service whose `health` is this script, run every tenth of a second. Two failures are enough. A run that takes longer than the interval has failed too, as
/// any may on a busy machine: a test of runs that succeed says otherwise.
fn judged(user: User, run: &str, health: &str, files: &[(&str, &str)]) -> Service {
    let service = Service::new(user, run, &[("health-interval", "100ms"), ("health-fails", "2")]);
    service.scratch.script("web/health", health);
    for (name, contents) in files {
        service.put(name, contents);
    }
    service
}

/// Waits until `health` has been run so many times more.
#[track_caller]
fn wait_runs(service: &Service, count: usize) {
    let runs = || service.ends().lines().count();
    let enough = runs() + count;
    wait_until("it is run", || runs() >= enough);
}

/// Returns the pid in the first message, which must be that the service is unhealthy.
#[track_caller]
fn first_ended(service: &Service) -> String {
    let said = service.said();
    let first = said.lines().next().unwrap_or_default();
    let pid = first.strip_prefix("supervise: warning: web/health has failed 2 times in a row, ending pid ");
    pid.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn a_service_that_is_unhealthy_is_ended_and_started_again() {
    for_each_user(|user| {
        let run = "trap 'echo TERM >>told; exit 0' TERM; echo >>starts; while :; do sleep 0.02; done";
        let service = judged(user, run, NOTES, &[("well", "exit 1"), ("told", ""), ("health-interval", "2s")]);
        if user == User::Ordinary {
            service.scratch.give("web/told");
        }
        let service = service.start();
        service.wait_starts(2);
        let first = first_ended(&service);
        let ends = service.ends();
        let about: Vec<&str> = ends.lines().collect();
        assert_eq!(about[..2], [first.as_str(), first.as_str()], "it gets the pid");
        assert!(about.get(2).is_none_or(|pid| *pid != first), "two failures are enough: {about:?}");
        assert_eq!(service.scratch.text("web/told").lines().next(), Some("TERM"));
    });
}

#[test]
fn an_end_of_an_unhealthy_service_is_one_that_nobody_asked_for() {
    for_each_user(|user| {
        let service = judged(user, LIVES, "exit 1", &[("max-restarts", "2/1h")]).start();
        service.wait_svstat("down S seconds, normally up, failed: ended 2 times in S seconds");
        assert_eq!(service.record().decided.pace.starts, 2);
    });
}

#[test]
fn one_that_takes_too_long_has_failed_and_its_group_is_killed() {
    for_each_user(|user| {
        let health = "sleep 1000 & echo $! >>ends; wait";
        let service = judged(user, LIVES, health, &[("health-interval", "1s")]).start();
        service.wait_starts(2);
        let ends = service.ends();
        for sleep in ends.lines().take(2) {
            let pid = sleep.parse().expect("a pid");
            wait_until("what it has started is gone", || !lives(pid));
        }
    });
}

#[test]
fn one_success_ends_the_row() {
    for_each_user(|user| {
        // Every second run fails.
        let health = "echo x >>ends; if [ -e odd ]; then rm odd; exit 1; fi; : >odd";
        let service = judged(user, LIVES, health, &[("health-interval", "2s"), ("health-fails", "3")]);
        if user == User::Ordinary {
            service.scratch.give("web");
        }
        let service = service.start();
        let pid = service.wait_up();
        wait_runs(&service, 6);
        assert_eq!((service.wait_up(), service.starts(), service.said()), (pid, 1, String::new()));
    });
}

#[test]
fn svstat_says_how_long_it_is_unhealthy() {
    for_each_user(|user| {
        let files = [("well", "exit 1"), ("health-interval", "2s"), ("health-fails", "255")];
        let service = judged(user, LIVES, NOTES, &files).start();
        let pid = service.wait_up();
        service.wait_svstat(&format!("up (pid {pid}) S seconds, unhealthy S seconds"));
        service.put("well", "exit 0");
        service.wait_svstat(&format!("up (pid {pid}) S seconds"));
    });
}

#[test]
fn what_pauses_or_is_not_ready_is_not_judged() {
    for_each_user(|user| {
        let service = judged(user, LIVES, NOTES, &[("well", "exit 0"), ("health-fails", "255")]).start();
        let pid = service.wait_up();
        wait_runs(&service, 1);
        service.svc("-p");
        service.wait_svstat(&format!("up (pid {pid}) S seconds, paused"));
        service.put("well", "exit 1");
        service.put("health-fails", "2");
        let runs = || service.ends().lines().count();
        // One may just be at its end.
        let last = runs() + 1;
        holds_for(Duration::from_secs(1), "it is not run", || runs() <= last);
        service.svc("-c");
        service.wait_restart(pid);
    });
    for_each_user(|user| {
        let service = judged(user, LIVES, NOTES, &[("well", "exit 1")]);
        service.scratch.script("web/check", "[ -e up ]");
        let service = service.start();
        let pid = service.wait_up();
        holds_for(Duration::from_secs(1), "it is not run", || service.ends().is_empty());
        service.put("up", "");
        service.wait_restart(pid);
    });
}

#[test]
fn one_that_does_not_end_is_killed() {
    for_each_user(|user| {
        let run = "trap '' TERM; echo >>starts; while :; do sleep 0.02; done";
        let files = [("timeout-kill", "200"), ("health-interval", "1s")];
        let service = judged(user, run, "exit 1", &files).start();
        service.wait_starts(2);
        let killing = format!("supervise: warning: unable to end web in time, killing pid {}", first_ended(&service));
        assert_eq!(service.said().lines().nth(1), Some(killing.as_str()));
    });
}

#[test]
fn it_judges_the_copy_that_serves_and_goes_on_with_the_next() {
    for_each_user(|user| {
        let service =
            judged(user, LIVES, NOTES, &[("well", "exit 0"), ("warmup", "500"), ("health-fails", "255")]).start();
        let old = service.wait_up();
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        let new = service.wait_restart(old);
        wait_until("it is asked about the new one", || service.ends().lines().last() == Some(&new.to_string()));
        let ends = service.ends();
        let first = ends.lines().position(|pid| pid == new.to_string()).expect("it was");
        assert!(ends.lines().skip(first).all(|pid| pid == new.to_string()), "both are asked about: {ends}");
        assert_eq!(service.said(), "");
    });
}

#[test]
fn it_goes_on_after_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        let files = [("well", "exit 0"), ("health-interval", "2s"), ("health-fails", "255")];
        let mut service = judged(user, LIVES, NOTES, &files).start();
        let pid = service.wait_up();
        wait_runs(&service, 1);
        service.kill_supervise();
        service.supervise();
        wait_runs(&service, 2);
        assert_eq!(service.wait(&["--reexec"]).code, 0);
        wait_runs(&service, 2);
        assert_eq!((service.wait_up(), service.starts()), (pid, 1));
        service.put("well", "exit 1");
        service.put("health-fails", "2");
        service.wait_restart(pid);
    });
}

#[test]
fn one_that_cannot_be_run_is_told_once_and_says_nothing_about_the_service() {
    for_each_user(|user| {
        let service = judged(user, LIVES, "exit 1", &[]);
        let path = service.scratch.path("web/health");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let service = service.start();
        let pid = service.wait_up();
        let warning = "supervise: warning: unable to run web/health, trying again: access denied\n";
        service.wait_said(warning);
        holds_for(Duration::from_secs(1), "it is said once", || service.said() == warning);
        assert_eq!(service.wait_up(), pid);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        service.wait_restart(pid);
    });
}

#[test]
fn one_that_was_removed_is_not_run_again_before_the_next_start() {
    for_each_user(|user| {
        let service = judged(user, LIVES, NOTES, &[("well", "exit 0"), ("health-fails", "255")]).start();
        let pid = service.wait_up();
        wait_runs(&service, 1);
        service.remove("health");
        holds_for(Duration::from_secs(1), "nothing is said", || service.said().is_empty());
        assert_eq!(service.wait_up(), pid);
    });
}

#[test]
fn nonsense_is_told_once_and_the_default_holds() {
    const UNIT: &str = "it has no unit: say ms, s, m or h";
    const ZERO: &str = "there must be some time between two runs";
    const TIMES: &str = "not a number from 1 to 255";
    let huge = "9".repeat(100_000);
    for_each_user(|user| {
        for (contents, why) in
            [("30", UNIT), ("0", ZERO), ("0s", ZERO), ("", "it is empty"), ("-5s", "negative number")]
        {
            let service = Service::new(user, LIVES, &[("health-interval", contents)]);
            service.scratch.script("web/health", "exit 1");
            let service = service.start();
            service.wait_up();
            let line = format!("supervise: warning: unable to use web/health-interval, taking 30s: {why}\n");
            service.wait_said(&line);
        }
        for (contents, why) in [
            ("0", TIMES),
            ("256", TIMES),
            ("two", "not a number"),
            ("1 2", "it holds a blank or a second line"),
            (&huge, "too large"),
        ] {
            let service = judged(user, LIVES, "exit 1", &[("health-fails", contents)]).start();
            service.wait_starts(2);
            let line = format!("supervise: warning: unable to use web/health-fails, taking 3: {why}\n");
            assert!(
                service.said().starts_with(&(line + "supervise: warning: web/health has failed 3 times")),
                "{}",
                service.said()
            );
        }
    });
}
