//! At least a second lies between two starts of a service.

use testkit::{STAMP, assert_paced, signal, uptime, wait_until};

use super::world::{Service, scratch};

/// A `run` that notes when it starts.
fn stamping() -> String {
    format!("{STAMP} >>starts")
}

fn starts(service: &Service) -> usize {
    service.text("starts").lines().count()
}

/// Checks that the starts of `service`, the first of which was after `begin`, lie a second apart at least.
#[track_caller]
fn assert_a_second_apart(begin: f64, service: &Service) {
    assert_paced(begin, &service.text("starts"), (0..).map(f64::from));
}

#[test]
fn a_service_that_dies_at_once_is_started_once_a_second() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", &stamping());
    wait_until("five starts", || starts(&service) >= 5);
    assert_a_second_apart(begin, &service);
}

#[test]
fn commands_that_start_keep_the_pace_too() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::down(&scratch, "a", &stamping());
    for count in 1..=4 {
        let before = service.record().stamp;
        service.svc("o");
        wait_until("one more start", || starts(&service) >= count);
        // A once that finds it still up starts nothing, and the record may not yet tell of the start.
        service.wait_record("down again", |record| record.pid == 0 && record.stamp != before);
    }
    assert_a_second_apart(begin, &service);
}

#[test]
fn a_service_that_is_killed_again_and_again_keeps_the_pace() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", &format!("{}; exec sleep 100000", stamping()));
    let mut pid = 0;
    for count in 1..=4 {
        pid = service.wait_restart(pid);
        wait_until("the start is noted", || starts(&service) >= count);
        signal(pid, "KILL");
    }
    assert_a_second_apart(begin, &service);
}

#[test]
fn a_down_service_that_is_told_up_after_a_quick_death_keeps_the_pace() {
    let scratch = scratch();
    let begin = uptime();
    let service = Service::new(&scratch, "a", &stamping());
    wait_until("one start", || starts(&service) == 1);
    for count in 2..=4 {
        service.svc("d");
        service.svc("u");
        wait_until("one more start", || starts(&service) >= count);
    }
    assert_a_second_apart(begin, &service);
}
