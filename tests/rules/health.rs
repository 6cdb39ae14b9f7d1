//! The file `health`: a program that is run about the service again and again, and that ends it when it has failed so many times in a row.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use testkit::{holds_for, lives, wait_for, wait_rest, wait_until};

use super::super::deploy::helper;
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

/// Shell commands that tell supervise each of these words, when there is a file `say` with its number.
fn says(words: &[&str]) -> String {
    let say = |(number, word): (usize, &&str)| {
        format!("until [ -e say{number} ]; do sleep 0.02; done; {}; ", helper::run("tell", word))
    };
    words.iter().enumerate().map(say).collect()
}

/// As an ordinary user the service could not run what tells.
#[test]
fn what_reloads_or_ends_by_itself_is_not_judged_until_it_is_ready_again() {
    testkit::for_each(&["RELOADING=1", "STOPPING=1"], |word| {
        let run = format!("{}{LIVES}", says(&["READY=1", word, "READY=1"]));
        let files = [("sd-notify", ""), ("well", "exit 0"), ("health-fails", "255"), ("say0", "")];
        let service = judged(User::Own, &run, NOTES, &files).start();
        wait_until("it is ready", || service.svstat().contains(", ready "));
        let pid = service.wait_up();
        wait_runs(&service, 1);
        service.put("say1", "");
        wait_until("it is not", || !service.svstat().contains(", ready "));
        for (name, contents) in [("well", "exit 1"), ("health-fails", "1")] {
            service.put(name, contents);
        }
        let runs = || service.ends().lines().count();
        // One may just be at its end.
        let last = runs() + 1;
        holds_for(Duration::from_secs(1), "it is not run", || runs() <= last && service.said().is_empty());
        assert_eq!(service.wait_up(), pid);
        service.put("say2", "");
        wait_until("it is judged again", || service.said().contains(&format!(", ending pid {pid}\n")));
    });
}

/// A `health` that notes its pid, and runs as long as there is a file `hold`.
const HELD: &str = "echo $$ >>ends; while [ -e hold ]; do sleep 0.02; done";

/// Starts a service of which one failure is too much, and waits until `health`, which is [`HELD`], runs. Returns it, and the pid of `health`.
fn under_way(user: User, run: &str, interval: &str, files: &[(&str, &str)]) -> (Service, u32) {
    let service = judged(user, run, HELD, files);
    for (name, contents) in [("hold", ""), ("health-interval", interval), ("health-fails", "1")] {
        service.put(name, contents);
    }
    let service = service.start();
    let health = wait_for("it is run", || service.ends().strip_suffix('\n')?.parse().ok());
    (service, health)
}

/// Returns whether this run of `health` is killed, and nothing is said of it: it does not count.
#[track_caller]
fn is_called_off(service: &Service, health: u32) -> bool {
    wait_until("it is killed", || !lives(health));
    wait_rest("nothing more is said", Duration::from_millis(500), || Some(service.said())).is_empty()
}

#[test]
fn a_run_that_is_under_way_when_the_copy_is_not_judged_any_more_is_killed_and_does_not_count() {
    // The service does not end when it is told to.
    let stays = "trap '' TERM; echo >>starts; while :; do sleep 0.02; done";
    for_each_user(|user| {
        let called_off = |what: &str| match what {
            "-d" => {
                let (service, health) = under_way(user, stays, "5s", &[]);
                service.svc("-d");
                is_called_off(&service, health)
            }
            "-R" => {
                let run = "trap '' TERM; echo >>starts; until [ -e up ]; do sleep 0.02; done; echo >&7; \
                           while :; do sleep 0.02; done";
                let (service, health) = under_way(user, run, "5s", &[("notification-fd", "7"), ("up", "")]);
                service.remove("up");
                service.svc("-R");
                service.wait_starts(2);
                // As long as the old copy serves, it is asked about.
                let begin = Instant::now();
                wait_until("a moment is over", || begin.elapsed() > Duration::from_millis(500) || !lives(health));
                let goes_on = lives(health);
                service.put("up", "");
                is_called_off(&service, health) && goes_on
            }
            word => {
                let files = [("sd-notify", ""), ("say0", "")];
                let (service, health) = under_way(user, &(says(&["READY=1", word]) + stays), "5s", &files);
                service.put("say1", "");
                is_called_off(&service, health)
            }
        };
        let ways = ["-d", "-R", "RELOADING=1", "STOPPING=1"];
        // As an ordinary user the service could not run what tells.
        let ways = if user == User::Own { &ways[..] } else { &ways[..2] };
        // On a busy machine the time of the run may be over before all that.
        testkit::for_each(ways, |what| assert!((0..5).any(|_| called_off(what)), "{what}"));
    });
}

#[test]
fn a_run_has_ten_seconds_where_the_interval_is_longer() {
    for_each_user(|user| {
        let has_ten_seconds = || {
            let (service, health) = under_way(user, LIVES, "3s", &[]);
            let pid = service.wait_up();
            // An upgrade reads the interval again, and the time of the run begins anew, so nobody needs to wait for the first run after an hour.
            service.put("health-interval", "1h");
            let begin = Instant::now();
            assert_eq!(service.wait(&["--reexec"]).code, 0);
            wait_until("it is killed", || !lives(health));
            let took = begin.elapsed();
            let failed = format!("supervise: warning: web/health has failed, ending pid {pid}\n");
            wait_until("it has failed", || !service.said().is_empty());
            took >= Duration::from_secs(10) && service.said() == failed
        };
        // On a busy machine the time of the run may be over before the upgrade.
        assert!((0..5).any(|_| has_ten_seconds()));
    });
}

#[test]
fn failures_in_a_row_go_through_an_upgrade_and_are_forgotten_where_supervise_is_killed() {
    for_each_user(|user| {
        testkit::for_each(&[true, false], |&upgrade| {
            let mut service = judged(user, LIVES, NOTES, &[("well", "exit 1"), ("health-fails", "255")]).start();
            let pid = service.wait_up();
            let failed = |service: &Service| service.record().decided.health.map_or(0, |health| health.fails);
            wait_until("two have failed", || failed(&service) >= 2);
            service.put("health-interval", "1h");
            // The interval is read at the end of the last one.
            let resting = || {
                Some(failed(&service))
                    .filter(|_| service.record().decided.health.is_some_and(|health| health.pid.is_none()))
            };
            let before = wait_rest("no further one is run", Duration::from_secs(2), resting);
            for (name, contents) in [("health-fails", "1"), ("health-interval", "100ms")] {
                service.put(name, contents);
            }
            if upgrade {
                assert_eq!(service.wait(&["--reexec", "--wait=up"]).code, 0);
            } else {
                service.kill_supervise();
                service.supervise();
            }
            let failed = if upgrade { format!(" {} times in a row", before + 1) } else { String::new() };
            let said = format!("supervise: warning: web/health has failed{failed}, ending pid {pid}\n");
            wait_until(&format!("it is said {said:?}, not {:?}", service.said()), || service.said().starts_with(&said));
        });
    });
}
