//! svscan: what it starts, what it leaves alone, and what it says.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use testkit::{Finished, lives, signal, start, stat, wait_until};

use super::scan::Scan;
use super::world::{MORTAL, Record, descriptors, has_reader, scratch, status_line, wait_sleep};

fn fatal(line: &str) -> Finished {
    Finished { code: 111, stdout: Vec::new(), stderr: format!("svscan: fatal: {line}\n").into_bytes() }
}

#[test]
fn each_way_not_to_get_in_has_its_reason() {
    let scratch = scratch();
    let words = ["-x", "--", "--xyz"].map(|word| (word.to_owned(), "file does not exist"));
    for (name, reason) in scratch.no_way_in().into_iter().chain(words) {
        assert_eq!(scratch.run("svscan", &[&name]), fatal(&format!("unable to chdir to {name}: {reason}")));
    }
}

#[test]
fn an_ordinary_user_is_kept_out_by_the_modes() {
    let scratch = scratch();
    let closed = scratch.mkdir_given("closed");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).expect("by owner");
    let ran = testkit::finish(&mut scratch.ordinary("svscan", &["closed"]));
    assert_eq!(ran, fatal("unable to chdir to closed: access denied"));
}

#[test]
fn services_that_are_there_are_started() {
    let scratch = scratch();
    for number in 0..20 {
        scratch.service(&format!("service/s{number}"), MORTAL);
    }
    scratch.service("service/down", "echo >>ran");
    scratch.write("service/down/down", "");
    let scan = Scan::start(&scratch);
    for number in 0..20 {
        scan.wait_up(format!("s{number}"));
    }
    scan.wait_supervised("down");
    assert_eq!(scratch.text("service/down/ran"), "");
    assert_eq!(scan.stderr(), "");
}

#[test]
fn without_an_operand_the_current_directory_is_scanned() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    scratch.service("other/b", MORTAL);
    let mut svscan = scratch.command("svscan", &[]);
    svscan.current_dir(scratch.path("service")).env("SVDIR", scratch.path("other"));
    let mut svscan = start(svscan.stdin(Stdio::null()));
    wait_until("a supervise runs", || has_reader(&scratch.path("service/a")));
    assert_eq!((svscan.ended(), scratch.path("other/b/supervise").exists()), (None, false));
}

#[test]
fn further_operands_are_ignored() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    scratch.service("other/b", MORTAL);
    let mut svscan = scratch.start("svscan", "svscan", &["service", "other", "missing"]);
    wait_until("a supervise runs", || has_reader(&scratch.path("service/a")));
    assert_eq!(svscan.ended(), None);
    assert!(!scratch.path("other/b/supervise").exists());
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn a_new_link_and_a_new_directory_are_found() {
    let scratch = scratch();
    scratch.service("service/first", MORTAL);
    let scan = Scan::start(&scratch);
    scan.wait_up("first");
    scratch.service("elsewhere", MORTAL);
    fs::rename(scratch.path("elsewhere"), scan.dir("directory")).expect("both are ours");
    scan.link("link", MORTAL);
    scan.wait_up("directory");
    scan.wait_up("link");
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_directory_that_is_filled_slowly_is_found() {
    let scratch = scratch();
    let scan = Scan::start(&scratch);
    scratch.service("service/first", MORTAL);
    scan.wait_up("first");
    scratch.mkdir("service/slow");
    // Written beside and renamed: nobody executes a part of it.
    scratch.script("run", &format!("echo >>ran; {MORTAL}"));
    fs::rename(scratch.path("run"), scan.dir("slow").join("run")).expect("both are ours");
    wait_until("it has run", || scratch.text("service/slow/ran") == "\n");
    scan.wait_supervised("slow");
}

#[test]
fn dot_names_and_what_is_no_directory_are_passed_over_in_silence() {
    let scratch = scratch();
    for name in [".hidden", "..hidden", "..."] {
        scratch.service(&format!("service/{name}"), MORTAL);
    }
    scratch.write("service/file", "");
    sys::fd::make_fifo(&scratch.path("service/fifo")).expect("a FIFO");
    symlink("file", scratch.path("service/link")).expect("a link");
    let scan = Scan::start(&scratch);
    scan.wait_pass("one");
    scan.wait_pass("two");
    assert_eq!(scan.stderr(), "");
    for name in [".hidden", "..hidden", "..."] {
        assert!(!scan.dir(name).join("supervise").exists(), "{name}");
    }
}

#[test]
fn two_names_of_one_directory_are_one_service() {
    let scratch = scratch();
    scratch.service("service/a", &format!("echo >>runs; {MORTAL}"));
    symlink("a", scratch.path("service/b")).expect("a link");
    symlink("../service/a", scratch.path("service/c")).expect("a link");
    let scan = Scan::start(&scratch);
    let pid = scan.wait_up("a");
    scan.wait_pass("one");
    scan.wait_pass("two");
    assert_eq!(scan.stderr(), "");
    assert_eq!(scan.wait_up("c"), pid);
    wait_until("it has run", || !scratch.text("service/a/runs").is_empty());
    assert_eq!(scratch.text("service/a/runs"), "\n");
}

#[test]
fn a_name_that_leads_nowhere_is_said_and_keeps_nobody_waiting() {
    let scratch = scratch();
    scratch.mkdir("service");
    symlink("nowhere", scratch.path("service/dangling")).expect("a link");
    symlink("loop", scratch.path("service/loop")).expect("a link");
    scratch.service("service/a", MORTAL);
    let scan = Scan::start(&scratch);
    scan.wait_up("a");
    scan.wait_said("svscan: warning: unable to stat dangling: file does not exist");
    scan.wait_said("svscan: warning: unable to stat loop: symbolic link loop");
    // And it is a service as soon as it leads somewhere.
    scratch.service("late", MORTAL);
    fs::rename(scratch.path("late"), scan.dir("nowhere")).expect("both are ours");
    scan.wait_up("dangling");
    let others = scan.stderr();
    assert!(others.lines().all(|line| line.starts_with("svscan: warning: unable to stat ")), "{others}");
}

#[test]
fn a_name_that_is_removed_stops_nothing_until_svc_does_and_then_for_good() {
    let scratch = scratch();
    scratch.mkdir("service");
    let scan = Scan::start(&scratch);
    scan.link("a", MORTAL);
    let pid = scan.wait_up("a");
    fs::remove_file(scan.dir("a")).expect("it is there");
    scan.wait_pass("one");
    let dir = scratch.path("made/a");
    assert!(lives(pid) && has_reader(&dir));
    assert_eq!(scratch.run("svc", &["-dx", "made/a"]).err(), "");
    wait_until("supervise leaves", || !has_reader(&dir));
    scan.wait_pass("two");
    assert!(!lives(pid) && !has_reader(&dir));
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_directory_that_is_renamed_stays_the_same_service() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    let scan = Scan::start(&scratch);
    let pid = scan.wait_up("a");
    fs::rename(scan.dir("a"), scan.dir("b")).expect("both are ours");
    scan.wait_pass("one");
    scan.wait_pass("two");
    assert_eq!(scan.wait_up("b"), pid);
    assert!(lives(pid));
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_supervise_that_leaves_or_dies_is_started_again() {
    let scratch = scratch();
    scratch.service("service/up", MORTAL);
    scratch.service("service/down", MORTAL);
    scratch.write("service/down/down", "");
    let scan = Scan::start(&scratch);
    let pid = scan.wait_up("up");
    scan.wait_supervised("down");
    let down = scan.supervise("down");
    scan.svc("-dx", &["up"]);
    signal(down, "KILL");
    let again = scan.wait_other("up", pid);
    assert!(!lives(pid) && lives(again));
    wait_until("another supervise runs", || !lives(down) && has_reader(&scan.dir("down")));
    assert_ne!(scan.supervise("down"), down);
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_signal_ends_svscan_and_nothing_else() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("KILL", 9)] {
        let scratch = scratch();
        scratch.service("service/a", MORTAL);
        scratch.service("service/a/log", MORTAL);
        let mut scan = Scan::start(&scratch);
        let pids = ["a", "a/log"].map(|name| scan.wait_up(name));
        scan.svscan.signal(name);
        assert_eq!(scan.svscan.end(), 1000 + number, "{name}");
        assert!(pids.iter().all(|&pid| lives(pid)), "{name}");
        // Not only alive but supervised.
        scan.svc("-k", &["a"]);
        scan.wait_other("a", pids[0]);
    }
}

#[test]
fn a_svscan_that_starts_again_leaves_running_services_as_they_are() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    let mut first = Scan::start(&scratch);
    let pid = first.wait_up("a");
    first.svscan.signal("TERM");
    assert_eq!(first.svscan.end(), 1015);
    let second = Scan::start(&scratch);
    second.wait_pass("one");
    assert_eq!(second.wait_up("a"), pid);
    assert!(lives(pid));
}

#[test]
fn a_directory_that_cannot_be_read_is_said_and_read_later() {
    let scratch = scratch();
    let service = scratch.mkdir_given("service");
    fs::set_permissions(&service, fs::Permissions::from_mode(0o300)).expect("by owner");
    let scan = Scan::start_ordinary(&scratch);
    scan.wait_said("svscan: warning: unable to read directory: access denied");
    fs::set_permissions(&service, fs::Permissions::from_mode(0o700)).expect("by owner");
    scratch.service("made/a", MORTAL);
    scratch.give("made/a");
    symlink("../made/a", service.join("a")).expect("a link");
    scan.wait_up("a");
}

#[test]
fn a_service_that_cannot_be_entered_is_said_and_keeps_nobody_waiting() {
    let scratch = scratch();
    for name in ["closed", "open"] {
        scratch.service(&format!("service/{name}"), MORTAL);
        scratch.give(&format!("service/{name}"));
    }
    fs::set_permissions(scratch.path("service/closed"), fs::Permissions::from_mode(0o000)).expect("by owner");
    let scan = Scan::start_ordinary(&scratch);
    scan.wait_up("open");
    // Whether there is a log cannot be seen without getting in.
    scan.wait_said("svscan: warning: unable to stat closed/log: access denied");
    fs::set_permissions(scratch.path("service/closed"), fs::Permissions::from_mode(0o700)).expect("by owner");
    scan.wait_up("closed");
}

#[test]
fn a_service_without_run_is_said_and_keeps_nobody_waiting() {
    let scratch = scratch();
    scratch.mkdir("service/empty");
    scratch.service("service/a", MORTAL);
    let scan = Scan::start(&scratch);
    scan.wait_up("a");
    scan.wait_said("supervise: fatal: unable to start empty/run: file does not exist");
}

#[test]
fn a_supervise_that_cannot_be_found_is_said() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    scratch.service("service/b", MORTAL);
    scratch.service("service/b/log", MORTAL);
    let mut svscan = scratch.ordinary("svscan", &["service"]);
    let stderr = fs::File::create(scratch.path("svscan.err")).expect("a file");
    let mut svscan = start(svscan.env("PATH", "/nonexistent").stdin(Stdio::null()).stderr(stderr));
    for name in ["a", "b", "b/log"] {
        let line = format!("svscan: warning: unable to start supervise {name}: file does not exist");
        wait_until(&line, || scratch.text("svscan.err").lines().any(|said| said == line));
    }
    assert_eq!(svscan.ended(), None);
}

#[test]
fn a_service_is_given_what_svscan_was_given() {
    let scratch = scratch();
    scratch.service("service/a", "cat /proc/$$/environ >environment; exec sleep 100000");
    let scan = Scan::start(&scratch);
    let pid = scan.wait_up("a");
    wait_sleep(pid);
    let svscan = scan.svscan.pid();
    let given = fs::read(format!("/proc/{svscan}/environ")).expect("it lives");
    assert_eq!(scratch.read("service/a/environment"), given);
    // HUP, INT, QUIT, PIPE, ALRM, TERM, CHLD: bit n-1 is signal n.
    let some = [1, 2, 3, 13, 14, 15, 17].map(|number| 1_u64 << (number - 1)).iter().sum::<u64>();
    for line in ["SigIgn", "SigBlk"] {
        let set = u64::from_str_radix(&status_line(pid, line), 16).expect("hexadecimal digits");
        assert_eq!(set & some, 0, "{line}");
    }
    // Process group, session, terminal.
    assert_eq!(stat(pid).expect("it lives")[2..5], stat(svscan).expect("it lives")[2..5]);
    let standard = |pid: u32| descriptors(pid).into_iter().filter(|&(number, _)| number < 3).collect::<Vec<_>>();
    assert_eq!(standard(pid), standard(svscan));
}

#[test]
fn supervise_is_a_child_of_svscan_in_the_service_directory() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    let scan = Scan::start(&scratch);
    scan.wait_up("a");
    let supervise = scan.supervise("a");
    assert_eq!(stat(supervise).expect("it lives")[1], scan.svscan.pid().to_string());
    let cwd = fs::read_link(format!("/proc/{supervise}/cwd")).expect("it lives");
    assert_eq!(cwd, fs::canonicalize(scan.dir("a")).expect("it is there"));
}

#[test]
fn a_scan_directory_that_is_emptied_and_removed_ends_neither_svscan_nor_services() {
    let scratch = scratch();
    let mut scan = Scan::start(&scratch);
    scan.link("a", MORTAL);
    let pid = scan.wait_up("a");
    fs::remove_file(scan.dir("a")).expect("it is there");
    fs::remove_dir(scratch.path("service")).expect("it is empty");
    let dir = scratch.path("made/a");
    // Its death and its next start are none of svscan's business.
    assert_eq!(scratch.run("svc", &["-k", "made/a"]).err(), "");
    wait_until("it is up again", || Record::read(&dir).is_some_and(|record| record.pid != 0 && record.pid != pid));
    assert_eq!(scan.svscan.ended(), None);
}
