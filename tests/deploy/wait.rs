//! `svc --wait`: it returns when the services are there, or says which is not and why.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use svdir::{Mark, Record};

use testkit::{
    Finished, Running, Scratch, Suite, finish, holds_for, needs_original, start, wait_rest, wait_until, watches,
};

use super::sockets::stands_still;
use super::world::{lines, pid, svc, svstat, wait_down, wait_up};

const SLEEPER: &str = "exec sleep 1000";
/// Takes a moment to end, and a moment until it is ready.
const SLOW: &str = "trap 'sleep 0.2; exit' TERM; sleep 0.2; echo >&7; while :; do sleep 1000 & wait; done";

fn supervise(scratch: &Scratch, dir: &str) -> Running {
    scratch.start("supervise", "supervise", &[dir])
}

#[track_caller]
fn wait_supervised(scratch: &Scratch, dir: &str) {
    wait_until("a supervise runs", || scratch.run("svok", &[dir]).code == 0);
}

/// What its supervise has written.
#[track_caller]
fn record(scratch: &Scratch, dir: &str) -> Record {
    testkit::record(scratch.path(dir)).expect("a record")
}

#[track_caller]
fn succeeds(ran: &Finished) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (0, "", ""));
}

/// Waits until this client waits for its service.
#[track_caller]
fn waits(client: &mut Running) {
    wait_until("it watches", || watches(client.pid()) > 0);
    holds_for(Duration::from_millis(300), "it waits", || client.ended().is_none());
}

#[track_caller]
fn fails(ran: &Finished, lines: &[&str]) {
    let expected: String = lines.iter().map(|line| format!("svc: warning: {line}\n")).collect();
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (1, "", expected.as_str()));
}

#[test]
fn a_command_has_had_its_effect_when_the_wait_is_over() {
    let scratch = Scratch::new();
    scratch.service("a", SLOW);
    scratch.write("a/notification-fd", "7");
    let _supervise = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    for round in 0..3 {
        succeeds(&scratch.run("svc", &["--wait=ready", "-u", "a"]));
        let before = pid(&scratch, "a");
        assert!(before.is_some() && svstat(&scratch, "a").contains(", ready "), "{round}");
        for restart in ["-t", "-r", "-k"] {
            let before = pid(&scratch, "a");
            succeeds(&scratch.run("svc", &[restart, "--wait=ready", "--timeout=1m", "a"]));
            let after = pid(&scratch, "a");
            assert!(after.is_some() && after != before, "{restart}: {before:?} {after:?}");
            assert!(svstat(&scratch, "a").contains(", ready "));
        }
        succeeds(&scratch.run("svc", &["-d", "--wait=down", "a"]));
        assert!(svstat(&scratch, "a").starts_with("down "));
    }
}

#[test]
fn up_does_not_wait_for_ready_and_ready_is_up_where_nothing_is_declared() {
    let scratch = Scratch::new();
    scratch.service("a", "while ! test -e go; do sleep 0.01; done; echo >&7; exec sleep 1000");
    scratch.write("a/notification-fd", "7");
    scratch.service("b", SLEEPER);
    let (_a, _b) = (supervise(&scratch, "a"), supervise(&scratch, "b"));
    wait_supervised(&scratch, "a");
    wait_supervised(&scratch, "b");
    succeeds(&scratch.run("svc", &["--wait=up", "a", "b"]));
    assert!(!svstat(&scratch, "a").contains("ready"));
    succeeds(&scratch.run("svc", &["--wait=ready", "b"]));
    let mut waiting = scratch.start("svc", "svc", &["--wait=ready", "a", "b"]);
    waits(&mut waiting);
    scratch.write("a/go", "");
    assert_eq!(waiting.end(), 0);
}

#[test]
fn each_service_that_is_not_there_gets_a_line() {
    let scratch = Scratch::new();
    for dir in ["up", "deaf", "never", "gone"] {
        scratch.service(dir, SLEEPER);
    }
    scratch.service("deaf", "trap '' TERM; echo deaf; while :; do sleep 1000; done");
    let (_up, _deaf, mut gone) = (supervise(&scratch, "up"), supervise(&scratch, "deaf"), supervise(&scratch, "gone"));
    for dir in ["up", "deaf", "gone"] {
        wait_up(&scratch, dir);
    }
    let deaf = pid(&scratch, "deaf").expect("it is up");
    wait_until("it is deaf", || lines(&scratch, "supervise.out") == 1);
    svc(&scratch, "-dx", "gone");
    assert_eq!(gone.end(), 0);
    let ran = scratch.run("svc", &["-d", "--wait=down", "--timeout=300ms", "never", "up", "gone", "missing", "deaf"]);
    let timed_out = format!("unable to wait for deaf to be down: timed out, it is up (pid {deaf}) and was told to end");
    fails(
        &ran,
        &[
            "unable to control never: file does not exist",
            "unable to control gone: supervise not running",
            "unable to chdir to missing: file does not exist",
            &timed_out,
        ],
    );
    assert!(svstat(&scratch, "up").starts_with("down "));
}

#[test]
fn a_timeout_of_nothing_looks_once() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch, "a");
    let child = wait_up(&scratch, "a");
    succeeds(&scratch.run("svc", &["--wait=up", "--timeout=0", "a"]));
    let line = format!("unable to wait for a to be down: timed out, it is up (pid {child})");
    fails(&scratch.run("svc", &["--wait=down", "--timeout=0", "a"]), &[&line]);
}

#[test]
fn what_nobody_wants_up_is_not_waited_for_by_who_has_commanded_it() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.write("a/down", "");
    let _supervise = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    fails(&scratch.run("svc", &["-t", "--wait=up", "a"]), &["unable to wait for a to be up: it is down"]);
    // Without a command it is somebody else who will start it.
    let mut waiting = scratch.start("svc", "svc", &["--wait=up", "a"]);
    waits(&mut waiting);
    svc(&scratch, "-o", "a");
    assert_eq!(waiting.end(), 0);
}

#[test]
fn a_supervise_that_leaves_is_down() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["--wait=down", "a"]);
    waits(&mut waiting);
    let mut hoping = scratch.start("hoping", "svc", &["-u", "--wait=ready", "--timeout=1h", "a"]);
    assert_eq!(hoping.end(), 0);
    succeeds(&scratch.run("svc", &["-dx", "--wait=down", "a"]));
    assert_eq!((supervise.end(), waiting.end()), (0, 0));
}

#[test]
fn who_waits_for_more_is_told_that_supervise_has_left() {
    let scratch = Scratch::new();
    scratch.service("a", "while :; do sleep 1000; done");
    scratch.script("a/check", "exit 1");
    let mut supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["--wait=ready", "a"]);
    waits(&mut waiting);
    svc(&scratch, "-dx", "a");
    assert_eq!((supervise.end(), waiting.end()), (0, 1));
    assert_eq!(scratch.text("svc.err"), "svc: warning: unable to wait for a to be ready: supervise has exited\n");
}

#[test]
fn a_successor_of_a_killed_supervise_is_waited_for_and_obeys_what_is_left() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut first = supervise(&scratch, "a");
    let child = wait_up(&scratch, "a");
    // It is stopped, so the command stays in the FIFO.
    first.signal("STOP");
    let mut waiting = scratch.start("svc", "svc", &["-t", "--wait=up", "a"]);
    waits(&mut waiting);
    first.signal("KILL");
    first.end();
    let _second = supervise(&scratch, "a");
    assert_eq!((waiting.end(), scratch.text("svc.err").as_str()), (0, ""));
    assert!(pid(&scratch, "a").is_some_and(|pid| pid != child));
}

#[test]
fn a_killed_supervise_without_a_successor_is_told_of() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["--wait=down", "a"]);
    waits(&mut waiting);
    supervise.signal("KILL");
    supervise.end();
    assert_eq!(waiting.end(), 1);
    let line = "svc: warning: unable to wait for a to be down: supervise was killed, and no other was started\n";
    assert_eq!(scratch.text("svc.err"), line);
}

#[test]
fn many_that_wait_at_once_do_not_miss_their_marks() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    for _ in 0..5 {
        let mut clients: Vec<Running> =
            (0..20).map(|_| scratch.start("svc", "svc", &["-1h", "-u", "--wait=up", "a"])).collect();
        for client in &mut clients {
            assert_eq!(client.end(), 0, "{}", scratch.text("svc.err"));
        }
    }
    assert_eq!(scratch.text("svc.err"), "");
}

#[test]
fn the_end_of_a_wait_is_told_by_the_kernel_and_not_looked_for() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["--wait=down", "a"]);
    let switches = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:").map(str::trim));
        line.and_then(|count| count.parse::<u64>().ok())
    };
    waits(&mut waiting);
    wait_rest("it sleeps for half a second", Duration::from_millis(500), || switches(waiting.pid()));
    assert_eq!(waiting.ended(), None);
    svc(&scratch, "-d", "a");
    assert_eq!(waiting.end(), 0);
}

#[test]
fn the_supervise_of_another_suite_is_not_waited_for() {
    let Some(original) = needs_original() else {
        return;
    };
    let scratch = Scratch::with(Suite::under_test());
    scratch.service("a", SLEEPER);
    let _supervise = start(original.command("supervise").arg("a").current_dir(scratch.root()));
    wait_up(&scratch, "a");
    let line = "unable to wait for a: its supervise is of another suite or an older version";
    fails(&scratch.run("svc", &["-d", "--wait=down", "a"]), &[line]);
    assert!(svstat(&scratch, "a").starts_with("up "), "nothing was sent");
    svc(&scratch, "-dx", "a");
    wait_until("it has left", || svstat(&scratch, "a") == "supervise not running");
}

#[test]
fn a_state_or_time_that_is_none_is_wrong_usage_and_named() {
    let scratch = Scratch::new();
    let states = "neither up, down, ready nor replaced";
    for (word, line) in [
        ("--wait=happy", format!("svc: fatal: unknown state happy: {states}\n")),
        ("--wait=U", format!("svc: fatal: unknown state U: {states}\n")),
        ("--wait=", format!("svc: fatal: unknown state : {states}\n")),
        ("--timeout=x", "svc: fatal: wrong time x: not a number with ms, s, m, h or nothing behind it\n".to_owned()),
        ("--timeout=-1", "svc: fatal: wrong time -1: negative number\n".to_owned()),
        ("--timeout=", "svc: fatal: wrong time : it is empty\n".to_owned()),
    ] {
        let ran = scratch.run("svc", &["-d", word, "a"]);
        assert_eq!((ran.code, ran.err()), (100, line));
    }
    let ran = scratch.run("svc", &["-d", "--timeout"]);
    let (first, second) = ran.err().split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two lines");
    assert_eq!((ran.code, first.as_str()), (100, "svc: option requires an argument --timeout"));
    assert!(second.starts_with("svc options: u up, d down, "), "{second}");
    let begin = Instant::now();
    for time in ["--timeout=1h", "--timeout=600.5", "--timeout=.5h"] {
        succeeds(&scratch.run("svc", &["--wait=up", time]));
    }
    assert!(begin.elapsed() < Duration::from_secs(600), "nothing to wait for");
}

#[test]
fn a_service_that_ends_at_once_is_not_waited_for_for_ever() {
    let scratch = Scratch::new();
    scratch.service("a", "exit 0");
    scratch.write("a/down", "");
    let _supervise = supervise(&scratch, "a");
    wait_down(&scratch, "a");
    let ran = scratch.run("svc", &["-o", "--wait=up", "a"]);
    assert!(ran.code == 0 || ran.err() == "svc: warning: unable to wait for a to be up: it is down\n", "{}", ran.err());
}

#[test]
fn a_service_is_waited_for_where_its_bare_name_leads() {
    let scratch = Scratch::new();
    scratch.service("scan/a", SLEEPER);
    scratch.mkdir("elsewhere");
    let _supervise = supervise(&scratch, "scan/a");
    wait_up(&scratch, "scan/a");
    for words in [["-d", "--wait=down"], ["-u", "--wait=up"], ["-d", "--wait=down"]] {
        let mut client = scratch.command("svc", &[words[0], words[1], "--timeout=20", "a"]);
        client.env("SVDIR", scratch.path("scan")).current_dir(scratch.path("elsewhere"));
        succeeds(&finish(&mut client));
    }
    // Messages say what the operator said.
    let mut client = scratch.command("svc", &["--wait=up", "--timeout=0", "a"]);
    let ran = finish(client.env("SVDIR", scratch.path("scan")).current_dir(scratch.path("elsewhere")));
    fails(&ran, &["unable to wait for a to be up: timed out, it is down"]);
}

#[test]
fn a_service_whose_state_is_elsewhere_is_waited_for_there() {
    for state in ["state", "/"] {
        let scratch = Scratch::new();
        scratch.service("scan/a", SLEEPER);
        let state = if state == "/" { scratch.mkdir("run") } else { state.into() };
        let mut command = scratch.command("supervise", &["scan/a"]);
        let _supervise = start(command.env("SUPERVISEDIR", &state));
        let client = |words: &[&str]| {
            let mut client = scratch.command("svc", words);
            finish(client.env("SUPERVISEDIR", &state).env("SVDIR", scratch.path("scan")))
        };
        wait_until("it is up", || client(&["--wait=up", "--timeout=1", "a"]).code == 0);
        succeeds(&client(&["-d", "--wait=down", "--timeout=20", "a"]));
        succeeds(&client(&["-u", "--wait=up", "--timeout=20", "scan/a"]));
    }
}

#[test]
fn a_service_that_gets_another_name_is_still_waited_for() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["--wait=down", "a"]);
    waits(&mut waiting);
    std::fs::rename(scratch.path("a"), scratch.path("b")).expect("a directory of ours");
    svc(&scratch, "-d", "b");
    assert_eq!((waiting.end(), scratch.text("svc.err").as_str()), (0, ""));
}

/// The control FIFO of a service, open for reading too, once a client has written letters that its supervise has not read.
#[track_caller]
fn wait_told(scratch: &Scratch, dir: &str) -> File {
    let fifo =
        File::options().read(true).write(true).open(scratch.path(dir).join("supervise/control")).expect("a FIFO");
    wait_until("letters were sent", || sys::fd::has_unread(fifo.as_fd()));
    fifo
}

#[test]
fn a_supervise_that_has_left_is_followed_by_one_that_knows_of_nothing() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.write("a/down", "");
    let mut first = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    // All of this happens before the client gets to run again.
    first.signal("STOP");
    wait_until("it stands still", || stands_still(first.pid()));
    let mut waiting = scratch.start("svc", "svc", &["-dx", "--wait=down", "--timeout=20", "a"]);
    let fifo = wait_told(&scratch, "a");
    waiting.signal("STOP");
    wait_until("it stands still", || stands_still(waiting.pid()));
    drop(fifo);
    first.signal("CONT");
    assert_eq!(first.end(), 0);
    let _second = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    waiting.signal("CONT");
    assert_eq!((waiting.end(), scratch.text("svc.err").as_str()), (0, ""));
}

#[test]
fn a_supervise_that_was_killed_before_it_told_what_it_had_read_is_not_waited_for() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let mut first = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    first.signal("STOP");
    wait_until("it stands still", || stands_still(first.pid()));
    let mut waiting = scratch.start("svc", "svc", &["-u", "--wait=up", "--timeout=20", "a"]);
    let mut fifo = wait_told(&scratch, "a");
    // What it would have read.
    let mut letters = [0; 1 + Mark::SIZE];
    fifo.read_exact(&mut letters).expect("they are there");
    assert_eq!(letters[0], b'u');
    drop(fifo);
    first.signal("KILL");
    first.end();
    let _second = supervise(&scratch, "a");
    assert_eq!((waiting.end(), scratch.text("svc.err").as_str()), (0, ""));
}

#[test]
fn a_supervise_that_leaves_tells_that_it_has_read_what_stands_behind() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    scratch.write("a/down", "");
    let mut supervise = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    let mark = Mark::new(7);
    let mut fifo = File::options().write(true).open(scratch.path("a/supervise/control")).expect("a FIFO");
    fifo.write_all(&[b"xu".as_slice(), &mark.bytes()].concat()).expect("it is read");
    assert_eq!(supervise.end(), 0);
    let record = record(&scratch, "a");
    assert_eq!((record.pid(), record.observed.supervise.exited, record.observed.mark), (None, true, mark));
}

#[test]
fn one_that_is_replaced_by_somebody_elses_copy_is_not_replaced() {
    let scratch = Scratch::new();
    let run =
        "test -e broken && exit 1; echo >>passed; while ! test -e go; do sleep 0.01; done; echo >&7; exec sleep 1000";
    scratch.service("a", run);
    scratch.write("a/notification-fd", "7");
    let go = scratch.write("a/go", "");
    let _supervise = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    succeeds(&scratch.run("svc", &["--wait=ready", "--timeout=20", "a"]));
    std::fs::remove_file(&go).expect("it is there");
    svc(&scratch, "-R", "a");
    wait_until("the new copy is not the broken one", || lines(&scratch, "a/passed") == 2);
    scratch.write("a/broken", "");
    let before = pid(&scratch, "a");
    let mut waiting = scratch.start("svc", "svc", &["-R", "--wait=replaced", "--timeout=20", "a"]);
    wait_until("it is heard", || record(&scratch, "a").decided.service.replace_due);
    scratch.write("a/go", "");
    assert_eq!(waiting.end(), 1);
    let now = wait_up(&scratch, "a");
    assert_ne!(Some(now), before, "the first new copy serves");
    let line = format!("svc: warning: unable to wait for a to be replaced: it is up (pid {now}), pid ");
    let told = scratch.text("svc.err");
    assert!(told.starts_with(&line) && told.ends_with(" exited 1 before it was ready\n"), "{told}");
}

#[test]
fn a_record_that_is_written_in_place_is_seen() {
    let scratch = Scratch::new();
    scratch.service("a", SLEEPER);
    let _supervise = supervise(&scratch, "a");
    wait_up(&scratch, "a");
    // As on a disk that is full: no new file can take the place of the old one.
    scratch.mkdir("a/supervise/status.new");
    let mut waiting = scratch.start("svc", "svc", &["--wait=down", "--timeout=20", "a"]);
    waits(&mut waiting);
    succeeds(&scratch.run("svc", &["-d", "--wait=down", "--timeout=20", "a"]));
    assert_eq!((waiting.end(), scratch.text("svc.err").as_str()), (0, ""));
    let warning = "supervise: warning: unable to open a/supervise/status.new: ";
    assert!(scratch.text("supervise.err").starts_with(warning), "{}", scratch.text("supervise.err"));
}

#[test]
fn more_services_are_waited_for_than_files_may_be_open_at_first() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    for name in &names {
        scratch.service(name, SLEEPER);
        scratch.write(format!("{name}/down"), "");
    }
    let _supervises: Vec<Running> = names.iter().map(|name| supervise(&scratch, name)).collect();
    names.iter().for_each(|name| wait_supervised(&scratch, name));
    let svc = scratch.command("svc", &["-u", "--wait=up", "--timeout=20"]);
    let mut limited = std::process::Command::new("/bin/sh");
    limited.args(["-c", "ulimit -Sn 12 && exec \"$@\"", "sh"]).arg(svc.get_program()).args(svc.get_args());
    succeeds(&finish(limited.args(&names).current_dir(scratch.root())));
}

#[test]
fn a_service_that_is_refused_what_it_needs_tells_why() {
    let scratch = Scratch::new();
    let port = &testkit::address();
    let taken = std::net::TcpListener::bind(port).expect("a free address");
    scratch.service("a", SLEEPER);
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/down", "");
    let _supervise = supervise(&scratch, "a");
    wait_supervised(&scratch, "a");
    svc(&scratch, "-u", "a");
    wait_until("it is refused", || record(&scratch, "a").why().is_some());
    let refused = "it is down and will be started, sockets/web: address already used";
    let line = format!("unable to wait for a to be ready: timed out, {refused}");
    fails(&scratch.run("svc", &["--wait=ready", "--timeout=0", "a"]), &[&line]);
    drop(taken);
    succeeds(&scratch.run("svc", &["--wait=ready", "--timeout=20", "a"]));
}
