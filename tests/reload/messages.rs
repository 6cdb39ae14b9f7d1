//! What is said, at which level, in which order.

use testkit::children;

use super::world::{BRIEF, NOTING, Watch};

/// All that was said, with names in place of pids.
fn said(watch: &Watch, names: &[(u32, &str)]) -> Vec<String> {
    let mut said = watch.said();
    let mut names = names.to_vec();
    // One may begin with all of another.
    names.sort_by_key(|&(pid, _)| std::cmp::Reverse(pid));
    for (pid, name) in names {
        said = said.replace(&pid.to_string(), name);
    }
    let line = |line: &str| line.strip_prefix("=> HUP watch ").unwrap_or(line).to_owned();
    said.lines().map(line).collect()
}

#[test]
fn everything_is_said_in_order() {
    let mut watch = Watch::begun(&["-w", BRIEF], "echo start $$ >>notes; exec sleep 100000");
    let old = watch.wait_for_starts(1);
    watch.wait_until_said("Pausing", 1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.wait_for_reloads(1);
    watch.wait_until_said("Pausing", 3);
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    let names = [(watch.pid(), "SELF"), (old, "OLD"), (new, "NEW")];
    assert_eq!(
        said(&watch, &names),
        [
            "[INFO    ]: Starting HUP watch (SELF)",
            "[INFO    ]: Child process OLD started",
            "[INFO    ]: Pausing for signal",
            "[DEBUG   ]: HUP: >>>",
            "[DEBUG   ]: HUP: Waiting for process (NEW) to warm up",
            "[INFO    ]: Pausing for signal",
            "[DEBUG   ]: HUP: Sending SIGTERM to old process (OLD)",
            "[DEBUG   ]: HUP: Waiting for process (OLD) to quit...",
            "[DEBUG   ]: CHLD: >>>",
            "[INFO    ]: CHLD: Child process quit",
            "[INFO    ]: HUP: Old process quit with code: -15",
            "[DEBUG   ]: HUP: <<<",
            "[DEBUG   ]: CHLD: <<<",
            "[INFO    ]: Pausing for signal",
            "[DEBUG   ]: TERM: >>>",
            "[WARNING ]: TERM: Quiting with running child process. Doing nothing, child will be detached to new parent.",
            "[DEBUG   ]: TERM: <<<",
        ]
    );
}

#[test]
fn the_end_of_the_command_is_a_warning() {
    let mut watch = Watch::over(&[], "kill -9 $$");
    assert_eq!(watch.hupwatch.end(), 137);
    let said = said(&watch, &[]);
    assert_eq!(
        said[3..],
        [
            "[DEBUG   ]: CHLD: >>>",
            "[WARNING ]: CHLD: Primary child process quit, quitting",
            "[INFO    ]: CHLD: Primary process quit with code: -9",
            "[DEBUG   ]: CHLD: <<<",
        ]
    );
}

/// A reload that fails, one that works, and the way out, with so many `-v`; returns the levels that were said.
fn levels(verbose: &[&str]) -> Vec<String> {
    let scratch = testkit::Scratch::new();
    scratch.script("command", &format!("[ -e broken ] && {{ echo broken >>notes; exit 7; }}\n{NOTING}"));
    // However long a copy takes to get at its first line, one that is broken is not ready.
    let options = [verbose, &["--ready", "check:[ ! -e broken ]"]].concat();
    let mut watch = Watch::of(scratch, &options, &["./command"]);
    let old = watch.wait_for_starts(1);
    watch.scratch.write("broken", "");
    watch.hup();
    testkit::wait_until("the broken one is reaped", || {
        watch.notes().iter().any(|note| note == "broken") && children(watch.pid()) == [old]
    });
    std::fs::remove_file(watch.scratch.path("broken")).expect("it is there");
    watch.hup();
    watch.wait_for_starts(2);
    testkit::wait_until("the old one is reaped", || children(watch.pid()).len() == 1);
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    let mut levels: Vec<String> = watch.said().lines().filter_map(|line| Some(line.get(14..22)?.to_owned())).collect();
    levels.sort();
    levels.dedup();
    levels
}

#[test]
fn each_v_says_more() {
    assert_eq!(levels(&[]), [] as [&str; 0]);
    assert_eq!(levels(&["-v"]), ["ERROR   "]);
    assert_eq!(levels(&["-vv"]), ["ERROR   ", "WARNING "]);
    assert_eq!(levels(&["--verbose", "-v", "-v"]), ["DEBUG   ", "ERROR   ", "INFO    ", "WARNING "]);
}

#[test]
fn stderr_that_nobody_reads_is_no_reason_to_die() {
    let scratch = testkit::Scratch::new();
    scratch.script("command", NOTING);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = scratch.command("hupwatch", &["-vvv", "-w", BRIEF, "--", "./command"]);
    let hupwatch = testkit::start(command.stderr(writer));
    drop((reader, command));
    let mut watch = Watch { scratch, hupwatch };
    watch.wait_for_starts(1);
    watch.hup();
    watch.wait_for_starts(2);
    testkit::wait_until("the old one is gone", || watch.alive().len() == 1);
    assert_eq!(watch.hupwatch.ended(), None);
}
