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
        let scratch = Scratch::new();
        scratch.service("a", &teller());
        scratch.write("a/sd-notify", "");
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
}

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
