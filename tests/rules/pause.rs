//! What is paused stays so, whoever supervises it.

use testkit::{Scratch, signal, start, state, wait_for, wait_until};

use super::world::{svc, svstat, wait_up};

/// Below an init each supervise leads a session. When it is killed, the kernel continues stopped process groups of that session, which no shell could continue any more.
#[test]
fn a_paused_service_with_a_group_of_its_own_stays_paused_when_its_supervise_below_an_init_is_killed() {
    let scratch = Scratch::new();
    // The kernel sends HUP, too.
    scratch.service("scan/web", "trap '' HUP; exec sleep 1000");
    scratch.write("scan/web/kill-mode", "group");
    let _svscan = start(&mut scratch.command("svscan", &["--init", "scan"]));
    let pid = wait_up(&scratch, "scan/web");
    svc(&scratch, "-p", "scan/web");
    wait_until("it is paused", || svstat(&scratch, "scan/web").ends_with(", paused") && state(pid) == Some('T'));
    let supervise = || testkit::record(scratch.path("scan/web")).map(|record| record.observed.supervise.pid);
    let first = supervise().expect("it runs");
    signal(first, "KILL");
    wait_for("another takes over", || supervise().filter(|&second| second != first));
    wait_until("it is paused again", || state(pid) == Some('T'));
    assert!(svstat(&scratch, "scan/web").ends_with(", paused"), "{}", svstat(&scratch, "scan/web"));
    svc(&scratch, "-c", "scan/web");
    wait_until("it goes on", || state(pid).is_some_and(|state| state != 'T'));
}
