//! Whose parent has ended is svscan's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testkit::{Scratch, children, needs_program, needs_root, state, wait_until};

use super::world::{FOREVER, Init};

const ORPHANS: usize = 2_000;

#[test]
fn thousands_of_orphans_leave_no_zombie() {
    if !needs_root() || needs_program("unshare").is_none() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service(
        "scan/maker",
        &format!("i=0; while [ $i -lt {ORPHANS} ]; do (: &); i=$((i+1)); done; echo >made; exec sleep 100000"),
    );
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    let (mut seen, mut oldest) = (BTreeMap::new(), Duration::ZERO);
    wait_until("all are made and reaped", || {
        let zombies: Vec<u32> = children(init.pid()).into_iter().filter(|&pid| is_zombie(pid)).collect();
        let now = Instant::now();
        seen.retain(|pid, _| zombies.contains(pid));
        for pid in &zombies {
            oldest = oldest.max(now - *seen.entry(*pid).or_insert(now));
        }
        // In the end there is the supervise, and nothing else: the last orphans may live for a moment longer than their maker.
        scratch.path("scan/maker/made").exists() && zombies.is_empty() && children(init.pid()).len() == 1
    });
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("{ORPHANS} orphans: the oldest zombie that was seen was so for {oldest:?}\n").as_bytes(),
    );
    assert_eq!(init.stop(), 0);
}

fn is_zombie(pid: u32) -> bool {
    state(pid) == Some('Z')
}

#[test]
fn what_services_leave_behind_is_ended_with_svscan() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "trap '' TERM; sleep 100001 & trap - TERM; echo >made; exec sleep 100000");
    let starts: [fn(&Scratch) -> Init<'_>; 2] =
        [|scratch| Init::start(scratch, &["--grace", FOREVER]), |scratch| Init::told(scratch, &["--grace", FOREVER])];
    for start in starts {
        let init = start(&scratch);
        wait_until("both run", || scratch.path("scan/a/made").exists() && init.is_up("a"));
        // Its end says that nothing is left.
        assert_eq!(init.stop(), 0);
        std::fs::remove_file(scratch.path("scan/a/made")).expect("it is there");
    }
}
