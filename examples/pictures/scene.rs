//! Services in states of which a table tells, and somebody who types.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, Suite, children, finish, signal, start, wait_for, wait_until};

use crate::screen::{COLUMNS, Screen};

/// The services, with the state in which each is when the scene is complete.
const STATES: [(&str, &str); 7] = [
    ("cron", "down"),
    ("db", "ready"),
    ("mailer", "backing off"),
    ("new", "broken"),
    ("old", "failed"),
    ("web", "up"),
    ("worker@2", "waiting"),
];

const LOG: &str = "exec multilog t ./main";

/// A scan directory that a svscan serves.
pub struct Scene {
    scratch: Scratch,
    _svscan: Running,
}

impl Scene {
    /// Starts the services, and waits until each is in its state.
    pub fn play() -> Scene {
        let scratch = Scratch::with(Suite::ours());
        scratch.service("scan/cron", "exec sleep 100000");
        scratch.service("scan/db", "echo >&3\nexec sleep 100000");
        scratch.write("scan/db/notification-fd", "3\n");
        scratch.service("scan/mailer", "echo 'unable to reach smtp.example.org: timed out'\nexit 1");
        // It is not ready before it has told so.
        scratch.write("scan/mailer/notification-fd", "3\n");
        scratch.write("scan/mailer/backoff", "1m\n");
        scratch.service("scan/mailer/log", LOG);
        scratch.service("scan/new", "exec sleep 100000");
        fs::set_permissions(scratch.path("scan/new/run"), fs::Permissions::from_mode(0o644)).expect("it is ours");
        scratch.service("scan/old", "exit 3");
        scratch.write("scan/old/max-restarts", "5/60s\n");
        // It dies once, and answers then.
        let requests = "mkdir born 2>/dev/null && kill -SEGV $$\nwhile sleep 1; do echo 'GET /cart 200'; done";
        scratch.service("scan/web", requests);
        scratch.service("scan/web/log", LOG);
        scratch.service("scan/worker@2", "exec sleep 100000");
        scratch.write("scan/worker@2/dependencies.d/mailer", "");
        let svscan = scratch.start("svscan", "svscan", &["scan"]);
        let scene = Scene { scratch, _svscan: svscan };
        let told = |words: &[&str]| assert_eq!(scene.scratch.run("svc", words).code, 0, "svc {words:?}");
        wait_until("supervise runs cron", || scene.scratch.run("svok", &["scan/cron"]).code == 0);
        told(&["--wait=up", "scan/cron"]);
        told(&["-d", "--wait=down", "scan/cron"]);
        wait_for("each service is in its state", || {
            let table = finish(scene.command().args(["-C", "scan"])).out();
            let is_so = |(name, state): (&str, &str)| {
                let line = table.lines().find_map(|line| line.strip_prefix(name));
                line.is_some_and(|line| line.trim_start().starts_with(&format!("{state} ")))
            };
            STATES.into_iter().all(is_so).then_some(())
        });
        scene
    }

    fn command(&self) -> Command {
        self.scratch.command("uphold", &[])
    }

    /// Types a line on a terminal, and returns what was shown until it ended, or had so many lines.
    pub fn show(&self, line: &str, lines: Option<usize>) -> Screen {
        let mut terminal = Command::new("script");
        terminal.args(["-qefc", &format!("stty cols {COLUMNS} rows 40; exec {line}"), "/dev/null"]);
        terminal.current_dir(self.scratch.root()).env("PATH", self.scratch.suite().search_path());
        terminal.env("SVDIR", "scan").env("SHELL", "/bin/sh").env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let shown = || self.scratch.text("screen");
        let out = File::create(self.scratch.path("screen")).expect("a file");
        let mut terminal = start(terminal.stdin(Stdio::null()).stdout(out));
        let Some(lines) = lines else {
            terminal.end();
            return Screen::of(&shown());
        };
        wait_until("there are enough lines", || shown().lines().count() >= lines);
        // Nobody needs to see how it was interrupted.
        let screen = shown();
        children(terminal.pid()).into_iter().for_each(|child| signal(child, "INT"));
        terminal.end();
        Screen::of(&screen.split_inclusive('\n').take(lines).collect::<String>())
    }
}
