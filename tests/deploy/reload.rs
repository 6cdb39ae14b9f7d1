//! `svc --reload --wait=ready`: it returns when the service has told that this reload is over, or says why that cannot be known.

use std::time::Duration;

use testkit::{Finished, Running, Scratch, change_record, holds_for, wait_until, watches};

use super::helper;
use super::world::{lines, pid, svc, svstat, wait_up};

/// A service that does on HUP what its file `how` says, and is ready.
struct Reloader {
    scratch: Scratch,
    supervise: Option<Running>,
    own: u32,
}

impl Reloader {
    fn new(how: &str) -> Reloader {
        let scratch = Scratch::new();
        scratch.service("a", &format!("exec env {}", helper::run("reload", "")));
        scratch.write("a/sd-notify", "");
        scratch.write("a/how", how);
        let mut service = Reloader { scratch, supervise: None, own: 0 };
        service.supervise();
        service.own = wait_up(&service.scratch, "a");
        wait_until("it is ready", || service.is_ready());
        service
    }

    fn supervise(&mut self) {
        self.supervise = Some(self.scratch.start("supervise", "supervise", &["a"]));
    }

    fn is_ready(&self) -> bool {
        svstat(&self.scratch, "a").contains(", ready ")
    }

    /// How often it got HUP.
    fn heard(&self) -> usize {
        if self.scratch.path("a/heard").exists() { lines(&self.scratch, "a/heard") } else { 0 }
    }

    /// Begins to wait for a reload, in the background.
    fn begin(&self) -> Running {
        self.scratch.start("svc", "svc", &["--reload", "--wait=ready", "a"])
    }

    fn reload(&self, words: &[&str]) -> Finished {
        self.scratch.run("svc", &[&["--reload", "--wait=ready"], words, &["a"]].concat())
    }

    fn hold(&self, reload: u32) {
        self.scratch.write(format!("a/hold{reload}"), "");
    }

    fn release(&self, reload: u32) {
        std::fs::remove_file(self.scratch.path(format!("a/hold{reload}"))).expect("it is there");
    }
}

#[track_caller]
fn succeeds(ran: &Finished) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (0, "", ""));
}

#[track_caller]
fn fails(ran: &Finished, line: &str) {
    let expected = format!("svc: warning: unable to wait for a{line}\n");
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (1, "", expected.as_str()));
}

#[test]
fn it_returns_when_the_service_is_ready_again() {
    let service = Reloader::new("tells");
    for reload in 1..4 {
        service.hold(reload);
        let mut waiting = service.begin();
        wait_until("it reloads", || !service.is_ready());
        holds_for(Duration::from_millis(200), "it waits", || waiting.ended().is_none());
        service.release(reload);
        assert_eq!((waiting.end(), service.scratch.text("svc.err").as_str()), (0, ""));
        assert!(service.is_ready() && service.heard() == reload as usize);
    }
    for reload in 4..10 {
        succeeds(&service.reload(&[]));
        assert_eq!(service.heard(), reload);
    }
    assert_eq!(pid(&service.scratch, "a"), Some(service.own));
}

#[test]
fn the_end_of_a_reload_that_had_begun_before_is_not_that_of_this_one() {
    let service = Reloader::new("tells");
    service.hold(1);
    service.hold(2);
    svc(&service.scratch, "-h", "a");
    wait_until("it reloads", || !service.is_ready());
    let mut waiting = service.begin();
    wait_until("it watches", || watches(waiting.pid()) > 0);
    holds_for(Duration::from_millis(200), "it waits", || waiting.ended().is_none());
    service.release(1);
    wait_until("it reloads again", || service.heard() == 2);
    holds_for(Duration::from_millis(200), "it waits", || waiting.ended().is_none());
    service.release(2);
    assert_eq!((waiting.end(), service.scratch.text("svc.err").as_str()), (0, ""));
}

#[test]
fn it_goes_on_with_the_next_supervise() {
    for upgrade in [false, true] {
        // Before the service has told that it is ready again, and after that.
        for told in [false, true] {
            let mut service = Reloader::new("tells");
            service.hold(1);
            let mut waiting = service.begin();
            wait_until("it reloads", || !service.is_ready());
            if told {
                // It does not see the end before the next supervise is there.
                waiting.signal("STOP");
                service.release(1);
                wait_until("it is ready", || service.is_ready());
            }
            if upgrade {
                svc(&service.scratch, "--reexec", "a");
                wait_until("it has obeyed", || service.scratch.run("svc", &["-u", "--wait=up", "a"]).code == 0);
            } else {
                let mut first = service.supervise.take().expect("it runs");
                first.signal("KILL");
                first.end();
                service.supervise();
                wait_until("a supervise runs", || service.scratch.run("svok", &["a"]).code == 0);
            }
            if told {
                waiting.signal("CONT");
            } else {
                service.release(1);
            }
            let ended = (waiting.end(), service.scratch.text("svc.err"));
            assert_eq!(ended, (0, String::new()), "upgrade: {upgrade}, told: {told}");
            assert_eq!(pid(&service.scratch, "a"), Some(service.own));
        }
    }
}

#[test]
fn a_service_that_does_not_tell_that_it_reloads_is_said_not_to() {
    for how in ["silent", "past", "timeless"] {
        let service = Reloader::new(how);
        service.scratch.write("a/timeout-ready", "300");
        fails(&service.reload(&[]), " to be ready: it has not told within 300ms that it reloads");
        // Nothing but the wait has failed.
        wait_until("it got the signal", || service.heard() == 1);
        wait_until("it is ready", || service.is_ready());
    }
}

#[test]
fn who_has_less_patience_is_told_how_far_it_is() {
    let service = Reloader::new("tells");
    let own = service.own;
    service.hold(1);
    let line = format!(" to be ready: timed out, it is up (pid {own}) and not ready");
    let ran = service.reload(&["--timeout=1s"]);
    fails(&ran, &line);
    service.release(1);
    wait_until("it is ready", || service.is_ready());
    service.scratch.write("a/how", "silent");
    // It has all the time in the world.
    service.scratch.write("a/timeout-ready", "0");
    let line = format!(" to be ready: timed out, it is up (pid {own}), and has not told that it reloads");
    fails(&service.reload(&["--timeout=300ms"]), &line);
    assert_eq!(service.scratch.text("supervise.err"), "");
}

#[test]
fn another_process_has_read_its_configuration_anyway() {
    let service = Reloader::new("dies");
    succeeds(&service.reload(&[]));
    let other = pid(&service.scratch, "a");
    assert!(other.is_some_and(|pid| pid != service.own) && service.is_ready());
    // One that is down has nothing to reload.
    svc(&service.scratch, "-d", "a");
    let down = service.scratch.run("svc", &["--wait=down", "a"]);
    assert_eq!(down.code, 0);
    fails(&service.reload(&[]), " to be ready: it is down");
}

#[test]
fn without_a_socket_to_tell_by_it_is_enough_to_be_ready() {
    let scratch = Scratch::new();
    scratch.service("a", "trap 'echo HUP' HUP; echo >&7; while :; do sleep 1000 & wait; done");
    scratch.write("a/notification-fd", "7");
    scratch.service("b", "trap 'echo HUP' HUP; echo; while :; do sleep 1000 & wait; done");
    scratch.script("b/check", "exit 0");
    for dir in ["a", "b"] {
        let _supervise = scratch.start("supervise", "supervise", &[dir]);
        wait_until("it is ready", || svstat(&scratch, dir).contains(", ready "));
        succeeds(&scratch.run("svc", &["--reload", "--wait=ready", dir]));
        wait_until("it got the signal", || scratch.text("supervise.out").contains("HUP"));
    }
}

#[test]
fn a_supervise_that_cannot_tell_is_told_of_at_once_and_sent_nothing() {
    let service = Reloader::new("tells");
    let supervise = service.supervise.as_ref().expect("it runs");
    // It stands still, so it does not see that the record is not its own any more.
    supervise.signal("STOP");
    change_record(service.scratch.path("a"), |record| record.decided.reload = None);
    let why = "it is of an older version, or has started the service without a notify socket";
    fails(&service.reload(&[]), &format!(": its supervise cannot tell when a reload is over: {why}"));
    supervise.signal("CONT");
    succeeds(&service.scratch.run("svc", &["-u", "--wait=up", "a"]));
    assert_eq!(service.heard(), 0);
}
