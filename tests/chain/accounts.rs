//! setuidgid and envuidgid.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use testkit::{Scratch, finish, needs_program, needs_root};

use super::common::{printed, refused};

/// An account that every system has, its user id and its group id.
fn daemon() -> (&'static str, String, String) {
    let id = |option| finish(Command::new("id").args([option, "daemon"])).out().trim().to_owned();
    ("daemon", id("-u"), id("-g"))
}

#[test]
fn an_account_that_does_not_exist_is_named() {
    let scratch = Scratch::new();
    let long = "x".repeat(10_000);
    for program in ["setuidgid", "envuidgid"] {
        for name in
            ["nosuchaccount", "", " ", "daemo", "daemonx", "DAEMON", "daemon:x", ":", "daemon\n", "\n", "#", &long]
        {
            refused(
                &scratch.run(program, &[name, "true"]),
                111,
                &format!("{program}: fatal: unknown account {name}\n"),
            );
        }
        let ran = finish(scratch.command(program, &[]).arg(OsStr::from_bytes(b"\xff\xfe")).arg("true"));
        let expected = [program.as_bytes(), b": fatal: unknown account \xff\xfe\n"].concat();
        assert_eq!((ran.code, ran.stderr), (111, expected));
    }
}

#[test]
fn a_number_is_no_account() {
    let scratch = Scratch::new();
    for program in ["setuidgid", "envuidgid"] {
        for name in ["0", "1", "00", "+0", "-0", " 0", "65534", "4294967296"] {
            refused(
                &scratch.run(program, &[name, "true"]),
                111,
                &format!("{program}: fatal: unknown account {name}\n"),
            );
        }
    }
}

#[test]
fn what_looks_like_an_option_is_no_account_either() {
    let scratch = Scratch::new();
    for program in ["setuidgid", "envuidgid"] {
        for name in ["--", "--help", "--service=files", "+", "-", "+daemon", "-daemon", "-x"] {
            refused(
                &scratch.run(program, &[name, "true"]),
                111,
                &format!("{program}: fatal: unknown account {name}\n"),
            );
        }
    }
    refused(&scratch.run("envuidgid", &["-s", "true"]), 111, "envuidgid: fatal: unknown account -s\n");
}

#[test]
fn envuidgid_sets_the_ids_of_the_account() {
    let scratch = Scratch::new();
    let (name, uid, gid) = daemon();
    let mut command = scratch.command("envuidgid", &[name, "/usr/bin/env"]);
    printed(&finish(command.env_clear()), &format!("GID={gid}\nUID={uid}\n"));
    let mut old = scratch.command("envuidgid", &[name, "/bin/sh", "-c", "echo $UID $GID $UIDX"]);
    printed(&finish(old.env("UID", "old").env("GID", "older").env("UIDX", "x")), &format!("{uid} {gid} x\n"));
}

#[test]
fn envuidgid_changes_no_id() {
    let scratch = Scratch::new();
    let ids = |text: String| -> Vec<String> {
        let names = ["Uid:", "Gid:", "Groups:"];
        text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
    };
    let before = finish(Command::new("cat").arg("/proc/self/status")).out();
    let ran = scratch.run("envuidgid", &[daemon().0, "cat", "/proc/self/status"]);
    assert_eq!(ids(ran.out()), ids(before));
}

#[test]
fn setuidgid_changes_all_ids_and_leaves_one_group() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let (name, uid, gid) = daemon();
    let ran = scratch.run("setuidgid", &[name, "cat", "/proc/self/status"]);
    let out = ran.out();
    let words = |field: &str| -> Vec<&str> {
        out.lines().find_map(|line| line.strip_prefix(field)).expect("there").split_whitespace().collect()
    };
    assert_eq!(words("Uid:"), [uid.as_str(); 4]);
    assert_eq!(words("Gid:"), [gid.as_str(); 4]);
    assert_eq!(words("Groups:"), [gid.as_str()]);
}

#[test]
fn setuidgid_leaves_the_environment_and_the_directory() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.root().to_str().expect("text");
    let script = "echo $HOME $USER $UID; test . -ef \"$0\"";
    let mut command = scratch.command("setuidgid", &[daemon().0, "/bin/sh", "-c", script, root]);
    printed(&finish(command.env("HOME", "/h").env("USER", "u").env_remove("UID")), "/h u\n");
}

#[test]
fn what_the_account_may_not_run_is_not_run() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let script = scratch.script("script", "echo ran");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(script, mode).expect("its owner may chmod");
    refused(
        &scratch.run("setuidgid", &[daemon().0, "./script"]),
        111,
        "setuidgid: fatal: unable to run ./script: access denied\n",
    );
}

#[test]
fn only_root_may_change_even_to_the_own_account() {
    let scratch = Scratch::new();
    for name in ["daemon", "nobody", "root"] {
        let ran = finish(&mut scratch.ordinary("setuidgid", &[name, "true"]));
        refused(&ran, 111, "setuidgid: fatal: unable to setgid: permission denied\n");
    }
}

#[test]
fn who_may_change_the_group_but_not_the_user_is_told_so() {
    if !needs_root() {
        return;
    }
    let Some(setpriv) = needs_program("setpriv") else {
        return;
    };
    let scratch = Scratch::new();
    let mut command = Command::new(setpriv);
    command.arg("--bounding-set=-setuid").arg(scratch.suite().path("setuidgid")).args([daemon().0, "true"]);
    refused(&finish(&mut command), 111, "setuidgid: fatal: unable to setuid: permission denied\n");
}

#[test]
fn groups_that_were_there_before_are_given_up() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let Some(setpriv) = needs_program("setpriv") else {
        return;
    };
    let (name, _, gid) = daemon();
    let mut command = Command::new(setpriv);
    command.arg("--groups=7,8,9").arg(scratch.suite().path("setuidgid")).args([name, "id", "-G"]).arg0("setpriv");
    printed(&finish(&mut command), &format!("{gid}\n"));
}
