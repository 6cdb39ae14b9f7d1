//! At least a second lies between two starts of a service.

use testkit::{signal, wait_until};

use super::world::{Service, scratch};

/// A `run` that notes the seconds since boot at which it starts.
const STAMPING: &str = "read up rest </proc/uptime; echo $up >>starts";

/// The seconds that `service` has noted.
fn starts(service: &Service) -> Vec<f64> {
    service.text("starts").lines().map(|line| line.parse().expect("seconds")).collect()
}

/// A start is noted some time after it happens, and on a busy machine one may be noted later than the next. So much
/// is granted for all starts of a test together.
const LATE: f64 = 0.5;

fn assert_paced(starts: &[f64]) {
    let seconds = starts[starts.len() - 1] - starts[0];
    let least = (starts.len() - 1) as f64;
    assert!(seconds > least - LATE, "{} starts in {seconds} seconds: {starts:?}", starts.len());
}

#[test]
fn a_service_that_dies_at_once_is_started_once_a_second() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", STAMPING);
    wait_until("five starts", || starts(&service).len() >= 5);
    assert_paced(&starts(&service));
}

#[test]
fn commands_that_start_keep_the_pace_too() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", STAMPING);
    for count in 1..=4 {
        service.svc("o");
        wait_until("one more start", || starts(&service).len() >= count);
        // A once that finds it still up starts nothing.
        service.wait_down();
    }
    assert_paced(&starts(&service));
}

#[test]
fn a_service_that_is_killed_again_and_again_keeps_the_pace() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", &format!("{STAMPING}; exec sleep 100000"));
    let mut pid = 0;
    for count in 1..=4 {
        pid = service.wait_restart(pid);
        wait_until("the start is noted", || starts(&service).len() >= count);
        signal(pid, "KILL");
    }
    assert_paced(&starts(&service)[..4]);
}

#[test]
fn a_down_service_that_is_told_up_after_a_quick_death_keeps_the_pace() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", STAMPING);
    wait_until("one start", || starts(&service).len() == 1);
    for count in 2..=4 {
        service.svc("d");
        service.svc("u");
        wait_until("one more start", || starts(&service).len() >= count);
    }
    assert_paced(&starts(&service)[..4]);
}
