//! svscan: a service with a log, and the pipe between the two.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use testkit::{Scratch, lives, start, wait_until};

use super::scan::Scan;
use super::world::{MORTAL, descriptors, scratch, wait_sleep};

/// A `run` that writes numbered lines. TERM ends it between two of them, and the next run goes on counting.
const COUNTING: &str = "n=0; stop=
[ -f count ] && read n <count
trap stop=1 TERM
: >ready
until [ \"$stop\" ]; do echo line $((n+=1)); sleep 0.01; done
echo $n >count";

/// A `log/run` that collects lines. TERM ends it between two of them; it would note an end of file.
const COLLECTING: &str = "stop=
trap stop=1 TERM
while [ -z \"$stop\" ] && read -r line; do echo \"$line\" >>lines; done
[ \"$stop\" ] || echo end of file >>lines";

fn logged(scratch: &Scratch, run: &str, log: &str) {
    scratch.service("service/a", run);
    scratch.service("service/a/log", log);
}

/// How many lines the log has; they are numbered without a gap.
fn lines(scratch: &Scratch) -> usize {
    let text = scratch.text("service/a/log/lines");
    for (index, line) in text.lines().enumerate() {
        assert_eq!(line, format!("line {}", index + 1));
    }
    text.lines().count()
}

/// Waits for twenty more lines.
#[track_caller]
fn wait_more(scratch: &Scratch) {
    let before = lines(scratch);
    wait_until("twenty more lines are logged", || lines(scratch) >= before + 20);
}

/// The descriptors 0, 1 and 2 of a process, and how many others it has.
fn standard(pid: u32) -> ([PathBuf; 3], usize) {
    let mut found = descriptors(pid);
    let others = found.split_off(3);
    assert_eq!(found.iter().map(|&(number, _)| number).collect::<Vec<_>>(), [0, 1, 2]);
    (found.into_iter().map(|(_, path)| path).collect::<Vec<_>>().try_into().expect("three"), others.len())
}

#[test]
fn a_pipe_leads_from_the_service_to_its_log_and_the_rest_is_that_of_svscan() {
    let scratch = scratch();
    logged(&scratch, MORTAL, MORTAL);
    scratch.service("service/b", MORTAL);
    let scan = Scan::start(&scratch);
    let [main, log, other] = ["a", "a/log", "b"].map(|name| scan.wait_up(name));
    [main, log, other].into_iter().for_each(wait_sleep);
    let root = fs::canonicalize(scratch.root()).expect("it is there");
    let [null, out, err] = [PathBuf::from("/dev/null"), root.join("svscan.out"), root.join("svscan.err")];
    let ([main_in, pipe, main_err], main_more) = standard(main);
    assert!(pipe.to_string_lossy().starts_with("pipe:["), "{pipe:?}");
    assert_eq!([&main_in, &main_err], [&null, &err]);
    let (of_log, log_more) = standard(log);
    assert_eq!(of_log, [pipe, out.clone(), err.clone()]);
    let (of_other, other_more) = standard(other);
    assert_eq!(of_other, [null, out, err]);
    // What the caller of the tests left open, and nothing else.
    let mut plain = Command::new("sleep");
    let plain = start(plain.arg("100000").stdin(Stdio::null()));
    wait_sleep(plain.pid());
    let (_, given) = standard(plain.pid());
    assert_eq!([main_more, log_more, other_more], [given; 3]);
}

#[test]
fn each_service_has_a_pipe_of_its_own() {
    let scratch = scratch();
    logged(&scratch, MORTAL, MORTAL);
    scratch.service("service/b", MORTAL);
    scratch.service("service/b/log", MORTAL);
    let scan = Scan::start(&scratch);
    let pids = ["a", "a/log", "b", "b/log"].map(|name| scan.wait_up(name));
    pids.into_iter().for_each(wait_sleep);
    let [a, a_log, b, b_log] = pids.map(|pid| standard(pid).0);
    assert_eq!((&a[1], &b[1]), (&a_log[0], &b_log[0]));
    assert_ne!(a[1], b[1]);
}

#[test]
fn the_log_is_supervised_in_its_own_directory() {
    let scratch = scratch();
    logged(&scratch, MORTAL, &format!("pwd -P >where; {MORTAL}"));
    let scan = Scan::start(&scratch);
    let [main, log] = ["a", "a/log"].map(|name| scan.wait_up(name));
    wait_until("it has written", || scratch.text("service/a/log/where").ends_with('\n'));
    let dir = fs::canonicalize(scan.dir("a/log")).expect("it is there");
    assert_eq!(scratch.text("service/a/log/where").trim_end(), dir.to_str().expect("a name of ours"));
    scan.svc("-t", &["a/log"]);
    scan.wait_other("a/log", log);
    assert_eq!(scan.wait_up("a"), main);
}

#[test]
fn stdout_is_logged_and_stderr_is_not() {
    let scratch = scratch();
    logged(&scratch, "echo out; echo err >&2; exec sleep 100000", COLLECTING);
    let scan = Scan::start(&scratch);
    scan.wait_said("err");
    wait_until("it is logged", || scratch.text("service/a/log/lines") == "out\n");
    assert_eq!(scan.stderr(), "err\n");
}

#[test]
fn no_line_is_lost_when_the_logger_is_restarted() {
    let scratch = scratch();
    logged(&scratch, COUNTING, COLLECTING);
    let scan = Scan::start(&scratch);
    let main = scan.wait_up("a");
    let mut logger = scan.wait_up("a/log");
    for _ in 0..3 {
        wait_more(&scratch);
        scan.svc("-t", &["a/log"]);
        logger = scan.wait_other("a/log", logger);
    }
    wait_more(&scratch);
    assert_eq!(scan.wait_up("a"), main);
}

#[test]
fn no_line_is_lost_and_no_end_is_seen_when_the_service_is_restarted() {
    let scratch = scratch();
    logged(&scratch, COUNTING, COLLECTING);
    let scan = Scan::start(&scratch);
    let logger = scan.wait_up("a/log");
    let mut main = scan.wait_up("a");
    for _ in 0..3 {
        wait_more(&scratch);
        scan.svc("-t", &["a"]);
        main = scan.wait_other("a", main);
    }
    wait_more(&scratch);
    assert_eq!(scan.wait_up("a/log"), logger);
}

#[test]
fn no_line_is_lost_when_a_supervise_is_replaced() {
    let scratch = scratch();
    logged(&scratch, COUNTING, COLLECTING);
    let scan = Scan::start(&scratch);
    let [main, logger] = ["a", "a/log"].map(|name| scan.wait_up(name));
    wait_more(&scratch);
    scan.svc("-dx", &["a/log"]);
    wait_until("the logger stops", || !lives(logger));
    let logger = scan.wait_other("a/log", logger);
    wait_more(&scratch);
    scan.svc("-dx", &["a"]);
    wait_until("the service stops", || !lives(main));
    scan.wait_other("a", main);
    wait_more(&scratch);
    assert_eq!(scan.wait_up("a/log"), logger);
    assert_eq!(scan.stderr(), "");
}

#[test]
fn what_is_written_while_the_logger_is_down_waits_in_the_pipe() {
    let scratch = scratch();
    logged(&scratch, COUNTING, COLLECTING);
    scratch.write("service/a/log/down", "");
    let scan = Scan::start(&scratch);
    let main = scan.wait_up("a");
    wait_until("TERM no longer just ends it", || scratch.path("service/a/ready").exists());
    scan.svc("-d", &["a"]);
    wait_until("it has counted", || !scratch.text("service/a/count").is_empty() && !lives(main));
    let count: usize = scratch.text("service/a/count").trim().parse().expect("a number");
    wait_until("somebody hears", || scratch.run("svok", &["service/a/log"]).code == 0);
    scan.svc("-u", &["a/log"]);
    wait_until("all is logged", || lines(&scratch) == count);
}

#[test]
fn a_log_that_is_a_link_to_a_directory_counts() {
    let scratch = scratch();
    scratch.service("service/a", COUNTING);
    scratch.service("elsewhere", COLLECTING);
    symlink("../../elsewhere", scratch.path("service/a/log")).expect("a link");
    let scan = Scan::start(&scratch);
    scan.wait_up("a/log");
    wait_more(&scratch);
}

#[test]
fn a_dangling_link_as_log_counts_as_none() {
    let scratch = scratch();
    scratch.service("service/a", MORTAL);
    symlink("nowhere", scratch.path("service/a/log")).expect("a link");
    let scan = Scan::start(&scratch);
    let pid = scan.wait_up("a");
    wait_sleep(pid);
    assert_eq!(standard(pid).0[1], fs::canonicalize(scratch.path("svscan.out")).expect("it is there"));
    assert_eq!(scan.stderr(), "");
}

#[test]
fn a_name_that_is_removed_leaves_service_and_log_at_work() {
    let scratch = scratch();
    let scan = Scan::start(&scratch);
    scratch.service("elsewhere", COUNTING);
    scratch.service("elsewhere/log", COLLECTING);
    symlink("../elsewhere", scan.dir("a")).expect("a link");
    let [main, logger] = ["a", "a/log"].map(|name| scan.wait_up(name));
    fs::remove_file(scan.dir("a")).expect("it is there");
    scan.wait_pass("one");
    let count = || scratch.text("elsewhere/log/lines").lines().count();
    let before = count();
    wait_until("it goes on", || count() >= before + 20);
    assert!(lives(main) && lives(logger));
    assert_eq!(scratch.run("svc", &["-dx", "elsewhere", "elsewhere/log"]).err(), "");
    wait_until("both stop", || !lives(main) && !lives(logger));
    let codes = || ["elsewhere", "elsewhere/log"].map(|dir| scratch.run("svok", &[dir]).code);
    wait_until("both supervises leave", || codes() == [100, 100]);
    scan.wait_pass("two");
    assert_eq!(codes(), [100, 100], "none is started again");
    assert_eq!(scan.stderr(), "");
}
