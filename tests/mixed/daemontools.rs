//! Ours and daemontools 0.76, each as supervisor with the other as client.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use testkit::{Suite, holds_for, lives, needs_original, start, state, wait_for, wait_until};

use crate::pair::{both_ways, ours};
use crate::world::{MORTAL, NOTING, Record, has_reader, scratch, supervise_of};

#[test]
fn clients_of_one_suite_command_and_see_the_supervise_of_the_other() {
    both_ways(|pair| {
        pair.scratch.service("a", MORTAL);
        pair.wait_svstat("unable to open supervise/ok: file does not exist");
        pair.scratch.write("a/down", "");
        let mut supervise = pair.supervise(&pair.supervisor);
        pair.wait_svstat("down S seconds");
        for (letters, expected) in [
            ("u", "up (pid N) S seconds, normally down"),
            ("p", "up (pid N) S seconds, normally down, paused"),
            ("c", "up (pid N) S seconds, normally down"),
            ("t", "up (pid N) S seconds, normally down"),
            ("d", "down S seconds"),
            ("o", "up (pid N) S seconds, normally down"),
            ("k", "down S seconds"),
            ("pud", "down S seconds"),
        ] {
            pair.svc(letters);
            pair.wait_svstat(expected);
        }
        fs::remove_file(pair.scratch.path("a/down")).expect("it is there");
        pair.wait_svstat("down S seconds, normally up");
        pair.svc("x");
        assert_eq!(supervise.end(), 0);
        pair.wait_svstat("supervise not running");
    });
}

#[test]
fn signals_of_the_client_of_one_suite_reach_the_service_of_the_other() {
    both_ways(|pair| {
        pair.scratch.service("a", NOTING);
        let _supervise = pair.supervise(&pair.supervisor);
        let dir = pair.scratch.path("a");
        let pid = wait_for("it is up", || Record::read(&dir).map(|record| record.pid).filter(|&pid| pid != 0));
        wait_until("it has started", || pair.scratch.text("a/started") == format!("{pid}\n"));
        let mut expected = String::new();
        for (letter, name) in [("h", "HUP"), ("a", "ALRM"), ("t", "TERM"), ("i", "INT"), ("d", "TERM")] {
            pair.svc(letter);
            expected.push_str(&format!("{name}\n"));
            wait_until(name, || pair.scratch.text("a/signals") == expected);
        }
        pair.wait_svstat("up (pid N) S seconds, want down");
        pair.svc("p");
        wait_until("it is stopped", || state(pid) == Some('T'));
        pair.wait_svstat("up (pid N) S seconds, paused, want down");
    });
}

#[test]
fn two_supervises_of_different_suites_exclude_each_other() {
    both_ways(|pair| {
        pair.scratch.service("a", MORTAL);
        let _supervise = pair.supervise(&pair.supervisor);
        let second = pair.run(&pair.client, "supervise", &[]);
        assert_eq!(second.code, 111);
        assert_eq!(second.err(), "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n");
        pair.wait_svstat("up (pid N) S seconds");
    });
}

#[test]
fn one_suite_takes_over_the_service_directory_that_the_other_left() {
    both_ways(|pair| {
        pair.scratch.service("a", MORTAL);
        let suites = [&pair.supervisor, &pair.client, &pair.supervisor];
        for suite in suites {
            let mut supervise = pair.supervise(suite);
            pair.wait_svstat("up (pid N) S seconds");
            pair.svc("d");
            pair.wait_svstat("down S seconds, normally up");
            pair.svc("x");
            assert_eq!(supervise.end(), 0);
        }
        assert!(pair.dir().join("a/supervise/status").exists());
    });
}

/// Scans `service` by the svscan of one suite with that of `first` first on PATH; returns the executable of the
/// supervise that it starts.
fn started(svscan: &Suite, first: &Suite) -> std::path::PathBuf {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    let mut command = svscan.command("svscan");
    command.arg("service").current_dir(scratch.root()).env("PATH", first.search_path());
    let _svscan = start(command.stdin(Stdio::null()).stderr(Stdio::null()));
    let dir = scratch.path("service/a");
    wait_until("a supervise runs", || has_reader(&dir));
    let pid = supervise_of(&scratch, &dir).expect("it runs");
    fs::read_link(format!("/proc/{pid}/exe")).expect("it lives")
}

#[test]
fn svscan_of_the_original_starts_our_supervise_where_path_says_so() {
    let Some(original) = needs_original() else { return };
    let expected = fs::canonicalize(ours().path("supervise")).expect("it is built");
    assert_eq!(started(&original, &ours()), expected);
}

#[test]
fn our_svscan_starts_the_supervise_beside_it_whatever_path_says() {
    let Some(original) = needs_original() else { return };
    let expected = fs::canonicalize(ours().path("supervise")).expect("it is built");
    assert_eq!(started(&ours(), &original), expected);
}

#[test]
fn either_svscan_leaves_the_services_of_the_other_alone() {
    let Some(original) = needs_original() else { return };
    for (first, second) in [(ours(), original.clone()), (original, ours())] {
        let scratch = scratch();
        scratch.service("service/a", MORTAL);
        let scan = |suite: &Suite, errors: &str| {
            let stderr = fs::File::create(scratch.path(errors)).expect("a file");
            let mut command = suite.command("svscan");
            command.arg("service").current_dir(scratch.root());
            start(command.stdin(Stdio::null()).stderr(stderr))
        };
        let dir = scratch.path("service/a");
        let mut one = scan(&first, "first");
        let pid = wait_for("it is up", || Record::read(&dir).map(|record| record.pid).filter(|&pid| pid != 0));
        one.signal("TERM");
        one.end();
        let _two = scan(&second, "second");
        if second.is_original() {
            let held = "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n";
            wait_until("the second is refused", || scratch.text("second").starts_with(held));
        } else {
            // Ours sees that a supervise runs there.
            holds_for(Duration::from_millis(500), "nothing is said", || scratch.text("second").is_empty());
        }
        assert!(lives(pid));
        assert_eq!(Record::read(&dir).map(|record| record.pid), Some(pid));
        // What the first left behind goes; the second takes over.
        assert_eq!(testkit::finish(second.command("svc").args(["-dx"]).arg(&dir)).err(), "");
        wait_until("another is up", || {
            Record::read(&dir).is_some_and(|record| record.pid != 0 && record.pid != pid) && has_reader(&dir)
        });
        let supervise = supervise_of(&scratch, &dir).expect("it runs");
        let executable = fs::read_link(format!("/proc/{supervise}/exe")).expect("it lives");
        assert_eq!(executable, fs::canonicalize(second.path("supervise")).expect("it is there"));
    }
}
