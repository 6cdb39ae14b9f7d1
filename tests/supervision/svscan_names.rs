//! svscan: names that a directory may have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use testkit::wait_until;

use super::scan::Scan;
use super::world::{MORTAL, scratch};

#[test]
fn any_name_that_does_not_begin_with_a_dot_is_a_service() {
    let scratch = scratch();
    let long = vec![b'n'; 255];
    let names: [&[u8]; 12] = [
        &long,
        b"s\xff\xfe",
        b"two words",
        b"line\nbreak",
        b"-x",
        b"--",
        b"--xyz",
        b"log",
        b"$(touch x)",
        b"*",
        b"\x01",
        b"a.b",
    ];
    for name in names {
        let dir = Path::new("service").join(OsStr::from_bytes(name));
        scratch.script(dir.join("run"), &format!("echo >>ran; {MORTAL}"));
    }
    let scan = Scan::start(&scratch);
    for name in names {
        let name = OsStr::from_bytes(name);
        scan.wait_up(name);
        wait_until("it has run", || std::fs::read(scan.dir(name).join("ran")).is_ok_and(|ran| ran == b"\n"));
    }
    assert_eq!(scan.stderr(), "");
    assert!(!scan.dir("x").exists());
}

#[test]
fn a_directory_that_is_called_as_an_option_is_a_service() {
    let scratch = scratch();
    for name in ["--help", "--version"] {
        scratch.service(&format!("service/{name}"), MORTAL);
        scratch.service(&format!("service/{name}/log"), MORTAL);
    }
    let scan = Scan::start(&scratch);
    for name in ["--help", "--version"] {
        scan.wait_up(name);
        scan.wait_up(format!("{name}/log"));
    }
}

#[test]
fn a_long_name_and_one_that_is_no_text_may_have_logs() {
    let scratch = scratch();
    let long = vec![b'n'; 255];
    for name in [&long[..], b"s\xff"] {
        let dir = Path::new("service").join(OsStr::from_bytes(name));
        scratch.script(dir.join("run"), &format!("echo line; {MORTAL}"));
        scratch.script(dir.join("log/run"), "read line && echo $line >read; exec sleep 100000");
    }
    let scan = Scan::start(&scratch);
    for name in [&long[..], b"s\xff"] {
        let read = scan.dir(OsStr::from_bytes(name)).join("log/read");
        wait_until("its line is logged", || std::fs::read(&read).is_ok_and(|line| line == b"line\n"));
    }
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_name_that_is_no_text_is_said_as_it_is() {
    let scratch = scratch();
    scratch.mkdir("service");
    std::os::unix::fs::symlink("nowhere", scratch.path("service").join(OsStr::from_bytes(b"s\xff"))).expect("a link");
    let _scan = Scan::start(&scratch);
    wait_until("it is said", || {
        scratch.read("svscan.err").starts_with(b"svscan: warning: unable to stat s\xff: file does not exist\n")
    });
}

#[test]
fn a_service_called_log_may_have_a_log() {
    let scratch = scratch();
    scratch.service("service/log", MORTAL);
    scratch.service("service/log/log", MORTAL);
    let scan = Scan::start(&scratch);
    let [main, log] = ["log", "log/log"].map(|name| scan.wait_up(name));
    assert_ne!(main, log);
    assert_eq!(scan.stderr(), "");
}
