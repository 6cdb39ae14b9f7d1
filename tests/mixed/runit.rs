//! Ours and runit. Its sv needs a status of 20 bytes, which daemontools does not write and ours does; its runsv keeps the
//! protocol of daemontools, so that our clients work on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, Suite, finish, needs_original, needs_program, start, wait_for, wait_until};

use crate::pair::ours;
use crate::world::{MORTAL, NOTING, Record, has_reader, masked, scratch};

/// `sv WORDS` on the service directory `a`, which it shall wait for no longer than it must.
fn sv(scratch: &Scratch, sv: &PathBuf, words: &[&str]) -> Finished {
    // Told to wait, it waits for a once in vain: runsv then says that the service is wanted down, daemontools does not.
    let patience: &[&str] = if words == ["once"] { &[] } else { &["-w", "20"] };
    finish(Command::new(sv).args(patience).args(words).arg("./a").current_dir(scratch.root()).env_remove("SVDIR"))
}

/// What `sv status` says, with S for the number of seconds and N for the pid.
fn status(scratch: &Scratch, program: &PathBuf) -> String {
    let ran = sv(scratch, program, &["status"]);
    let words = ran.out();
    let masked = words.split(' ').map(|word| match word.trim_end_matches(['\n', ',', 's', ')']).parse::<u64>() {
        Ok(_) if word.contains(')') => "N)".to_owned(),
        Ok(number) => word.replace(&number.to_string(), "S "),
        Err(_) => word.to_owned(),
    });
    masked.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn supervise(scratch: &Scratch, suite: &Suite) -> Running {
    let mut command = suite.command("supervise");
    let running = start(command.arg("a").current_dir(scratch.root()).stdin(Stdio::null()));
    wait_until("supervise runs", || has_reader(&scratch.path("a")));
    running
}

#[test]
fn sv_sees_and_commands_our_supervise() {
    let Some(program) = needs_program("sv") else { return };
    let scratch = scratch();
    scratch.service("a", MORTAL);
    scratch.write("a/down", "");
    let mut supervise = supervise(&scratch, &ours());
    let wait = |expected: &str| {
        wait_until(&format!("sv says {expected:?}, not {:?}", status(&scratch, &program)), || {
            status(&scratch, &program) == expected
        });
    };
    wait("down: ./a: S s");
    for (command, expected) in [
        ("up", "run: ./a: (pid N) S s, normally down"),
        ("pause", "run: ./a: (pid N) S s, normally down, paused"),
        ("cont", "run: ./a: (pid N) S s, normally down"),
        ("down", "down: ./a: S s"),
        ("start", "run: ./a: (pid N) S s, normally down"),
        ("restart", "run: ./a: (pid N) S s, normally down"),
        ("stop", "down: ./a: S s"),
        ("once", "run: ./a: (pid N) S s, normally down"),
        ("down", "down: ./a: S s"),
        ("up", "run: ./a: (pid N) S s, normally down"),
        // Here it waits for the restart.
        ("kill", "run: ./a: (pid N) S s, normally down"),
        ("down", "down: ./a: S s"),
    ] {
        let ran = sv(&scratch, &program, &[command]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""), "sv {command}: {}", ran.out());
        wait(expected);
    }
    assert_eq!(sv(&scratch, &program, &["exit"]).code, 0);
    assert_eq!(supervise.end(), 0);
    assert_eq!(status(&scratch, &program), "fail: ./a: runsv not running");
}

#[test]
fn sv_sees_that_term_was_sent_to_a_service_that_lives_on() {
    let Some(program) = needs_program("sv") else { return };
    let scratch = scratch();
    scratch.service("a", NOTING);
    let _supervise = supervise(&scratch, &ours());
    wait_until("it has started", || !scratch.text("a/started").is_empty());
    // The child may run before its supervise has written so.
    wait_until("sv sees it", || status(&scratch, &program) == "run: ./a: (pid N) S s");
    assert_eq!(finish(Command::new(ours().path("svc")).arg("-t").arg(scratch.path("a"))).err(), "");
    wait_until("sv says so", || status(&scratch, &program) == "run: ./a: (pid N) S s, got TERM");
    assert_eq!(finish(Command::new(ours().path("svc")).arg("-d").arg(scratch.path("a"))).err(), "");
    wait_until("sv says so", || status(&scratch, &program) == "run: ./a: (pid N) S s, want down, got TERM");
}

#[test]
fn sv_cannot_read_the_status_of_the_original() {
    let Some(program) = needs_program("sv") else { return };
    let Some(original) = needs_original() else { return };
    let scratch = scratch();
    scratch.service("a", MORTAL);
    let _supervise = supervise(&scratch, &original);
    let ran = sv(&scratch, &program, &["status"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out(), "warning: ./a: unable to read supervise/status: bad format\n");
}

/// Starts runsv on the service directory `a`.
fn runsv(scratch: &Scratch) -> Option<Running> {
    let program = needs_program("runsv")?;
    let running = start(Command::new(program).arg("a").current_dir(scratch.root()).stdin(Stdio::null()));
    wait_until("runsv runs", || has_reader(&scratch.path("a")));
    Some(running)
}

#[test]
fn our_clients_see_and_command_runsv() {
    let scratch = scratch();
    scratch.service("a", MORTAL);
    scratch.write("a/down", "");
    let Some(mut runsv) = runsv(&scratch) else { return };
    let run = |program: &str, words: &[&str]| {
        finish(ours().command(program).args(words).arg("a").current_dir(scratch.root()))
    };
    let wait = |expected: &str| {
        wait_until(expected, || masked(run("svstat", &[]).out().trim_start_matches("a: ").trim_end()) == expected);
    };
    wait("down S seconds");
    assert_eq!(run("svok", &[]).code, 0);
    for (letters, expected) in [
        ("-u", "up (pid N) S seconds, normally down"),
        ("-p", "up (pid N) S seconds, normally down, paused"),
        ("-c", "up (pid N) S seconds, normally down"),
        ("-d", "down S seconds"),
        // What runsv calls once is want down to daemontools.
        ("-o", "up (pid N) S seconds, normally down, want down"),
        ("-k", "down S seconds"),
    ] {
        assert_eq!(run("svc", &[letters]).err(), "");
        wait(expected);
    }
    assert_eq!(run("svc", &["-x"]).err(), "");
    assert_eq!(runsv.end(), 0);
    assert_eq!(run("svok", &[]).code, 100);
    wait("supervise not running");
}

#[test]
fn runsv_and_our_supervise_exclude_each_other() {
    let Some(program) = needs_program("runsv") else { return };
    let scratch = scratch();
    scratch.service("a", MORTAL);
    let supervise = supervise(&scratch, &ours());
    let record = || Record::read(&scratch.path("a"));
    let pid = wait_for("it is up", || record().map(|record| record.pid).filter(|&pid| pid != 0));
    let refused = finish(Command::new(program).arg("a").current_dir(scratch.root()));
    assert_eq!(refused.code, 111);
    assert_eq!(refused.err(), "runsv a: fatal: unable to lock supervise/lock: temporary failure\n");
    drop(supervise);
    testkit::signal(pid, "KILL");
    let Some(_runsv) = runsv(&scratch) else { return };
    let refused = finish(ours().command("supervise").arg("a").current_dir(scratch.root()));
    assert_eq!(refused.code, 111);
    assert_eq!(refused.err(), "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n");
}
