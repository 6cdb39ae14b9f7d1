//! No line is lost in a stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use testkit::Scratch;

use super::world::{FOREVER, Init, lines};

const STOPS: usize = 100;

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
    for service in services {
        init.wait_lines(&format!("scan/{service}/log/main/current"), 100);
    }
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    for service in services {
        let written = lines(&scratch, &format!("scan/{service}/log/main/current"));
        let (last, before) = written.split_last().expect("many lines");
        for (at, line) in before.iter().enumerate() {
            assert_eq!(*line, format!("line {}", at + 1));
        }
        // TERM may come between the count and the line.
        let count = before.len();
        assert!(
            *last == format!("last {count}") || *last == format!("last {}", count + 1),
            "{last} after {count} lines"
        );
    }
}
