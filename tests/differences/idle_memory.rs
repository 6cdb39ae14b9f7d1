//! Debian's supervise holds 92 kB of private memory while nothing happens, its dynamic loader's among them. Ours holds less, since there is one
//! for each service and one more for each logger. What it costs is seen nowhere else: a page of the stack that was touched once, or a state
//! that is moved through frames, stays for the life of the process, and works as well as ever.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use testkit::{Running, Scratch, start, state, wait_for, wait_until};

use crate::world::wait_up;

/// How a program was built, which decides what it holds before it does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// By `cargo build --release --target x86_64-unknown-linux-musl`: what a release ships.
    Musl,
    /// By `cargo build --release`.
    Glibc,
    /// For tests: static, but not optimized, so that frames are larger and everything is on them.
    Debug,
    /// With the dynamic loader, whose memory this is.
    Dynamic,
}

impl Build {
    fn of(scratch: &Scratch) -> Build {
        let file = fs::read(scratch.suite().path("supervise")).expect("it was built");
        let holds = |word: &str| file.windows(word.len()).any(|window| window == word.as_bytes());
        if has_loader(&file) {
            Build::Dynamic
        } else if holds("\0.symtab\0") {
            Build::Debug
        } else if holds("glibc") {
            Build::Glibc
        } else {
            Build::Musl
        }
    }

    /// Kilobytes that supervise and hupwatch may hold: a page more than the most that was measured (supervise 32, 60, 100; hupwatch 32, 64,
    /// 80), since one more or less depends on where the kernel puts the stack. Nothing is promised of a build with a loader: it is not shipped,
    /// and the system's C library is most of it.
    fn bounds(self) -> Option<[u64; 2]> {
        match self {
            Build::Musl => Some([36, 36]),
            Build::Glibc => Some([64, 68]),
            Build::Debug => Some([104, 84]),
            Build::Dynamic => None,
        }
    }
}

/// Whether a program header asks for a dynamic loader. Its name alone says nothing: a static file may hold it too.
fn has_loader(file: &[u8]) -> bool {
    const PT_INTERP: u16 = 3;
    let number = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let (first, size, count) = (usize::from(number(32)), usize::from(number(54)), usize::from(number(56)));
    (0..count).any(|header| number(first + header * size) == PT_INTERP)
}

/// Kilobytes that belong to nobody else and stand in no file.
fn anonymous(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Starts a program with an environment that is the same everywhere: it stands on the stack.
fn start_bare(scratch: &Scratch, program: &str, words: &[&str]) -> Running {
    let mut command: Command = scratch.command(program, words);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Waits until a program has nothing to do, and returns what it holds then.
fn at_rest(running: &Running) -> u64 {
    let pid = running.pid();
    wait_for("it is at rest", || {
        let before = (state(pid) == Some('S')).then(|| anonymous(pid))?;
        thread::sleep(Duration::from_millis(200));
        (state(pid) == Some('S') && anonymous(pid) == before).then_some(before)
    })
}

#[test]
fn an_idle_supervise_and_an_idle_hupwatch_hold_little_memory() {
    let scratch = Scratch::new();
    let build = Build::of(&scratch);
    let Some([supervise_bound, hupwatch_bound]) = build.bounds() else { return };
    scratch.service("a", "exec sleep 1000");
    let supervise = start_bare(&scratch, "supervise", &["a"]);
    wait_up(&scratch, "a");
    let hupwatch = start_bare(&scratch, "hupwatch", &["--", "sh", "-c", "echo >up; exec sleep 1000"]);
    wait_until("the command runs", || scratch.path("up").exists());
    let held = [at_rest(&supervise), at_rest(&hupwatch)];
    assert!(held[0] <= supervise_bound, "{build:?}: supervise holds {} kB, not {supervise_bound}", held[0]);
    assert!(held[1] <= hupwatch_bound, "{build:?}: hupwatch holds {} kB, not {hupwatch_bound}", held[1]);
}
