//! TERM ends the original's svscanboot, and nothing else; from init it comes for the whole process group, that is to svscan and to all the
//! supervises at once, and whatever loggers have not read by then is lost. In ours nothing but svscanboot itself is in that group, and its TERM is the
//! orderly stop: every service is stopped, its logger reads to the end, then svscan and svscanboot end. sysvinit, whose line for svscanboot holds at
//! runlevel 6, starts it again then: that one starts nothing. Why: the last lines of a log tell why a machine goes down.

#![cfg(target_os = "linux")]

use std::time::Duration;

use testkit::{Running, Scratch, holds_for, signal, start, wait_until};

use crate::svscanboot_keeps_svscan::{boot, child, service, svscan};
use crate::world::wait_up;

/// Waits for the end of everything, and looks at the log.
fn ends_in_order(scratch: &Scratch, mut boot: Running) {
    assert_eq!(boot.end(), 0);
    assert_eq!(scratch.text("service/a/log/main/current"), "begin\nend\n");
    assert_eq!(["service/a", "service/a/log"].map(|dir| scratch.run("svok", &[dir]).code), [100, 100]);
}

/// The same, when what the service has left behind is known too.
fn ends_with_nothing_left(scratch: &Scratch, boot: Running) {
    ends_in_order(scratch, boot);
    wait_until("nothing is left", || scratch.processes().is_empty());
}

/// One with a service that has said its first line.
fn begin(scratch: &Scratch) -> Running {
    service(scratch, "a");
    let boot = boot(scratch);
    wait_up(scratch, "service/a");
    wait_until("it is logged", || scratch.text("service/a/log/main/current") == "begin\n");
    boot
}

#[test]
fn term_stops_everything_with_the_last_lines_written() {
    for name in ["TERM", "INT"] {
        let scratch = Scratch::new();
        let boot = begin(&scratch);
        boot.signal(name);
        ends_with_nothing_left(&scratch, boot);
    }
}

#[test]
fn so_does_term_to_its_whole_process_group() {
    let scratch = Scratch::new();
    let boot = begin(&scratch);
    let group = format!("-{}", boot.pid());
    let sent = testkit::finish(std::process::Command::new("kill").args(["-TERM", "--"]).arg(group));
    assert_eq!(sent.code, 0, "{}", sent.err());
    ends_with_nothing_left(&scratch, boot);
}

#[test]
fn so_does_term_while_svscan_is_dead() {
    let scratch = Scratch::new();
    let boot = begin(&scratch);
    signal(svscan(&boot), "KILL");
    boot.signal("TERM");
    ends_with_nothing_left(&scratch, boot);
}

#[test]
fn so_does_term_to_one_that_replaced_another() {
    let scratch = Scratch::new();
    let mut first = begin(&scratch);
    first.signal("KILL");
    first.end();
    let second = boot(&scratch);
    svscan(&second);
    second.signal("TERM");
    ends_in_order(&scratch, second);
}

#[test]
fn term_that_comes_before_svscan_serves_is_not_lost() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    for _ in 0..20 {
        let mut boot = boot(&scratch);
        // Whatever it is doing by now.
        wait_until("it has begun", || child(boot.pid(), "readproctitle").is_some());
        boot.signal("TERM");
        assert_eq!(boot.end(), 0);
    }
    wait_until("nothing is left", || scratch.processes().is_empty());
}

fn catches_term(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
    caught.and_then(|bits| u64::from_str_radix(bits, 16).ok()).is_some_and(|bits| bits & 1 << 14 != 0)
}

#[test]
fn on_the_way_down_it_starts_nothing() {
    for level in ["0", "6"] {
        let scratch = Scratch::new();
        service(&scratch, "a");
        let mut boot = start(scratch.command("svscanboot", &["service"]).env("RUNLEVEL", level));
        wait_until("it catches TERM", || catches_term(boot.pid()));
        holds_for(Duration::from_millis(300), "nothing is started", || child(boot.pid(), "svscan").is_none());
        boot.signal("TERM");
        assert_eq!(boot.end(), 0);
        assert!(!scratch.path("service/a/ran").exists());
    }
    let scratch = Scratch::new();
    service(&scratch, "a");
    let _boot = start(scratch.command("svscanboot", &["service"]).env("RUNLEVEL", "2"));
    wait_up(&scratch, "service/a");
}

#[test]
fn uphold_boot_stop_waits_for_all_of_it() {
    let scratch = Scratch::new();
    let mut boot = begin(&scratch);
    let dir = scratch.path("service");
    let stopped = testkit::finish(scratch.command("uphold", &["boot", "stop", "--scan-dir"]).arg(dir));
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
    assert_eq!(scratch.text("service/a/log/main/current"), "begin\nend\n");
    assert_eq!(boot.end(), 0);
}

/// `uphold boot stop` at runlevel 0, where nothing is told a second time that svscanboot has told already.
fn stop_on_the_way_down(scratch: &Scratch) {
    let dir = scratch.path("service");
    let mut stop = scratch.command("uphold", &["boot", "stop", "--scan-dir"]);
    let stopped = testkit::finish(stop.arg(dir).env("RUNLEVEL", "0"));
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
    assert_eq!(["service/a", "service/a/log"].map(|dir| scratch.run("svok", &[dir]).code), [100, 100]);
}

#[test]
fn uphold_boot_stop_does_not_hurry_what_is_told_already() {
    let scratch = Scratch::new();
    let mut boot = begin(&scratch);
    let run = scratch.text("service/a/run").replace("echo end", "echo >slow; sleep 1; echo end");
    scratch.write("service/a/run", run);
    assert_eq!(scratch.run("svc", &["-t", "service/a"]).code, 0);
    let logged = |text: &str| scratch.text("service/a/log/main/current") == text;
    wait_until("it runs the slow way", || logged("begin\nend\nbegin\n"));
    boot.signal("TERM");
    wait_until("it stops", || scratch.path("service/a/slow").exists());
    boot.signal("KILL");
    boot.end();
    stop_on_the_way_down(&scratch);
    assert!(logged("begin\nend\nbegin\nend\n"));
}

#[test]
fn uphold_boot_stop_tells_what_a_dead_svscanboot_has_not_told() {
    let scratch = Scratch::new();
    let mut boot = begin(&scratch);
    boot.signal("KILL");
    boot.end();
    stop_on_the_way_down(&scratch);
    assert_eq!(scratch.text("service/a/log/main/current"), "begin\nend\n");
}
