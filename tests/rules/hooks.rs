//! What the scripts of a service directory have in common: they may say a lot, leave something behind, be replaced while they run, or be no scripts at all.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::time::Duration;

use testkit::{holds_for, lives, make_executable, signal, wait_for, wait_until};

use super::service::{LIVES, Service, User, for_each_user};

const HOOKS: [&str; 5] = ["finish", "stop", "notify", "control/t", "health"];

/// The last command of a script, after which the service goes on as without it: a `control/t` that exits 0 would keep TERM back.
const KEEPS_NOTHING: &str = "[ \"$0\" != control/t ]";

/// Makes a service with this script. No run of `health` decides about it.
fn hooked(user: User, hook: &str, body: &str) -> Service {
    let files = [("timeout-finish", "0"), ("health-interval", "2s"), ("health-fails", "255")];
    let service = Service::new(user, LIVES, &files);
    service.scratch.script(format!("web/{hook}"), &format!("{body}\n{KEEPS_NOTHING}"));
    service
}

/// Does what the script is run at, and waits until the service is up again. `health` is run anyway.
#[track_caller]
fn provoke(service: &Service, hook: &str) {
    let run = service.wait_up();
    match hook {
        "health" => return,
        "control/t" => service.svc("-t"),
        "stop" => {
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            service.svc("-u");
        }
        _ => signal(run, "KILL"),
    }
    service.wait_restart(run);
}

/// Puts another script in the place of this one, in one step.
fn replace(service: &Service, hook: &str, body: &str) {
    service.scratch.script("new", body);
    fs::rename(service.scratch.path("new"), service.scratch.path("web").join(hook)).expect("files of ours");
}

#[test]
fn a_script_may_say_a_megabyte() {
    for_each_user(|user| {
        testkit::for_each(&HOOKS, |hook| {
            let body = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo >>ends";
            let mut service = hooked(user, hook, body).start();
            for _ in 0..2 {
                let enough = service.ends().len() + 1;
                provoke(&service, hook);
                wait_until("it has said all", || service.ends().len() >= enough);
            }
            // The stdout of `health` is /dev/null.
            assert_eq!(service.scratch.read("out").len() >= 2_000_000, *hook != "health");
            assert!(service.scratch.read("err").len() >= 2_000_000);
            assert_eq!(service.said().replace('\0', ""), "");
            service.svc("-dx");
            assert_eq!(service.end(), 0);
        });
    });
}

#[test]
fn a_script_to_which_nobody_listens_is_killed_in_its_time_and_the_service_goes_on() {
    for_each_user(|user| {
        testkit::for_each(&["finish", "stop", "notify", "control/t"], |hook| {
            let service = hooked(user, hook, "head -c 1000000 /dev/zero; echo >>ends");
            service.put("timeout-finish", "500");
            let out = service.scratch.path("out");
            sys::fd::make_fifo(&out).expect("a FIFO");
            let _unread = OpenOptions::new().read(true).write(true).open(&out).expect("it is ours");
            let service = service.start();
            provoke(&service, hook);
            let warning = format!("supervise: warning: unable to end web/{hook} in time, killing pid ");
            wait_until("it is said", || service.said().starts_with(&warning));
            service.wait_up();
            assert_eq!(service.ends(), "");
        });
    });
}

#[test]
fn what_a_script_leaves_behind_in_the_background_lives_on_and_nobody_waits_for_it() {
    for_each_user(|user| {
        testkit::for_each(&HOOKS, |hook| {
            // It has stdout and stderr of the script open.
            let service = hooked(user, hook, "sleep 1000 & echo $! >>ends");
            // It may take as long as the others: were it killed for that, what it leaves behind would be too.
            service.put("health-interval", "10s");
            let mut service = service.start();
            for round in 0..if *hook == "health" { 1 } else { 2 } {
                provoke(&service, hook);
                let left = || service.ends().lines().nth(round)?.parse().ok();
                let left: u32 = wait_for("it has left something", left);
                holds_for(Duration::from_millis(200), "it lives", || lives(left));
            }
            assert_eq!(service.said(), "");
            service.svc("-dx");
            assert_eq!(service.end(), 0);
            let left: u32 = service.ends().lines().next().and_then(|pid| pid.parse().ok()).expect("a pid");
            assert!(lives(left));
        });
    });
}

#[test]
fn a_script_that_is_replaced_while_it_runs_is_another_one_the_next_time() {
    for_each_user(|user| {
        testkit::for_each(&["stop", "notify", "health"], |hook| {
            let service = hooked(user, hook, "echo held >>ends; while [ -e hold ]; do sleep 0.02; done");
            service.put("hold", "");
            let service = service.start();
            let run = service.wait_up();
            if *hook == "stop" {
                service.svc("-d");
            }
            wait_until("it runs", || service.ends().starts_with("held\n"));
            replace(&service, hook, "echo another >>ends");
            service.remove("hold");
            match *hook {
                "stop" => {
                    assert_eq!(service.wait(&["--wait=down"]).code, 0);
                    service.svc("-u");
                    service.wait_restart(run);
                    assert_eq!(service.ends(), "held\n");
                    assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
                    assert_eq!(service.ends(), "held\nanother\n");
                }
                "notify" => {
                    assert_eq!(service.ends(), "held\n");
                    signal(run, "KILL");
                    service.wait_ends("held\nanother\nanother\n");
                }
                _ => {
                    wait_until("the other one is run", || service.ends().ends_with("another\n"));
                    let ends = service.ends();
                    let mut others = ends.lines().skip_while(|line| *line == "held");
                    assert!(others.all(|line| line == "another"), "{ends}");
                    assert_eq!(service.wait_up(), run);
                }
            }
        });
    });
}

#[test]
fn a_name_in_another_case_is_that_of_no_script() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("health-interval", "100ms"), ("Down", ""), ("DOWN", "")]);
        let scripts = ["Start", "Stop", "Finish", "FINISH", "Notify", "Health", "Check", "control/T", "Control/t"];
        for script in scripts {
            service.scratch.script(format!("web/{script}"), "echo \"$0\" >>ends");
        }
        let mut service = service.start();
        let run = service.wait_up();
        service.wait_svstat(&format!("up (pid {run}) S seconds"));
        holds_for(Duration::from_millis(500), "nothing is asked", || service.ends().is_empty());
        service.svc("-t");
        let run = service.wait_restart(run);
        signal(run, "KILL");
        service.wait_restart(run);
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        assert_eq!((service.ends(), service.said()), (String::new(), String::new()));
    });
}

/// The scripts that are tried again, each in a directory that has what it needs besides.
const TRIED_AGAIN: [&str; 2] = ["health", "check"];

/// Makes a service whose `health` is run often.
fn asked_often(user: User) -> Service {
    Service::new(user, LIVES, &[("health-interval", "100ms"), ("health-fails", "1")])
}

#[test]
fn a_health_or_check_that_cannot_be_run_is_told_once_until_it_can() {
    let ways = [
        ("no interpreter", "file does not exist"),
        ("no program", "exec format error"),
        ("a directory", "access denied"),
    ];
    for_each_user(|user| {
        testkit::for_each(&ways, |&(way, why)| {
            testkit::for_each(&TRIED_AGAIN, |script| {
                let service = asked_often(user);
                let path = service.scratch.path("web").join(script);
                match way {
                    "no interpreter" => make_executable(&service.scratch.write(&path, "#!/no/such/interpreter\n")),
                    "no program" => make_executable(&service.scratch.write(&path, "")),
                    _ => drop(service.scratch.mkdir(&path)),
                }
                let service = service.start();
                let run = service.wait_up();
                let warning = format!("supervise: warning: unable to run web/{script}, trying again: {why}\n");
                service.wait_said(&warning);
                holds_for(Duration::from_millis(1500), "it is said once", || service.said() == warning);
                assert_eq!(service.wait_up(), run, "that says nothing about the service");
                if way == "a directory" {
                    fs::remove_dir(&path).expect("it is empty");
                }
                replace(&service, script, "echo \"$0\" >>ends");
                if way == "a directory" {
                    // For a moment there was none, and it is looked for at the next start.
                    service.svc("-t");
                }
                wait_until("it is run", || service.ends().starts_with(&format!("./{script}\n")));
                if *script == "check" {
                    assert_eq!(service.wait(&["--wait=ready"]).code, 0);
                    // It may have been tried in the moment in which there was none.
                    assert!(if way == "a directory" {
                        service.said().starts_with(&warning)
                    } else {
                        service.said() == warning
                    });
                }
            });
        });
    });
}

#[test]
fn a_health_or_check_that_leads_nowhere_is_none() {
    for_each_user(|user| {
        testkit::for_each(&TRIED_AGAIN, |script| {
            let service = asked_often(user);
            symlink("nowhere", service.scratch.path("web").join(script)).expect("a link");
            let service = service.start();
            let run = service.wait_up();
            service.wait_svstat(&format!("up (pid {run}) S seconds"));
            holds_for(Duration::from_millis(500), "nothing is said", || service.said().is_empty());
            assert_eq!(service.wait_up(), run);
        });
    });
}
