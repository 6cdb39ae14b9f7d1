//! The way out: exit codes, signals, kill-at-exit, process 1.

use std::process::Command;
use std::time::Duration;

use testkit::{Scratch, children, holds_for, lives, needs_program, needs_root, signal, wait_for, wait_until};

use super::world::{BRIEF, LONG, NOTING, STUBBORN, Watch, is_sleep};

/// The exit code of hupwatch over a script.
fn code(options: &[&str], script: &str) -> i32 {
    Watch::over(options, script).hupwatch.end()
}

#[test]
fn exit_code_of_the_command_is_passed_on() {
    for (script, expected) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        assert_eq!(code(&[], script), expected, "{script}");
        assert_eq!(code(&["--compat"], script), 0, "{script}");
    }
}

#[test]
fn command_that_cannot_be_executed_is_said() {
    let scratch = testkit::Scratch::new();
    for options in [&[][..], &["--compat"]] {
        let told = scratch.run("hupwatch", &[options, &["--", "no-such-program"]].concat());
        let expected = "hupwatch: fatal: unable to run no-such-program: file does not exist\n";
        assert_eq!((told.code, told.err().as_str()), (111, expected));
    }
}

#[test]
fn command_goes_on_when_hupwatch_leaves() {
    for (name, expected) in [("TERM", 0), ("ALRM", 0), ("INT", 1002)] {
        let mut watch = Watch::begun(&[], NOTING);
        watch.hupwatch.signal(name);
        assert_eq!(watch.hupwatch.end(), expected, "{name}");
        assert!(watch.said().contains("child will be detached to new parent"), "{name}");
        holds_for(Duration::from_millis(100), "the command lives", || watch.alive().len() == 1);
        assert_eq!(watch.notes().len(), 1, "{name}");
    }
}

#[test]
fn kill_at_exit_ends_the_whole_group_in_order() {
    for name in ["TERM", "INT"] {
        let script = format!("sleep 100000 & echo $! >member\n{NOTING}");
        let mut watch = Watch::begun(&["-k", "--grace", LONG], &script);
        let (pid, member) = (watch.wait_for_starts(1), member(&watch));
        watch.wait_until_asleep(pid, 2);
        watch.hupwatch.signal(name);
        assert_eq!(watch.hupwatch.end(), if name == "TERM" { 0 } else { 1002 });
        assert!(!lives(pid) && !lives(member), "{name}");
        assert!(watch.notes().contains(&format!("TERM {pid}")), "{name}: it was not sent TERM");
        assert!(watch.said().contains("with --kill-at-exit and running child process. Killing it!"), "{name}");
    }
}

fn member(watch: &Watch) -> u32 {
    wait_for("a member of the group", || watch.scratch.text("member").trim().parse().ok())
}

#[test]
fn kill_at_exit_waits_for_those_who_outlive_the_command() {
    // A member of the group that ends itself a while after TERM.
    let slow =
        "(trap 'sleep 0.3; echo slow >>notes; exit' TERM; echo up >member; while :; do sleep 1 & wait $!; done) &";
    let mut watch = Watch::begun(&["--kill-at-exit", "--grace=100"], &format!("{slow}\n{NOTING}"));
    wait_until("the member is there", || watch.scratch.text("member") == "up\n");
    let pid = watch.wait_for_starts(1);
    // The member is no sleep itself.
    wait_until("the command sleeps", || children(pid).iter().any(|&child| is_sleep(child)));
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    assert_eq!(watch.notes().last().map(String::as_str), Some("slow"));
}

#[test]
fn kill_at_exit_kills_what_does_not_end() {
    let mut watch = Watch::begun(&["-k", "--grace", "0.2"], STUBBORN);
    let pid = watch.wait_for_starts(1);
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    assert!(!lives(pid));
    assert_eq!(watch.notes(), [format!("start {pid}"), format!("TERM {pid}")]);
}

#[test]
fn kill_at_exit_ends_what_the_command_left_behind() {
    // As soon as it has ended: the grace is longer than the test waits.
    let options = ["-k", "--grace", LONG];
    let mut watch = Watch::begun(&options, "sleep 100000 & echo $! >member; echo start $$ >>notes; exit 5");
    assert_eq!(watch.hupwatch.end(), 5);
    assert!(!lives(member(&watch)));
}

#[test]
fn term_during_a_reload_is_put_off() {
    let mut watch = Watch::begun(&["-w", BRIEF], STUBBORN);
    let old = watch.wait_for_starts(1);
    watch.hup();
    watch.wait_for_starts(2);
    watch.wait_until_said("to quit...", 1);
    watch.hupwatch.signal("TERM");
    watch.wait_until_said("TERM: TERM/ALARM received during other signal handling. Defer.", 1);
    // A HUP now is too late.
    watch.hup();
    watch.wait_until_said("Pausing", 4);
    assert_eq!(watch.hupwatch.ended(), None);
    signal(old, "KILL");
    assert_eq!(watch.hupwatch.end(), 0);
    assert_eq!(watch.starts().len(), 2);
    assert_eq!(watch.alive(), [watch.starts()[1]]);
}

#[test]
fn term_during_a_reload_with_kill_at_exit_ends_the_new_copy() {
    let mut watch = Watch::begun(&["-k", "-w", BRIEF, "--grace=0.2"], STUBBORN);
    watch.hup();
    watch.wait_until_said("to warm up", 1);
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    assert_eq!(watch.alive(), [] as [u32; 0]);
}

#[test]
fn copy_that_was_to_serve_and_dies_ends_hupwatch() {
    let mut watch = Watch::begun(&["-w", BRIEF], STUBBORN);
    let old = watch.wait_for_starts(1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.wait_until_said("to quit...", 1);
    signal(new, "KILL");
    assert_eq!(watch.hupwatch.end(), 137);
    assert!(lives(old));
}

#[test]
fn kill_at_exit_lets_the_old_copy_answer_when_the_new_one_dies() {
    let script = "trap 'echo TERM $$ >>notes; until [ -e go ]; do sleep 0.01; done; echo answered >>notes; exit' TERM
echo start $$ >>notes
while :; do sleep 100000 & wait $!; done";
    let mut watch = Watch::begun(&["-k", "-w", BRIEF, "--grace", LONG], script);
    let old = watch.wait_for_starts(1);
    watch.wait_until_asleep(old, 1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    wait_until("the old copy ends", || watch.notes().contains(&format!("TERM {old}")));
    signal(new, "KILL");
    watch.wait_until_said("Primary process quit with code: -9", 1);
    watch.scratch.write("go", "");
    assert_eq!(watch.hupwatch.end(), 137);
    assert_eq!(watch.notes().last().map(String::as_str), Some("answered"));
    assert_eq!(watch.scratch.processes(), [] as [u32; 0]);
}

#[test]
fn pidfile_holds_the_pid_while_it_runs() {
    let mut watch = Watch::begun(&["--pidfile", "pid", "-w", BRIEF], NOTING);
    assert_eq!(watch.scratch.text("pid"), format!("{}\n", watch.pid()));
    watch.hup();
    watch.wait_for_reloads(1);
    assert_eq!(watch.scratch.text("pid"), format!("{}\n", watch.pid()));
    watch.hupwatch.signal("TERM");
    assert_eq!(watch.hupwatch.end(), 0);
    assert!(!watch.scratch.path("pid").exists());
}

#[test]
fn pidfile_overwrites_nothing_that_a_link_leads_to_and_nobody_is_waited_for() {
    let scratch = Scratch::new();
    scratch.write("victim", "precious");
    std::os::unix::fs::symlink("victim", scratch.path("pid.new")).expect("a link");
    let mut hupwatch = scratch.start("hupwatch", "hupwatch", &["--pidfile", "pid", "-k", "--", "sleep", "100000"]);
    wait_until("it is written", || scratch.path("pid").exists());
    assert_eq!(scratch.text("pid").trim(), hupwatch.pid().to_string());
    assert_eq!(scratch.text("victim"), "precious");
    assert!(!scratch.path("pid.new").exists());
    std::fs::remove_file(scratch.path("pid")).expect("it is there");
    testkit::finish(Command::new("mkfifo").arg(scratch.path("pid")));
    hupwatch.signal("TERM");
    assert_eq!(hupwatch.end(), 0);
    assert!(scratch.path("pid").exists());
}

#[test]
fn pidfile_of_somebody_else_is_left_and_one_that_cannot_be_written_is_said() {
    let mut watch = Watch::begun(&["--pidfile", "pid"], NOTING);
    watch.scratch.write("pid", "1\n");
    watch.hupwatch.signal("TERM");
    watch.hupwatch.end();
    assert_eq!(watch.scratch.text("pid"), "1\n");
    let told = watch.scratch.run("hupwatch", &["--pidfile", "no/pid", "--", "true"]);
    assert_eq!(
        (told.code, told.err().as_str()),
        (111, "hupwatch: fatal: unable to write no/pid: file does not exist\n")
    );
}

#[test]
fn as_process_1_it_reaps_and_ends_everything() {
    if !needs_root() {
        return;
    }
    let Some(unshare) = needs_program("unshare") else { return };
    let scratch = testkit::Scratch::new();
    // Each copy leaves an orphan behind, which ends at once.
    scratch.script("command", &format!("(sleep 0.01 &)\n{NOTING}"));
    let hupwatch = scratch.suite().path("hupwatch");
    let mut command = Command::new(unshare);
    command.args(["--pid", "--fork"]).arg(hupwatch).args(["-vvv", "-w", BRIEF, "--", "./command"]);
    command.current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    let log = std::fs::File::create(scratch.path("hupwatch.err")).expect("a file");
    let running = testkit::start(command.stderr(log));
    let mut watch = Watch { scratch, hupwatch: running };
    let starts = |watch: &Watch| watch.notes().iter().filter(|note| note.starts_with("start")).count();
    wait_until("the command runs", || starts(&watch) == 1);
    let init = wait_for("hupwatch in the namespace", || {
        let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        watch.scratch.processes().into_iter().find(|pid| name(pid) == "hupwatch\n")
    });
    assert!(watch.said().contains("Starting HUP watch (1)"));
    signal(init, "HUP");
    watch.wait_for_reloads(1);
    wait_until("the new copy runs", || starts(&watch) == 2);
    signal(init, "TERM");
    // unshare passes the exit code on.
    assert_eq!(watch.hupwatch.end(), 0);
    assert_eq!(
        watch.notes().iter().filter(|note| note.starts_with("TERM")).count(),
        2,
        "the last copy was told to end"
    );
    assert_eq!(watch.scratch.processes(), [] as [u32; 0]);
}

#[test]
fn long_warm_up_does_not_make_it_deaf() {
    let mut watch = Watch::begun(&["-w", LONG], NOTING);
    let old = watch.wait_for_starts(1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.hupwatch.signal("TERM");
    watch.wait_until_said("Defer.", 1);
    signal(new, "KILL");
    assert_eq!(watch.hupwatch.end(), 0);
    assert_eq!(watch.alive(), [old]);
}
