//! The verbs that are about a running svscan.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, Suite, finish, start, state, wait_until};

fn scratch() -> Scratch {
    let suite = Suite::under_test();
    Scratch::with(if suite.is_original() { Suite::ours() } else { suite })
}

fn boot(scratch: &Scratch, verb: &str) -> Finished {
    let dir = scratch.path("service");
    finish(scratch.command("uphold", &["boot", verb, "--scan-dir"]).arg(dir))
}

#[test]
fn without_a_svscan_there_is_nothing_to_stop() {
    let scratch = scratch();
    for _ in 0..2 {
        assert_eq!(boot(&scratch, "status").code, 3);
        assert_eq!(boot(&scratch, "reload").code, 3);
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        assert!(stopped.out().starts_with("no svscan runs in "), "{}", stopped.out());
        scratch.mkdir("service");
    }
}

#[test]
fn a_svscan_is_found_by_its_directory_and_ended() {
    for program in ["svscan", "uphold"] {
        let scratch = scratch();
        scratch.mkdir("service");
        scratch.mkdir("other");
        let words = if program == "svscan" { vec!["service"] } else { vec!["svscan", "service"] };
        let mut svscan = scratch.start("svscan", program, &words);
        let mut other = scratch.start("other", "svscan", &["other"]);
        wait_until("it runs", || boot(&scratch, "status").code == 0);
        let reloaded = boot(&scratch, "reload");
        assert_eq!((reloaded.code, reloaded.err().as_str()), (0, ""));
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        wait_until("it has ended", || svscan.ended().is_some());
        assert_eq!(boot(&scratch, "status").code, 3);
        assert_eq!(other.ended(), None, "another is left alone");
    }
}

/// A process in the scan directory that is called with these words, and lives until it is ended.
fn bystander(scratch: &Scratch, words: &[&str]) -> Running {
    bystander_by(scratch, words, Command::new("/bin/sh"))
}

/// The same, by this shell. The second of the words is its script, which is made if there is none.
fn bystander_by(scratch: &Scratch, words: &[&str], mut command: Command) -> Running {
    let [called, script, rest @ ..] = words else { panic!("two words") };
    let path = scratch.path("service").join(script);
    if !path.exists() {
        scratch.write(&path, "echo ready; read line\n");
    }
    command.arg0(called).arg(script).args(rest).current_dir(scratch.path("service"));
    let mut bystander = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut ready = [0; 6];
    let stdout = bystander.child().stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(stdout, &mut ready).expect("it says so");
    bystander
}

#[test]
fn an_editor_that_has_svscan_open_is_none() {
    let scratch = scratch();
    let dir = scratch.mkdir("service");
    let dir = dir.to_str().expect("UTF-8");
    let words: [&[&str]; 4] = [
        &["less", "../svscan"],
        &["vi", "../svscanboot", dir],
        &["/usr/bin/man", "../man/svscan"],
        &["uphold", "../svscan"],
    ];
    scratch.mkdir("man");
    let mut editors: Vec<Running> = words.map(|words| bystander(&scratch, words)).into();
    assert_eq!(boot(&scratch, "reload").code, 3);
    assert!(boot(&scratch, "stop").out().starts_with("no svscan runs in "));
    let mut svscan = scratch.start("svscan", "svscan", &["service"]);
    wait_until("it runs", || boot(&scratch, "status").code == 0);
    assert_eq!(boot(&scratch, "stop").code, 0);
    wait_until("it has ended", || svscan.ended().is_some());
    assert!(editors.iter_mut().all(|editor| editor.ended().is_none()));
}

#[test]
fn a_copier_is_no_svscan() {
    for program in ["svscan", "uphold"] {
        let scratch = scratch();
        scratch.service("service/web", "while read line; do echo $line; done <../../lines");
        let lines = scratch.path("lines");
        assert_eq!(finish(Command::new("mkfifo").arg(&lines)).code, 0);
        let mut lines = std::fs::File::options().read(true).write(true).open(lines).expect("a FIFO");
        let mut say = |line: &str| std::io::Write::write_all(&mut lines, line.as_bytes()).expect("it is read");
        let words: &[&str] =
            if program == "svscan" { &["--prefix", "--default"] } else { &["svscan", "--prefix", "--default"] };
        // Called without the directory, as a copier is.
        let mut command = scratch.command(program, words);
        command
            .env("SVDIR", scratch.path("service"))
            .stdin(Stdio::null())
            .stdout(std::fs::File::options().append(true).create(true).open(scratch.path("out")).expect("a file"));
        let mut svscan = start(&mut command);
        say("one\n");
        wait_until("it is copied", || scratch.text("out") == "web | one\n");
        let reloaded = boot(&scratch, "reload");
        assert_eq!((reloaded.code, reloaded.out().lines().count()), (0, 1), "{}", reloaded.out());
        say("two\n");
        wait_until("so is this", || scratch.text("out") == "web | one\nweb | two\n");
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        wait_until("svscan has ended", || svscan.ended().is_some());
        say("three\n");
        wait_until("the copier lives", || scratch.text("out").ends_with("web | three\n"));
    }
}

/// Says that it is ready, and hears no TERM.
const DEAF: &str = "trap '' TERM; echo ready; read line\n";

#[test]
fn whoever_calls_itself_svscanboot_is_none_and_holds_nothing_up() {
    let scratch = scratch();
    scratch.mkdir("service");
    let dir = scratch.path("service");
    let dir = dir.to_str().expect("UTF-8");
    scratch.write("deaf", DEAF);
    let mut pretenders: Vec<Running> = [&["svscanboot", "../deaf", dir][..], &["svscan", "../deaf", "."]]
        .map(|words| bystander(&scratch, words))
        .into();
    assert_eq!(boot(&scratch, "status").code, 3);
    assert_eq!(boot(&scratch, "reload").code, 3);
    let stopped = boot(&scratch, "stop");
    assert_eq!((stopped.code, stopped.out()), (0, format!("no svscan runs in {dir}\n")));
    assert!(pretenders.iter_mut().all(|pretender| pretender.ended().is_none()));
}

/// Pretenders of the user who runs this test and of an ordinary one, while either of them stops a svscan of theirs: an ordinary user cannot even signal
/// the other's.
#[test]
fn pretenders_keep_the_svscan_from_nothing_and_are_not_waited_for() {
    for ordinary in [false, true] {
        let scratch = scratch();
        scratch.mkdir("service");
        if ordinary {
            scratch.give("service");
        }
        let dir = scratch.path("service");
        let dir = dir.to_str().expect("UTF-8");
        scratch.write("deaf", DEAF);
        let shells = || [Command::new("/bin/sh"), scratch.as_ordinary(Command::new("/bin/sh"))];
        let words: [&[&str]; 2] = [&["svscanboot", "../deaf", dir], &["svscan", "../deaf", "."]];
        let each = |words: &&[&str]| shells().map(|shell| bystander_by(&scratch, words, shell));
        let mut pretenders: Vec<Running> = words.iter().flat_map(each).collect();
        let program = |name: &str, words: &[&str]| match ordinary {
            true => scratch.ordinary(name, words),
            false => scratch.command(name, words),
        };
        let mut svscan = start(program("svscan", &["service"]).stdin(Stdio::null()));
        let boot = |verb: &str| finish(&mut program("uphold", &["boot", verb, "--scan-dir", dir]));
        wait_until("it runs", || boot("status").code == 0);
        let stopped = boot("stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        assert!(stopped.out().ends_with(&format!("stopped what svscan ran in {dir}\n")), "{}", stopped.out());
        // By the TERM that it was told by.
        assert_eq!(svscan.end(), 1015);
        assert!(pretenders.iter_mut().all(|pretender| pretender.ended().is_none()));
    }
}

#[test]
fn whoever_locks_the_scan_directory_is_no_svscan() {
    let Some(flock) = testkit::needs_program("flock") else { return };
    let scratch = scratch();
    let dir = scratch.mkdir("service");
    // By somebody else where there is somebody, and by whoever runs this test.
    for mut locker in [scratch.as_ordinary(Command::new(&flock)), Command::new(&flock)] {
        locker.args(["--nonblock", "--no-fork"]).arg(&dir).args(["sh", "-c", "echo ready; read line"]);
        let mut locker = start(locker.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut ready = [0; 6];
        let stdout = locker.child().stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(stdout, &mut ready).expect("it says so");
        assert_eq!(boot(&scratch, "status").code, 3);
        assert_eq!(boot(&scratch, "reload").code, 3);
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        assert_eq!(locker.ended(), None);
    }
}

#[test]
fn nothing_is_read_of_processes_that_have_no_lock() {
    let Some(strace) = testkit::needs_program("strace") else { return };
    if finish(Command::new(&strace).args(["-qq", "-o", "/dev/null", "true"])).code != 0 {
        return testkit::skip("strace may not trace here");
    }
    let scratch = scratch();
    scratch.mkdir("service");
    let bystander = bystander(&scratch, &["svscan", "../any"]);
    let mut svscan = scratch.start("svscan", "svscan", &["--init", "service"]);
    wait_until("it runs", || boot(&scratch, "status").code == 0);
    for verb in ["status", "reload", "stop"] {
        let mut traced = Command::new(&strace);
        traced.args(["-qq", "-e", "trace=%file", "-o"]).arg(scratch.path(verb));
        let done = traced.arg(scratch.suite().path("uphold")).args(["boot", verb, "--scan-dir"]);
        assert_eq!(finish(done.arg(scratch.path("service"))).code, 0);
        let calls = scratch.text(verb);
        assert!(calls.contains("/proc/locks"), "{calls}");
        assert!(calls.contains(&format!("/proc/{}/", svscan.pid())), "{calls}");
        assert!(!calls.contains(&format!("/proc/{}/", bystander.pid())), "{calls}");
    }
    assert_eq!(svscan.end(), 0);
}

#[test]
fn stop_waits_no_longer_than_it_was_told_and_says_for_what() {
    let scratch = scratch();
    scratch.service("service/deaf", "trap '' TERM; echo >../../deaf; while :; do sleep 1; done");
    let svscan = scratch.start("svscan", "svscan", &["--grace", "600", "service"]);
    wait_until("the service is deaf", || scratch.path("deaf").exists());
    wait_until("svscan runs", || boot(&scratch, "status").code == 0);
    let mut stop = scratch.command("uphold", &["boot", "stop", "--timeout", "3", "--scan-dir"]);
    let stopped = finish(stop.arg(scratch.path("service")));
    let (dir, pid) = (scratch.path("service"), svscan.pid());
    let dir = dir.display();
    let out = stopped.out();
    assert!(out.starts_with(&format!("waiting for svscan in {dir}: pid {pid}, ")), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let expected = format!("unable to stop svscan in {dir}, pid {pid} still runs after 3 seconds: timed out\n");
    assert_eq!((stopped.code, stopped.err()), (111, format!("uphold boot: fatal: {expected}")));
    assert_eq!(boot(&scratch, "status").code, 0);
}

/// Whether TERM was sent to a process that has not taken it.
fn is_told_to_end(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 << (15 - 1) != 0)
}

#[test]
fn a_svscanboot_is_found_while_no_svscan_runs() {
    let scratch = scratch();
    let dir = scratch.mkdir("service");
    let mut command = scratch.command("svscanboot", &[]);
    let mut svscanboot = start(command.arg(&dir).stdin(Stdio::null()));
    wait_until("it runs", || boot(&scratch, "status").code == 0);
    let called =
        |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"svscan\0"));
    let mark = format!(" {} ", svscanboot.pid());
    let marked = |locks: String| locks.lines().any(|line| line.contains("POSIX") && line.contains(&mark));
    wait_until("it stands in", || {
        // One that has run for a second is followed at once, by one that is not.
        for svscan in testkit::children(svscanboot.pid()).into_iter().filter(called) {
            finish(Command::new("kill").arg("-KILL").arg(svscan.to_string()));
        }
        if !marked(std::fs::read_to_string("/proc/locks").expect("it can be read")) {
            return false;
        }
        // It would do so for a second at the most.
        svscanboot.signal("STOP");
        wait_until("it stands still", || state(svscanboot.pid()) == Some('T'));
        let stands_in = marked(std::fs::read_to_string("/proc/locks").expect("it can be read"));
        if !stands_in {
            svscanboot.signal("CONT");
        }
        stands_in
    });
    let words = ["boot", "stop", "--scan-dir", dir.to_str().expect("text")];
    let mut stop = scratch.start("stop", "uphold", &words);
    wait_until("it was told to stop, or nobody was", || is_told_to_end(svscanboot.pid()) || stop.ended().is_some());
    svscanboot.signal("CONT");
    assert_eq!((stop.end(), scratch.text("stop.err").as_str()), (0, ""));
    let said = scratch.text("stop.out");
    assert!(said.ends_with(&format!("stopped what svscan ran in {}\n", dir.display())), "{said}");
    assert_eq!(svscanboot.end(), 0);
}

#[test]
fn the_sysvinit_script_starts_what_does_not_run_yet() {
    if std::fs::read_to_string("/etc/inittab").is_ok_and(|inittab| inittab.contains("SV:")) {
        return testkit::skip("init starts svscanboot here");
    }
    let scratch = scratch();
    let dir = scratch.mkdir("service");
    scratch.mkdir("root/etc/init.d");
    let mut install = scratch.command("uphold", &["boot", "install", "--init", "sysvinit", "--root", "root"]);
    assert_eq!(finish(install.arg("--scan-dir").arg(dir)).code, 0);
    let script = |word: &str| {
        let mut script = Command::new("/bin/sh");
        finish(script.args(["root/etc/init.d/svscan", word]).current_dir(scratch.root()).env_remove("RUNLEVEL"))
    };
    // Each is below the name that it was called by.
    let running = |name: &str| {
        let words = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let called =
            |words: &str| words.split('\0').take(2).any(|word| word == name || word.ends_with(&format!("/{name}")));
        scratch.processes().into_iter().filter(|pid| called(&words(pid))).collect::<Vec<u32>>()
    };
    assert_eq!(script("status").code, 3);
    assert_eq!(script("start").code, 0);
    wait_until("it runs", || script("status").code == 0);
    let before = (running("svscanboot"), running("svscan"));
    assert_eq!((before.0.len(), before.1.len()), (1, 1));
    assert_eq!(script("start").code, 0);
    // What the second one would start is there when the script has ended, or a moment later.
    testkit::holds_for(std::time::Duration::from_millis(300), "there is no other", || {
        (running("svscanboot"), running("svscan")) == before
    });
    let stopped = script("stop");
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
    assert_eq!(script("status").code, 3);
}

#[test]
fn stop_waits_where_the_kernel_does_not_tell_of_an_end_too() {
    let Some(strace) = testkit::needs_program("strace") else { return };
    if finish(Command::new(&strace).args(["-qq", "-o", "/dev/null", "true"])).code != 0 {
        return testkit::skip("strace may not trace here");
    }
    for error in ["ENOSYS", "EPERM"] {
        let scratch = scratch();
        scratch.service("service/slow", "trap 'sleep 0.3; echo end >../../end; exit' TERM; while :; do sleep 1; done");
        let mut svscan = scratch.start("svscan", "svscan", &["--init", "service"]);
        wait_until("it is up", || scratch.run("svstat", &["service/slow"]).out().contains(": up "));
        let mut stop = Command::new(&strace);
        stop.args(["-qq", "-o", "/dev/null", "-e", "trace=pidfd_open", "-e"]);
        stop.arg(format!("inject=pidfd_open:error={error}")).arg(scratch.suite().path("uphold"));
        let stopped = finish(stop.args(["boot", "stop", "--scan-dir"]).arg(scratch.path("service")));
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""), "{error}");
        // Its end is seen before it is collected, which is the test's affair.
        assert_eq!(boot(&scratch, "status").code, 3, "{error}");
        assert_eq!(svscan.end(), 0);
    }
}
