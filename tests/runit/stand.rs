//! Service directories in `sd`, what supervises them, and the sv that is tested.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, finish, for_each, needs_program, start, wait_for, wait_until};

/// A service that lives until it is told to end.
pub const SLEEPER: &str = "exec sleep 100000";
/// One that TERM does not end.
pub const STUBBORN: &str = "trap '' TERM\n: >trapped\nwhile :; do sleep 0.05; done";

/// What runs the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supervisor {
    Runsv,
    Ours,
}

/// Runs `test` on services of runsv and, where our sv is tested, on those of our supervise.
pub fn each(test: impl Fn(Stand) + Sync) {
    let is_ours = !Scratch::new().suite().is_runit();
    let mut supervisors = if is_ours { vec![Supervisor::Ours] } else { Vec::new() };
    supervisors.extend(needs_program("runsv").map(|_| Supervisor::Runsv));
    for_each(&supervisors, |&supervisor| test(Stand { scratch: Scratch::new(), supervisor, running: Vec::new() }));
}

/// The service directories.
pub struct Stand {
    pub scratch: Scratch,
    supervisor: Supervisor,
    running: Vec<(String, Running)>,
}

impl Stand {
    /// A stand without any supervisor.
    pub fn empty() -> Stand {
        Stand { scratch: Scratch::new(), supervisor: Supervisor::Ours, running: Vec::new() }
    }

    /// Whether our supervise runs the services.
    pub fn is_ours(&self) -> bool {
        self.supervisor == Supervisor::Ours
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path("sd").join(name)
    }

    /// Makes a service that runs this script.
    pub fn service(&self, name: &str, run: &str) {
        self.script(&format!("{name}/run"), run);
    }

    pub fn script(&self, name: &str, body: &str) {
        self.scratch.script(Path::new("sd").join(name), body);
    }

    pub fn write(&self, name: &str, contents: &str) {
        self.scratch.write(Path::new("sd").join(name), contents);
    }

    /// Supervises a service, and its logger if it has one.
    pub fn supervise(&mut self, name: &str) {
        let directories = match (self.supervisor, self.path(name).join("log").is_dir()) {
            (Supervisor::Ours, true) => vec![name.to_owned(), format!("{name}/log")],
            _ => vec![name.to_owned()],
        };
        for name in directories {
            let program = match self.supervisor {
                Supervisor::Runsv => PathBuf::from("runsv"),
                Supervisor::Ours => self.scratch.suite().path("supervise"),
            };
            let mut command = Command::new(program);
            command.arg(self.path(&name)).env_remove("UPHOLD_LOG");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.append("err"));
            self.running.push((name, start(&mut command)));
        }
        wait_until("it is supervised", || {
            let status =
                |name: &str| fs::read(self.path(name).join("supervise/status")).is_ok_and(|status| status.len() == 20);
            let read = |name: &str| sys::fd::open_write(&self.path(name).join("supervise/ok")).is_ok();
            status(name) && read(name) && (!self.path(name).join("log").is_dir() || status(&format!("{name}/log")))
        });
    }

    /// Makes a service and supervises it until it is up, or down where it is normally.
    pub fn run(&mut self, name: &str, run: &str) {
        self.service(name, run);
        self.supervise(name);
        if !self.path(name).join("down").exists() {
            self.wait_up(name);
        }
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.scratch.path(name)).expect("a file")
    }

    /// Whatever supervises the service `name`.
    pub fn supervisor(&mut self, name: &str) -> &mut Running {
        let found = self.running.iter_mut().find(|(known, _)| known == name);
        &mut found.expect("it is supervised").1
    }

    /// The bytes 12 to 19 of the status of a service: pid, paused, want, TERM, what runs.
    pub fn status(&self, name: &str) -> (u32, [u8; 4]) {
        let status = wait_for("a whole status", || {
            fs::read(self.path(name).join("supervise/status")).ok().filter(|status| status.len() == 20)
        });
        let pid = u32::from_le_bytes(status[12..16].try_into().expect("four bytes"));
        (pid, status[16..].try_into().expect("four bytes"))
    }

    /// Waits until `run` of a service is up, and returns its pid.
    #[track_caller]
    pub fn wait_up(&self, name: &str) -> u32 {
        wait_for("it is up", || match self.status(name) {
            (pid, [_, _, _, 1]) => Some(pid),
            _ => None,
        })
    }

    /// Waits until a service is wanted up (`u`), or not (`d`, for which daemontools may say nothing).
    #[track_caller]
    pub fn wait_want(&self, name: &str, up: bool) {
        wait_until("it is wanted so", || (self.status(name).1[1] == b'u') == up);
    }

    /// Waits until a service has set its traps.
    #[track_caller]
    pub fn wait_trapped(&self, name: &str) {
        let path = self.path(name).join("trapped");
        wait_until("it has set its traps", || path.exists());
        fs::remove_file(path).expect("it is there");
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.scratch.root()).env("SVDIR", self.scratch.path("sd")).env_remove("SVWAIT");
        command
    }

    /// sv with these words. runit's knows times to the second, so before it is asked for something that it takes for another start, the second of the last one must be over.
    pub fn sv_command(&self, words: &[&str]) -> Command {
        self.settle(words);
        let mut command = self.command(&self.scratch.suite().path("sv"));
        command.args(words);
        command
    }

    fn settle(&self, words: &[&str]) {
        let is_timed =
            |word: &&str| ["restart", "reload", "kill", "term", "once", "T"].iter().any(|verb| word.contains(verb));
        if self.scratch.suite().is_runit() && words.iter().any(is_timed) {
            let second = sys::clock::wall().0;
            wait_until("a second is over", || sys::clock::wall().0 > second);
        }
    }

    /// Runs sv with these words.
    #[track_caller]
    pub fn sv(&self, words: &[&str]) -> Finished {
        finish(&mut self.sv_command(words))
    }

    /// Asserts the exit code of sv, and what it prints, with N for pids and S for seconds; what begins with `2> ` is printed on stderr.
    #[track_caller]
    pub fn check(&self, words: &str, code: i32, expected: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(shown(&self.sv(&words)), (code, expected.to_owned()), "sv {words:?}");
    }

    /// As [`check`](Stand::check), for sv under the name of a service.
    #[track_caller]
    pub fn check_script(&self, name: &str, words: &str, code: i32, expected: &str) {
        let script = self.scratch.mkdir("init.d").join(name);
        if !script.exists() {
            symlink(self.scratch.suite().path("sv"), &script).expect("a link");
        }
        let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        self.settle(&words);
        let ran = finish(self.command(&script).args(&words));
        assert_eq!(shown(&ran), (code, expected.to_owned()), "{name} {words:?}");
    }
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.supervisor)
    }
}

/// The exit code and both outputs, masked, as one text.
pub fn shown(ran: &Finished) -> (i32, String) {
    let out = mask(&ran.out());
    let err: String = ran.err().lines().map(|line| format!("2> {line}\n")).collect();
    (ran.code, format!("{out}{err}"))
}

/// Puts N in place of each pid, and S in place of the seconds.
pub fn mask(text: &str) -> String {
    let masked = text.split(' ').map(|word| {
        let number = word.trim_end_matches(['\n', ',', ';', ')', 's']);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return word.to_owned();
        }
        let rest = &word[number.len()..];
        format!("{}{rest}", if rest.starts_with(')') { "N" } else { "S" })
    });
    // What follows a newline is a word of the next line.
    masked.collect::<Vec<_>>().join(" ").split_inclusive('\n').map(mask_end).collect()
}

/// Masks the seconds at the end of a line.
fn mask_end(line: &str) -> String {
    match line.trim_end().rsplit_once(' ') {
        Some((front, seconds))
            if seconds
                .strip_suffix('s')
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            format!("{front} Ss\n")
        }
        _ => line.to_owned(),
    }
}
