//! What `run` is given: everything that supervise had, and nothing of supervise's own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, finish, needs_program, start, stat, wait_for, wait_until};

use super::world::{MORTAL, Record, Service, descriptors, scratch, status_line, wait_sleep};

/// A command line, to be run by a shell after `preparation`.
fn after(scratch: &Scratch, preparation: &str, words: &[&OsStr]) -> Running {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{preparation}\nexec \"$@\"")).arg("sh").args(words);
    start(shell.current_dir(scratch.root()).stdin(Stdio::null()))
}

/// Supervises [`MORTAL`] as `a` after `preparation`; returns supervise and the service when sleep runs.
fn prepared(scratch: &Scratch, preparation: &str) -> (Running, u32) {
    scratch.service("a", MORTAL);
    let supervise = after(scratch, preparation, &[scratch.suite().path("supervise").as_os_str(), "a".as_ref()]);
    let pid =
        wait_for("it is up", || Record::read(&scratch.path("a")).map(|record| record.pid).filter(|&pid| pid != 0));
    wait_sleep(pid);
    (supervise, pid)
}

/// What sleep is given without a supervise between the same `preparation` and it: the caller of the tests may have left
/// descriptors open, or signals ignored.
fn given<T>(scratch: &Scratch, preparation: &str, look: impl Fn(u32) -> T) -> T {
    let sleep = after(scratch, preparation, &["sleep", "100000"].map(OsStr::new));
    wait_sleep(sleep.pid());
    look(sleep.pid())
}

#[test]
fn run_is_called_as_dot_slash_run_in_the_service_directory() {
    let scratch = scratch();
    scratch.service("x/a", "cat /proc/$$/cmdline >words; pwd -P >where; exec sleep 100000");
    let service = Service::of(&scratch, "x/a");
    wait_until("it has written", || service.text("where").ends_with('\n'));
    let words = fs::read(service.dir.join("words")).expect("it is there");
    assert_eq!(words, b"/bin/sh\0./run\0");
    let dir = fs::canonicalize(&service.dir).expect("it is there");
    assert_eq!(service.text("where").trim_end(), dir.to_str().expect("a name of ours"));
}

#[test]
fn the_parent_of_run_is_supervise() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    assert_eq!(stat(pid).expect("it lives")[1], service.supervise.pid().to_string());
}

#[test]
fn the_environment_passes_unchanged() {
    let scratch = scratch();
    scratch.service("a", "cat /proc/$$/environ >environment; echo >done; exec sleep 100000");
    let mut command = scratch.command("supervise", &["a"]);
    command.env("EMPTY", "").env("_odd name", "x\n=y").env("BYTES", OsStr::from_bytes(b"\xff\x01")).env_remove("PWD");
    let supervise = start(command.stdin(Stdio::null()));
    wait_until("it has written", || scratch.text("a/done") == "\n");
    let given = fs::read(format!("/proc/{}/environ", supervise.pid())).expect("it lives");
    assert_eq!(scratch.read("a/environment"), given);
    assert!(given.windows(9).any(|bytes| bytes == b"BYTES=\xff\x01\0"), "{given:?}");
}

#[test]
fn an_empty_environment_stays_empty() {
    let scratch = scratch();
    scratch.service("a", "cat /proc/$$/environ >environment; echo >done; exec sleep 100000");
    let _supervise = start(scratch.command("supervise", &["a"]).env_clear().stdin(Stdio::null()));
    wait_until("it has written", || scratch.text("a/done") == "\n");
    assert_eq!(scratch.text("a/environment"), "");
}

#[test]
fn descriptors_pass_and_none_of_supervise_is_among_them() {
    let scratch = scratch();
    let preparation = "exec 1>out 2>err 7<out 9>nine";
    let (_supervise, pid) = prepared(&scratch, preparation);
    let found = descriptors(pid);
    assert_eq!(found, given(&scratch, preparation, descriptors));
    for (number, name) in [(1, "out"), (2, "err"), (7, "out"), (9, "nine")] {
        let file = fs::canonicalize(scratch.path(name)).expect("it is there");
        assert!(found.contains(&(number, file)), "{number} in {found:?}");
    }
}

#[test]
fn closed_descriptors_stay_closed() {
    let scratch = scratch();
    let preparation = "exec 0<&- 1>&- 2>&-";
    let (_supervise, pid) = prepared(&scratch, preparation);
    let found = descriptors(pid);
    assert_eq!(found, given(&scratch, preparation, descriptors));
    assert!(found.iter().all(|&(number, _)| number > 2), "{found:?}");
}

/// The sets of signals of a process: ignored, blocked, caught.
fn signals(pid: u32) -> [u64; 3] {
    ["SigIgn", "SigBlk", "SigCgt"]
        .map(|line| u64::from_str_radix(&status_line(pid, line), 16).expect("hexadecimal digits"))
}

/// HUP, PIPE, USR1 and CHLD: bit n-1 is signal n.
const SOME: u64 = 1 | 1 << 12 | 1 << 9 | 1 << 16;

#[test]
fn signals_are_default_and_none_is_blocked() {
    let scratch = scratch();
    let (_supervise, pid) = prepared(&scratch, "");
    let found = signals(pid);
    assert_eq!(found, given(&scratch, "", signals));
    assert_eq!(found.map(|set| set & SOME), [0, 0, 0]);
}

#[test]
fn ignored_signals_stay_ignored_and_the_rest_are_default() {
    let scratch = scratch();
    let preparation = "trap '' HUP PIPE USR1";
    let (_supervise, pid) = prepared(&scratch, preparation);
    let found = signals(pid);
    assert_eq!(found, given(&scratch, preparation, signals));
    assert_eq!(found.map(|set| set & SOME), [1 | 1 << 12 | 1 << 9, 0, 0]);
}

#[test]
fn blocked_signals_stay_blocked_but_for_sigchld() {
    let Some(env) = needs_program("env") else { return };
    if finish(Command::new(&env).args(["--block-signal=USR1", "true"])).code != 0 {
        return testkit::skip("this env cannot block signals");
    }
    let scratch = scratch();
    scratch.service("a", MORTAL);
    let mut command = Command::new(env);
    command.args(["--block-signal=USR1,CHLD"]).arg(scratch.suite().path("supervise")).arg("a");
    let _supervise = start(command.current_dir(scratch.root()).stdin(Stdio::null()));
    let pid =
        wait_for("it is up", || Record::read(&scratch.path("a")).map(|record| record.pid).filter(|&pid| pid != 0));
    wait_sleep(pid);
    assert_eq!(signals(pid)[1] & SOME, 1 << 9);
    // And supervise hears of the death although SIGCHLD was blocked.
    testkit::signal(pid, "KILL");
    wait_until("it is up again", || {
        Record::read(&scratch.path("a")).is_some_and(|record| record.pid != 0 && record.pid != pid)
    });
}

#[test]
fn the_process_group_the_session_and_the_terminal_are_those_of_supervise() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    wait_sleep(pid);
    let (own, child) = (stat(service.supervise.pid()).expect("it lives"), stat(pid).expect("it lives"));
    // Process group, session, terminal.
    assert_eq!(child[2..5], own[2..5]);
}

#[test]
fn limits_umask_and_identity_are_those_of_supervise() {
    let scratch = scratch();
    let (supervise, pid) = prepared(&scratch, "umask 051; ulimit -c 0; ulimit -n 100; ulimit -f 1000");
    assert_eq!(status_line(pid, "Umask"), "0051");
    for line in ["Uid", "Gid", "Groups", "NoNewPrivs"] {
        assert_eq!(status_line(pid, line), status_line(supervise.pid(), line), "{line}");
    }
    let limits = |pid: u32| fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    assert_eq!(limits(pid), limits(supervise.pid()));
    assert!(limits(pid).lines().any(|line| line.starts_with("Max open files") && line.contains(" 100 ")));
}

#[test]
fn supervise_stays_in_the_service_directory() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let cwd = fs::read_link(format!("/proc/{}/cwd", service.supervise.pid())).expect("it lives");
    assert_eq!(cwd, fs::canonicalize(&service.dir).expect("it is there"));
}

#[test]
fn output_of_run_goes_where_that_of_supervise_goes() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", "echo out; echo err >&2; exec sleep 100000");
    wait_until("both lines are there", || scratch.text("a.out") == "out\n" && service.stderr() == "err\n");
}

#[test]
fn a_run_that_is_a_link_or_a_binary_is_executed() {
    let scratch = scratch();
    scratch.script("elsewhere", "echo $0 >ran; exec sleep 100000");
    std::os::unix::fs::symlink("../elsewhere", scratch.mkdir("link").join("run")).expect("a link");
    let linked = Service::of(&scratch, "link");
    linked.wait_file("ran", "./run\n");
    // With no operand cat copies its stdin, which is empty.
    let Some(cat) = needs_program("cat") else { return };
    std::os::unix::fs::symlink(cat, scratch.mkdir("binary").join("run")).expect("a link");
    let mut binary = Service::of(&scratch, "binary");
    binary.svc("dx");
    assert_eq!(binary.end(), 0);
    assert_eq!(binary.stderr(), "");
}
