//! A sandbox that does not know descriptors of processes, and so forbids them, as Docker's did before 20.10; and one that only lets nobody copy descriptors
//! of another process.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, lives, signal, wait_for, wait_until};

use crate::scene::{is_supervised, pid, supervise_of, svc, wait_up, wait_up_again};
use crate::strace::needs_strace;

/// A supervise of `a` in a sandbox that forbids this call.
fn supervise(scratch: &Scratch, call: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
    command.arg("-e").arg(format!("inject={call}:error=EPERM"));
    let said = std::fs::File::options().create(true).append(true).open(scratch.path("said")).expect("a file of ours");
    command
        .arg(scratch.suite().path("supervise"))
        .arg("a")
        .current_dir(scratch.root())
        .stderr(said)
        .stdin(Stdio::null());
    command
}

#[test]
fn a_service_is_supervised_again_once_its_process_has_ended_and_never_runs_twice() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", "echo start >>starts; exec sleep 1000");
    let starts = || scratch.text("a/starts").lines().count();
    let mut first = scratch.start("supervise", "supervise", &["a"]);
    let left = wait_up(&scratch, "a");
    wait_until("it has started", || starts() == 1);
    first.signal("KILL");
    first.end();
    let refused = testkit::finish(&mut supervise(&scratch, "pidfd_open"));
    assert_eq!((refused.code, starts(), lives(left)), (111, 1, true));
    assert_eq!(refused.err(), format!("supervise: fatal: unable to take over pid {left} of a: permission denied\n"));
    signal(left, "KILL");
    wait_until("it is gone", || !lives(left));
    let _second: Running = testkit::start(&mut supervise(&scratch, "pidfd_open"));
    wait_until("it is started again", || starts() == 2);
    let new = wait_for("it is up", || Some(wait_up(&scratch, "a")).filter(|&pid| pid != left));
    assert!(lives(new));
    assert_eq!(scratch.text("said"), "");
}

/// A successor looks for the sockets once, when it begins: so it is each of them that says it.
#[test]
fn each_successor_that_cannot_have_the_sockets_says_so_and_the_next_start_opens_them_anew() {
    if !needs_strace() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.write("a/sockets/s", "unix s.sock");
    let mut running = scratch.start("supervise", "supervise", &["a"]);
    let service = wait_up(&scratch, "a");
    let inode = || std::fs::metadata(scratch.path("a/s.sock")).expect("it is there").ino();
    let (socket, mut old) = (inode(), running.pid());
    let said = "supervise: warning: unable to take over the sockets of a, opening them anew at the next start: permission denied\n";
    for count in 1..=2 {
        signal(old, "KILL");
        running.end();
        running = testkit::start(&mut supervise(&scratch, "pidfd_getfd"));
        wait_until("another one runs", || is_supervised(&scratch, "a") && supervise_of(&scratch, "a") != old);
        wait_until("it says so", || scratch.text("said") == said.repeat(count));
        assert_eq!((pid(&scratch, "a"), inode()), (Some(service), socket));
        old = supervise_of(&scratch, "a");
    }
    for _ in 0..2 {
        let before = wait_up(&scratch, "a");
        svc(&scratch, "k", "a");
        wait_up_again(&scratch, "a", before);
        UnixStream::connect(scratch.path("a/s.sock")).expect("somebody listens");
    }
    assert_eq!(scratch.text("said"), said.repeat(2));
}
