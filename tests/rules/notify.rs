//! The script `notify`, which is told of each start and end of a process of the service, as in daemontools-encore.

use std::os::unix::fs::symlink;
use std::time::Duration;

use testkit::{holds_for, lives, signal, wait_for, wait_until};

use super::service::{ENDS, LIVES, Service, User, for_each_user};

/// Makes a service with this `notify`, which has yet to be started.
fn service(user: User, run: &str, notify: &str) -> Service {
    let service = Service::new(user, run, &[]);
    service.scratch.script("web/notify", notify);
    service
}

/// What `notify` was told, with P in place of the pids.
fn told(service: &Service) -> String {
    let lines = service.ends();
    let masked = lines.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [script, event, _, code] => format!("{script} {event} P {code}\n"),
            _ => format!("{line}\n"),
        }
    });
    masked.collect()
}

#[track_caller]
fn wait_told(service: &Service, expected: &str) {
    wait_until(&format!("it was told {expected:?}, not {:?}", told(service)), || told(service) == expected);
}

#[test]
fn notify_is_told_of_a_whole_life() {
    for_each_user(|user| {
        let mut service = service(user, LIVES, "echo \"$@\" >>ends");
        service.scratch.script("web/start", "exit 0");
        service.scratch.script("web/stop", "exit 2");
        service.scratch.script("web/finish", "exit 0");
        service.supervise();
        let up = "start start P 0\nstart exit P 0\nrun start P 0\n";
        wait_told(&service, up);
        let run = service.wait_up();
        assert!(service.ends().ends_with(&format!("run start {run} 0\n")));
        signal(run, "KILL");
        wait_told(&service, &format!("{up}run killed P 9\nrun start P 0\n"));
        assert!(service.ends().contains(&format!("run killed {run} 9\n")));
        service.wait_up();
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        // What was told last may still run.
        let down = "run killed P 15\nstop exit P 2\nstop start P 0\n";
        let mut lines: Vec<String> = Vec::new();
        wait_until("the end was told", || {
            lines = told(&service).lines().skip(5).map(str::to_owned).collect();
            lines.len() == 3
        });
        lines.sort();
        assert_eq!(lines.join("\n") + "\n", down);
        assert_eq!(service.said(), "");
    });
}

#[test]
fn notify_is_told_of_the_copies_of_a_replacement() {
    for_each_user(|user| {
        let service = service(user, LIVES, "echo \"$@\" >>ends");
        service.put("warmup", "1ms");
        let service = service.start();
        let old = service.wait_up();
        wait_told(&service, "run start P 0\n");
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        let new = service.wait_up();
        service.wait_ends(&format!("run start {old} 0\nrun start {new} 0\nrun killed {old} 15\n"));
    });
}

#[test]
fn a_notify_that_hangs_delays_nothing_and_is_killed_with_its_group() {
    for_each_user(|user| {
        let service = service(user, LIVES, "trap '' TERM; echo \"$@\" >>ends; sleep 1000 & echo $! >>ends; wait");
        let service = service.start();
        let helper: u32 = wait_for("it runs", || service.ends().lines().nth(1).and_then(|pid| pid.parse().ok()));
        let first = service.wait_up();
        signal(first, "KILL");
        service.wait_restart(first);
        assert!(lives(helper), "it is not waited for");
        wait_until("it was killed", || !lives(helper));
        let said = service.said();
        assert!(said.starts_with("supervise: warning: unable to end web/notify in time, killing pid "), "{said}");
        // The next one is told of what has happened meanwhile.
        wait_until("it goes on", || service.ends().contains(&format!("run killed {first} 9\n")));
        let helper: u32 = wait_for("it runs", || service.ends().lines().nth(3).and_then(|pid| pid.parse().ok()));
        signal(helper, "KILL");
    });
}

#[test]
fn a_notify_that_is_too_slow_is_not_told_of_everything_and_that_is_said_once() {
    for_each_user(|user| {
        let hold = "echo \"$@\" >>ends; while [ -e hold ]; do sleep 0.02; done";
        let service = service(user, ENDS, hold);
        service.put("end", "exit 1");
        service.put("hold", "");
        let service = service.start();
        service.wait_starts(7);
        let slow =
            "supervise: warning: unable to tell web/notify of everything: it takes longer than what it is told of\n";
        service.wait_said(slow);
        service.put("end", "echo >up; exec sleep 1000");
        wait_until("it stays up", || service.scratch.path("web/up").exists());
        service.remove("hold");
        let expected = "run start P 0\nrun exit P 1\n".repeat(4) + "run start P 0\n";
        wait_told(&service, &expected);
        service.wait_said(slow);
        let run = service.wait_up();
        signal(run, "KILL");
    });
}

#[test]
fn a_notify_that_cannot_be_run_is_told_once() {
    for_each_user(|user| {
        for (contents, executable, why) in
            [("#!/bin/sh\n", false, "access denied"), ("#!/no/such/interpreter\n", true, "file does not exist")]
        {
            let service = Service::new(user, ENDS, &[("end", "exit 1")]);
            let file = service.scratch.write("web/notify", contents);
            if executable {
                testkit::make_executable(&file);
            }
            let service = service.start();
            service.wait_starts(3);
            let said = format!("supervise: warning: unable to run web/notify, going on without: {why}\n");
            assert_eq!(service.said(), said);
        }
        let service = Service::new(user, ENDS, &[("end", "exit 1")]);
        symlink("nowhere", service.scratch.path("web/notify")).expect("a link");
        let service = service.start();
        service.wait_starts(3);
        assert_eq!(service.said(), "", "a dangling link is none");
    });
}

#[test]
fn what_cannot_become_run_was_never_up() {
    for_each_user(|user| {
        let service = service(user, LIVES, "echo \"$@\" >>ends");
        service.scratch.write("web/run", "#!/no/such/interpreter\n");
        let service = service.start();
        wait_until("it was tried twice", || service.said().lines().count() >= 2);
        assert_eq!(service.ends(), "");
    });
}

#[test]
fn what_is_told_goes_on_over_a_kill_and_an_upgrade() {
    for_each_user(|user| {
        let mut service = service(user, LIVES, "echo \"$@\" >>ends").start();
        let run = service.wait_up();
        wait_told(&service, "run start P 0\n");
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait(&["--reexec", "--wait=up"]).code, 0);
        holds_for(Duration::from_millis(200), "nothing has happened", || told(&service) == "run start P 0\n");
        signal(run, "KILL");
        let next = service.wait_restart(run);
        wait_until("the end and the start were told", || service.ends().lines().count() == 3);
        assert!(service.ends().ends_with(&format!("run start {next} 0\n")));
        // How it has ended is known only where the system tells that of a process that is no child.
        let end = service.ends().lines().nth(1).map(str::to_owned).unwrap_or_default();
        assert!([format!("run killed {run} 9"), format!("run exit {run} 256")].contains(&end), "{end}");
    });
}

#[test]
fn notify_is_told_of_a_new_copy_that_was_given_up() {
    // It ends before it has taken over, or is told to end since it is not ready in time.
    let cases =
        [("warmup", "10m", "exit 3", "run exit P 3\n"), ("timeout-ready", "300ms", "sleep 1000", "run killed P 15\n")];
    for_each_user(|user| {
        testkit::for_each(&cases, |&(knob, time, bad, end)| {
            let run = "if [ -e bad ]; then exec sh ./bad; fi; [ ! -e notification-fd ] || echo >&7; exec sleep 1000";
            let service = service(user, run, "echo \"$@\" >>ends");
            if knob == "timeout-ready" {
                service.put("notification-fd", "7");
            }
            let service = service.start();
            assert_eq!(service.wait(&["--wait=ready"]).code, 0);
            let old = service.wait_up();
            wait_told(&service, "run start P 0\n");
            service.put("bad", bad);
            service.put(knob, time);
            assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 1);
            wait_told(&service, &format!("run start P 0\nrun start P 0\n{end}"));
            let ends = service.ends();
            let pids: Vec<&str> = ends.lines().filter_map(|line| line.split(' ').nth(2)).collect();
            assert_eq!((pids[0], pids[1]), (old.to_string().as_str(), pids[2]), "{ends}");
            assert_ne!(pids[0], pids[1], "{ends}");
            assert_eq!(service.wait_up(), old);
        });
    });
}
