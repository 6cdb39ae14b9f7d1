//! Where `supervise/` is removed while the original's supervise runs, as `git clean` does it, nobody reaches that any more, and the next one starts the service a second
//! time. Ours is known by a mark on the service directory itself: a second one leaves, and the first makes its files anew. Why: of a service, two never run at once.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Stdio};

use testkit::{Finished, Scratch, finish, needs_root, start, wait_for, wait_until};

/// A service that writes a line whenever it is started.
const SLEEPER: &str = "echo start >>starts; exec sleep 1000";

/// A service directory, and where its supervise has its files.
struct Place<'a> {
    scratch: &'a Scratch,
    dir: &'a str,
    state: Option<&'a str>,
}

impl Place<'_> {
    fn command(&self, program: &str, words: &[&str]) -> Command {
        self.with_state(self.scratch.command(program, words))
    }

    fn with_state(&self, mut command: Command) -> Command {
        if let Some(state) = self.state {
            command.env("SUPERVISEDIR", self.scratch.path(state));
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, program: &str, words: &[&str]) -> Finished {
        finish(&mut self.command(program, words))
    }

    fn pid(&self) -> Option<u32> {
        let line = self.run("svstat", &[self.dir]).out();
        line.split("up (pid ").nth(1)?.split(')').next()?.parse().ok()
    }

    /// Removes what a supervise needs.
    fn remove(&self) {
        match self.state {
            None => fs::remove_dir_all(self.scratch.path(self.dir).join("supervise")).expect("it is there"),
            Some(state) => {
                for entry in fs::read_dir(self.scratch.path(state)).expect("it is there").flatten() {
                    fs::remove_dir_all(entry.path()).expect("it is there");
                }
            }
        }
    }

    fn starts(&self) -> usize {
        self.scratch.text(format!("{}/starts", self.dir)).lines().count()
    }

    /// It has been started so often, and not more often.
    #[track_caller]
    fn has_started(&self, times: usize) {
        wait_until("it has told", || self.starts() >= times);
        assert_eq!(self.starts(), times);
    }

    /// One copy runs, whoever asks and starts what, after the files are removed.
    #[track_caller]
    fn stays_one(&self) {
        let child = wait_for("it is up", || self.pid());
        self.has_started(1);
        // The first who asks finds it again.
        self.remove();
        assert_eq!(self.pid(), Some(child), "svstat");
        self.remove();
        let ran = self.run("svc", &["-c", "--wait=up", "--timeout=20", self.dir]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""));
        // So does who would be a second one.
        self.remove();
        let second = self.run("supervise", &[self.dir]);
        assert_eq!(second.code, 111, "{}", second.err());
        assert!(
            second.err().contains(": supervise runs here as pid ")
                && second.err().ends_with(", and its files were removed\n")
        );
        assert_eq!((self.pid(), self.starts()), (Some(child), 1));
        // And it is as it was: a second one is kept out by the lock.
        let second = self.run("supervise", &[self.dir]);
        assert_eq!(
            (second.code, second.err().ends_with("/lock: temporary failure\n")),
            (111, true),
            "{}",
            second.err()
        );
        let ran = self.run("svc", &["-t", "--wait=up", "--timeout=20", self.dir]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""));
        assert!(self.pid().is_some_and(|pid| pid != child));
        self.has_started(2);
    }
}

#[test]
fn one_that_was_started_by_hand() {
    for state in [None, Some("state")] {
        let scratch = Scratch::new();
        scratch.service("a", SLEEPER);
        scratch.mkdir("state");
        let place = Place { scratch: &scratch, dir: "a", state };
        let _supervise = start(&mut place.command("supervise", &["a"]));
        place.stays_one();
    }
}

#[test]
fn one_below_svscan() {
    for state in [None, Some("state")] {
        let scratch = Scratch::new();
        scratch.service("scan/a", SLEEPER);
        scratch.mkdir("state");
        let place = Place { scratch: &scratch, dir: "scan/a", state };
        let _svscan = start(&mut place.command("svscan", &["scan"]));
        place.stays_one();
    }
}

#[test]
fn one_below_a_svscan_that_is_killed_and_started_again() {
    let scratch = Scratch::new();
    scratch.service("scan/a", SLEEPER);
    let place = Place { scratch: &scratch, dir: "scan/a", state: None };
    let mut svscan = start(&mut place.command("svscan", &["scan"]));
    let child = wait_for("it is up", || place.pid());
    svscan.signal("KILL");
    svscan.end();
    place.remove();
    // It finds no supervise, starts one, and that finds the other.
    let _svscan = start(&mut place.command("svscan", &["scan"]));
    wait_until("it is reached again", || scratch.path("scan/a/supervise/ok").exists());
    wait_until("it is reached again", || place.pid() == Some(child));
    place.has_started(1);
    place.stays_one();
}

#[test]
fn one_of_another_user() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.give("a");
    let place = Place { scratch: &scratch, dir: "a", state: None };
    let _supervise = start(&mut place.with_state(scratch.ordinary("supervise", &["a"])));
    place.stays_one();
}
