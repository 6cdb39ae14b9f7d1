//! `uphold new`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use testkit::{Finished, finish, for_each, is_root, needs_program, needs_root, record, wait_for, wait_until};

use super::world::{World, users};

/// Exit code, stdout without times, and stderr.
fn told(finished: &Finished) -> (i32, String, String) {
    let out = finished.out();
    let lines = out.lines().map(|line| line.split(" after ").next().unwrap_or_default().to_owned() + "\n");
    (finished.code, lines.collect(), finished.err())
}

/// A world in which an ordinary user has everything that a new service needs.
fn world(ordinary: bool) -> World {
    let world = World::new(ordinary);
    world.scratch.mkdir_given("sv");
    if ordinary {
        world.scratch.lend("multilog");
    }
    world
}

#[test]
fn run_starts_exactly_these_words() {
    for_each(users(), |&ordinary| {
        let mut world = world(ordinary);
        world.serve_first();
        let words: [&[u8]; 13] = [
            b"a b",
            b"it's",
            b"''",
            b"\"q\"",
            b"two\nlines\n",
            b"$HOME `x` $(y)",
            b"",
            b"*",
            b"\xff\x81\x82\x83\x88\xc3",
            b"-n",
            b"\\",
            b"~",
            b"\t#",
        ];
        let mut command =
            world.command("uphold", &["-C", "scan", "new", "web", "--at", "sv", "--enable", "--", "sh", "-c"]);
        command.arg("printf '%s\\0' \"$@\" >words.new; mv words.new words; exec sleep 100000").arg("sh");
        command.args(words.map(OsStr::from_bytes));
        let made = format!("made {}/sv/web: run\nweb: up\n", world.scratch.root().display());
        assert_eq!(told(&finish(&mut command)), (0, made, String::new()));
        let expected = [words.join(&0), vec![0]].concat();
        wait_until("it has its words", || world.scratch.read("sv/web/words") == expected);
        let mode =
            |path: &str| fs::metadata(world.scratch.path(path)).expect("it was made").permissions().mode() & 0o777;
        assert_eq!((mode("sv/web"), mode("sv/web/run")), (0o755, 0o755));
    });
}

#[test]
fn what_is_made_is_told_with_what_to_type_next() {
    for_each(users(), |&ordinary| {
        let mut world = world(ordinary);
        let root = world.scratch.root().to_str().expect("a path").to_owned();
        world.service("db", "exec sleep 100000", &[]);
        world.service("cache", "exec sleep 100000", &[("notification-fd", "3")]);
        world.serve_first();
        let at = ["--at", "sv"];
        let said = |words: &[&str]| told(&world.uphold(&[&["new"], words].concat()));
        let needs = ["--need", "db", "--need=cache", "--need", "none", "--need", "db"];
        let made = said(&[&["web", "--log"], &at[..], &needs, &["--", "sleep", "100000"]].concat());
        let out = format!(
            "made {root}/sv/web: run, log/run, dependencies.d/db, dependencies.d/cache, dependencies.d/none\nto start it: uphold -C scan enable {root}/sv/web\n"
        );
        let err =
            "uphold new: db does not tell when it is ready, so web is started when db is up; see readiness in svdir(5)
uphold new: there is no service none in scan: web waits until there is\n";
        assert_eq!(made, (0, out, err.to_owned()));
        assert_eq!(world.scratch.text("sv/web/run"), "#!/bin/sh\nexec 2>&1\nexec sleep 100000\n");
        assert_eq!(world.scratch.text("sv/web/log/run"), "#!/bin/sh\nexec multilog t s1000000 n10 ./main\n");
        // Nothing is changed that is there.
        let again = said(&[&["web"], &at[..], &["--", "other"]].concat());
        assert_eq!(again, (1, String::new(), format!("uphold new: {root}/sv/web exists, and nothing was changed\n")));
        assert_eq!(world.scratch.text("sv/web/run"), "#!/bin/sh\nexec 2>&1\nexec sleep 100000\n");
        let absent = said(&[&["absent"], &at[..], &["--", "no-such-program"]].concat());
        assert_eq!(
            (absent.0, absent.2.as_str()),
            (0, "uphold new: warning: there is no program no-such-program on PATH\n")
        );
        let template = said(&[&["web@"], &at[..], &["--", "sleep", "1"]].concat());
        assert!(template.0 == 0 && template.1.ends_with("to start it: uphold -C scan scale web 2\n"), "{template:?}");
        // A logger gets its lines.
        let talks = said(
            &[&["talks", "--log", "--enable"], &at[..], &["--", "sh", "-c", "echo hello; exec sleep 100000"]].concat(),
        );
        assert_eq!(
            (talks.0, talks.1.as_str()),
            (0, &*format!("made {root}/sv/talks: run, log/run\ntalks: up\n")),
            "{talks:?}"
        );
        wait_until("it is logged", || world.scratch.text("sv/talks/log/main/current").ends_with(" hello\n"));
        if ordinary {
            let mut command = world.command("uphold", &["new", "own", "--", "sleep", "1"]);
            let home = world.scratch.mkdir_given("home");
            let own = finish(command.env("HOME", &home).env_remove("XDG_CONFIG_HOME"));
            let out = format!(
                "made {root}/home/.config/sv/own: run\nto start it: uphold enable {root}/home/.config/sv/own\n"
            );
            assert_eq!(told(&own), (0, out, String::new()));
        }
    });
}

#[test]
fn wrong_words_make_nothing() {
    let world = world(!is_root());
    for (words, why) in [
        (&["a/b", "--", "x"][..], "wrong name a/b: it has a slash in it"),
        (&[".", "--", "x"], "wrong name .: "),
        (&[".x", "--", "x"], "wrong name .x: "),
        (&["", "--", "x"], "wrong name : it is empty"),
        (&["@", "--", "x"], "wrong name @: "),
        (&["a\nb", "--", "x"], "wrong name a\\x0ab: "),
        (&["web@", "--enable", "--", "x"], "web@ is a template"),
        (&["web", "--need", "web", "--", "x"], "a service cannot need itself"),
        (&["web", "--need", "../x", "--", "x"], "wrong name ../x: "),
        (&["web", "--", ""], "wrong command : it is empty"),
        (&["web", "--", "-x"], "wrong command -x: "),
        (&["web", "--", "./x"], "wrong command ./x: it runs in the service directory"),
        (&["web", "--", "A_1=b", "x"], "wrong command A_1=b: it sets a variable"),
    ] {
        let wrong = world.uphold(&[&["new", "--at", "sv"], words].concat());
        assert_eq!((wrong.code, wrong.out().as_str()), (100, ""), "{words:?}");
        assert!(wrong.err().starts_with(&format!("uphold new: fatal: {why}")), "{wrong:?}");
    }
    for words in [&["web"][..], &["web", "--"], &["web", "x", "--", "y"], &["--", "x"], &["web", "--color", "--", "x"]]
    {
        let wrong = world.uphold(&[&["new", "--at", "sv"], words].concat());
        assert!(wrong.code == 100 && wrong.err().contains("uphold new: usage: "), "{wrong:?}");
    }
    let nobody = world.uphold(&["new", "--at", "sv", "--user", "nobody-at-all", "web", "--", "x"]);
    let why =
        if is_root() { "unknown account nobody-at-all" } else { "only root can let a service run as another user" };
    assert!(nobody.code == 111 && nobody.err().starts_with(&format!("uphold new: fatal: {why}")), "{nobody:?}");
    let nowhere = world.uphold(&["new", "--at", "none", "web", "--", "x"]);
    let nowhere = (nowhere.code, nowhere.err());
    let why =
        format!("uphold new: fatal: unable to make {}/none/web: file does not exist\n", world.scratch.root().display());
    assert_eq!(nowhere, (111, why));
    assert_eq!(fs::read_dir(world.scratch.path("sv")).expect("it was made").count(), 0);
}

#[test]
fn an_account_has_its_service_and_its_logs() {
    if !needs_root() {
        return;
    }
    let mut world = world(false);
    world.serve_first();
    let run = ["--", "sh", "-c", "id -un; exec sleep 100000"];
    // Nobody but root could get in.
    let mut command = Command::new("sh");
    let uphold = world.command("uphold", &[]);
    command.args(["-c", "umask 077; exec \"$0\" -C scan new web --at sv --user nobody --log --enable \"$@\""]);
    command.arg(uphold.get_program()).args(run).current_dir(world.scratch.root());
    let made = finish(command.env_remove("SVDIR"));
    assert_eq!((made.code, made.err().as_str()), (0, ""), "{made:?}");
    wait_until("it is logged", || world.scratch.text("sv/web/log/main/current").ends_with(" nobody\n"));
    let owner = |path: &str| fs::metadata(world.scratch.path(path)).expect("it is there").uid();
    assert_eq!((owner("sv/web"), owner("sv/web/log")), (0, 0));
    let nobody = owner("sv/web/log/main/current");
    assert!(nobody != 0 && owner("sv/web/log/main") == nobody);
    for dir in ["sv/web", "sv/web/log"] {
        let pid = wait_for("it is up", || record(world.scratch.path(dir))?.pid());
        assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("it lives").uid(), nobody, "{dir}");
    }
    assert_eq!(world.uphold(&["check"]).out(), "");
}

/// Made in the scan directory itself, it appears in one step; killed before, there is nothing that svscan takes for a service.
#[test]
fn it_is_there_as_a_whole_or_not_at_all() {
    let mut world = world(!is_root());
    world.serve_first();
    let words = ["-C", "scan", "new", "web", "--at", "scan", "--log", "--", "sleep", "100000"];
    let names = || {
        let names = fs::read_dir(world.scratch.path("scan")).expect("it is there").flatten();
        names.map(|entry| entry.file_name().into_string().expect("a name")).collect::<Vec<_>>()
    };
    if let Some(strace) = needs_program("strace") {
        let uphold = world.command("uphold", &words);
        let mut command = Command::new(strace);
        command.args([
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=renameat2",
            "-e",
            "inject=renameat2:signal=KILL:error=EPERM",
        ]);
        command.arg(uphold.get_program()).args(words).current_dir(world.scratch.root());
        let killed = finish(&mut world.scratch.as_ordinary(command));
        let left: Vec<String> = names().into_iter().filter(|name| name != "first").collect();
        assert!(killed.code != 0 && left.iter().all(|name| name.starts_with(".web.new-")), "{killed:?} {left:?}");
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(world.uphold(&["status"]).out().lines().count(), 2, "the title, and first");
    }
    let mut command = world.command("uphold", &words);
    assert_eq!(finish(&mut command).code, 0);
    world.wait_supervised("web");
    world.wait_supervised("web/log");
    assert_eq!(names().iter().filter(|name| !name.starts_with('.')).count(), 2);
}
