//! The file `essential`: svscan as an init ends with the service when that is down for good by itself.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use testkit::{Scratch, children, holds_for, signal, start, wait_for, wait_until};

use super::world::{FOREVER, Init, MORTAL, catches_term, lines};

/// Services `web`, which is essential and has this `run` and these files, and `other`.
fn services(run: &str, files: &[(&str, &str)]) -> Scratch {
    let scratch = Scratch::new();
    scratch.service("scan/web", run);
    scratch.service("scan/other", MORTAL);
    scratch.write("scan/web/essential", "");
    for (name, contents) in files {
        scratch.write(format!("scan/web/{name}"), contents);
    }
    scratch
}

/// The exit code of a svscan that ends by itself, and what was said.
#[track_caller]
fn ends(scratch: &Scratch) -> (i32, String) {
    let code = Init::start(scratch, &["--grace", FOREVER]).end();
    (code, scratch.text("svscan.err"))
}

/// What supervise says about a service that is not started again.
fn failed(why: &str) -> String {
    format!("supervise: warning: not starting web again: {why}\n")
}

/// A `run` that ends with this code when there is a file `go`.
fn on_demand(code: u8) -> String {
    format!("echo >>started; until [ -e go ]; do sleep 0.02; done; exit {code}")
}

#[test]
fn its_end_for_good_is_that_of_svscan_and_loggers_are_last() {
    let scratch = services("echo >>started; exit 7", &[("final-exits", "any")]);
    scratch.service(
        "scan/talker",
        "trap 'echo last; exit' TERM; echo first; while :; do sleep 100000 >/dev/null & wait $!; done",
    );
    scratch.service("scan/talker/log", "exec cat >>lines");
    // It ends when the other one has begun.
    scratch.service("scan/web", "until [ -s ../talker/log/lines ]; do sleep 0.02; done; echo >>started; exit 7");
    assert_eq!(ends(&scratch), (7, failed("exited 7")));
    assert_eq!(lines(&scratch, "scan/web/started").len(), 1, "started once");
    assert_eq!(lines(&scratch, "scan/talker/log/lines"), ["first", "last"]);
}

#[test]
fn a_job_that_is_done_ends_it_with_0() {
    let scratch = services("echo >>started; exit 0", &[("final-exits", "0")]);
    assert_eq!(ends(&scratch), (0, String::new()));
    assert_eq!(lines(&scratch, "scan/web/started").len(), 1);
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for (name, code) in [("KILL", 137), ("SEGV", 139)] {
        let scratch = services(&format!("kill -{name} $$"), &[("final-exits", "any")]);
        assert_eq!(ends(&scratch), (code, failed(&format!("killed by SIG{name}"))));
    }
}

#[test]
fn one_that_has_ended_too_often_or_failed_by_its_finish_ends_it_with_the_last_code_of_run() {
    let scratch = services("echo >>started; exit 5", &[("max-restarts", "2/1h")]);
    let (code, said) = ends(&scratch);
    assert!(said.starts_with(&failed("ended 2 times in ").trim_end().to_owned()), "{said}");
    assert_eq!((code, lines(&scratch, "scan/web/started").len()), (5, 2));
    let scratch = services("exit 6", &[]);
    scratch.script("scan/web/finish", "exit 125");
    assert_eq!(ends(&scratch), (6, failed("finish said so")));
}

#[test]
fn the_others_end_nothing_and_neither_does_svc() {
    let scratch = services("echo >>started; exec sleep 100000", &[("final-exits", "any")]);
    scratch.service("scan/job", "exit 3");
    scratch.write("scan/job/final-exits", "any");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    init.wait_lines("scan/web/started", 1);
    wait_until("the job has failed", || scratch.run("svstat", &["scan/job"]).out().contains("failed: exited 3"));
    for (letters, starts) in [("-t", 2), ("-k", 3), ("-r", 4)] {
        init.svc(letters, "web");
        init.wait_lines("scan/web/started", starts);
        init.wait_up(&["web"]);
    }
    init.svc("-d", "web");
    wait_until("it is down", || !init.is_up("web"));
    holds_for(Duration::from_secs(1), "svscan stays", || init.is_up("other"));
    init.svc("-u", "web");
    init.wait_lines("scan/web/started", 5);
    init.wait_up(&["web"]);
    assert_eq!(
        (init.stop(), scratch.text("svscan.err")),
        (0, "supervise: warning: not starting job again: exited 3\n".to_owned())
    );
}

#[test]
fn whoever_waits_is_told_why_and_what_is_left_is_told_by_svstat() {
    let scratch = services(&on_demand(7), &[("final-exits", "any"), ("notification-fd", "7")]);
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    let waits = File::create(scratch.path("waits")).expect("a file");
    let mut command = scratch.command("svc", &["--wait=ready", "scan/web"]);
    let mut wait = start(command.stdin(Stdio::null()).stderr(waits));
    wait_until("it waits", || children(wait.pid()).is_empty() && testkit::state(wait.pid()) == Some('S'));
    scratch.write("scan/web/go", "");
    assert_eq!(wait.end(), 1);
    let told = "svc: warning: unable to wait for scan/web to be ready: it has failed: exited 7\n";
    assert_eq!((scratch.text("waits").as_str(), init.end()), (told, 7));
    let left = scratch.run("svstat", &["scan/web"]).out();
    assert!(left.ends_with(": supervise not running\n"), "{left}");
}

#[test]
fn a_successor_of_a_supervise_that_was_killed_and_a_new_file_of_svscan_know() {
    let scratch = services(&on_demand(7), &[("final-exits", "any")]);
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    init.wait_lines("scan/web/started", 1);
    let place = || std::fs::read(format!("/proc/{}/auxv", init.pid())).expect("it lives");
    let before = place();
    init.signal("USR2");
    wait_until("it is another program", || place() != before);
    assert_eq!(init.svc("--reexec", "web").code, 0);
    let supervises = children(init.pid());
    for supervise in &supervises {
        signal(*supervise, "KILL");
    }
    wait_until("others run", || {
        let now = children(init.pid());
        now.len() >= 2 && now.iter().all(|pid| !supervises.contains(pid))
    });
    init.wait_up(&["web", "other"]);
    scratch.write("scan/web/go", "");
    assert_eq!((init.end(), init.err()), (7, failed("exited 7")));
    assert_eq!(lines(&scratch, "scan/web/started").len(), 1);
}

/// The supervise of the service `web`.
fn supervise(scratch: &Scratch) -> Option<u32> {
    testkit::record(scratch.path("scan/web"))
        .map(|record| record.observed.supervise.pid)
        .filter(|&pid| testkit::lives(pid))
}

#[test]
fn a_svscan_that_was_killed_and_started_again_ends_with_it_whenever_that_ends_and_the_next_one_begins_anew() {
    for while_svscan_is_dead in [false, true] {
        let scratch = services(&on_demand(7), &[("final-exits", "any")]);
        let init = Init::told(&scratch, &["--grace", FOREVER]);
        init.wait_up(&["web", "other"]);
        let pid = wait_for("its supervise", || supervise(&scratch));
        init.kill();
        let end = || {
            scratch.write("scan/web/go", "");
            wait_until("supervise has left", || !testkit::lives(pid));
        };
        if while_svscan_is_dead {
            end();
        }
        let mut second = Init::told(&scratch, &["--grace", FOREVER]);
        if !while_svscan_is_dead {
            second.wait_ready();
            end();
        }
        assert_eq!((second.end(), second.err()), (7, failed("exited 7")));
        assert_eq!(lines(&scratch, "scan/web/started").len(), 1, "it is not started again");
        std::fs::remove_file(scratch.path("scan/web/go")).expect("it is there");
        let third = Init::told(&scratch, &["--grace", FOREVER]);
        third.wait_lines("scan/web/started", 2);
        third.wait_up(&["web", "other"]);
        assert_eq!(third.stop(), 0);
    }
}

#[test]
fn a_svscan_that_is_no_init_warns_and_nothing_else() {
    let warning = "supervise: warning: web is essential, but there is no svscan --init that ends with it\n";
    let scratch = services(&on_demand(7), &[("final-exits", "any")]);
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    let said = || scratch.text("svscan.err");
    scratch.write("scan/web/go", "");
    wait_until(&format!("it is said: {}", said()), || said() == failed("exited 7") + warning);
    let is_failed = || scratch.run("svstat", &["scan/web"]).out().ends_with(", failed: exited 7\n");
    holds_for(Duration::from_secs(1), "svscan stays", || is_failed() && testkit::lives(svscan.pid()));
    scratch.run("svc", &["-u", "scan/web"]);
    wait_until("it is said again", || said() == (failed("exited 7") + warning).repeat(2));
    // What an init has left undone does not start the service again either.
    let scratch = services(&on_demand(7), &[("final-exits", "any")]);
    let init = Init::told(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    let pid = wait_for("its supervise", || supervise(&scratch));
    init.kill();
    scratch.write("scan/web/go", "");
    wait_until("supervise has left", || !testkit::lives(pid));
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    wait_until("it is down for good", || scratch.run("svok", &["scan/web"]).code == 0 && supervise(&scratch).is_some());
    let is_failed = || scratch.run("svstat", &["scan/web"]).out().ends_with(", failed: exited 7\n");
    wait_until("svstat says so", is_failed);
    assert_eq!(lines(&scratch, "scan/web/started").len(), 1);
}

#[test]
fn an_essential_logger_is_none() {
    let scratch = services(MORTAL, &[]);
    scratch.service("scan/web/log", "exit 3");
    scratch.write("scan/web/log/essential", "");
    scratch.write("scan/web/log/final-exits", "any");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    let warning = "supervise: warning: web/log is essential, but there is no svscan --init that ends with it\n";
    wait_until("it is said", || init.err().ends_with(warning));
    init.wait_up(&["web", "other"]);
    assert_eq!(init.stop(), 0);
}

#[test]
fn it_ends_as_an_ordinary_user_with_its_state_elsewhere() {
    let scratch = services("exit 7", &[("final-exits", "any")]);
    for program in ["svscan", "supervise"] {
        scratch.lend(program);
    }
    scratch.mkdir_given("state");
    for _ in 0..2 {
        let file = |name: &str| File::options().create(true).append(true).open(scratch.path(name)).expect("a file");
        let mut command = scratch.ordinary("svscan", &["--init", "--state", "state", "--grace", FOREVER, "scan"]);
        let mut svscan = start(command.stdin(Stdio::null()).stdout(file("svscan.out")).stderr(file("svscan.err")));
        assert_eq!(svscan.end(), 7);
    }
    assert_eq!(scratch.text("svscan.err"), failed("exited 7").repeat(2), "the second one has started it again");
}

#[test]
fn two_that_end_at_a_time_end_one_svscan() {
    for _ in 0..5 {
        let scratch = services("exit 7", &[("final-exits", "any")]);
        scratch.service("scan/other", "exit 7");
        scratch.write("scan/other/final-exits", "any");
        scratch.write("scan/other/essential", "");
        assert_eq!(Init::told(&scratch, &["--grace", FOREVER]).end(), 7);
        for name in ["web", "other"] {
            scratch.service(&format!("scan/{name}"), MORTAL);
        }
        let next = Init::told(&scratch, &["--grace", FOREVER]);
        next.wait_up(&["web", "other"]);
        wait_until("svscan catches TERM", || catches_term(next.pid()));
        assert_eq!(next.stop(), 0);
    }
}
