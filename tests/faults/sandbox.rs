//! A sandbox that does not know descriptors of processes, and so forbids them, as Docker's did before 20.10.

use std::process::{Command, Stdio};

use testkit::{Running, Scratch, lives, signal, wait_for, wait_until};

use crate::scene::wait_up;
use crate::strace::needs_strace;

/// A supervise of `a` in such a sandbox.
fn supervise(scratch: &Scratch) -> Command {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=EPERM"]);
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
    let refused = testkit::finish(&mut supervise(&scratch));
    assert_eq!((refused.code, starts(), lives(left)), (111, 1, true));
    assert_eq!(refused.err(), format!("supervise: fatal: unable to take over pid {left} of a: permission denied\n"));
    signal(left, "KILL");
    wait_until("it is gone", || !lives(left));
    let _second: Running = testkit::start(&mut supervise(&scratch));
    wait_until("it is started again", || starts() == 2);
    let new = wait_for("it is up", || Some(wait_up(&scratch, "a")).filter(|&pid| pid != left));
    assert!(lives(new));
    assert_eq!(scratch.text("said"), "");
}
