//! What happens to the scan directory and to svscan's descriptors: the original goes on somehow, ours goes on as wanted.
//! A scan directory that is removed and made anew is entered again (the original stays in the removed one); where the kernel cannot tell
//! of changes, ours looks every five seconds and says so once; closed standard descriptors are opened on /dev/null, so that a
//! pipe does not get their numbers.

use std::fs;
use std::process::Command;

use testkit::{Scratch, needs_program, start, wait_until};

use crate::world::{pid, wait_up};

#[test]
fn a_scan_directory_that_is_removed_and_made_anew_is_served_again() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.mkdir("service");
    let mut svscan = scratch.start("svscan", "svscan", &["service"]);
    std::os::unix::fs::symlink("../a", scratch.path("service/a")).expect("a link");
    let first = wait_up(&scratch, "a");
    fs::remove_dir_all(scratch.path("service")).expect("removes");
    wait_until("said", || {
        scratch.text("svscan.err").contains("svscan: warning: unable to read directory: file does not exist\n")
    });
    assert_eq!(pid(&scratch, "a"), Some(first), "the service runs on");
    scratch.service("service/b", "exec sleep 1000");
    wait_up(&scratch, "service/b");
    assert_eq!(svscan.ended(), None);
}

/// With a system call of svscan's tampered with, it says for which reason it looks every five seconds, once, and does.
fn looks_for_itself(call: &str, tampering: &str, reason: &str) {
    let Some(strace) = needs_program("strace") else {
        return;
    };
    let scratch = Scratch::new();
    scratch.mkdir("service");
    let mut command = Command::new(strace);
    command.args([
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={call}:{tampering}"),
    ]);
    command.arg(scratch.suite().path("svscan")).arg("service").current_dir(scratch.root());
    command.stderr(fs::File::create(scratch.path("err")).expect("a file"));
    let _svscan = start(&mut command);
    let said = format!("svscan: warning: unable to watch the scan directory, looking every 5 seconds: {reason}\n");
    wait_until("said", || scratch.text("err") == said);
    for name in ["a", "b"] {
        scratch.service(&format!("service/{name}"), "exec sleep 1000");
        wait_up(&scratch, &format!("service/{name}"));
    }
    assert_eq!(scratch.text("err"), said);
}

#[test]
fn without_inotify_it_looks_every_five_seconds_and_says_so_once() {
    looks_for_itself("inotify_init1", "error=EMFILE", "process cannot open more files");
}

#[test]
fn with_all_watches_used_up_it_looks_every_five_seconds_and_says_so_once() {
    if !testkit::needs_inotify() {
        return;
    }
    looks_for_itself("inotify_add_watch", "error=ENOSPC", "out of disk space");
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn on_a_network_file_system_it_looks_every_five_seconds_and_says_so_once() {
    if !testkit::needs_inotify() {
        return;
    }
    // The type of file system that statfs gives is NFS, 0x6969.
    looks_for_itself("statfs", "poke_exit=@arg2=6969000000000000", "operation not supported");
}

#[test]
fn closed_standard_descriptors_do_not_become_pipes() {
    let scratch = Scratch::new();
    scratch.service("service/a", "ls -l /proc/self/fd >&1; exec sleep 1000");
    scratch.script("service/a/log/run", "exec cat >got");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" service <&- >&- 2>&-"]).arg(scratch.suite().path("svscan"));
    command.current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    let _svscan = start(&mut command);
    wait_until("the logger got it", || scratch.text("service/a/log/got").lines().count() >= 4);
    let listing = scratch.text("service/a/log/got");
    let target = |number: &str| {
        let line = listing.lines().find(|line| line.contains(&format!(" {number} -> "))).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(target("0"), "/dev/null");
    assert!(target("1").starts_with("pipe:"), "{listing}");
    assert_eq!(target("2"), "/dev/null");
}

#[test]
fn children_get_the_limit_on_open_files_that_svscan_was_started_with() {
    let scratch = Scratch::new();
    scratch.service("service/a", "ulimit -Sn; exec sleep 1000");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 77; exec \"$0\" service"]).arg(scratch.suite().path("svscan"));
    command.current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    command.stdout(fs::File::create(scratch.path("out")).expect("a file"));
    let _svscan = start(&mut command);
    wait_until("it wrote its limit", || scratch.text("out") == "77\n");
}
