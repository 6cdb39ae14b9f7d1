//! No line is lost in a stop.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use testkit::{Scratch, wait_until};

use super::world::{FOREVER, Init};

const STOPS: usize = 100;

/// So much of a log, in bytes, shows that its service writes.
const SOME: u64 = 1_000;

#[test]
fn no_line_is_lost_in_a_hundred_stops_under_load() {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < STOPS {
                    stop_under_load();
                }
            });
        }
    });
}

/// Two services that write as fast as they can, and a last line on TERM.
fn stop_under_load() {
    let scratch = Scratch::new();
    let services = ["a", "b"];
    for service in services {
        scratch.service(
            &format!("scan/{service}"),
            "trap 'echo last $i; exit' TERM; i=0; while :; do i=$((i+1)); echo line $i; done",
        );
        scratch.service(&format!("scan/{service}/log"), "exec multilog s2147483647 ./main");
    }
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    let log = |service: &str| scratch.path(format!("scan/{service}/log/main/current"));
    for service in services {
        let length = || fs::metadata(log(service)).map_or(0, |log| log.len());
        wait_until("it has written some lines", || length() >= SOME);
    }
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    services.into_iter().for_each(|service| all_lines_are_there(&log(service)));
}

/// The lines are counted, up to the last one. A busy machine lets a service write millions of them, so they are read one at a time: a test that takes memory for
/// all of them holds up every other test in this process, and lets the services write even more.
fn all_lines_are_there(log: &Path) {
    let mut log = BufReader::new(File::open(log).expect("it is there"));
    let (mut line, mut count) = (String::new(), 0_u64);
    loop {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0, "no last line after {count} lines");
        if line.strip_prefix("line ").and_then(|number| number.strip_suffix('\n')?.parse().ok()) != Some(count + 1) {
            break;
        }
        count += 1;
    }
    // TERM may come between the count and the line.
    assert!([count, count + 1].map(|last| format!("last {last}\n")).contains(&line), "{line} after {count} lines");
    assert_eq!(log.read_line(&mut line).expect("text"), 0, "{line} is not the end");
}
