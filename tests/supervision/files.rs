//! The files of `supervise/`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use testkit::{Scratch, finish, start, wait_until};

use super::world::{MORTAL, Service, has_reader, scratch};

/// The type and mode of a file, as `ls` writes the type.
fn kind(path: &Path) -> String {
    let data = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let letter = match data.file_type() {
        kind if kind.is_fifo() => 'p',
        kind if kind.is_dir() => 'd',
        kind if kind.is_file() => '-',
        kind if kind.is_symlink() => 'l',
        _ => '?',
    };
    format!("{letter}{:03o}", data.permissions().mode() & 0o7777)
}

/// Supervises `a` under a umask to its end, and returns the modes of `supervise`, `lock`, `control`, `ok` and `status`.
fn modes(umask: &str) -> [String; 5] {
    let scratch = scratch();
    scratch.service("a", MORTAL);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(scratch.suite().path("supervise"));
    let mut supervise = start(shell.arg("a").current_dir(scratch.root()));
    wait_until("it runs", || has_reader(&scratch.path("a")));
    scratch.run("svc", &["-dx", "a"]);
    assert_eq!(supervise.end(), 0);
    ["", "lock", "control", "ok", "status"].map(|name| kind(&scratch.path("a/supervise").join(name)))
}

#[test]
fn files_have_their_types_and_modes() {
    let service = ["d700", "-600", "p600", "p600", "-644"].map(str::to_owned);
    assert_eq!(modes("022"), service);
    assert_eq!(modes("000"), service);
}

#[test]
fn the_umask_narrows_the_status_only() {
    assert_eq!(modes("077"), ["d700", "-600", "p600", "p600", "-600"].map(str::to_owned));
}

#[test]
fn the_lock_is_empty_and_the_status_is_whole() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    let size = |name: &str| fs::metadata(service.dir.join("supervise").join(name)).expect("it is there").len();
    assert_eq!(size("lock"), 0);
    assert!(size("status") >= 18);
}

#[test]
fn nothing_of_supervise_is_removed_when_it_leaves() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.svc("dx");
    assert_eq!(service.end(), 0);
    for name in ["lock", "control", "ok", "status"] {
        assert!(service.dir.join("supervise").join(name).exists(), "{name}");
    }
    assert_eq!(scratch.run("svok", &["a"]).code, 100);
    assert_eq!(service.svstat(), "supervise not running");
}

#[test]
fn files_that_are_there_are_used_as_they_are() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.svc("dx");
    assert_eq!(service.end(), 0);
    let supervise = service.dir.join("supervise");
    let inode = |name: &str| fs::metadata(supervise.join(name)).expect("it is there").ino();
    let before = ["lock", "control", "ok"].map(inode);
    for (name, mode) in [("", 0o755), ("lock", 0o640), ("control", 0o660), ("ok", 0o622)] {
        fs::set_permissions(supervise.join(name), fs::Permissions::from_mode(mode)).expect("by owner");
    }
    let again = Service::of(&scratch, "a");
    again.wait_up();
    assert_eq!(["lock", "control", "ok"].map(inode), before);
    assert_eq!(
        ["", "lock", "control", "ok"].map(|name| kind(&supervise.join(name))),
        ["d755", "-640", "p660", "p622"].map(str::to_owned)
    );
}

#[test]
fn what_else_lies_there_is_left_alone() {
    let scratch = scratch();
    scratch.write("a/supervise/other", "kept");
    scratch.write("a/supervise/lock", "kept");
    scratch.write("a/supervise/status", "short");
    scratch.write("a/supervise/status.new", vec![b'x'; 1000]);
    let service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    assert_eq!(service.text("supervise/other"), "kept");
    assert_eq!(service.text("supervise/lock"), "kept");
    assert_eq!(service.svstat(), "up (pid N) S seconds");
}

/// A service whose `supervise` is a link with the text `to`.
fn linked(scratch: &Scratch, to: impl AsRef<Path>) {
    scratch.service("a", MORTAL);
    symlink(to, scratch.path("a/supervise")).expect("a link");
}

#[test]
fn a_dangling_link_gets_its_directory() {
    let scratch = scratch();
    scratch.mkdir("var");
    linked(&scratch, "../var/a");
    let service = Service::of(&scratch, "a");
    service.wait_up();
    assert_eq!(kind(&scratch.path("a/supervise")), "l777");
    assert_eq!(kind(&scratch.path("var/a")), "d700");
    assert_eq!(kind(&scratch.path("var/a/control")), "p600");
}

#[test]
fn a_dangling_link_with_an_absolute_text_gets_its_directory() {
    let scratch = scratch();
    linked(&scratch, scratch.path("var"));
    Service::of(&scratch, "a").wait_up();
    assert_eq!(kind(&scratch.path("var")), "d700");
}

#[test]
fn a_link_to_a_directory_is_followed() {
    let scratch = scratch();
    scratch.mkdir("var");
    linked(&scratch, "../var");
    Service::of(&scratch, "a").wait_up();
    assert_eq!(kind(&scratch.path("var/ok")), "p600");
    assert_eq!(kind(&scratch.path("var")), "d755");
}

#[test]
fn a_link_whose_directory_cannot_be_made_is_no_lock() {
    let scratch = scratch();
    linked(&scratch, "missing/directory");
    let ran = scratch.run("supervise", &["a"]);
    assert_eq!(ran.code, 111);
    assert_eq!(ran.err(), "supervise: fatal: unable to acquire a/supervise/lock: file does not exist\n");
}

#[test]
fn a_link_with_a_text_of_255_bytes_gets_its_directory() {
    let scratch = scratch();
    linked(&scratch, "n".repeat(255));
    Service::of(&scratch, "a").wait_up();
    assert_eq!(kind(&scratch.path("a").join("n".repeat(255))), "d700");
}

#[test]
fn a_dangling_link_with_a_longer_text_is_fatal() {
    let scratch = scratch();
    linked(&scratch, format!("{}nowhere", "./".repeat(125)));
    let ran = finish(&mut scratch.command("supervise", &["a"]));
    assert_eq!(ran.code, 111);
    assert_eq!(ran.err(), "unable to readlink ./supervise: unknown error\n");
    assert!(!scratch.path("a/nowhere").exists());
}
