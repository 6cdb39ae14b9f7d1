//! When the original's svscan dies, its pipes die with it, nobody starts a supervise that ends again, and the next svscan fights for the locks of
//! the supervises that live. Ours finds them and their pipes again. Why: whatever is killed, no service restarts and no line of a log
//! is lost.

#![cfg(target_os = "linux")]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{
    Running, Scratch, holds_for, lives, needs_program, needs_root, parent, signal, start, wait_for, wait_until,
};

use crate::talker::Talker;
use crate::world::{pid, process, svc, svstat, wait_down, wait_up};

fn svscan(scratch: &Scratch) -> Running {
    scratch.start("svscan", "svscan", &["scan"])
}

fn kill(mut svscan: Running) {
    svscan.signal("KILL");
    assert_eq!(svscan.end(), 1009);
}

/// A service, and a logger that keeps what it says.
fn talker(scratch: &Scratch) -> Talker {
    Talker::make(scratch, "exec multilog ./main")
}

/// The lines of the whole log: a logger that was killed leaves a finished file behind.
fn log(scratch: &Scratch) -> Vec<String> {
    let entries = std::fs::read_dir(scratch.path("scan/a/log/main")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let files = names.iter().filter(|name| name.starts_with('@') || *name == "current");
    files
        .flat_map(|name| scratch.text(format!("scan/a/log/main/{name}")).lines().map(Into::into).collect::<Vec<_>>())
        .collect()
}

fn is_gone(pid: u32) -> bool {
    !std::fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

fn supervise_of(scratch: &Scratch, dir: &str) -> u32 {
    wait_for("its supervise runs", || process(scratch, &[dir]))
}

/// Whether svscan waits for the end of the supervise in `dir`: it has its `ok` open then.
fn watches(svscan: &Running, scratch: &Scratch, dir: &str) -> bool {
    let ok = scratch.path(format!("scan/{dir}/supervise/ok"));
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", svscan.pid())).expect("it runs");
    descriptors.flatten().any(|descriptor| std::fs::read_link(descriptor.path()).is_ok_and(|file| file == ok))
}

#[test]
fn a_new_svscan_leaves_running_supervises_alone_and_takes_care_of_them() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 1000");
    let first = svscan(&scratch);
    let child = wait_up(&scratch, "scan/a");
    let supervise = supervise_of(&scratch, "a");
    kill(first);
    let second = svscan(&scratch);
    holds_for(Duration::from_millis(1500), "it is left alone", || {
        pid(&scratch, "scan/a") == Some(child) && supervise_of(&scratch, "a") == supervise
    });
    assert_eq!(scratch.text("svscan.err"), "");
    // When it ends, another takes its place at once, and takes the service over.
    signal(supervise, "KILL");
    wait_until("another supervise runs", || process(&scratch, &["a"]).is_some_and(|new| new != supervise));
    wait_until("it has taken over", || scratch.run("svok", &["scan/a"]).code == 0);
    assert_eq!(pid(&scratch, "scan/a"), Some(child));
    assert_eq!(parent(supervise_of(&scratch, "a")), Some(second.pid()));
    assert_eq!(scratch.text("svscan.err"), "");
}

/// The parent of the service is svscan by now, and its supervise obeys before it sees that the service has ended.
#[test]
fn a_signal_for_a_service_that_has_just_ended_is_no_trouble() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 1000");
    let _svscan = svscan(&scratch);
    let child = wait_up(&scratch, "scan/a");
    let first = supervise_of(&scratch, "a");
    signal(first, "KILL");
    wait_until("another supervise runs", || process(&scratch, &["a"]).is_some_and(|new| new != first));
    wait_until("it has taken over", || scratch.run("svok", &["scan/a"]).code == 0);
    assert_eq!(pid(&scratch, "scan/a"), Some(child));
    let second = supervise_of(&scratch, "a");
    signal(second, "STOP");
    wait_until("it stands still", || testkit::state(second) == Some('T'));
    signal(child, "KILL");
    wait_until("the service is reaped", || is_gone(child));
    svc(&scratch, "-t", "scan/a");
    signal(second, "CONT");
    wait_until("it is started again", || pid(&scratch, "scan/a").is_some_and(|pid| pid != child));
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn logs_go_on_over_the_death_of_svscan_and_then_of_anybody_else() {
    let scratch = Scratch::new();
    let mut talker = talker(&scratch);
    let first = svscan(&scratch);
    wait_up(&scratch, "scan/a/log");
    wait_up(&scratch, "scan/a");
    talker.say("1");
    wait_until("it is logged", || log(&scratch) == ["1"]);
    kill(first);
    talker.say("2");
    wait_until("it is logged without a svscan", || log(&scratch) == ["1", "2"]);
    let _second = svscan(&scratch);
    // Logger and its supervise die: the line waits in the pipe for the next ones.
    let logger = wait_up(&scratch, "scan/a/log");
    signal(supervise_of(&scratch, "a/log"), "KILL");
    signal(logger, "KILL");
    // Until it is dead it may read the line and take it along.
    wait_until("the logger is dead", || !lives(logger));
    talker.say("3");
    wait_until("it is logged by another logger", || log(&scratch) == ["1", "2", "3"]);
    // The same with the service.
    let service = wait_up(&scratch, "scan/a");
    signal(supervise_of(&scratch, "a"), "KILL");
    signal(service, "KILL");
    wait_until("another service runs", || pid(&scratch, "scan/a").is_some_and(|pid| pid != service));
    talker.say("4");
    wait_until("it is logged by the same logger", || log(&scratch) == ["1", "2", "3", "4"]);
}

#[test]
fn a_pipe_that_only_the_service_and_its_logger_hold_is_found_again() {
    let scratch = Scratch::new();
    let mut talker = talker(&scratch);
    let first = svscan(&scratch);
    let logger = wait_up(&scratch, "scan/a/log");
    let service = wait_up(&scratch, "scan/a");
    let supervises = [supervise_of(&scratch, "a"), supervise_of(&scratch, "a/log")];
    kill(first);
    for supervise in supervises {
        signal(supervise, "KILL");
        wait_until("it is gone", || is_gone(supervise) || parent(supervise) == Some(1));
    }
    let _second = svscan(&scratch);
    for dir in ["scan/a", "scan/a/log"] {
        wait_until("it is supervised", || scratch.run("svok", &[dir]).code == 0);
    }
    assert_eq!((pid(&scratch, "scan/a"), pid(&scratch, "scan/a/log")), (Some(service), Some(logger)));
    talker.say("1");
    wait_until("it is logged", || log(&scratch) == ["1"]);
    svc(&scratch, "-k", "scan/a");
    wait_until("another service runs", || pid(&scratch, "scan/a").is_some_and(|pid| pid != service));
    talker.say("2");
    wait_until("it is logged by the same logger", || log(&scratch) == ["1", "2"]);
    svc(&scratch, "-k", "scan/a/log");
    wait_until("another logger runs", || pid(&scratch, "scan/a/log").is_some_and(|pid| pid != logger));
    talker.say("3");
    wait_until("it is logged by another logger", || log(&scratch) == ["1", "2", "3"]);
}

#[test]
fn a_pipe_that_only_a_finish_holds_is_found_again() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exit 0");
    scratch.script(
        "scan/a/finish",
        "[ -e begun ] && exit 125; echo >begun; until [ -e go ]; do sleep 0.1; done; echo finished",
    );
    scratch.write("scan/a/timeout-finish", "0");
    scratch.service("scan/a/log", "exec cat >>lines");
    let first = svscan(&scratch);
    let logger = wait_up(&scratch, "scan/a/log");
    wait_until("finish runs", || scratch.path("scan/a/begun").exists());
    let supervises = [supervise_of(&scratch, "a"), supervise_of(&scratch, "a/log")];
    kill(first);
    for pid in [supervises[0], supervises[1], logger] {
        signal(pid, "KILL");
        wait_until("it is gone", || is_gone(pid) || parent(pid) == Some(1));
    }
    let _second = svscan(&scratch);
    for dir in ["scan/a", "scan/a/log"] {
        wait_until("it is supervised", || scratch.run("svok", &[dir]).code == 0);
    }
    scratch.write("scan/a/go", "");
    wait_until("its line is logged", || scratch.text("scan/a/log/lines").starts_with("finished\n"));
}

/// Where a descriptor of a process leads.
fn descriptor(pid: u32, number: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it lives")
}

#[test]
fn the_pipe_that_svscan_writes_to_itself_is_no_log_pipe() {
    let scratch = Scratch::new();
    for name in ["scan/a", "scan/b"] {
        // More than once: what another test starts has the pipe too for the moment between fork and exec.
        let say = "while echo x 2>/dev/null; do sleep 0.02; done";
        scratch.service(name, &format!("trap '' PIPE; read line <>fifo; {say}; echo broken >>seen; exec sleep 1000"));
        sys::fd::make_fifo(&scratch.path(name).join("fifo")).expect("a FIFO");
    }
    let mut first = start(scratch.command("svscan", &["scan"]).stdin(Stdio::null()).stdout(Stdio::piped()));
    let reader = first.child().stdout.take().expect("piped");
    let service = wait_up(&scratch, "scan/a");
    wait_up(&scratch, "scan/b");
    let own = descriptor(first.pid(), 1);
    assert_eq!(descriptor(service, 1), own);
    kill(first);
    // A logger that comes later gets a pipe of its own, and not what the others say.
    scratch.service("scan/a/log", "exec cat >>got");
    let _second = svscan(&scratch);
    let logger = wait_up(&scratch, "scan/a/log");
    assert_ne!(descriptor(logger, 0), own);
    // Nobody of the suite holds the end that is read: who writes without a reader is told.
    drop(reader);
    for name in ["scan/a", "scan/b"] {
        std::fs::write(scratch.path(name).join("fifo"), "\n").expect("it reads");
        wait_until("the pipe is broken", || scratch.text(format!("{name}/seen")) == "broken\n");
    }
    assert_eq!(scratch.text("scan/a/log/got"), "");
}

/// Makes a terminal that is that of no session, says which it is, and keeps it.
const TERMINAL: &str = "
import os, time
kept, terminal = os.openpty()
print(os.ttyname(terminal), flush=True)
time.sleep(100000)
";

/// A process that keeps a terminal, and the name of that.
fn terminal(scratch: &Scratch) -> Option<(Running, String)> {
    needs_program("python3")?;
    let name = || scratch.text("terminal");
    let file = std::fs::File::create(scratch.path("terminal")).expect("a file");
    let keeper = start(Command::new("python3").args(["-c", TERMINAL]).stdout(file));
    wait_until("there is a terminal", || name().ends_with('\n'));
    Some((keeper, name().trim_end().to_owned()))
}

/// A program of the suite that leads a session without a terminal.
fn leader(scratch: &Scratch, program: &str, dir: &str) -> Running {
    let mut command = Command::new("setsid");
    command.arg(scratch.suite().path(program)).arg(dir).current_dir(scratch.root());
    let said = std::fs::File::options().create(true).append(true).open(scratch.path("leader.err")).expect("a file");
    start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said))
}

/// The number of the controlling terminal of a process; 0 if it has none.
fn terminal_of(pid: u32) -> String {
    testkit::stat(pid).expect("it runs")[4].clone()
}

#[test]
fn a_terminal_that_a_service_writes_to_does_not_become_that_of_svscan() {
    let scratch = Scratch::new();
    let Some((_keeper, terminal)) = terminal(&scratch).filter(|_| needs_program("setsid").is_some()) else { return };
    scratch.service("scan/a", &format!("exec >{terminal}; echo >started; exec sleep 1000"));
    scratch.service("scan/a/log", "exec cat >>lines");
    let first = leader(&scratch, "svscan", "scan");
    wait_up(&scratch, "scan/a/log");
    let service = wait_up(&scratch, "scan/a");
    wait_until("it writes to the terminal", || scratch.path("scan/a/started").exists());
    assert_eq!(descriptor(service, 1), PathBuf::from(&terminal));
    // Then only the record says who had the log pipe on stdout: the service.
    let supervises = [supervise_of(&scratch, "a"), supervise_of(&scratch, "a/log")];
    kill(first);
    for supervise in supervises {
        signal(supervise, "KILL");
        wait_until("it has ended", || !lives(supervise));
    }
    let second = leader(&scratch, "svscan", "scan");
    for dir in ["scan/a", "scan/a/log"] {
        wait_until("it is supervised", || scratch.run("svok", &[dir]).code == 0);
    }
    assert_eq!((pid(&scratch, "scan/a"), testkit::session(second.pid())), (Some(service), Some(second.pid())));
    assert_eq!((terminal_of(second.pid()).as_str(), scratch.text("leader.err").as_str()), ("0", ""));
}

#[test]
fn a_terminal_in_place_of_a_file_of_the_service_does_not_become_that_of_supervise() {
    let scratch = Scratch::new();
    let Some((_keeper, terminal)) = terminal(&scratch).filter(|_| needs_program("setsid").is_some()) else { return };
    scratch.service("a", "exec sleep 1000");
    std::os::unix::fs::symlink(terminal, scratch.path("a/sd-notify")).expect("a link");
    let supervise = leader(&scratch, "supervise", "a");
    wait_up(&scratch, "a");
    assert_eq!(testkit::session(supervise.pid()), Some(supervise.pid()));
    assert_eq!(terminal_of(supervise.pid()), "0");
}

#[test]
fn a_service_that_is_removed_after_a_takeover_takes_its_logger_with_it() {
    let scratch = Scratch::new();
    let mut talker = talker(&scratch);
    let first = svscan(&scratch);
    wait_up(&scratch, "scan/a/log");
    wait_up(&scratch, "scan/a");
    kill(first);
    let second = svscan(&scratch);
    wait_until("it has found them", || ["a", "a/log"].iter().all(|dir| watches(&second, &scratch, dir)));
    let logger = supervise_of(&scratch, "a/log");
    talker.say("1");
    wait_until("it is logged", || log(&scratch) == ["1"]);
    std::fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("it can be renamed");
    svc(&scratch, "-dx", "a");
    wait_until("the logger's supervise is gone", || !lives(logger));
    assert_eq!(scratch.text("a/log/main/current"), "1\n");
}

#[test]
fn two_in_one_scan_directory_is_one_too_many() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 1000");
    let _first = svscan(&scratch);
    let child = wait_up(&scratch, "scan/a");
    is_refused(&scratch);
    assert_eq!(pid(&scratch, "scan/a"), Some(child));
}

/// As nobody, holds a flock on the scan directory. The second time whoever has taken it is gone.
const STRANGERS: [&str; 2] =
    ["exec flock scan sh -c 'echo >held; exec sleep 1000'", "exec 9<scan; flock 9; echo >held; exec sleep 1000"];

#[test]
fn a_stranger_who_locks_the_scan_directory_keeps_no_svscan_out_and_lets_no_second_in() {
    if !testkit::needs_inotify() {
        return;
    }
    if !needs_root() || needs_program("flock").is_none() {
        return;
    }
    for stranger in STRANGERS {
        let scratch = Scratch::new();
        scratch.service("scan/a", "exec sleep 1000");
        let mut shell = Command::new("sh");
        shell.args(["-c", &stranger.replace("held", "given/held")]).current_dir(scratch.root()).uid(65534).gid(65534);
        scratch.mkdir_given("given");
        let mut stranger = start(&mut shell);
        wait_until("it is locked", || scratch.path("given/held").exists());
        let first = svscan(&scratch);
        let child = wait_up(&scratch, "scan/a");
        let said = "svscan: warning: unable to lock the scan directory, which a stranger has locked, going on without: temporary failure\n";
        assert_eq!(scratch.text("svscan.err"), said);
        is_refused(&scratch);
        stranger.signal("KILL");
        stranger.end();
        // The lock is free, but the first has its mark there.
        is_refused(&scratch);
        assert_eq!(pid(&scratch, "scan/a"), Some(child));
        assert_eq!(scratch.text("svscan.err"), said);
        kill(first);
    }
}

#[test]
fn a_svscan_of_an_older_release_which_has_no_mark_keeps_others_out() {
    let scratch = Scratch::new();
    // This test is one.
    let directory = std::fs::File::open(scratch.mkdir("scan")).expect("it is there");
    directory.lock().expect("it is free");
    is_refused(&scratch);
}

#[test]
fn a_svscan_that_has_no_descriptor_for_the_lock_does_not_go_on_without() {
    let Some(strace) = needs_program("strace") else { return };
    let scratch = Scratch::new();
    scratch.mkdir("scan");
    let inject = ["-qq", "-o", "/dev/null", "-P", ".", "-e", "inject=?open,?openat:error=ENFILE"];
    let mut command = Command::new(strace);
    command.args(inject).arg(scratch.suite().path("svscan")).arg("scan").current_dir(scratch.root());
    let ran = testkit::finish(&mut command);
    // strace says what the path is.
    let said = "svscan: fatal: unable to lock scan: system cannot open more files";
    assert_eq!((ran.code, ran.err().lines().last()), (111, Some(said)));
}

#[track_caller]
fn is_refused(scratch: &Scratch) {
    let ran = scratch.run("svscan", &["scan"]);
    let said = "svscan: fatal: unable to lock scan, another svscan runs there: temporary failure\n";
    assert_eq!((ran.code, ran.err().as_str()), (111, said));
}

#[test]
fn orphans_of_services_come_to_svscan_and_are_reaped() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "mkfifo fifo; sh -c 'echo $$ >orphan; read line <fifo' & exec sleep 1000");
    let svscan = svscan(&scratch);
    wait_up(&scratch, "scan/a");
    let orphan: u32 = wait_for("it runs", || scratch.text("scan/a/orphan").trim().parse().ok());
    svc(&scratch, "-d", "scan/a");
    wait_down(&scratch, "scan/a");
    wait_until("its parent is svscan", || parent(orphan) == Some(svscan.pid()));
    std::fs::write(scratch.path("scan/a/fifo"), "\n").expect("it reads");
    wait_until("it is reaped", || is_gone(orphan));
}

#[test]
fn a_supervise_that_somebody_else_has_started_is_waited_for() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 1000");
    let mut own = start(scratch.command("supervise", &["a"]).current_dir(scratch.path("scan")));
    let child = wait_up(&scratch, "scan/a");
    let _svscan = svscan(&scratch);
    holds_for(Duration::from_millis(500), "it is left alone", || pid(&scratch, "scan/a") == Some(child));
    svc(&scratch, "-dx", "scan/a");
    assert_eq!(own.end(), 0);
    wait_until("it is svscan's now", || pid(&scratch, "scan/a").is_some_and(|pid| pid != child));
    assert_eq!((scratch.text("svscan.err").as_str(), svstat(&scratch, "scan/a").starts_with("up ")), ("", true));
}
