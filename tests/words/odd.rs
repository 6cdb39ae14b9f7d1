//! What nobody thinks of when he types: names that are words of ours, thousands of names, a supervise that does not answer, and one of a release to come.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::{finish, is_root, record, signal, wait_for, wait_until};

use super::world::World;

const LIVES: &str = "exec sleep 100000";

/// A world with services that are up.
fn world(names: &[&str]) -> World {
    let mut world = World::new(!is_root());
    for name in names {
        world.service(name, LIVES, &[]);
    }
    world.serve();
    for name in names {
        wait_up(&world, name);
    }
    world
}

fn wait_up(world: &World, name: &str) -> u32 {
    wait_for("it is up", || Some(record(world.scratch.path(format!("scan/{name}")))?.pid()?.get()))
}

/// The names in a table.
fn named(table: &str) -> Vec<&str> {
    table.lines().skip(1).filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn a_service_may_be_called_as_a_word_is() {
    let world = world(&["status", "restart", "svstat", "-x"]);
    for name in ["status", "restart", "svstat"] {
        assert_eq!(world.uphold(&["why", name]).code, 0, "{name}");
        let before = wait_up(&world, name);
        assert!(world.uphold(&["restart", name]).out().starts_with(&format!("{name}: up")), "{name}");
        assert_ne!(wait_up(&world, name), before);
        assert!(world.uphold(&["status", name, "-l"]).out().starts_with(&format!("NAME       {name}\n")), "{name}");
    }
    assert_eq!(named(&world.uphold(&[]).out()), ["-x", "restart", "status", "svstat"]);
    assert!(world.uphold(&["stop", "--", "-x"]).out().starts_with("-x: down"));
    assert_eq!(world.uphold(&["stop", "-x"]).code, 100);
}

#[test]
fn a_pattern_may_match_thousands() {
    const MANY: usize = 5_000;
    let world = World::new(!is_root());
    for number in 0..MANY {
        world.scratch.mkdir(format!("scan/s{number:04}"));
    }
    let table = world.uphold(&["status", "s*"]);
    assert_eq!((table.code, named(&table.out()).len()), (0, MANY));
    let stop = world.uphold(&["stop", "s*"]);
    assert_eq!((stop.code, stop.out().as_str(), stop.err().lines().count()), (1, "", MANY), "a line for each");
    assert!(stop.err().starts_with("s0000: not down: "), "{}", stop.err().lines().next().unwrap_or_default());
    let none = world.uphold(&["status", "x*"]);
    assert_eq!(
        (none.code, none.err().as_str()),
        (
            1,
            "uphold status: no service in scan matches x*\nuphold status: no svscan serves scan: start one with svscan scan\n"
        )
    );
}

#[test]
fn a_scan_directory_that_nobody_may_read_is_told() {
    let world = World::new(true);
    world.service("web", LIVES, &[]);
    let mode = |mode| fs::set_permissions(world.scratch.path("scan"), fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o0);
    for word in ["why", "status", "log", "check", "start", "disable"] {
        let told = world.uphold(&[word, "web"]);
        let line = "fatal: no permission to look at the scan directory scan: ask as its owner, or as root";
        assert_eq!((told.code, told.out(), told.err()), (111, String::new(), format!("uphold {word}: {line}\n")));
    }
    mode(0o755);
}

#[test]
fn a_supervise_that_does_not_answer_is_not_waited_for_longer_than_asked() {
    let world = world(&["web", "db"]);
    let supervise = record(world.scratch.path("scan/web")).expect("a record").observed.supervise.pid;
    signal(supervise, "STOP");
    let stop = world.uphold(&["stop", "--timeout", "1s", "web", "db"]);
    let late = "web: not down: timed out, ";
    assert!(stop.code == 1 && stop.err().starts_with(late) && stop.out().starts_with("db: down"), "{stop:?}");
    // To look, nobody needs it.
    assert_eq!(named(&world.uphold(&["status"]).out()), ["db", "web"]);
    signal(supervise, "CONT");
    wait_until("it obeys in the end", || world.uphold(&["status", "web"]).out().contains("told down"));
}

#[test]
fn of_a_release_to_come_is_told_what_every_release_tells() {
    let world = world(&["web"]);
    let pid = wait_up(&world, "web");
    let file = world.scratch.path("scan/web/supervise/record");
    let supervise = record(world.scratch.path("scan/web")).expect("a record").observed.supervise.pid;
    // So that it does not write what it knows.
    signal(supervise, "STOP");
    let mut bytes = fs::read(&file).expect("a record");
    for slot in bytes.chunks_mut(512).filter(|slot| slot.starts_with(b"upR2")) {
        slot[3] = b'9';
    }
    fs::write(&file, bytes).expect("it is ours");
    let table = world.uphold(&["status"]);
    let line = table.out().lines().nth(1).map(str::to_owned).unwrap_or_default();
    assert!(table.code == 0 && line.starts_with("web ") && line.contains(&format!(" {pid} ")), "{table:?}");
    let why = world.uphold(&["why", "web"]);
    assert!(why.out().starts_with("web is as wanted: up for"), "{why:?}");
    let stop = finish(&mut world.command("uphold", &["-C", "scan", "stop", "--timeout", "1s", "web"]));
    assert_eq!((stop.code, stop.out().as_str(), stop.err().lines().count()), (1, "", 1), "{stop:?}");
    signal(supervise, "CONT");
}
