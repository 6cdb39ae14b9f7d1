//! The file `final-exits`: ends of `run` after which the service is not started again.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use testkit::{signal, start, state, wait_until};

use super::service::{ENDS, HELD, LIVES, Service, User, for_each_user};

/// Starts a service whose `run` ends with the shell command `end`, and whose `final-exits` is `finals`.
fn ending(user: User, end: &str, finals: &str) -> Service {
    Service::new(user, ENDS, &[("end", end), ("final-exits", finals)]).start()
}

#[test]
fn a_listed_end_is_the_last_one_and_says_how_it_was() {
    for_each_user(|user| {
        for (end, finals, state) in [
            ("exit 0", "0", "done"),
            ("exit 3", "0,100-103,3", "failed: exited 3"),
            ("exit 101", "0,100-103,SIGSEGV\n", "failed: exited 101"),
            ("kill -SEGV $$", "sigsegv", "failed: killed by SIGSEGV"),
            ("kill -9 $$", "any", "failed: killed by SIGKILL"),
        ] {
            let service = ending(user, end, finals);
            service.wait_svstat(&format!("down S seconds, normally up, {state}"));
            service.wait_wanted_down();
            service.stays(1);
            let warning = state.replace("failed: ", "supervise: warning: not starting web again: ") + "\n";
            assert_eq!(service.said(), if state == "done" { "" } else { &warning });
        }
    });
}

#[test]
fn an_end_that_is_not_listed_is_followed_by_a_start() {
    for_each_user(|user| {
        for (end, finals) in [("exit 1", "0"), ("kill -9 $$", "9"), ("exit 9", "SIGKILL")] {
            let service = ending(user, end, finals);
            service.wait_starts(3);
            service.wait_svstat("down S seconds, normally up, want up");
            assert_eq!(service.said(), "", "{end} {finals}");
        }
    });
}

#[test]
fn an_end_that_was_asked_for_is_never_the_last_one() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("final-exits", "any")]).start();
        let mut pid = 0;
        for (count, letter) in ["-t", "-k", "-r", "-i"].into_iter().enumerate() {
            if letter == "-i" {
                // INT ends the sleep that the shell has executed. As the down-signal, INT counts as an end that was asked for.
                service.put("down-signal", "INT");
            }
            service.wait_starts(count + 1);
            pid = service.wait_restart(pid);
            service.svc(letter);
            service.wait_restart(pid);
        }
        let pid = service.wait_restart(pid);
        // supervise does not know of this signal, so the end counts as one that was not asked for.
        service.wait_starts(5);
        signal(pid, "TERM");
        service.wait_svstat("down S seconds, normally up, failed: killed by SIGTERM");
    });
}

#[test]
fn what_is_over_is_left_by_the_commands_that_start_it() {
    for_each_user(|user| {
        let service = ending(user, "exit 0", "0");
        let done = "down S seconds, normally up, done";
        for (count, letters) in ["-u", "-o", "-R", "-du"].into_iter().enumerate() {
            service.wait_svstat(if letters == "-R" { "down S seconds, normally up" } else { done });
            service.svc(letters);
            service.wait_starts(count + 2);
        }
        service.wait_svstat(done);
        service.svc("-tkd");
        service.stays(5);
        assert_eq!(service.svstat(), done);
    });
}

#[test]
fn whoever_waits_is_told_at_once_that_it_is_over() {
    for_each_user(|user| {
        let service = ending(user, "exit 0", "0");
        service.wait_svstat("down S seconds, normally up, done");
        // A job that is done counts as ready.
        assert_eq!(service.wait(&["--wait=ready"]).code, 0);
        let told = |state: &str, why: &str| (1, format!("svc: warning: unable to wait for web to be {state}: {why}\n"));
        let wait = |options: &[&str]| {
            let waited = service.wait(options);
            (waited.code, waited.err())
        };
        assert_eq!(wait(&["--wait=up"]), told("up", "it is done"));
        service.put("final-exits", "3");
        service.put("end", "exit 3");
        for (count, state) in ["up", "ready"].into_iter().enumerate() {
            // After -u it may be up for a moment.
            service.svc("-u");
            service.wait_starts(count + 2);
            service.wait_svstat("down S seconds, normally up, failed: exited 3");
            let options = format!("--wait={state}");
            assert_eq!(wait(&[&options]), told(state, "it has failed: exited 3"));
        }
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
    });
}

#[test]
fn a_wait_that_has_begun_ends_when_the_service_is_done_or_has_failed() {
    let failed = |why: &str| (1, format!("svc: warning: unable to wait for web to be ready: it has failed: {why}\n"));
    let cases = [
        ("final-exits", "any", "exit 0", (0, String::new())),
        ("final-exits", "any", "exit 3", failed("exited 3")),
        ("max-restarts", "1/1s", "kill -9 $$", failed("ended 1 time in 0 seconds")),
    ];
    for_each_user(|user| {
        for (file, contents, end, expected) in &cases {
            let run = "echo >>starts; until [ -e go ]; do sleep 0.02; done; . ./end";
            let files = [(*file, *contents), ("end", *end), ("notification-fd", "7")];
            let service = Service::new(user, run, &files).start();
            service.wait_up();
            let told = File::create(service.scratch.path("told")).expect("a file");
            let mut command = service.scratch.command("svc", &["--wait=ready", "web"]);
            let mut wait = start(command.stdin(Stdio::null()).stderr(told));
            wait_until("it waits", || state(wait.pid()) == Some('S'));
            service.put("go", "");
            assert_eq!((wait.end(), service.scratch.text("told")), *expected, "{end}");
        }
    });
}

#[test]
fn what_is_over_stays_so_over_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        for (end, state) in
            [("exit 0", "done"), ("exit 3", "failed: exited 3"), ("kill -9 $$", "failed: killed by SIGKILL")]
        {
            let mut service = ending(user, end, "any");
            let line = format!("down S seconds, normally up, {state}");
            service.wait_svstat(&line);
            service.kill_supervise();
            service.supervise();
            assert_eq!(service.svstat(), line);
            assert_eq!((service.wait(&["--reexec", "--wait=up"]).code, service.svstat()), (1, line));
            service.stays(1);
        }
    });
}

#[test]
fn that_the_end_was_final_is_known_to_a_supervise_that_finds_finish_running() {
    for_each_user(|user| {
        for command in ["", "-u"] {
            let files = [("end", "exit 3"), ("final-exits", "3"), ("hold", ""), ("timeout-finish", "0")];
            let mut service = Service::new(user, ENDS, &files);
            service.scratch.script("web/finish", HELD);
            service = service.start();
            service.wait_ends("3 0 web\n");
            service.kill_supervise();
            service.supervise();
            let finish = service.wait_finishing();
            assert_eq!(service.svstat(), format!("down S seconds, normally up, want up, finishing pid {finish}"));
            if !command.is_empty() {
                service.obey_while_finishing(command);
            }
            service.remove("hold");
            service.wait_starts(if command.is_empty() { 1 } else { 2 });
            service.wait_svstat("down S seconds, normally up, failed: exited 3");
        }
    });
}

#[test]
fn a_long_list_holds_up_to_its_last_entry() {
    for_each_user(|user| {
        let longest = "1,".repeat(254) + "2-3\n";
        assert_eq!(longest.len(), 512);
        let service = ending(user, "exit 3", &longest);
        service.wait_svstat("down S seconds, normally up, failed: exited 3");
        let service = ending(user, "exit 3", &format!("{longest}\n"));
        service.wait_said("supervise: warning: unable to use web/final-exits, taking none: too large\n");
    });
}

#[test]
fn a_list_that_is_nonsense_is_told_once_and_no_end_is_final() {
    let exits = "not exit codes from 0 to 255, ranges of them, signals or any, with commas between";
    let huge = "1,".repeat(50_000);
    for_each_user(|user| {
        let cases = [
            ("1 2", "it holds a blank or a second line"),
            ("1\n2", "it holds a blank or a second line"),
            ("", "it is empty"),
            ("-1", "negative number"),
            ("x", exits),
            ("256", exits),
            ("1,", exits),
            ("SIGNONE", exits),
            ("1\0", exits),
            (&huge, "too large"),
        ];
        let services = cases.map(|(contents, why)| (ending(user, "exit 1", contents), why));
        for (service, why) in services {
            service.wait_starts(3);
            let line = format!("supervise: warning: unable to use web/final-exits, taking none: {why}\n");
            service.wait_said(&line);
        }
    });
}

#[test]
fn a_list_that_cannot_be_read_is_told_once_and_one_that_is_not_there_is_none() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("end", "exit 1")]);
        let file = service.scratch.path("web/final-exits");
        let said = |why: &str| format!("supervise: warning: unable to use web/final-exits, taking none: {why}\n");
        fs::create_dir(&file).expect("a directory of ours");
        let service = service.start();
        service.wait_starts(3);
        assert_eq!(service.said(), said("is a directory"));
        fs::remove_dir(&file).expect("it is there");
        sys::fd::make_fifo(&file).expect("a FIFO");
        if user == User::Ordinary {
            service.scratch.give("web/final-exits");
        }
        service.wait_said(&(said("is a directory") + &said("it is empty")));
        service.remove("final-exits");
        symlink("nowhere", &file).expect("a link");
        let starts = service.starts();
        service.wait_starts(starts + 2);
        service.remove("final-exits");
        service.put("final-exits", "1");
        service.wait_svstat("down S seconds, normally up, failed: exited 1");
        if user == User::Ordinary {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).expect("it is ours");
            let starts = service.starts();
            service.svc("-u");
            service.wait_starts(starts + 2);
            assert!(service.said().ends_with(&said("access denied")), "{}", service.said());
        }
    });
}

#[test]
fn an_end_that_a_script_was_asked_for_is_never_the_last_one() {
    // The script ends the service itself, or has the signal sent. `final-exits` lists how it ends then.
    const ENDS_IT: &str = "kill -QUIT $(tail -n 1 ends)";
    let cases = [
        ("t", "-t", ENDS_IT),
        ("t", "-t", "exit 1"),
        ("t", "-r", ENDS_IT),
        ("k", "-k", ENDS_IT),
        // By the letter that sends the down-signal, too.
        ("i", "-i", ENDS_IT),
    ];
    for_each_user(|user| {
        testkit::for_each(&cases, |&(script, letter, body)| {
            let service = Service::new(user, "echo $$ >>ends; exec sleep 1000", &[("final-exits", "any")]);
            service.scratch.script(format!("web/control/{script}"), body);
            if letter == "-i" {
                service.put("down-signal", "INT");
            }
            let service = service.start();
            let mut pid = service.wait_up();
            let noted = |pid: u32| {
                wait_until("it has noted its pid", || service.ends().lines().last() == Some(&pid.to_string()));
            };
            for _ in 0..2 {
                noted(pid);
                service.svc(letter);
                pid = service.wait_restart(pid);
            }
            noted(pid);
            assert_eq!((service.ends().lines().count(), service.said()), (3, String::new()), "{letter}: {body}");
            // Nobody has asked for this one.
            signal(pid, "QUIT");
            service.wait_svstat("down S seconds, normally up, failed: killed by SIGQUIT");
        });
    });
}
