//! `uphold status`, and `uphold` alone: the table.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io};

use testkit::{for_each, is_root, signal, wait_until};

use super::world::{World, masked, users};

const LIVES: &str = "exec sleep 100000";

#[test]
fn each_state_has_its_line() {
    for_each(users(), |&ordinary| {
        let world = World::in_every_state(ordinary);
        for line in [
            "backs-off backing off Ns - - N exited N next try in Ns",
            "done done Ns - - N exited N",
            "down down Ns - - N",
            "failed failed Ns - - N SEGV killed by SIGSEGV",
            "finishes finishing Ns - - N exited N finish runs, pid N",
            "no-mode broken - - - - run is not executable",
            "no-run broken - - - - run does not exist",
            "nowhere broken - - - - it is a link to a directory that does not exist",
            "once up Ns N - N N% NM not to be started again",
            "paused paused Ns N - N N% NM",
            "ready ready Ns N Ns N N% NM",
            "refused refused Ns - - N kill-mode: cgroup: not known",
            "replaced replacing Ns N Ns N N% NM new copy starts, pid N",
            "sick unhealthy Ns N - N N% NM health failed N times in Ns",
            "starts starting Ns - - N start runs, pid N",
            "stops stopping Ns N Ns N N% NM told to end",
            "to-file broken - - - - it is not a directory",
            "told down Ns - - N TERM told down (normally up)",
            "unready starting Ns N - N N% NM not ready yet",
            "up up Ns N - N N% NM",
            "waits waiting Ns - - N for nobody",
        ] {
            world.wait_line(line.split(' ').next().expect("a name"), line);
        }
        let table = world.uphold(&[]);
        assert_eq!((table.code, table.err().as_str()), (0, ""));
        let out = table.out();
        assert_eq!(
            masked(out.lines().next().expect("titles")),
            "NAME STATE SINCE PID READY STARTS LAST EXIT CPU MEMORY WHY"
        );
        let names: Vec<&str> = out.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert!(["plain-file", ".hidden", "template@"].iter().all(|none| !names.contains(none)), "{names:?}");
    });
}

#[test]
fn what_a_service_leaves_behind_is_named() {
    let mut world = World::new(!is_root());
    // What is left does not hear TERM.
    world.service(
        "web",
        "(trap '' TERM; echo >left; while :; do sleep 100000; done) & exec sleep 100000",
        &[("kill-mode", "group"), ("timeout-kill", "1h")],
    );
    world.serve();
    wait_until("it is there", || !world.scratch.text("scan/web/left").is_empty());
    world.wait_line("web", "web up Ns N - N N% NM");
    assert_eq!(testkit::finish(&mut world.command("svc", &["-d", "scan/web"])).code, 0);
    world.wait_line("web", "web stopping Ns - - N TERM leftovers pid N");
}

#[test]
fn a_supervise_that_is_not_there_is_told_and_a_svscan_too() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        world.service("web", LIVES, &[]);
        let nobody = world.uphold(&["status"]);
        assert_eq!(nobody.err(), "uphold status: no svscan serves scan: start one with svscan scan\n");
        assert_eq!(
            (nobody.code, masked(nobody.out().lines().nth(1).expect("a line")).as_str()),
            (0, "web broken - - - - no supervise runs")
        );
        world.serve();
        world.wait_line("web", "web up Ns N - N N% NM");
        // The supervises live on without a svscan, and are shown as they are.
        world.svscan().signal("KILL");
        world.svscan().end();
        let orphan = world.uphold(&["status"]);
        assert_eq!(orphan.err(), nobody.err());
        assert_eq!(masked(orphan.out().lines().nth(1).expect("a line")), "web up Ns N - N N% NM");
    });
}

#[test]
fn a_supervise_that_was_killed_is_missed() {
    let mut world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    world.serve();
    world.wait_line("web", "web up Ns N - N N% NM");
    // It starts no other one.
    world.svscan().signal("STOP");
    let supervise = testkit::children(world.svscan().pid())[0];
    signal(supervise, "KILL");
    world.wait_line("web", "web broken - - - - svscan has started no supervise");
    world.svscan().signal("CONT");
    world.wait_line("web", "web up Ns N - N N% NM");
}

#[test]
fn names_patterns_loggers_and_paths() {
    let mut world = World::new(!is_root());
    for name in ["web@1", "web@2", "db"] {
        world.service(name, LIVES, &[]);
    }
    world.scratch.script("scan/db/log/run", "exec cat >/dev/null");
    world.scratch.service("elsewhere/lone", LIVES);
    world.serve();
    for name in ["db", "web@1", "web@2"] {
        world.wait_line(name, &format!("{} up Ns N - N N% NM", masked(name)));
    }
    wait_until("its logger runs", || world.uphold(&["status", "db/log", "db"]).out().contains("db/log  up"));
    let shown = |words: &[&str]| {
        let said = world.uphold(&[&["status"], words].concat());
        let names =
            said.out().lines().skip(1).filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect::<Vec<_>>();
        (said.code, names, said.err())
    };
    let none = String::new();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(shown(&["web@*"]), (0, names(&["web@1", "web@2"]), none.clone()));
    assert_eq!(shown(&["web@2", "web@*", "db"]), (0, names(&["web@2", "web@1", "db"]), none.clone()));
    assert_eq!(shown(&["-l", "d?"]), (0, names(&["db", "db/log"]), none.clone()));
    assert_eq!(shown(&["d?", "-l"]), (0, names(&["db", "db/log"]), none.clone()));
    assert_eq!(shown(&["elsewhere/lone", "d?"]), (0, names(&["elsewhere/lone", "db"]), none.clone()));
    assert_eq!(shown(&["--", "-l"]), (1, names(&[]), "uphold status: no service -l in scan\n".to_owned()));
    let unknown = "uphold status: no service wbe@1 in scan: is it web@1 or web@2?\nuphold status: no service in scan matches x*\n";
    assert_eq!(shown(&["wbe@1", "db", "x*"]), (1, names(&["db"]), unknown.to_owned()));
    assert_eq!(shown(&["elsewhere/none"]).0, 1);
    let long = world.uphold(&["status", "-l"]).out();
    let titles = "NAME STATE SINCE PID READY STARTS LAST EXIT CPU MEMORY SECOND SUPERVISE VERSION WHY";
    assert_eq!(masked(long.lines().next().expect("titles")), titles);
    assert_eq!(masked(long.lines().nth(1).expect("a line")), "db up Ns N - N N% NM N N");
    for wrong in [&["--what"][..], &["-x"], &["--interval"], &["--interval=soon"]] {
        assert_eq!(shown(wrong).0, 100, "{wrong:?}");
    }
}

#[test]
fn the_processor_is_measured_for_as_long_as_is_asked() {
    let mut world = World::new(!is_root());
    world.service("busy", "while :; do :; done", &[]);
    world.service("idle", LIVES, &[]);
    world.serve();
    for name in ["busy", "idle"] {
        world.wait_line(name, &format!("{name} up Ns N - N N% NM"));
    }
    let table = world.uphold(&["status", "--interval", "200ms"]).out();
    let share = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_whitespace().find_map(|word| word.strip_suffix('%')?.parse::<f64>().ok()).expect("a share")
    };
    assert!(share("busy") > 0.0 && share("idle") < 0.1, "{table}");
}

#[test]
fn without_a_scan_directory_it_says_what_helps() {
    let world = World::new(!is_root());
    let ask = |words: &[&str]| {
        let mut command = world.command("uphold", words);
        testkit::finish(command.env("SVDIR", "missing").env_remove("HOME"))
    };
    let missing = ask(&[]);
    let line = "uphold status: fatal: there is no scan directory missing: make it and start svscan missing, or name another one with uphold -C DIR\n";
    assert_eq!((missing.code, missing.err().as_str(), missing.out().as_str()), (111, line, ""));
    world.scratch.write("file", "");
    let file = ask(&["-Cfile", "status"]);
    assert_eq!(
        (file.code, file.err().as_str()),
        (111, "uphold status: fatal: unable to read the scan directory file: not a directory\n")
    );
    let empty = ask(&["-C", "scan"]);
    assert_eq!((empty.code, empty.out().as_str()), (0, ""));
    for wrong in [&["-C"][..], &["-C", "scan", "nonsense"], &["-C", "scan", "svc"]] {
        let wrong = ask(wrong);
        assert_eq!(
            (wrong.code, wrong.err().as_str()),
            (100, "uphold: usage: uphold [-C scandir] [word [argument ...]]\n")
        );
    }
}

#[test]
fn a_terminal_gets_what_fits_and_colours_if_it_wants_them() {
    let mut world = World::new(!is_root());
    world.service("web", "exit 1", &[("backoff", "1h")]);
    world.service("fine", LIVES, &[]);
    world.serve();
    world.wait_line("fine", "fine up Ns N - N N% NM");
    wait_until("it backs off", || world.uphold(&["status"]).out().contains("backing off"));
    let typed = |columns: u32, change: fn(&mut std::process::Command)| world.on_terminal(columns, &["status"], change);
    let Some(wide) = typed(200, |_| ()) else { return };
    assert!(wide.contains("\x1b[33mbacking off\x1b[0m") && wide.contains("\x1b[32mup\x1b[0m"), "{wide:?}");
    for change in [
        (|command| {
            command.env("NO_COLOR", "1");
        }) as fn(&mut std::process::Command),
        |command| {
            command.env("TERM", "dumb");
        },
    ] {
        let plain = typed(200, change).expect("a terminal");
        assert!(plain.contains("backing off") && !plain.contains('\x1b'), "{plain:?}");
    }
    let titles = |columns| {
        let table = typed(columns, |command| {
            command.env("NO_COLOR", "1");
        })
        .expect("a terminal");
        assert!(table.lines().all(|line| line.chars().count() <= columns as usize), "{table}");
        masked(table.lines().next().expect("titles"))
    };
    assert_eq!(titles(200), "NAME STATE SINCE PID READY STARTS LAST EXIT CPU MEMORY WHY");
    assert_eq!(titles(50), "NAME STATE SINCE PID WHY");
    assert_eq!(titles(20), "NAME STATE");
}

#[test]
fn no_byte_of_a_name_reaches_the_terminal_as_it_is() {
    let mut world = World::new(!is_root());
    world.service("a\x1b[2Jb", LIVES, &[]);
    world.serve();
    wait_until("it is up", || world.uphold(&[]).out().contains("\na\\x1b[2Jb  up"));
}

#[test]
fn a_word_of_nobody_is_looked_for_beside_the_file_and_on_the_path() -> io::Result<()> {
    let world = World::new(!is_root());
    let said = |words: &[&str]| {
        let mut command = world.command("uphold", words);
        testkit::finish(command.env("PATH", world.scratch.path("bin")))
    };
    assert_eq!(said(&["mine"]).code, 100);
    assert!(said(&["mine"]).err().starts_with("uphold: unknown word mine: none of status, "));
    world.scratch.script("bin/uphold-mine", "echo \"$0\" \"$@\"; exit 7");
    let ran = said(&["mine", "-C", "a b"]);
    assert_eq!((ran.code, ran.out().ends_with("uphold-mine -C a b\n")), (7, true), "{ran:?}");
    fs::set_permissions(world.scratch.path("bin/uphold-mine"), fs::Permissions::from_mode(0o644))?;
    let broken = said(&["mine"]);
    assert_eq!(
        (broken.code, broken.err().as_str()),
        (111, "uphold: fatal: unable to run uphold-mine: access denied\n")
    );
    for word in ["", "../bin/uphold-mine", "--mine"] {
        assert_eq!(said(&[word]).code, 100, "{word:?}");
    }
    Ok(())
}
