//! envdir: what the files of a directory do to the environment.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use testkit::{Finished, Scratch, finish};

use super::common::{printed, refused, sh, with_environment};

/// Runs `envdir env /usr/bin/env -0` with nothing in the environment but `before`.
#[track_caller]
fn run(scratch: &Scratch, before: &[(&str, &str)]) -> Finished {
    let mut command = scratch.command("envdir", &["env", "/usr/bin/env", "-0"]);
    finish(command.env_clear().envs(before.iter().copied()))
}

/// The environment that it leads to, sorted.
#[track_caller]
fn environment(scratch: &Scratch, before: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let ran = run(scratch, before);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    let mut strings: Vec<Vec<u8>> = ran.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(strings.pop(), Some(Vec::new()));
    strings.sort();
    strings
}

#[test]
fn the_first_line_is_the_value() {
    let scratch = Scratch::new();
    for (contents, value) in [
        (&b"v"[..], &b"v"[..]),
        (b"v\n", b"v"),
        (b"v\nsecond\n", b"v"),
        (b" \tv w \t \n", b" \tv w"),
        (b"v\r\n", b"v\r"),
        (b"v \r\n", b"v \r"),
        (b"\n", b""),
        (b"\nv", b""),
        (b" \t", b""),
        (b" \t\n", b""),
        (b"a\0b\0\n", b"a\nb\n"),
        (b"a \0\n", b"a \n"),
        (b"\0", b"\n"),
        (b"a=b", b"a=b"),
        (b"\xff\xfe\n", b"\xff\xfe"),
    ] {
        scratch.write("env/A", contents);
        assert_eq!(environment(&scratch, &[("A", "old"), ("B", "1")]), [[b"A=", value].concat(), b"B=1".to_vec()]);
        assert_eq!(environment(&scratch, &[]), [[b"A=", value].concat()]);
    }
}

#[test]
fn an_empty_file_removes_the_variable() {
    let scratch = Scratch::new();
    scratch.write("env/A", "");
    scratch.write("env/MISSING", "");
    assert_eq!(environment(&scratch, &[("A", "1"), ("AB", "2"), ("B", "3")]), [b"AB=2".to_vec(), b"B=3".to_vec()]);
}

#[test]
fn names_that_begin_with_a_dot_are_passed_over() {
    let scratch = Scratch::new();
    scratch.write("env/.A", "hidden");
    scratch.mkdir("env/.directory");
    symlink(".loop", scratch.path("env/.loop")).expect("a link");
    assert_eq!(environment(&scratch, &[("A", "1")]), [b"A=1"]);
}

#[test]
fn a_name_that_holds_an_equals_sign_sets_what_stands_before_it() {
    let scratch = Scratch::new();
    scratch.write("env/WITH=EQ", "v");
    scratch.write("env/A=B", "");
    assert_eq!(environment(&scratch, &[("A", "old"), ("WITH", "old")]), [&b"A=B"[..], b"WITH=EQ=v"]);
}

#[test]
fn names_are_bytes() {
    let scratch = Scratch::new();
    for name in [&b"n\xff"[..], b"a b", b"\n", b"-x", b"~"] {
        scratch.mkdir("env");
        scratch.write(Path::new("env").join(OsStr::from_bytes(name)), "v");
        assert_eq!(environment(&scratch, &[]), [[name, b"=v"].concat()]);
        fs::remove_dir_all(scratch.path("env")).expect("removable");
    }
}

#[test]
fn thousands_of_files_are_thousands_of_variables() {
    let scratch = Scratch::new();
    for number in 0..3000 {
        scratch.write(format!("env/V{number}"), number.to_string());
    }
    let mut expected: Vec<Vec<u8>> = (0..3000).map(|number| format!("V{number}={number}").into_bytes()).collect();
    expected.sort();
    assert_eq!(environment(&scratch, &[("V7", "old"), ("V2999", "old")]), expected);
}

#[test]
fn a_huge_file_counts_by_its_first_line() {
    let scratch = Scratch::new();
    let mut contents = b"v\n".to_vec();
    contents.resize(10_000_000, b'x');
    scratch.write("env/A", &contents);
    assert_eq!(environment(&scratch, &[]), [b"A=v"]);
    contents.fill(b' ');
    contents[0] = b'w';
    scratch.write("env/A", &contents);
    assert_eq!(environment(&scratch, &[]), [b"A=w"]);
    contents.fill(b'x');
    scratch.write("env/A", &contents);
    refused(&run(&scratch, &[]), 111, "envdir: fatal: unable to run /usr/bin/env: argument list too long\n");
}

#[test]
fn a_fifo_without_a_writer_is_an_empty_file() {
    let scratch = Scratch::new();
    assert_eq!(sh(&scratch, "mkdir env && mkfifo env/A").code, 0);
    assert_eq!(environment(&scratch, &[("A", "1")]), Vec::<Vec<u8>>::new());
}

#[test]
fn what_cannot_be_read_is_named() {
    let scratch = Scratch::new();
    type Make = fn(&Path);
    let cases: [(Make, &str); 4] = [
        (|path| fs::create_dir(path).expect("a directory"), "is a directory"),
        (|path| symlink("A", path).expect("a link"), "symbolic link loop"),
        (|path| symlink("/dev/null/x", path).expect("a link"), "not a directory"),
        (|path| drop(UnixListener::bind(path).expect("a socket")), "device not configured"),
    ];
    for (make, reason) in cases {
        make(&scratch.mkdir("env").join("A"));
        refused(&run(&scratch, &[]), 111, &format!("envdir: fatal: unable to read env/A: {reason}\n"));
        fs::remove_dir_all(scratch.path("env")).expect("removable");
    }
}

#[test]
fn a_fifo_whose_writer_is_silent_is_not_waited_for() {
    let scratch = Scratch::new();
    let ran = sh(&scratch, "mkdir env && mkfifo env/A && exec 9<>env/A && envdir env true");
    refused(&ran, 111, "envdir: fatal: unable to read env/A: temporary failure\n");
}

#[test]
fn an_unreadable_file_is_named() {
    let scratch = Scratch::new();
    let path = scratch.write("env/A", "secret");
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("its owner may chmod");
    let ran = finish(&mut scratch.ordinary("envdir", &["env", "true"]));
    refused(&ran, 111, "envdir: fatal: unable to read env/A: access denied\n");
}

#[test]
fn a_directory_that_is_none_is_named() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    let long = "x".repeat(256);
    for (name, reason) in [
        ("nosuch", "file does not exist"),
        ("", "file does not exist"),
        ("file", "not a directory"),
        ("file/", "not a directory"),
        (&long, "file name too long"),
    ] {
        let expected = format!("envdir: fatal: unable to switch to directory {name}: {reason}\n");
        refused(&scratch.run("envdir", &[name, "true"]), 111, &expected);
    }
}

#[test]
fn a_directory_that_may_not_be_entered_or_listed_is_named() {
    let scratch = Scratch::new();
    for (mode, what) in [(0o666, "switch to"), (0o333, "read")] {
        let path = scratch.mkdir("env");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its owner may chmod");
        scratch.give("env");
        let ran = finish(&mut scratch.ordinary("envdir", &["env", "true"]));
        refused(&ran, 111, &format!("envdir: fatal: unable to {what} directory env: access denied\n"));
    }
}

#[test]
fn a_current_directory_that_may_not_be_read_is_named() {
    let scratch = Scratch::new();
    let here = scratch.mkdir("here");
    scratch.mkdir("here/env");
    fs::set_permissions(&here, fs::Permissions::from_mode(0o333)).expect("its owner may chmod");
    scratch.give("here");
    let ran = finish(scratch.ordinary("envdir", &["env", "true"]).current_dir(&here));
    refused(&ran, 111, "envdir: fatal: unable to switch to current directory: access denied\n");
}

#[test]
fn a_path_in_the_directory_is_not_searched_for_the_child() {
    let scratch = Scratch::new();
    scratch.write("env/PATH", scratch.path("bin").to_str().expect("text"));
    scratch.script("bin/sh", "echo wrong");
    let ran = scratch.run("envdir", &["env", "sh", "-c", "echo $PATH"]);
    printed(&ran, &format!("{}\n", scratch.path("bin").display()));
}

#[test]
fn of_a_variable_that_is_there_twice_the_first_changes_and_malformed_strings_stay() {
    let scratch = Scratch::new();
    let strings = ["A=1", "M", "", "A=2", "AB=4", "B=3"];
    scratch.write("env/A", "");
    let Some(mut command) = with_environment(&scratch, "envdir", &["env", "/usr/bin/env", "-0"], &strings) else {
        return;
    };
    printed(&finish(&mut command), "B=3\0M\0\0A=2\0AB=4\0");
    scratch.write("env/A", "v");
    printed(&finish(&mut command), "B=3\0M\0\0A=2\0AB=4\0A=v\0");
    scratch.write("env/M", "");
    printed(&finish(&mut command), "B=3\0M\0\0A=2\0AB=4\0A=v\0");
}

#[test]
fn what_does_not_fit_into_memory_is_said() {
    let scratch = Scratch::new();
    scratch.write("env/BIG", vec![b'x'; 60_000_000]);
    let ran = scratch.run("softlimit", &["-d", "20000000", "envdir", "env", "true"]);
    refused(&ran, 111, "envdir: fatal: unable to read env/BIG: out of memory\n");
}
