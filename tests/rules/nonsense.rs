//! The same nonsense in every file with a value at once: each is told once, the default holds, and the service goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use testkit::{Scratch, holds_for, lives, signal, wait_until};

use super::service::{LIVES, Service, User, for_each_user};
use super::world::{svstat, wait_up};

/// The files with a value, and what supervise takes where it cannot use one. `health-fails` is read when `health` has failed, and has tests of its own.
const KNOBS: [(&str, &str); 14] = [
    ("down-signal", "TERM"),
    ("reload-signal", "HUP"),
    ("timeout-kill", "none"),
    ("timeout-ready", "60s"),
    ("warmup", "1s"),
    ("notification-fd", "none"),
    ("timeout-finish", "5s"),
    ("final-exits", "none"),
    ("backoff", "1s"),
    ("max-restarts", "no limit"),
    ("max-death-tally", "none"),
    ("fd-store", "none"),
    ("watchdog", "none"),
    ("health-interval", "30s"),
];

/// Makes a service that has what is needed for all of these files to be read.
fn reader(user: User) -> Service {
    let service = Service::finishing(user, LIVES, "exit 0");
    service.put("sd-notify", "");
    for script in ["check", "health"] {
        service.scratch.script(format!("web/{script}"), "exit 0");
    }
    service
}

/// Makes what stands for a value, at this place.
type Nonsense = fn(&Service, &str);

const NONSENSE: [(&str, Nonsense); 8] = [
    ("nothing", |service, name| service.put(name, "")),
    ("a negative number", |service, name| service.put(name, "-5")),
    ("NULs", |service, name| service.put(name, "\0\0\0")),
    ("two values", |service, name| service.put(name, "1 2")),
    ("two lines", |service, name| service.put(name, "1\n2\n")),
    ("100 kB", |service, name| service.put(name, &"1".repeat(100_000))),
    ("a directory", |service, name| drop(service.scratch.mkdir(format!("web/{name}")))),
    ("a FIFO", |service, name| {
        let path = service.scratch.path("web").join(name);
        sys::fd::make_fifo(&path).expect("a FIFO");
        if service.user() == User::Ordinary {
            service.scratch.give(&format!("web/{name}"));
        }
    }),
];

/// Lets supervise read every knob, twice, and checks that the service lives as one without these files.
fn live(service: &Service) {
    for _ in 0..2 {
        let pid = service.wait_up();
        // It ends by itself.
        signal(pid, "KILL");
        let pid = service.wait_restart(pid);
        service.svc("-r");
        let next = service.wait_restart(pid);
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0, "another copy takes its place");
        service.wait_restart(next);
    }
}

#[test]
fn the_same_nonsense_in_every_file_is_told_once_for_each() {
    for_each_user(|user| {
        testkit::for_each(&NONSENSE, |(what, make)| {
            let service = reader(user);
            for (name, _) in KNOBS {
                make(&service, name);
            }
            let service = service.start();
            live(&service);
            let said = service.said();
            for (name, default) in KNOBS {
                let begin = format!("supervise: warning: unable to use web/{name}, taking {default}: ");
                let told: Vec<&str> = said.lines().filter(|line| line.starts_with(&begin)).collect();
                assert_eq!(told.len(), 1, "{what} in {name}: {said}");
            }
            assert_eq!(said.lines().count(), KNOBS.len(), "{what}: {said}");
        });
    });
}

#[test]
fn a_link_that_leads_nowhere_is_no_file() {
    for_each_user(|user| {
        let service = reader(user);
        for (name, _) in KNOBS {
            symlink("nowhere", service.scratch.path("web").join(name)).expect("a link");
        }
        let service = service.start();
        live(&service);
        assert_eq!(service.said(), "");
    });
}

/// Makes what nobody may read.
fn forbid(service: &Service, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    service.put(name, "1");
    let path = service.scratch.path("web").join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(0o0)).expect("it is ours");
}

/// Returns whether the user may read what nobody may.
fn reads_everything(user: User) -> bool {
    user == User::Own && testkit::is_root()
}

#[test]
fn what_nobody_may_read_is_told_once_for_each() {
    for_each_user(|user| {
        if reads_everything(user) {
            return;
        }
        let service = reader(user);
        for (name, _) in KNOBS {
            forbid(&service, name);
        }
        let service = service.start();
        live(&service);
        for (name, default) in KNOBS {
            let line = format!("supervise: warning: unable to use web/{name}, taking {default}: access denied");
            assert_eq!(service.said().lines().filter(|said| *said == line).count(), 1, "{}", service.said());
        }
    });
}

/// Makes a service that `health` finds unhealthy.
fn unhealthy(user: User) -> Service {
    let service = Service::new(user, LIVES, &[("health-interval", "100ms")]);
    service.scratch.script("web/health", "exit 1");
    service
}

#[test]
fn with_nonsense_for_health_fails_three_failures_are_enough() {
    for_each_user(|user| {
        testkit::for_each(&NONSENSE, |(what, make)| {
            let service = unhealthy(user);
            make(&service, "health-fails");
            let service = service.start();
            service.wait_starts(3);
            let said = service.said();
            let mut lines = said.lines();
            let first = lines.next().unwrap_or_default();
            assert!(
                first.starts_with("supervise: warning: unable to use web/health-fails, taking 3: "),
                "{what}: {said}"
            );
            let ended = "supervise: warning: web/health has failed 3 times in a row, ending pid ";
            assert!(lines.all(|line| line.starts_with(ended)), "{what}: {said}");
        });
    });
}

#[test]
fn a_health_fails_that_leads_nowhere_or_that_nobody_may_read_is_three() {
    for_each_user(|user| {
        testkit::for_each(&[true, false], |&leads_nowhere| {
            let service = unhealthy(user);
            let mut begin = String::new();
            if leads_nowhere {
                symlink("nowhere", service.scratch.path("web/health-fails")).expect("a link");
            } else if reads_everything(user) {
                return;
            } else {
                forbid(&service, "health-fails");
                begin += "supervise: warning: unable to use web/health-fails, taking 3: access denied\n";
            }
            let service = service.start();
            service.wait_starts(2);
            begin += "supervise: warning: web/health has failed 3 times in a row, ending pid ";
            assert!(service.said().starts_with(&begin), "{}", service.said());
        });
    });
}

/// Makes what stands for a file, at this path.
type Stands = fn(&Path);

#[test]
fn an_essential_of_any_kind_counts_and_a_link_that_leads_nowhere_is_none() {
    let kinds: [(&str, Stands); 4] = [
        ("a directory", |path| fs::create_dir(path).expect("a directory")),
        ("a FIFO", |path| sys::fd::make_fifo(path).expect("a FIFO")),
        ("a link to a directory", |path| symlink(".", path).expect("a link")),
        ("a dangling link", |path| symlink("nowhere", path).expect("a link")),
    ];
    testkit::for_each(&kinds, |(kind, make)| {
        let scratch = Scratch::new();
        scratch.service("scan/web", "until [ -e go ]; do sleep 0.02; done; exit 7");
        scratch.write("scan/web/final-exits", "any");
        make(&scratch.path("scan/web/essential"));
        let mut svscan = scratch.start("svscan", "svscan", &["--init", "scan"]);
        wait_up(&scratch, "scan/web");
        scratch.write("scan/web/go", "");
        let said = "supervise: warning: not starting web again: exited 7\n";
        if *kind == "a dangling link" {
            let is_failed = || svstat(&scratch, "scan/web").ends_with(", failed: exited 7");
            wait_until("it has failed", || is_failed() && scratch.text("svscan.err") == said);
            holds_for(Duration::from_secs(1), "svscan stays", || lives(svscan.pid()));
        } else {
            assert_eq!(svscan.end(), 7);
        }
        assert_eq!(scratch.text("svscan.err"), said);
    });
}

/// Calls `test` with what makes another thread do this many times over, beside what `test` does next.
fn meanwhile(again: impl Fn() + Send, test: impl FnOnce(Sender<()>)) {
    thread::scope(|scope| {
        let (begin, begins) = mpsc::channel();
        scope.spawn(move || begins.iter().for_each(|()| (0..500).for_each(|_| again())));
        test(begin);
    });
}

#[test]
fn a_knob_that_changes_while_it_is_read_is_never_worse_than_none() {
    let knobs = [("timeout-kill", "60s", "none"), ("backoff", "1s", "1s")];
    for_each_user(|user| {
        testkit::for_each(&knobs, |&(name, value, default)| {
            testkit::for_each(&[true, false], |&in_place| {
                let service = Service::new(user, LIVES, &[(name, value)]).start();
                let path = service.scratch.path("web").join(name);
                let change = || {
                    if in_place {
                        // Whoever reads in between finds nothing.
                        ["", value].iter().for_each(|contents| fs::write(&path, contents).expect("it is ours"));
                    } else {
                        service.put(name, value);
                    }
                };
                meanwhile(change, |begin| {
                    for _ in 0..8 {
                        let run = service.wait_up();
                        begin.send(()).expect("it listens");
                        if name == "timeout-kill" {
                            service.svc("-r");
                        } else {
                            signal(run, "KILL");
                        }
                        service.wait_restart(run);
                    }
                });
                let empty = format!("supervise: warning: unable to use web/{name}, taking {default}: it is empty");
                let said = service.said();
                assert!(said.lines().all(|line| in_place && line == empty), "{said}");
            });
        });
    });
}
