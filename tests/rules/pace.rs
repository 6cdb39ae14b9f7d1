//! The files `backoff` and `max-restarts`: the time between starts, and the number of ends in a time that counts as a failure.

use std::time::Duration;

use testkit::{STAMP, assert_paced, holds_for, signal, uptime, wait_for, wait_until};

use super::service::{ENDS, LIVES, Service, for_each_user};

/// The process of the service, which is up, was born at or after this moment of the monotonic clock, in nanoseconds since boot.
fn born(service: &Service) -> u64 {
    let asleep = sys::clock::since_boot().saturating_sub(sys::clock::monotonic());
    service.record().observed.main.born.latest - asleep
}

/// Waits until the service has been started so often, and returns the moment of the next start, which is a long way off. A machine that is too busy to see
/// that in time sees it at one of the next starts: each is further off than the one before.
#[track_caller]
fn due_after(service: &Service, starts: u32) -> u64 {
    wait_for("the next start is in the record", || {
        let pace = service.record().decided.pace;
        pace.next.filter(|&next| pace.starts >= starts && next > sys::clock::monotonic() + 3_000_000_000)
    })
}

#[test]
fn the_pace_doubles_up_to_the_backoff_and_svstat_says_when_the_next_start_is() {
    for_each_user(|user| {
        let begin = uptime();
        let service = Service::new(user, &format!("{STAMP} >>starts; exit 1"), &[("backoff", "4s")]).start();
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        service.wait_starts(5);
        assert_paced(begin, &service.scratch.text("web/starts"), [0.0, 1.0, 3.0, 7.0, 11.0]);
        assert_eq!(service.said(), "");
    });
}

#[test]
fn up_in_a_long_pace_starts_at_once() {
    for_each_user(|user| {
        testkit::for_each(&["-u", "-o", "-R"], |&letter| {
            let starts_early = || {
                let service = Service::new(user, ENDS, &[("end", "exit 1"), ("backoff", "1h")]).start();
                service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
                let due = due_after(&service, 4);
                service.put("end", "exec sleep 1000");
                service.svc(letter);
                assert_eq!(service.wait(&["--wait=up"]).code, 0, "{letter}");
                service.wait_starts(5);
                // Without the command it would have been eight seconds after the last start.
                born(&service) < due
            };
            // A busy machine may not get to the command in time.
            assert!((0..5).any(|_| starts_early()), "{letter}");
        });
    });
}

#[test]
fn down_in_a_long_pace_takes_the_start_back() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1"), ("backoff", "2s")]).start();
        service.wait_starts(3);
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert_eq!(service.svstat(), "down S seconds, normally up");
        let starts = service.starts();
        service.stays(starts);
    });
}

#[test]
fn a_long_pace_holds_over_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        let mut service = Service::new(user, ENDS, &[("end", "exit 1"), ("backoff", "4s")]).start();
        let due = due_after(&service, 3);
        service.put("end", "exec sleep 1000");
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait(&["--reexec", "--wait=up"]).code, 0);
        assert!(born(&service) >= due);
    });
}

#[test]
fn so_many_ends_in_so_much_time_are_a_failure_and_up_counts_anew() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1"), ("max-restarts", "3/1h")]).start();
        let failed = |starts| {
            service.wait_starts(starts);
            wait_until("it has failed", || {
                let line = service.svstat();
                line.starts_with("down S seconds, normally up, failed: ended 3 times in ")
            });
            service.stays(starts);
        };
        failed(3);
        let waited = service.wait(&["--wait=up"]);
        let why = "svc: warning: unable to wait for web to be up: it has failed: ended 3 times in ";
        assert!(waited.code == 1 && waited.err().starts_with(why), "{}", waited.err());
        service.svc("-u");
        failed(6);
        assert_eq!(service.said().matches("supervise: warning: not starting web again: ended 3 times in ").count(), 2);
    });
}

#[test]
fn ends_that_were_asked_for_are_no_failure() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("max-restarts", "3/1h"), ("backoff", "1m")]).start();
        let mut pid = service.wait_up();
        let mut starts = 1;
        let mut restart = |end: &dyn Fn(u32)| {
            // `run` may not have noted its start yet.
            service.wait_starts(starts);
            end(pid);
            pid = service.wait_restart(pid);
            starts += 1;
        };
        for letter in ["-t", "-t", "-k", "-r", "-t", "-k"] {
            restart(&|_| service.svc(letter));
        }
        // supervise does not know of these signals, so the ends count as ends that were not asked for.
        for name in ["KILL", "TERM"] {
            restart(&|pid| signal(pid, name));
        }
        signal(service.wait_up(), "TERM");
        wait_until("it has failed", || service.svstat().contains("failed: ended 3 times in "));
    });
}

#[test]
fn what_cannot_be_started_is_no_failure() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("max-restarts", "2/1h"), ("backoff", "1h"), ("final-exits", "any")]);
        service.scratch.write("web/run", "#!/no/such/interpreter\n");
        let service = service.start();
        wait_until("it is tried every second", || service.scratch.text("err").lines().count() >= 4);
        assert!(!service.svstat().contains("next start"), "{}", service.svstat());
        service.scratch.service("web", LIVES);
        service.wait_up();
    });
}

#[test]
fn a_limit_that_is_never_reached_is_told_once() {
    for_each_user(|user| {
        for (limit, backoff, with, least) in
            [("5/10s", Some("4s"), " with backoff 4s", "11s"), ("5/3s", None, "", "4s")]
        {
            let service = Service::new(user, ENDS, &[("end", "exit 1"), ("max-restarts", limit)]);
            if let Some(backoff) = backoff {
                service.put("backoff", backoff);
            }
            let service = service.start();
            service.wait_starts(3);
            let why = format!("it is never reached{with}, since 5 ends take at least {least}");
            assert_eq!(service.said(), format!("supervise: warning: using web/max-restarts: {why}\n"));
        }
    });
}

#[test]
fn nonsense_is_told_once_and_the_default_holds() {
    const RATE: &str = "not a number from 1 to 100, a slash and a time";
    const UNIT: &str = "it has no unit: say ms, s, m or h";
    let huge = "9".repeat(100_000);
    for_each_user(|user| {
        let cases = [
            ("backoff", "30", UNIT),
            ("backoff", "", "it is empty"),
            ("backoff", "-5s", "negative number"),
            ("backoff", "5s 6s", "it holds a blank or a second line"),
            ("backoff", "5s\0", "not a number with ms, s, m or h behind it"),
            ("backoff", "5d", "not a number with ms, s, m or h behind it"),
            ("backoff", &huge, "too large"),
            ("max-restarts", "2/60", UNIT),
            ("max-restarts", "2", RATE),
            ("max-restarts", "0/60s", RATE),
            ("max-restarts", "101/60s", RATE),
            ("max-restarts", "2/0", RATE),
            ("max-restarts", "-2/60s", "negative number"),
            ("max-restarts", "2/60s\n3/60s", "it holds a blank or a second line"),
            ("max-restarts", &huge, "too large"),
        ];
        // The services run at the same time, since each takes a second or two.
        let services = cases.map(|(name, contents, why)| {
            (Service::new(user, ENDS, &[("end", "exit 1"), (name, contents)]).start(), name, why)
        });
        for (service, name, why) in services {
            service.wait_starts(3);
            let default = if name == "backoff" { "1s" } else { "no limit" };
            let line = format!("supervise: warning: unable to use web/{name}, taking {default}: {why}\n");
            assert_eq!(service.said(), line);
        }
    });
}

/// It was said again only if another of these files was there meanwhile.
#[test]
fn a_warning_is_said_again_when_the_file_was_removed_and_is_wrong_again() {
    for_each_user(|user| {
        let cases = [("final-exits", "x"), ("backoff", "x"), ("max-restarts", "x"), ("max-restarts", "5/3s")];
        // The services run at the same time, since each takes a second or two.
        let services = cases
            .map(|(name, wrong)| (Service::new(user, ENDS, &[("end", "exit 1"), (name, wrong)]).start(), name, wrong));
        let warnings = |service: &Service, count| {
            wait_until("it is said", || service.said().lines().count() == count);
        };
        let removed = services.each_ref().map(|(service, name, _)| {
            warnings(service, 1);
            service.remove(name);
            service.starts()
        });
        for ((service, name, wrong), starts) in services.iter().zip(removed) {
            // Between two starts there is an end, at which the files are looked at.
            service.wait_starts(starts + 2);
            service.put(name, wrong);
        }
        for (service, ..) in &services {
            warnings(service, 2);
        }
    });
}

#[test]
fn what_is_written_while_supervise_runs_holds_from_the_next_end_on() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1")]).start();
        service.wait_starts(2);
        service.wait_svstat("down S seconds, normally up, want up");
        service.put("backoff", "1h");
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        service.remove("backoff");
        let starts = service.starts();
        service.wait_starts(starts + 2);
        holds_for(Duration::from_millis(500), "the pace is a second", || !service.svstat().contains("next start"));
    });
}
