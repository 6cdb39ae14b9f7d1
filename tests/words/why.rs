//! `uphold why`: what is not as wanted, because of what, and what happens next.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Finished, Scratch, for_each, is_root, wait_for};

use super::world::{World, masked, users};

const LIVES: &str = "exec sleep 100000";

/// Waits until `uphold why` says this, with `N` in place of each number, and ends with this code.
fn wait_why(world: &World, names: &[&str], code: i32, expected: &[&str]) {
    wait_for(&format!("{expected:?}"), || {
        let said: Finished = world.uphold(&[&["why"], names].concat());
        let lines: Vec<String> = said.out().lines().map(masked).collect();
        let found = (said.code, lines, said.err());
        (found == (code, expected.iter().map(|line| (*line).to_owned()).collect(), String::new())).then_some(())
    });
}

#[test]
fn each_way_in_which_a_service_can_be_has_its_sentence() {
    for_each(users(), |&ordinary| {
        let world = World::in_every_state(ordinary);
        for (name, code, line) in [
            (
                "backs-off",
                1,
                "is down for Ns and backing off: next try in Ns. It has ended last with: exited N. It was started N times.",
            ),
            ("done", 0, "is as wanted: it is done, Ns ago."),
            ("down", 0, "is as wanted: down for Ns, as its file down says; uphold start down starts it."),
            (
                "failed",
                1,
                "has failed, Ns ago: killed by SIGSEGV. It is not started again by itself; uphold start failed starts it.",
            ),
            ("finishes", 1, "is down for Ns: finish runs, pid N. It has ended last with: exited N."),
            ("no-mode", 1, "is broken: run is not executable. chmod +x scan/no-mode/run helps."),
            ("no-run", 1, "is broken: run does not exist."),
            ("nowhere", 1, "is broken: it is a link to a directory that does not exist. It leads to /nonexistent."),
            ("paused", 1, "is paused, pid N: uphold cont paused continues it."),
            ("ready", 0, "is as wanted: up for Ns, ready for Ns, pid N."),
            ("refused", 1, "cannot be started: kill-mode: cgroup: not known. It is tried again."),
            ("replaced", 1, "is being replaced, pid N: new copy starts, pid N."),
            ("sick", 1, "is up for Ns, pid N, and unhealthy: health failed N times in Ns."),
            ("starts", 1, "is starting for Ns: start runs, pid N. Its run comes after that."),
            ("stops", 1, "is ending: told to end, pid N."),
            ("told", 0, "is as wanted: it was told to be down, Ns ago; uphold start told starts it."),
            ("unready", 1, "is up for Ns, pid N, and has not told yet that it is ready."),
            ("up", 0, "is as wanted: up for Ns, pid N."),
        ] {
            wait_why(&world, &[name], code, &[&format!("{name} {line}")]);
        }
        wait_why(
            &world,
            &["waits"],
            1,
            &[
                "waits is down for Ns and waits for nobody, which must be ready before it is started.",
                "nobody is broken: there is no such service.",
            ],
        );
        // One that is not as wanted is enough.
        wait_why(
            &world,
            &["up", "down"],
            0,
            &[
                "up is as wanted: up for Ns, pid N.",
                "down is as wanted: down for Ns, as its file down says; uphold start down starts it.",
            ],
        );
        assert_eq!(world.uphold(&["why", "up", "paused"]).code, 1);
    });
}

#[test]
fn a_chain_is_followed_to_its_end() {
    let mut world = World::new(!is_root());
    // Without that it would be there as soon as it is up.
    world.service("db", "exit 1", &[("backoff", "1h"), ("notification-fd", "3")]);
    world.service("migrate", LIVES, &[("dependencies.d/db", "")]);
    world.service("web", LIVES, &[("dependencies.d/migrate", "")]);
    world.serve();
    let chain = [
        "web is down for Ns and waits for migrate, which must be ready before it is started.",
        "migrate is down for Ns and waits for db, which must be ready before it is started.",
        "db is down for Ns and backing off: next try in Ns. It has ended last with: exited N. It was started N times.",
    ];
    wait_why(&world, &["web"], 1, &chain);
    let by_path = chain.map(|line| format!("scan/{line}"));
    wait_why(&world, &["scan/web"], 1, &by_path.each_ref().map(String::as_str));
}

#[test]
fn what_the_last_of_a_chain_has_said_is_shown() {
    let mut world = World::new(!is_root());
    let run = "exec 2>&1; for try in 1 2 3 4; do echo \"no $try db at \\033[1m\"; done; exit 1";
    let log = ("log/run", "#!\nexec multilog t ./main");
    world.service("db", run, &[("backoff", "1h"), ("notification-fd", "3"), log]);
    world.service("web", "echo well; exec sleep 100000", &[("dependencies.d/db", ""), log]);
    world.serve();
    let db =
        "db is down for Ns and backing off: next try in Ns. It has ended last with: exited N. It was started N times.";
    let log = [
        "The last lines of the log of db:",
        "N-N-N N:N:N no N db at \\xNb[Nm",
        "N-N-N N:N:N no N db at \\xNb[Nm",
        "N-N-N N:N:N no N db at \\xNb[Nm",
    ];
    let web = "web is down for Ns and waits for db, which must be ready before it is started.";
    wait_why(&world, &["web"], 1, &[&[web, db], &log[..]].concat());
    wait_why(&world, &["db"], 1, &[&[db], &log[..]].concat());
    assert!(world.uphold(&["why", "db"]).out().lines().last().is_some_and(|line| line.contains(" no 4 db")));
}

#[test]
fn where_nothing_supervises_it_says_what_helps() {
    let mut world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    let said = world.uphold(&["why", "web"]);
    assert_eq!(
        (said.code, said.out().as_str()),
        (1, "web is broken: no supervise runs. No svscan serves scan: svscan scan starts one.\n")
    );
    world.serve();
    wait_why(&world, &["web"], 0, &["web is as wanted: up for Ns, pid N."]);
    // It starts no other one.
    world.svscan().signal("STOP");
    testkit::signal(testkit::children(world.svscan().pid())[0], "KILL");
    wait_why(
        &world,
        &["web"],
        1,
        &[
            "web is broken: svscan has started no supervise. svscan looks again within five seconds, and says on its stderr what is in the way.",
        ],
    );
    world.svscan().signal("CONT");
}

#[test]
fn a_directory_that_may_not_be_looked_at_is_told() {
    if !testkit::needs_root() {
        return;
    }
    let mut world = World::new(true);
    world.scratch.service("scan/web", LIVES);
    fs::set_permissions(world.scratch.path("scan/web"), fs::Permissions::from_mode(0o700)).expect("ours");
    world.service("up", LIVES, &[]);
    world.serve();
    wait_why(&world, &["up"], 0, &["up is as wanted: up for Ns, pid N."]);
    wait_why(&world, &["web"], 1, &["web is broken: no permission to look. Its user, or root, may look."]);
}

/// A small file system, unmounted when the test is over.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        // The logger waits there for room, and where that is could not be seen any more.
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let lives_here = fs::read_link(entry.path().join("cwd")).is_ok_and(|place| place.starts_with(&self.0));
            if let Some(pid) = entry.file_name().to_str().filter(|_| lives_here) {
                testkit::finish(Command::new("kill").args(["-KILL", pid]));
            }
        }
        testkit::finish(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_log_directory_whose_file_system_is_full_is_told() {
    if !testkit::needs_root() {
        return;
    }
    let outside = Scratch::new();
    let small = Small(outside.mkdir("small"));
    let mounted = testkit::finish(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&small.0));
    if mounted.code != 0 {
        return testkit::skip("cannot mount");
    }
    // It goes before the file system does: a supervise would start another logger there.
    let mut world = World::new(false);
    let main = small.0.join("main").display().to_string();
    // The pipe to the logger gets full, and then it waits.
    world.service("web", "exec yes", &[("log/run", &format!("#!\nexec multilog {main}"))]);
    world.serve();
    let directory = masked(&main);
    let logger = format!(
        "web/log is up for Ns, pid N, and cannot write: the file system of {directory} is full. It goes on when it can; until then its service stops when the pipe to it is full."
    );
    wait_why(&world, &["web"], 1, &["web is as wanted: up for Ns, pid N.", &logger]);
    wait_why(&world, &["web/log"], 1, &[&logger]);
    // It says so itself too, on the stderr of svscan.
    let said = format!("multilog: warning: unable to write to {main}/current, pausing: out of disk space");
    testkit::wait_until(&said, || world.scratch.text("svscan.err").contains(&said));
    let page = world.uphold(&["status", "web"]).out();
    assert!(masked(&page).contains(&format!(" cannot be written: the file system of {directory} is full ")), "{page}");
}

#[test]
fn a_logger_that_is_not_as_wanted_is_told_of_behind_its_service() {
    let mut world = World::new(!is_root());
    world.service("web", LIVES, &[("log/run", "#!\nexec cat >/dev/null")]);
    world.service("bad", LIVES, &[("log/run", "#!\nexit 1"), ("log/final-exits", "any")]);
    world.serve();
    wait_why(&world, &["web"], 0, &["web is as wanted: up for Ns, pid N."]);
    wait_why(
        &world,
        &["bad"],
        1,
        &[
            "bad is as wanted: up for Ns, pid N.",
            "bad/log has failed, Ns ago: exited N. It is not started again by itself; uphold start bad/log starts it.",
        ],
    );
}

#[test]
fn wrong_words_and_names() {
    let world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    let said = |words: &[&str]| world.uphold(&[&["why"], words].concat());
    let usage = "uphold why: usage: uphold [-C dir] why name ...\n";
    assert_eq!((said(&[]).code, said(&[]).err().as_str()), (100, usage));
    assert_eq!(said(&["--all"]).code, 100);
    let unknown = said(&["wbe"]);
    assert_eq!(
        (unknown.code, unknown.out().as_str(), unknown.err().as_str()),
        (1, "", "uphold why: no service wbe in scan: is it web?\n")
    );
    let mut elsewhere = world.command("uphold", &["-C", "missing", "why", "web"]);
    assert_eq!(testkit::finish(&mut elsewhere).code, 111);
}
