//! Twenty services with loggers below svscan, one of them in the middle of a replacement, and one with a socket; and somebody who
//! gives all of them lines to log.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testkit::{Finished, Running, Scratch, finish, lives, signal, start, wait_for, wait_until};

const SERVICES: usize = 20;

/// The one that is being replaced.
const REPLACED: &str = "scan/s0";

/// The one with a socket.
const LISTENING: &str = "scan/s1";

/// The one that is killed in the end, to see that it is still served.
const KILLED: &str = "scan/s2";

/// A copy that is made while `wait` exists gets ready only when `go` exists. Each says everything that it reads.
const RUN: &str = "echo $$ >>starts
if test -e wait; then while ! test -e go; do sleep 0.05; done; fi
echo >&9
exec cat <>fifo";

/// What is replaced: the programs that run, and those that command them.
const PROGRAMS: [&str; 5] = ["svscan", "supervise", "svc", "svstat", "multilog"];

/// Who runs, by pid.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pids {
    services: Vec<u32>,
    supervises: Vec<u32>,
    /// Both copies of the one that is being replaced, and whatever was started anywhere.
    starts: Vec<String>,
}

pub struct World {
    scratch: Scratch,
    svscan: Running,
    feeder: Feeder,
    before: Pids,
    socket: String,
}

impl World {
    /// Starts the programs in the directory `programs`.
    pub fn start(programs: &Path) -> World {
        let scratch = Scratch::new();
        let fifos = (0..SERVICES).map(|number| make(&scratch, number)).collect();
        scratch.write(format!("{LISTENING}/sockets/web"), "unix web.sock");
        install(&scratch, programs);
        let file = |kind| File::create(scratch.path(format!("svscan.{kind}"))).expect("a file");
        let mut svscan = own(&scratch, "svscan", &["scan"]);
        let svscan = start(svscan.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")));
        wait_until("all are up", || directories().iter().all(|dir| pid(&scratch, dir).is_some()));
        wait_until("all have begun", || services().iter().all(|dir| starts(&scratch, dir).len() == 1));
        let feeder = Feeder::start(fifos);
        for number in 0..SERVICES {
            wait_until("lines are logged", || log(&scratch, number).lines().count() > 10);
        }

        // One is being replaced.
        scratch.write(format!("{REPLACED}/wait"), "");
        succeeds(&run(&scratch, "svc", &["-R", REPLACED]));
        wait_until("the new copy runs", || starts(&scratch, REPLACED).len() == 2);
        let socket = socket(&scratch);
        let before = pids(&scratch);
        World { scratch, svscan, feeder, before, socket }
    }

    /// The programs that cargo built beside the test.
    pub fn ours(&self) -> PathBuf {
        self.scratch.suite().directory().to_path_buf()
    }

    /// Makes everything become the programs in that directory, as the README says.
    pub fn upgrade(&mut self, programs: &Path) {
        install(&self.scratch, programs);
        let mut left: Vec<u32> = self.before.supervises.iter().copied().chain([self.svscan.pid()]).collect();
        assert!(!left.iter().any(|&pid| is_new(pid)));
        let mut words = vec!["--reexec".to_owned()];
        words.extend(directories());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        succeeds(&run(&self.scratch, "svc", &words));
        self.svscan.signal("USR2");
        wait_until("all are the new files", || {
            left.retain(|&pid| !is_new(pid));
            left.is_empty()
        });
        self.check();
    }

    /// Checks that nobody has noticed, and that lines still come to the logs.
    fn check(&mut self) {
        let logged: Vec<usize> = (0..SERVICES).map(|number| log(&self.scratch, number).lines().count()).collect();
        for (number, before) in logged.into_iter().enumerate() {
            wait_until("more lines are logged", || log(&self.scratch, number).lines().count() > before + 10);
        }
        assert_eq!(pids(&self.scratch), self.before);
        assert!(self.before.services.iter().chain(&self.before.supervises).all(|&pid| lives(pid)));
        assert_eq!(socket(&self.scratch), self.socket);
        UnixStream::connect(self.scratch.path(LISTENING).join("web.sock")).expect("it listens");
        // Each record is that of its new supervise, which knows the service as its child.
        for (dir, (service, supervise)) in
            directories().iter().zip(self.before.services.iter().zip(&self.before.supervises))
        {
            let told = run(&self.scratch, "svstat", &["--long", dir]).out();
            let begins = told.starts_with(&format!("{dir}: up (pid {service}) "));
            assert!(begins && told.contains(&format!(", supervise pid {supervise} ")), "{told}");
        }
        assert_eq!((self.svscan.ended(), self.scratch.text("svscan.err").as_str()), (None, ""));
    }

    /// Ends what was under way, and checks that no line was lost and that everything is still served.
    pub fn finish(mut self) {
        // Whoever is ended in the middle of a line would lose it by itself.
        let count = self.feeder.stop();
        let expected: Vec<String> = (0..count).map(|line| line.to_string()).collect();
        for number in 0..SERVICES {
            wait_until("all is logged", || log(&self.scratch, number).lines().count() >= count);
            let mut logged: Vec<String> = log(&self.scratch, number).lines().map(str::to_owned).collect();
            if services()[number] == REPLACED {
                // Two copies have read.
                logged.sort_by_key(|line| line.parse::<usize>().ok());
            }
            assert!(logged == expected, "scan/s{number}: {} lines of {count}", logged.len());
        }

        // The replacement comes to its end.
        let starts = starts(&self.scratch, REPLACED);
        let new: u32 = starts[1].parse().expect("a pid");
        self.scratch.write(format!("{REPLACED}/go"), "");
        wait_until("the new copy is the service", || pid(&self.scratch, REPLACED) == Some(new));
        wait_until("the old one has ended", || !lives(self.before.services[0]));

        // A new process gets the same socket.
        succeeds(&run(&self.scratch, "svc", &["-t", LISTENING]));
        self.wait_other(LISTENING);
        wait_until("it has the socket", || socket(&self.scratch) == self.socket);

        // A supervise that is killed comes back to its service, and serves it.
        let (at, dir) =
            directories().into_iter().enumerate().find(|(_, dir)| dir == KILLED).expect("it is one of them");
        signal(self.before.supervises[at], "KILL");
        wait_until("another supervise is there", || {
            supervise(&self.scratch, &dir).is_some_and(|pid| pid != self.before.supervises[at])
        });
        assert_eq!(pid(&self.scratch, KILLED), Some(self.before.services[at]));
        succeeds(&run(&self.scratch, "svc", &["-t", KILLED]));
        self.wait_other(KILLED);
        assert_eq!((self.svscan.ended(), self.scratch.text("svscan.err").as_str()), (None, ""));
    }

    fn wait_other(&self, dir: &str) -> u32 {
        let at = directories().iter().position(|known| known == dir).expect("it is one of them");
        let before = self.before.services[at];
        wait_for("another process is up", || pid(&self.scratch, dir).filter(|&pid| pid != before))
    }
}

/// Gives all services a line with the next number, again and again.
struct Feeder {
    enough: Arc<AtomicBool>,
    /// Returns how many numbers there were.
    thread: Option<JoinHandle<usize>>,
}

impl Feeder {
    fn start(mut fifos: Vec<File>) -> Feeder {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&enough);
        let feed = move || {
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                let line = format!("{count}\n");
                for fifo in &mut fifos {
                    wait_until("a service takes a line", || fifo.write(line.as_bytes()).is_ok());
                }
                count += 1;
                // Not as fast as it can: others have to work, too.
                thread::sleep(Duration::from_millis(5));
            }
            count
        };
        Feeder { enough, thread: Some(thread::spawn(feed)) }
    }

    fn stop(&mut self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("all services have taken all lines")
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

/// Makes the service with that number and its logger. Returns the FIFO that it reads.
fn make(scratch: &Scratch, number: usize) -> File {
    let dir = format!("scan/s{number}");
    scratch.service(&dir, RUN);
    scratch.write(format!("{dir}/notification-fd"), "9");
    // One file holds all.
    scratch.service(&format!("{dir}/log"), "exec multilog s10000000 ./main");
    let fifo = scratch.path(format!("{dir}/fifo"));
    sys::fd::make_fifo(&fifo).expect("a FIFO");
    sys::fd::open_read_write(&fifo).expect("it is there")
}

fn services() -> Vec<String> {
    (0..SERVICES).map(|number| format!("scan/s{number}")).collect()
}

/// The directories that a supervise runs in: of the services, and of their loggers.
fn directories() -> Vec<String> {
    services().into_iter().flat_map(|dir| [dir.clone(), format!("{dir}/log")]).collect()
}

/// Puts the programs of that directory in the place of those that run.
fn install(scratch: &Scratch, programs: &Path) {
    for program in PROGRAMS {
        let file = fs::read(programs.join(program)).unwrap_or_else(|error| panic!("{}: {error}", programs.display()));
        scratch.install(format!("bin/{program}"), &file);
    }
}

/// A command that is one of the installed programs, and finds the others.
fn own(scratch: &Scratch, program: &str, words: &[&str]) -> Command {
    let bin = scratch.path("bin");
    let mut command = Command::new(bin.join(program));
    let path = format!("{}:/usr/bin:/bin", bin.display());
    command.args(words).current_dir(scratch.root()).env("PATH", path).env_remove("UPHOLD_LOG");
    command
}

fn run(scratch: &Scratch, program: &str, words: &[&str]) -> Finished {
    finish(&mut own(scratch, program, words))
}

#[track_caller]
fn succeeds(ran: &Finished) {
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
}

/// Whether the process runs the file that has its program's name now.
fn is_new(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| !file.to_string_lossy().ends_with(" (deleted)"))
}

/// The pid of a service by its status file, whose first 18 bytes every release writes; `None` if it is down.
fn pid(scratch: &Scratch, dir: &str) -> Option<u32> {
    let status = scratch.read(format!("{dir}/supervise/status"));
    status.get(12..16)?.try_into().ok().map(u32::from_le_bytes).filter(|&pid| pid != 0)
}

/// The supervise of a directory, by what svstat of the installed release says.
fn supervise(scratch: &Scratch, dir: &str) -> Option<u32> {
    let told = run(scratch, "svstat", &["--long", dir]).out();
    told.split_once(", supervise pid ")?.1.split(' ').next()?.parse().ok()
}

/// The pid of each process that was started for a service.
fn starts(scratch: &Scratch, dir: &str) -> Vec<String> {
    scratch.text(format!("{dir}/starts")).lines().map(str::to_owned).collect()
}

fn pids(scratch: &Scratch) -> Pids {
    let directories = directories();
    let of = |find: fn(&Scratch, &str) -> Option<u32>| {
        directories.iter().map(|dir| find(scratch, dir).unwrap_or(0)).collect()
    };
    let starts = services().iter().flat_map(|dir| starts(scratch, dir)).collect();
    Pids { services: of(pid), supervises: of(supervise), starts }
}

/// The socket that the service has as its first, by its inode number.
fn socket(scratch: &Scratch) -> String {
    wait_for("the service has a socket", || {
        let open = fs::read_dir(format!("/proc/{}/fd", pid(scratch, LISTENING)?)).ok()?.flatten();
        let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.map(|path| path.to_string_lossy().into_owned()).find(|target| target.starts_with("socket:"))
    })
}

fn log(scratch: &Scratch, number: usize) -> String {
    scratch.text(format!("scan/s{number}/log/main/current"))
}
