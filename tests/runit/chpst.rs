//! chpst: what each option changes, in which order, and what it says.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use testkit::{Finished, Scratch, finish, finish_with, for_each, needs_root};

/// What is printed for wrong usage.
pub const USAGE: &str = "usage: chpst [-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] [-n nice] [-l|-L lock] [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-t n] prog\n\n";

/// Words, and what they lead to: the exit code, stdout and stderr.
type Case<'a> = (&'a [&'a str], i32, &'a str, &'a str);

#[track_caller]
pub fn check(scratch: &Scratch, (words, code, out, err): &Case<'_>) {
    let ran = scratch.run("chpst", words);
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (*code, *out, *err), "{words:?}");
}

#[track_caller]
fn printed(ran: &Finished, out: &str) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (0, out, ""));
}

/// A shell in the directory of the test that finds chpst on PATH.
fn sh(scratch: &Scratch, script: &str) -> Finished {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    finish(&mut shell)
}

#[test]
fn wrong_usage_is_said_before_anything_is_done() {
    let scratch = Scratch::new();
    let illegal = format!("chpst: illegal option -- x\n{USAGE}");
    let lacking = format!("chpst: option requires an argument -- u\n{USAGE}");
    for words in [
        &[][..],
        &["--"],
        &["--version-of-nobody"],
        &["-P"],
        &["-o", "5k", "true"],
        &["-o", "-1", "true"],
        &["-o", " 1", "true"],
        &["-o", "0x10", "true"],
        &["-c", "=", "true"],
        &["-m", "1.5", "true"],
        &["-n", "x", "nice"],
        &["-n", "--5", "nice"],
        &["-n", "+-5", "nice"],
        &["-n", "5 ", "nice"],
        &["-l", "lk", "-L", "lk2", "true"],
        &["-l", "lk", "-l", "lk", "true"],
        &["-P", "-l", "lk"],
    ] {
        check(&scratch, &(words, 100, "", USAGE));
    }
    check(&scratch, &(&["-x", "true"], 100, "", &illegal));
    check(&scratch, &(&["-Px", "true"], 100, "", &illegal));
    check(&scratch, &(&["-u"], 100, "", &lacking));
    assert_eq!(fs::read_dir(scratch.root()).expect("it is there").count(), 0);
}

#[test]
fn the_version_is_a_line_before_the_usage() {
    let ran = Scratch::new().run("chpst", &["-V", "true"]);
    let err = ran.err();
    let usage = err.split_once('\n').map(|(id, usage)| (id.starts_with("$Id: ") && id.ends_with(" $"), usage));
    assert_eq!((ran.code, ran.out().as_str(), usage), (100, "", Some((true, USAGE))));
}

#[test]
fn options_end_at_the_program_or_at_two_dashes() {
    let scratch = Scratch::new();
    check(&scratch, &(&["echo", "-n", "-x"], 0, "-x", ""));
    check(&scratch, &(&["--", "echo", "a"], 0, "a\n", ""));
    check(&scratch, &(&["--foo", "echo", "a"], 0, "a\n", ""));
    check(&scratch, &(&["-Pv0", "echo", "a"], 0, "a\n", ""));
    check(&scratch, &(&["-bfoo", "sh", "-c", "echo $0"], 0, "foo\n", ""));
    check(&scratch, &(&["sh", "-c", "exit 7"], 7, "", ""));
}

#[test]
fn what_cannot_be_run_is_named() {
    let scratch = Scratch::new();
    let failed = |what: &str| format!("chpst: fatal: unable to run: {what}\n");
    check(&scratch, &(&["nope"], 111, "", &failed("nope: file does not exist")));
    check(&scratch, &(&["/tmp"], 111, "", &failed("/tmp: access denied")));
    check(&scratch, &(&["./nope"], 111, "", &failed("./nope: file does not exist")));
    check(&scratch, &(&[""], 111, "", &failed(": access denied")));
    // The name is that which the program would have had.
    check(&scratch, &(&["-b", "foo", "nope"], 111, "", &failed("foo: file does not exist")));
}

#[test]
fn a_user_has_its_login_group_or_the_groups_that_are_named() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let id = "echo $(id -u) $(id -g) $(id -G)";
    for (user, out) in [
        ("daemon", "1 1 1\n"),
        ("daemon:mail", "1 8 8\n"),
        ("daemon:mail:news", "1 8 8 9\n"),
        (":1:2:3", "1 2 2 3\n"),
        (":1:2", "1 2 2\n"),
        (":001:02", "1 2 2\n"),
        (":4242:4243:4244", "4242 4243 4243 4244\n"),
    ] {
        check(&scratch, &(&["-u", user, "sh", "-c", id], 0, out, ""));
    }
    check(&scratch, &(&["-u", "mail", "-u", "daemon", "sh", "-c", id], 0, "1 1 1\n", ""));
    let groups: Vec<String> = (2..62).map(|gid| gid.to_string()).collect();
    let ran = scratch.run("chpst", &["-u", &format!(":1:{}", groups.join(":")), "id", "-G"]);
    printed(&ran, &format!("{}\n", groups.join(" ")));
}

#[test]
fn a_user_that_is_not_known_is_named_as_it_was_given() {
    let scratch = Scratch::new();
    for user in ["nouser", "1", "0", "", "root:nogrp1", "root:", "root:0", "root::", "root:root:", "nouser:root"] {
        let err = format!("chpst: fatal: unknown user/group: {user}\n");
        for option in ["-u", "-U"] {
            check(&scratch, &(&[option, user, "true"], 111, "", &err));
        }
    }
    let many = format!("1{}", ":2".repeat(61));
    for ids in ["1", "", "x", "1:x", "x:1", "1:2x", "-1:1", "1:-1", "1:2:x", "1 :2", "+1:2", &many] {
        let err = format!("chpst: fatal: invalid uid/gids: {ids}\n");
        for option in ["-u", "-U"] {
            check(&scratch, &(&[option, &format!(":{ids}"), "true"], 111, "", &err));
        }
    }
}

#[test]
fn an_ordinary_user_stays_what_it_is() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let ran = finish(&mut scratch.ordinary("chpst", &["-u", "daemon", "true"]));
    assert_eq!((ran.code, ran.err().as_str()), (111, "chpst: fatal: unable to setgroups: permission denied\n"));
    let ran = finish(&mut scratch.ordinary("chpst", &["-U", "daemon", "sh", "-c", "echo $UID $GID"]));
    printed(&ran, "1 1\n");
    let ran = finish(&mut scratch.ordinary("chpst", &["-n", "-5", "nice"]));
    assert_eq!((ran.code, ran.err().as_str()), (111, "chpst: fatal: unable to set nice level: permission denied\n"));
    let ran = finish(&mut scratch.ordinary("chpst", &["-/", ".", "true"]));
    assert_eq!(
        (ran.code, ran.err().as_str()),
        (111, "chpst: fatal: unable to change root directory: permission denied\n")
    );
}

#[test]
fn ids_are_told_in_the_environment_alone() {
    let scratch = Scratch::new();
    let tell = "echo $UID $GID";
    for (user, out) in [("daemon", "1 1\n"), ("daemon:mail:news", "1 8\n"), (":5:6:7", "5 6\n"), (":0:0", "0 0\n")] {
        check(&scratch, &(&["-U", user, "sh", "-c", tell], 0, out, ""));
    }
    if needs_root() {
        let words = ["-U", "daemon", "-u", "mail", "sh", "-c", "echo $UID $GID $(id -u)"];
        check(&scratch, &(&words, 0, "1 1 8\n", ""));
    }
    // They come after the environment directory.
    scratch.write("env/UID", "77");
    check(&scratch, &(&["-U", ":5:6", "-e", "env", "sh", "-c", tell], 0, "5 6\n", ""));
}

#[test]
fn the_environment_directory_is_that_of_envdir_but_for_directories() {
    let scratch = Scratch::new();
    for (name, contents) in [
        ("A", &b"v1\nsecond"[..]),
        ("B", b"trail \t"),
        ("EMPTY", b""),
        ("BLANK", b"\n"),
        ("NUL", b"a\0b"),
        (".hid", b"x"),
        ("X=Y", b"z"),
    ] {
        scratch.write(format!("env/{name}"), contents);
    }
    scratch.mkdir("env/DIR");
    let mut command = scratch.command("chpst", &["-e", "env", "env"]);
    let ran = finish(command.env_clear().env("PATH", "/usr/bin:/bin").env("EMPTY", "x").env("KEPT", "k"));
    let mut lines: Vec<String> = ran.out().lines().map(str::to_owned).collect();
    lines.sort();
    // The second line is the rest of NUL.
    assert_eq!(lines, ["A=v1", "B=trail", "BLANK=", "KEPT=k", "NUL=a", "PATH=/usr/bin:/bin", "X=Y=z", "b"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    let warning = "chpst: warning: unable to read env/DIR: is a directory\n";
    check(&scratch, &(&["-v", "-e", "env", "true"], 0, "", warning));
    let failed = |text: &str| format!("chpst: fatal: {text}\n");
    let nowhere = failed("unable to switch to directory: nope: file does not exist");
    check(&scratch, &(&["-e", "nope", "true"], 111, "", &nowhere));
    let file = failed("unable to switch to directory: env/A: not a directory");
    check(&scratch, &(&["-e", "env/A", "true"], 111, "", &file));
    symlink("LOOP", scratch.path("env/LOOP")).expect("a link");
    check(&scratch, &(&["-e", "env", "true"], 111, "", &failed("unable to read env/LOOP: symbolic link loop")));
}

#[test]
fn the_path_is_searched_that_was_there_before() {
    let scratch = Scratch::new();
    scratch.write("env/PATH", "/nowhere");
    check(&scratch, &(&["-e", "env", "sh", "-c", "echo $PATH"], 0, "/nowhere\n", ""));
}

#[test]
fn relative_names_are_looked_up_where_chpst_was_called() {
    let scratch = Scratch::new();
    scratch.mkdir("env");
    scratch.script("here", "echo here");
    check(&scratch, &(&["-e", "env", "-l", "lk", "./here"], 0, "here\n", ""));
    assert!(scratch.path("lk").exists());
}

#[test]
fn niceness_is_added_and_clipped() {
    let scratch = Scratch::new();
    let base: i32 = finish(&mut Command::new("nice")).out().trim().parse().expect("a number");
    for (value, added) in [("5", 5), ("+5", 5), ("", 0), ("+", 0), ("-", 0), ("0", 0), ("007", 7), ("100", 100)] {
        let out = format!("{}\n", (base + added).min(19));
        check(&scratch, &(&["-n", value, "nice"], 0, &out, ""));
    }
    if needs_root() {
        for (value, out) in [("-5", (base - 5).max(-20)), ("-99999", -20)] {
            check(&scratch, &(&["-n", value, "nice"], 0, &format!("{out}\n"), ""));
        }
        // The right to do so is used before it is given up.
        check(&scratch, &(&["-u", "daemon", "-n", "-5", "nice"], 0, &format!("{}\n", (base - 5).max(-20)), ""));
    }
}

#[test]
fn the_root_is_changed_before_users_are_looked_up() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let failed = |text: &str| format!("chpst: fatal: {text}\n");
    let nowhere = failed("unable to change directory: /nonexist: file does not exist");
    check(&scratch, &(&["-/", "/nonexist", "true"], 111, "", &nowhere));
    scratch.write("root/etc/passwd", "inner:x:77:78::/:/bin/sh\n");
    let unknown = failed("unknown user/group: inner");
    check(&scratch, &(&["-U", "inner", "./nope"], 111, "", &unknown));
    let known = failed("unable to run: ./nope: file does not exist");
    check(&scratch, &(&["-/", "root", "-U", "inner", "./nope"], 111, "", &known));
    check(&scratch, &(&["-/", "root", "true"], 111, "", &failed("unable to run: true: file does not exist")));
    // Numbers need no file, and the lock lies below the root.
    let words = ["-/", "root", "-u", ":1:1", "-l", "/lk", "./nope"];
    check(&scratch, &(&words, 111, "", &failed("unable to open lock: /lk: access denied")));
    let words = ["-/", "root", "-l", "/lk", "./nope"];
    check(&scratch, &(&words, 111, "", &known));
    assert!(scratch.path("root/lk").exists());
    check(&scratch, &(&["-/", "/", "pwd"], 0, "/\n", ""));
}

#[test]
fn a_lock_is_held_by_the_program() {
    let scratch = Scratch::new();
    let taken = "chpst: fatal: unable to lock: lk: temporary failure\n";
    assert_eq!(sh(&scratch, "chpst -l lk chpst -L lk echo hi").err(), taken);
    assert_eq!(sh(&scratch, "chpst -L lk chpst -L lk echo hi").err(), taken);
    let nowhere = "chpst: fatal: unable to open lock: nope/lk: file does not exist\n";
    check(&scratch, &(&["-L", "nope/lk", "true"], 111, "", nowhere));
    // Whoever waits goes on when the other one ends.
    printed(
        &sh(&scratch, "chpst -l lk sh -c 'echo 1; sleep 0.1; echo 2' & sleep 0.05; chpst -l lk echo 3; wait"),
        "1\n2\n3\n",
    );
    printed(&sh(&scratch, "stat -c %s lk"), "0\n");
    // It is the lowest free descriptor, and the only one that is new.
    let descriptors = "for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd; done; :";
    let lock = format!("{}\n", fs::canonicalize(scratch.path("lk")).expect("it is there").display());
    scratch.script("descriptors", descriptors);
    scratch.mkdir("env");
    printed(
        &sh(&scratch, "chpst -e env -l lk ./descriptors 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- | grep -v ./descriptors$"),
        &lock,
    );
}

#[test]
fn the_lock_is_opened_by_the_new_user() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.path("lk"), "").expect("a file");
    let denied = "chpst: fatal: unable to open lock: lk: access denied\n";
    check(&scratch, &(&["-u", "daemon", "-L", "lk", "true"], 111, "", denied));
}

#[test]
fn standard_descriptors_are_closed_and_must_be_open() {
    let scratch = Scratch::new();
    let open = "o=; for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && o=$o$fd; done; echo $o >open";
    for (options, expected) in [
        ("-0", "12\n"),
        ("-1", "02\n"),
        ("-2", "01\n"),
        ("-01", "2\n"),
        ("-0 -0", "12\n"),
        ("-012", "\n"),
        ("", "012\n"),
    ] {
        sh(&scratch, &format!("chpst {options} sh -c '{open}'"));
        assert_eq!(scratch.text("open"), expected, "{options}");
    }
    for (option, redirection, name) in [("-0", "0<&-", "stdin"), ("-1", "1>&-", "stdout")] {
        let ran = sh(&scratch, &format!("chpst {option} true {redirection}"));
        let err = format!("chpst: fatal: unable to close {name}: file descriptor not open\n");
        assert_eq!((ran.code, ran.err()), (111, err));
    }
    assert_eq!(sh(&scratch, "chpst -2 true 2>&-").code, 111);
    let ran = finish_with(&mut scratch.command("chpst", &["cat"]), b"through");
    printed(&ran, "through");
}

#[test]
fn a_session_is_led_by_the_program() {
    let scratch = Scratch::new();
    let ran = scratch.run("chpst", &["-P", "sh", "-c", "echo $(ps -o sid=,pgid= -p $$) $$"]);
    let out = ran.out();
    let ids: Vec<&str> = out.split_whitespace().collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // The leader of a group goes on as it is.
    let ran = sh(&scratch, "setsid chpst -P echo hi");
    printed(&ran, "hi\n");
}

/// Each option, the lines of /proc/PID/limits that it changes, and a value with which a child still runs.
const LIMITS: [(&str, &[&str], u64); 8] = [
    ("-m", &["Max data size", "Max stack size", "Max locked memory", "Max address space"], 1_000_000_001),
    ("-d", &["Max data size"], 1_000_000_001),
    ("-o", &["Max open files"], 19),
    ("-p", &["Max processes"], 60_001),
    ("-f", &["Max file size"], 1_000_001),
    ("-c", &["Max core file size"], 12_345),
    ("-r", &["Max resident set"], 54_321),
    ("-t", &["Max cpu time"], 1_001),
];

/// The soft and the hard limit in each line of /proc/PID/limits.
#[track_caller]
fn limits(ran: &Finished) -> Vec<(String, u64, u64)> {
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    let number = |word: &str| word.parse().unwrap_or(u64::MAX);
    let line = |line: &str| {
        let (name, values) = line.split_at_checked(26)?;
        let mut words = values.split_whitespace();
        Some((name.trim_end().to_owned(), number(words.next()?), number(words.next()?)))
    };
    ran.out().lines().skip(1).filter_map(line).collect()
}

#[test]
fn each_limit_is_soft_and_lowered_to_the_hard_one() {
    let scratch = Scratch::new();
    let before = limits(&scratch.run("chpst", &["cat", "/proc/self/limits"]));
    for_each(&LIMITS, |&(option, names, value)| {
        for asked in [value, 9_000_000_000_000_000_000] {
            let after = limits(&scratch.run("chpst", &[option, &asked.to_string(), "cat", "/proc/self/limits"]));
            for ((name, soft, hard), (_, old_soft, old_hard)) in after.iter().zip(&before) {
                let expected = if names.contains(&name.as_str()) { asked.min(*old_hard) } else { *old_soft };
                assert_eq!((*soft, hard), (expected, old_hard), "{option} {asked}: {name}");
            }
        }
    });
}

#[test]
fn of_two_limits_the_later_one_counts_and_an_empty_one_is_zero() {
    let scratch = Scratch::new();
    let shown = "ulimit -n; ulimit -d; ulimit -c";
    let words = ["-o", "30", "-m", "1000000000", "-o20", "-d", "2000000000", "-c", "", "sh", "-c", shown];
    check(&scratch, &(&words, 0, "20\n1953125\n0\n", ""));
    let words = [
        "-d",
        "2000000000",
        "-m",
        "1000000000",
        "-o",
        "0000000000000000000000000000020",
        "sh",
        "-c",
        "ulimit -n; ulimit -d",
    ];
    check(&scratch, &(&words, 0, "20\n976562\n", ""));
    let ran = sh(&scratch, "ulimit -Sn 20; ulimit -Hn 50; chpst -o 99999999 sh -c 'ulimit -n; ulimit -Hn'");
    printed(&ran, "50\n50\n");
}

#[test]
fn limits_hold_for_nothing_that_chpst_does_itself() {
    let scratch = Scratch::new();
    scratch.mkdir("env");
    for number in 0..20 {
        scratch.write(format!("env/V{number}"), "v");
    }
    let failed = "chpst: fatal: unable to run: ./nope: file does not exist\n";
    check(&scratch, &(&["-o", "3", "-f", "0", "-e", "env", "-l", "lk", "-U", "root", "./nope"], 111, "", failed));
}
