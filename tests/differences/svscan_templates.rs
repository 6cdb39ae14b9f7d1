//! The original starts a service in a directory whose name ends with `@`. Ours does not, unless a supervise runs there. Why: `uphold scale` makes instances of such a directory, which
//! would run as one more; and what an earlier version has started is to stay supervised.

use std::time::Duration;

use testkit::{Scratch, holds_for, lives, signal, wait_for, wait_until};

use crate::world::{pid, process, wait_up};

#[test]
fn a_template_in_the_scan_directory_is_not_started() {
    let scratch = Scratch::new();
    scratch.service("scan/web@", "exec sleep 1000");
    scratch.service("scan/web@1", "exec sleep 1000");
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    wait_up(&scratch, "scan/web@1");
    scratch.service("scan/new@", "exec sleep 1000");
    scratch.service("scan/last", "exec sleep 1000");
    wait_up(&scratch, "scan/last");
    let is_there = |name: &str| scratch.path(name).join("supervise").exists();
    holds_for(Duration::from_secs(1), "neither runs", || !is_there("scan/web@") && !is_there("scan/new@"));
}

#[test]
fn what_is_supervised_already_stays_a_service() {
    let scratch = Scratch::new();
    scratch.service("scan/web@", "exec sleep 1000");
    let mut supervise = {
        let mut command = scratch.command("supervise", &["web@"]);
        testkit::start(command.current_dir(scratch.path("scan")))
    };
    let service = wait_up(&scratch, "scan/web@");
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    scratch.service("scan/last", "exec sleep 1000");
    wait_up(&scratch, "scan/last");
    let first = supervise.pid();
    signal(first, "KILL");
    supervise.end();
    wait_for("another supervise", || process(&scratch, &["web@"]).filter(|&pid| pid != first));
    wait_until("it has taken the service over", || pid(&scratch, "scan/web@") == Some(service));
    assert!(lives(service));
}
