//! The scripts `start`, which is run once before `run` when the service comes up, and `stop`, which is run once when it is down.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use testkit::{Scratch, holds_for, lives, signal, start, wait_until};

use super::service::{LIVES, Service, User, for_each_user};

/// A `run` that notes itself in `ends`, and stays up.
const NOTES: &str = "echo run >>ends; exec sleep 1000";

/// A `start` that notes itself, and runs as long as there is a file `hold`.
const HELD_START: &str = "echo start >>ends; while [ -e hold ]; do sleep 0.02; done";

/// A `stop` that notes itself, and runs as long as there is a file `hold`.
const HELD_STOP: &str = "echo stop >>ends; while [ -e hold ]; do sleep 0.02; done";

/// Makes a service with these scripts. Without a body for `run` it has none.
fn service(user: User, run: Option<&str>, start: &str, stop: &str) -> Service {
    let service = Service::new(user, run.unwrap_or_default(), &[]);
    if run.is_none() {
        fs::remove_file(service.scratch.path("web/run")).expect("it is there");
    }
    for (name, body) in [("start", start), ("stop", stop)] {
        if !body.is_empty() {
            service.scratch.script(format!("web/{name}"), body);
        }
    }
    service
}

/// Makes a service whose `start` is held, and starts it. Returns the service and the pid of `start`.
fn starting(user: User, run: Option<&str>) -> (Service, u32) {
    let service = service(user, run, HELD_START, HELD_STOP);
    service.put("hold", "");
    let service = service.start();
    let pid = service.wait_script("starting");
    service.wait_ends("start\n");
    (service, pid)
}

/// Makes a service that is up, and tells it to be down. Returns it while its `stop` is held, and the pid of `stop`.
fn stopping(user: User) -> (Service, u32) {
    let service = service(user, Some(NOTES), "", HELD_STOP);
    service.put("timeout-finish", "0");
    let service = service.start();
    service.wait_ends("run\n");
    service.wait_up();
    service.put("hold", "");
    service.svc("-d");
    let pid = service.wait_script("stopping");
    service.wait_ends("run\nstop\n");
    (service, pid)
}

#[test]
fn start_comes_once_before_run_and_stop_once_when_it_is_down() {
    for_each_user(|user| {
        let mut service = service(user, Some(NOTES), "echo start $# >>ends", "echo stop $# >>ends");
        service.scratch.script("web/finish", "echo finish >>ends");
        service.supervise();
        service.wait_ends("start 0\nrun\n");
        signal(service.wait_up(), "KILL");
        service.wait_ends("start 0\nrun\nfinish\nrun\n");
        service.wait_up();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        let first = "start 0\nrun\nfinish\nrun\nfinish\nstop 0\n";
        assert_eq!(service.ends(), first, "it is not down before all that");
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert_eq!(service.ends(), first, "there is nothing to take down");
        service.svc("-u");
        service.wait_ends(&format!("{first}start 0\nrun\n"));
        service.wait_up();
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), format!("{first}start 0\nrun\nfinish\nstop 0\n"));
    });
}

#[test]
fn stop_follows_an_exit_and_the_end_of_a_single_run() {
    for_each_user(|user| {
        let mut service = service(user, Some(NOTES), "echo start >>ends", "echo stop >>ends").start();
        let first = service.wait_up();
        service.svc("-o");
        assert_eq!(service.wait(&["--wait=up"]).code, 0);
        service.wait_ends("start\nrun\n");
        signal(first, "KILL");
        service.wait_ends("start\nrun\nstop\n");
        service.svc("-u");
        let second = service.wait_restart(first);
        service.svc("-x");
        assert_eq!(service.wait(&["-c", "--wait=up"]).code, 0);
        service.wait_ends("start\nrun\nstop\nstart\nrun\n");
        signal(second, "KILL");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "start\nrun\nstop\nstart\nrun\nstop\n");
    });
}

#[test]
fn what_never_ran_is_not_stopped() {
    for_each_user(|user| {
        let service = service(user, Some(NOTES), "echo start >>ends", "echo stop >>ends");
        service.put("down", "");
        let mut service = service.start();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        service.svc("-x");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "");
    });
}

#[test]
fn a_start_that_fails_is_a_service_that_has_failed() {
    for_each_user(|user| {
        for (body, why) in [("exit 3", "start exited 3"), ("kill -9 $$", "start was killed by SIGKILL")] {
            let body = format!("echo start >>ends; {body}");
            let service = service(user, Some(NOTES), &body, "echo stop >>ends").start();
            let failed = format!("down S seconds, normally up, failed: {why}");
            service.wait_svstat(&failed);
            service.wait_wanted_down();
            holds_for(Duration::from_millis(1500), "nothing follows", || service.ends() == "start\n");
            let waited = service.wait(&["--wait=ready"]);
            let told = format!("svc: warning: unable to wait for web to be ready: it has failed: {why}\n");
            assert_eq!((waited.code, waited.err()), (1, told));
            service.svc("-u");
            service.wait_ends("start\nstart\n");
            service.wait_said(&format!("supervise: warning: not starting web again: {why}\n").repeat(2));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert_eq!(service.ends(), "start\nstart\nstop\n", "what it may have set up is taken down");
        }
    });
}

#[test]
fn a_service_without_run_is_done_when_its_start_is() {
    for_each_user(|user| {
        let service = service(user, None, "echo start >>ends", "echo stop >>ends").start();
        let svup = || service.scratch.run("svup", &["web"]).code;
        for round in 1..=2 {
            assert_eq!(service.wait(&["--wait=ready", "--timeout=60"]).code, 0);
            assert_eq!((service.svstat().as_str(), svup()), ("down S seconds, normally up, done", 0));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert_eq!((service.svstat().as_str(), svup()), ("down S seconds, normally up", 100));
            assert_eq!(service.ends(), "start\nstop\n".repeat(round));
            if round == 1 {
                service.svc("-u");
            }
        }
        assert_eq!(service.said(), "");
    });
}

#[test]
fn what_is_done_without_run_stays_so_over_a_kill_and_an_upgrade_and_is_taken_down_at_the_exit() {
    for_each_user(|user| {
        let mut service = service(user, None, "echo start >>ends", "echo stop >>ends").start();
        let done = "down S seconds, normally up, done";
        service.wait_svstat(done);
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.svstat(), done);
        assert_eq!(service.wait(&["--reexec", "--wait=ready"]).code, 0);
        assert_eq!((service.svstat().as_str(), service.ends().as_str()), (done, "start\n"));
        service.svc("-x");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "start\nstop\n");
        service.supervise();
        service.wait_ends("start\nstop\nstart\n");
    });
}

#[test]
fn a_start_that_comes_after_run_was_missed_is_run() {
    let service = Service::new(User::Own, NOTES, &[]);
    service.remove("run");
    let service = service.start();
    service.wait_svstat("down S seconds, normally up, want up, unable to start run: file does not exist");
    let script = service.scratch.script("start", "echo start >>ends");
    fs::rename(script, service.scratch.path("web/start")).expect("it can be moved");
    service.wait_svstat("down S seconds, normally up, done");
    assert_eq!(service.ends(), "start\n");
}

#[test]
fn svscan_starts_a_service_without_run_when_its_directory_is_quiet() {
    let scratch = Scratch::new();
    scratch.mkdir("scan");
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    scratch.mkdir("scan/mount");
    // It is executable from the beginning: a busy machine may take longer from one to the other than a directory is to be quiet.
    let script = scratch.script("start", "echo start >>done");
    fs::rename(script, scratch.path("scan/mount/start")).expect("it can be moved");
    wait_until("it was set up", || fs::read_to_string(scratch.path("scan/mount/done")).is_ok_and(|it| it == "start\n"));
    wait_until("it is done", || super::world::svstat(&scratch, "scan/mount").ends_with(", done"));
}

#[test]
fn a_start_that_is_called_off_is_told_to_end_and_nothing_follows() {
    for_each_user(|user| {
        let (service, pid) = starting(user, Some(NOTES));
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert!(!lives(pid));
        assert_eq!((service.svstat().as_str(), service.ends().as_str()), ("down S seconds, normally up", "start\n"));
        service.remove("hold");
        service.svc("-u");
        service.wait_ends("start\nstart\nrun\n");
        assert_eq!(service.said(), "");
    });
}

#[test]
fn a_start_that_ignores_term_is_killed_with_its_group_in_its_time() {
    for_each_user(|user| {
        let hangs = "trap '' TERM; sleep 1000 & echo $! >>starts; echo start >>ends; wait";
        let service = service(user, Some(NOTES), hangs, "echo stop >>ends");
        service.put("timeout-kill", "200");
        let service = service.start();
        let pid = service.wait_script("starting");
        service.wait_ends("start\n");
        let helper: u32 = service.scratch.text("web/starts").trim_end().parse().expect("a pid");
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        let said = format!("supervise: warning: unable to end web/start in time, killing pid {pid}\n");
        assert_eq!((service.said(), service.ends().as_str()), (said, "start\n"));
        wait_until("what it has started is gone", || !lives(helper));
    });
}

#[test]
fn a_command_while_start_runs_is_about_what_follows() {
    for_each_user(|user| {
        for (letters, follows) in [("-tkhrp", true), ("-u", true), ("-o", true), ("-du", true), ("-ud", false)] {
            let (service, pid) = starting(user, Some(NOTES));
            service.svc(letters);
            if letters.contains('d') {
                wait_until("it has ended", || !lives(pid));
            } else {
                holds_for(Duration::from_millis(200), "it runs on", || lives(pid));
            }
            service.remove("hold");
            if follows {
                let expected = if letters == "-du" { "start\nstart\nrun\n" } else { "start\nrun\n" };
                service.wait_ends(expected);
            } else {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                service.wait_ends("start\n");
            }
        }
        let (mut service, _) = starting(user, Some(NOTES));
        service.obey_while("start", "-x");
        service.remove("hold");
        assert_eq!(service.end(), 0);
        assert_eq!(service.ends(), "start\nstop\n", "it was set up, and no further start was made");
    });
}

#[test]
fn a_start_that_cannot_be_run_is_told_once() {
    for_each_user(|user| {
        for (contents, why) in [("#!/no/such/interpreter\n", "file does not exist"), ("", "exec format error")] {
            let service = service(user, Some(NOTES), "", "");
            testkit::make_executable(&service.scratch.write("web/start", contents));
            let service = service.start();
            service.wait_svstat("down S seconds, normally up, failed: start exited 111");
            let over = "supervise: warning: not starting web again: start exited 111\n";
            assert_eq!(service.said(), format!("supervise: warning: unable to run web/start: {why}\n{over}"));
            assert_eq!(service.ends(), "");
        }
        let warning = "supervise: warning: unable to run web/start, going on without: access denied\n";
        for is_directory in [false, true] {
            let service = service(user, Some(NOTES), "", "");
            if is_directory {
                service.scratch.mkdir("web/start");
            } else {
                let file = service.scratch.write("web/start", "#!/bin/sh\n");
                fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("it is ours");
            }
            let service = service.start();
            service.wait_ends("run\n");
            signal(service.wait_up(), "KILL");
            service.wait_ends("run\nrun\n");
            assert_eq!(service.said(), warning);
        }
        let service = service(user, Some(NOTES), "", "");
        symlink("nowhere", service.scratch.path("web/start")).expect("a link");
        let service = service.start();
        service.wait_ends("run\n");
        assert_eq!(service.said(), "", "a dangling link is none");
    });
}

#[test]
fn a_stop_that_cannot_be_run_is_told_once_and_the_service_is_down() {
    let warning = |why: &str| format!("supervise: warning: unable to run web/stop, going on without: {why}\n");
    for_each_user(|user| {
        for (mode, contents, why) in
            [(0o644, "#!/bin/sh\n", "access denied"), (0o755, "#!/no/such/interpreter\n", "file does not exist")]
        {
            let service = service(user, Some(NOTES), "", "");
            let file = service.scratch.write("web/stop", contents);
            match mode {
                0o755 => testkit::make_executable(&file),
                mode => fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("it is ours"),
            }
            let service = service.start();
            for round in 1..=2 {
                service.wait_ends(&"run\n".repeat(round));
                service.wait_up();
                assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
                assert_eq!(service.said(), warning(why));
                service.svc("-u");
            }
        }
    });
}

#[test]
fn what_start_leaves_behind_in_the_background_lives_on() {
    for_each_user(|user| {
        let leaves = "sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >>starts";
        let service = service(user, Some(NOTES), leaves, "").start();
        service.wait_ends("run\n");
        let helper: u32 = service.scratch.text("web/starts").trim_end().parse().expect("a pid");
        holds_for(Duration::from_millis(200), "it lives", || lives(helper));
        signal(helper, "KILL");
    });
}

#[test]
fn a_stop_that_hangs_is_killed_in_its_time() {
    for_each_user(|user| {
        let service = service(user, Some(NOTES), "", "trap '' TERM; echo stop >>ends; sleep 1000 & wait");
        service.put("timeout-finish", "1500");
        let service = service.start();
        service.wait_ends("run\n");
        service.wait_up();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert_eq!(service.ends(), "run\nstop\n");
        let said = service.said();
        assert!(said.starts_with("supervise: warning: unable to end web/stop in time, killing pid "), "{said}");
    });
}

#[test]
fn a_command_while_stop_runs_is_about_what_follows() {
    for_each_user(|user| {
        for (letters, up) in [("-d", false), ("-u", true), ("-ud", false), ("-ox", true), ("-x", false), ("-tk", false)]
        {
            let (mut service, pid) = stopping(user);
            assert_eq!(service.svstat(), format!("down S seconds, normally up, stopping pid {pid}"));
            service.obey_while("stop", letters);
            assert!(lives(pid));
            service.remove("hold");
            if up {
                service.wait_ends("run\nstop\nrun\n");
            } else if letters == "-x" {
                assert_eq!(service.end(), 0);
            } else {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                holds_for(Duration::from_millis(1200), "it stays", || service.ends() == "run\nstop\n");
            }
        }
    });
}

#[test]
fn a_start_that_runs_is_found_by_the_next_supervise() {
    for_each_user(|user| {
        let (mut found, pid) = starting(user, Some(NOTES));
        for _ in 0..2 {
            found.kill_supervise();
            found.supervise();
            assert_eq!(found.wait_script("starting"), pid);
        }
        found.remove("hold");
        found.wait_ends("start\nrun\n");
        // One that was called off stays so, and has its time.
        let stubborn = service(user, Some(NOTES), &format!("trap '' TERM; {HELD_START}"), HELD_STOP);
        stubborn.put("hold", "");
        stubborn.put("timeout-kill", "60s");
        let mut service = stubborn.start();
        let pid = service.wait_script("starting");
        service.wait_ends("start\n");
        service.obey_while("start", "-d");
        service.kill_supervise();
        service.put("timeout-kill", "100");
        service.supervise();
        wait_until("it was killed", || !lives(pid));
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert_eq!(service.ends(), "start\n");
    });
}

#[test]
fn a_start_whose_end_nobody_has_seen_is_not_run_again() {
    for_each_user(|user| {
        for run in [Some(NOTES), None] {
            let (mut service, pid) = starting(user, run);
            service.kill_supervise();
            service.remove("hold");
            wait_until("it has ended", || !lives(pid));
            service.supervise();
            if run.is_some() {
                service.wait_ends("start\nrun\n");
            } else {
                service.wait_svstat("down S seconds, normally up, done");
                assert_eq!(service.ends(), "start\n");
            }
        }
    });
}

#[test]
fn a_stop_that_runs_is_found_by_the_next_supervise_and_one_that_is_due_is_run_by_it() {
    for_each_user(|user| {
        let (mut service, pid) = stopping(user);
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait_script("stopping"), pid);
        service.remove("hold");
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        service.svc("-u");
        let run = service.wait_up();
        signal(run, "STOP");
        service.svc("-d");
        // TERM and CONT reach it with the command; it may be gone before supervise is.
        wait_until("the command was obeyed", || !lives(run) || service.svstat().contains("want down"));
        service.kill_supervise();
        wait_until("it has ended", || !lives(run));
        service.supervise();
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert_eq!(service.ends(), "run\nstop\nrun\nstop\n");
    });
}

#[test]
fn an_upgrade_goes_on_with_a_start_and_a_stop_that_run() {
    for_each_user(|user| {
        let (service, pid) = starting(user, Some(NOTES));
        for _ in 0..2 {
            service.obey_while("start", "--reexec");
            assert_eq!(service.wait_script("starting"), pid);
        }
        service.remove("hold");
        service.wait_ends("start\nrun\n");
        let (service, pid) = stopping(user);
        for _ in 0..2 {
            service.obey_while("stop", "--reexec");
            assert_eq!(service.wait_script("stopping"), pid);
        }
        service.remove("hold");
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert_eq!(service.ends(), "run\nstop\n");
    });
}

#[test]
fn a_start_that_is_replaced_while_it_runs_is_another_one_the_next_time() {
    for_each_user(|user| {
        let (service, _) = starting(user, Some(NOTES));
        service.scratch.script("web/start.new", "echo another >>ends");
        fs::rename(service.scratch.path("web/start.new"), service.scratch.path("web/start")).expect("files of ours");
        service.remove("hold");
        service.wait_ends("start\nrun\n");
        service.wait_up();
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        service.svc("-u");
        service.wait_ends("start\nrun\nstop\nanother\nrun\n");
    });
}

#[test]
fn exit_100_is_the_last_one_where_there_is_a_file_of_encore() {
    for_each_user(|user| {
        let cases = [("start", true), ("stop", true), ("notify", true), ("log", true), ("", false)];
        testkit::for_each(&cases, |&(name, is_final)| {
            let service = Service::new(user, "echo >>starts; exit 100", &[]);
            if !name.is_empty() {
                service.scratch.script(format!("web/{name}"), "echo \"$0\" >>ends");
            }
            let service = service.start();
            if is_final {
                service.wait_svstat("down S seconds, normally up, failed: exited 100");
                service.stays(1);
                assert!(!service.ends().contains("stop"), "as in encore, it is not run then");
                service.svc("-u");
                service.wait_starts(2);
            } else {
                service.wait_starts(3);
            }
        });
    });
}

#[test]
fn stop_is_not_run_between_the_copies_of_a_replacement() {
    for_each_user(|user| {
        let service = service(user, Some(LIVES), "echo start >>ends", "echo stop >>ends");
        service.put("warmup", "1ms");
        let service = service.start();
        let old = service.wait_up();
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        wait_until("the old one has ended", || !lives(old));
        assert_eq!(service.ends(), "start\n");
        let new = service.wait_up();
        signal(new, "KILL");
        service.wait_restart(new);
        assert_eq!(service.ends(), "start\n");
    });
}

#[test]
fn a_container_ends_with_a_start_that_fails() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "exec sleep 1000");
    scratch.script("scan/web/start", "exit 7");
    let mut command = scratch.command("svscan", &["--init", "--exit-with", "web", "scan"]);
    assert_eq!(start(&mut command).end(), 7);
}

#[test]
fn an_init_ends_with_an_essential_service_by_its_start() {
    let failed = |why: &str| format!("supervise: warning: not starting web again: {why}\n");
    let cases = [
        ("exit 7", true, 7, failed("start exited 7")),
        ("kill -9 $$", true, 137, failed("start was killed by SIGKILL")),
        ("exit 7", false, 7, failed("start exited 7")),
        // Without a `run` it is done.
        ("exit 0", false, 0, String::new()),
    ];
    for_each_user(|user| {
        testkit::for_each(&cases, |(body, runs, code, said)| {
            let scratch = Scratch::new();
            scratch.service("scan/other", "exec sleep 1000");
            scratch.script("scan/web/start", body);
            scratch.write("scan/web/essential", "");
            if *runs {
                scratch.service("scan/web", "echo >&2 run; exec sleep 1000");
            }
            let words = ["--init", "--state", "state", "scan"];
            let mut command = match user {
                User::Own => scratch.command("svscan", &words),
                User::Ordinary => {
                    scratch.lend("supervise");
                    scratch.mkdir_given("state");
                    scratch.lend("svscan");
                    scratch.ordinary("svscan", &words)
                }
            };
            let err = fs::File::create(scratch.path("err")).expect("a file");
            let mut svscan = start(command.stdin(Stdio::null()).stderr(err));
            assert_eq!((svscan.end(), scratch.text("err")), (*code, said.clone()), "{body}");
        });
    });
}
