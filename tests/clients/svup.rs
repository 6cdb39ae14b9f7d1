//! svup: whether a service and its logger are up, as an exit code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use testkit::{Finished, Running, Scratch, finish, for_each, holds_for, is_root, signal, start, wait_for, wait_until};

use super::super::deploy::world::{pid, svc, svstat, wait_down, wait_up};

const SLEEPER: &str = "exec sleep 100000";

fn silent(code: i32) -> Finished {
    Finished { code, stdout: Vec::new(), stderr: Vec::new() }
}

fn fatal(line: &str) -> Finished {
    Finished { code: 111, stdout: Vec::new(), stderr: format!("svup: fatal: {line}\n").into_bytes() }
}

fn usage(before: &str) -> Finished {
    let stderr = format!("{before}svup: usage: svup [-L] [-l] dir\n").into_bytes();
    Finished { code: 100, stdout: Vec::new(), stderr }
}

/// Supervises a service directory, and waits until commands are read there.
fn supervise(scratch: &Scratch, name: &str) -> Running {
    let supervise = scratch.start(&name.replace('/', "-"), "supervise", &[name]);
    wait_until("a supervise runs", || scratch.run("svok", &[name]).code == 0);
    supervise
}

/// Makes a service and supervises it.
fn service(scratch: &Scratch, name: &str) -> Running {
    scratch.service(name, SLEEPER);
    supervise(scratch, name)
}

/// The exit codes for a directory without options, with `-l` and with `-L`. Nothing is printed.
fn codes(scratch: &Scratch, dir: &str) -> [i32; 3] {
    [&[dir][..], &["-l", dir], &["-L", dir]].map(|words| {
        let ran = scratch.run("svup", words);
        assert_eq!(ran, silent(ran.code), "{words:?}");
        ran.code
    })
}

#[test]
fn a_service_with_a_process_is_up_whatever_is_wanted() {
    let scratch = Scratch::new();
    let _supervise = service(&scratch, "a");
    wait_up(&scratch, "a");
    assert_eq!(codes(&scratch, "a"), [0, 0, 100]);
    svc(&scratch, "-p", "a");
    wait_until("it is paused", || svstat(&scratch, "a").contains(", paused"));
    assert_eq!(codes(&scratch, "a"), [0, 0, 100]);
    svc(&scratch, "-c", "a");
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    assert_eq!(codes(&scratch, "a"), [100; 3]);
    svc(&scratch, "-o", "a");
    wait_up(&scratch, "a");
    assert_eq!(codes(&scratch, "a"), [0, 0, 100]);
}

#[test]
fn the_logger_counts_unless_l_is_given() {
    let scratch = Scratch::new();
    let _supervises = ["a", "a/log"].map(|name| service(&scratch, name));
    for (main, log, codes_then) in
        [('u', 'u', [0, 0, 0]), ('u', 'd', [100, 0, 100]), ('d', 'd', [100; 3]), ('d', 'u', [100, 100, 0])]
    {
        for (letter, name) in [(main, "a"), (log, "a/log")] {
            svc(&scratch, &format!("-{letter}"), name);
            if letter == 'u' {
                wait_up(&scratch, name);
            } else {
                wait_down(&scratch, name);
            }
        }
        assert_eq!(codes(&scratch, "a"), codes_then, "{main} {log}");
    }
}

#[test]
fn of_two_options_the_last_one_counts() {
    let scratch = Scratch::new();
    let _supervise = service(&scratch, "a");
    wait_up(&scratch, "a");
    for (words, code) in [
        (&["-L", "-l", "a"][..], 0),
        (&["-l", "-L", "a"], 100),
        (&["-Ll", "a"], 0),
        (&["-lL", "a"], 100),
        (&["-l", "--", "a"], 0),
        (&["a", "missing"], 0),
    ] {
        assert_eq!(scratch.run("svup", words), silent(code), "{words:?}");
    }
}

#[test]
fn only_a_directory_is_a_logger() {
    let scratch = Scratch::new();
    let _supervise = service(&scratch, "a");
    wait_up(&scratch, "a");
    scratch.write("a/log", "");
    assert_eq!(codes(&scratch, "a"), [0, 0, 100]);
    fs::remove_file(scratch.path("a/log")).expect("ours");
    symlink("nowhere", scratch.path("a/log")).expect("a link");
    assert_eq!(codes(&scratch, "a"), [0, 0, 100]);
    fs::remove_file(scratch.path("a/log")).expect("ours");
    // A logger that nobody supervises is not up.
    scratch.mkdir("a/log");
    assert_eq!(codes(&scratch, "a"), [100, 0, 100]);
    let _logger = service(&scratch, "elsewhere");
    wait_up(&scratch, "elsewhere");
    fs::remove_dir(scratch.path("a/log")).expect("ours");
    symlink("../elsewhere", scratch.path("a/log")).expect("a link");
    assert_eq!(codes(&scratch, "a"), [0; 3]);
}

#[test]
fn a_run_that_cannot_be_executed_is_not_up() {
    let scratch = Scratch::new();
    scratch.mkdir("a");
    scratch.write("b/run", "#!/nowhere/sh\n");
    fs::set_permissions(scratch.path("b/run"), PermissionsExt::from_mode(0o755)).expect("ours");
    for_each(&["a", "b"], |name| {
        let _supervise = supervise(&scratch, name);
        // That is longer than the time between two attempts.
        holds_for(Duration::from_millis(1500), "it is not up", || codes(&scratch, name) == [100; 3]);
    });
}

#[test]
fn what_is_done_is_up_whether_start_or_run_has_done_it() {
    let scratch = Scratch::new();
    scratch.mkdir("a");
    scratch.script("a/start", "exit 0");
    scratch.service("b", "exit 0");
    scratch.write("b/final-exits", "0");
    for_each(&["a", "b"], |name| {
        let _supervise = supervise(&scratch, name);
        wait_until("it is done", || scratch.run("svstat", &[name]).out().contains(", done"));
        assert_eq!(scratch.run("svup", &[name]), silent(0), "{name}");
    });
}

#[test]
fn a_finish_that_runs_is_not_the_service() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.script("a/finish", "exec sleep 100000");
    scratch.write("a/timeout-finish", "0");
    let _supervise = supervise(&scratch, "a");
    signal(wait_up(&scratch, "a"), "KILL");
    wait_until("finish runs", || svstat(&scratch, "a").contains(", finishing pid "));
    assert_eq!(codes(&scratch, "a"), [100; 3]);
}

#[test]
fn without_a_supervise_or_a_status_it_is_not_up() {
    let scratch = Scratch::new();
    scratch.service("never", SLEEPER);
    assert_eq!(codes(&scratch, "never"), [100; 3]);
    let mut supervise = service(&scratch, "a");
    let run = wait_up(&scratch, "a");
    let files = ["status", "record"].map(|name| scratch.path("a/supervise").join(name));
    // It is written after the record.
    let has_pid = |status: Vec<u8>| status.get(12..16) == Some(&run.to_le_bytes()[..]);
    wait_until("the status says so too", || fs::read(&files[0]).is_ok_and(has_pid));
    for file in &files {
        fs::remove_file(file).expect("it is there");
    }
    assert_eq!(codes(&scratch, "a"), [100; 3]);
    fs::write(&files[0], [0; 17]).expect("ours");
    assert_eq!(scratch.run("svup", &["a"]), fatal("unable to read a/supervise/status: bad format"));
    fs::remove_file(&files[0]).expect("ours");
    fs::create_dir(&files[0]).expect("ours");
    assert_eq!(scratch.run("svup", &["a"]), fatal("unable to read a/supervise/status: is a directory"));
    fs::remove_dir(&files[0]).expect("ours");
    // Nobody would start it again.
    supervise.signal("KILL");
    assert_eq!(supervise.end(), 1009);
    assert!(testkit::lives(run));
    assert_eq!(codes(&scratch, "a"), [100; 3]);
}

#[test]
fn what_cannot_be_looked_at_is_exit_code_111() {
    let scratch = Scratch::new();
    for (name, reason) in scratch.no_way_in() {
        assert_eq!(scratch.run("svup", &[&name]), fatal(&format!("unable to chdir to {name}: {reason}")));
    }
    scratch.mkdir("b/supervise/ok");
    assert_eq!(scratch.run("svup", &["b"]), fatal("unable to open b/supervise/ok: is a directory"));
    let _supervise = service(&scratch, "c");
    wait_up(&scratch, "c");
    symlink("log", scratch.path("c/log")).expect("a link");
    assert_eq!(scratch.run("svup", &["c"]), fatal("unable to stat c/log: symbolic link loop"));
    assert_eq!(scratch.run("svup", &["-l", "c"]), silent(0));
}

#[test]
fn an_ordinary_user_sees_what_the_modes_let_him_see() {
    let scratch = Scratch::new();
    for name in ["own", "own/log"] {
        scratch.service(name, SLEEPER);
        scratch.give(name);
    }
    let supervise = |name: &str| {
        let mut command = scratch.ordinary("supervise", &[name]);
        let supervise = start(&mut command);
        wait_until("a supervise runs", || scratch.run("svok", &[name]).code == 0);
        supervise
    };
    let _supervises = ["own", "own/log"].map(supervise);
    for name in ["own", "own/log"] {
        wait_up(&scratch, name);
    }
    let svup = |words: &[&str]| finish(&mut scratch.ordinary("svup", words));
    assert_eq!([svup(&["own"]), svup(&["-L", "own"])], [silent(0), silent(0)]);
    let close = |name: &str| fs::set_permissions(scratch.path(name), PermissionsExt::from_mode(0o000)).expect("ours");
    close("own/log");
    assert_eq!(svup(&["own"]), fatal("unable to chdir to own/log: access denied"));
    assert_eq!(svup(&["-l", "own"]), silent(0));
    close("own/supervise/status");
    assert_eq!(svup(&["own"]), fatal("unable to open own/supervise/status: access denied"));
    close("own");
    assert_eq!(svup(&["own"]), fatal("unable to chdir to own: access denied"));
    if is_root() {
        let _supervise = service(&scratch, "roots");
        wait_up(&scratch, "roots");
        assert_eq!(svup(&["roots"]), fatal("unable to open roots/supervise/ok: access denied"));
    }
}

#[test]
fn a_service_is_found_by_its_name_and_its_files_where_supervisedir_says() {
    let scratch = Scratch::new();
    scratch.mkdir("state");
    for name in ["scan/web", "scan/web/log"] {
        scratch.service(name, SLEEPER);
    }
    let scan = scratch.path("scan");
    let with = |program: &str, words: &[&str]| {
        let mut command = scratch.command(program, words);
        command.env("SVDIR", &scan).env("SUPERVISEDIR", scratch.path("state"));
        command
    };
    let _supervises = ["scan/web", "scan/web/log"].map(|name| start(&mut with("supervise", &[name])));
    let code = |words: &[&str]| finish(&mut with("svup", words));
    wait_until("both are up", || code(&["web"]) == silent(0));
    assert_eq!([code(&["-L", "web"]), code(&["web/log"])], [silent(0), silent(0)]);
    assert_eq!(scratch.run("svup", &["scan/web"]), silent(100));
    assert!(!Path::new(&scratch.path("scan/web/supervise")).exists());
}

#[test]
fn a_new_copy_does_not_matter_before_it_serves() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.write("a/notification-fd", "3\n");
    scratch.write("a/timeout-ready", "1h\n");
    let _supervise = supervise(&scratch, "a");
    let old = wait_up(&scratch, "a");
    svc(&scratch, "-R", "a");
    wait_for("a new copy starts", || svstat(&scratch, "a").contains(", starting pid ").then_some(()));
    assert_eq!((codes(&scratch, "a"), pid(&scratch, "a")), ([0, 0, 100], Some(old)));
}

#[test]
fn wrong_words_get_the_usage() {
    let scratch = Scratch::new();
    for (words, before) in [
        (&[][..], ""),
        (&["-l"], ""),
        (&["-L", "--"], ""),
        (&["-x", "a"], "svup: illegal option -- x\n"),
        (&["--log", "a"], "svup: illegal option --log\n"),
    ] {
        assert_eq!(scratch.run("svup", words), usage(before), "{words:?}");
    }
    assert_eq!(scratch.run("svup", &[""]), fatal("unable to chdir to : file does not exist"));
}
