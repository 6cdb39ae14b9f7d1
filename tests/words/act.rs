//! `uphold start`, `stop`, `restart`, `reload`, `replace`, `kill`, `pause`, `cont` and `signal`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use testkit::{Finished, finish, for_each, is_root, needs_root, record, skip, start, wait_for, wait_until};

use super::world::{World, users};
use crate::deploy::helper;

const LIVES: &str = "exec sleep 100000";
const NOTIFIES: (&str, &str) = ("notification-fd", "3");
/// It tells of signals in the file `told`, and ends on none of them.
const TELLER: &str = "for s in HUP USR1; do trap \"echo $s >>told\" $s; done
echo >&3
while :; do sleep 100000 & wait; kill $!; done";

/// A service: its name, the body of its `run`, and its other files.
type Service<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A world whose services are there, each with a supervise.
fn world(ordinary: bool, services: &[Service]) -> World {
    let mut world = World::new(ordinary);
    for (name, run, files) in services {
        world.service(name, run, files);
    }
    world.serve();
    for (name, ..) in services {
        let dir = format!("scan/{name}");
        wait_until("a supervise runs", || finish(&mut world.command("svok", &[&dir])).code == 0);
    }
    world
}

fn pid(world: &World, name: &str) -> Option<u32> {
    Some(record(world.scratch.path(format!("scan/{name}")))?.pid()?.get())
}

/// Waits until a service is up, and returns its process.
fn wait_up(world: &World, name: &str) -> u32 {
    wait_for("it is up", || pid(world, name))
}

/// The lines of what was printed, in their order, with neither pids nor times.
fn lines(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        let line = line.split(" after ").next().unwrap_or_default();
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            if words[at - 1].ends_with("pid") {
                words[at] = words[at].replace(|c: char| c.is_ascii_digit(), "");
            }
        }
        words.join(" ")
    };
    text.lines().map(plain).collect()
}

/// Exit code, and the lines of stdout, sorted, and of stderr.
fn told(finished: &Finished) -> (i32, Vec<String>, Vec<String>) {
    let mut out = lines(&finished.out());
    out.sort();
    (finished.code, out, lines(&finished.err()))
}

/// What is expected of [`told`]: the lines have a `|` between them.
fn expected(code: i32, out: &str, err: &str) -> (i32, Vec<String>, Vec<String>) {
    let lines = |text: &str| text.split('|').filter(|line| !line.is_empty()).map(str::to_owned).collect();
    (code, lines(out), lines(err))
}

#[test]
fn each_word_has_had_its_effect_when_it_ends() {
    for_each(users(), |&ordinary| {
        let down = ("down", "");
        let services: &[Service] = &[
            ("job", "", &[("start", "#!\nexit 0"), down]),
            ("plain", LIVES, &[down]),
            ("web", TELLER, &[NOTIFIES, down, ("down-signal", "KILL")]),
        ];
        let world = world(ordinary, services);
        // What its `start` has done is all of it.
        std::fs::remove_file(world.scratch.path("scan/job/run")).expect("it was made");
        let said = |words: &[&str]| told(&world.uphold(words));
        assert_eq!(said(&["start", "job", "plain", "web"]), expected(0, "job: done|plain: up|web: ready", ""));
        let first = pid(&world, "web").expect("it is up");
        assert_eq!(said(&["restart", "web"]), expected(0, "web: ready", ""));
        let second = pid(&world, "web").expect("it is up");
        assert_ne!(first, second);
        assert_eq!(said(&["replace", "web", "plain"]), expected(0, "plain: replaced|web: replaced", ""));
        let third = pid(&world, "web").expect("it is up");
        assert_ne!(second, third);
        let silent = "web: told to reload; it does not tell when it has";
        assert_eq!(said(&["reload", "web"]), expected(0, silent, ""));
        wait_until("it hears HUP", || world.scratch.text("scan/web/told") == "HUP\n");
        for name in ["USR1", "SIGUSR1", "10"] {
            assert_eq!(said(&["signal", name, "web"]), expected(0, &format!("web: {name} sent"), ""));
            wait_until("it hears USR1", || world.scratch.text("scan/web/told").ends_with("USR1\n"));
            world.scratch.write("scan/web/told", "");
        }
        let paused = || record(world.scratch.path("scan/plain")).expect("a record").status().paused;
        assert_eq!((said(&["pause", "plain"]), paused()), (expected(0, "plain: paused", ""), true));
        assert_eq!((said(&["cont", "plain"]), paused()), (expected(0, "plain: continued", ""), false));
        assert_eq!(said(&["signal", "STOP", "plain"]), expected(0, "plain: STOP sent", ""));
        assert_eq!(said(&["kill", "web"]), expected(0, "web: killed", ""));
        assert!(!testkit::lives(third));
        wait_up(&world, "web");
        assert_eq!(said(&["stop", "*"]), expected(0, "job: down|plain: down|web: down", ""));
        assert_eq!((pid(&world, "web"), pid(&world, "plain")), (None, None));
        // They are down, and no signal reaches them.
        let not = "web: not ready: it is down; uphold start web starts it";
        assert_eq!(said(&["restart", "web"]), expected(1, "", not));
        for (word, not) in [("kill", "killed"), ("pause", "paused"), ("cont", "continued")] {
            assert_eq!(said(&[word, "web"]), expected(1, "", &format!("web: not {not}: it is down")));
        }
        assert_eq!(said(&["signal", "HUP", "web"]), expected(1, "", "web: HUP not sent: it is down"));
        assert_eq!(said(&["stop", "web"]), expected(0, "web: down", ""));
        assert_eq!(said(&["replace", "web"]), expected(0, "web: replaced", ""));
    });
}

#[test]
fn a_start_begins_with_what_is_needed() {
    for_each(users(), |&ordinary| {
        let down = ("down", "");
        let notes = |name: &str| format!("echo {name} >>../.order; echo >&3; exec sleep 100000");
        let [web, api, db] = ["web", "api", "db"].map(notes);
        let services: &[Service] = &[
            ("web", &web, &[down, NOTIFIES, ("dependencies.d/api", ""), ("dependencies.d/db", "")]),
            ("api", &api, &[down, NOTIFIES, ("dependencies.d/db", "")]),
            ("db", &db, &[down, NOTIFIES]),
            ("egg", LIVES, &[down, ("dependencies.d/hen", "")]),
            ("hen", LIVES, &[down, ("dependencies.d/egg", "")]),
            ("bad", "exit 3", &[down, NOTIFIES, ("final-exits", "any")]),
            ("user", LIVES, &[down, ("dependencies.d/bad", "")]),
            ("lone", LIVES, &[down, ("dependencies.d/nobody", "")]),
        ];
        let world = world(ordinary, services);
        let said = |words: &[&str]| told(&world.uphold(words));
        assert_eq!(said(&["start", "web"]), expected(0, "api: ready|db: ready|web: ready", ""));
        assert_eq!(world.scratch.text("scan/.order"), "db\napi\nweb\n");
        // What was there already is not named, unless it was asked for.
        assert_eq!(said(&["start", "web", "db"]), expected(0, "db: ready|web: ready", ""));
        assert_eq!(world.scratch.text("scan/.order"), "db\napi\nweb\n");
        assert_eq!(said(&["start", "egg"]), expected(0, "egg: up|hen: up", ""));
        let not = "bad: not ready: it has failed: exited 3 (user needs it)|user: not ready: it waits for bad";
        assert_eq!(said(&["start", "user"]), expected(1, "", not));
        let not = "nobody: not ready: there is no such service (lone needs it)|lone: not ready: it waits for nobody";
        assert_eq!(said(&["start", "lone"]), expected(1, "", not));
    });
}

#[test]
fn a_stop_says_who_needs_it_or_begins_with_them() {
    for_each(users(), |&ordinary| {
        let notes = |name: &str| {
            format!("trap 'echo {name} >>../.ended; exit 0' TERM; echo >&3; while :; do sleep 100000 & wait; done")
        };
        let [web, api, db] = ["web", "api", "db"].map(notes);
        let group = ("kill-mode", "mixed");
        let services: &[Service] = &[
            ("api", &api, &[NOTIFIES, group, ("dependencies.d/db", "")]),
            ("db", &db, &[NOTIFIES, group]),
            ("web", &web, &[NOTIFIES, group, ("dependencies.d/api", "")]),
            ("resting", LIVES, &[("down", ""), ("dependencies.d/db", "")]),
        ];
        let world = world(ordinary, services);
        let said = |words: &[&str]| told(&world.uphold(words));
        let all_up = expected(0, "api: ready|db: ready|web: ready", "");
        assert_eq!(said(&["start", "api", "db", "web"]), all_up);
        let needs = "uphold stop: api needs db and stays up; --with-dependents stops what needs it first";
        assert_eq!(said(&["stop", "db"]), expected(0, "db: down", needs));
        assert!(pid(&world, "api").is_some() && pid(&world, "web").is_some());
        assert_eq!(said(&["start", "db"]), expected(0, "db: ready", ""));
        world.scratch.write("scan/.ended", "");
        world.scratch.give("scan/.ended");
        assert_eq!(said(&["stop", "--with-dependents", "db"]), expected(0, "api: down|db: down|web: down", ""));
        assert_eq!(world.scratch.text("scan/.ended"), "web\napi\ndb\n");
        // Those who need it are down already, or are told too.
        assert_eq!(said(&["stop", "--with-dependents", "db"]), expected(0, "db: down", ""));
        assert_eq!(said(&["start", "web"]), all_up);
        assert_eq!(
            said(&["stop", "db", "api"]),
            expected(
                0,
                "api: down|db: down",
                "uphold stop: web needs api and stays up; --with-dependents stops what needs it first"
            )
        );
    });
}

#[test]
fn what_is_needed_stays_up_if_who_needs_it_does_not_end() {
    let stays = "trap '' TERM; while :; do sleep 100000; done";
    let services: &[Service] =
        &[("db", LIVES, &[]), ("web", stays, &[("dependencies.d/db", ""), ("timeout-kill", "0")])];
    let world = world(!is_root(), services);
    let (db, _) = (wait_up(&world, "db"), wait_up(&world, "web"));
    let not = "web: not down: timed out, it is up (pid ) and was told to end|uphold stop: not touched: db";
    let stop = world.uphold(&["stop", "db", "--with-dependents", "--timeout", "1"]);
    assert_eq!(told(&stop), expected(1, "", not));
    assert_eq!(pid(&world, "db"), Some(db));
}

#[test]
fn a_rolling_change_ends_at_the_first_that_is_not_ready() {
    let cases: Vec<(bool, &str, &[&str])> = users()
        .iter()
        .flat_map(|&ordinary| {
            let ways: [(&str, &[&str]); 3] = [("restart", &[]), ("replace", &[]), ("restart", &["--parallel", "2"])];
            ways.map(|(word, more)| (ordinary, word, more))
        })
        .collect();
    for_each(&cases, |&(ordinary, word, more)| {
        let names: Vec<String> = (1..=8).map(|number| format!("web@{number}")).collect();
        let run = "[ -e broken ] && exit 3; echo >&3; exec sleep 100000";
        let files: &[(&str, &str)] = &[NOTIFIES, ("final-exits", "3")];
        let services: Vec<_> = names.iter().map(|name| (name.as_str(), run, files)).collect();
        let world = world(ordinary, &services);
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(world.uphold(&[&["start"], &all[..]].concat()).code, 0);
        world.scratch.write("scan/web@3/broken", "");
        let pids = || names.iter().map(|name| pid(&world, name)).collect::<Vec<_>>();
        let before = pids();
        let rolled = world.uphold(&[&[word, "--rolling"], more, &["web@*"]].concat());
        let (code, out, err) = told(&rolled);
        assert_eq!((code, err.len()), (1, 2), "{rolled:?}");
        let untouched = err[1].strip_prefix(&format!("uphold {word}: not touched: ")).expect("who is not");
        let untouched: Vec<&str> = untouched.split(' ').collect();
        if more.is_empty() {
            assert_eq!(untouched, all[3..]);
            let done = if word == "restart" { "ready" } else { "replaced" };
            assert_eq!(out, [format!("web@1: {done}"), format!("web@2: {done}")]);
        }
        assert_eq!(out.len() + 1 + untouched.len(), 8, "{rolled:?}");
        let why = if word == "restart" { "web@3: not ready: it has failed: exited 3" } else { "web@3: not replaced: " };
        assert!(err[0].starts_with(why), "{rolled:?}");
        let after = pids();
        for (place, name) in all.iter().enumerate().filter(|&(place, _)| place != 2) {
            assert_eq!(before[place] == after[place], untouched.contains(name), "{name} {rolled:?}");
        }
        std::fs::remove_file(world.scratch.path("scan/web@3/broken")).expect("it is there");
        assert_eq!(world.uphold(&["start", "web@3"]).code, 0);
        let all_well = told(&world.uphold(&[&[word, "--rolling"], more, &["web@*"]].concat()));
        assert_eq!((all_well.0, all_well.1.len(), all_well.2.len()), (0, 8, 0), "{all_well:?}");
    });
}

#[test]
fn nobody_waits_longer_than_asked() {
    let world = world(!is_root(), &[("slow", LIVES, &[NOTIFIES])]);
    let pid = wait_up(&world, "slow");
    let line = format!("slow: not ready: timed out, it is up (pid {pid}) and not ready\n");
    for timeout in [&["--timeout", "1"][..], &["--timeout=500ms"]] {
        wait_until("it is heard in time", || {
            let begin = Instant::now();
            let late = world.uphold(&[&["start", "slow"], timeout].concat());
            assert_eq!((late.code, late.out().as_str()), (1, ""));
            assert!(begin.elapsed() < Duration::from_secs(60), "it waits for as long as if nothing was asked");
            late.err() == line
        });
    }
    let told = world.uphold(&["stop", "--no-wait", "slow"]);
    assert_eq!((told.code, told.out().as_str(), told.err().as_str()), (0, "slow: told to stop\n", ""));
    wait_until("it ends", || !testkit::lives(pid));
    let told = world.uphold(&["signal", "--no-wait", "HUP", "slow"]);
    assert_eq!((told.code, told.out().as_str(), told.err().as_str()), (0, "slow: told to send on HUP\n", ""));
}

#[test]
fn the_line_says_how_long_it_took() {
    let services: &[Service] = &[("slow", "sleep 2; echo >&3; exec sleep 100000", &[NOTIFIES, ("down", "")])];
    let world = world(!is_root(), services);
    let out = world.uphold(&["start", "slow"]).out();
    let seconds = out.strip_prefix("slow: ready after ").and_then(|rest| rest.strip_suffix("s\n"));
    assert!(seconds.and_then(|seconds| seconds.parse::<u32>().ok()).is_some_and(|seconds| seconds >= 2), "{out}");
}

#[test]
fn a_wrong_name_keeps_nobody_else_but_from_a_rolling_change() {
    let world = world(!is_root(), &[("web", LIVES, &[]), ("db", LIVES, &[])]);
    let before = wait_up(&world, "web");
    let unknown = "no service wbe in scan: is it web?";
    let rolling = format!("uphold restart: {unknown}|uphold restart: not touched: web");
    assert_eq!(told(&world.uphold(&["restart", "--rolling", "wbe", "web"])), expected(1, "", &rolling));
    assert_eq!(pid(&world, "web"), Some(before));
    let unknown = format!("uphold restart: {unknown}");
    assert_eq!(told(&world.uphold(&["restart", "wbe", "web"])), expected(1, "web: up", &unknown));
    assert_eq!(told(&world.uphold(&["stop", ""])), expected(1, "", "uphold stop: no service  in scan"));
    for word in ["start", "stop", "restart", "reload", "replace", "kill", "pause", "cont", "signal"] {
        let nobody = world.uphold(&[word]);
        assert_eq!((nobody.code, nobody.out().as_str()), (100, ""), "{word}");
        assert!(nobody.err().starts_with(&format!("uphold {word}: usage: uphold [-C DIR] {word} [")), "{nobody:?}");
    }
    for wrong in [
        &["signal", "HUP"][..],
        &["signal", "SEGV", "web"],
        &["signal", "web", "HUP"],
        &["stop", "--rolling", "web"],
        &["restart", "--with-dependents", "web"],
        &["restart", "--parallel", "2", "web"],
        &["restart", "--rolling", "--parallel", "0", "web"],
        &["restart", "--rolling", "--no-wait", "web"],
        &["stop", "--with-dependents", "--no-wait", "web"],
        &["stop", "--timeout", "soon", "web"],
        &["stop", "-x", "web"],
    ] {
        let wrong = world.uphold(wrong);
        assert_eq!((wrong.code, wrong.out().as_str()), (100, ""), "{wrong:?}");
    }
    assert!(
        world
            .uphold(&["signal", "SEGV", "web"])
            .err()
            .starts_with("uphold signal: fatal: no command sends the signal SEGV: ")
    );
}

#[test]
fn what_cannot_be_told_has_a_line() {
    let mut world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    world.scratch.script("scan/web/log/run", "exec cat >/dev/null");
    world.scratch.mkdir("scan/no-run");
    std::os::unix::fs::symlink("/nonexistent", world.scratch.path("scan/nowhere")).expect("a link");
    let said = |world: &World, words: &[&str]| told(&world.uphold(words));
    let not = "no-run: not ready: run does not exist|web: not ready: no supervise runs";
    assert_eq!(said(&world, &["start", "no-run", "web"]), expected(1, "", not));
    world.serve();
    wait_up(&world, "web");
    let not = "nowhere: not ready: it is a link to a directory that does not exist";
    assert_eq!(said(&world, &["start", "nowhere", "web"]), expected(1, "web: up", not));
    wait_up(&world, "web/log");
    assert_eq!(said(&world, &["restart", "web/log", "scan/web"]), expected(0, "scan/web: up|web/log: up", ""));
}

#[test]
fn what_is_anothers_is_left_alone() {
    if !needs_root() {
        return;
    }
    let world = world(false, &[("web", LIVES, &[])]);
    let before = wait_up(&world, "web");
    let mut other = world.scratch.ordinary("uphold", &["-C", "scan", "stop", "web"]);
    let stop = finish(other.env_remove("SVDIR"));
    let not = "web: not down: no permission: its supervise belongs to another user; ask as that user, or as root";
    assert_eq!(told(&stop), expected(1, "", not));
    assert_eq!(pid(&world, "web"), Some(before));
}

#[test]
fn ctrl_c_leaves_what_was_commanded_as_it_is() {
    let down = ("down", "");
    let files: &[(&str, &str)] = &[NOTIFIES, down];
    let world = world(!is_root(), &[("slow", LIVES, files)]);
    let err = std::fs::File::create(world.scratch.path("err")).expect("a file");
    let mut command = world.command("uphold", &["-C", "scan", "start", "slow"]);
    let mut waiting = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err));
    let pid = wait_up(&world, "slow");
    waiting.signal("INT");
    assert_eq!(waiting.end(), 1002);
    assert_eq!(world.scratch.text("err"), "uphold start: interrupted: slow told to start and not waited for\n");
    assert_eq!(self::pid(&world, "slow"), Some(pid));
    // One after another.
    let all = ["restart", "--rolling", "slow", "slow2"];
    world.service("slow2", LIVES, &[]);
    wait_up(&world, "slow2");
    let err = std::fs::File::create(world.scratch.path("err")).expect("a file");
    let mut command = world.command("uphold", &[&["-C", "scan"], &all[..]].concat());
    let mut waiting = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err));
    wait_until("it is restarted", || self::pid(&world, "slow").is_some_and(|now| now != pid));
    waiting.signal("INT");
    assert_eq!(waiting.end(), 1002);
    assert_eq!(
        world.scratch.text("err"),
        "uphold restart: interrupted: slow told to restart and not waited for; not touched: slow2\n"
    );
}

#[test]
fn somebody_who_looks_on_is_told_what_is_waited_for() {
    let world = world(!is_root(), &[("slow", LIVES, &[NOTIFIES]), ("slow2", LIVES, &[NOTIFIES])]);
    wait_up(&world, "slow");
    wait_up(&world, "slow2");
    let seen = |columns: u32, words: &[&str]| world.on_terminal(columns, words, |_| ());
    let Some(one) = seen(200, &["start", "--timeout", "4", "slow"]) else { return skip("no terminal") };
    assert!(one.contains("\rwaiting for slow to be ready: ") && one.contains("s, it is up (pid "), "{one:?}");
    // It is gone before the last line, which has its colour.
    let (before, last) = one.rsplit_once('\r').expect("a line of progress");
    assert!(last.starts_with("slow: \x1b[31mnot ready\x1b[0m: timed out, it is up (pid "), "{one:?}");
    assert!(before.trim_end_matches('\u{8}').ends_with("    "), "{one:?}");
    let both = seen(30, &["start", "--timeout", "4", "slow", "slow2"]).expect("a terminal");
    assert!(both.contains("\rwaiting for 2 services to be \r"), "{both:?}");
    let quick = seen(200, &["pause", "slow"]).expect("a terminal");
    assert!(quick.contains("slow: \x1b[32mpaused\x1b[0m"), "{quick:?}");
    let nobody = world.uphold(&["start", "--timeout", "2", "slow2"]);
    assert!(nobody.err().starts_with("slow2: not ready: timed out, ") && !nobody.err().contains('\r'), "{nobody:?}");
}

#[test]
fn a_reload_waits_for_a_service_that_tells() {
    for (how, code, out, err) in [
        ("tells", 0, "web: reloaded", ""),
        ("silent", 1, "", "web: not reloaded: it has not told within 300ms that it reloads"),
    ] {
        let run = format!("exec env {}", helper::run("reload", ""));
        let world = world(false, &[("web", &run, &[("sd-notify", ""), ("how", how)])]);
        assert_eq!(told(&world.uphold(&["start", "web"])), expected(0, "web: ready", ""));
        if how == "silent" {
            world.scratch.write("scan/web/timeout-ready", "300");
        }
        assert_eq!(told(&world.uphold(&["reload", "web"])), expected(code, out, err));
    }
}
