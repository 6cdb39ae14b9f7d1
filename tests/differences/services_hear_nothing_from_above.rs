//! The original passes all of its environment on to services. Ours leaves out the variables by which somebody above tells supervise or svscan itself
//! something: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `LISTEN_FDS` and their kin. Why: below systemd or podman, one service of many would speak for
//! all of them.

use testkit::{Scratch, start, wait_until};

use crate::world::lines;

const ABOVE: [&str; 9] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    // As another svscan sets it for the supervise of one service.
    "UPHOLD_LAST_RUN",
    "UPHOLD_INIT",
    // As svscan itself sets it.
    "UPHOLD_BOOT",
];

#[test]
fn what_is_meant_for_svscan_or_supervise_does_not_reach_a_service() {
    for (program, operand) in [("svscan", "scan"), ("supervise", "scan/a")] {
        let scratch = Scratch::new();
        scratch.service("scan/a", "env >>seen; echo >>started");
        let mut command = scratch.command(program, &[operand]);
        let _running = start(command.envs(ABOVE.map(|name| (name, "1"))).env("OTHER", "here"));
        // The end of one that had `UPHOLD_LAST_RUN` would be the last.
        let starts = if program == "svscan" { 2 } else { 1 };
        wait_until("it was started", || lines(&scratch, "scan/a/started") >= starts);
        let seen = scratch.text("scan/a/seen");
        let leaked: Vec<&str> = seen.lines().filter(|line| ABOVE.iter().any(|name| line.starts_with(name))).collect();
        assert_eq!(leaked, [""; 0], "{program}");
        assert!(seen.lines().any(|line| line == "OTHER=here"));
    }
}
