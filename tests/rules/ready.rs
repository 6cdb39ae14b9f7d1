//! The file `timeout-ready`: where it is there, a service that says when it is ready must be so in time after each start, or is ended and started again.

use std::time::Duration;

use testkit::{holds_for, wait_until};

use super::super::deploy::helper;
use super::service::{LIVES, Service, User, for_each_user};

/// A `run` that never says that it is ready, and notes each TERM in `ends`.
const NEVER: &str = "trap 'echo TERM >>ends; exit 0' TERM; echo >>starts; while :; do sleep 0.02; done";

/// Makes a service that could say on descriptor 7 that it is ready, and has so much time for that.
fn awaited(user: User, run: &str, time: &str, files: &[(&str, &str)]) -> Service {
    let service = Service::new(user, run, &[("notification-fd", "7"), ("timeout-ready", time)]);
    for (name, contents) in files {
        service.put(name, contents);
    }
    service
}

/// Returns the pids that were ended because they were not ready within that time. Nothing else may have been said.
#[track_caller]
fn ended(service: &Service, time: &str) -> Vec<u32> {
    let before = format!("supervise: warning: web was not ready within {time}, ending pid ");
    let said = service.said();
    let pids = said.lines().map(|line| line.strip_prefix(&before).and_then(|pid| pid.parse().ok()));
    pids.collect::<Option<Vec<u32>>>().unwrap_or_else(|| panic!("{said}"))
}

/// Waits until this process was ended because it was not ready within that time, and another one runs.
#[track_caller]
fn wait_ended(service: &Service, pid: u32, time: &str) {
    wait_until("it is ended", || ended(service, time).contains(&pid));
    service.wait_restart(pid);
}

#[test]
fn a_service_that_is_not_ready_in_time_is_ended_and_started_again_each_time() {
    for_each_user(|user| {
        // A number without a unit is in milliseconds, as in the other files of that kind.
        for (time, shown) in [("300", "300ms"), ("1s", "1s")] {
            let service = awaited(user, NEVER, time, &[]).start();
            service.wait_starts(3);
            let pids = ended(&service, shown);
            assert!(pids.len() >= 2 && pids[0] != pids[1], "{pids:?}");
            assert!(service.ends().starts_with("TERM\nTERM\n"), "{}", service.ends());
        }
    });
}

#[test]
fn it_holds_for_each_way_to_say_that_a_service_is_ready() {
    for_each_user(|user| {
        for name in ["sd-notify", "check"] {
            let service = Service::new(user, LIVES, &[("timeout-ready", "300ms")]);
            service.scratch.script(format!("web/{name}"), "exit 1");
            let service = service.start();
            service.wait_starts(2);
            assert!(!ended(&service, "300ms").is_empty(), "{name}");
        }
    });
}

#[test]
fn that_end_is_one_that_nobody_asked_for() {
    for_each_user(|user| {
        let service = awaited(user, LIVES, "200ms", &[("max-restarts", "2/1h")]).start();
        service.wait_svstat("down S seconds, normally up, failed: ended 2 times in S seconds");
        assert_eq!(service.record().decided.pace.starts, 2);
        let service = awaited(user, LIVES, "200ms", &[("final-exits", "SIGTERM")]).start();
        service.wait_svstat("down S seconds, normally up, failed: killed by SIGTERM");
    });
}

#[test]
fn the_service_gets_its_own_signal_and_then_kill() {
    for_each_user(|user| {
        let run = "trap '' TERM; trap 'echo INT >>ends' INT; echo >>starts; while :; do sleep 0.02; done";
        let service = awaited(user, run, "1s", &[("down-signal", "INT"), ("timeout-kill", "500ms")]).start();
        service.wait_starts(2);
        let said = service.said();
        let lines: Vec<&str> = said.lines().collect();
        let pid = lines[0].strip_prefix("supervise: warning: web was not ready within 1s, ending pid ").expect("a pid");
        assert_eq!(lines[1], format!("supervise: warning: unable to end web in time, killing pid {pid}"));
        assert!(service.ends().starts_with("INT\n"), "{}", service.ends());
    });
}

#[test]
fn what_was_ready_in_time_or_has_no_limit_or_nothing_to_say_is_left_alone() {
    let ready = format!("echo >&7; {LIVES}");
    for_each_user(|user| {
        let services = [
            awaited(user, &ready, "3s", &[]),
            awaited(user, LIVES, "0", &[]),
            Service::new(user, LIVES, &[("timeout-ready", "200ms")]),
            Service::new(user, LIVES, &[("notification-fd", "7")]),
        ]
        .map(Service::start);
        // On a busy machine it may not be in time at first.
        wait_until("the first one is ready", || services[0].svstat().contains(", ready "));
        let states = || services.each_ref().map(|service| (service.wait_up(), service.said()));
        let before = states();
        holds_for(Duration::from_millis(3500), "they are left alone", || states() == before);
        assert!(before[1..].iter().all(|(_, said)| said.is_empty()), "{before:?}");
    });
}

#[test]
fn a_service_that_pauses_is_not_judged_and_has_its_time_anew() {
    for_each_user(|user| {
        let service = awaited(user, NEVER, "3s", &[]).start();
        // On a busy machine it may be ended before it pauses.
        wait_until("it pauses", || {
            service.svc("-p");
            service.svstat().ends_with(", paused")
        });
        let (pid, said) = (service.wait_up(), service.said());
        holds_for(Duration::from_millis(3500), "it is left alone", || service.said() == said);
        assert_eq!(service.wait_up(), pid);
        service.svc("-c");
        wait_ended(&service, pid, "3s");
    });
}

#[test]
fn it_holds_over_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        testkit::for_each(&[false, true], |&upgrade| {
            let mut service = awaited(user, NEVER, "10s", &[]).start();
            let pid = service.wait_up();
            if upgrade {
                assert_eq!(service.wait(&["--reexec"]).code, 0);
            } else {
                service.kill_supervise();
                service.supervise();
            }
            assert_eq!(service.wait_up(), pid);
            wait_ended(&service, pid, "10s");
        });
    });
}

#[test]
fn what_was_started_without_a_limit_has_none_after_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        let mut service = Service::new(user, LIVES, &[("notification-fd", "7")]).start();
        let pid = service.wait_up();
        service.put("timeout-ready", "100ms");
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait(&["--reexec"]).code, 0);
        holds_for(Duration::from_secs(1), "nothing is said", || service.said().is_empty());
        service.svc("-t");
        wait_ended(&service, service.wait_restart(pid), "100ms");
    });
}

#[test]
fn a_service_may_ask_for_more_time() {
    let service = Service::new(
        User::Own,
        &format!("{} && echo >>ends; {LIVES}", helper::run("tell", "EXTEND_TIMEOUT_USEC=3600000000")),
        &[("sd-notify", ""), ("timeout-ready", "3s")],
    );
    let service = service.start();
    wait_until("it has asked", || !service.ends().is_empty());
    let (pid, said) = (service.wait_up(), service.said());
    holds_for(Duration::from_millis(3500), "it is left alone", || service.said() == said);
    assert_eq!(service.wait_up(), pid);
}

#[test]
fn health_begins_when_the_service_is_ready() {
    for_each_user(|user| {
        let service = awaited(
            user,
            "echo >>starts; while [ ! -e up ]; do sleep 0.02; done; echo >&7; exec sleep 1000",
            "1h",
            &[],
        );
        service.put("health-interval", "100ms");
        service.scratch.script("web/health", "echo >>ends; exit 0");
        let service = service.start();
        service.wait_up();
        holds_for(Duration::from_millis(500), "it is not run", || service.ends().is_empty());
        service.put("up", "");
        wait_until("it is run", || !service.ends().is_empty());
        assert_eq!(service.starts(), 1);
    });
}

#[test]
fn nonsense_is_told_once_and_the_default_holds() {
    const DURATION: &str = "not a number with ms, s, m, h or nothing behind it";
    for_each_user(|user| {
        for (contents, why) in [
            ("soon", DURATION),
            ("", "it is empty"),
            ("-5s", "negative number"),
            ("1s 2s", "it holds a blank or a second line"),
        ] {
            let service = awaited(user, LIVES, contents, &[]).start();
            let pid = service.wait_up();
            let line = format!("supervise: warning: unable to use web/timeout-ready, taking 60s: {why}\n");
            service.wait_said(&line);
            service.wait_starts(1);
            service.svc("-t");
            service.wait_restart(pid);
            service.wait_starts(2);
            assert_eq!(service.said(), line);
        }
    });
}
