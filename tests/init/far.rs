//! Names in the scan directory that lead into other file systems.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use testkit::{Scratch, skip, start, wait_until};

#[test]
fn a_link_into_memory_needs_no_child_that_looks_first_and_one_into_proc_does() {
    let scratch = Scratch::new();
    let shm = PathBuf::from("/dev/shm");
    let device = |path: &PathBuf| fs::metadata(path).map(|found| found.dev()).ok();
    if device(&shm).is_none() || device(&shm) == device(&scratch.root().to_owned()) {
        return skip("/dev/shm is no file system of its own");
    }
    let near = Scratch::below(&shm);
    // Programs of our own, beside a svok that tells who was looked at.
    for program in ["svscan", "supervise"] {
        let contents = fs::read(scratch.suite().path(program)).expect("a program");
        scratch.install(format!("bin/{program}"), &contents);
    }
    let looks = scratch.path("looks");
    scratch.script("bin/svok", &format!("echo \"$1\" >>{}; exit 100", looks.display()));
    // Nothing may be executable in memory.
    let run = scratch.script("run", "exec sleep 1000");
    symlink(run, near.mkdir("web").join("run")).expect("a link");
    scratch.mkdir("service");
    symlink(near.path("web"), scratch.path("service/near")).expect("a link");
    symlink("/proc/self/fdinfo", scratch.path("service/proc")).expect("a link");
    let mut command = std::process::Command::new(scratch.path("bin/svscan"));
    let _svscan = start(command.arg(scratch.path("service")));
    wait_until("it runs", || scratch.run("svstat", &["service/near"]).out().contains(": up (pid "));
    wait_until("a child has looked at the other one", || !scratch.text("looks").is_empty());
    assert!(scratch.text("looks").lines().all(|line| line == "./proc"), "{}", scratch.text("looks"));
}
