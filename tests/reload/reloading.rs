//! Reloads that work.

use std::time::Duration;

use testkit::{group, holds_for, lives, signal, wait_rest};

use super::world::{BRIEF, LONG, NOTING, STUBBORN, Watch};

#[test]
fn hup_starts_a_new_copy_and_then_ends_the_old() {
    // A warm-up might be over before the new copy has got at its first line.
    let watch = Watch::begun(&["--ready", "check:[ $(grep -c start notes) = 2 ]"], NOTING);
    let old = watch.wait_for_starts(1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.wait_for_reloads(1);
    assert_eq!(watch.notes(), [format!("start {old}"), format!("start {new}"), format!("TERM {old}")]);
    assert_eq!(watch.alive(), [new]);
}

#[test]
fn old_copy_lives_while_the_new_one_warms_up() {
    let watch = Watch::begun(&["--warmup-time=100000"], NOTING);
    watch.hup();
    watch.wait_for_starts(2);
    holds_for(Duration::from_millis(300), "both live, and nobody was told to end", || {
        watch.alive().len() == 2 && watch.notes().len() == 2
    });
}

#[test]
fn every_copy_leads_a_group_of_its_own() {
    let watch = Watch::begun(&[], NOTING);
    let pid = watch.wait_for_starts(1);
    assert_eq!(group(pid), Some(pid));
}

#[test]
fn burst_of_hups_gives_one_running_copy() {
    let watch = Watch::begun(&["-w", BRIEF], NOTING);
    for _ in 0..20 {
        watch.hup();
    }
    watch.wait_for_starts(2);
    // What is asked for while a reload runs is remembered once, and begins a moment after the end of that.
    wait_rest("one copy runs, and nothing more is to come", Duration::from_millis(300), || {
        let (begun, over) = (watch.said_times("HUP: >>>"), watch.said_times("HUP: <<<"));
        (begun == over && begun > 0 && watch.alive().len() == 1).then_some(begun)
    });
    let starts = watch.starts().len();
    assert!((2..=21).contains(&starts), "{starts} starts");
}

#[test]
fn hup_during_a_reload_is_done_after_it() {
    let watch = Watch::begun(&["-w", BRIEF], STUBBORN);
    let old = watch.wait_for_starts(1);
    watch.hup();
    watch.wait_for_starts(2);
    watch.wait_until_said("to quit...", 1);
    for _ in 0..3 {
        let before = watch.said_times("Received HUP during a reload");
        watch.hup();
        watch.wait_until_said("Received HUP during a reload", before + 1);
    }
    assert_eq!(watch.starts().len(), 2);
    signal(old, "KILL");
    watch.wait_for_starts(3);
    watch.wait_until_said("to quit...", 2);
    let second = watch.starts()[1];
    signal(second, "KILL");
    watch.wait_for_reloads(2);
    assert_eq!((watch.starts().len(), watch.alive().len()), (3, 1));
}

#[test]
fn old_copy_that_ignores_term_is_killed_after_its_grace() {
    let watch = Watch::begun(&["-w", BRIEF, "--grace", "0.2"], STUBBORN);
    let old = watch.wait_for_starts(1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.wait_for_reloads(1);
    assert!(!lives(old) && lives(new));
    watch.wait_until_said(&format!("Process ({old}) did not quit in time. Killing it!"), 1);
    watch.wait_until_said("HUP: Old process quit with code: -9", 1);
}

#[test]
fn old_copy_without_a_grace_has_all_the_time_it_wants() {
    let watch = Watch::begun(&["-w", BRIEF], STUBBORN);
    watch.hup();
    watch.wait_for_starts(2);
    watch.wait_until_said("to quit...", 1);
    holds_for(Duration::from_millis(300), "both live", || watch.alive().len() == 2);
}

#[test]
fn old_copy_that_dies_first_leaves_its_place_to_the_new() {
    let mut watch = Watch::begun(&["-w", LONG], NOTING);
    let old = watch.wait_for_starts(1);
    watch.hup();
    let new = watch.wait_for_starts(2);
    signal(old, "KILL");
    watch.wait_for_reloads(1);
    assert_eq!((watch.alive(), watch.hupwatch.ended()), (vec![new], None));
    signal(new, "KILL");
    assert_eq!(watch.hupwatch.end(), 137);
}

#[test]
fn stop_and_continue_are_no_exit() {
    let mut watch = Watch::begun(&["-w", BRIEF], NOTING);
    let pid = watch.wait_for_starts(1);
    for name in ["STOP", "CONT", "STOP", "CONT"] {
        let before = watch.said_times("CHLD: <<<");
        signal(pid, name);
        watch.wait_until_said("CHLD: <<<", before + 1);
    }
    assert_eq!((watch.hupwatch.ended(), watch.alive()), (None, vec![pid]));
    watch.hup();
    watch.wait_for_reloads(1);
}

#[test]
fn what_is_run_is_looked_for_anew() {
    let scratch = testkit::Scratch::new();
    for release in ["one", "two"] {
        scratch.script(format!("{release}/command"), &format!("echo {release} >>releases\n{NOTING}"));
    }
    std::os::unix::fs::symlink("one", scratch.path("current")).expect("a link");
    let watch = Watch::of(scratch, &["-vvv", "-w", BRIEF], &["current/command"]);
    watch.wait_for_starts(1);
    std::os::unix::fs::symlink("two", watch.scratch.path("next")).expect("a link");
    std::fs::rename(watch.scratch.path("next"), watch.scratch.path("current")).expect("a link");
    watch.hup();
    watch.wait_for_starts(2);
    assert_eq!(watch.scratch.text("releases"), "one\ntwo\n");
}
