//! Many services that wait for one.

use std::fs;
use std::time::{Duration, Instant};

use testkit::{Scratch, children, holds_for, wait_rest, wait_until};

use crate::{make_services, room_for, tell, turn, wait_all_up};

const MANY: usize = 1_000;

/// How often these processes have slept until something came.
fn wakeups(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    pids.iter().map(|pid| of(pid).expect("it lives")).sum()
}

#[test]
fn a_thousand_services_that_wait_for_one_sleep_until_it_is_ready() {
    let _turn = turn();
    if !room_for(MANY) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/db", "read go <go; echo >&3; exec sleep 1000");
    scratch.write("scan/db/notification-fd", "3");
    sys::fd::make_fifo(&scratch.path("scan/db/go")).expect("a FIFO");
    make_services(&scratch, MANY);
    let names: Vec<String> = (0..MANY).map(|number| format!("scan/s{number}")).collect();
    for name in &names {
        scratch.mkdir(format!("{name}/dependencies.d"));
        scratch.write(format!("{name}/dependencies.d/db"), "");
    }
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let waiting = || scratch.run("svstat", &names).out().matches(", waiting for db\n").count();
    wait_until("all wait", || waiting() == MANY);
    let supervises = children(svscan.pid());
    assert_eq!(supervises.len(), MANY + 1);
    // Some may be about to look once more.
    let before = wait_rest("all rest", Duration::from_millis(500), || Some(wakeups(&supervises)));
    holds_for(Duration::from_secs(3), "nobody is woken", || wakeups(&supervises) == before);
    scratch.write("scan/db/go", "\n");
    let begun = Instant::now();
    wait_all_up(&scratch, MANY);
    tell("1,000 services that have waited for one have started", begun.elapsed());
    assert_eq!(scratch.text("svscan.err"), "");
}
