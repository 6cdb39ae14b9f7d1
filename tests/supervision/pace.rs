//! At least a second lies between two starts of a service.

use testkit::{signal, wait_until};

use super::world::{Service, scratch};

/// A `run` that notes the seconds since boot at which it starts.
const STAMPING: &str = "read up rest </proc/uptime; echo $up >>starts";

/// The seconds that `service` has noted.
fn starts(service: &Service) -> Vec<f64> {
    service.text("starts").lines().map(|line| line.parse().expect("seconds")).collect()
}

/// The seconds since boot.
fn uptime() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
    uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds")
}

/// Checks that no start is early. Each is held against `begin`, before the first: on a busy machine one may be noted later than the next is due.
#[track_caller]
fn assert_paced(begin: f64, starts: &[f64]) {
    for (number, start) in starts.iter().enumerate() {
        // Both clocks are rounded down to hundredths.
        assert!(start - begin > number as f64 - 0.02, "started again too early: {begin}, {starts:?}");
    }
}

#[test]
fn a_service_that_dies_at_once_is_started_once_a_second() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", STAMPING);
    wait_until("five starts", || starts(&service).len() >= 5);
    assert_paced(begin, &starts(&service));
}

#[test]
fn commands_that_start_keep_the_pace_too() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::down(&scratch, "a", STAMPING);
    for count in 1..=4 {
        let before = service.record().stamp;
        service.svc("o");
        wait_until("one more start", || starts(&service).len() >= count);
        // A once that finds it still up starts nothing, and the record may not yet tell of the start.
        service.wait_record("down again", |record| record.pid == 0 && record.stamp != before);
    }
    assert_paced(begin, &starts(&service));
}

#[test]
fn a_service_that_is_killed_again_and_again_keeps_the_pace() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", &format!("{STAMPING}; exec sleep 100000"));
    let mut pid = 0;
    for count in 1..=4 {
        pid = service.wait_restart(pid);
        wait_until("the start is noted", || starts(&service).len() >= count);
        signal(pid, "KILL");
    }
    assert_paced(begin, &starts(&service)[..4]);
}

#[test]
fn a_down_service_that_is_told_up_after_a_quick_death_keeps_the_pace() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", STAMPING);
    wait_until("one start", || starts(&service).len() == 1);
    for count in 2..=4 {
        service.svc("d");
        service.svc("u");
        wait_until("one more start", || starts(&service).len() >= count);
    }
    assert_paced(begin, &starts(&service)[..4]);
}
