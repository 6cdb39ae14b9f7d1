//! `kill-mode`: what of a service must have ended before it is started again, and who is told to end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{finish, holds_for, is_root, lives, needs_program, signal, state, wait_for, wait_until};

use super::service::{Service, User, for_each_user};

/// A `run` that starts a helper in its process group, notes its start, and stays up.
const HELPED: &str = "sh ./helper & echo >>starts; exec sleep 1000";

/// Helpers, which note their pids: one that ends when it is told to; one that only KILL ends; and one that notes in
/// `ends` when it is told, and ends when [`release`] lets it.
const OBEYS: &str = "echo $$ >pid.new; mv pid.new helper.pid; exec sleep 1000";
const STUBBORN: &str = "trap '' TERM; echo $$ >pid.new; mv pid.new helper.pid; exec sleep 1000";
const HELD: &str = "exec 2>/dev/null; trap 'echo told >>ends' TERM; : >hold.$$; echo $$ >pid.new; mv pid.new helper.pid; \
                    while [ -e hold.$$ ]; do sleep 0.02; done";

/// A service with a helper, in this mode, which is up.
fn helped(user: User, mode: &str, helper: &str) -> Service {
    let service = Service::new(user, HELPED, &[("kill-mode", mode), ("helper", helper)]);
    let service = service.start();
    service.wait_starts(1);
    service
}

/// Waits until a helper other than `old` runs, and returns its pid.
#[track_caller]
fn helper(service: &Service, old: Option<u32>) -> u32 {
    let file = service.scratch.path("web/helper.pid");
    let read = || fs::read_to_string(&file).ok()?.trim_end().parse().ok();
    wait_for("a helper runs", || read().filter(|&pid| Some(pid) != old && lives(pid)))
}

/// Lets a helper end that is [`HELD`].
fn release(service: &Service, helper: u32) {
    service.remove(&format!("hold.{helper}"));
}

/// Waits until svstat says that something is left. Which process has the lowest pid is not known: pids begin anew at some time.
#[track_caller]
fn wait_left(service: &Service, wanted: &str) {
    let line = format!("down S seconds, normally up{wanted}, leftovers pid ");
    wait_until("something is left", || service.svstat().starts_with(&line));
}

/// Kills `run`, whose helper is [`HELD`], and waits until that is waited for. Returns the service, and the pids of `run` and the helper.
fn left_behind(user: User) -> (Service, u32, u32) {
    let service = helped(user, "group", HELD);
    // No machine is so slow that this is over.
    service.put("timeout-kill", "10m");
    let (run, helper) = (service.wait_up(), helper(&service, None));
    signal(run, "KILL");
    wait_left(&service, ", want up");
    wait_until("the helper was told", || service.ends() == "told\n");
    (service, run, helper)
}

#[test]
fn what_a_process_leaves_behind_lives_on_and_what_is_left_of_a_group_does_not() {
    for_each_user(|user| {
        for mode in ["process\n", "mixed\n", "group\n"] {
            for helper_does in [OBEYS, STUBBORN] {
                let service = helped(user, mode, helper_does);
                service.put("timeout-kill", "300");
                let (run, helper) = (service.wait_up(), helper(&service, None));
                assert_eq!(testkit::group(run) == Some(run), mode != "process\n", "whether it leads a group");
                assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
                assert!(!lives(run));
                assert_eq!(lives(helper), mode == "process\n", "{mode:?}: {helper_does}");
                assert_eq!(service.svstat(), "down S seconds, normally up");
                let late = format!("unable to end what web has left behind in time, killing process group {run}\n");
                let said = if mode == "group\n" && helper_does == STUBBORN { late.as_str() } else { "" };
                assert_eq!(service.said().trim_start_matches("supervise: warning: "), said);
                if mode == "process\n" {
                    signal(helper, "KILL");
                }
            }
        }
    });
}

#[test]
fn a_group_that_does_not_end_when_it_is_told_is_killed_in_its_time_and_no_sooner() {
    for_each_user(|user| {
        let service = helped(user, "group", STUBBORN);
        service.put("timeout-kill", "300");
        let (run, helper) = (service.wait_up(), helper(&service, None));
        let begin = Instant::now();
        service.svc("-r");
        wait_until("run has ended, and the helper not", || !lives(run));
        wait_until("it has", || !lives(helper));
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        service.wait_restart(run);
    });
}

#[test]
fn a_process_that_does_not_end_is_killed_with_its_group() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let run = "trap '' TERM; sh ./helper & echo >>starts; exec sleep 1000";
            let service =
                Service::new(user, run, &[("kill-mode", mode), ("helper", STUBBORN), ("timeout-kill", "200")]);
            let service = service.start();
            let (run, helper) = (service.wait_up(), helper(&service, None));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert!(!lives(run) && !lives(helper), "{mode}");
            let said = format!("supervise: warning: unable to end web in time, killing pid {run}\n");
            assert_eq!(service.said(), said);
        }
    });
}

#[test]
fn in_the_mode_mixed_only_the_process_is_told_and_in_the_mode_group_all_are() {
    for_each_user(|user| {
        for (mode, told) in [("mixed", ""), ("group", "told\n")] {
            // This one ends when the helper does, so that there is nothing left then.
            let run = "trap 'rm hold*' TERM; : >hold; sh ./helper & echo >>starts; while [ -e hold ]; do sleep 0.02; done 2>/dev/null; wait";
            let service = Service::new(user, run, &[("kill-mode", mode), ("helper", HELD)]).start();
            helper(&service, None);
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert_eq!(service.ends(), told, "{mode}");
        }
    });
}

#[test]
fn what_is_paused_is_told_to_end_and_goes_on() {
    for_each_user(|user| {
        let service = helped(user, "group", OBEYS);
        let (run, old) = (service.wait_up(), helper(&service, None));
        signal(old, "STOP");
        wait_until("it is stopped", || state(old) == Some('T'));
        signal(run, "KILL");
        // Without CONT it would be killed ten seconds later.
        service.wait_restart(run);
        assert!(!lives(old));
        assert_eq!(service.said(), "");
        helper(&service, Some(old));
    });
}

#[test]
fn nothing_is_started_beside_what_is_left_whoever_asks() {
    for_each_user(|user| {
        for letters in ["-u", "-o", "-R", "-dou"] {
            let (service, run, helper) = left_behind(user);
            service.svc(letters);
            let wanted = if letters == "-o" { "" } else { ", want up" };
            wait_left(&service, wanted);
            service.stays(1);
            let waited = service.wait(&["-c", "--wait=up", "--timeout=1s"]);
            let why = "timed out, what it has left behind still runs (pid ";
            assert!(waited.code == 1 && waited.err().contains(why), "{}", waited.err());
            release(&service, helper);
            service.wait_restart(run);
            service.wait_starts(2);
            assert_eq!(service.said(), "");
        }
    });
}

#[test]
fn a_service_is_down_when_nothing_is_left_of_it() {
    for_each_user(|user| {
        for letters in ["-d", "-dx"] {
            let (mut service, _, helper) = left_behind(user);
            service.svc(letters);
            wait_left(&service, "");
            let waited = service.wait(&["--wait=down", "--timeout=1s"]);
            let why = "timed out, what it has left behind still runs (pid ";
            assert!(waited.code == 1 && waited.err().contains(why), "{}", waited.err());
            release(&service, helper);
            if letters == "-d" {
                assert_eq!(service.wait(&["--wait=down"]).code, 0);
                assert_eq!(service.svstat(), "down S seconds, normally up");
            } else {
                assert_eq!(service.end(), 0);
            }
            assert!(!lives(helper));
            assert_eq!(service.starts(), 1);
        }
    });
}

#[test]
fn finish_is_run_when_nothing_is_left_and_is_told_the_group() {
    for_each_user(|user| {
        let (service, run, first) = left_behind(user);
        // What the directory says counts at the end of `run`.
        service.scratch.script("web/finish", "kill -0 -$4 2>/dev/null && echo left >>ends; echo \"$@\" >>ends");
        release(&service, first);
        let next = service.wait_restart(run);
        assert!(!lives(first));
        assert_eq!(service.ends(), "told\n");
        let second = helper(&service, Some(first));
        signal(next, "KILL");
        wait_left(&service, ", want up");
        service.wait_ends("told\ntold\n");
        holds_for(Duration::from_millis(500), "it waits", || service.ends() == "told\ntold\n");
        release(&service, second);
        service.wait_ends(&format!("told\ntold\n256 9 web {next}\n"));
    });
}

#[test]
fn what_has_left_the_group_lives_on() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let run = "setsid sh ./helper & echo >>starts; exec sleep 1000";
            let service = Service::new(user, run, &[("kill-mode", mode), ("helper", OBEYS)]).start();
            let (run, helper) = (service.wait_up(), helper(&service, None));
            wait_until("it has", || testkit::group(helper) == Some(helper));
            signal(run, "KILL");
            service.wait_restart(run);
            assert!(lives(helper), "{mode}");
            service.scratch.write("web/helper", "exec sleep 1000");
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            signal(helper, "KILL");
        }
    });
}

/// It would be waited for as long as its parent lives.
#[test]
fn what_has_ended_and_is_not_reaped_by_its_parent_is_not_left() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            // The shell has a child in the group of run, leaves that group and becomes a program that reaps nobody.
            let helper_does = "echo $$ >pid.new; mv pid.new helper.pid; sleep 0.2 & exec setsid sleep 1000";
            let run = "sh ./helper & echo >>starts; exec sleep 1000";
            let service = Service::new(user, run, &[("kill-mode", mode), ("helper", helper_does)]).start();
            let (run, parent) = (service.wait_up(), helper(&service, None));
            // Before that it reaps its children: one of them moves the file.
            wait_until("it has left the group", || testkit::group(parent) == Some(parent));
            let zombie = || testkit::children(parent).into_iter().find(|&child| state(child) == Some('Z'));
            let zombie = wait_for("its child has ended", zombie);
            assert_eq!(testkit::group(zombie), Some(run));
            signal(run, "KILL");
            service.wait_restart(run);
            assert!(lives(parent) && state(zombie) == Some('Z'));
            signal(parent, "KILL");
        }
    });
}

#[test]
fn what_is_left_is_waited_for_by_the_next_supervise() {
    for_each_user(|user| {
        let (mut service, run, helper) = left_behind(user);
        for _ in 0..2 {
            service.kill_supervise();
            service.supervise();
            wait_left(&service, ", want up");
        }
        service.stays(1);
        release(&service, helper);
        service.wait_restart(run);
        service.wait_starts(2);
        assert_eq!(service.ends(), "told\n", "it is told once");
    });
}

#[test]
fn what_was_left_behind_has_its_time_anew_and_is_killed_by_the_next_supervise() {
    for_each_user(|user| {
        let service = helped(user, "group", STUBBORN);
        service.put("timeout-kill", "10m");
        let mut service = service;
        let (run, helper) = (service.wait_up(), helper(&service, None));
        service.svc("-d");
        wait_left(&service, "");
        service.kill_supervise();
        service.put("timeout-kill", "200");
        service.supervise();
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert!(!lives(helper));
        let late = "supervise: warning: unable to end what web has left behind in time, killing process group";
        assert_eq!(service.said(), format!("{late} {run}\n"));
    });
}

#[test]
fn the_finish_that_comes_after_it_is_killed_in_its_time_by_the_next_supervise_too() {
    for_each_user(|user| {
        let mut service = helped(user, "group", HELD);
        service.put("timeout-kill", "10m");
        service.put("timeout-finish", "200");
        service.scratch.script("web/finish", "echo finish >>ends; exec sleep 1000");
        let (run, helper) = (service.wait_up(), helper(&service, None));
        signal(run, "KILL");
        wait_left(&service, ", want up");
        service.kill_supervise();
        service.supervise();
        wait_left(&service, ", want up");
        release(&service, helper);
        service.wait_starts(2);
        assert_eq!(service.ends(), "told\nfinish\n");
    });
}

#[test]
fn what_has_ended_while_nobody_supervised_it_leaves_nothing_behind() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let mut service = helped(user, mode, OBEYS);
            let (run, old) = (service.wait_up(), helper(&service, None));
            service.kill_supervise();
            signal(run, "KILL");
            wait_until("it has ended", || !lives(run));
            service.supervise();
            service.wait_restart(run);
            assert!(!lives(old), "{mode}");
            helper(&service, Some(old));
            assert_eq!(service.said(), "");
        }
    });
}

#[test]
fn the_mode_of_a_copy_that_is_taken_over_holds_whatever_the_file_says_now() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let mut service = helped(user, mode, STUBBORN);
            service.put("timeout-kill", "200");
            let (run, helper) = (service.wait_up(), helper(&service, None));
            service.remove("kill-mode");
            service.kill_supervise();
            service.supervise();
            assert_eq!(service.wait_up(), run);
            service.svc("--reexec");
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert!(!lives(helper), "{mode}");
        }
    });
}

#[test]
fn an_upgrade_goes_on_waiting() {
    for_each_user(|user| {
        let (mut service, run, helper) = left_behind(user);
        // First it is a child of supervise, then that of nobody here.
        for _ in 0..2 {
            for _ in 0..2 {
                let before = service.record().observed.heard;
                service.svc("--reexec");
                assert_eq!(service.wait(&["-c", "--wait=down", "--timeout=50ms"]).code, 1);
                wait_until("it is obeyed", || service.record().observed.heard != before);
                wait_left(&service, ", want up");
            }
            service.kill_supervise();
            service.supervise();
        }
        release(&service, helper);
        service.wait_restart(run);
        service.wait_starts(2);
        assert_eq!(service.ends(), "told\n");
    });
}

#[test]
fn a_new_copy_ends_nothing_but_the_old_one_and_what_is_left_of_it() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let service = helped(user, mode, OBEYS);
            service.put("warmup", "1ms");
            let (run, old) = (service.wait_up(), helper(&service, None));
            assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
            let next = service.wait_restart(run);
            let new = helper(&service, Some(old));
            wait_until("the old one has gone", || !lives(run) && !lives(old));
            assert!(lives(next) && lives(new), "{mode}");
            assert_eq!(testkit::group(new), Some(next));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert!(!lives(new));
        }
    });
}

#[test]
fn no_further_copy_is_started_while_something_is_left_of_an_old_one() {
    for_each_user(|user| {
        let service = helped(user, "group", HELD);
        for (name, value) in [("warmup", "1ms"), ("timeout-kill", "10m")] {
            service.put(name, value);
        }
        let (run, old) = (service.wait_up(), helper(&service, None));
        service.put("helper", OBEYS);
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        let next = service.wait_restart(run);
        let new = helper(&service, Some(old));
        wait_until("the old helper is waited for", || service.svstat().contains(", leftovers pid "));
        // Neither a new copy nor the next life of this one.
        service.svc("-R");
        service.stays(2);
        signal(next, "KILL");
        wait_until("the new helper has ended", || !lives(new));
        wait_left(&service, ", want up");
        service.stays(2);
        release(&service, old);
        service.wait_restart(next);
        service.wait_starts(3);
    });
}

#[test]
fn what_a_copy_that_came_to_nothing_has_left_is_killed() {
    for_each_user(|user| {
        for mode in ["mixed", "group"] {
            let service = helped(user, mode, OBEYS);
            let (run, old) = (service.wait_up(), helper(&service, None));
            for (name, value) in [("helper", STUBBORN), ("warmup", "10m")] {
                service.put(name, value);
            }
            service.svc("-R");
            let new = helper(&service, Some(old));
            signal(testkit::group(new).expect("it lives"), "KILL");
            wait_until("it has ended", || !lives(new));
            assert_eq!((service.wait_up(), lives(old)), (run, true), "{mode}");
        }
    });
}

/// What a file is, how it is made, and what is wrong with it.
type Wrong = (&'static str, fn(&Service), &'static str);

/// Each is a `kill-mode` that says nothing, and why.
fn wrong() -> Vec<Wrong> {
    vec![
        ("another word", |service| service.put("kill-mode", "cgroup\n"), "kill-mode: cgroup: not known"),
        ("nothing", |service| service.put("kill-mode", ""), "kill-mode: it is empty"),
        (
            "two words",
            |service| service.put("kill-mode", "mixed group"),
            "kill-mode: it holds a blank or a second line",
        ),
        ("much", |service| service.put("kill-mode", &"mixed\n".repeat(200_000)), "kill-mode: too large"),
        ("zeros", |service| service.put("kill-mode", "\0\0"), "kill-mode: ??: not known"),
        ("an escape", |service| service.put("kill-mode", "\x1b[2J"), "kill-mode: \\x1b[2J: not known"),
        ("a directory", |service| drop(service.scratch.mkdir("web/kill-mode")), "kill-mode: is a directory"),
        (
            "a FIFO",
            |service| {
                let path = service.scratch.path("web/kill-mode");
                assert_eq!(finish(Command::new("mkfifo").arg("-m").arg("644").arg(path)).code, 0);
            },
            "kill-mode: it is empty",
        ),
        (
            "a link to nothing",
            |service| symlink("nothing", service.scratch.path("web/kill-mode")).expect("a link"),
            "kill-mode: file does not exist",
        ),
        ("of s6", |service| service.put("flag-newpidns", ""), "flag-newpidns: not supported, see kill-mode"),
    ]
}

#[test]
fn a_mode_that_is_not_known_holds_the_start_back_and_says_why_once() {
    for_each_user(|user| {
        testkit::for_each(&wrong(), |&(_, make, why)| {
            let service = Service::new(user, HELPED, &[("helper", OBEYS)]);
            make(&service);
            let service = service.start();
            service.wait_svstat(&format!("down S seconds, normally up, want up, {why}"));
            // It is tried again, and said once.
            service.stays(0);
            assert_eq!(service.said(), format!("supervise: warning: unable to start web: {why}\n"));
            for name in ["kill-mode", "flag-newpidns"] {
                let path = service.scratch.path("web").join(name);
                let _ = fs::remove_dir(&path);
                let _ = fs::remove_file(&path);
            }
            service.wait_starts(1);
        });
    });
}

#[test]
fn a_mode_that_may_not_be_read_holds_the_start_back() {
    let user = if is_root() { User::Ordinary } else { User::Own };
    let service = Service::new(user, HELPED, &[("helper", OBEYS), ("kill-mode", "mixed")]);
    let path = service.scratch.path("web/kill-mode");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let service = service.start();
    service.wait_svstat("down S seconds, normally up, want up, kill-mode: access denied");
    service.stays(0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    service.wait_starts(1);
}

#[test]
fn a_service_that_is_up_is_not_replaced_by_one_whose_mode_is_not_known() {
    for_each_user(|user| {
        let service = helped(user, "mixed", OBEYS);
        let run = service.wait_up();
        service.put("kill-mode", "tree-house");
        let replaced = service.wait(&["-R", "--wait=replaced"]);
        let why = "kill-mode: tree-house: not known";
        assert!(replaced.code == 1 && replaced.err().contains(why), "{}", replaced.err());
        assert_eq!(service.wait_up(), run);
        // When it ends it is not started again.
        signal(run, "KILL");
        service.wait_svstat(&format!("down S seconds, normally up, want up, {why}"));
        service.stays(1);
    });
}

#[test]
fn the_flag_of_s6_asks_for_the_mode_mixed() {
    for_each_user(|user| {
        for (mode, group) in [(None, true), (Some("process"), false)] {
            let service = Service::new(user, HELPED, &[("helper", OBEYS), ("flag-timeout-killpg", "")]);
            mode.into_iter().for_each(|mode| service.put("kill-mode", mode));
            let service = service.start();
            let (run, helper) = (service.wait_up(), helper(&service, None));
            assert_eq!(testkit::group(run) == Some(run), group);
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert_eq!(lives(helper), !group, "{mode:?}");
            if !group {
                signal(helper, "KILL");
            }
        }
    });
}

/// What an ill service has made goes with it, or is waited for.
#[test]
fn an_unhealthy_service_is_told_to_end_as_the_mode_says() {
    for_each_user(|user| {
        for (mode, told) in [("mixed", ""), ("group", "told\n")] {
            let service = Service::new(
                user,
                HELPED,
                &[("kill-mode", mode), ("helper", HELD), ("health-interval", "1s"), ("health-fails", "1")],
            );
            service.scratch.script("web/health", "[ -e helper.pid ] || exit 0; [ ! -e sick ]");
            let service = service.start();
            let run = service.wait_up();
            let old = helper(&service, None);
            service.put("sick", "");
            wait_until("it is told to end", || !lives(run));
            wait_until("so is its helper, or killed", || service.ends() == told);
            service.remove("sick");
            if mode == "group" {
                release(&service, old);
            }
            service.wait_restart(run);
        }
    });
}

/// It costs a service without the file nothing that it is there for others.
#[test]
fn a_service_without_the_file_makes_no_further_call_at_a_restart() {
    if needs_program("strace").is_none() {
        return;
    }
    let service = Service::new(User::Own, "echo >>starts; exec sleep 1000", &[]).start();
    let run = service.wait_up();
    let supervise = testkit::parent(run).expect("it lives");
    // A directory that was changed a moment ago is looked at again, until the time of the change can be relied on.
    holds_for(Duration::from_secs(4), "it lives", || lives(run));
    signal(run, "KILL");
    let run = service.wait_restart(run);
    let mut strace = Command::new("strace");
    let calls = service.scratch.path("calls");
    strace.arg("-qq").arg("-o").arg(&calls).args(["-p", &supervise.to_string()]);
    let mut strace = testkit::start(&mut strace);
    wait_until("it is traced", || {
        let status = fs::read_to_string(format!("/proc/{supervise}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    });
    // More than a second after its start, so that it is started again at once.
    holds_for(Duration::from_millis(1200), "it lives", || lives(run));
    signal(run, "KILL");
    service.wait_restart(run);
    strace.signal("INT");
    strace.end();
    let calls = fs::read_to_string(calls).expect("a trace");
    for none in ["waitid(", "setpgid(", "prctl(", "pidfd_open(", "kill(", "kill-mode", "flag-", "/proc/"] {
        assert!(!calls.contains(none), "{none}: {calls}");
    }
    // As built for musl, it is another call.
    let looks = calls.lines().filter(|call| call.contains("stat") && call.contains("\".\",")).count();
    assert_eq!(looks, 1, "{calls}");
}
