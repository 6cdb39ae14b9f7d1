//! Of a service that no supervise was ever started for, the original's svstat says only that `supervise/ok` does not exist. Ours says behind that
//! what is wrong with `run`, if it cannot be executed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use testkit::Scratch;

#[test]
fn a_run_that_cannot_be_executed_is_said_behind_the_original_line() {
    let scratch = Scratch::new();
    scratch.mkdir("missing");
    scratch.mkdir("directory/run");
    scratch.mkdir("dangling");
    symlink("nowhere", scratch.path("dangling/run")).expect("a link");
    scratch.mkdir("loop");
    symlink("run", scratch.path("loop/run")).expect("a link");
    scratch.write("plain/run", "#!/bin/sh\n");
    scratch.service("good", "");
    for (name, clause) in [
        ("missing", ", run does not exist"),
        ("directory", ", run is a directory"),
        ("dangling", ", run is a link to a file that does not exist"),
        ("loop", ", unable to stat run: symbolic link loop"),
        ("plain", ", run is not executable"),
        ("good", ""),
    ] {
        let ran = scratch.run("svstat", &[name]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""));
        assert_eq!(ran.out(), format!("{name}: unable to open supervise/ok: file does not exist{clause}\n"));
    }
    // It is as new when that has been mended.
    fs::set_permissions(scratch.path("plain/run"), fs::Permissions::from_mode(0o755)).expect("ours");
    assert_eq!(scratch.run("svstat", &["plain"]).out(), "plain: unable to open supervise/ok: file does not exist\n");
}
