//! svscanboot: the same cases on ours and on Debian's, whose script is run with another scan directory in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, make_executable, start, wait_for, wait_until};

/// Starts svscanboot on the scan directory `service`.
fn boot(scratch: &Scratch) -> Running {
    let service = scratch.mkdir("service");
    let mut command = scratch.command("svscanboot", &[]);
    if scratch.suite().is_original() {
        let script = fs::read_to_string(scratch.suite().path("svscanboot")).expect("Debian's is a script");
        assert!(script.contains("/etc/service"));
        let own = scratch.write("svscanboot", script.replace("/etc/service", service.to_str().expect("UTF-8")));
        make_executable(&own);
        command = Command::new(own);
        command.current_dir(scratch.root());
    }
    command.env("SVSCAN_DIR", service).env("SECRET", "not for services");
    start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// What `ps` shows of a process.
fn title(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// A child of `parent` whose title begins with that word, whatever path stands before it.
fn child(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let named = |pid: &u32| Path::new(title(*pid).split(' ').next().unwrap_or_default()).ends_with(name);
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(named)
}

#[test]
fn services_get_path_alone_and_an_empty_stdin() {
    let scratch = Scratch::new();
    scratch.service("a", "exec >out; env; ls -l /proc/self/fd/0; exec sleep 1000");
    symlink("../a", scratch.mkdir("service").join("a")).expect("a link");
    let _boot = boot(&scratch);
    wait_until("the service wrote", || scratch.text("a/out").contains(" -> "));
    let out = scratch.text("a/out");
    let path = "PATH=/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin\n";
    assert!(out.contains(path), "{out}");
    // PWD and the like are the shell's.
    assert!(!out.contains("SECRET") && !out.contains("HOME=") && !out.contains("SVSCAN_DIR"), "{out}");
    assert!(out.trim_end().ends_with("-> /dev/null"), "{out}");
}

#[test]
fn what_services_say_is_shown_in_the_title_of_readproctitle() {
    let scratch = Scratch::new();
    scratch.service("service/a", "echo to stdout; echo to stderr >&2; exec sleep 1000");
    let boot = boot(&scratch);
    let reader = wait_for("readproctitle", || child(boot.pid(), "readproctitle"));
    wait_until("both lines are shown", || {
        let title = title(reader);
        title.contains("to stdout\n") && title.contains("to stderr\n")
    });
    let title = title(reader);
    assert!(title.contains("readproctitle service errors: ..."), "{title}");
    let dots = title.split("errors: ").nth(1).unwrap_or_default();
    assert_eq!(dots.trim_end_matches(' ').len(), 400, "400 bytes are kept");
}

#[test]
fn what_an_earlier_run_left_behind_is_ended_first() {
    let scratch = Scratch::new();
    scratch.service("service/a", "echo run >>out; exec sleep 1000");
    scratch.script("service/a/log/run", "exec sleep 1000");
    let mut left = scratch.start("left", "supervise", &["service/a"]);
    let mut left_log = scratch.start("left-log", "supervise", &["service/a/log"]);
    for dir in ["service/a", "service/a/log"] {
        wait_until("the leftover runs", || scratch.run("svstat", &[dir]).out().contains(": up "));
    }
    // It is up before its shell has written anything.
    wait_until("it has run", || scratch.text("service/a/out") == "run\n");
    let _boot = boot(&scratch);
    assert_eq!((left.end(), left_log.end()), (0, 0));
    wait_until("it runs again", || scratch.text("service/a/out") == "run\nrun\n");
}
