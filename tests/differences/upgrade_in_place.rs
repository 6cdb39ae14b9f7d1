//! To let a new supervise or svscan in, the original's services must be taken down. Ours becomes its new file in place: same process,
//! same child, same descriptors. Why: an upgrade of the supervisor is no reason to restart what it supervises.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
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

#[test]
fn at_the_limit_of_open_files_the_new_program_goes_on_or_the_old_one_does() {
    let Some(prlimit) = testkit::needs_program("prlimit") else { return };
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let supervise = supervise(&scratch);
    let child = wait_up(&scratch, "a");
    let limit = |limit: usize| {
        let mut command = Command::new(&prlimit);
        let ran =
            testkit::finish(command.arg(format!("--pid={}", supervise.pid())).arg(format!("--nofile={limit}:4096")));
        assert_eq!(ran.code, 0, "{}", ran.err());
    };
    // Its descriptors have the lowest numbers, unless somebody has left it others.
    let is_open = |number: &usize| fs::symlink_metadata(format!("/proc/{}/fd/{number}", supervise.pid())).is_ok();
    let first = (0..).find(|number| !is_open(number)).expect("there are more");
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
