//! How supervise leaves.

use testkit::{lives, signal, wait_until};

use super::world::{MORTAL, NOTING, Service, has_reader, scratch};

#[test]
fn x_to_a_down_service_ends_supervise_at_once() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", MORTAL);
    service.svc("x");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, b'd'));
    assert_eq!(service.svstat(), "supervise not running");
}

#[test]
fn x_sends_no_signal_and_waits_for_the_service_though_it_wants_up() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", NOTING);
    let pid = service.wait_started();
    service.svc("x");
    wait_until("it is read", || service.drained());
    assert_eq!(service.svstat(), "up (pid N) S seconds");
    assert!(lives(pid) && service.supervise.ended().is_none());
    assert_eq!(service.text("signals"), "");
    service.svc("k");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want, service.record().paused), (0, b'u', 0));
    assert_eq!(service.text("started"), format!("{pid}\n"));
}

#[test]
fn x_also_waits_for_a_service_that_ends_by_itself() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    service.svc("x");
    wait_until("it is read", || service.drained());
    signal(pid, "KILL");
    assert_eq!(service.end(), 0);
    assert!(!has_reader(&service.dir));
}

#[test]
fn x_cannot_be_taken_back() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    service.svc("x");
    service.svc("u");
    service.svc("o");
    service.svc("u");
    service.svc("k");
    assert_eq!(service.end(), 0);
    assert_eq!(service.record().want, b'u');
}

#[test]
fn dx_stops_service_and_supervise() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    service.svc("dx");
    assert_eq!(service.end(), 0);
    assert!(!lives(pid));
    assert_eq!((service.record().pid, service.record().want), (0, b'd'));
    assert_eq!(service.stderr(), "");
}

#[test]
fn xd_does_the_same() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    service.svc("xd");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, b'd'));
}

#[test]
fn dx_to_a_down_service_ends_supervise() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", MORTAL);
    service.svc("dx");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, b'd'));
}

#[test]
fn ox_runs_once_then_leaves() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", "echo >>runs");
    service.svc("ox");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, 0));
    assert_eq!(service.text("runs"), "\n");
}

#[test]
fn ux_runs_once_then_leaves_too_where_the_run_outlives_the_letters() {
    let scratch = scratch();
    let gate = scratch.mkdir("a").join("gate");
    sys::fd::make_fifo(&gate).expect("a FIFO");
    let mut service = Service::down(&scratch, "a", "echo >>runs; exec cat gate");
    service.svc("ux");
    service.wait_file("runs", "\n");
    wait_until("both are read", || service.drained());
    wait_until("it waits at the gate", || sys::fd::open_write(&gate).is_ok());
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, b'u'));
    assert_eq!(service.text("runs"), "\n");
}

#[test]
fn dx_to_a_service_that_crashes_all_the_time_ends_it() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", "echo >>runs; exit 1");
    wait_until("it ran twice", || service.text("runs").len() >= 2);
    service.svc("dx");
    assert_eq!(service.end(), 0);
    assert_eq!((service.record().pid, service.record().want), (0, b'd'));
}

#[test]
fn a_signal_ends_supervise_and_the_service_lives_on() {
    for (name, number) in [("TERM", 15), ("HUP", 1), ("INT", 2), ("ALRM", 14), ("KILL", 9)] {
        let scratch = scratch();
        let mut service = Service::new(&scratch, "a", NOTING);
        let pid = service.wait_started();
        service.supervise.signal(name);
        assert_eq!(service.end(), 1000 + number, "{name}");
        assert!(lives(pid), "{name}");
        assert_eq!(service.text("signals"), "", "{name}");
        assert!(!has_reader(&service.dir), "{name}");
    }
}

#[test]
fn a_supervise_that_starts_again_takes_commands_again() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    service.wait_up();
    service.svc("dx");
    assert_eq!(service.end(), 0);
    let mut again = Service::of(&scratch, "a");
    let pid = again.wait_up();
    assert_eq!(again.record().want, b'u');
    again.svc("k");
    again.wait_restart(pid);
    again.svc("dx");
    assert_eq!(again.end(), 0);
}

#[test]
fn letters_that_nobody_read_are_not_left_for_the_next_supervise() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", "echo >>runs");
    service.svc("xuo");
    assert_eq!(service.end(), 0);
    let again = Service::of(&scratch, "a");
    assert_eq!(again.svstat(), "down S seconds");
    assert_eq!(again.text("runs"), "");
}
