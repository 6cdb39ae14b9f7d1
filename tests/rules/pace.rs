//! The files `backoff` and `max-restarts`: the time between starts, and the number of ends in a time that counts as a failure.

use std::time::Duration;

use testkit::{holds_for, signal, wait_until};

use super::service::{ENDS, LIVES, Service, for_each_user};

/// A `run` that writes the seconds since boot to `starts`, and ends at once.
const STAMPING: &str = "read up rest </proc/uptime; echo $up >>starts; exit 1";

/// How much later than it happens a start may be noted on a busy machine, in seconds.
const LATE: f64 = 0.5;

/// Returns the seconds from each start to the next.
fn paces(service: &Service) -> Vec<f64> {
    let text = service.scratch.text("web/starts");
    let starts: Vec<f64> = text.lines().map(|line| line.parse().expect("seconds")).collect();
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn the_pace_doubles_up_to_the_backoff_and_svstat_says_when_the_next_start_is() {
    for_each_user(|user| {
        let service = Service::new(user, STAMPING, &[("backoff", "4s")]).start();
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        service.wait_starts(5);
        let paces = paces(&service);
        for (pace, least) in paces.iter().zip([1.0, 2.0, 4.0, 4.0]) {
            assert!(*pace > least - LATE, "{paces:?}");
            // Only a busy machine could make it later.
            assert!(*pace < least + 3.0, "{paces:?}");
        }
        assert_eq!(service.said(), "");
    });
}

#[test]
fn up_in_a_long_pace_starts_at_once() {
    for_each_user(|user| {
        for letter in ["-u", "-o", "-R"] {
            let service = Service::new(user, ENDS, &[("end", "exit 1"), ("backoff", "1h")]).start();
            service.wait_starts(4);
            let line = "down S seconds, normally up, want up, next start in S seconds";
            service.wait_svstat(line);
            service.put("end", "exec sleep 1000");
            service.svc(letter);
            // Without the command the next start would be eight seconds after the last.
            let up = service.wait(&["--wait=up", "--timeout=4s"]);
            assert_eq!((up.code, service.starts()), (0, 5), "{letter}: {}", up.err());
        }
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
        let mut service = Service::new(user, STAMPING, &[("backoff", "4s")]).start();
        service.wait_starts(3);
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        service.kill_supervise();
        service.supervise();
        service.svc("--reexec");
        assert_eq!(service.svstat(), "down S seconds, normally up, want up, next start in S seconds");
        service.wait_starts(4);
        let paces = paces(&service);
        assert!(paces[2] > 4.0 - LATE, "{paces:?}");
        // After the kill and the upgrade the pace begins anew.
        service.wait_starts(5);
        wait_until("the next start is a second later", || service.starts() >= 5);
        assert!(self::paces(&service)[3] < 4.0 - LATE, "{paces:?}");
    });
}

#[test]
fn so_many_ends_in_so_much_time_are_a_failure_and_up_counts_anew() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1"), ("max-restarts", "3/10s")]).start();
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
        let service = Service::new(user, LIVES, &[("max-restarts", "3/1m"), ("backoff", "1m")]).start();
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
        let service = Service::new(user, LIVES, &[("max-restarts", "2/1m"), ("backoff", "1h"), ("final-exits", "any")]);
        std::fs::write(service.scratch.path("web/run"), "#!/no/such/interpreter\n").expect("a file of ours");
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
        for (limit, backoff, least) in [("5/10s", Some("4s"), "11s"), ("5/3s", None, "4s")] {
            let service = Service::new(user, ENDS, &[("end", "exit 1"), ("max-restarts", limit)]);
            if let Some(backoff) = backoff {
                service.put("backoff", backoff);
            }
            let service = service.start();
            service.wait_starts(3);
            let why = format!("it is never reached, since 5 ends take at least {least}");
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
            ("backoff", "5s\0", "not a number with ms, s, m, h or nothing behind it"),
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

#[test]
fn what_is_written_while_supervise_runs_holds_from_the_next_end_on() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1")]).start();
        service.wait_starts(2);
        assert_eq!(service.svstat(), "down S seconds, normally up, want up");
        service.put("backoff", "1h");
        service.wait_svstat("down S seconds, normally up, want up, next start in S seconds");
        service.remove("backoff");
        let starts = service.starts();
        service.wait_starts(starts + 2);
        holds_for(Duration::from_millis(500), "the pace is a second", || !service.svstat().contains("next start"));
    });
}
