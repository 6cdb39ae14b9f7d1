//! The status file, and svstat on services at work.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::{Scratch, lives, needs_program, start, wait_until};

use super::world::{MORTAL, NOTING, Record, Service, has_reader, scratch, svstat};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_started_service_is_recorded_with_pid_stamp_and_want() {
    let scratch = scratch();
    let before = now();
    let service = Service::new(&scratch, "a", NOTING);
    let pid = service.wait_started();
    let record = service.record();
    assert_eq!((record.pid, record.paused, record.want), (pid, 0, b'u'));
    assert!((before..=now()).contains(&record.seconds()), "{record:?}");
}

#[test]
fn a_stamp_has_microseconds_and_ends_in_500() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let mut pid = 0;
    for _ in 0..2 {
        pid = service.wait_restart(pid);
        let stamp = service.record().stamp;
        let nanos = u32::from_be_bytes([stamp[8], stamp[9], stamp[10], stamp[11]]);
        assert!(nanos < 1_000_000_000 && nanos % 1000 == 500, "{nanos}");
        service.svc("k");
    }
}

#[test]
fn a_service_that_was_never_up_is_recorded_as_down() {
    let scratch = scratch();
    let before = now();
    let service = Service::down(&scratch, "a", MORTAL);
    let record = service.record();
    assert_eq!((record.pid, record.paused, record.want), (0, 0, b'd'));
    assert!((before..=now()).contains(&record.seconds()), "{record:?}");
}

#[test]
fn the_stamp_changes_with_the_pid_and_not_with_commands() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    let started = service.record();
    for (letter, paused, want) in [("o", 0, 0), ("p", 1, 0), ("u", 1, b'u'), ("c", 0, b'u'), ("x", 0, b'u')] {
        service.svc(letter);
        let record = service.wait_record(letter, |record| (record.paused, record.want) == (paused, want));
        assert_eq!((record.stamp, record.pid), (started.stamp, started.pid), "{letter}");
    }
    service.svc("d");
    let died = service.wait_down();
    assert!(died.stamp > started.stamp);
}

#[test]
fn a_command_that_may_change_the_status_writes_it_anew() {
    let scratch = scratch();
    for letter in ["u", "d", "o", "p", "c", "x"] {
        // It ignores TERM, so that d ends nothing.
        let service = Service::new(&scratch, letter, "trap '' TERM; echo >ready; exec sleep 100000");
        service.wait_up();
        service.wait_file("ready", "\n");
        let status = service.dir.join("supervise/status");
        // The first time it may be the start that writes it.
        for _ in 0..3 {
            fs::remove_file(&status).expect("it is there");
            service.svc(letter);
            let record = testkit::wait_for("it is written", || Record::read(&service.dir));
            assert_ne!(record.pid, 0, "{letter}");
        }
    }
}

#[test]
fn a_command_to_a_down_service_writes_the_status_anew() {
    let scratch = scratch();
    for letter in ["d", "p", "c"] {
        let service = Service::down(&scratch, letter, MORTAL);
        let before = service.record();
        fs::remove_file(service.dir.join("supervise/status")).expect("it is there");
        service.svc(letter);
        assert_eq!(testkit::wait_for("it is written", || Record::read(&service.dir)), before, "{letter}");
    }
}

#[test]
fn a_reader_never_sees_a_part_of_a_record() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    let control = service.control();
    for (letter, paused) in [(b"p", 1), (b"c", 0)].repeat(100) {
        (&control).write_all(letter).expect("supervise reads it");
        // As often as it can while that is written. `record` fails on a file that is missing or too short.
        wait_until("the state is seen", || {
            (0..100).any(|_| {
                let record = service.record();
                assert_eq!((record.pid, record.want), (pid, b'u'));
                record.paused == paused
            })
        });
    }
}

#[test]
fn the_status_of_a_dead_supervise_stays() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    let before = service.record();
    service.supervise.signal("KILL");
    service.end();
    assert_eq!(service.record(), before);
    assert_eq!(service.svstat(), "supervise not running");
    testkit::signal(pid, "KILL");
}

#[test]
fn svstat_tells_every_state_of_a_service_at_work() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", "trap '' TERM\necho >ready\nexec sleep 100000");
    service.wait_file("ready", "\n");
    let tells = |letters: &str, normally_up: &str, normally_down: &str| {
        service.svc(letters);
        let tells = |expected: &str| {
            wait_until(&format!("after {letters} it is {expected}, not {}", service.svstat()), || {
                service.svstat() == expected
            });
        };
        tells(normally_up);
        scratch.write("a/down", "");
        tells(normally_down);
        fs::remove_file(scratch.path("a/down")).expect("it is there");
    };
    let up = "up (pid N) S seconds";
    let down = "down S seconds";
    let with = |head: &str, rest: &str| format!("{head}{rest}");
    tells("u", up, &with(up, ", normally down"));
    tells("p", &with(up, ", paused"), &with(up, ", normally down, paused"));
    tells("c", up, &with(up, ", normally down"));
    tells("o", up, &with(up, ", normally down"));
    tells("p", &with(up, ", paused"), &with(up, ", normally down, paused"));
    tells("d", &with(up, ", want down"), &with(up, ", normally down, want down"));
    tells("p", &with(up, ", paused, want down"), &with(up, ", normally down, paused, want down"));
    tells("k", &with(down, ", normally up"), down);
    tells("o", up, &with(up, ", normally down"));
    tells("k", &with(down, ", normally up"), down);
    tells("p", &with(down, ", normally up"), down);
}

#[test]
fn svstat_tells_of_a_service_that_shall_be_up_but_cannot_be_started_yet() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    // It leaves while want is up: the only lasting record of a down service that wants up.
    service.svc("xk");
    assert_eq!(service.end(), 0);
    let record = service.record();
    assert_eq!((record.pid, record.want), (0, b'u'));
    let _reader = sys::fd::open_read(&service.dir.join("supervise/ok")).expect("a FIFO");
    assert_eq!(service.svstat(), "down S seconds, normally up, want up");
    scratch.write("a/down", "");
    assert_eq!(service.svstat(), "down S seconds, want up");
}

#[test]
fn svok_tells_whether_a_supervise_runs_whatever_the_service_does() {
    let scratch = scratch();
    scratch.service("a", MORTAL);
    assert_eq!(scratch.run("svok", &["a"]).code, 100);
    let mut service = Service::down(&scratch, "a", MORTAL);
    assert_eq!(scratch.run("svok", &["a"]).code, 0);
    service.svc("u");
    service.wait_up();
    assert_eq!(scratch.run("svok", &["a"]).code, 0);
    service.svc("dx");
    assert_eq!(service.end(), 0);
    assert_eq!(scratch.run("svok", &["a"]).code, 100);
}

/// Supervises `a`, whose status cannot be written, until `warning` was said; the service runs all the same.
fn warned(scratch: &Scratch, warning: &str) {
    let mut service = scratch.start("a", "supervise", &["a"]);
    wait_until(&format!("{warning}, not {}", scratch.text("a.err")), || {
        scratch.text("a.err").lines().any(|line| line == format!("supervise: warning: {warning}"))
    });
    wait_until("it runs", || !scratch.text("a/started").is_empty() && has_reader(&scratch.path("a")));
    let pid = scratch.text("a/started").trim().parse().expect("a pid");
    assert!(lives(pid) && service.ended().is_none());
    assert_eq!(scratch.run("svc", &["-x", "a"]).err(), "");
    assert_eq!(scratch.run("svc", &["-k", "a"]).err(), "");
    assert_eq!(service.end(), 0);
    let others = scratch.text("a.err");
    assert!(others.lines().all(|line| line == format!("supervise: warning: {warning}")), "{others}");
}

#[test]
fn a_status_that_cannot_be_opened_is_a_warning() {
    let scratch = scratch();
    scratch.service("a", NOTING);
    scratch.mkdir("a/supervise/status.new");
    warned(&scratch, "unable to open a/supervise/status.new: is a directory");
    assert_eq!(svstat(&scratch, "a"), "supervise not running");
}

#[test]
fn a_status_that_cannot_be_renamed_is_a_warning() {
    let scratch = scratch();
    scratch.service("a", NOTING);
    scratch.mkdir("a/supervise/status");
    warned(&scratch, "unable to rename a/supervise/status.new to status: is a directory");
    assert!(Path::new(&scratch.path("a/supervise/status")).is_dir());
}

#[test]
fn a_status_that_is_written_in_part_is_a_warning_and_not_used() {
    let Some(prlimit) = needs_program("prlimit") else { return };
    let scratch = scratch();
    scratch.service("a", "exec sleep 100000");
    let mut command = Command::new(prlimit);
    command.arg("--fsize=10").arg(scratch.suite().path("supervise")).arg("a").current_dir(scratch.root());
    // Its messages go into a pipe: the limit is one on files.
    let mut supervise = start(command.stderr(std::process::Stdio::piped()));
    let mut stderr = std::io::BufReader::new(supervise.child().stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).expect("a line");
    assert_eq!(line, "supervise: warning: unable to write a/supervise/status.new: partial write\n");
    wait_until("it runs", || has_reader(&scratch.path("a")));
    assert!(!scratch.path("a/supervise/status").exists());
    assert_eq!(scratch.run("svc", &["-dx", "a"]).err(), "");
    assert_eq!(supervise.end(), 0);
}
