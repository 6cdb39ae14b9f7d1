//! The control FIFO as a stream of bytes.

use std::process::Command;

use testkit::{finish, lives, wait_until};

use super::world::{MORTAL, NOTING, Service, scratch};

/// Every byte that is no command, in the original or in ours.
fn junk() -> Vec<u8> {
    (0..=255).filter(|byte| !b"udopchaitkxq12wrgR".contains(byte)).collect()
}

#[test]
fn bytes_that_are_no_commands_are_ignored() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", NOTING);
    let pid = service.wait_started();
    let before = service.record();
    for byte in junk() {
        service.write(&[byte]);
    }
    service.write(&junk());
    wait_until("all is read", || service.drained());
    assert_eq!(service.record(), before);
    assert!(lives(pid) && service.supervise.ended().is_none());
    assert_eq!((service.text("signals"), service.stderr()), (String::new(), String::new()));
    service.write(b"\0h\n");
    service.wait_file("signals", "HUP\n");
}

#[test]
fn a_flood_of_junk_is_read_and_the_command_behind_it_is_obeyed() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    let mut flood: Vec<u8> = junk().into_iter().cycle().take(200_000).collect();
    flood.extend(b"dx");
    service.write(&flood);
    assert_eq!(service.end(), 0);
    assert!(!lives(pid));
    assert_eq!(service.record().want, b'd');
    assert_eq!(service.stderr(), "");
}

#[test]
fn a_service_that_dies_in_a_flood_comes_back() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    let mut flood = vec![b'z'; 50_000];
    flood.push(b'k');
    flood.extend(vec![b'z'; 50_000]);
    service.write(&flood);
    service.wait_restart(pid);
}

#[test]
fn anybody_who_may_write_the_fifo_can_command() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", MORTAL);
    let shell = |script: &str| {
        assert_eq!(finish(Command::new("sh").args(["-c", script]).current_dir(&service.dir)).code, 0);
    };
    shell("echo u >supervise/control");
    service.wait_up();
    shell("echo dx >supervise/control");
    assert_eq!(service.end(), 0);
}

#[test]
fn a_writer_that_stays_keeps_nobody_from_commanding() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", MORTAL);
    let _silent = service.control();
    service.svc("u");
    let pid = service.wait_up();
    service.svc("k");
    service.wait_restart(pid);
}

#[test]
fn commands_are_obeyed_in_the_order_in_which_they_were_written() {
    let scratch = scratch();
    let mut service = Service::new(&scratch, "a", NOTING);
    service.wait_started();
    service.svc("h");
    service.wait_file("signals", "HUP\n");
    for last in [b'u', b'o'] {
        let mut letters = b"uo".repeat(500);
        letters.push(last);
        service.write(&letters);
        wait_until("all is read", || service.drained());
        let want = if last == b'u' { b'u' } else { 0 };
        service.wait_record("the last wish", |record| record.want == want);
    }
    assert_eq!(service.text("signals"), "HUP\n");
}
