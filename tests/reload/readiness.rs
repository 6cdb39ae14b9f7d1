//! A new copy that says itself when it is ready.

use std::process::Command;
use std::time::Duration;

use testkit::{Scratch, children, group, holds_for, needs_program, needs_root, signal, start, wait_for, wait_until};

use super::helper::send;
use super::world::{LONG, NOTING, Watch, exec_helper};

/// Long enough to see that nothing happens.
const A_WHILE: Duration = Duration::from_millis(200);

/// Waits for the second copy, and sees that it is waited for.
fn not_yet(watch: &Watch) {
    watch.wait_until_said("to warm up", 1);
    holds_for(A_WHILE, "the old copy is not told to end", || watch.said_times("Sending SIGTERM") == 0);
}

#[test]
fn newline_on_a_descriptor_is_ready() {
    let script = format!("[ -p go ] && {{ cat go >&7; }}\n{NOTING}");
    let watch = Watch::begun(&["--ready", "fd:7", "-w", "0"], &script);
    testkit::finish(std::process::Command::new("mkfifo").arg(watch.scratch.path("go")));
    watch.hup();
    not_yet(&watch);
    std::fs::write(watch.scratch.path("go"), "nearly ready\nmore").expect("it reads");
    watch.wait_for_reloads(1);
    watch.wait_for_starts(2);
    assert_eq!(watch.alive().len(), 1);
}

#[test]
fn descriptor_of_the_first_copy_can_be_written_to() {
    let watch = Watch::begun(&["--ready", "fd:3"], &format!("echo >&3 || exit 9\n{NOTING}"));
    watch.hup();
    watch.wait_for_reloads(1);
    assert_eq!(watch.said_times("failed"), 0);
}

#[test]
fn sd_notify_is_ready() {
    let notify = exec_helper("notifier");
    let script = format!("echo start $$ >>notes; export SAY='STATUS=up\nREADY=1'; {notify}");
    let watch = Watch::begun(&["--ready", "notify"], &script);
    watch.hup();
    watch.wait_for_reloads(1);
    assert_eq!(watch.said_times("Sending SIGTERM"), 1);
    assert_eq!(watch.alive().len(), 1);
}

#[test]
fn helper_that_has_ended_before_it_is_heard_may_have_been_anybody() {
    let messenger = exec_helper("messenger");
    let new = format!("until [ -e go ]; do sleep 0.01; done; ({messenger}); touch told");
    let watch = Watch::begun(
        &["--ready", "notify"],
        &format!("echo start $$ >>notes; [ -e new ] && {{ {new}; }}\nexec sleep 100000"),
    );
    watch.scratch.write("new", "");
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.hupwatch.signal("STOP");
    watch.scratch.write("go", "");
    wait_until("it has told", || watch.scratch.path("told").exists());
    watch.hupwatch.signal("CONT");
    not_yet(&watch);
    assert!(watch.alive().contains(&new));
}

#[test]
fn copy_that_does_not_stop_talking_keeps_hupwatch_from_nothing() {
    let Some(strace) = needs_program("strace") else {
        return;
    };
    let flooder = exec_helper("flooder");
    let flood = format!("({flooder}) & ({flooder}) &");
    let watch = Watch::begun(
        &["--ready", "notify", "-k"],
        &format!("echo start $$ >>notes; [ -e new ] && {{ {flood} }}\nexec sleep 100000"),
    );
    watch.scratch.write("new", "");
    watch.hup();
    watch.wait_for_starts(2);
    wait_until("it talks", || watch.scratch.path("flood").exists());
    // Slow as it is then, it seldom finds that there is no more to read.
    let mut slow = std::process::Command::new(strace);
    slow.args(["-q", "-o", "trace", "-p", &watch.hupwatch.pid().to_string()]).current_dir(watch.scratch.root());
    let _slow = testkit::start(&mut slow);
    let heard = || watch.scratch.text("trace").matches("EXTEND").count();
    wait_until("it hears", || heard() > 100);
    watch.hup();
    watch.wait_until_said("Received HUP during a reload", 1);
    let trace = watch.scratch.text("trace");
    let most = trace.split("poll(").map(|turn| turn.matches("\"EXTEND").count()).max();
    assert!(most.is_some_and(|most| most <= 8), "{most:?} datagrams without a look at anything else");
}

#[test]
fn stranger_is_not_listened_to() {
    let watch = Watch::begun(&["--ready", "notify"], &format!("echo $NOTIFY_SOCKET >socket\n{NOTING}"));
    watch.hup();
    watch.wait_for_starts(2);
    let socket = watch.scratch.text("socket");
    for said in [&b"READY=1"[..], b"", &[b'x'; 65_536]] {
        send(socket.trim(), said);
    }
    not_yet(&watch);
}

/// hupwatch is process 1 of a namespace, and so cannot see who sends from outside of it: for the kernel that one has no pid there, and it runs as the
/// user as whom the copies run.
#[test]
fn a_process_of_another_pid_namespace_is_not_listened_to() {
    let Some(unshare) = needs_program("unshare").filter(|_| needs_root()) else {
        return;
    };
    let scratch = Scratch::new();
    let tell = format!("until [ -e go ]; do sleep 0.01; done; export SAY=READY=1; {}", exec_helper("notifier"));
    let name = "echo $NOTIFY_SOCKET >socket.new; mv socket.new socket; echo start $$ >>notes";
    scratch.script("command", &format!("{name}\n[ -e new ] && {{ {tell}; }}\nexec sleep 100000"));
    let said = std::fs::File::create(scratch.path("hupwatch.err")).expect("a file of ours");
    let mut command = Command::new(unshare);
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(scratch.suite().path("hupwatch"));
    command.args(["-vvv", "--ready", "notify", "--", "./command"]).current_dir(scratch.root()).stderr(said);
    let watch = Watch { hupwatch: start(&mut command), scratch };
    watch.wait_for_starts(1);
    watch.scratch.write("new", "");
    let hupwatch = wait_for("it runs", || children(watch.pid()).first().copied());
    signal(hupwatch, "HUP");
    watch.wait_for_starts(2);
    send(watch.scratch.text("socket").trim(), b"READY=1");
    not_yet(&watch);
    // What the copy says on the same socket counts.
    watch.scratch.write("go", "");
    watch.wait_for_reloads(1);
    assert_eq!(watch.said_times("Sending SIGTERM"), 1);
}

#[test]
fn more_time_can_be_asked_for() {
    let notify = exec_helper("notifier");
    let say = "export SAY=EXTEND_TIMEOUT_USEC=100000000000";
    let script = format!("echo start $$ >>notes; {say}; {notify}");
    let watch = Watch::begun(&["--ready", "notify", "--ready-timeout", "5"], &script);
    watch.hup();
    watch.wait_for_starts(2);
    // Until it has asked, which takes a moment, and five seconds beyond the time that it had.
    holds_for(Duration::from_millis(5_500), "it is waited for", || watch.said_times("not ready in time") == 0);
}

#[test]
fn check_that_succeeds_is_ready() {
    let check = "check:echo $HUPWATCH_PID >>checks; [ -e ready ]";
    let watch = Watch::begun(&["--ready", check], NOTING);
    watch.hup();
    let new = watch.wait_for_starts(2);
    not_yet(&watch);
    wait_for("the check is made again", || (watch.scratch.text("checks").lines().count() > 2).then_some(()));
    watch.scratch.write("ready", "");
    watch.wait_for_reloads(1);
    assert_eq!(watch.alive(), [new]);
    assert!(watch.scratch.text("checks").lines().all(|line| line == new.to_string()));
    let checks = watch.scratch.text("checks");
    holds_for(A_WHILE, "it is made only while it is waited for", || watch.scratch.text("checks") == checks);
}

#[test]
fn check_that_is_stopped_has_not_ended() {
    let watch = Watch::begun(&["--ready", "check:echo $$ >>checks; kill -STOP $$"], NOTING);
    watch.hup();
    let new = watch.wait_for_starts(2);
    let check = wait_for("the check is made", || watch.scratch.text("checks").trim().parse().ok());
    holds_for(A_WHILE, "there is no other", || watch.scratch.text("checks").lines().count() == 1);
    signal(check, "CONT");
    watch.wait_for_reloads(1);
    assert_eq!(watch.alive(), [new]);
}

#[test]
fn check_that_hangs_is_killed_with_the_reload() {
    let options = ["--ready-timeout=3", "--ready", "check:echo $$ >check; sleep 100000; :"];
    let watch = Watch::begun(&options, NOTING);
    let old = watch.wait_for_starts(1);
    watch.hup();
    watch.wait_for_reloads(1);
    assert_eq!(watch.alive(), [old]);
    let check: u32 = watch.scratch.text("check").trim().parse().expect("a pid");
    wait_until("the check is killed, with what it has started", || {
        watch.scratch.processes().into_iter().all(|pid| group(pid) != Some(check))
    });
}

#[test]
fn check_that_hangs_is_run_again() {
    let check = "check:echo $$ >>checks; [ $(wc -l <checks) -gt 1 ] || sleep 100000; :";
    let watch = Watch::begun(&["--ready", check], NOTING);
    watch.hup();
    watch.wait_for_reloads(1);
    let checks = watch.scratch.text("checks");
    let first: u32 = checks.lines().next().and_then(|pid| pid.parse().ok()).expect("a pid");
    assert!(watch.scratch.processes().into_iter().all(|pid| group(pid) != Some(first)));
}

#[test]
fn warm_up_time_does_not_count_where_readiness_is_declared() {
    let watch = Watch::begun(&["-w", LONG, "--ready", "check:true"], NOTING);
    watch.hup();
    watch.wait_for_reloads(1);
}
