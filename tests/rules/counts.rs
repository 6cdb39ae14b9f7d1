//! What `max-restarts` and `backoff` count, for how long, and what they do not.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{
    STAMP, address, assert_paced, finish, holds_for, is_root, lives, needs_program, signal, uptime, wait_until,
};

use super::service::{ENDS, LIVES, Service, User, for_each_user};

/// A `run` that notes the time of each start, and ends as the shell commands in the file `end` say.
fn stamped() -> String {
    format!("{STAMP} >>starts; . ./end")
}

/// The times that [`stamped`] has noted, in seconds.
fn stamps(service: &Service) -> Vec<f64> {
    service.scratch.text("web/starts").lines().map(|line| line.parse().expect("seconds")).collect()
}

/// Waits until the service has ended so often, each time at once, and the next start is a long way off.
#[track_caller]
fn wait_paced(service: &Service, ends: u32) {
    wait_until("the next start is in the record", || {
        let pace = service.record().decided.pace;
        pace.starts >= ends && pace.next.is_some_and(|next| next > sys::clock::monotonic())
    });
}

/// Has another supervise go on, by an upgrade or after a kill, and waits until it does.
#[track_caller]
fn succeed(service: &mut Service, upgrade: bool) {
    if upgrade {
        // The old program obeys commands until the new one has said that it understands the state.
        let supervise = service.record().observed.supervise.pid;
        let place = || fs::read(format!("/proc/{supervise}/auxv")).expect("it lives");
        let before = place();
        service.svc("--reexec");
        wait_until("it is another program", || place() != before);
    } else {
        service.kill_supervise();
        service.supervise();
    }
}

/// Kills `run`, and waits until another one is up.
#[track_caller]
fn crash(service: &Service) {
    let run = service.wait_up();
    signal(run, "KILL");
    service.wait_restart(run);
}

/// Kills `run`, which must be one end too many: so often has it ended, as svstat says it.
#[track_caller]
fn crash_for_good(service: &Service, times: &str) {
    signal(service.wait_up(), "KILL");
    let failed = format!(", failed: ended {times} in S seconds");
    wait_until(&format!("it has {failed:?}, not {:?}", service.svstat()), || service.svstat().ends_with(&failed));
}

#[test]
fn ends_that_are_spread_over_more_than_the_time_are_never_too_many() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("max-restarts", "2/2s")]).start();
        for _ in 0..4 {
            let run = service.wait_up();
            // The end before this was before its start.
            holds_for(Duration::from_millis(2100), "it lives", || lives(run));
            crash(&service);
        }
        assert_eq!(service.said(), "");
        // They are counted: where the time is longer, the last of them and another one are too many.
        service.put("max-restarts", "2/1h");
        crash_for_good(&service, "2 times");
    });
}

#[test]
fn up_in_the_pace_forgets_the_ends_that_were_counted() {
    for_each_user(|user| {
        testkit::for_each(&["-u", "-R"], |&letter| {
            let counts_anew = || {
                let files = [("end", "exit 1"), ("backoff", "1h"), ("max-restarts", "4/1h")];
                let service = Service::new(user, ENDS, &files).start();
                wait_paced(&service, 3);
                service.remove("backoff");
                service.svc(letter);
                wait_until("it has failed", || service.svstat().contains(", failed: ended 4 times in "));
                service.starts() == 7
            };
            // On a busy machine the fourth end may come before the command.
            assert!((0..5).any(|_| counts_anew()), "{letter}");
        });
    });
}

#[test]
fn a_start_without_its_sockets_is_no_end() {
    for_each_user(|user| {
        let address = address();
        let taken = TcpListener::bind(&address).expect("it is free");
        let service = Service::new(user, LIVES, &[("max-restarts", "1/1h"), ("backoff", "1h")]);
        service.scratch.write("web/sockets/web", format!("tcp {address}\n"));
        let service = service.start();
        wait_until("the socket cannot be had", || service.svstat().contains(", sockets/web: "));
        let held = service.svstat();
        assert!(held.starts_with("down S seconds, normally up, want up, sockets/web: "), "{held}");
        holds_for(Duration::from_millis(3200), "it is tried every second", || service.svstat() == held);
        drop(taken);
        service.wait_starts(1);
        crash_for_good(&service, "1 time");
    });
}

#[test]
fn a_fork_that_fails_is_no_end() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    // For root there is no limit.
    let user = if is_root() { User::Ordinary } else { User::Own };
    let service = Service::new(user, LIVES, &[("max-restarts", "1/1h"), ("down", "")]).start();
    let supervise = service.record().observed.supervise.pid.to_string();
    let told = |words: &[&str]| {
        let mut command = Command::new(&prlimit);
        command.args(words).args(["--pid", &supervise]);
        // In a container root may not change the limits of others.
        let done = finish(&mut service.scratch.as_ordinary(command));
        assert_eq!(done.code, 0, "{}", done.err());
        done.out().trim().to_owned()
    };
    let most = told(&["--nproc", "--noheadings", "--output", "HARD"]);
    told(&["--nproc=1:"]);
    service.svc("-u");
    service.wait_said("supervise: warning: unable to fork for web, sleeping 60 seconds: temporary failure\n");
    let held = service.svstat();
    assert!(held.starts_with("down S seconds, want up") && !held.contains("failed"), "{held}");
    told(&[&format!("--nproc={most}:")]);
    // Otherwise it would be a minute.
    service.svc("-u");
    service.wait_starts(1);
    signal(service.wait_up(), "KILL");
    service.wait_svstat("down S seconds, failed: ended 1 time in S seconds");
}

#[test]
fn a_copy_that_was_replaced_or_given_up_is_no_end() {
    for_each_user(|user| {
        let run = "echo >>starts; [ ! -e bad ] || exit 3; exec sleep 1000";
        let service = Service::new(user, run, &[("max-restarts", "1/1h"), ("final-exits", "any")]).start();
        for _ in 0..2 {
            let old = service.wait_up();
            service.put("warmup", "1ms");
            assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
            let new = service.wait_restart(old);
            wait_until("the old one has ended", || !lives(old));
            service.put("warmup", "10m");
            service.put("bad", "");
            assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 1);
            service.remove("bad");
            assert_eq!(service.wait_up(), new);
        }
        assert!(!service.said().contains("not starting"), "{}", service.said());
        service.remove("final-exits");
        crash_for_good(&service, "1 time");
    });
}

#[test]
fn a_long_life_begins_the_pace_anew() {
    for_each_user(|user| {
        let begins_anew = || {
            let service = Service::new(user, &stamped(), &[("end", "exit 1"), ("backoff", "4s")]).start();
            service.wait_starts(3);
            service.put("end", "echo >>ends; exec sleep 1000");
            wait_until("it stays up", || !service.ends().is_empty());
            let (run, before) = (service.wait_up(), service.starts());
            holds_for(Duration::from_millis(4100), "it lives", || lives(run));
            service.put("end", "exit 1");
            signal(run, "KILL");
            service.wait_starts(before + 2);
            let stamps = stamps(&service);
            // The second pace, after the first end that came at once, is two seconds. Before, it was four.
            stamps[before + 1] - stamps[before] < 3.9
        };
        // On a busy machine a start may be late.
        assert!((0..5).any(|_| begins_anew()));
    });
}

#[test]
fn a_backoff_of_less_than_a_second_is_one() {
    for_each_user(|user| {
        testkit::for_each(&["1ms", "999ms"], |&backoff| {
            let begin = uptime();
            let service = Service::new(user, &stamped(), &[("end", "exit 1"), ("backoff", backoff)]).start();
            service.wait_starts(5);
            assert_paced(begin, &service.scratch.text("web/starts"), [0.0, 1.0, 2.0, 3.0, 4.0]);
            let line = "down S seconds, normally up, want up";
            service.wait_svstat(line);
            assert_eq!((service.record().decided.pace.next, service.said()), (None, String::new()));
        });
    });
}

#[test]
fn an_end_that_was_asked_for_makes_the_pace_no_longer() {
    for_each_user(|user| {
        testkit::for_each(&["-t", "-r", "-k"], |&letter| {
            let keeps_pace = || {
                let service = Service::new(user, LIVES, &[("backoff", "1h")]).start();
                let mut run = service.wait_up();
                let begin = Instant::now();
                for _ in 0..5 {
                    service.svc(letter);
                    run = service.wait_restart(run);
                }
                // Ends that nobody has asked for would have made it 31 seconds.
                begin.elapsed() < Duration::from_secs(15)
            };
            assert!((0..5).any(|_| keeps_pace()), "{letter}");
        });
    });
}

#[test]
fn the_ends_that_were_counted_are_forgotten_by_another_supervise() {
    for_each_user(|user| {
        testkit::for_each(&[true, false], |&upgrade| {
            let mut service = Service::new(user, LIVES, &[("max-restarts", "3/1h")]).start();
            for _ in 0..2 {
                crash(&service);
                crash(&service);
                succeed(&mut service, upgrade);
            }
            crash(&service);
            crash(&service);
            crash_for_good(&service, "3 times");
            // What was decided stays.
            let line = service.svstat();
            succeed(&mut service, upgrade);
            assert_eq!(service.svstat(), line);
            service.stays(service.starts());
        });
    });
}

#[test]
fn the_pace_begins_anew_with_another_supervise_and_the_time_of_the_next_start_stays() {
    for_each_user(|user| {
        testkit::for_each(&[true, false], |&upgrade| {
            let begins_anew = || {
                let begin = uptime();
                let mut service = Service::new(user, &stamped(), &[("end", "exit 1"), ("backoff", "1h")]).start();
                wait_paced(&service, 3);
                succeed(&mut service, upgrade);
                service.wait_starts(5);
                assert_paced(begin, &service.scratch.text("web/starts"), [0.0, 1.0, 3.0, 7.0]);
                let stamps = stamps(&service);
                // The first pace is a second. Without another supervise it would have been eight.
                stamps[4] - stamps[3] < 4.0
            };
            // On a busy machine there may be a further start before the other supervise, or a late one.
            assert!((0..5).any(|_| begins_anew()), "{upgrade}");
        });
    });
}
