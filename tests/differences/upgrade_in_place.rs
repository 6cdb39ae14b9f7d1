//! To let a new supervise or svscan in, the original's services must be taken down. Ours becomes its new file in place: same process,
//! same child, same descriptors. Why: an upgrade of the supervisor is no reason to restart what it supervises.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, lives, signal, start, wait_for, wait_until};

use crate::talker::Talker;
use crate::world::{lines, pid, process, svc, svstat, wait_down, wait_up};

/// A service that writes a line whenever it is started.
const SLEEPER: &str = "echo start; exec sleep 1000";

/// Puts our program, as it was built, in the place of the one that the test runs.
fn upgrade(scratch: &Scratch, program: &str) -> PathBuf {
    let built = fs::read(scratch.suite().path(program)).expect("it was built");
    scratch.install(format!("bin/{program}"), &built)
}

/// Starts `bin/PROGRAM dir`.
fn start_upgradable(scratch: &Scratch, program: &str, dir: &str) -> Running {
    start_upgradable_with(scratch, program, &[dir])
}

fn start_upgradable_with(scratch: &Scratch, program: &str, words: &[&str]) -> Running {
    let file = |kind| fs::File::create(scratch.path(format!("{program}.{kind}"))).expect("a file");
    let mut command = Command::new(upgrade(scratch, program));
    start(command.args(words).current_dir(scratch.root()).stdin(Stdio::null()).stdout(file("out")).stderr(file("err")))
}

fn supervise(scratch: &Scratch) -> Running {
    start_upgradable(scratch, "supervise", "a")
}

/// Whether the process runs the file that has its program's name now.
fn is_new(pid: u32) -> bool {
    let file = fs::read_link(format!("/proc/{pid}/exe")).expect("it lives");
    !file.to_string_lossy().ends_with(" (deleted)")
}

#[test]
fn supervise_becomes_its_new_file_and_the_service_does_not_notice() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    // One that is stopped before its first line, and ended then, never writes it.
    wait_until("it was started", || lines(&scratch, "supervise.out") == 1);
    svc(&scratch, "-p", "a");
    wait_until("it is paused", || svstat(&scratch, "a").ends_with(", paused"));
    for _ in 0..3 {
        upgrade(&scratch, "supervise");
        assert!(!is_new(supervise.pid()));
        svc(&scratch, "--reexec", "a");
        wait_until("it is the new file", || is_new(supervise.pid()));
        wait_until("it goes on", || svstat(&scratch, "a").ends_with(", paused"));
        assert_eq!(pid(&scratch, "a"), Some(child));
    }
    // It is still the child of its supervise: commands reach it, its end is seen, and it is started again.
    svc(&scratch, "-ct", "a");
    let next = wait_for("another one is up", || pid(&scratch, "a").filter(|&pid| pid != child));
    let long = scratch.run("svstat", &["--long", "a"]).out();
    let version = env!("CARGO_PKG_VERSION");
    let told =
        format!(", supervise pid {} version {version}, started 2 times, last killed by signal 15\n", supervise.pid());
    assert!(long.starts_with(&format!("a: up (pid {next}) ")) && long.ends_with(&told), "{long}");
    wait_until("it was started twice", || lines(&scratch, "supervise.out") == 2);
    assert_eq!(scratch.text("supervise.err"), "");
    // No descriptor stays behind.
    let open = || fs::read_dir(format!("/proc/{}/fd", supervise.pid())).expect("it lives").count();
    let before = open();
    svc(&scratch, "--reexec", "a");
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    wait_until("nothing more is open", || open() == before);
}

#[test]
fn a_process_that_was_taken_over_is_handed_over_too() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut first = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    first.signal("KILL");
    first.end();
    let second = supervise(&scratch);
    wait_until("it has taken over", || scratch.run("svok", &["a"]).code == 0);
    upgrade(&scratch, "supervise");
    svc(&scratch, "--reexec", "a");
    wait_until("it is the new file", || is_new(second.pid()));
    signal(child, "KILL");
    wait_until("its end is seen", || pid(&scratch, "a").is_some_and(|pid| pid != child));
}

#[test]
fn what_cannot_go_on_from_the_state_leaves_the_old_one_running() {
    let not_understood = ", which does not understand the state, going on as before\n";
    let cases: [(&str, &[u8], &str); 4] = [
        ("another program", b"#!/bin/sh\nexit 0\n", not_understood),
        ("one that crashes", b"#!/bin/sh\nkill -SEGV $$\n", not_understood),
        ("no program", b"\x7fELF nonsense", ", going on as before: exec format error\n"),
        ("no interpreter", b"#!/nowhere\n", ", going on as before: file does not exist\n"),
    ];
    for (what, contents, said) in cases {
        let scratch = Scratch::new();
        scratch.service("a", SLEEPER);
        let supervise = supervise(&scratch);
        let child = wait_up(&scratch, "a");
        scratch.install("bin/supervise", contents);
        svc(&scratch, "--reexec", "a");
        let unable = "supervise: warning: unable to upgrade a to ";
        wait_until(what, || {
            let err = scratch.text("supervise.err");
            err.starts_with(unable) && err.ends_with(said)
        });
        assert!(!is_new(supervise.pid()));
        svc(&scratch, "-t", "a");
        wait_until("it still supervises", || pid(&scratch, "a").is_some_and(|pid| pid != child));
    }
}

#[test]
fn an_original_in_its_place_is_refused() {
    let Some(original) = testkit::needs_original() else { return };
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    scratch.install("bin/supervise", &fs::read(original.path("supervise")).expect("it is installed"));
    svc(&scratch, "--reexec", "a");
    wait_until("it is refused", || scratch.text("supervise.err").contains("which does not understand the state"));
    assert!(!is_new(supervise.pid()));
}

/// A scan directory with one service and its logger, which keeps what the service says.
fn scan_with_logger(scratch: &Scratch) -> (Running, Talker) {
    let talker = Talker::make(scratch, "exec cat >>got");
    upgrade(scratch, "supervise");
    (start_upgradable(scratch, "svscan", "scan"), talker)
}

fn wait_logged(scratch: &Scratch, lines: &str) {
    wait_until("it is logged", || scratch.text("scan/a/log/got") == lines);
}

fn supervise_of(scratch: &Scratch, dir: &str) -> u32 {
    wait_for("its supervise runs", || process(scratch, &[dir]))
}

#[test]
fn svscan_becomes_its_new_file_with_all_its_pipes_and_children() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    let (svscan, mut talker) = scan_with_logger(&scratch);
    let before = ["scan/a", "scan/a/log"].map(|dir| wait_up(&scratch, dir));
    talker.say("1");
    wait_logged(&scratch, "1\n");
    let open = || fs::read_dir(format!("/proc/{}/fd", svscan.pid())).expect("it lives").count();
    let descriptors = open();
    for _ in 0..3 {
        upgrade(&scratch, "svscan");
        assert!(!is_new(svscan.pid()));
        svscan.signal("USR2");
        wait_until("it is the new file", || is_new(svscan.pid()));
        wait_until("as many descriptors are open", || open() == descriptors);
        assert_eq!(["scan/a", "scan/a/log"].map(|dir| pid(&scratch, dir)), before.map(Some));
    }
    // The supervises are still its children, and whatever is started again is joined to the same pipe.
    for dir in ["a", "a/log"] {
        let supervise = supervise_of(&scratch, dir);
        signal(supervise, "KILL");
        wait_until("another runs", || process(&scratch, &[dir]).is_some_and(|new| new != supervise));
        wait_until("it supervises", || scratch.run("svok", &[&format!("scan/{dir}")]).code == 0);
        svc(&scratch, "-k", &format!("scan/{dir}"));
    }
    for (dir, before) in ["scan/a", "scan/a/log"].into_iter().zip(before) {
        wait_until("it is up again", || pid(&scratch, dir).is_some_and(|pid| pid != before));
    }
    talker.say("2");
    wait_logged(&scratch, "1\n2\n");
    // New services are served as before.
    scratch.service("b", SLEEPER);
    std::os::unix::fs::symlink("../b", scratch.path("scan/b")).expect("a link");
    wait_up(&scratch, "scan/b");
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn a_logger_whose_directory_is_gone_leaves_after_an_upgrade_too() {
    let scratch = Scratch::new();
    let (svscan, mut talker) = scan_with_logger(&scratch);
    wait_up(&scratch, "scan/a");
    wait_up(&scratch, "scan/a/log");
    let logger = supervise_of(&scratch, "a/log");
    fs::rename(scratch.path("scan/a/log"), scratch.path("scan/a/old")).expect("it can be renamed");
    upgrade(&scratch, "svscan");
    svscan.signal("USR2");
    wait_until("it is the new file", || is_new(svscan.pid()));
    talker.say("1");
    fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("it can be renamed");
    wait_until("it is logged", || scratch.text("a/old/got") == "1\n");
    svc(&scratch, "-dx", "a");
    wait_until("the logger's supervise is gone", || !lives(logger));
}

#[test]
fn a_svscan_that_cannot_be_replaced_goes_on() {
    let scratch = Scratch::new();
    let (svscan, mut talker) = scan_with_logger(&scratch);
    let before = wait_up(&scratch, "scan/a");
    wait_up(&scratch, "scan/a/log");
    scratch.install("bin/svscan", b"#!/bin/sh\nexit 0\n");
    svscan.signal("USR2");
    let said = "/bin/svscan, which does not understand the state, going on as before\n";
    wait_until("that is said", || scratch.text("svscan.err").ends_with(said));
    assert!(!is_new(svscan.pid()));
    talker.say("1");
    wait_logged(&scratch, "1\n");
    assert_eq!(pid(&scratch, "scan/a"), Some(before));
}

#[test]
fn supervises_that_were_taken_over_are_handed_over_too() {
    let scratch = Scratch::new();
    let (mut first, mut talker) = scan_with_logger(&scratch);
    let before = ["scan/a", "scan/a/log"].map(|dir| wait_up(&scratch, dir));
    first.signal("KILL");
    first.end();
    let svscan = start_upgradable(&scratch, "svscan", "scan");
    // It listens to signals once it serves names.
    scratch.service("b", SLEEPER);
    std::os::unix::fs::symlink("../b", scratch.path("scan/b")).expect("a link");
    wait_up(&scratch, "scan/b");
    upgrade(&scratch, "svscan");
    svscan.signal("USR2");
    wait_until("it is the new file", || is_new(svscan.pid()));
    for dir in ["a", "a/log"] {
        let supervise = supervise_of(&scratch, dir);
        signal(supervise, "KILL");
        wait_until("another runs", || process(&scratch, &[dir]).is_some_and(|new| new != supervise));
    }
    for dir in ["scan/a", "scan/a/log"] {
        wait_until("it is supervised", || scratch.run("svok", &[dir]).code == 0);
    }
    assert_eq!(["scan/a", "scan/a/log"].map(|dir| pid(&scratch, dir)), before.map(Some));
    talker.say("1");
    wait_logged(&scratch, "1\n");
}

#[test]
fn the_question_has_all_words_of_the_call_behind_it() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    scratch.install("bin/supervise", b"#!/bin/sh\necho \"$*\" >>asked\nexit 1\n");
    svc(&scratch, "--reexec", "a");
    wait_until("it is asked", || scratch.path("a/asked").exists() && lines(&scratch, "a/asked") == 1);
    assert_eq!(scratch.text("a/asked"), "--understand-handover a\n");

    scratch.service("scan/b", SLEEPER);
    upgrade(&scratch, "supervise");
    let svscan = start_upgradable_with(&scratch, "svscan", &["--init", "--grace", "7s", "scan"]);
    wait_up(&scratch, "scan/b");
    scratch.install("bin/svscan", b"#!/bin/sh\necho \"$*\" >>asked\nexit 1\n");
    svscan.signal("USR2");
    wait_until("it is asked", || scratch.path("scan/asked").exists() && lines(&scratch, "scan/asked") == 1);
    assert_eq!(scratch.text("scan/asked"), "--understand-handover --init --grace 7s scan\n");
}

#[test]
fn a_program_that_does_not_know_an_option_of_the_call_says_no() {
    let scratch = Scratch::new();
    scratch.service("scan/a", SLEEPER);
    upgrade(&scratch, "supervise");
    let svscan = start_upgradable_with(&scratch, "svscan", &["--init", "scan"]);
    let child = wait_up(&scratch, "scan/a");
    // What our file answers when it is asked as a svscan would ask that has been called with other words.
    let real = scratch.suite().path("svscan");
    let asks = ["--init scan", "--from-the-future --init scan", "--init --from-the-future scan"];
    let each = |words: &&str| format!("{} \"$1\" {words} 2>/dev/null\necho $? >>asked\n", real.display());
    let script: String = asks.iter().map(each).collect();
    scratch.install("bin/svscan", format!("#!/bin/sh\n{script}exit 1\n").as_bytes());
    svscan.signal("USR2");
    let asked = "scan/asked";
    wait_until("it is asked", || scratch.path(asked).exists() && lines(&scratch, asked) == asks.len());
    let answers = scratch.text(asked);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers[0], "99");
    assert!(answers[1..].iter().all(|&answer| answer != "99"), "{answers:?}");
    assert_eq!(pid(&scratch, "scan/a"), Some(child));
}

/// Sets the limit on open files of a program.
fn limit(prlimit: &Path, program: &Running, files: usize) {
    let mut command = Command::new(prlimit);
    let ran = testkit::finish(command.arg(format!("--pid={}", program.pid())).arg(format!("--nofile={files}:4096")));
    assert_eq!(ran.code, 0, "{}", ran.err());
}

/// The lowest number that no descriptor of a program has.
fn first_free(program: &Running) -> usize {
    let is_open = |number: &usize| fs::symlink_metadata(format!("/proc/{}/fd/{number}", program.pid())).is_ok();
    (0..).find(|number| !is_open(number)).expect("there are more")
}

#[test]
fn at_the_limit_of_open_files_the_new_program_goes_on_or_the_old_one_does() {
    let Some(prlimit) = testkit::needs_program("prlimit") else { return };
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    let limit = |files: usize| limit(&prlimit, &supervise, files);
    // Its descriptors have the lowest numbers, unless somebody has left it others.
    let first = first_free(&supervise);
    let mut upgraded = 0;
    for more in 0..6 {
        upgrade(&scratch, "supervise");
        let said = lines(&scratch, "supervise.err");
        limit(first + more);
        svc(&scratch, "--reexec", "a");
        wait_until("one of them goes on", || is_new(supervise.pid()) || lines(&scratch, "supervise.err") > said);
        upgraded += usize::from(is_new(supervise.pid()));
        let ran = scratch.run("svc", &["-c", "--wait=up", "--timeout=20", "a"]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""), "{more}: {}", scratch.text("supervise.err"));
        assert_eq!(pid(&scratch, "a"), Some(child), "{more}");
    }
    assert!(upgraded > 0, "{}", scratch.text("supervise.err"));
    limit(1024);
    svc(&scratch, "-t", "a");
    wait_until("it is still supervised", || pid(&scratch, "a").is_some_and(|pid| pid != child));
}

/// A scan directory with services that have loggers, all of them up, and the pids of these and of their loggers.
fn many(scratch: &Scratch, words: &[&str]) -> (Running, Vec<(String, u32)>) {
    const SERVICES: usize = 8;
    for number in 0..SERVICES {
        scratch.service(&format!("scan/s{number}"), SLEEPER);
        scratch.script(format!("scan/s{number}/log/run"), "exec cat >got");
    }
    upgrade(scratch, "supervise");
    let svscan = start_upgradable_with(scratch, "svscan", words);
    let dirs = (0..SERVICES).flat_map(|number| [format!("scan/s{number}"), format!("scan/s{number}/log")]);
    let up = dirs.map(|dir| (dir.clone(), wait_up(scratch, &dir))).collect();
    (svscan, up)
}

/// strace, if it may make system calls fail here; if not, a line says that the test is skipped.
fn needs_strace() -> Option<PathBuf> {
    let strace = testkit::needs_program("strace")?;
    let traces = testkit::finish(Command::new(&strace).args(["-qq", "-o", "/dev/null", "true"])).code == 0;
    if !traces {
        testkit::skip("strace may not trace here");
    }
    traces.then_some(strace)
}

/// A supervise that is killed comes back: svscan hears of its end.
fn assert_heard(scratch: &Scratch, dir: &str) {
    let supervise = supervise_of(scratch, dir);
    signal(supervise, "KILL");
    wait_until("another runs", || process(scratch, &[dir]).is_some_and(|new| new != supervise));
    wait_until("it supervises", || scratch.run("svok", &[&format!("scan/{dir}")]).code == 0);
}

#[test]
fn svscan_at_the_limit_of_open_files_goes_on_with_all_its_services() {
    let Some(prlimit) = testkit::needs_program("prlimit") else { return };
    let scratch = Scratch::new();
    let (svscan, up) = many(&scratch, &["scan"]);
    let first = first_free(&svscan);
    let mut upgraded = 0;
    for more in 0..6 {
        upgrade(&scratch, "svscan");
        let said = lines(&scratch, "svscan.err");
        limit(&prlimit, &svscan, first + more);
        svscan.signal("USR2");
        wait_until("one of them goes on", || is_new(svscan.pid()) || lines(&scratch, "svscan.err") > said);
        upgraded += usize::from(is_new(svscan.pid()));
        for (dir, before) in &up {
            assert_eq!(pid(&scratch, dir), Some(*before), "{more}: {}", scratch.text("svscan.err"));
        }
    }
    assert!(upgraded > 0, "{}", scratch.text("svscan.err"));
    limit(&prlimit, &svscan, 1024);
    assert_heard(&scratch, "s0");
    assert_heard(&scratch, "s7/log");
}

#[test]
fn an_init_is_upgraded_at_its_limit_of_open_files() {
    if !testkit::needs_inotify() {
        return;
    }
    let Some(prlimit) = testkit::needs_program("prlimit") else { return };
    let scratch = Scratch::new();
    let (mut svscan, up) = many(&scratch, &["--init", "scan"]);
    let open = || fs::read_dir(format!("/proc/{}/fd", svscan.pid())).expect("it lives").count();
    let (first, before) = (first_free(&svscan), open());
    // One is left, to read the directory with.
    limit(&prlimit, &svscan, first + 1);
    for _ in 0..2 {
        upgrade(&scratch, "svscan");
        svscan.signal("USR2");
        wait_until("it is the new file", || is_new(svscan.pid()));
        wait_until("as many descriptors are open", || open() == before);
    }
    for (dir, before) in &up {
        assert_eq!(pid(&scratch, dir), Some(*before));
    }
    assert_eq!(scratch.text("svscan.err"), "");
    svscan.signal("TERM");
    assert_eq!(svscan.end(), 0);
}

#[test]
fn svscan_goes_on_where_its_new_file_can_make_neither_a_pipe_nor_a_watch() {
    if !testkit::needs_inotify() {
        return;
    }
    let Some(strace) = needs_strace() else { return };
    let scratch = Scratch::new();
    let (svscan, up) = many(&scratch, &["scan"]);
    let calls = "?pipe,?pipe2,?inotify_init,?inotify_init1";
    let mut command = Command::new(strace);
    command.args(["-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &format!("trace={calls},execve")]);
    command.args(["-e", &format!("inject={calls}:error=ENFILE"), "-p", &svscan.pid().to_string()]);
    let tracer = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let attached = format!("\nTracerPid:\t{}\n", tracer.pid());
    let status = || fs::read_to_string(format!("/proc/{}/status", svscan.pid())).unwrap_or_default();
    wait_until("strace has attached", || status().contains(&attached));
    upgrade(&scratch, "svscan");
    svscan.signal("USR2");
    wait_until("it is the new file", || is_new(svscan.pid()));
    let watch = "unable to watch the scan directory, looking every 5 seconds: system cannot open more files";
    let said = format!("svscan: warning: {watch}\n");
    wait_until("it is said", || scratch.text("svscan.err") == said);
    assert_heard(&scratch, "s0");
    scratch.service("scan/new", SLEEPER);
    wait_up(&scratch, "scan/new");
    for (dir, before) in &up {
        assert_eq!(pid(&scratch, dir), Some(*before));
    }
    assert_eq!(scratch.text("svscan.err"), said);
}

#[test]
fn svscan_waits_for_a_pipe_where_an_older_one_has_left_none() {
    if !testkit::needs_inotify() {
        return;
    }
    let Some(strace) = needs_strace() else { return };
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let state = sys::sealed::make(b"uphold svscan 1\0-\0-\0").expect("memory");
    sys::sealed::keep(state.as_fd(), true).expect("it is open");
    let mut command = Command::new(strace);
    let calls = "?pipe,?pipe2";
    command.args(["-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={calls}:error=ENFILE:when=1..2")]).arg(scratch.suite().path("svscan"));
    command.env("UPHOLD_HANDOVER", sys::sealed::number(state.as_fd()).to_string()).current_dir(scratch.root());
    command.stderr(fs::File::create(scratch.path("err")).expect("a file"));
    let _svscan = start(&mut command);
    wait_up(&scratch, "a");
    let said = "svscan: warning: unable to create pipe, trying again in a second: system cannot open more files\n";
    assert_eq!(scratch.text("err"), said);
}
