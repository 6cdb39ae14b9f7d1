//! sv: its commands, its lines and its exit codes, on services of runsv and of our supervise.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use testkit::{finish, lives, needs_root, wait_until};

use super::stand::{SLEEPER, STUBBORN, Stand, each, shown};

const USAGE: &str = "2> usage: sv [-v] [-w sec] command service ...\n2> \n";

#[test]
fn wrong_usage_is_said_and_nothing_done() {
    let stand = Stand::empty();
    stand.service("a", SLEEPER);
    for words in [
        "status",
        "up",
        "bogus a",
        "rubbish a",
        "rest a",
        "force-stopp a",
        "force a",
        "b a",
        "g a",
        "w a",
        "z a",
        "S a",
        "U a",
        "3 a",
        "-v",
        "-w 5",
        " a",
        "-w 5 restart",
        "-- status",
        "--help a",
    ] {
        stand.check(words, 100, USAGE);
    }
    stand.check("-x status a", 100, &format!("2> sv: illegal option -- x\n{USAGE}"));
    stand.check("-w", 100, &format!("2> sv: option requires an argument -- w\n{USAGE}"));
    assert_eq!(stand.sv(&[]).code, 100);
    let version = shown(&stand.sv(&["-V", "status", "a"]));
    let (id, usage) = version.1.split_once('\n').expect("two lines");
    assert!(version.0 == 100 && id.starts_with("2> $Id: ") && id.ends_with(" $") && usage == USAGE, "{version:?}");
}

#[test]
fn a_status_is_one_line_with_that_of_the_logger() {
    each(|mut stand| {
        stand.service("a/log", SLEEPER);
        stand.run("a", SLEEPER);
        stand.wait_up("a/log");
        let both = "run: a: (pid N) Ss; run: log: (pid N) Ss\n";
        for verb in ["status", "s", "st", "stuff", "starts", "stopp", "-v status", "-w 3 status", "-- status"] {
            stand.check(&format!("{verb} a"), 0, both);
        }
        stand.check("status a/log", 0, "run: a/log: (pid N) Ss\n");
        stand.write("c/down", "");
        stand.run("c", SLEEPER);
        stand.check("status c", 0, "down: c: Ss\n");
        // It dies again and again.
        stand.service("crashing", "exit 1");
        stand.supervise("crashing");
        let line = "down: crashing: Ss, normally up, want up\n";
        wait_until("it is down", || shown(&stand.sv(&["status", "crashing"])).1 == line);
        stand.service("never", SLEEPER);
        stand.run("gone", SLEEPER);
        let pid = stand.wait_up("gone");
        stand.supervisor("gone").signal("KILL");
        stand.supervisor("gone").end();
        testkit::signal(pid, "KILL");
        let never = "warning: never: unable to open supervise/ok: file does not exist\n";
        let nope = "fail: nope: unable to change to service directory: file does not exist\n";
        let gone = "fail: gone: runsv not running\n";
        stand.check("status a never nope gone", 3, &[both, never, nope, gone].concat());
        stand.check("status c c", 0, "down: c: Ss\ndown: c: Ss\n");
        stand.check("start nope never gone", 3, &[nope, never, gone].concat());
        for words in ["up", "-v up", "check", "-v check", "restart", "force-stop", "hup", "once"] {
            stand.check(&format!("{words} gone"), 1, gone);
            stand.check(&format!("{words} never"), 1, never);
        }
        let left = "ok: gone: runsv not running\n";
        for words in ["exit", "-v exit", "x", "shutdown", "force-shutdown", "E", "X"] {
            stand.check(&format!("{words} gone"), 0, left);
            stand.check(&format!("{words} never"), 1, never);
        }
        for (words, code) in [("status", 1), ("start", 1), ("exit", 0)] {
            stand.check_script("gone", words, code, if code == 0 { left } else { gone });
        }
        stand.check_script("never", "status", 4, never);
        stand.check_script("never", "start", 1, never);
        stand.check_script("nope", "status", 1, nope);
        stand.write("file/log", "");
        stand.run("file", SLEEPER);
        let line = "run: file: (pid N) Ss; warning: file/log: unable to change directory: not a directory\n";
        stand.check("status file", 1, line);
    });
}

#[test]
fn a_name_is_a_path_if_it_looks_like_one() {
    each(|mut stand| {
        stand.write("c/down", "");
        stand.run("c", SLEEPER);
        let there = stand.path("c");
        for path in ["./sd/c", "sd/c/", "sd/../sd/c/", there.to_str().expect("UTF-8"), "../../../../../../../../nope/"]
        {
            let nowhere = format!("fail: {path}: unable to change to service directory: file does not exist\n");
            let line = if path.contains("nope") { nowhere } else { format!("down: {path}: Ss\n") };
            stand.check(&format!("status {path}"), i32::from(path.contains("nope")), &line);
        }
        for name in ["c/", "sd/c", "", "sd"] {
            let line = format!("fail: {name}: unable to change to service directory: file does not exist\n");
            stand.check(&format!("status {name}"), 1, &line);
        }
        stand.check("status c/../c", 0, "down: c/../c: Ss\n");
        for svdir in ["", "nope"] {
            let ran = finish(stand.sv_command(&["status", "c", "./sd/c"]).env("SVDIR", svdir));
            let line = "fail: c: unable to change to service directory: file does not exist\ndown: ./sd/c: Ss\n";
            assert_eq!(shown(&ran), (1, line.to_owned()));
        }
        let ran = finish(stand.sv_command(&["start", "c", "./sd/c"]).env("SVDIR", "sd"));
        assert_eq!(shown(&ran).0, 0, "{ran:?}");
        // No more than 99 failures are counted.
        stand.write("file", "");
        let line = "fail: file: unable to change to service directory: not a directory\n";
        stand.check(&format!("status{}", " file".repeat(120)), 99, &line.repeat(120));
    });
}

#[test]
fn commands_wait_until_the_service_is_as_it_was_to_be() {
    each(|mut stand| {
        stand.service("a/log", SLEEPER);
        stand.run("a", SLEEPER);
        stand.check("up a", 0, "");
        for words in ["-v up a", "start a", "-w 60 u a"] {
            stand.check(words, 0, "ok: run: a: (pid N) Ss\n");
        }
        stand.write("c/down", "");
        stand.run("c", SLEEPER);
        for (words, line) in [
            ("start", "run: c: (pid N) Ss, normally down"),
            ("-v pause", "run: c: (pid N) Ss, normally down, paused"),
            ("-v cont", "run: c: (pid N) Ss, normally down"),
            ("-v down", "down: c: Ss"),
            ("stop", "down: c: Ss"),
            ("-v once", "run: c: (pid N) Ss, normally down, want down"),
            ("-v pause", "run: c: (pid N) Ss, normally down, paused, want down"),
            ("stop", "down: c: Ss"),
            ("stop", "down: c: Ss"),
            ("try-restart", "down: c: Ss"),
            ("check", "down: c: Ss"),
            ("-v hup", "down: c: Ss"),
            ("-v pause", "down: c: Ss"),
            ("restart", "run: c: (pid N) Ss, normally down"),
            ("stop", "down: c: Ss"),
        ] {
            stand.check(&format!("{words} c"), 0, &format!("ok: {line}\n"));
        }
        let pid = stand.wait_up("a");
        stand.check("once a", 0, "");
        stand.wait_want("a", false);
        assert_eq!(stand.wait_up("a"), pid);
        let both = "run: a: (pid N) Ss, want down; run: log: (pid N) Ss\n";
        stand.check("status a", 0, both);
        stand.check("up a", 0, "");
        stand.wait_want("a", true);
        stand.check("check a c", 0, "ok: run: a: (pid N) Ss\nok: down: c: Ss\n");
    });
}

#[test]
fn a_restart_is_waited_for_and_a_signal_is_sent() {
    each(|mut stand| {
        let noting = "for s in HUP ALRM INT QUIT USR1 USR2; do trap \"echo $s >>said\" $s; done\n: >trapped\nwhile :; do sleep 0.05; done";
        stand.run("a", noting);
        stand.wait_trapped("a");
        let mut pid = stand.wait_up("a");
        for (words, signals) in [
            ("hup", "HUP\n"),
            ("-v alarm", "ALRM\n"),
            ("i", "INT\n"),
            ("quit", "QUIT\n"),
            ("1", "USR1\n"),
            ("2", "USR2\n"),
            ("reload", "HUP\n"),
        ] {
            let waits = words.len() > 5 || words.contains('v');
            stand.check(&format!("{words} a"), 0, if waits { "ok: run: a: (pid N) Ss\n" } else { "" });
            wait_until(words, || fs::read_to_string(stand.path("a/said")).is_ok_and(|said| said == signals));
            fs::remove_file(stand.path("a/said")).expect("it is there");
            assert_eq!(stand.wait_up("a"), pid);
        }
        for words in ["restart", "try-restart", "-v kill", "-v term", "force-reload", "T", "force-restart"] {
            stand.check(&format!("-w 60 {words} a"), 0, "ok: run: a: (pid N) Ss\n");
            let old = std::mem::replace(&mut pid, stand.wait_up("a"));
            assert!(old != pid && !lives(old), "{words}");
        }
    });
}

#[test]
fn what_takes_too_long_is_told_and_perhaps_killed() {
    each(|mut stand| {
        stand.run("b", STUBBORN);
        stand.wait_trapped("b");
        stand.check("-w 1 stop b", 1, "timeout: run: b: (pid N) Ss, want down, got TERM\n");
        stand.check("up b", 0, "");
        stand.wait_want("b", true);
        stand.check("-w 0 restart b", 1, "timeout: run: b: (pid N) Ss, got TERM\n");
        let ran = finish(stand.sv_command(&["restart", "b"]).env("SVWAIT", "1"));
        assert_eq!(shown(&ran), (1, "timeout: run: b: (pid N) Ss, got TERM\n".to_owned()));
        // The option counts more than the variable, and what is no number is 0.
        let ran = finish(stand.sv_command(&["-w", "abc", "restart", "b"]).env("SVWAIT", "1000"));
        assert_eq!(shown(&ran).0, 1);
        let mut pid = stand.wait_up("b");
        for (words, line, want) in [
            ("force-stop", "kill: run: b: (pid N) Ss, want down, got TERM\n", b'd'),
            ("force-restart", "kill: run: b: (pid N) Ss, got TERM\n", b'u'),
            ("T", "kill: run: b: (pid N) Ss, got TERM\n", b'u'),
            ("D", "kill: run: b: (pid N) Ss, want down, got TERM\n", b'd'),
        ] {
            stand.check(&format!("-w 0 {words} b"), 1, line);
            wait_until("it was killed", || !lives(pid));
            if want == b'd' {
                wait_until("it is down", || stand.status("b").0 == 0);
                stand.check("start b", 0, "ok: run: b: (pid N) Ss\n");
            }
            pid = stand.wait_up("b");
            stand.wait_trapped("b");
        }
        stand.check("-w 0 force-shutdown b", 1, "kill: run: b: (pid N) Ss, want down, got TERM\n");
        assert_eq!(stand.supervisor("b").end(), 0);
        stand.check("status b", 1, "fail: b: runsv not running\n");
    });
}

#[test]
fn a_stop_waits_for_finish() {
    each(|mut stand| {
        stand.script("f/finish", "while [ -e hold ]; do sleep 0.02; done");
        stand.write("f/timeout-finish", "0");
        stand.write("f/hold", "");
        stand.run("f", SLEEPER);
        stand.check("-w 0 stop f", 1, "timeout: finish: f: (pid N) Ss, want down\n");
        stand.check("status f", 0, "finish: f: (pid N) Ss, want down\n");
        fs::remove_file(stand.path("f/hold")).expect("it is there");
        stand.check("-w 60 stop f", 0, "ok: down: f: Ss, normally up\n");
    });
}

#[test]
fn a_check_decides_what_counts_as_up() {
    each(|mut stand| {
        let check = "echo \"$# $PWD\" >&2\n[ -e good ] && exit 0\nexit 3";
        stand.script("chk/check", check);
        stand.run("chk", SLEEPER);
        let told = format!("2> 0 {}\n", fs::canonicalize(stand.path("chk")).expect("it is there").display());
        for words in ["-w 0 start", "-w 1 check", "-w 1 restart"] {
            let (code, text) = shown(&stand.sv(&[&words.split(' ').collect::<Vec<_>>()[..], &["chk"]].concat()));
            let (line, checks) = text.split_once('\n').expect("two lines");
            assert_eq!((code, line), (1, "timeout: run: chk: (pid N) Ss"), "{words}");
            assert!(checks.lines().count() >= 2 && checks.lines().all(|line| line == told.trim_end()), "{checks}");
        }
        stand.write("chk/good", "");
        for words in ["start", "check", "-v up", "-w 60 restart"] {
            let (code, text) = shown(&stand.sv(&[&words.split(' ').collect::<Vec<_>>()[..], &["chk"]].concat()));
            let checks = text.strip_prefix("ok: run: chk: (pid N) Ss\n");
            assert!(code == 0 && checks.is_some_and(|checks| checks.starts_with(&told)), "{words}: {text}");
        }
        // It is not asked about one that is down, and it has no stdout.
        stand.check("stop chk", 0, "ok: down: chk: Ss, normally up\n");
        stand.check("check chk", 0, "ok: down: chk: Ss, normally up\n");
        stand.script("chk/check", "[ ! -e /proc/$$/fd/1 ] || exit 1");
        stand.check("-w 60 start chk", 0, "ok: run: chk: (pid N) Ss\n");
        // One that cannot be run is one that succeeds.
        fs::set_permissions(stand.path("chk/check"), fs::Permissions::from_mode(0o644)).expect("it is ours");
        let warning = "2> warning: unable to run chk/check: access denied\n";
        stand.check("check chk", 0, &format!("ok: run: chk: (pid N) Ss\n{warning}"));
    });
}

#[test]
fn an_exit_ends_the_service_and_its_supervise() {
    each(|mut stand| {
        for (name, words) in
            [("c", "-v exit"), ("d", "shutdown"), ("e", "-w 60 x"), ("f", "E"), ("g", "force-shutdown")]
        {
            stand.run(name, SLEEPER);
            let pid = stand.wait_up(name);
            stand.check(&format!("{words} {name}"), 0, &format!("ok: {name}: runsv not running\n"));
            assert_eq!(stand.supervisor(name).end(), 0);
            assert!(!lives(pid));
        }
        stand.run("h", SLEEPER);
        stand.check("exit h", 0, "");
        assert_eq!(stand.supervisor("h").end(), 0);
    });
}

#[test]
fn under_the_name_of_a_service_it_is_an_init_script() {
    each(|mut stand| {
        stand.run("a", SLEEPER);
        stand.write("c/down", "");
        stand.run("c", SLEEPER);
        let usage = "2> usage: a [-w sec] command\n2> \n";
        for words in ["", "bogus", "st", "s", "stat", "-v", "-w 3", "--"] {
            stand.check_script("a", words, 2, usage);
        }
        stand.check_script("a", "-x", 2, &format!("2> a: illegal option -- x\n{usage}"));
        stand.check_script("c", "status", 3, "down: c: Ss\n");
        stand.check_script("a", "status", 0, "run: a: (pid N) Ss\n");
        stand.check_script("a", "status c", 0, "run: a: (pid N) Ss\n");
        stand.check_script("a", "up", 0, "");
        for words in ["start", "-v up", "-w 60 restart", "restart and more", "force-reload", "try-restart", "check"] {
            stand.check_script("a", words, 0, "ok: run: a: (pid N) Ss\n");
        }
        stand.check_script("a", "stop", 0, "ok: down: a: Ss, normally up\n");
        stand.check_script("a", "status", 3, "down: a: Ss, normally up\n");
        stand.run("b", STUBBORN);
        stand.wait_trapped("b");
        stand.check_script("b", "-w 0 stop", 1, "timeout: run: b: (pid N) Ss, want down, got TERM\n");
    });
}

#[test]
fn several_services_are_told_of_as_each_gets_there() {
    each(|mut stand| {
        for name in ["a", "b", "c"] {
            stand.run(name, if name == "b" { STUBBORN } else { SLEEPER });
        }
        stand.wait_trapped("b");
        let down = |name: &str| format!("ok: down: {name}: Ss, normally up\n");
        let (code, text) = shown(&stand.sv(&["-w", "1", "stop", "a", "nope", "b", "c"]));
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "fail: nope: unable to change to service directory: file does not exist");
        assert_eq!(lines.pop(), Some("timeout: run: b: (pid N) Ss, want down, got TERM"));
        lines[1..].sort_unstable();
        assert_eq!((code, lines[1..].join("\n") + "\n"), (2, [down("a"), down("c")].concat()));
    });
}

/// Makes a directory that looks supervised: somebody reads `ok`, and the status is this.
fn fabricate(stand: &Stand, name: &str, status: &[u8]) -> Vec<fs::File> {
    let supervise = stand.scratch.mkdir(format!("sd/{name}/supervise"));
    fs::write(supervise.join("status"), status).expect("a file");
    let fifos = ["ok", "control"].map(|fifo| {
        sys::fd::make_fifo(&supervise.join(fifo)).expect("a FIFO");
        sys::fd::open_read(&supervise.join(fifo)).expect("a FIFO")
    });
    fifos.into()
}

/// A status of 20 bytes.
fn status(pid: u32, [paused, want, term, run]: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0x40, 0, 0, 0, 0x6b, 0x01, 0xef, 0x84, 0x38, 0x87, 0x1f, 0x6c];
    bytes.extend(pid.to_le_bytes());
    bytes.extend([paused, want, term, run]);
    bytes
}

#[test]
fn every_status_has_its_line() {
    let stand = Stand::empty();
    for (at, (bytes, line)) in [
        (status(7, [0, b'u', 0, 1]), "run: N: (pid N) Ss"),
        (status(7, [1, b'u', 0, 1]), "run: N: (pid N) Ss, paused"),
        (status(7, [1, b'd', 1, 1]), "run: N: (pid N) Ss, paused, want down, got TERM"),
        (status(7, [0, b'd', 0, 2]), "finish: N: (pid N) Ss, want down"),
        (status(7, [0, b'u', 1, 2]), "finish: N: (pid N) Ss, got TERM"),
        (status(0, [0, b'u', 0, 0]), "down: N: Ss, normally up, want up"),
        (status(0, [1, b'd', 1, 0]), "down: N: Ss, normally up"),
        (status(4_294_967, [0, b'u', 0, 1]), "run: N: (pid N) Ss"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{at}");
        let _fifos = fabricate(&stand, &name, &bytes);
        stand.check(&format!("status {name}"), 0, &format!("{}\n", line.replace("N:", &format!("{name}:"))));
        fs::write(stand.path(&name).join("down"), "").expect("a file");
        let line = line.replace(", normally up", "");
        let line = if bytes[12] == 0 { line } else { line.replacen("Ss", "Ss, normally down", 1) };
        stand.check(&format!("status {name}"), 0, &format!("{}\n", line.replace("N:", &format!("{name}:"))));
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let stand = Stand::empty();
    let short = "unable to read supervise/status: bad format\n";
    for (name, length) in [("empty", 0), ("short", 5), ("daemontools", 18), ("almost", 19)] {
        let _fifos = fabricate(&stand, name, &status(7, [0, b'u', 0, 1])[..length]);
        for words in ["status", "start", "up"] {
            stand.check(&format!("{words} {name}"), 1, &format!("warning: {name}: {short}"));
        }
        stand.check_script(name, "status", 4, &format!("warning: {name}: {short}"));
    }
    let _fifos = fabricate(&stand, "none", b"");
    fs::remove_file(stand.path("none/supervise/status")).expect("it is there");
    let line = "warning: none: unable to open supervise/status: file does not exist\n";
    stand.check("status none", 1, line);
    // Nobody reads what is sent.
    let mut fifos = fabricate(&stand, "deaf", &status(7, [0, b'u', 0, 1]));
    fifos.truncate(1);
    stand.check("down deaf", 1, "fail: deaf: runsv not running\n");
    stand.check("exit deaf", 0, "ok: deaf: runsv not running\n");
    stand.check("status deaf", 0, "run: deaf: (pid N) Ss\n");
    fs::remove_file(stand.path("deaf/supervise/control")).expect("it is there");
    stand.check("term deaf", 1, "warning: deaf: unable to open supervise/control: file does not exist\n");
    if needs_root() {
        let mut command = stand.scratch.ordinary("sv", &["status", "deaf"]);
        fs::set_permissions(stand.path("deaf/supervise"), fs::Permissions::from_mode(0o700)).expect("it is ours");
        let ran = finish(command.env("SVDIR", "sd"));
        let line = "warning: deaf: unable to open supervise/ok: access denied\n";
        assert_eq!(shown(&ran), (1, line.to_owned()));
    }
}

#[test]
fn letters_are_sent_as_they_are_and_not_if_it_is_wanted_so_already() {
    let stand = Stand::empty();
    let fifos = fabricate(&stand, "a", &status(7, [0, b'u', 0, 1]));
    let put = |status: Vec<u8>| fs::write(stand.path("a/supervise/status"), status).expect("a file");
    let sent = || {
        let mut bytes = [0; 16];
        let count = sys::fd::read(fifos[1].as_fd(), &mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    for (words, letters) in [
        ("up", ""),
        ("u", ""),
        ("down", "d"),
        ("once", "o"),
        ("pause", "p"),
        ("cont", "c"),
        ("hup", "h"),
        ("alarm", "a"),
        ("interrupt", "i"),
        ("quit", "q"),
        ("1", "1"),
        ("2", "2"),
        ("term", "t"),
        ("kill", "k"),
        ("exit", "x"),
        ("x", "x"),
        ("status", ""),
        ("check", ""),
        ("reload", "h"),
        ("-w 0 restart", "tcu"),
        ("-w 0 try-restart", "tc"),
        ("-w 0 stop", "d"),
        ("-w 0 shutdown", "x"),
        ("-w 0 force-restart", "tcuk"),
        ("-w 0 D", "dk"),
        ("-w 0 T", "tck"),
        ("-w 0 E", "xk"),
        ("start", ""),
    ] {
        stand.sv(&[&words.split(' ').collect::<Vec<_>>()[..], &["a"]].concat());
        assert_eq!(sent(), letters, "{words}");
    }
    put(status(7, [0, b'd', 0, 1]));
    for (words, letters) in [("down", "d"), ("up", "u")] {
        stand.check(&format!("{words} a"), 0, "");
        assert_eq!(sent(), letters, "{words}");
    }
    put(status(7, [0, b'd', 1, 1]));
    stand.check("down a", 0, "");
    assert_eq!(sent(), "");
}

#[test]
fn in_the_file_of_all_programs_it_is_an_init_script_too() {
    let stand = Stand::empty();
    if stand.scratch.suite().is_runit() {
        return;
    }
    let link = |target: &std::path::Path, name: &str| {
        symlink(target, stand.scratch.path(name)).expect("a link");
    };
    stand.scratch.mkdir("bin");
    stand.scratch.mkdir("init.d");
    link(&stand.scratch.suite().path("uphold"), "bin/sv");
    link(&stand.scratch.path("bin/sv"), "init.d/start");
    link("../bin/sv".as_ref(), "init.d/web");
    let run = |name: &str, words: &[&str]| {
        let mut command = Command::new(stand.scratch.path(name));
        shown(&finish(command.args(words).env("SVDIR", stand.scratch.path("sd"))))
    };
    let nowhere = |name: &str| format!("fail: {name}: unable to change to service directory: file does not exist\n");
    stand.scratch.mkdir("sd");
    assert_eq!(run("bin/sv", &["status", "a"]), (1, nowhere("a")));
    for name in ["start", "web"] {
        assert_eq!(run(&format!("init.d/{name}"), &["status"]), (1, nowhere(name)));
    }
    // One that is called `sv` by nobody is uphold.
    link(&stand.scratch.suite().path("uphold"), "init.d/up");
    assert!(run("init.d/up", &["bogus-word"]).1.starts_with("2> uphold: "));
}
