//! How supervise starts, and why it does not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use testkit::{Finished, Scratch, finish, lives, needs_program, signal, wait_until};

use super::world::{MORTAL, Service, has_reader, scratch, wait_sleep};

fn fatal(line: &str) -> Finished {
    Finished { code: 111, stdout: Vec::new(), stderr: format!("supervise: fatal: {line}\n").into_bytes() }
}

/// A service whose `run` would show that it ran.
fn service(scratch: &Scratch, name: &str) {
    scratch.service(name, "echo >>ran; exec sleep 100000");
}

fn set_mode(scratch: &Scratch, name: &str, mode: u32) {
    fs::set_permissions(scratch.give(name), fs::Permissions::from_mode(mode)).expect("by owner");
}

#[test]
fn anything_but_one_operand_gets_the_usage() {
    let scratch = scratch();
    service(&scratch, "a");
    let usage = Finished { code: 100, stdout: Vec::new(), stderr: b"supervise: usage: supervise dir\n".to_vec() };
    for words in [&[][..], &["a", "a"], &["a", "b", "c"], &["--", "a"]] {
        assert_eq!(scratch.run("supervise", words), usage, "{words:?}");
    }
    assert!(!scratch.path("a/supervise").exists());
}

#[test]
fn there_are_no_options() {
    let scratch = scratch();
    for name in ["-x", "--", "--xyz", "-"] {
        let expected = fatal(&format!("unable to chdir to {name}: file does not exist"));
        assert_eq!(scratch.run("supervise", &[name]), expected);
    }
    let mut service = Service::new(&scratch, "-x", MORTAL);
    service.wait_up();
    service.write(b"dx");
    assert_eq!(service.end(), 0);
}

#[test]
fn each_way_not_to_get_in_has_its_reason() {
    let scratch = scratch();
    for (name, reason) in scratch.no_way_in() {
        assert_eq!(scratch.run("supervise", &[&name]), fatal(&format!("unable to chdir to {name}: {reason}")));
    }
}

#[test]
fn a_name_that_is_no_text_is_said_as_it_is() {
    let scratch = scratch();
    let ran = finish(scratch.command("supervise", &[]).arg(OsStr::from_bytes(b"s\xff/\n")));
    assert_eq!(ran.code, 111);
    assert_eq!(ran.stderr, b"supervise: fatal: unable to chdir to s\xff/\n: file does not exist\n");
}

#[test]
fn an_ordinary_user_is_kept_out_by_the_modes() {
    let scratch = scratch();
    for name in ["closed", "bare", "lock", "unread", "unwritten", "ok"] {
        service(&scratch, name);
        scratch.give(name);
    }
    for name in ["lock", "unread", "unwritten", "ok"] {
        scratch.mkdir_given(&format!("{name}/supervise"));
    }
    scratch.write("lock/supervise/lock", "");
    for fifo in ["unread/supervise/control", "unwritten/supervise/control", "ok/supervise/ok"] {
        sys::fd::make_fifo(&scratch.path(fifo)).expect("a FIFO");
    }
    set_mode(&scratch, "closed", 0o000);
    set_mode(&scratch, "bare", 0o500);
    set_mode(&scratch, "lock/supervise/lock", 0o400);
    set_mode(&scratch, "unread/supervise/control", 0o200);
    set_mode(&scratch, "unwritten/supervise/control", 0o400);
    set_mode(&scratch, "ok/supervise/ok", 0o200);
    for (name, text) in [
        ("closed", "unable to chdir to closed: access denied"),
        ("bare", "unable to acquire bare/supervise/lock: file does not exist"),
        ("lock", "unable to acquire lock/supervise/lock: access denied"),
        ("unread", "unable to read unread/supervise/control: access denied"),
        ("unwritten", "unable to write unwritten/supervise/control: access denied"),
        ("ok", "unable to read ok/supervise/ok: access denied"),
    ] {
        assert_eq!(finish(&mut scratch.ordinary("supervise", &[name])), fatal(text), "{name}");
        assert!(!scratch.path(name).join("ran").exists(), "{name}");
    }
}

#[test]
fn each_thing_in_place_of_a_file_of_supervise_has_its_message() {
    let scratch = scratch();
    for (name, text) in [
        ("down", "unable to stat down/down: symbolic link loop"),
        ("file", "unable to acquire file/supervise/lock: not a directory"),
        ("lock", "unable to acquire lock/supervise/lock: is a directory"),
        ("lockloop", "unable to acquire lockloop/supervise/lock: symbolic link loop"),
        ("control", "unable to write control/supervise/control: is a directory"),
        ("controlloop", "unable to read controlloop/supervise/control: symbolic link loop"),
        ("okloop", "unable to read okloop/supervise/ok: symbolic link loop"),
    ] {
        service(&scratch, name);
        let link = |file: &str, to: &str| {
            scratch.mkdir(format!("{name}/supervise"));
            symlink(to, scratch.path(name).join(file)).expect("a link");
        };
        match name {
            "down" => link("down", "down"),
            "file" => drop(scratch.write("file/supervise", "")),
            "lock" => drop(scratch.mkdir("lock/supervise/lock")),
            "lockloop" => link("supervise/lock", "lock"),
            "control" => drop(scratch.mkdir("control/supervise/control")),
            "controlloop" => link("supervise/control", "control"),
            _ => link("supervise/ok", "ok"),
        }
        assert_eq!(scratch.run("supervise", &[name]), fatal(text));
        assert!(!scratch.path(name).join("ran").exists(), "{name}");
    }
}

#[test]
fn no_descriptor_for_its_pipe_is_fatal() {
    let Some(prlimit) = needs_program("prlimit") else { return };
    let scratch = scratch();
    service(&scratch, "a");
    let mut command = Command::new(prlimit);
    // One is needed to load a program that is linked dynamically.
    command.arg("--nofile=4").arg(scratch.suite().path("supervise")).arg("a").current_dir(scratch.root());
    assert_eq!(finish(&mut command), fatal("unable to create pipe for a: process cannot open more files"));
}

#[test]
fn a_second_instance_is_refused_and_leaves_the_first_alone() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    let before = service.record();
    let second = scratch.run("supervise", &["a"]);
    assert_eq!(second, fatal("unable to acquire a/supervise/lock: temporary failure"));
    let by_its_path = service.dir.to_str().expect("a name of ours");
    let third = scratch.run("supervise", &[by_its_path]);
    assert_eq!(third, fatal(&format!("unable to acquire {by_its_path}/supervise/lock: temporary failure")));
    assert_eq!(service.record(), before);
    service.svc("d");
    service.wait_down();
}

#[test]
fn a_down_service_is_refused_a_second_instance_too() {
    let scratch = scratch();
    let _service = Service::down(&scratch, "a", MORTAL);
    assert_eq!(scratch.run("supervise", &["a"]), fatal("unable to acquire a/supervise/lock: temporary failure"));
}

#[test]
fn the_lock_is_free_once_supervise_is_dead() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", MORTAL);
    service.supervise.signal("KILL");
    assert_eq!(service.end(), 1009);
    assert!(!has_reader(&service.dir));
    let again = Service::of(&scratch, "a");
    assert_eq!(again.svstat(), "down S seconds");
}

#[test]
fn the_lock_is_not_held_by_the_service() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    let child = service.wait_up();
    // Until it has executed `run`, it holds a copy of ours.
    wait_sleep(child);
    service.supervise.signal("KILL");
    assert_eq!(service.end(), 1009);
    let lock = fs::OpenOptions::new().append(true).open(service.dir.join("supervise/lock")).expect("it is there");
    sys::fd::try_lock(&lock).expect("free");
    assert!(lives(child));
    assert!(!has_reader(&service.dir));
    signal(child, "KILL");
}

#[test]
fn a_service_without_a_down_file_is_started() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    assert!(lives(pid));
    assert_eq!(service.svstat(), "up (pid N) S seconds");
}

#[test]
fn whatever_exists_as_down_keeps_a_service_down() {
    let scratch = scratch();
    for kind in ["file", "directory", "fifo", "link"] {
        service(&scratch, kind);
        let down = scratch.path(kind).join("down");
        match kind {
            "file" => fs::write(&down, "").expect("a file"),
            "directory" => fs::create_dir(&down).expect("a directory"),
            "fifo" => sys::fd::make_fifo(&down).expect("a FIFO"),
            _ => symlink("run", &down).expect("a link"),
        }
        let service = Service::of(&scratch, kind);
        assert_eq!((service.record().pid, service.record().want), (0, b'd'), "{kind}");
        assert_eq!(service.svstat(), "down S seconds", "{kind}");
        assert_eq!(service.text("ran"), "", "{kind}");
    }
}

#[test]
fn a_dangling_link_as_down_counts_as_none() {
    let scratch = scratch();
    service(&scratch, "a");
    symlink("nowhere", scratch.path("a/down")).expect("a link");
    Service::of(&scratch, "a").wait_up();
}

#[test]
fn the_down_file_counts_only_when_supervise_starts() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let first = service.wait_up();
    scratch.write("a/down", "");
    assert_eq!(service.svstat(), "up (pid N) S seconds, normally down");
    service.svc("k");
    let second = service.wait_restart(first);
    service.svc("d");
    service.wait_down();
    fs::remove_file(scratch.path("a/down")).expect("it is there");
    assert_eq!(service.svstat(), "down S seconds, normally up");
    assert!(!lives(second));
}

#[test]
fn a_directory_may_be_named_in_any_way() {
    let scratch = scratch();
    service(&scratch, "x/y");
    symlink("x/y", scratch.path("link")).expect("a link");
    for name in ["x/y", "x/../x/y/", "link", "./link"] {
        let mut running = scratch.start("s", "supervise", &[name]);
        wait_until("it is up", || has_reader(&scratch.path("x/y")));
        assert_eq!(scratch.run("svc", &["-dx", "x/y"]).err(), "");
        assert_eq!(running.end(), 0, "{name}");
    }
    let mut inside = scratch.command("supervise", &["."]);
    let mut running = testkit::start(inside.current_dir(scratch.path("x/y")));
    wait_until("it is up", || has_reader(&scratch.path("x/y")));
    assert_eq!(scratch.run("svc", &["-dx", "link"]).err(), "");
    assert_eq!(running.end(), 0);
}
