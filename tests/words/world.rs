//! A scan directory `scan` with a svscan, and somebody who types words.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use testkit::{Finished, Running, Scratch, finish, is_root, needs_program, wait_for, wait_until};

/// Root, if that is who runs the tests, and an ordinary user.
pub fn users() -> &'static [bool] {
    if is_root() { &[false, true] } else { &[true] }
}

/// A scan directory, and the user who serves it and asks.
pub struct World {
    pub scratch: Scratch,
    ordinary: bool,
    svscan: Option<Running>,
}

impl World {
    /// Makes an empty scan directory, of an ordinary user if `ordinary` is true.
    pub fn new(ordinary: bool) -> World {
        let scratch = Scratch::new();
        scratch.mkdir_given("scan");
        if ordinary {
            for program in ["uphold", "supervise", "svok", "svc"] {
                scratch.lend(program);
            }
        }
        World { scratch, ordinary, svscan: None }
    }

    /// A scan directory with a svscan and a service in each state that a word tells of, as far as they stay in it; each has the name of how it got there.
    pub fn in_every_state(ordinary: bool) -> World {
        const LIVES: &str = "exec sleep 100000";
        const SAYS_SO: (&str, &str) = ("notification-fd", "3");
        let mut world = World::new(ordinary);
        world.service("backs-off", "exit 1", &[("backoff", "1h")]);
        world.service("done", "exit 0", &[("final-exits", "0")]);
        world.service("down", LIVES, &[("down", "")]);
        world.service("failed", "kill -SEGV $$", &[("final-exits", "any")]);
        world.service("finishes", "exit 3", &[("finish", "#!\nexec sleep 100000"), ("timeout-finish", "0")]);
        world.service("once", LIVES, &[]);
        world.service("paused", LIVES, &[]);
        world.service("ready", "echo >&3; exec sleep 100000", &[SAYS_SO]);
        world.service("refused", LIVES, &[("kill-mode", "cgroup")]);
        let first = "mkdir first 2>/dev/null && echo >&3; exec sleep 100000";
        world.service("replaced", first, &[SAYS_SO, ("timeout-ready", "1h")]);
        world.service("sick", LIVES, &[("health", "#!\nexit 1"), ("health-interval", "1s"), ("health-fails", "255")]);
        world.service("starts", LIVES, &[("start", "#!\nexec sleep 100000")]);
        world.service("stops", "trap '' TERM; echo >&3; while :; do sleep 100000; done", &[SAYS_SO]);
        world.service("told", LIVES, &[]);
        world.service("unready", LIVES, &[SAYS_SO]);
        world.service("up", LIVES, &[]);
        world.service("waits", LIVES, &[("dependencies.d/nobody", "")]);
        // These cannot run.
        world.service("no-mode", LIVES, &[]);
        let run = world.scratch.path("scan/no-mode/run");
        fs::set_permissions(run, fs::Permissions::from_mode(0o644)).expect("it is ours");
        world.scratch.mkdir("scan/no-run");
        symlink("/nonexistent", world.scratch.path("scan/nowhere")).expect("a link");
        symlink("../svscan.err", world.scratch.path("scan/to-file")).expect("a link");
        // And these are no services.
        world.scratch.write("scan/plain-file", "");
        world.scratch.service("scan/.hidden", LIVES);
        world.scratch.service("scan/template@", LIVES);
        world.serve();
        for (name, state, letters) in [
            ("once", "up", "-o"),
            ("paused", "up", "-p"),
            ("told", "up", "-d"),
            ("stops", "ready", "-d"),
            ("replaced", "ready", "-R"),
        ] {
            world.wait_supervised(name);
            let dir = format!("scan/{name}");
            for words in [&[&*format!("--wait={state}"), &*dir], &[letters, &*dir]] {
                assert_eq!(finish(&mut world.command("svc", words)).code, 0, "{words:?}");
            }
        }
        world
    }

    /// Makes a service with this body of `run`, and these other files.
    pub fn service(&self, name: &str, run: &str, files: &[(&str, &str)]) {
        self.directory(&format!("scan/{name}"), run, files);
    }

    /// Makes a service directory at this path, with this body of `run`, and these other files.
    pub fn directory(&self, dir: &str, run: &str, files: &[(&str, &str)]) {
        self.scratch.service(dir, run);
        for (file, contents) in files {
            let path = format!("{dir}/{file}");
            match contents.strip_prefix("#!") {
                Some(body) => drop(self.scratch.script(&path, body)),
                None => drop(self.scratch.write(&path, contents)),
            }
        }
        self.own(dir);
    }

    /// Gives a service directory, with the directories in it, to the user.
    fn own(&self, dir: &str) {
        if self.ordinary {
            self.scratch.give(dir);
            for entry in std::fs::read_dir(self.scratch.path(dir)).expect("it was made").flatten() {
                self.scratch.give(&format!("{dir}/{}", entry.file_name().to_str().expect("a name")));
            }
        }
    }

    /// Starts a svscan there.
    pub fn serve(&mut self) {
        let mut command = self.command("svscan", &["scan"]);
        let err = std::fs::File::create(self.scratch.path("svscan.err")).expect("a file");
        self.svscan = Some(testkit::start(command.stdin(std::process::Stdio::null()).stderr(err)));
    }

    /// Starts a svscan there, and waits until it serves the scan directory, which has a service `first` for that.
    pub fn serve_first(&mut self) {
        self.service("first", "exec sleep 100000", &[]);
        self.serve();
        self.wait_supervised("first");
    }

    /// The svscan.
    pub fn svscan(&mut self) -> &mut Running {
        self.svscan.as_mut().expect("it was started")
    }

    /// A command of this user.
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let ours = if self.ordinary { Scratch::ordinary } else { Scratch::command };
        let mut command = ours(&self.scratch, program, words);
        command.env_remove("SVDIR").env_remove("NO_COLOR").env("TERM", "xterm");
        command
    }

    /// Types `uphold -C scan` and these words.
    pub fn uphold(&self, words: &[&str]) -> Finished {
        finish(&mut self.command("uphold", &[&["-C", "scan"], words].concat()))
    }

    /// Types them on a terminal with so many columns. `None` if there can be no terminal here.
    pub fn on_terminal(&self, columns: u32, words: &[&str], change: impl FnOnce(&mut Command)) -> Option<String> {
        let script = needs_program("script")?;
        let uphold = self.command("uphold", &[]).get_program().to_owned();
        let line = format!("stty cols {columns}; exec {} -C scan {}", uphold.to_str()?, words.join(" "));
        let mut command = self.command("uphold", &[]);
        let (dir, path) = (self.scratch.root().to_owned(), command.get_envs().find(|(name, _)| *name == "PATH"));
        let path = path.and_then(|(_, value)| value.map(ToOwned::to_owned));
        let mut terminal = Command::new(script);
        terminal.args(["-qec", &line, "/dev/null"]).current_dir(dir).env("SHELL", "/bin/sh").env("TERM", "xterm");
        terminal.env_remove("NO_COLOR");
        if let Some(path) = path {
            terminal.env("PATH", path);
        }
        change(&mut terminal);
        command = if self.ordinary { self.scratch.as_ordinary(terminal) } else { terminal };
        Some(finish(&mut command).out().replace("\r\n", "\n"))
    }

    /// Waits until a supervise runs a service.
    pub fn wait_supervised(&self, name: &str) {
        let dir = format!("scan/{name}");
        wait_until(&dir, || finish(&mut self.command("svok", &[&dir])).code == 0);
    }

    /// Waits until the line about a service, with `N` in place of each number and one blank in place of several, is this one.
    pub fn wait_line(&self, name: &str, expected: &str) {
        let mut last = String::new();
        wait_for(expected, || {
            let table = self.uphold(&["status"]).out();
            last = table.lines().find(|line| line.split(' ').next() == Some(name)).map(masked)?;
            (last == expected).then_some(())
        });
    }
}

/// A text with `N` in place of each number, and one blank in place of several.
pub fn masked(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_whitespace() {
        let mut in_number = false;
        if !shown.is_empty() {
            shown.push(' ');
        }
        let mut chars = word.chars().peekable();
        while let Some(char) = chars.next() {
            let goes_on = in_number && char == '.' && chars.peek().is_some_and(char::is_ascii_digit);
            if char.is_ascii_digit() || goes_on {
                if !in_number {
                    shown.push('N');
                }
                in_number = true;
            } else {
                in_number = false;
                shown.push(char);
            }
        }
    }
    shown
}
