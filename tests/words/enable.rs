//! `uphold enable` and `uphold disable`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use testkit::{
    Finished, Running, finish, for_each, is_root, lives, record, signal, start, wait_for, wait_rest, wait_until,
};

use super::world::{World, users};

const LIVES: &str = "exec sleep 100000";
const NOTIFIES: (&str, &str) = ("notification-fd", "3");
/// It ends when the file `go` is there, and tells that it is ready.
const STUBBORN: &str = "trap '' TERM; echo >&3; until [ -e go ]; do sleep 0.05; done";

/// Exit code, stdout and stderr, without times and pids.
fn told(finished: &Finished) -> (i32, String, String) {
    let plain = |text: String| {
        let lines = text.lines().map(|line| line.split(" after ").next().unwrap_or_default().to_owned() + "\n");
        let lines: String = lines.collect();
        let parts = lines.split("pid ").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        parts.collect::<Vec<_>>().join("pid ")
    };
    (finished.code, plain(finished.out()), plain(finished.err()))
}

/// What is expected of [`told`].
fn expected(code: i32, out: &str, err: &str) -> (i32, String, String) {
    (code, out.to_owned(), err.to_owned())
}

fn link(world: &World, name: &str) -> Option<PathBuf> {
    fs::read_link(world.scratch.path("scan").join(name)).ok()
}

/// The process of the service, and its supervise.
fn pids(world: &World, dir: &str) -> (u32, u32) {
    wait_for("it is up", || {
        let record = record(world.scratch.path(dir))?;
        Some((record.pid()?.get(), record.observed.supervise.pid))
    })
}

/// Types words in the background; stderr goes to the file `err`.
fn type_away(world: &World, words: &[&str]) -> Running {
    let err = fs::File::create(world.scratch.path("err")).expect("a file");
    let mut command = world.command("uphold", &[&["-C", "scan"], words].concat());
    start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err))
}

fn is_supervised(world: &World, dir: &str) -> bool {
    finish(&mut world.command("svok", &[dir])).code == 0
}

#[test]
fn a_service_comes_and_goes_in_order() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        // It has more to say at its end than the pipe holds, and its logger begins late.
        let talks = "trap 'kill $!; i=0; while [ $i -lt 4000 ]; do echo a line that takes room in the pipe $i; i=$((i+1)); done; echo end; exit' TERM
echo >&3
while :; do sleep 100000 & wait; done";
        let logger = ("log/run", "#!\nsleep 0.3; exec cat >>lines");
        world.directory("sv/web", talks, &[NOTIFIES, logger]);
        world.directory("sv/other", LIVES, &[]);
        world.directory("sv/job", LIVES, &[("down", "")]);
        let said = |world: &World, words: &[&str]| told(&world.uphold(words));
        // Nobody serves it yet.
        let nobody =
            "uphold enable: no svscan serves scan, which starts it: svscan scan, or at boot by uphold boot install\n";
        let linked = format!("{nobody}other: not up: it is linked, and no supervise runs\n");
        assert_eq!(said(&world, &["enable", "sv/other"]), expected(1, "", &linked));
        assert_eq!(link(&world, "other"), Some(world.scratch.path("sv/other")));
        assert_eq!(said(&world, &["disable", "other"]), expected(0, "other: disabled\n", ""));
        assert_eq!(said(&world, &["enable", "--no-wait", "sv/other/"]), expected(0, "other: enabled\n", nobody));
        assert_eq!(said(&world, &["disable", "--no-wait", "other"]), expected(0, "other: disabled\n", ""));
        assert_eq!(link(&world, "other"), None);
        world.serve_first();
        // By the way on which the operator has come.
        symlink(".", world.scratch.path("way")).expect("a link");
        let mut command = world.command("uphold", &["-C", "scan", "enable", "./sv//web/"]);
        let enabled = finish(command.current_dir(world.scratch.path("way")).env("PWD", world.scratch.path("way")));
        assert_eq!(told(&enabled), expected(0, "web: ready\n", ""));
        assert_eq!(link(&world, "web"), Some(world.scratch.path("way/sv/web")));
        assert_eq!(
            said(&world, &["enable", "sv/job", "task"]),
            expected(0, "task: down, as its file down says; uphold start task starts it\n", "")
        );
        assert_eq!(said(&world, &["enable", "sv/web"]), expected(0, "web: already enabled\n", ""));
        let twice = "two: not enabled: it is enabled as web already, and two names for one directory are one service\n";
        assert_eq!(said(&world, &["enable", "sv/web", "two"]), expected(1, "", twice));
        let (service, supervise) = pids(&world, "sv/web");
        let (_, logs) = pids(&world, "sv/web/log");
        // One name of two is not the service.
        assert_eq!(said(&world, &["enable", "--force", "sv/web", "two"]).0, 0);
        let stays = "two: disabled: the same service is there as web, and stays\n";
        assert_eq!(said(&world, &["disable", "two"]), expected(0, stays, ""));
        assert!(link(&world, "two").is_none() && lives(service));
        let (code, out, err) = told(&world.uphold(&["disable", "web", "t*"]));
        let mut lines: Vec<&str> = out.lines().collect();
        lines.sort_unstable();
        assert_eq!((code, lines, err.as_str()), (0, vec!["task: disabled", "web: disabled"], ""));
        assert_eq!((link(&world, "web"), link(&world, "task")), (None, None));
        // A process that ends closes its files first.
        wait_until("all have ended", || ![service, supervise, logs].into_iter().any(lives));
        let logged = world.scratch.text("sv/web/log/lines");
        assert_eq!((logged.lines().count(), logged.lines().last()), (4001, Some("end")));
        assert!(!is_supervised(&world, "sv/job"));
        let gone = "uphold disable: no service web in scan\n";
        assert_eq!(said(&world, &["disable", "web"]), expected(0, "", gone));
        // And again, by its path; without a wait its end comes nevertheless.
        assert_eq!(said(&world, &["enable", "sv/other", "else"]), expected(0, "else: up\n", ""));
        assert_eq!(said(&world, &["disable", "--no-wait", "sv/other"]), expected(0, "else: disabled\n", ""));
        assert_eq!(link(&world, "else"), None);
        wait_until("its supervise exits", || !is_supervised(&world, "sv/other"));
    });
}

#[test]
fn what_cannot_be_is_refused() {
    let mut world = World::new(!is_root());
    world.directory("sv/web", LIVES, &[]);
    world.directory("sv/bad", LIVES, &[("timeout_kill", "5s")]);
    world.directory("sv/away", LIVES, &[]);
    world.service("real", LIVES, &[]);
    world.service("needs", LIVES, &[("dependencies.d/web", "")]);
    fs::remove_file(world.scratch.path("sv/bad/run")).expect("it was made");
    symlink("/nonexistent", world.scratch.path("scan/nowhere")).expect("a link");
    symlink("../sv/web/run", world.scratch.path("scan/to-file")).expect("a link");
    world.scratch.write("scan/plain", "");
    world.serve();
    world.wait_supervised("real");
    let said = |words: &[&str]| told(&world.uphold(words));
    for (words, why) in [
        (&["enable", "sv/web", ".web"][..], "wrong name .web: svscan passes over names that begin with a dot"),
        (&["enable", "sv/web", "a/b"], "wrong name a/b: it has a slash in it"),
        (&["enable", "sv/web", "a\x1bb"], "wrong name a\\x1bb: it has a control character in it"),
        (&["enable", "sv/web", ""], "wrong name : it is empty"),
        (&["enable", "sv/web", "@"], "wrong name @: there is nothing before the @"),
        (&["enable", "sv/web", "web@"], "web@ is a template, from which uphold scale makes services, and none itself"),
        (&["enable", ".."], ""),
        (&["enable", "--timeout", "soon", "sv/web"], ""),
    ] {
        let (code, out, err) = said(words);
        assert_eq!((code, out.as_str()), (100, ""), "{words:?}");
        assert!(err.starts_with("uphold enable: fatal: ") && err.contains(why), "{words:?} {err}");
    }
    for word in ["enable", "disable"] {
        let (code, _, err) = said(&[word]);
        assert_eq!(code, 100);
        assert!(err.starts_with(&format!("uphold {word}: usage: ")), "{err}");
    }
    for (words, why) in [
        (&["enable", "sv/none"][..], "none: not enabled: ROOT/sv/none: file does not exist"),
        (&["enable", "sv/web/run"], "run: not enabled: ROOT/sv/web/run is not a directory"),
        (
            &["enable", "sv/web", "nowhere"],
            "nowhere: not enabled: scan/nowhere leads to /nonexistent; uphold disable nowhere takes that away",
        ),
        (&["enable", "sv/web", "real"], "real: not enabled: scan/real is another service directory"),
        (&["enable", "sv/web", "plain"], "plain: not enabled: scan/plain is there, and no service"),
        (&["enable", "sv/bad"], "bad: run does not exist\nbad: timeout_kill: ..."),
        (
            &["disable", "real"],
            "real: not disabled: scan/real is the service directory itself and no link, so it stays; an empty file scan/real/down and uphold stop keep the service down",
        ),
        (&["disable", "sv/away"], "sv/away: not disabled: nothing in the scan directory leads to it"),
        (&["disable", "x*"], "uphold disable: no service in scan matches x*"),
    ] {
        let (code, out, err) = said(words);
        assert_eq!((code, out.as_str()), (1, ""), "{words:?} {err}");
        let root = world.scratch.root().to_str().expect("a path");
        let why = why.replace("ROOT", root);
        if let Some((first, _)) = why.split_once('\n') {
            assert!(err.starts_with(first) && err.contains("timeout_kill: "), "{err}");
            assert!(err.ends_with("bad: not enabled: it cannot run; --force enables it all the same\n"), "{err}");
        } else {
            assert_eq!(err, why + "\n");
        }
    }
    assert!(is_supervised(&world, "scan/real") && link(&world, "bad").is_none());
    world.scratch.write("sv/bad/run", "#!/bin/sh\n");
    let (code, _, err) = said(&["enable", "--force", "--timeout", "1s", "sv/bad"]);
    assert!(code == 1 && err.contains("\nbad: enabled, and not ready: timed out, "), "{err}");
    assert_eq!(link(&world, "bad"), Some(world.scratch.path("sv/bad")));
    // Links that lead nowhere are taken away, and who needs a service is told of.
    let dangling = "nowhere: disabled: it is a link to a directory that does not exist\n";
    assert_eq!(said(&["disable", "nowhere"]), expected(0, dangling, ""));
    assert_eq!(said(&["disable", "to-file"]), expected(0, "to-file: disabled: it is not a directory\n", ""));
    assert_eq!(said(&["enable", "sv/web"]), expected(0, "web: up\n", ""));
    let needs = "uphold disable: needs needs web and does not start again without it\n";
    assert_eq!(said(&["disable", "sv/web", "scan/web"]), expected(0, "web: disabled\n", needs));
}

#[test]
fn no_kill_leaves_a_service_alone() {
    let mut world = World::new(!is_root());
    world.serve_first();
    let is_told = || {
        let record = record(world.scratch.path("sv/web")).expect("a record");
        record.decided.main.is_some_and(|main| main.ending)
    };
    world.directory("sv/web", STUBBORN, &[NOTIFIES, ("log/run", "#!\nexec cat >>lines")]);
    let enable = || assert_eq!(told(&world.uphold(&["enable", "sv/web"])), expected(0, "web: ready\n", ""));
    let go = world.scratch.path("sv/web/go");

    // Of its supervise.
    enable();
    let (service, supervise) = pids(&world, "sv/web");
    let mut disable = type_away(&world, &["disable", "web"]);
    wait_until("it is told", is_told);
    signal(supervise, "KILL");
    wait_until("it has another one", || pids(&world, "sv/web").1 != supervise);
    assert!(lives(service) && link(&world, "web").is_some());
    fs::write(&go, "").expect("a file");
    assert_eq!((disable.end(), world.scratch.text("err").as_str()), (0, ""));
    assert!(!lives(service) && link(&world, "web").is_none() && !is_supervised(&world, "sv/web"));
    fs::remove_file(&go).expect("it was made");

    // Of the word, and then Ctrl-C: a later one does the rest.
    enable();
    let (service, _) = pids(&world, "sv/web");
    for (name, code, told) in [
        ("KILL", 1009, ""),
        ("INT", 1002, "uphold disable: interrupted: web told to stop and not waited for, with its link in place\n"),
    ] {
        let mut disable = type_away(&world, &["disable", "web"]);
        wait_until("it is told", is_told);
        // It waits only after it has told.
        wait_until("it sleeps", || testkit::state(disable.pid()) == Some('S'));
        disable.signal(name);
        assert_eq!((disable.end(), world.scratch.text("err").as_str()), (code, told));
        assert!(lives(service) && link(&world, "web").is_some());
    }
    let late = told(&world.uphold(&["disable", "--timeout", "300ms", "web"]));
    assert_eq!(
        late,
        expected(1, "", "web: not disabled: timed out, it is up (pid ) and was told to end; its link stays\n")
    );
    fs::write(&go, "").expect("a file");
    assert_eq!(told(&world.uphold(&["disable", "web"])), expected(0, "web: disabled\n", ""));
    assert!(!lives(service) && !is_supervised(&world, "sv/web") && !is_supervised(&world, "sv/web/log"));

    // Of a supervise that is not started again: its service is not left behind.
    fs::remove_file(&go).expect("it was made");
    enable();
    let (service, supervise) = pids(&world, "sv/web");
    world.svscan().signal("KILL");
    world.svscan().end();
    signal(supervise, "KILL");
    wait_until("it has none", || !is_supervised(&world, "sv/web"));
    let lives_on = "web: not disabled: its supervise was killed, and pid  lives on: svscan scan takes it over\n";
    assert_eq!(told(&world.uphold(&["disable", "web"])), expected(1, "", lives_on));
    assert!(lives(service) && link(&world, "web").is_some());
    world.serve();
    fs::write(&go, "").expect("a file");
    wait_until("it is disabled", || told(&world.uphold(&["disable", "web"])).0 == 0 && link(&world, "web").is_none());
    assert!(!lives(service) && !is_supervised(&world, "sv/web"));
}

#[test]
fn a_wait_for_a_supervise_costs_nothing() {
    let mut world = World::new(!is_root());
    world.directory("sv/web", LIVES, &[("log/run", "#!\nexec cat >/dev/null")]);
    world.serve_first();
    world.svscan().signal("STOP");
    let mut enable = type_away(&world, &["enable", "sv/web"]);
    wait_until("it is linked", || link(&world, "web").is_some());
    // How often it has slept.
    let status = format!("/proc/{}/status", enable.pid());
    wait_rest("it sleeps on", Duration::from_millis(500), || {
        let status = fs::read_to_string(&status).ok()?;
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned)
    });
    assert_eq!(enable.ended(), None);
    world.svscan().signal("CONT");
    assert_eq!((enable.end(), world.scratch.text("err").as_str()), (0, ""));
    pids(&world, "sv/web");
}
