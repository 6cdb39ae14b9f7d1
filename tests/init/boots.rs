//! What a record says about another life of the system: a container that was started again, or moved. Its pids are nobody's, and what was wanted then is not wanted
//! now.

use std::fs;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, holds_for, needs_program, needs_root, start, wait_until};

use super::world::{Init, lines};

const TELLER: &str = "echo start >>starts; exec sleep 100000";

/// Whether the test may make namespaces, which it says otherwise.
fn needs_namespaces() -> bool {
    needs_root() && needs_program("unshare").is_some()
}

fn starts(scratch: &Scratch) -> usize {
    if scratch.path("scan/web/starts").exists() { lines(scratch, "scan/web/starts").len() } else { 0 }
}

/// What programs of the suite have said. unshare says a word of its own when what it waits for is killed.
fn said(scratch: &Scratch, file: &str) -> String {
    lines(scratch, file).into_iter().filter(|line| !line.starts_with("unshare: ")).collect()
}

#[test]
fn a_container_that_is_killed_and_started_again_has_its_services_up() {
    if !needs_namespaces() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/web", TELLER);
    let first = Init::start(&scratch, &[]);
    // It is up before its shell has written anything.
    wait_until("it was started", || starts(&scratch) == 1);
    assert_eq!(first.svc("-d", "web").code, 0);
    wait_until("it is down", || !first.is_up("web"));
    // As `docker kill` does: all of the namespace goes at once.
    kill(&scratch, first);
    let second = Init::start(&scratch, &[]);
    second.wait_up(&["web"]);
    wait_until("it was started twice", || starts(&scratch) == 2);
    // Killed in the middle of its life: the record names a process that was.
    kill(&scratch, second);
    let third = Init::start(&scratch, &[]);
    wait_until("it was started three times", || starts(&scratch) == 3);
    third.wait_up(&["web"]);
    assert_eq!(third.stop(), 0);
    assert_eq!(said(&scratch, "svscan.err"), "");
}

/// Kills process 1, and so everybody.
fn kill(scratch: &Scratch, init: Init<'_>) {
    testkit::signal(init.pid(), "KILL");
    wait_until("nobody is left", || scratch.processes().is_empty());
    drop(init);
}

/// `supervise scan/web` below unshare with these options.
fn supervise_in(scratch: &Scratch, options: &[&str]) -> Running {
    let file = fs::File::options().create(true).append(true).open(scratch.path("err")).expect("a file");
    let mut command = Command::new("unshare");
    command.args(options).arg(scratch.suite().path("supervise")).arg("scan/web").current_dir(scratch.root());
    start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file))
}

#[test]
fn another_time_namespace_is_another_boot() {
    if !needs_namespaces() {
        return;
    }
    let probe = Command::new("unshare").args(["--time", "--fork", "--boottime", "1000", "true"]).output();
    if !probe.is_ok_and(|ran| ran.status.success()) {
        return testkit::skip("there are no time namespaces");
    }
    let scratch = Scratch::new();
    scratch.service("scan/web", TELLER);
    let mut first = scratch.start("first", "supervise", &["scan/web"]);
    wait_until("it has started", || starts(&scratch) == 1);
    let down = scratch.run("svc", &["-d", "--wait=down", "--timeout=20", "scan/web"]);
    assert_eq!((down.code, down.err().as_str()), (0, ""));
    first.signal("KILL");
    first.end();
    let _moved = supervise_in(&scratch, &["--time", "--fork", "--kill-child", "--boottime", "100000"]);
    wait_until("it has started again", || starts(&scratch) == 2);
    holds_for(std::time::Duration::from_millis(500), "once", || starts(&scratch) == 2);
    assert_eq!(said(&scratch, "err"), "");
}

#[test]
fn without_anything_that_tells_boots_apart_it_is_said_that_a_service_is_not_taken_over() {
    if !needs_namespaces() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/web", TELLER);
    let run = |name: &str| {
        let file = fs::File::create(scratch.path(name)).expect("a file");
        let script = "mount -t tmpfs none /proc && exec \"$0\" scan/web";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--fork", "--kill-child", "sh", "-c", script]).arg(scratch.suite().path("supervise"));
        start(command.current_dir(scratch.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file))
    };
    let mut first = run("first");
    wait_until("it has started", || starts(&scratch) == 1);
    first.signal("KILL");
    first.end();
    wait_until("its supervise is gone", || scratch.run("svok", &["scan/web"]).code == 100);
    assert_eq!(scratch.text("first"), "");
    let _second = run("second");
    wait_until("it has started again", || starts(&scratch) == 2);
    let why = "starting anew: nothing here tells one boot from another";
    let line = format!("supervise: warning: unable to take over scan/web from a supervise that was killed, {why}\n");
    assert_eq!(scratch.text("second"), line);
}
