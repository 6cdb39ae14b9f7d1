//! The scripts in `control/`, which are asked before a signal is sent, or told of a command, as in runit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use testkit::{holds_for, lives, signal, wait_for, wait_until};

use super::service::{LIVES, Service, User, for_each_user};

/// A `run` that notes its start, HUP and TERM.
const TELLS: &str = "trap 'echo TERM >>ends; kill $!; exit 0' TERM; trap 'echo HUP >>ends' HUP; \
                     echo run >>ends; sleep 1000 & while :; do wait $!; done";

/// Makes a service with these scripts in `control/`: letters and bodies.
fn service(user: User, run: &str, scripts: &[(&str, &str)]) -> Service {
    let service = Service::new(user, run, &[]);
    for (letter, body) in scripts {
        service.scratch.script(format!("web/control/{letter}"), body);
    }
    service
}

/// The body of a script that notes its letter, runs as long as there is a file `hold`, and exits so.
fn held(letter: &str, code: u8) -> String {
    format!("echo {letter} >>ends; while [ -e hold ]; do sleep 0.02; done; exit {code}")
}

/// Starts a service that [tells](TELLS), with a `control/t` that is held and exits 1, and sends these letters. Returns it, with the pid of `run`, when the script runs.
fn asked(user: User, letters: &str) -> (Service, u32) {
    asked_about(service(user, TELLS, &[("t", &held("t", 1)), ("h", &held("h", 0))]), letters)
}

/// The same with this service.
fn asked_about(service: Service, letters: &str) -> (Service, u32) {
    service.put("hold", "");
    let service = service.start();
    service.wait_ends("run\n");
    let run = service.wait_up();
    service.svc(letters);
    service.wait_ends("run\nt\n");
    // A supervise that is killed before it has written this has not obeyed yet.
    wait_until("the record says so", || service.record().decided.controls[0].is_some());
    (service, run)
}

#[test]
fn control_t_keeps_term_back_if_it_exits_0() {
    for_each_user(|user| {
        let service = service(user, TELLS, &[("t", "echo t $# $0 >>ends; . ./code")]);
        service.put("code", "exit 0");
        let service = service.start();
        service.wait_ends("run\n");
        let run = service.wait_up();
        service.svc("-t");
        service.wait_ends("run\nt 0 control/t\n");
        holds_for(Duration::from_millis(300), "it lives", || service.ends() == "run\nt 0 control/t\n" && lives(run));
        service.put("code", "exit 1");
        service.svc("-t");
        service.wait_ends("run\nt 0 control/t\nt 0 control/t\nTERM\nrun\n");
        let run = service.wait_restart(run);
        service.put("code", "kill -9 $$");
        service.svc("-t");
        service.wait_restart(run);
        assert_eq!(service.ends().matches("TERM").count(), 2, "a script that is killed keeps nothing back");
        assert_eq!(service.said(), "");
    });
}

#[test]
fn down_asks_control_t_and_tells_control_d() {
    for_each_user(|user| {
        let scripts = [("t", "echo t >>ends; exit 1"), ("d", "sleep 0.3; echo d >>ends")];
        let service = service(user, TELLS, &scripts).start();
        service.wait_ends("run\n");
        service.wait_up();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        service.wait_ends("run\nt\nTERM\nd\n");
    });
}

#[test]
fn what_control_t_keeps_back_is_killed_in_its_time() {
    for_each_user(|user| {
        for letters in ["-d", "-r"] {
            let service = service(user, LIVES, &[("t", "echo t >>ends")]);
            service.put("timeout-kill", "300");
            let service = service.start();
            let run = service.wait_up();
            service.svc(letters);
            service.wait_ends("t\n");
            wait_until("it was killed", || !lives(run));
            let said = format!("supervise: warning: unable to end web in time, killing pid {run}\n");
            assert_eq!(service.said(), said);
        }
    });
}

#[test]
fn each_signal_has_its_script() {
    for_each_user(|user| {
        let letters = ["t", "k", "a", "h", "i", "q", "1", "2", "p", "c"];
        for (code, kept) in [(0, true), (1, false)] {
            let service = service(user, LIVES, &[]);
            for letter in letters {
                let body = format!("echo {letter} >>ends; exit {code}");
                service.scratch.script(format!("web/control/{letter}"), &body);
            }
            let service = service.start();
            let first = service.wait_up();
            for letter in letters {
                let (run, before) = (service.wait_up(), service.ends());
                service.svc(&format!("-{letter}"));
                service.wait_ends(&format!("{before}{letter}\n"));
                match letter {
                    "p" if !kept => {
                        wait_until("it is paused", || service.svstat().contains(", paused"));
                    }
                    "c" if !kept => {
                        wait_until("it is not", || !service.svstat().contains(", paused"));
                    }
                    _ if kept => {
                        // The second letter is obeyed behind the first.
                        assert_eq!(service.wait(&["-u", "--wait=up"]).code, 0);
                        assert!(lives(run) && !service.svstat().contains(", paused"), "{letter}");
                    }
                    _ => {
                        service.wait_restart(run);
                    }
                }
            }
            assert_eq!(service.wait_up() == first, kept);
        }
    });
}

#[test]
fn control_u_comes_before_each_run_whatever_it_says() {
    for_each_user(|user| {
        let run = "echo run >>ends; exec sleep 1000";
        let service = service(user, run, &[("u", "echo u >>ends; exit 3")]);
        service.scratch.script("web/start", "echo start >>ends");
        let service = service.start();
        service.wait_ends("start\nu\nrun\n");
        signal(service.wait_up(), "KILL");
        service.wait_ends("start\nu\nrun\nu\nrun\n");
        service.wait_up();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        service.put("hold", "");
        service.scratch.script("web/control/u", &held("u", 0));
        service.svc("-u");
        let pid = service.wait_script("starting");
        service.wait_ends("start\nu\nrun\nu\nrun\nstart\nu\n");
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert!(!lives(pid));
        service.remove("hold");
        service.svc("-u");
        service.wait_ends("start\nu\nrun\nu\nrun\nstart\nu\nstart\nu\nrun\n");
        assert_eq!(service.said(), "");
    });
}

#[test]
fn a_command_is_obeyed_while_a_script_runs() {
    for_each_user(|user| {
        let (service, run) = asked(user, "-t");
        service.svc("-h");
        service.wait_ends("run\nt\nh\n");
        service.svc("-tthh");
        service.svc("-p");
        wait_until("it is paused", || service.svstat().contains(", paused"));
        service.svc("-c");
        wait_until("it is not", || !service.svstat().contains(", paused"));
        assert_eq!(service.ends(), "run\nt\nh\n", "each is run once at a time");
        service.remove("hold");
        service.wait_restart(run);
        service.wait_ends("run\nt\nh\nTERM\nrun\n");
    });
}

#[test]
fn down_is_obeyed_while_control_t_runs_about_something_else() {
    for_each_user(|user| {
        let (service, run) = asked(user, "-t");
        service.scratch.script("web/control/d", "echo d >>ends");
        service.svc("-d");
        wait_until("it is wanted down", || service.svstat().contains(", want down"));
        assert!(lives(run));
        service.remove("hold");
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        wait_until("control/d was told", || service.ends().contains("d\n"));
        assert_eq!(service.ends().replace("d\n", ""), "run\nt\nTERM\n");
    });
}

#[test]
fn a_third_script_is_not_asked_and_that_is_said() {
    for_each_user(|user| {
        let scripts = [("t", &*held("t", 1)), ("h", &held("h", 0)), ("k", "echo k >>ends; exit 0")];
        let (service, run) = asked_about(service(user, TELLS, &scripts), "-t");
        service.svc("-h");
        service.wait_ends("run\nt\nh\n");
        let helper = fs::read_to_string(format!("/proc/{run}/task/{run}/children")).unwrap_or_default();
        service.svc("-k");
        wait_until("it was killed", || !lives(run));
        let said = "supervise: warning: not running web/control/k, since two others run, going on without\n";
        assert_eq!(service.said(), said);
        helper.split_whitespace().filter_map(|pid| pid.parse().ok()).for_each(|pid| signal(pid, "KILL"));
        service.remove("hold");
        service.wait_restart(run);
    });
}

#[test]
fn control_x_is_told_when_the_command_comes() {
    for_each_user(|user| {
        let mut service = service(user, LIVES, &[("x", "echo x >>ends"), ("t", "echo t >>ends")]).start();
        let run = service.wait_up();
        service.svc("-x");
        service.wait_ends("x\n");
        holds_for(Duration::from_millis(200), "it is not told to end", || lives(run));
        signal(run, "KILL");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "x\n");
    });
}

#[test]
fn the_old_copy_of_a_replacement_is_asked_about_too() {
    for_each_user(|user| {
        let service = service(user, TELLS, &[("t", &held("t", 1))]);
        service.put("warmup", "1ms");
        service.put("hold", "");
        let service = service.start();
        service.wait_ends("run\n");
        let old = service.wait_up();
        service.svc("-R");
        let new = service.wait_restart(old);
        let sorted = || {
            let mut lines: Vec<String> = service.ends().lines().map(str::to_owned).collect();
            lines.sort();
            lines.join(" ")
        };
        wait_until("it is asked", || sorted() == "run run t");
        holds_for(Duration::from_millis(200), "it is not told yet", || lives(old) && lives(new));
        service.remove("hold");
        wait_until("the old one has ended", || !lives(old));
        wait_until("it was told", || sorted() == "TERM run run t");
        assert_eq!(service.wait_up(), new);
    });
}

#[test]
fn the_next_supervise_waits_for_a_script_and_sends_what_that_has_kept_back() {
    for_each_user(|user| {
        for letters in ["-t", "-d"] {
            let (mut service, run) = asked(user, letters);
            service.kill_supervise();
            service.supervise();
            holds_for(Duration::from_millis(200), "it is not told yet", || lives(run));
            service.remove("hold");
            wait_until("it was told", || !lives(run));
            if letters == "-t" {
                service.wait_ends("run\nt\nTERM\nrun\n");
            } else {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                service.wait_ends("run\nt\nTERM\n");
            }
        }
        // One that has ended meanwhile is believed to have kept nothing back.
        let (mut service, run) = asked(user, "-t");
        let script = service.record().decided.controls[0].expect("it runs").pid.get();
        service.kill_supervise();
        service.remove("hold");
        wait_until("it has ended", || !lives(script));
        service.supervise();
        service.wait_restart(run);
    });
}

#[test]
fn an_upgrade_goes_on_with_a_script_that_runs() {
    for_each_user(|user| {
        let (service, run) = asked(user, "-t");
        for _ in 0..2 {
            assert_eq!(service.wait(&["--reexec", "--wait=up"]).code, 0);
            assert!(lives(run));
        }
        service.remove("hold");
        service.wait_ends("run\nt\nTERM\nrun\n");
    });
}

#[test]
fn a_script_that_cannot_be_run_is_told_once_and_the_signal_is_sent() {
    for_each_user(|user| {
        for (mode, contents, why) in
            [(0o644, "#!/bin/sh\n", "access denied"), (0o755, "#!/no/such/interpreter\n", "file does not exist")]
        {
            let service = service(user, LIVES, &[("x", "exit 0")]);
            let file = service.scratch.write("web/control/t", contents);
            match mode {
                0o755 => testkit::make_executable(&file),
                mode => fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("it is ours"),
            }
            let service = service.start();
            for _ in 0..2 {
                let run = service.wait_up();
                service.svc("-t");
                service.wait_restart(run);
            }
            let said = format!("supervise: warning: unable to run web/control/t, going on without: {why}\n");
            assert_eq!(service.said(), said);
        }
    });
}

#[test]
fn a_script_that_hangs_is_killed_with_its_group_and_the_signal_is_sent() {
    for_each_user(|user| {
        let hangs = "trap '' TERM; sleep 1000 & echo $! >>ends; wait";
        let service = service(user, LIVES, &[("t", hangs)]).start();
        let run = service.wait_up();
        service.svc("-t");
        let helper: u32 = wait_for("it runs", || service.ends().lines().next().and_then(|pid| pid.parse().ok()));
        service.wait_restart(run);
        wait_until("what it has started is gone", || !lives(helper));
        let said = service.said();
        assert!(said.starts_with("supervise: warning: unable to end web/control/t in time, killing pid "), "{said}");
    });
}

#[test]
fn a_script_is_not_asked_about_a_service_that_is_down() {
    for_each_user(|user| {
        let scripts = [("t", "echo t >>ends"), ("d", "echo d >>ends"), ("x", "echo x >>ends")];
        let mut service = service(user, LIVES, &scripts);
        service.put("down", "");
        service.supervise();
        service.svc("-tdx");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "");
    });
}

#[test]
fn each_script_has_ten_seconds_and_then_its_command_goes_on() {
    for_each_user(|user| {
        testkit::for_each(&["u", "h", "t", "d", "x"], |&letter| {
            let hangs = format!("trap '' TERM; echo {letter} $$ >>ends; while :; do sleep 0.02; done");
            let mut service = service(user, TELLS, &[(letter, &hangs)]);
            let mut begin = Instant::now();
            service.supervise();
            if letter != "u" {
                service.wait_ends("run\n");
                service.wait_up();
                begin = Instant::now();
                service.svc(match letter {
                    "h" => "-h",
                    "t" => "-r",
                    _ => "-dx",
                });
            }
            let follows = match letter {
                "u" => "run\n",
                "h" => "HUP\n",
                "t" => "TERM\nrun\n",
                // The service is told to end at once. Only the exit of supervise waits for the script.
                _ => {
                    assert_eq!(service.end(), 0);
                    ""
                }
            };
            wait_until(&format!("{letter} goes on"), || service.ends().ends_with(follows));
            let took = begin.elapsed();
            assert!(took >= Duration::from_secs(10), "{letter}: {took:?}");
            let ends = service.ends();
            let pid = ends.lines().find_map(|line| line.strip_prefix(&format!("{letter} ")));
            let pid: u32 = pid.and_then(|pid| pid.parse().ok()).expect("it was run");
            let said = format!("supervise: warning: unable to end web/control/{letter} in time, killing pid {pid}\n");
            assert_eq!((service.said(), lives(pid)), (said, false));
        });
    });
}
