//! A file that grows beyond the limit of `ulimit -f` ends the original's multilog and supervise by SIGXFSZ, and what multilog has read is lost. Ours
//! says that the file is too big, and tries again. Why: a limit that is meant for services must not end what supervises and logs.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sys::process::Signal;
use testkit::{Running, Scratch, Suite, finish, needs_program, start, wait_until};

use crate::world::{svc, wait_up};

/// Starts a program that can make no file longer than so many blocks of 512 bytes; SIGXFSZ has its default action.
fn start_limited(scratch: &Scratch, blocks: u32, program: &str, words: &[&str], err: Stdio) -> Running {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -S -f {blocks}; exec \"$0\" \"$@\"")).arg(scratch.suite().path(program));
    shell.args(words).current_dir(scratch.root()).stdin(Stdio::piped()).stdout(Stdio::null());
    start(shell.stderr(err))
}

fn file(scratch: &Scratch) -> Stdio {
    File::create(scratch.path("err")).expect("a file").into()
}

/// Files may be as long as they like now.
fn lift(prlimit: &Path, pid: u32) {
    let lifted = finish(Command::new(prlimit).args(["--fsize=unlimited", "--pid", &pid.to_string()]));
    assert_eq!(lifted.code, 0);
}

#[test]
fn multilog_waits_until_its_file_may_grow() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::with(Suite::under_test());
    let mut multilog = start_limited(&scratch, 16, "multilog", &["./log"], file(&scratch));
    let mut input = multilog.child().stdin.take().expect("piped");
    let text: String = (0..400).map(|number| format!("{number:049}\n")).collect();
    input.write_all(text.as_bytes()).expect("it reads");
    let said = "multilog: warning: unable to write to ./log/current, pausing: file too big\n";
    wait_until("it says why it waits, or ends", || multilog.ended().is_some() || scratch.text("err") == said);
    assert_eq!(multilog.ended(), None);
    lift(&prlimit, multilog.pid());
    drop(input);
    assert_eq!(multilog.end(), 0);
    assert!(scratch.text("log/current") == text);
    assert_eq!(scratch.text("err"), said);
}

#[test]
fn supervise_lives_on_where_no_file_may_be_written() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::with(Suite::under_test());
    scratch.service("a", "exec sleep 1000");
    let mut supervise = start_limited(&scratch, 0, "supervise", &["a"], Stdio::piped());
    let mut said = String::new();
    // The end, if it dies.
    BufReader::new(supervise.child().stderr.take().expect("piped")).read_line(&mut said).expect("reads");
    assert_eq!(said, "supervise: warning: unable to write a/supervise/status.new: file too big\n");
    lift(&prlimit, supervise.pid());
    let child = wait_up(&scratch, "a");
    // The service is ended by its own files as it would be without supervise.
    let status = fs::read_to_string(format!("/proc/{child}/status")).expect("it lives");
    assert!(!ignores(&status, Signal::SIGXFSZ), "{status}");
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.end(), 0);
}

#[test]
fn svscan_and_hupwatch_live_on_when_their_stderr_is_as_long_as_a_file_may_be() {
    for (program, words) in [("svscan", ["scan"].as_slice()), ("hupwatch", &["-vvv", "--", "sleep", "1000"])] {
        let scratch = Scratch::with(Suite::under_test());
        scratch.service("scan/a", "exec sleep 1000");
        // svscan has that to say, hupwatch that it starts.
        std::os::unix::fs::symlink("nowhere", scratch.path("scan/dangling")).expect("a link");
        let mut running = start_limited(&scratch, 0, program, words, file(&scratch));
        let begun = |running: &Running| {
            let children = testkit::children(running.pid());
            children.into_iter().any(|child| ["supervise\n", "sleep\n"].contains(&name(child).as_str()))
        };
        wait_until("it has begun, or ended", || running.ended().is_some() || begun(&running));
        assert_eq!(running.ended(), None, "{program}");
        running.signal("TERM");
        running.end();
    }
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// Whether a process of that `/proc/PID/status` ignores the signal.
fn ignores(status: &str, signal: Signal) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
    u64::from_str_radix(set.trim(), 16).expect("hexadecimal digits") & 1 << (signal as u64 - 1) != 0
}
