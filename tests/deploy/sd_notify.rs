//! Services that tell of themselves on the socket that systemd's services know.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use testkit::{Running, Scratch, holds_for, lives, signal, wait_for, wait_until};

use super::helper::{self, tell};
use super::world::{lines, pid, svc, svstat, wait_down, wait_up};

/// A service that says what the file `say` holds, each time somebody makes it.
pub fn teller() -> String {
    teller_by("tell")
}

/// The same, which says it by this helper.
fn teller_by(role: &str) -> String {
    let say = helper::run(role, "'\"$(cat said)\"'");
    format!("echo $NOTIFY_SOCKET\nwhile :; do if mv say said 2>/dev/null; then {say}; touch told; fi; sleep 0.01; done")
}

pub struct Told {
    pub scratch: Scratch,
    pub supervise: Option<Running>,
}

impl Told {
    pub fn new() -> Told {
        Told::with(&teller(), None)
    }

    /// A service `run` that is to tell within the interval that it is alive.
    pub fn with(run: &str, watchdog: Option<&str>) -> Told {
        Told::by("", run, watchdog)
    }

    /// The same, where `sd-notify` says by which kind of socket it tells.
    pub fn by(kind: &str, run: &str, watchdog: Option<&str>) -> Told {
        let scratch = Scratch::new();
        scratch.service("a", run);
        scratch.write("a/sd-notify", kind);
        if let Some(watchdog) = watchdog {
            scratch.write("a/watchdog", watchdog);
        }
        let mut told = Told { scratch, supervise: None };
        told.supervise();
        wait_until("it runs", || lines(&told.scratch, "supervise.out") == 1);
        told
    }

    pub fn supervise(&mut self) {
        self.supervise = Some(self.scratch.start("supervise", "supervise", &["a"]));
    }

    /// Lets the service say something, and waits until it has.
    pub fn say(&self, text: &str) {
        self.scratch.write("say.new", text);
        let _ = std::fs::remove_file(self.scratch.path("a/told"));
        std::fs::rename(self.scratch.path("say.new"), self.scratch.path("a/say")).expect("a file of ours");
        wait_until("it is said", || self.scratch.path("a/told").exists());
    }

    pub fn socket(&self) -> String {
        self.scratch.text("supervise.out").lines().next().expect("a line").to_owned()
    }

    pub fn is_ready(&self) -> bool {
        svstat(&self.scratch, "a").contains(", ready ")
    }

    pub fn errors(&self) -> String {
        self.scratch.text("supervise.err")
    }

    /// Its process. The record tells of it once it has become `run`, which may have said something before.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        wait_for("it is up", || self.pid_or_none())
    }

    pub fn pid_or_none(&self) -> Option<u32> {
        pid(&self.scratch, "a")
    }

    /// Waits until another process than `old` runs.
    #[track_caller]
    pub fn wait_other(&self, old: u32) {
        wait_until("another one runs", || pid(&self.scratch, "a").is_some_and(|pid| pid != old));
    }

    /// Kills supervise and starts another one, or has it become its file again.
    pub fn succeed(&mut self, upgrade: bool) {
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
fn a_process_that_is_none_of_the_service_is_not_followed_and_that_is_said_once_for_each_cause() {
    let told = Told::new();
    let own = told.pid();
    told.say(&format!("MAINPID={own}"));
    // It runs as the same user, and is in the same session and group.
    let stranger = testkit::start(std::process::Command::new("sleep").arg("1000"));
    let supervise = told.supervise.as_ref().map(Running::pid).expect("it runs");
    let mut dead = testkit::start(&mut std::process::Command::new("true"));
    dead.end();
    let mut lines = String::new();
    for (other, why) in [
        (1, "it is no process of the service"),
        (supervise, "it is no process of the service"),
        (stranger.pid(), "it is no process of the service"),
        (dead.pid(), "there is no such process"),
    ] {
        for _ in 0..2 {
            told.say(&format!("MAINPID={other}\nREADY=1"));
            wait_until("it is ready", || told.is_ready());
            told.say("STOPPING=1");
            wait_until("it ends", || !told.is_ready());
        }
        lines += &format!("supervise: warning: unable to follow a to pid {other}: {why}\n");
        assert_eq!(told.errors(), lines);
    }
    assert_eq!(told.pid(), own);
}

/// The process that the service has written down.
fn daemon(scratch: &Scratch) -> Option<u32> {
    scratch.text("a/daemon").trim().parse().ok()
}

/// A service that starts a daemon, and ends when it has told so.
fn mover() -> String {
    format!("echo start\nexec env {}", helper::run("move-on", "7"))
}

/// Waits until the process that is written down, and is not `old`, is the service's.
#[track_caller]
fn wait_moved(told: &Told, old: u32) -> u32 {
    let moved = || daemon(&told.scratch).filter(|&pid| pid != old && Some(pid) == told.pid_or_none());
    wait_until("it has moved", || moved().is_some() && told.is_ready());
    moved().expect("it has moved")
}

#[test]
fn a_service_lives_and_ends_with_the_process_that_it_names() {
    let told = Told::with(&mover(), None);
    let first = wait_moved(&told, 0);
    holds_for(Duration::from_millis(1500), "it is not started again", || told.pid() == first);
    assert_eq!(lines(&told.scratch, "supervise.out"), 1);
    svc(&told.scratch, "-t", "a");
    let second = wait_moved(&told, first);
    assert_eq!(lines(&told.scratch, "supervise.out"), 2);
    svc(&told.scratch, "-d", "a");
    wait_down(&told.scratch, "a");
    assert!(!lives(first) && !lives(second));
    assert_eq!(told.errors(), "");
}

#[test]
fn a_daemon_that_has_left_its_parents_is_followed_while_the_old_process_stays() {
    let leave = "(setsid sleep 1000 & echo $! >daemon.new; mv daemon.new daemon)";
    let told = Told::with(&format!("{leave}\n{}", teller()), None);
    let old = told.pid();
    let daemon = daemon(&told.scratch).expect("it was started");
    told.say(&format!("READY=1\nMAINPID={daemon}"));
    assert_eq!(wait_moved(&told, 0), daemon);
    signal(old, "KILL");
    wait_until("the old one has ended", || !lives(old));
    holds_for(Duration::from_millis(300), "that is no end of the service", || told.pid() == daemon);
    signal(daemon, "KILL");
    wait_until("it is started again", || lines(&told.scratch, "supervise.out") == 2);
    assert_eq!(told.errors(), "");
}

#[test]
fn a_successor_finds_the_process_to_which_the_service_has_moved() {
    for upgrade in [false, true] {
        let mut told = Told::with(&mover(), None);
        let moved = wait_moved(&told, 0);
        told.succeed(upgrade);
        holds_for(Duration::from_millis(300), "it is that one", || told.pid() == moved && told.is_ready());
        svc(&told.scratch, "-d", "a");
        wait_until("it is gone", || !lives(moved));
        wait_down(&told.scratch, "a");
        assert_eq!((told.errors(), lines(&told.scratch, "supervise.out")), (String::new(), 1));
    }
}

#[test]
fn a_new_copy_may_move_before_it_takes_over() {
    let told = Told::with(&mover(), None);
    let first = wait_moved(&told, 0);
    svc(&told.scratch, "-R", "a");
    let second = wait_moved(&told, first);
    wait_until("the old one is gone", || !lives(first));
    assert_eq!((told.pid(), lines(&told.scratch, "supervise.out")), (second, 2));
    assert_eq!(told.errors(), "");
}

#[test]
fn what_a_new_copy_that_has_moved_leaves_in_the_group_that_it_was_started_with_is_killed() {
    let bad = helper::run("move-on-and-leave-a-worker", "");
    let told = Told::with(&format!("test -e bad && exec env {bad}\n{}", mover()), None);
    let old = wait_moved(&told, 0);
    told.scratch.write("a/bad", "");
    svc(&told.scratch, "-R", "a");
    let worker = wait_for("there is a worker", || told.scratch.text("a/worker").trim().parse().ok());
    let daemon = told.scratch.text("a/worker.daemon").trim().parse().expect("a pid");
    wait_until("it has moved", || svstat(&told.scratch, "a").ends_with(&format!(", starting pid {daemon}")));
    signal(daemon, "KILL");
    wait_until("the worker is gone", || !lives(worker));
    assert_eq!(told.pid(), old);
    let line = format!("supervise: warning: unable to replace a, going on as before: pid {daemon} ");
    assert!(told.errors().starts_with(&line), "{}", told.errors());
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
    for (kind, role) in [("", "tell"), ("abstract\n", "tell-and-stay")] {
        the_socket_is_found_again(Told::by(kind, &teller_by(role), None));
    }
}

fn the_socket_is_found_again(mut told: Told) {
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
    svc(&told.scratch, "--reexec", "a");
    told.say("RELOADING=1");
    wait_until("it is not ready any more", || !told.is_ready());
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
    let ear = told.scratch.path("a").join(helper::EAR);
    UnixDatagram::unbound().and_then(|mouth| mouth.send_to(b"hang", ear)).expect("it listens");
    wait_until("it is ended", || told.errors() == format!("{SILENT} 2s that it is alive, ending pid {first}\n"));
    told.wait_other(first);
}

#[test]
fn a_service_that_is_paused_may_be_silent() {
    let told = Told::with(&format!("echo start\nexec env {}", helper::run("live", "")), Some("2s"));
    let first = told.pid();
    wait_until("it is ready", || told.is_ready());
    svc(&told.scratch, "-p", "a");
    holds_for(Duration::from_secs(3), "it is silent", || told.pid_or_none() == Some(first));
    svc(&told.scratch, "-c", "a");
    holds_for(Duration::from_millis(500), "it tells again", || told.pid_or_none() == Some(first));
    assert_eq!(told.errors(), "");
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
        // What is still unread when supervise is killed is lost: so it is seen that the end of the word was heard.
        told.say("WATCHDOG_USEC=3000000\nRELOADING=1");
        wait_until("it is heard", || !told.is_ready());
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
