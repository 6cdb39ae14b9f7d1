//! The original's supervise that is started with 0, 1 and 2 closed opens its own files there, and prints its messages into one of them. Ours keeps them away from
//! these numbers. Why: a message in `supervise/lock` is read by nobody. The service finds the three closed, as below the original.

#![cfg(target_os = "linux")]

use std::process::Command;

use testkit::{Running, Scratch, Suite, start, wait_until};

use crate::world::{lines, pid, svc, wait_down, wait_up};

/// Writes down which of the three are open.
const TELLER: &str = "found=; for n in 0 1 2; do test -e /proc/$$/fd/$n && found=$found$n; done
echo \"found:$found\" >>found; exec sleep 1000";

/// `supervise a` of this suite, with the three closed.
fn supervise(scratch: &Scratch, suite: &Suite) -> Running {
    scratch.service("a", TELLER);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$1\" a <&- >&- 2>&-", "sh"]).arg(suite.path("supervise"));
    let supervise = start(command.current_dir(scratch.root()));
    wait_until("it has told", || scratch.path("a/found").exists() && lines(scratch, "a/found") == 1);
    supervise
}

#[test]
fn the_service_finds_them_closed_as_below_the_original() {
    let scratch = Scratch::new();
    let _supervise = supervise(&scratch, &scratch.suite().clone());
    assert_eq!(scratch.text("a/found"), "found:\n");
    let Some(original) = testkit::needs_original() else { return };
    let other = Scratch::with(original.clone());
    let _supervise = supervise(&other, &original);
    assert_eq!(other.text("a/found"), "found:\n");
}

#[test]
fn its_messages_are_in_none_of_its_files_and_it_can_be_upgraded() {
    let scratch = Scratch::new();
    let mut supervise = supervise(&scratch, &scratch.suite().clone());
    let child = wait_up(&scratch, "a");
    for _ in 0..2 {
        svc(&scratch, "--reexec", "a");
        let ran = scratch.run("svc", &["-c", "--wait=up", "--timeout=20", "a"]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""));
        wait_until("the new file has answered", || testkit::children(supervise.pid()).len() == 1);
    }
    assert_eq!((pid(&scratch, "a"), supervise.ended()), (Some(child), None));
    std::fs::remove_file(scratch.path("a/run")).expect("it is there");
    svc(&scratch, "-t", "a");
    wait_down(&scratch, "a");
    // What it says about `run` goes nowhere.
    wait_until("it has said so", || crate::world::svstat(&scratch, "a").contains("unable to start run"));
    assert_eq!(scratch.text("a/supervise/lock"), "");
    scratch.service("a", TELLER);
    wait_up(&scratch, "a");
    wait_until("it has told", || lines(&scratch, "a/found") == 2);
    assert_eq!(scratch.text("a/found"), "found:\nfound:\n", "after an upgrade too");
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
}
