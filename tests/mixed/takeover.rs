//! The switch from daemontools to ours while services run: svscan first.

use std::fs;
use std::process::Stdio;

use testkit::{Scratch, needs_original, parent, start, wait_until};

use crate::pair::ours;
use crate::talker::Talker;
use crate::world::{Record, has_reader, supervise_of};

fn scratch() -> Scratch {
    for signal in [sys::process::Signal::SIGTERM, sys::process::Signal::SIGPIPE] {
        sys::signals::set_default(signal).expect("a signal that can be set");
    }
    Scratch::with(ours())
}

fn pid(scratch: &Scratch, name: &str) -> Option<u32> {
    Record::read(&scratch.path(name)).map(|record| record.pid).filter(|&pid| pid != 0)
}

/// The supervise that runs in this service directory, and the file that it executes.
fn supervise(scratch: &Scratch, name: &str) -> Option<(u32, std::path::PathBuf)> {
    let dir = scratch.path(name);
    let pid = supervise_of(scratch, &dir).filter(|_| has_reader(&dir))?;
    Some((pid, fs::read_link(format!("/proc/{pid}/exe")).ok()?))
}

fn is_ours(scratch: &Scratch, name: &str) -> bool {
    let file = fs::canonicalize(ours().path("supervise")).expect("it is built");
    supervise(scratch, name).is_some_and(|(_, executed)| executed == file)
}

/// Every line of a log, oldest first.
fn log(scratch: &Scratch, name: &str) -> Vec<String> {
    let main = scratch.path(name).join("log/main");
    let mut files: Vec<_> = fs::read_dir(main).expect("it logs").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name == "current" || name.as_encoded_bytes()[0] == b'@'));
    files.sort();
    let text = files.into_iter().map(|file| fs::read_to_string(file).expect("text")).collect::<String>();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_log_pipe_of_a_daemontools_svscan_is_found_again() {
    let Some(original) = needs_original() else { return };
    let scratch = scratch();
    let mut talker = Talker::make(&scratch, "exec multilog ./main");
    let mut command = original.command("svscan");
    let mut old = start(command.arg("scan").current_dir(scratch.root()).stdin(Stdio::null()).stderr(Stdio::null()));
    talker.say("one");
    let said = |lines: &[&str]| {
        wait_until(&format!("{lines:?}"), || {
            scratch.path("scan/a/log/main/current").exists() && log(&scratch, "scan/a") == lines
        })
    };
    said(&["one"]);
    let logger = pid(&scratch, "scan/a/log").expect("it logs");
    old.signal("TERM");
    old.end();
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    talker.say("two");
    said(&["one", "two"]);
    // The service gets a supervise of ours, the logger keeps its own.
    assert_eq!(scratch.run("svc", &["-dx", "scan/a"]).err(), "");
    wait_until("ours runs it", || is_ours(&scratch, "scan/a") && pid(&scratch, "scan/a").is_some());
    talker.say("three");
    said(&["one", "two", "three"]);
    assert_eq!(pid(&scratch, "scan/a/log"), Some(logger), "its logger reads on");
    assert_eq!(scratch.run("svc", &["-dx", "scan/a/log"]).err(), "");
    talker.say("four");
    said(&["one", "two", "three", "four"]);
    let (supervise, _) = supervise(&scratch, "scan/a").expect("it runs");
    assert_eq!(parent(supervise), Some(svscan.pid()));
}
