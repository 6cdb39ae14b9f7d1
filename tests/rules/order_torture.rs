//! Services that wait for each other in a random way, below a svscan, while anything happens to them: whatever it is, they all come up in the end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use testkit::{Scratch, holds_for, signal, start, wait_for, wait_until};

use super::world;

const COUNT: u64 = 12;
const ROUNDS: u64 = 60;

/// Numbers that look random: those of Knuth's MMIX.
pub struct Numbers(pub u64);

impl Numbers {
    /// One below `below`.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn name(&mut self) -> String {
        name(self.next(COUNT))
    }
}

fn name(number: u64) -> String {
    format!("s{number:02}")
}

/// Makes the services. A third of them say when they are ready, and take a moment for that. Each needs two others at most, and wants one at most; there are cycles.
fn make(scratch: &Scratch, numbers: &mut Numbers) {
    for number in 0..COUNT {
        let dir = Path::new("sv").join(name(number));
        let tells = numbers.next(3) == 0;
        let run = if tells { "sleep 0.1; echo >&7; exec sleep 1000" } else { "exec sleep 1000" };
        scratch.service(dir.to_str().expect("a name"), run);
        if tells {
            scratch.write(dir.join("notification-fd"), "7");
        }
        for (directory, most) in [("dependencies.d", 3), ("wants.d", 2)] {
            for _ in 0..numbers.next(most) {
                scratch.write(dir.join(directory).join(numbers.name()), "");
            }
        }
        // What it waits for changes, too.
        scratch.mkdir(dir.join("dependencies.d"));
        link(scratch, number);
    }
}

fn link(scratch: &Scratch, number: u64) {
    let _ = symlink(format!("../sv/{}", name(number)), scratch.path(format!("scan/{}", name(number))));
}

/// The supervise of the service `sv/NAME`, if it lives.
pub fn supervise(scratch: &Scratch, name: &str) -> Option<u32> {
    let pid = testkit::record(scratch.path("sv").join(name))?.observed.supervise.pid;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    line.ends_with(format!("\0{name}\0").as_bytes()).then_some(pid)
}

/// Lets one thing happen.
fn happen(scratch: &Scratch, numbers: &mut Numbers) {
    let name = numbers.name();
    let (scan, needed) = (format!("scan/{name}"), scratch.path(format!("sv/{name}/dependencies.d/{}", numbers.name())));
    let send = |words: &[&str]| drop(scratch.run("svc", &[words, &[&scan]].concat()));
    match numbers.next(8) {
        0 => supervise(scratch, &name).into_iter().for_each(|pid| signal(pid, "KILL")),
        1 => send(&["-k"]),
        2 => send(&["-d"]),
        3 => send(&["-u"]),
        4 => send(&["--reexec"]),
        5 => drop(fs::remove_file(scratch.path(&scan))),
        6 => (0..COUNT).for_each(|number| link(scratch, number)),
        _ if needed.exists() => drop(fs::remove_file(needed)),
        _ => drop(fs::write(needed, "")),
    }
}

#[test]
fn whatever_happens_to_services_that_need_each_other_all_come_up_in_the_end() {
    testkit::for_each(&[1_u64, 2], |&seed| {
        let (scratch, mut numbers) = (Scratch::new(), Numbers(seed));
        scratch.mkdir("scan");
        make(&scratch, &mut numbers);
        let err = fs::File::create(scratch.path("err")).expect("a file");
        let _svscan = start(scratch.command("svscan", &["scan"]).stderr(err));
        let states = || (0..COUNT).map(|number| world::svstat(&scratch, &format!("scan/{}", name(number))));
        let all_up = || states().all(|state| state.starts_with("up "));
        wait_until(&format!("all are up at first, seed {seed}"), all_up);
        for _ in 0..ROUNDS {
            happen(&scratch, &mut numbers);
            std::thread::sleep(Duration::from_millis(numbers.next(60)));
        }
        (0..COUNT).for_each(|number| link(&scratch, number));
        wait_until("all are supervised", || states().all(|state| !state.contains("not running")));
        for number in 0..COUNT {
            let sent = || scratch.run("svc", &["-u", "--wait=up", "--timeout=1ms", &format!("scan/{}", name(number))]);
            wait_for("it hears", || (!sent().err().contains("unable to control")).then_some(()));
        }
        wait_until(&format!("all are up in the end, seed {seed}"), all_up);
        holds_for(Duration::from_millis(500), "all stay up", all_up);
    });
}
