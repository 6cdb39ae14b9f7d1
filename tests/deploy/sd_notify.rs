//! Services that tell of themselves on the socket that systemd's services know.

use std::time::Duration;

use testkit::{Running, Scratch, holds_for, wait_until};

use crate::helper::{self, tell};
use crate::world::{lines, pid, svc, svstat, wait_up};

/// A service that says what the file `say` holds, each time somebody makes it.
fn teller() -> String {
    let say = helper::run("tell", "'\"$(cat said)\"'");
    format!("echo $NOTIFY_SOCKET\nwhile :; do if mv say said 2>/dev/null; then {say}; touch told; fi; sleep 0.01; done")
}

struct Told {
    scratch: Scratch,
    supervise: Option<Running>,
}

impl Told {
    fn new() -> Told {
        Told::with(&teller(), None)
    }

    /// A service `run` that is to tell within the interval that it is alive.
    fn with(run: &str, watchdog: Option<&str>) -> Told {
        let scratch = Scratch::new();
        scratch.service("a", run);
        scratch.write("a/sd-notify", "");
        if let Some(watchdog) = watchdog {
            scratch.write("a/watchdog", watchdog);
        }
        let mut told = Told { scratch, supervise: None };
        told.supervise();
        wait_until("it runs", || lines(&told.scratch, "supervise.out") == 1);
        told
    }

    fn supervise(&mut self) {
        self.supervise = Some(self.scratch.start("supervise", "supervise", &["a"]));
    }

    /// Lets the service say something, and waits until it has.
    fn say(&self, text: &str) {
        self.scratch.write("say.new", text);
        let _ = std::fs::remove_file(self.scratch.path("a/told"));
        std::fs::rename(self.scratch.path("say.new"), self.scratch.path("a/say")).expect("a file of ours");
        wait_until("it is said", || self.scratch.path("a/told").exists());
    }

    fn socket(&self) -> String {
        self.scratch.text("supervise.out").lines().next().expect("a line").to_owned()
    }

    fn is_ready(&self) -> bool {
        svstat(&self.scratch, "a").contains(", ready ")
    }

    fn errors(&self) -> String {
        self.scratch.text("supervise.err")
    }

    fn pid(&self) -> u32 {
        pid(&self.scratch, "a").expect("it is up")
    }

    /// Waits until another process than `old` runs.
    #[track_caller]
    fn wait_other(&self, old: u32) {
        wait_until("another one runs", || pid(&self.scratch, "a").is_some_and(|pid| pid != old));
    }

    /// Kills supervise and starts another one, or has it become its file again.
    fn succeed(&mut self, upgrade: bool) {
        if upgrade {
            let svc = self.scratch.run("svc", &["--reexec", "a"]);
            assert_eq!(svc.code, 0, "{}", svc.err());
        } else {
            let mut first = self.supervise.take().expect("it runs");
            first.signal("KILL");
            first.end();
            self.supervise();
            wait_until("a supervise runs", || self.scratch.run("svok", &["a"]).code == 0);
        }
    }
}

const SILENT: &str = "supervise: warning: a has not told within";

#[test]
fn ready_reloading_and_stopping_are_understood_and_the_rest_is_ignored() {
    let told = Told::new();
    assert!(!told.is_ready());
    told.say("STATUS=thinking\nX_ODD=1\nREADY=0");
    holds_for(Duration::from_millis(200), "that is not ready", || !told.is_ready());
    told.say("X_ODD=1\nREADY=1");
    wait_until("it is ready", || told.is_ready());
    told.say("RELOADING=1\nMONOTONIC_USEC=7\n");
    wait_until("it is not ready any more", || !told.is_ready());
    told.say("READY=1\n");
    wait_until("it is ready again", || told.is_ready());
    told.say("STOPPING=1");
    wait_until("it ends", || !told.is_ready());
    assert_eq!(told.scratch.text("supervise.err"), "");
}

#[test]
fn another_main_process_is_not_followed_and_that_is_said_once() {
    let told = Told::new();
    let own = pid(&told.scratch, "a").expect("it is up");
    told.say(&format!("MAINPID={own}"));
    for _ in 0..2 {
        told.say("MAINPID=1\nREADY=1");
        wait_until("it is ready", || told.is_ready());
        told.say("STOPPING=1");
        wait_until("it ends", || !told.is_ready());
    }
    let line = "supervise: warning: unable to follow a to pid 1: only what was started as run is supervised\n";
    assert_eq!(told.scratch.text("supervise.err"), line);
}

#[test]
fn strangers_and_nonsense_are_not_listened_to() {
    let told = Told::new();
    // This process has started supervise, and is no part of the service.
    tell(&told.socket(), b"READY=1");
    for nonsense in [vec![b'x'; 65_536], vec![0; 100], b"READY".to_vec(), b"=".to_vec(), Vec::new(), vec![b'\n'; 4096]]
    {
        tell(&told.socket(), &nonsense);
    }
    holds_for(Duration::from_millis(300), "it is not ready", || !told.is_ready());
    told.say("READY=1");
    wait_until("it is ready", || told.is_ready());
}

#[test]
fn the_socket_is_found_again_after_a_kill_of_supervise_and_after_an_upgrade() {
    let mut told = Told::new();
    let child = wait_up(&told.scratch, "a");
    svc(&told.scratch, "--reexec", "a");
    told.say("READY=1");
    wait_until("it is ready", || told.is_ready());
    told.say("RELOADING=1");
    wait_until("it is not ready any more", || !told.is_ready());
    let mut first = told.supervise.take().expect("it runs");
    first.signal("KILL");
    first.end();
    told.supervise();
    wait_until("a supervise runs", || told.scratch.run("svok", &["a"]).code == 0);
    told.say("READY=1");
    wait_until("it is ready", || told.is_ready());
    assert_eq!(pid(&told.scratch, "a"), Some(child));
    assert_eq!(told.scratch.text("supervise.err"), "");
}

#[test]
fn a_service_that_does_not_ask_for_it_gets_no_socket() {
    let scratch = Scratch::new();
    scratch.service("a", "echo \"<$NOTIFY_SOCKET>\"; exec sleep 1000");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_until("it runs", || lines(&scratch, "supervise.out") == 1);
    assert_eq!(scratch.text("supervise.out"), "<>\n");
}

#[test]
fn a_service_that_is_silent_is_ended_and_started_again() {
    let told = Told::with(&teller(), Some("400\n"));
    let first = told.pid();
    holds_for(Duration::from_millis(800), "it is not ready yet", || pid(&told.scratch, "a") == Some(first));
    told.say("READY=1");
    told.wait_other(first);
    assert_eq!(told.errors(), format!("{SILENT} 400ms that it is alive, ending pid {first}\n"));
    assert!(told.scratch.run("svstat", &["--long", "a"]).out().contains("killed by signal 6"));
    assert!(!told.is_ready());
}

#[test]
fn a_service_that_tells_that_it_is_alive_lives_until_it_hangs() {
    let told = Told::with(&format!("echo start\nexec env {}", helper::run("live", "")), Some("2s"));
    let first = told.pid();
    wait_until("it is ready", || told.is_ready());
    holds_for(Duration::from_secs(4), "it tells", || pid(&told.scratch, "a") == Some(first));
    told.scratch.write("a/hang", "");
    wait_until("it is ended", || told.errors() == format!("{SILENT} 2s that it is alive, ending pid {first}\n"));
    std::fs::remove_file(told.scratch.path("a/hang")).expect("it is there");
    told.wait_other(first);
}

#[test]
fn a_service_that_survives_abort_is_killed() {
    let told = Told::with(&format!("trap '' ABRT\n{}", teller()), None);
    told.scratch.write("a/timeout-kill", "300");
    let first = told.pid();
    told.say("WATCHDOG=trigger");
    told.wait_other(first);
    let lines = format!(
        "supervise: warning: a has told that it hangs, ending pid {first}\n\
         supervise: warning: unable to end a in time, killing pid {first}\n"
    );
    assert_eq!(told.errors(), lines);
}

#[test]
fn the_service_may_change_its_interval_and_no_interval_is_none() {
    let told = Told::with(&teller(), Some("1s"));
    let first = told.pid();
    told.say("WATCHDOG_USEC=0\nREADY=1");
    holds_for(Duration::from_millis(1500), "it need not tell", || pid(&told.scratch, "a") == Some(first));
    told.say("WATCHDOG_USEC=200000");
    told.wait_other(first);
    assert_eq!(told.errors(), format!("{SILENT} 200ms that it is alive, ending pid {first}\n"));
}

#[test]
fn a_successor_holds_the_service_to_what_that_was_told_and_to_no_more() {
    for upgrade in [false, true] {
        let mut told = Told::with(&teller(), None);
        let first = told.pid();
        told.say("READY=1");
        wait_until("it is ready", || told.is_ready());
        told.scratch.write("a/watchdog", "100");
        told.succeed(upgrade);
        holds_for(Duration::from_millis(600), "it was told of none", || pid(&told.scratch, "a") == Some(first));
        told.say("WATCHDOG_USEC=3000000");
        std::fs::remove_file(told.scratch.path("a/watchdog")).expect("it is there");
        told.succeed(upgrade);
        told.wait_other(first);
        assert_eq!(told.errors(), format!("{SILENT} 3s that it is alive, ending pid {first}\n"));
    }
}

/// What a service with these files has in its environment.
fn watchdog_variables(files: &[&str]) -> String {
    let scratch = Scratch::new();
    for file in files {
        scratch.write(format!("a/{file}"), "1500");
    }
    scratch.service("a", "env | grep ^WATCHDOG >seen.new; mv seen.new seen; exec sleep 1000");
    let mut command = scratch.command("supervise", &["a"]);
    let _supervise = testkit::start(command.env("WATCHDOG_USEC", "7").env("WATCHDOG_PID", "8"));
    wait_until("it has looked", || scratch.path("a/seen").exists());
    scratch.text("a/seen")
}

#[test]
fn only_a_service_with_a_watchdog_gets_its_variable() {
    assert_eq!(watchdog_variables(&[]), "");
    assert_eq!(watchdog_variables(&["watchdog"]), "");
    assert_eq!(watchdog_variables(&["sd-notify"]), "");
    assert_eq!(watchdog_variables(&["sd-notify", "watchdog"]), "WATCHDOG_USEC=1500000\n");
}

#[test]
fn a_watchdog_that_is_none_is_said_and_the_service_runs_without() {
    let told = Told::with(&teller(), Some("often"));
    told.say("READY=1");
    wait_until("it is ready", || told.is_ready());
    let line = "taking none: not a number with ms, s, m, h or nothing behind it";
    assert_eq!(told.errors(), format!("supervise: warning: unable to use a/watchdog, {line}\n"));
}
