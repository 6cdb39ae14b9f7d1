//! When the original's svscan dies, its svscanboot lives on without one for as long as anything has the pipe to readproctitle open; and when it is
//! started, it first ends every service that an earlier run has left, with `svc -dx`. Ours starts svscan and readproctitle again when they die, at
//! most once a second, and takes over what is left; only a service whose log pipe cannot be found again is ended. Why: nothing that is killed may
//! take a service down, and a svscan that is gone must come back. The original hands on which signals its starter ignores or blocks; below ours all have
//! their default actions, as if an init had started it.

#![cfg(target_os = "linux")]

use std::fs;

use testkit::{Running, Scratch, signal, start, wait_for, wait_until};

use crate::world::{lines, pid, wait_up};

/// Starts svscanboot as the leader of a process group, as init does.
pub fn boot(scratch: &Scratch) -> Running {
    let program = scratch.suite().path("svscanboot");
    let dir = scratch.mkdir("service");
    let mut command = scratch.command("pgrphack", &[]);
    start(command.arg(program).arg(dir).env_remove("RUNLEVEL"))
}

/// A child of `parent` that was called so.
pub fn child(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).next().is_some_and(|word| word == name.as_bytes())
    };
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(named)
}

/// A service with a logger. What it leaves behind does not hold the log pipe open.
pub fn service(scratch: &Scratch, name: &str) {
    scratch.service(
        &format!("service/{name}"),
        "echo run >>ran; echo begin; trap 'echo end; exit 0' TERM; while :; do sleep 1000 >/dev/null 2>&1 & wait $!; done",
    );
    scratch.script(format!("service/{name}/log/run"), &logs(scratch));
}

/// The end of a logger's `run`. Below svscanboot the PATH is that of an installed suite.
fn logs(scratch: &Scratch) -> String {
    format!("exec {} ./main", scratch.suite().path("multilog").display())
}

/// svscan, once it serves.
pub fn svscan(boot: &Running) -> u32 {
    wait_for("svscan runs", || child(boot.pid(), "svscan"))
}

fn title(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
}

#[test]
fn svscan_comes_back_and_no_service_notices() {
    let scratch = Scratch::new();
    service(&scratch, "a");
    let mut boot = boot(&scratch);
    let service = wait_up(&scratch, "service/a");
    let logger = wait_up(&scratch, "service/a/log");
    wait_until("it has run", || lines(&scratch, "service/a/ran") == 1);
    for _ in 0..2 {
        let old = svscan(&boot);
        signal(old, "KILL");
        wait_until("another one runs", || child(boot.pid(), "svscan").is_some_and(|new| new != old));
    }
    // It serves: a new name is found.
    scratch.service("service/b", "exec sleep 1000");
    wait_up(&scratch, "service/b");
    assert_eq!((pid(&scratch, "service/a"), pid(&scratch, "service/a/log")), (Some(service), Some(logger)));
    assert_eq!(lines(&scratch, "service/a/ran"), 1);
    assert_eq!(boot.ended(), None);
}

#[test]
fn readproctitle_comes_back_and_shows_what_is_said() {
    let scratch = Scratch::new();
    let boot = boot(&scratch);
    let old = wait_for("readproctitle", || child(boot.pid(), "readproctitle"));
    signal(old, "KILL");
    let new = wait_for("another", || child(boot.pid(), "readproctitle").filter(|&new| new != old));
    scratch.service("service/a", "echo said; exec sleep 1000");
    wait_until("it is shown", || title(new).contains("said\n"));
}

#[test]
fn what_an_earlier_run_left_is_taken_over() {
    let scratch = Scratch::new();
    service(&scratch, "a");
    scratch.service("service/b", "echo run >>ran; exec sleep 1000");
    let mut first = boot(&scratch);
    let services = ["service/a", "service/a/log", "service/b"];
    let before = services.map(|name| wait_up(&scratch, name));
    let ran = || (lines(&scratch, "service/a/ran"), lines(&scratch, "service/b/ran"));
    wait_until("they have run", || ran() == (1, 1));
    let orphan = svscan(&first);
    first.signal("KILL");
    first.end();
    // The svscan that is left refuses any other; it is replaced.
    let second = boot(&scratch);
    wait_until("there is another svscan", || child(second.pid(), "svscan").is_some());
    wait_until("the old one is gone", || !scratch.processes().contains(&orphan));
    scratch.service("service/c", "exec sleep 1000");
    wait_up(&scratch, "service/c");
    assert_eq!(services.map(|name| wait_up(&scratch, name)), before);
    assert_eq!(ran(), (1, 1));
}

#[test]
fn what_its_starter_ignores_and_blocks_is_nothing_to_the_services() {
    let scratch = Scratch::new();
    let blocks = ["USR1", "TERM", "RTMIN", "QUIT"].join(",");
    let env = |words: &[&str]| testkit::finish(std::process::Command::new("env").args(words)).code == 0;
    let block = format!("--block-signal={blocks}");
    scratch.service("service/a", "exec 2>&1; exec cat /proc/self/status");
    scratch.script("service/a/log/run", &format!("cat /proc/self/status >log; {}", logs(&scratch)));
    // Shells ignore INT and QUIT in what they start in the background.
    let mut words = vec!["-c", "trap '' HUP INT QUIT PIPE USR2 TSTP; exec \"$@\"", "sh"];
    if env(&[&block, "true"]) {
        words.extend(["env", &block]);
    }
    let program = scratch.suite().path("svscanboot");
    let mut command = std::process::Command::new("sh");
    let command = command.args(words).arg(program).arg(scratch.path("service")).current_dir(scratch.root());
    let mut boot = start(command.env_remove("RUNLEVEL"));
    for file in ["service/a/log/main/current", "service/a/log/log"] {
        wait_until("it is written", || scratch.text(file).contains("SigCgt:"));
        let text = scratch.text(file);
        let set = |name: &str| {
            let set = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            u64::from_str_radix(set, 16).expect("a set of signals")
        };
        assert_eq!(set("SigBlk:"), 0, "{text}");
        // Those from 32 on are no affair of a shell, and 32 and 33 are libc's.
        assert_eq!(set("SigIgn:") & 0x7fff_ffff, 0, "{text}");
    }
    // To itself it stays what it was.
    for name in ["HUP", "QUIT", "USR2", "TERM"] {
        boot.signal(name);
    }
    assert_eq!(boot.end(), 0);
}
