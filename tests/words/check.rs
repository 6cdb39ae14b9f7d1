//! `uphold check`: what is wrong with service directories before they run.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Finished, Scratch, Suite, address, finish, for_each, is_root, needs_root, signal, wait_until};

use super::world::World;

const LIVES: &str = "exec sleep 100000";

/// Root, if that is who runs the tests, and an ordinary user.
fn users() -> &'static [bool] {
    if is_root() { &[false, true] } else { &[true] }
}

/// Makes one thing wrong with the service in this directory.
type Spoil = fn(&Scratch, &str);

fn mode(scratch: &Scratch, path: &str, mode: u32) {
    fs::set_permissions(scratch.path(path), fs::Permissions::from_mode(mode)).expect("ours");
}

fn link(scratch: &Scratch, path: &str) {
    let _ = fs::remove_file(scratch.path(path));
    symlink("/nonexistent", scratch.path(path)).expect("a link");
}

fn fifo(scratch: &Scratch, path: &str) {
    let _ = fs::remove_file(scratch.path(path));
    assert!(Command::new("mkfifo").arg(scratch.path(path)).status().expect("mkfifo").success());
}

/// An executable file that begins so.
fn program(scratch: &Scratch, path: &str, contents: &str) {
    scratch.install(path, contents.as_bytes());
}

/// Each thing that may be wrong, and the line about it, without the name of the service.
const FINDINGS: &[(&str, Spoil)] = &[
    ("run does not exist", |s, dir| fs::remove_file(s.path(format!("{dir}/run"))).expect("it was made")),
    ("run is not executable", |s, dir| mode(s, &format!("{dir}/run"), 0o644)),
    ("run is a directory", |s, dir| {
        fs::remove_file(s.path(format!("{dir}/run"))).expect("it was made");
        s.mkdir(format!("{dir}/run"));
    }),
    ("run is a link to a file that does not exist", |s, dir| link(s, &format!("{dir}/run"))),
    ("run is not a regular file", |s, dir| {
        fifo(s, &format!("{dir}/run"));
        mode(s, &format!("{dir}/run"), 0o755);
    }),
    ("run: it is empty", |s, dir| program(s, &format!("{dir}/run"), "")),
    ("run: it has no #! line and is no ELF file, so the kernel does not execute it", |s, dir| {
        program(s, &format!("{dir}/run"), "exec sleep 100000\n");
    }),
    ("run: its interpreter /nonexistent/sh does not exist", |s, dir| {
        program(s, &format!("{dir}/run"), "#!/nonexistent/sh\n");
    }),
    ("run: its interpreter ./down is not executable", |s, dir| {
        s.write(format!("{dir}/down"), "");
        program(s, &format!("{dir}/run"), "#! ./down\n");
    }),
    ("run: carriage return at the end of the first line", |s, dir| {
        program(s, &format!("{dir}/run"), "#!/bin/sh\r\nexec sleep 100000\r\n");
    }),
    ("run can be written by everybody", |s, dir| mode(s, &format!("{dir}/run"), 0o757)),
    ("finish is not executable", |s, dir| drop(s.write(format!("{dir}/finish"), "#!/bin/sh\n"))),
    ("start: no interpreter behind #!", |s, dir| program(s, &format!("{dir}/start"), "#!\n")),
    ("stop is a directory", |s, dir| drop(s.mkdir(format!("{dir}/stop")))),
    ("notify is a link to a file that does not exist", |s, dir| link(s, &format!("{dir}/notify"))),
    ("health is not executable", |s, dir| drop(s.write(format!("{dir}/health"), ""))),
    ("check is not executable", |s, dir| drop(s.write(format!("{dir}/check"), ""))),
    ("control/t is not executable", |s, dir| drop(s.write(format!("{dir}/control/t"), ""))),
    ("control is not a directory", |s, dir| drop(s.write(format!("{dir}/control"), ""))),
    ("log is not a directory", |s, dir| drop(s.write(format!("{dir}/log"), ""))),
    ("log is a link to a directory that does not exist", |s, dir| link(s, &format!("{dir}/log"))),
    ("timeout-kill: 5d: not a number with ms, s, m, h or nothing behind it (none holds)", |s, dir| {
        s.write(format!("{dir}/timeout-kill"), "5d\n");
    }),
    ("backoff: 5: it has no unit: say ms, s, m or h (1s holds)", |s, dir| {
        drop(s.write(format!("{dir}/backoff"), "5\n"))
    }),
    ("kill-mode: cgroup: not known", |s, dir| drop(s.write(format!("{dir}/kill-mode"), "cgroup\n"))),
    ("kill-mode: it holds a blank or a second line, with a carriage return at its end", |s, dir| {
        s.write(format!("{dir}/kill-mode"), "group\r\n");
    }),
    ("timeout-kill: it is not a regular file", |s, dir| fifo(s, &format!("{dir}/timeout-kill"))),
    ("timeout_kill: not known; timeout-kill?", |s, dir| drop(s.write(format!("{dir}/timeout_kill"), "5s\n"))),
    ("final-exit: not known; final-exits?", |s, dir| drop(s.write(format!("{dir}/final-exit"), "0\n"))),
    ("Down: not known; down?", |s, dir| drop(s.write(format!("{dir}/Down"), ""))),
    ("dependency.d: not known; dependencies.d?", |s, dir| drop(s.mkdir(format!("{dir}/dependency.d")))),
    ("dependencies.d/rihgt: no such service in scan; right?", |s, dir| {
        s.write(format!("{dir}/dependencies.d/rihgt"), "");
    }),
    ("wants.d/rihgt: no such service in scan; right?", |s, dir| drop(s.write(format!("{dir}/wants.d/rihgt"), ""))),
    ("dependencies.d: not a directory", |s, dir| drop(s.write(format!("{dir}/dependencies.d"), ""))),
    ("sockets/web: wrong port: 0", |s, dir| drop(s.write(format!("{dir}/sockets/web"), "tcp 127.0.0.1:0\n"))),
    ("sockets/web: unknown host no-such-host.invalid", |s, dir| {
        s.write(format!("{dir}/sockets/web"), "tcp no-such-host.invalid:80\n");
    }),
    ("sockets: not a directory", |s, dir| drop(s.write(format!("{dir}/sockets"), ""))),
    ("sockets/b: unix:sock is also a listener of sockets/a", |s, dir| {
        // One line for each of the two.
        s.write(format!("{dir}/sockets/a"), "unix sock\n");
        s.write(format!("{dir}/sockets/b"), "unix sock\n");
    }),
    ("sockets/web: unix:run is a file that is no socket", |s, dir| {
        s.write(format!("{dir}/sockets/web"), "unix run\n");
    }),
    ("notification-fd: descriptor 3 is that of sockets/web too", |s, dir| {
        s.write(format!("{dir}/sockets/web"), "unix sock\n");
        s.write(format!("{dir}/notification-fd"), "3\n");
    }),
    ("cgroup/cgroup.kill: it is no limit", |s, dir| drop(s.write(format!("{dir}/cgroup/cgroup.kill"), "1\n"))),
    ("cgroup/memory.max: it is empty", |s, dir| drop(s.write(format!("{dir}/cgroup/memory.max"), "\n"))),
    ("supervise can be written by everybody", |s, dir| {
        s.mkdir(format!("{dir}/supervise"));
        mode(s, &format!("{dir}/supervise"), 0o703);
    }),
    ("the directory can be written by everybody", |s, dir| mode(s, dir, 0o757)),
];

fn check(world: &World, words: &[&str]) -> (u8, String, String) {
    let said: Finished = world.uphold(&[&["check"], words].concat());
    (u8::try_from(said.code).expect("a code"), said.out(), said.err())
}

#[test]
fn each_finding_has_its_line_and_is_found_alone() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        world.service("right", LIVES, &[("timeout-kill", "5s\n"), ("log/run", "#!exec cat"), ("final-exits", "0")]);
        let name = |number: usize| format!("s{number:02}");
        for (number, (_, spoil)) in FINDINGS.iter().enumerate() {
            world.service(&name(number), LIVES, &[]);
            spoil(&world.scratch, &format!("scan/{}", name(number)));
        }
        assert_eq!(check(&world, &["right"]), (0, String::new(), String::new()));
        let mut all = String::new();
        for (number, (line, _)) in FINDINGS.iter().enumerate() {
            let (name, line) = (name(number), format!("{}: {line}\n", name(number)));
            // Of two that have one address each is told.
            let other = line.contains("also a listener").then(|| line.replace("sockets/a", "sockets/x"));
            let other = other.map_or_else(String::new, |line| {
                line.replace("sockets/b", "sockets/a").replace("sockets/x", "sockets/b")
            });
            let expected = other + &line;
            assert_eq!(check(&world, &[&name]), (1, expected.clone(), String::new()));
            all += &expected;
        }
        assert_eq!(check(&world, &[]), (1, all, String::new()));
    });
}

/// The files below a directory, with what would tell a change.
fn listed(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, u64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("it is there").flatten() {
        let file = entry.metadata().expect("it is there");
        all.insert(entry.path(), (file.mode(), file.mtime(), file.mtime_nsec(), file.len()));
        if file.is_dir() {
            all.extend(listed(&entry.path()));
        }
    }
    all
}

#[test]
fn a_directory_with_all_of_it_is_told_at_once_and_stays_as_it_is() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        world.service("bad", LIVES, &[]);
        // What excludes another one of these is left out.
        let left = [
            "run ",
            "run:",
            "dependencies.d: ",
            "sockets: ",
            "control ",
            "log is a link",
            "timeout-kill: 5d",
            "kill-mode: it",
            "sockets/b",
        ];
        let mut expected = vec!["run is not executable", "timeout-kill: it is not a regular file"];
        mode(&world.scratch, "scan/bad/run", 0o644);
        for (line, spoil) in FINDINGS {
            // Where a knob is no regular file, none is read.
            let is_knob = ["backoff: ", "kill-mode: "].iter().any(|knob| line.starts_with(knob));
            if left.iter().any(|left| line.starts_with(left))
                || line.contains("unknown host")
                || line.contains("no socket")
                || line.starts_with("timeout-kill")
            {
                continue;
            }
            spoil(&world.scratch, "scan/bad");
            if !is_knob && !line.starts_with("sockets/web") {
                expected.push(line);
            }
        }
        fifo(&world.scratch, "scan/bad/timeout-kill");
        world.scratch.write("scan/bad/sockets/bad", "http\n");
        expected.push("sockets/bad: neither tcp, udp nor unix: http");
        let before = listed(&world.scratch.path("scan"));
        let (code, out, err) = check(&world, &[]);
        let mut found: Vec<&str> = out.lines().map(|line| line.strip_prefix("bad: ").expect("its name")).collect();
        // There is no service that the wrong name is like.
        let expected = expected.iter().map(|line| line.replace("; right?", ""));
        let mut expected: Vec<String> = expected.collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!((code, found, err.as_str()), (1, expected.iter().map(String::as_str).collect(), ""));
        assert_eq!(listed(&world.scratch.path("scan")), before);
    });
}

#[test]
fn a_logger_is_a_service_of_its_own() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        world.service("web", LIVES, &[("log/run", "#!exec cat"), ("log/dependencies.d/web", "")]);
        mode(&world.scratch, "scan/web/log/run", 0o644);
        world.scratch.write("scan/web/log/timeout-kill", "soon\n");
        let expected = "web/log: run is not executable\n\
                        web/log: timeout-kill: soon: not a number with ms, s, m, h or nothing behind it (none holds)\n\
                        web/log: dependencies.d: a logger waits for no other service\n";
        for words in [&[][..], &["web"], &["web/log"], &["w*"]] {
            assert_eq!(check(&world, words), (1, expected.to_owned(), String::new()), "{words:?}");
        }
    });
}

#[test]
fn a_log_directory_that_the_logger_cannot_write_is_told_where_that_can_be_seen() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        let user = "#!exec setuidgid daemon multilog t ./main";
        for (name, run) in [
            ("as-daemon", user),
            ("hidden", "#!DIR=./main; exec setuidgid daemon multilog t $DIR"),
            ("own", "#!exec multilog t ./main"),
        ] {
            world.service(name, LIVES, &[("log/run", run)]);
            world.scratch.mkdir_given(&format!("scan/{name}/log/main"));
            mode(&world.scratch, &format!("scan/{name}/log/main"), 0o555);
        }
        let main = fs::metadata(world.scratch.path("scan/own/log/main")).expect("it was made");
        let of = format!("of user {} and group {}, mode 0555", main.uid(), main.gid());
        let mut expected = format!("as-daemon/log: ./main: daemon cannot write there: {of}\n");
        if ordinary {
            expected += &format!("own/log: ./main: user {} cannot write there: {of}\n", main.uid());
        }
        assert_eq!(check(&world, &[]), (1, expected, String::new()));
        // It is made by the logger.
        for name in ["as-daemon", "hidden", "own"] {
            fs::remove_dir(world.scratch.path(format!("scan/{name}/log/main"))).expect("it was made");
        }
        let (_, out, _) = check(&world, &["as-daemon"]);
        assert!(out.starts_with("as-daemon/log: ./main: daemon cannot write there: it does not exist, and "), "{out}");
        assert_eq!(check(&world, &["own", "hidden"]).0, 0);
        mode(&world.scratch, "scan/as-daemon/log", 0o757);
        assert_eq!(check(&world, &["as-daemon"]).1, "as-daemon/log: the directory can be written by everybody\n");
    });
}

#[test]
fn a_cycle_is_told_once_by_the_names_that_close_it() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        world.service("a", LIVES, &[("dependencies.d/b", "")]);
        world.service("b", LIVES, &[("dependencies.d/c", "")]);
        world.service("c", LIVES, &[("dependencies.d/a", "")]);
        world.service("leads-to-it", LIVES, &[("dependencies.d/a", "")]);
        // Only who wants the other one waits for it in vain.
        world.service("p", LIVES, &[("wants.d/q", "")]);
        world.service("q", LIVES, &[("dependencies.d/p", "")]);
        world.service("y", LIVES, &[("dependencies.d/z", "")]);
        world.service("z", LIVES, &[("wants.d/y", "")]);
        world.service("itself", LIVES, &[("dependencies.d/itself", "")]);
        let round = "a: in a cycle: it waits for b, which waits for c, which waits for a\n";
        let own = "itself: dependencies.d/itself: it is this service itself\n";
        let wanted =
            "p: in a cycle: it waits for q, which waits for p\ny: in a cycle: it waits for z, which waits for y\n";
        assert_eq!(check(&world, &[]), (1, [round, own, wanted].concat(), String::new()));
        let from_c = "c: in a cycle: it waits for a, which waits for b, which waits for c\n";
        assert_eq!(check(&world, &["c"]).1, from_c);
        assert_eq!(check(&world, &["scan/c"]).1, from_c.replace("c:", "scan/c:"));
        assert_eq!(check(&world, &["leads-to-it"]), (0, String::new(), String::new()));
    });
}

#[test]
fn two_services_with_one_listener_are_both_told() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        let address = address();
        let port = address.rsplit(':').next().expect("a port");
        let one = format!("udp {address}\n");
        world.service("one", LIVES, &[("sockets/a", &one)]);
        world.service("other", LIVES, &[("sockets/b", &one)]);
        // A spare one is started in place of another.
        world.service("spare", LIVES, &[("sockets/a", &one), ("down", "")]);
        world.service("tcp", LIVES, &[("sockets/a", &format!("tcp {address} reuseport\n"))]);
        world.service("two-tcp", LIVES, &[("sockets/a", &format!("tcp *:{port} reuseport\n"))]);
        let path = world.scratch.path("sock");
        world.service("unix-1", LIVES, &[("sockets/a", &format!("unix {}\n", path.display()))]);
        world.service("unix-2", LIVES, &[("sockets/a", "unix ../../sock\n")]);
        let expected = format!(
            "one: sockets/a: udp:{address} is also a listener of other, sockets/b\n\
             other: sockets/b: udp:{address} is also a listener of one, sockets/a\n\
             unix-1: sockets/a: unix:{} is also a listener of unix-2, sockets/a\n\
             unix-2: sockets/a: unix:../../sock is also a listener of unix-1, sockets/a\n",
            path.display()
        );
        assert_eq!(check(&world, &[]), (1, expected.clone(), String::new()));
        // The other one need not be asked for.
        assert_eq!(check(&world, &["other"]).1, expected.lines().nth(1).expect("its line").to_owned() + "\n");
    });
}

#[test]
fn an_address_in_use_is_told_unless_the_service_has_it() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        let [own, taken] = [address(), address()];
        world.service("own", LIVES, &[("sockets/a", &format!("tcp {own}\n")), ("sockets/b", "unix sock\n")]);
        world.serve();
        world.wait_line("own", "own up Ns N - N N% NM");
        assert_eq!(check(&world, &[]), (0, String::new(), String::new()));
        let _tcp = TcpListener::bind(&taken).expect("it is free");
        let path = world.scratch.path("taken");
        let _unix = UnixListener::bind(&path).expect("it is free");
        // svscan starts it, and its supervise cannot listen.
        let files = [("sockets/a", format!("tcp {taken}\n")), ("sockets/b", format!("unix {}\n", path.display()))];
        world.service("taken", LIVES, &files.each_ref().map(|(file, line)| (*file, line.as_str())));
        let (code, out, err) = check(&world, &[]);
        let who = if is_root() && ordinary {
            "another process".to_owned()
        } else {
            format!("check, pid {}", std::process::id())
        };
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!((code, lines.len(), err.as_str()), (1, 2, ""), "{out}");
        for (line, address) in lines.iter().zip([format!("tcp:{taken}"), format!("unix:{}", path.display())]) {
            assert!(line.contains(&format!("{address} is in use by ")), "{line}");
            let (_, by) = line.split_once("is in use by ").expect("who has it");
            assert!(by == who || by.ends_with(&format!(", pid {}", std::process::id())), "{line}");
        }
        // What a supervise has left behind is the service's own.
        world.svscan().signal("STOP");
        let supervises = testkit::children(world.svscan().pid());
        for &supervise in &supervises {
            signal(supervise, "KILL");
        }
        wait_until("they have ended", || !world.uphold(&["status", "own"]).out().contains(" up "));
        assert_eq!(check(&world, &["own"]), (0, String::new(), String::new()));
        world.svscan().signal("CONT");
        world.wait_line("own", "own up Ns N - N N% NM");
    });
}

#[test]
fn a_group_that_may_write_is_told() {
    if !needs_root() {
        return;
    }
    let world = World::new(false);
    world.service("web", LIVES, &[]);
    world.scratch.mkdir("scan/web/supervise");
    for name in ["run", "supervise"] {
        let path = format!("scan/web/{name}");
        mode(&world.scratch, &path, 0o775);
        chown(world.scratch.path(&path), None, Some(12345)).expect("root may");
    }
    let expected = "web: run can be written by the group 12345\nweb: supervise can be written by the group 12345\n";
    assert_eq!(check(&world, &[]), (1, expected.to_owned(), String::new()));
    // One that has the group of root is written by nobody else.
    chown(world.scratch.path("scan/web/run"), None, Some(0)).expect("root may");
    mode(&world.scratch, "scan/web/supervise", 0o700);
    assert_eq!(check(&world, &[]).0, 0);
}

#[test]
fn what_this_user_may_not_look_at_is_said() {
    if !needs_root() {
        return;
    }
    let world = World::new(true);
    for name in ["file", "knob", "whole"] {
        world.service(name, LIVES, &[("timeout-kill", "5s\n")]);
    }
    for path in ["file/run", "knob/timeout-kill", "whole"] {
        let path = format!("scan/{path}");
        chown(world.scratch.path(&path), Some(0), Some(0)).expect("root may");
        mode(&world.scratch, &path, 0o700);
    }
    let line = |name: &str, what: &str| {
        format!("uphold check: {name}: no permission to look at {what}: ask as its owner, or as root\n")
    };
    let expected = line("file", "run") + &line("knob", "timeout-kill") + &line("whole", "it");
    assert_eq!(check(&world, &[]), (111, String::new(), expected));
}

#[test]
fn names_options_and_paths() {
    for_each(users(), |&ordinary| {
        let world = World::new(ordinary);
        assert_eq!(check(&world, &[]), (0, String::new(), String::new()));
        world.service("web", LIVES, &[]);
        symlink("/nonexistent", world.scratch.path("scan/nowhere")).expect("a link");
        let broken = "nowhere: it is a link to a directory that does not exist\n";
        assert_eq!(check(&world, &[]), (1, broken.to_owned(), String::new()));
        let unknown = "uphold check: no service wbe in scan: is it web?\n";
        assert_eq!(check(&world, &["wbe", "web"]), (1, String::new(), unknown.to_owned()));
        assert_eq!(check(&world, &["--", "web"]), (0, String::new(), String::new()));
        assert_eq!(check(&world, &["web", "-x"]).0, 100);
        assert_eq!(check(&world, &["--what"]).0, 100);
        // A path needs no scan directory.
        let at = |words: &[&str]| finish(world.command("uphold", words).env("SVDIR", "missing"));
        assert_eq!((at(&["check", "./scan/web"]).code, at(&["check", "web"]).code, at(&["check"]).code), (0, 111, 111));
        world.service("a\x1b[2Jb", LIVES, &[("run~", "")]);
        mode(&world.scratch, "scan/a\x1b[2Jb/run", 0o644);
        assert_eq!(check(&world, &["a*"]).1, "a\\x1b[2Jb: run is not executable\n");
        if let Some(shown) = world.on_terminal(80, &["check", "nowhere"], |_| ()) {
            assert_eq!(shown, broken.replace("nowhere", "\x1b[31mnowhere\x1b[0m"));
        }
    });
}

#[test]
fn the_examples_are_clean() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let scans = ["service", "rules", "order/service", "container/service"].map(|dir| examples.join(dir));
    let below = |dir: &str| fs::read_dir(examples.join(dir)).expect("it is there").flatten().map(|entry| entry.path());
    let lone = below("deploy").chain(below("boot")).filter(|dir| dir.join("run").exists()).collect::<Vec<_>>();
    assert!(lone.len() > 6, "{lone:?}");
    let ask = |words: &[&std::ffi::OsStr]| {
        let said = finish(Suite::under_test().command("uphold").args(words).env_remove("SVDIR"));
        // Somebody else may have such an address on this machine.
        let out: String = said.out().lines().filter(|line| !line.contains(" is in use by ")).collect();
        assert_eq!((out.as_str(), said.err().as_str()), ("", ""), "{words:?}");
    };
    for scan in &scans {
        ask(&["-C".as_ref(), scan.as_os_str(), "check".as_ref()]);
    }
    let mut words: Vec<&std::ffi::OsStr> = vec!["-C".as_ref(), examples.as_os_str(), "check".as_ref()];
    words.extend(lone.iter().map(|dir| dir.as_os_str()));
    ask(&words);
}
