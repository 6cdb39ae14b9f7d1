//! The exit code: each row of the table in svscan(8).

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Running, Scratch, holds_for, needs_program, needs_root, start, wait_until};

use super::world::{FOREVER, Init, MORTAL, lines};

/// A `run` that ends on TERM in the given way.
fn on_term(end: &str) -> String {
    format!("trap '{end}' TERM; echo >>started; while :; do sleep 100000 & wait $!; done")
}

/// Services `web` with this `run` and `other`.
fn services(run: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.service("scan/web", run);
    scratch.service("scan/other", MORTAL);
    scratch
}

/// The code of a svscan that ends by itself with the service `web`.
#[track_caller]
fn ends_with(run: &str) -> (i32, Scratch) {
    let scratch = services(run);
    let code = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]).end();
    (code, scratch)
}

/// The code of a svscan that is to end with `web` and is told to stop before.
#[track_caller]
fn stopped(run: &str, grace: &str) -> i32 {
    let scratch = services(run);
    let init = Init::start(&scratch, &["--grace", grace, "--exit-with", "web"]);
    init.wait_up(&["other"]);
    init.wait_lines("scan/web/started", 1);
    init.stop()
}

#[test]
fn term_is_0() {
    let scratch = services(MORTAL);
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
}

#[test]
fn int_is_0() {
    let scratch = services(MORTAL);
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_up(&["web", "other"]);
    init.signal("INT");
    assert_eq!((init.end(), init.err().as_str()), (0, ""));
}

#[test]
fn a_stop_that_is_hurried_is_0() {
    let scratch = services(&on_term(""));
    let mut init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_lines("scan/web/started", 1);
    init.wait_up(&["other"]);
    init.signal("TERM");
    init.wait_left(1);
    init.signal("TERM");
    let said = "svscan: warning: the stop took too long, and what was left was killed: web\n";
    assert_eq!((init.end(), init.err().as_str()), (0, said));
}

#[test]
fn a_stop_that_takes_too_long_is_0() {
    let scratch = services(&on_term(""));
    let init = Init::start(&scratch, &["--grace", "0.3"]);
    init.wait_lines("scan/web/started", 1);
    assert_eq!(init.stop(), 0);
}

#[test]
fn the_end_of_the_service_is_that_of_svscan() {
    for code in [0, 7, 255] {
        let (ended, scratch) = ends_with(&format!("echo >>started; exit {code}"));
        assert_eq!((ended, lines(&scratch, "scan/web/started").len()), (code, 1), "started once");
        assert_eq!(scratch.text("svscan.err"), "");
    }
}

#[test]
fn finish_comes_first_and_does_not_change_the_code() {
    let scratch = services("echo run >>order; exit 7");
    // It can see that nothing has been stopped yet.
    let other = r#"until read pid <../../pid; do sleep 0.1; done; kill -0 "$pid""#;
    scratch.script("scan/web/finish", &format!("{other} && echo finish $1 >>order; exit 125"));
    scratch.write("scan/web/timeout-finish", "0");
    scratch.service("scan/other", "echo $$ >../../pid; exec sleep 100000");
    let code = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]).end();
    assert_eq!((code, scratch.text("scan/web/order").as_str()), (7, "run\nfinish 7\n"));
}

#[test]
fn a_stop_waits_for_finish() {
    let scratch = services(&format!("echo >up; {MORTAL}"));
    scratch.script("scan/web/finish", "echo finish $1 $2; exit 125");
    scratch.service("scan/web/log", "exec cat >lines");
    let init = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]);
    init.wait_lines("scan/web/up", 1);
    assert_eq!((init.stop(), scratch.text("scan/web/log/lines").as_str()), (143, "finish 256 15\n"));
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for (name, code) in [("KILL", 137), ("SEGV", 139), ("TERM", 143)] {
        assert_eq!(ends_with(&format!("kill -{name} $$")).0, code);
    }
}

#[test]
fn a_run_that_cannot_be_executed_is_111() {
    let scratch = services(MORTAL);
    scratch.write("scan/web/run", "#!/does/not/exist\n");
    assert_eq!(Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]).end(), 111);
}

#[test]
fn stopped_it_is_the_last_code_of_the_service() {
    assert_eq!(stopped(&on_term("exit 3"), FOREVER), 3);
    assert_eq!(stopped(&format!("echo >>started; {MORTAL}"), FOREVER), 143);
}

#[test]
fn stopped_it_is_137_if_the_service_had_to_be_killed() {
    assert_eq!(stopped(&on_term(""), "0.3"), 137);
}

#[test]
fn stopped_it_is_0_if_the_service_never_ran() {
    let scratch = services(MORTAL);
    scratch.write("scan/web/down", "");
    let init = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]);
    init.wait_up(&["other"]);
    assert_eq!(init.stop(), 0);
}

#[test]
fn the_first_term_after_the_end_of_the_service_does_not_hurry() {
    let scratch = services("read line <>fifo; exit 3");
    scratch.service(
        "scan/other",
        "trap 'echo >>told; read line <>fifo; echo >>ended; exit' TERM; echo >>started; while :; do sleep 100000 & wait $!; done",
    );
    for name in ["scan/web/fifo", "scan/other/fifo"] {
        sys::fd::make_fifo(&*scratch.path(name)).expect("a FIFO");
    }
    let mut init = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]);
    init.wait_up(&["web"]);
    init.wait_lines("scan/other/started", 1);
    std::fs::write(scratch.path("scan/web/fifo"), "\n").expect("it reads");
    init.wait_lines("scan/other/told", 1);
    init.signal("TERM");
    holds_for(Duration::from_millis(300), "the other has its time", || init.is_up("other"));
    std::fs::write(scratch.path("scan/other/fifo"), "\n").expect("it reads");
    assert_eq!((init.end(), init.err().as_str()), (3, ""));
    assert_eq!(lines(&scratch, "scan/other/ended").len(), 1);
}

#[test]
fn wrong_usage_is_100() {
    let scratch = services(MORTAL);
    for words in [&["--grace", "x", "scan"][..], &["--exit-with"], &["--init", "--no-such-option"]] {
        assert_eq!(scratch.run("svscan", words).code, 100, "{words:?}");
    }
    let said = scratch.run("svscan", &["--exit-with"]).err();
    assert!(said.starts_with("svscan: option requires an argument --exit-with\n"), "{said}");
}

#[test]
fn no_scan_directory_is_111() {
    let scratch = Scratch::new();
    let ran = scratch.run("svscan", &["--init", "nowhere"]);
    assert_eq!(
        (ran.code, ran.err().as_str()),
        (111, "svscan: fatal: unable to chdir to nowhere: file does not exist\n")
    );
}

#[test]
fn a_name_to_end_with_that_is_not_there_is_111() {
    let scratch = services(MORTAL);
    let ran = scratch.run("svscan", &["--exit-with", "wbe", "scan"]);
    let said = "svscan: fatal: unable to find the service to end with, wbe: file does not exist\n";
    assert_eq!((ran.code, ran.err().as_str()), (111, said));
}

#[test]
fn a_restart_by_svc_is_no_end_and_neither_is_down() {
    let scratch = services("echo $$ >>started; exec sleep 100000");
    let mut init = Init::start(&scratch, &["--grace", FOREVER, "--exit-with", "web"]);
    init.wait_lines("scan/web/started", 1);
    init.wait_up(&["web"]);
    init.svc("-t", "web");
    init.wait_lines("scan/web/started", 2);
    init.wait_up(&["web"]);
    init.svc("-d", "web");
    wait_until("it is down", || !init.is_up("web"));
    init.svc("-u", "web");
    init.wait_lines("scan/web/started", 3);
    init.wait_up(&["web", "other"]);
    // By itself: nobody asked supervise for it.
    let pid: String = scratch.run("svstat", &["scan/web"]).out();
    let pid = pid.split("pid ").nth(1).and_then(|rest| rest.split(')').next()).expect("up").to_owned();
    let inside = children_named(&init, "sleep", &pid);
    testkit::signal(inside, "KILL");
    assert_eq!((init.end(), init.err().as_str()), (137, ""));
}

/// A svscan without CAP_SYS_PTRACE and with these options, whose service `web` runs as another user and exits 7 when it was taken over by another
/// supervise. svscan itself stands still, so that nobody has reaped the service: until then only the kernel knows how it has ended, and does not tell.
fn unseen_end(setpriv: &Path, options: &[&str]) -> (Scratch, Running) {
    let scratch = Scratch::new();
    let run = "echo >>started; [ $(wc -l <started) = 1 ] || exec sleep 100000";
    let end = "until [ -e go ]; do sleep 0.02; done; exit 7";
    scratch.service("scan/web", &format!("{run}; exec setuidgid nobody sh -c '{end}'"));
    let mut command = Command::new(setpriv);
    command.arg("--bounding-set=-sys_ptrace").arg(scratch.suite().path("svscan")).arg("--init").args(options);
    command.args(["--grace", FOREVER, "scan"]).current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    let said = std::fs::File::create(scratch.path("svscan.err")).expect("a file");
    let svscan = start(command.stdin(Stdio::null()).stderr(said));
    let is_served = || scratch.run("svok", &["scan/web"]).code == 0;
    let supervise = || testkit::record(scratch.path("scan/web")).map(|record| record.observed.supervise.pid);
    wait_until("it is up", || scratch.run("svstat", &["scan/web"]).out().contains(": up ") && is_served());
    let is_anothers = |pid| std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == 65534);
    let first = supervise().expect("a record");
    wait_until("it runs as another user", || testkit::children(first).into_iter().any(is_anothers));
    testkit::signal(first, "KILL");
    wait_until("it was taken over", || supervise() != Some(first) && is_served());
    let second = supervise().expect("a record");
    svscan.signal("STOP");
    wait_until("svscan stands still", || testkit::state(svscan.pid()) == Some('T'));
    scratch.write("scan/web/go", "");
    wait_until("its end is seen", || {
        testkit::state(second) == Some('Z') || lines(&scratch, "scan/web/started").len() == 2
    });
    (scratch, svscan)
}

#[test]
fn an_end_that_nobody_may_see_is_no_success_of_what_svscan_ends_with() {
    let Some(setpriv) = needs_program("setpriv").filter(|_| needs_root()) else { return };
    let (scratch, mut svscan) = unseen_end(&setpriv, &["--exit-with", "web"]);
    svscan.signal("CONT");
    assert_eq!((svscan.end(), scratch.text("svscan.err").as_str()), (111, ""));
    assert_eq!(lines(&scratch, "scan/web/started").len(), 1);
}

#[test]
fn an_end_that_nobody_may_see_is_shown_as_one() {
    let Some(setpriv) = needs_program("setpriv").filter(|_| needs_root()) else { return };
    let (scratch, svscan) = unseen_end(&setpriv, &[]);
    let status = || scratch.run("svstat", &["--long", "scan/web"]).out();
    wait_until("it is up again", || status().contains(": up ") && status().contains(", started 2 times"));
    assert!(status().contains(", last ended unseen"), "{}", status());
    svscan.signal("CONT");
}

/// The pid outside of the process that svstat knows as `pid`, which may be one inside of a namespace.
fn children_named(init: &Init<'_>, name: &str, pid: &str) -> u32 {
    let mut open = vec![init.pid()];
    while let Some(next) = open.pop() {
        let status = std::fs::read_to_string(format!("/proc/{next}/status")).unwrap_or_default();
        let inside =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")).and_then(|pids| pids.split_whitespace().last());
        if inside == Some(pid) && status.contains(name) {
            return next;
        }
        open.extend(testkit::children(next));
    }
    panic!("no process {pid} called {name}")
}

#[test]
fn a_machine_ends_by_becoming_another_program() {
    let scratch = services(MORTAL);
    let halt = scratch.script("halt", "echo halting; exit 5");
    let init = Init::start(&scratch, &["--grace", FOREVER, "--halt", halt.to_str().expect("UTF-8")]);
    init.wait_up(&["web", "other"]);
    assert_eq!((init.stop(), scratch.text("svscan.out").as_str()), (5, "halting\n"));
}
