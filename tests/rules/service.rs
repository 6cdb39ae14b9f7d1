//! A service directory `web` with a supervise, which runs as root or as an ordinary user.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use testkit::{Finished, Running, Scratch, holds_for, is_root, signal, start, wait_for, wait_until};

use super::world;

/// A `run` that notes each start in `starts`, and stays up.
pub const LIVES: &str = "echo >>starts; exec sleep 1000";

/// A `run` that notes each start in `starts`, and ends as the shell commands in the file `end` say.
pub const ENDS: &str = "echo >>starts; . ./end";

/// A `finish` that notes its arguments in `ends`, and runs as long as there is a file `hold`.
pub const HELD: &str = "echo \"$@\" >>ends; while [ -e hold ]; do sleep 0.02; done";

/// The user who runs supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The user who runs the tests.
    Own,
    /// An ordinary user.
    Ordinary,
}

/// Runs `test` for the user who runs the tests and, if that is root, also for an ordinary user.
pub fn for_each_user(test: impl Fn(User) + Sync) {
    testkit::for_each(users(), |&user| test(user));
}

/// The users for whom tests are run.
pub fn users() -> &'static [User] {
    if is_root() { &[User::Own, User::Ordinary] } else { &[User::Own] }
}

/// Returns a line of svstat with S in place of each number of seconds.
pub fn masked(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_time = |at: usize| words.get(at + 1).is_some_and(|next| next.trim_end_matches(',') == "seconds");
    let masked = words.iter().enumerate().map(|(at, word)| if is_time(at) { "S" } else { *word });
    masked.collect::<Vec<_>>().join(" ")
}

pub struct Service {
    pub scratch: Scratch,
    user: User,
    supervise: Option<Running>,
}

impl Service {
    /// Makes the service directory, with the body of the script `run` and with these other files.
    pub fn new(user: User, run: &str, files: &[(&str, &str)]) -> Service {
        let scratch = Scratch::new();
        scratch.service("web", run);
        for name in ["starts", "ends"] {
            scratch.write(Path::new("web").join(name), "");
        }
        let service = Service { scratch, user, supervise: None };
        for (name, contents) in files {
            service.put(name, contents);
        }
        if user == User::Ordinary {
            for name in ["web", "web/starts", "web/ends"] {
                service.scratch.give(name);
            }
            service.scratch.lend("supervise");
        }
        service
    }

    /// The user who runs its supervise.
    pub const fn user(&self) -> User {
        self.user
    }

    /// Makes the service directory, with the bodies of the scripts `run` and `finish`.
    pub fn finishing(user: User, run: &str, finish: &str) -> Service {
        let service = Service::new(user, run, &[]);
        service.scratch.script("web/finish", finish);
        service
    }

    /// Starts a service and kills its `run`. Its `finish`, if it is [`HELD`], runs until the file `hold` is removed. Returns the service and the pids of
    /// `run` and `finish`.
    pub fn held(user: User, finish: &str) -> (Service, u32, u32) {
        let service = Service::finishing(user, LIVES, finish);
        service.put("hold", "");
        // On a busy machine a test may take longer than the five seconds that `finish` has otherwise.
        service.put("timeout-finish", "0");
        let service = service.start();
        service.wait_starts(1);
        let run = service.wait_up();
        signal(run, "KILL");
        let finish = service.wait_finishing();
        service.wait_ends("256 9 web\n");
        (service, run, finish)
    }

    /// Replaces a file of the service directory in one step, since supervise may read it at any moment.
    pub fn put(&self, name: &str, contents: &str) {
        let new = self.scratch.write("new", contents);
        fs::rename(new, self.scratch.path("web").join(name)).expect("a file of ours");
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.scratch.path("web").join(name)).expect("it is there");
    }

    /// Starts its supervise, as [`supervise`](Service::supervise) does.
    pub fn start(mut self) -> Service {
        self.supervise();
        self
    }

    /// Starts a supervise, and waits until it reads commands.
    pub fn supervise(&mut self) {
        let mut command = match self.user {
            User::Own => self.scratch.command("supervise", &["web"]),
            User::Ordinary => self.scratch.ordinary("supervise", &["web"]),
        };
        let (out, err) = (self.append("out"), self.append("err"));
        self.supervise = Some(start(command.stdin(Stdio::null()).stdout(out).stderr(err)));
        wait_until("a supervise runs", || self.scratch.run("svok", &["web"]).code == 0);
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.scratch.path(name)).expect("a file")
    }

    /// Kills supervise, and waits for its end.
    pub fn kill_supervise(&mut self) {
        let mut supervise = self.supervise.take().expect("it runs");
        supervise.signal("KILL");
        assert_eq!(supervise.end(), 1009);
    }

    /// Waits for the end of supervise, and returns its exit code.
    pub fn end(&mut self) -> i32 {
        self.supervise.take().expect("it runs").end()
    }

    pub fn svc(&self, letters: &str) {
        world::svc(&self.scratch, letters, "web");
    }

    /// Runs `svc` with these options to its end.
    pub fn wait(&self, options: &[&str]) -> Finished {
        self.scratch.run("svc", &[options, &["web"]].concat())
    }

    /// Sends letters while `finish` runs, and waits until supervise has obeyed them and `finish` still runs.
    #[track_caller]
    pub fn obey_while_finishing(&self, letters: &str) {
        self.obey_while("finish", letters);
    }

    /// Sends letters while this script runs, and waits until supervise has obeyed them and the script still runs.
    #[track_caller]
    pub fn obey_while(&self, script: &str, letters: &str) {
        self.svc(letters);
        let clause = format!(": timed out, its {script} runs (pid ");
        wait_until(&format!("{letters} is obeyed"), || {
            let told = self.wait(&["-c", "--wait=down", "--timeout=50ms"]);
            told.code == 1 && told.err().contains(&clause)
        });
    }

    /// Returns what svstat says, with S in place of each number of seconds.
    pub fn svstat(&self) -> String {
        masked(&world::svstat(&self.scratch, "web"))
    }

    #[track_caller]
    pub fn wait_svstat(&self, expected: &str) {
        wait_until(&format!("svstat says {expected:?}, not {:?}", self.svstat()), || self.svstat() == expected);
    }

    #[track_caller]
    pub fn wait_up(&self) -> u32 {
        world::wait_up(&self.scratch, "web")
    }

    /// Waits until a process other than `old` is up, and returns its pid.
    #[track_caller]
    pub fn wait_restart(&self, old: u32) -> u32 {
        wait_for("another is up", || world::pid(&self.scratch, "web").filter(|&pid| pid != old))
    }

    /// Waits until `finish` runs, and returns its pid as svstat shows it.
    #[track_caller]
    pub fn wait_finishing(&self) -> u32 {
        self.wait_script("finishing")
    }

    /// Waits until svstat says that it does this by a script, and returns the pid of the script.
    #[track_caller]
    pub fn wait_script(&self, does: &str) -> u32 {
        let clause = format!(", {does} pid ");
        wait_for(&format!("it is {does}"), || self.svstat().split_once(&clause).and_then(|(_, pid)| pid.parse().ok()))
    }

    /// Returns how often `run` was started.
    pub fn starts(&self) -> usize {
        world::lines(&self.scratch, "web/starts")
    }

    #[track_caller]
    pub fn wait_starts(&self, count: usize) {
        wait_until(&format!("{count} starts, not {}", self.starts()), || self.starts() >= count);
    }

    /// Checks for 2.2 seconds, longer than a restart takes, that the number of starts does not change.
    #[track_caller]
    pub fn stays(&self, starts: usize) {
        holds_for(Duration::from_millis(2200), "it is not started again", || self.starts() == starts);
    }

    /// Returns the arguments of each run of `finish`.
    pub fn ends(&self) -> String {
        self.scratch.text("web/ends")
    }

    #[track_caller]
    pub fn wait_ends(&self, expected: &str) {
        wait_until(&format!("finish was told {expected:?}, not {:?}", self.ends()), || self.ends() == expected);
    }

    /// Waits until the status says that the service is wanted down, as daemontools' svstat shows one that is down for good. The status is written
    /// after the record.
    #[track_caller]
    pub fn wait_wanted_down(&self) {
        wait_until("the status says so", || self.scratch.read("web/supervise/status").get(17) == Some(&b'd'));
    }

    pub fn record(&self) -> svdir::Record {
        testkit::record(self.scratch.path("web")).expect("a record")
    }

    /// Returns what supervise and the service have written to stderr.
    pub fn said(&self) -> String {
        self.scratch.text("err")
    }

    #[track_caller]
    pub fn wait_said(&self, expected: &str) {
        wait_until(&format!("it is said {expected:?}, not {:?}", self.said()), || self.said() == expected);
    }
}
