//! To let new programs in, the original's services must be taken down, one after the other or all at once. Ours become the new files in place, on a
//! whole machine by one command, and no service notices.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{Running, Scratch, finish, start, wait_until};

use crate::{is_up, pid, room_for, tell, turn};

const MANY: usize = 200;

/// What is replaced.
const PROGRAMS: [&str; 2] = ["svscan", "supervise"];

/// The directories that a supervise runs in: of the services, and of their loggers.
fn directories() -> Vec<String> {
    (0..MANY).flat_map(|number| [format!("scan/s{number}"), format!("scan/s{number}/log")]).collect()
}

/// Makes services that say what stands in a FIFO, with a logger each. Returns the FIFOs.
fn make_talkers(scratch: &Scratch) -> Vec<File> {
    let make = |number| {
        scratch.service(&format!("scan/s{number}"), "exec cat <>fifo");
        // One file holds all.
        scratch.service(&format!("scan/s{number}/log"), "exec multilog s10000000 ./main");
        let fifo = scratch.path(format!("scan/s{number}/fifo"));
        sys::fd::make_fifo(&fifo).expect("a FIFO");
        sys::fd::open_read_write(&fifo).expect("it is there")
    };
    (0..MANY).map(make).collect()
}

/// Gives all services a line with the next number, again and again.
struct Feeder {
    enough: Arc<AtomicBool>,
    /// Returns how many numbers there were.
    thread: JoinHandle<usize>,
}

impl Feeder {
    fn start(mut fifos: Vec<File>) -> Feeder {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&enough);
        let thread = thread::spawn(move || {
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
        });
        Feeder { enough, thread }
    }

    fn stop(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("all services have taken all lines")
    }
}

/// Puts the programs, as they were built, in the place of those that run.
fn install(scratch: &Scratch) {
    for program in PROGRAMS {
        let built = fs::read(scratch.suite().path(program)).expect("it was built");
        scratch.install(format!("bin/{program}"), &built);
    }
}

fn start_svscan(scratch: &Scratch) -> Running {
    let file = |kind| File::create(scratch.path(format!("svscan.{kind}"))).expect("a file");
    let mut svscan = Command::new(scratch.path("bin/svscan"));
    svscan.arg("scan").current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    start(svscan.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")))
}

/// Whether the process runs the file that has its program's name now.
fn is_new(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| !file.to_string_lossy().ends_with(" (deleted)"))
}

/// The pids of the supervises, from their records.
fn supervises(scratch: &Scratch) -> Vec<u32> {
    let of = |dir: &String| testkit::record(scratch.path(dir)).expect("a record").observed.supervise.pid;
    directories().iter().map(of).collect()
}

fn services(scratch: &Scratch) -> Vec<u32> {
    directories().iter().map(|dir| pid(scratch, dir)).collect()
}

fn log(scratch: &Scratch, number: usize) -> String {
    scratch.text(format!("scan/s{number}/log/main/current"))
}

#[test]
fn two_hundred_services_do_not_notice_that_all_programs_are_replaced() {
    let _turn = turn();
    if !room_for(2 * MANY) {
        return;
    }
    let scratch = Scratch::new();
    let fifos = make_talkers(&scratch);
    install(&scratch);
    let mut svscan = start_svscan(&scratch);
    let mut left = directories();
    wait_until("all are up", || {
        left.retain(|dir| !is_up(&scratch, dir));
        left.is_empty()
    });
    let (services_before, supervises_before) = (services(&scratch), supervises(&scratch));
    let feeder = Feeder::start(fifos);
    wait_until("lines are logged", || (0..MANY).all(|number| log(&scratch, number).len() > 10));

    install(&scratch);
    let mut old: Vec<u32> = supervises_before.iter().copied().chain([svscan.pid()]).collect();
    assert!(!old.iter().any(|&pid| is_new(pid)));
    let begin = Instant::now();
    let upgrade = format!("svc --reexec scan/* scan/*/log; kill -USR2 {}", svscan.pid());
    let mut command = Command::new("sh");
    command.args(["-c", &upgrade]).current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    let done = finish(&mut command);
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    wait_until("all are the new files", || {
        old.retain(|&pid| !is_new(pid));
        old.is_empty()
    });
    tell(&format!("{} supervises and svscan became their new files", 2 * MANY), begin.elapsed());

    // Every record is the new program's: it names the same processes.
    let directories = directories();
    let words: Vec<&str> = std::iter::once("--long").chain(directories.iter().map(String::as_str)).collect();
    let told = scratch.run("svstat", &words).out();
    let expected = services_before.iter().zip(&supervises_before).zip(&directories);
    assert_eq!(told.lines().count(), 2 * MANY);
    for (line, ((service, supervise), dir)) in told.lines().zip(expected) {
        let version = env!("CARGO_PKG_VERSION");
        let begins = line.starts_with(&format!("{dir}: up (pid {service}) "));
        let long = format!(", supervise pid {supervise} version {version}, started 1 time");
        assert!(begins && line.contains(&long), "{line}");
    }
    // What is said afterwards comes to the log as well, and nothing is missing or there twice.
    let count = feeder.stop();
    let all: String = (0..count).map(|number| format!("{number}\n")).collect();
    for number in 0..MANY {
        wait_until("all is logged", || log(&scratch, number).len() >= all.len());
        assert!(log(&scratch, number) == all, "scan/s{number}");
    }
    assert_eq!((services(&scratch), supervises(&scratch)), (services_before, supervises_before));
    assert_eq!((svscan.ended(), scratch.text("svscan.err").as_str()), (None, ""));
}
