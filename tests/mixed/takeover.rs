//! The switch from daemontools to ours while services run: svscan alone, and all of it by `uphold boot takeover`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{
    Running, Scratch, finish, make_executable, needs_original, needs_program, needs_root, parent, start, wait_for,
    wait_until,
};

use crate::pair::ours;
use crate::talker::Talker;
use crate::world::{Record, has_reader, supervise_of};

/// Says numbered lines as fast as a shell can, and how many there were when it is told to end.
const TALKING: &str = "trap 'ended=yes' TERM
echo $$ >>started
n=0
while [ -z \"$ended\" ]; do n=$((n + 1)); echo $$ $n; done
echo $$ end $n";

fn scratch() -> Scratch {
    sys::signals::set_default(sys::process::Signal::SIGPIPE).expect("a signal that can be set");
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
    // What it logs may be there before its supervise has written that it is up.
    let logger = wait_for("it is up", || pid(&scratch, "scan/a/log"));
    old.signal("TERM");
    old.end();
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    let dir = scratch.path("scan");
    let mut status = scratch.command("uphold", &["boot", "status", "--scan-dir"]);
    status.arg(&dir);
    wait_until("it serves", || finish(&mut status).out().starts_with("svscan runs in "));
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

#[test]
fn the_log_pipe_is_found_again_if_only_the_logger_of_daemontools_runs() {
    let Some(original) = needs_original() else { return };
    let scratch = scratch();
    let mut talker = Talker::make(&scratch, "exec multilog ./main");
    let mut command = original.command("svscan");
    let mut old = start(command.arg("scan").current_dir(scratch.root()).stdin(Stdio::null()).stderr(Stdio::null()));
    wait_until("both run", || ["scan/a", "scan/a/log"].iter().all(|name| pid(&scratch, name).is_some()));
    let (logger, _) = supervise(&scratch, "scan/a/log").expect("it runs");
    old.signal("TERM");
    old.end();
    assert_eq!(scratch.run("svc", &["-dx", "scan/a"]).err(), "");
    wait_until("the service has ended", || !has_reader(&scratch.path("scan/a")));
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    talker.say("one");
    wait_until("it is logged", || scratch.text("scan/a/log/main/current") == "one\n");
    assert_eq!(supervise(&scratch, "scan/a/log").map(|(pid, _)| pid), Some(logger));
}

/// daemontools as Debian starts it: an init that starts svscanboot again whenever it ends.
fn daemontools(scratch: &Scratch, script: &Path) -> Running {
    let text = fs::read_to_string(script).expect("Debian's is a script");
    let dir = scratch.path("service");
    let boot = scratch.write("boot", text.replace("/etc/service", dir.to_str().expect("UTF-8")));
    make_executable(&boot);
    let mut init = Command::new("/bin/sh");
    init.args(["-c", "while :; do ./boot; sleep 0.1; done"]).current_dir(scratch.root());
    start(init.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Every line that a copy of the service said is in its log, once and in order, up to the last one.
fn nothing_is_lost(lines: &[String]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        let (copy, number) = line.split_once(' ').expect("two words");
        let count = last.entry(copy).or_default();
        match number.strip_prefix("end ") {
            Some(total) => assert_eq!(total, count.to_string(), "{copy}"),
            None => {
                *count += 1;
                assert_eq!(number, count.to_string(), "{copy}");
            }
        }
    }
}

#[test]
fn takeover_puts_ours_in_the_place_of_daemontools_and_no_line_is_lost() {
    let Some(original) = needs_original() else { return };
    let scratch = scratch();
    for name in ["service/a", "service/b"] {
        scratch.service(name, TALKING);
        scratch.service(&format!("{name}/log"), "exec multilog s16777215 n50 ./main");
    }
    // Without a logger it writes to readproctitle, and dies where nobody reads.
    scratch.service("service/plain", "echo $$ >>started; while :; do echo said; sleep 0.01; done");
    scratch.service("service/off", "echo $$ >>started; exec sleep 1000");
    scratch.service("service/never", "echo $$ >>started; exec sleep 1000");
    scratch.write("service/never/down", "");
    let all =
        ["service/a", "service/a/log", "service/b", "service/b/log", "service/plain", "service/off", "service/never"];
    let _init = daemontools(&scratch, &original.path("svscanboot"));
    for name in all {
        wait_until("its supervise runs", || supervise(&scratch, name).is_some());
        wait_until("it is up", || name == "service/never" || pid(&scratch, name).is_some());
    }
    assert_eq!(scratch.run("svc", &["-d", "service/off"]).err(), "");
    wait_until("it is down", || pid(&scratch, "service/off").is_none());
    let dir = scratch.path("service");
    let boot = |verb: &str| finish(scratch.command("uphold", &["boot", verb, "--scan-dir"]).arg(&dir));
    let old = wait_for("its svscan", || parent(supervise(&scratch, "service/a")?.0));
    let refused = boot("reload");
    let why = format!("its svscan, pid {old}, is of another suite; uphold boot takeover replaces it");
    let expected = format!("uphold boot: fatal: unable to reload {}: {why}\n", dir.display());
    assert_eq!((refused.code, refused.err()), (100, expected));
    assert!(testkit::lives(old));
    let said = format!("svscan of another suite runs in {}: pid {old}\n", dir.display());
    assert_eq!((boot("status").code, boot("status").out()), (0, said));

    // The new file, as an operator puts it there.
    let program = ours().path("svscanboot");
    scratch.install("boot", format!("#!/bin/sh\nexec {} {}\n", program.display(), dir.display()).as_bytes());
    let done = boot("takeover");
    assert_eq!((done.code, done.err().as_str()), (0, ""), "{}", done.out());
    assert_eq!(done.out().lines().filter(|line| line.starts_with("took over ")).count(), all.len());

    for name in all {
        assert!(is_ours(&scratch, name), "{name}");
        let is_down = name == "service/off" || name == "service/never";
        assert_eq!(pid(&scratch, name).is_none(), is_down, "{name}");
        let expected = [("service/off", 1), ("service/never", 0), ("service/a/log", 0), ("service/b/log", 0)];
        let expected = expected.into_iter().find(|(other, _)| *other == name).map_or(2, |(_, starts)| starts);
        // The shell may not have come to it yet.
        let starts = || scratch.text(Path::new(name).join("started")).lines().count();
        wait_until(&format!("{name} was started {expected} times"), || starts() >= expected);
        assert_eq!(starts(), expected, "{name}");
    }
    assert!(!scratch.path("service/off/down").exists() && scratch.path("service/never/down").exists());
    assert!(boot("status").out().starts_with("svscan runs in "));
    // Once more there is nothing left to do.
    let again = boot("takeover");
    assert_eq!((again.code, again.err(), again.out()), (0, String::new(), String::new()));
    // svscanboot has its own svscan, and the stop is ours: to the last line.
    let stopped = boot("stop");
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
    for name in ["service/a", "service/b"] {
        let lines = log(&scratch, name);
        nothing_is_lost(&lines);
        assert_eq!(lines.iter().filter(|line| line.contains(" end ")).count(), 2, "{name}");
    }
}

#[test]
fn takeover_does_nothing_where_init_would_start_daemontools_again() {
    let (Some(original), true) = (needs_original(), needs_root()) else { return };
    let Some(unshare) = needs_program("unshare") else { return };
    let scratch = scratch();
    scratch.service("service/a", "echo $$ >>started; exec sleep 1000");
    let dir = scratch.path("service");
    let text = fs::read_to_string(original.path("svscanboot")).expect("Debian's is a script");
    let script = scratch.write("boot", text.replace("/etc/service", dir.to_str().expect("UTF-8")));
    make_executable(&script);
    // The shell is init in its own namespace.
    let init = "until $1/svok service/a; do sleep 0.05; done 2>/dev/null
        $1/uphold boot takeover --scan-dir $2/service >out 2>err; echo $? >code";
    let mut command = Command::new(unshare);
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]);
    command.arg(format!("({init}) & while :; do $2/boot; sleep 0.1; done")).arg("sh");
    command.arg(ours().directory()).arg(scratch.root()).current_dir(scratch.root());
    let _init = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("it has ended", || scratch.text("code").ends_with('\n'));
    let why = format!("init would start {} again; uphold boot install --force changes that", script.display());
    let expected = format!("uphold boot: fatal: unable to take over {}: {why}\n", dir.display());
    assert_eq!((scratch.text("err"), scratch.text("code").as_str()), (expected, "100\n"));
    assert!(has_reader(&scratch.path("service/a")), "its supervise runs");
    wait_until("it has started once", || scratch.text("service/a/started").lines().count() == 1);
}
