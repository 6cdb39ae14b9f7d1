//! What each letter does to a service that is up, and to one that is down.

use std::fs;

use testkit::{Scratch, for_each, lives, signal, state, wait_until};

use super::world::{MORTAL, NOTING, Service, scratch};

fn noting(scratch: &Scratch) -> (Service<'_>, u32) {
    let service = Service::new(scratch, "a", NOTING);
    let pid = service.wait_started();
    (service, pid)
}

#[test]
fn t_i_h_and_a_send_one_signal_each_and_change_nothing() {
    for (letter, name) in [("t", "TERM"), ("i", "INT"), ("h", "HUP"), ("a", "ALRM")] {
        let scratch = scratch();
        let (mut service, pid) = noting(&scratch);
        let before = service.record();
        service.svc(letter);
        service.wait_file("signals", &format!("{name}\n"));
        service.svc(letter);
        service.wait_file("signals", &format!("{name}\n{name}\n"));
        wait_until("all is read", || service.drained());
        assert_eq!(service.record(), before, "{letter}");
        assert!(lives(pid));
    }
}

#[test]
fn t_i_h_a_and_k_end_a_service_that_dies_of_them_and_it_comes_back() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let mut pid = service.wait_up();
    for letter in ["t", "i", "h", "a", "k"] {
        service.svc(letter);
        let next = service.wait_restart(pid);
        assert!(!lives(pid), "{letter}");
        assert_eq!((service.record().want, service.record().paused), (b'u', 0), "{letter}");
        pid = next;
    }
}

#[test]
fn k_ends_what_no_other_letter_ends() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("k");
    service.wait_restart(pid);
    assert!(!lives(pid));
    assert_eq!(service.text("signals"), "");
}

#[test]
fn p_stops_and_c_continues() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("p");
    assert_eq!(service.wait_record("paused", |record| record.paused == 1).want, b'u');
    wait_until("it is stopped", || state(pid) == Some('T'));
    service.svc("c");
    assert_eq!(service.wait_record("not paused", |record| record.paused == 0).pid, pid);
    wait_until("it goes on", || state(pid) != Some('T'));
    assert_eq!(service.text("signals"), "");
}

#[test]
fn a_signal_to_a_paused_service_waits_until_it_continues() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("p");
    wait_until("it is stopped", || state(pid) == Some('T'));
    service.svc("h");
    assert_eq!(service.svstat(), "up (pid N) S seconds, paused");
    service.svc("c");
    service.wait_file("signals", "HUP\n");
}

#[test]
fn a_paused_service_that_is_killed_comes_back_running() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    service.svc("p");
    wait_until("it is stopped", || state(pid) == Some('T'));
    service.svc("k");
    let again = service.wait_restart(pid);
    assert_eq!(service.record().paused, 0);
    wait_until("it runs", || state(again).is_some_and(|state| state != 'T'));
}

#[test]
fn d_sends_term_and_the_service_stays_down() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", &format!("echo >>runs; {MORTAL}"));
    let pid = service.wait_up();
    service.wait_file("runs", "\n");
    service.svc("d");
    let record = service.wait_down();
    assert_eq!((record.want, record.paused), (b'd', 0));
    assert!(!lives(pid));
    assert_eq!(service.svstat(), "down S seconds, normally up");
    // What follows is read after the death was noticed: nothing was started meanwhile.
    service.svc("u");
    service.wait_up();
    service.wait_file("runs", "\n\n");
}

#[test]
fn d_continues_a_paused_service_so_that_it_can_die() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("p");
    wait_until("it is stopped", || state(pid) == Some('T'));
    service.svc("d");
    service.wait_file("signals", "TERM\n");
    let record = service.wait_record("want down", |record| record.want == b'd');
    assert_eq!((record.pid, record.paused), (pid, 0));
    assert_eq!(service.svstat(), "up (pid N) S seconds, want down");
}

#[test]
fn d_does_not_end_a_service_that_ignores_term_and_u_takes_the_wish_back() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("d");
    service.wait_file("signals", "TERM\n");
    // The signal comes before the status.
    wait_until("want down", || service.svstat() == "up (pid N) S seconds, want down");
    service.svc("u");
    assert_eq!(service.wait_record("want up", |record| record.want == b'u').pid, pid);
    assert_eq!(service.svstat(), "up (pid N) S seconds");
    service.svc("k");
    service.wait_restart(pid);
    assert_eq!(service.text("signals"), "TERM\n");
}

#[test]
fn d_to_a_service_that_ignores_term_holds_until_it_dies() {
    let scratch = scratch();
    let (service, _) = noting(&scratch);
    service.svc("d");
    service.wait_file("signals", "TERM\n");
    service.svc("k");
    assert_eq!(service.wait_down().want, b'd');
}

#[test]
fn u_to_a_running_service_leaves_it_alone() {
    let scratch = scratch();
    let (mut service, pid) = noting(&scratch);
    let before = service.record();
    service.svc("u");
    wait_until("it is read", || service.drained());
    assert_eq!(service.record(), before);
    assert!(lives(pid));
    assert_eq!((service.text("signals"), service.text("started")), (String::new(), format!("{pid}\n")));
}

#[test]
fn o_to_a_running_service_lets_it_end_without_another() {
    let scratch = scratch();
    let (service, pid) = noting(&scratch);
    service.svc("o");
    let record = service.wait_record("once", |record| record.want == 0);
    assert_eq!(record.pid, pid);
    assert!(lives(pid));
    service.svc("k");
    assert_eq!(service.wait_down().want, 0);
    assert_eq!(service.svstat(), "down S seconds, normally up");
    assert_eq!(service.text("started"), format!("{pid}\n"));
}

#[test]
fn o_to_a_down_service_runs_it_once() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", "echo >>runs");
    for runs in ["\n", "\n\n"] {
        let before = service.record().stamp;
        service.svc("o");
        service.wait_file("runs", runs);
        // It may have run before its supervise has written that it is up.
        testkit::wait_until("it is down again", || {
            let record = service.record();
            (record.pid, record.want) == (0, 0) && record.stamp != before
        });
        assert_eq!(service.svstat(), "down S seconds");
    }
}

#[test]
fn u_to_a_down_service_starts_it_and_again_when_it_dies() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", MORTAL);
    service.svc("u");
    let pid = service.wait_up();
    assert_eq!(service.svstat(), "up (pid N) S seconds, normally down");
    assert_eq!(service.record().want, b'u');
    signal(pid, "KILL");
    service.wait_restart(pid);
}

#[test]
fn u_makes_a_once_service_one_that_comes_back() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", MORTAL);
    service.svc("o");
    let pid = service.wait_up();
    service.svc("u");
    service.wait_record("want up", |record| record.want == b'u');
    service.svc("k");
    service.wait_restart(pid);
}

#[test]
fn letters_to_a_down_service_that_start_nothing_change_nothing() {
    let scratch = scratch();
    let mut service = Service::down(&scratch, "a", "echo >>runs");
    let before = service.record();
    for letter in ["d", "p", "c", "t", "k", "h", "a", "i"] {
        service.svc(letter);
        wait_until("it is read", || service.drained());
        assert_eq!(service.record(), before, "{letter}");
        assert_eq!(service.svstat(), "down S seconds", "{letter}");
    }
    assert_eq!(service.text("runs"), "");
}

#[test]
fn a_pause_of_a_down_service_does_not_stop_the_next_start() {
    let scratch = scratch();
    let service = Service::down(&scratch, "a", MORTAL);
    service.svc("p");
    service.svc("u");
    let pid = service.wait_up();
    assert_eq!(service.record().paused, 0);
    assert_ne!(state(pid), Some('T'));
    assert_eq!(service.svstat(), "up (pid N) S seconds, normally down");
}

#[test]
fn signals_reach_the_process_and_not_its_children() {
    for letter in ["t", "k", "d", "i", "h", "a"] {
        let scratch = scratch();
        let service = Service::new(&scratch, "a", "sleep 100000 & echo $! >child; wait");
        let pid = service.wait_up();
        wait_until("the child is named", || service.text("child").ends_with('\n'));
        let child: u32 = service.text("child").trim().parse().expect("a pid");
        service.svc(letter);
        service.wait_record("another state", |record| record.pid != pid);
        assert!(!lives(pid) && lives(child), "{letter}");
    }
}

#[test]
fn p_stops_the_process_and_not_its_children() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", "sleep 100000 & echo $! >child; wait");
    let pid = service.wait_up();
    wait_until("the child is named", || service.text("child").ends_with('\n'));
    let child: u32 = service.text("child").trim().parse().expect("a pid");
    service.svc("p");
    wait_until("it is stopped", || state(pid) == Some('T'));
    assert_ne!(state(child), Some('T'));
}

#[test]
fn a_service_that_ends_by_itself_comes_back() {
    let scratch = scratch();
    // The first run ends at a signal that is not supervise's.
    let service = Service::new(&scratch, "a", MORTAL);
    for name in ["TERM", "KILL", "SEGV", "USR1"] {
        let pid = service.wait_up();
        signal(pid, name);
        service.wait_restart(pid);
    }
}

#[test]
fn how_a_run_ends_does_not_matter() {
    let scratch = scratch();
    for_each(&["0", "1", "100", "111", "255"], |name| {
        let service = Service::new(&scratch, name, &format!("echo >>runs; exit {name}"));
        wait_until("it ran thrice", || service.text("runs").len() >= 3);
        assert_eq!(service.record().want, b'u', "{name}");
        assert_eq!(service.stderr(), "", "{name}");
    });
}

#[test]
fn a_run_that_is_replaced_is_the_next_that_runs() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", "echo old >>which; exec sleep 100000");
    let pid = service.wait_up();
    service.wait_file("which", "old\n");
    scratch.script("a/run.new", "echo new >>which; exec sleep 100000");
    fs::rename(scratch.path("a/run.new"), scratch.path("a/run")).expect("both are ours");
    service.svc("t");
    service.wait_restart(pid);
    service.wait_file("which", "old\nnew\n");
}

#[test]
fn a_service_directory_that_is_renamed_goes_on() {
    let scratch = scratch();
    let service = Service::new(&scratch, "a", MORTAL);
    let pid = service.wait_up();
    fs::rename(scratch.path("a"), scratch.path("b")).expect("both are ours");
    assert_eq!(scratch.run("svc", &["-k", "b"]).err(), "");
    let dir = scratch.path("b");
    wait_until("it is up again", || {
        super::world::Record::read(&dir).is_some_and(|record| record.pid != 0 && record.pid != pid)
    });
}
