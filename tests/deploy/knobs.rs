//! Knobs that hold nonsense.

use testkit::{Scratch, wait_until};

use super::world::{svc, wait_up};

#[test]
fn each_kind_of_nonsense_gets_one_clear_line_and_the_default() {
    let huge = "1".repeat(100_000);
    let cases = [
        ("timeout-kill", "", "taking none: it is empty"),
        ("timeout-kill", &huge, "taking none: too large"),
        ("timeout-kill", "-5", "taking none: negative number"),
        ("timeout-kill", "99999999999999999999", "taking none: too large"),
        ("timeout-kill", "1.5.2s", "taking none: not a number with ms, s, m, h or nothing behind it"),
        ("timeout-kill", "5 s", "taking none: it holds a blank or a second line"),
        ("timeout-kill", "soon", "taking none: not a number with ms, s, m, h or nothing behind it"),
        ("down-signal", "SIGNONE", "taking TERM: not a signal"),
        ("reload-signal", "0", "taking HUP: not a signal"),
        ("down-signal", "64000", "taking TERM: not a signal"),
    ];
    let scratch = Scratch::new();
    scratch.service("a", "trap 'echo TERM' TERM; while :; do sleep 1000 & wait; done");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_up(&scratch, "a");
    let mut expected = String::new();
    for (name, contents, line) in cases {
        // In one go, since it may be read in between.
        std::fs::rename(scratch.write("new", contents), scratch.path("a").join(name)).expect("a file of ours");
        expected += &format!("supervise: warning: unable to use a/{name}, {line}\n");
        // The second time nothing is new.
        for _ in 0..2 {
            svc(&scratch, if name == "reload-signal" { "--reload" } else { "-r" }, "a");
        }
        let said = || scratch.text("supervise.err");
        wait_until(line, || said().len() >= expected.len());
        assert_eq!(said(), expected);
        std::fs::remove_file(scratch.path("a").join(name)).expect("it is there");
        // It is gone, and so is the trouble. Should this be read late, no two cases in a row say the same.
        svc(&scratch, "-r", "a");
    }
    assert_eq!(scratch.text("supervise.err"), expected);
}

#[test]
fn a_knob_that_cannot_be_read_gets_one_too() {
    let scratch = Scratch::new();
    scratch.service("a", "trap 'echo TERM' TERM; while :; do sleep 1000 & wait; done");
    scratch.mkdir("a/timeout-kill");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    wait_up(&scratch, "a");
    svc(&scratch, "-r", "a");
    let line = "supervise: warning: unable to use a/timeout-kill, taking none: is a directory\n";
    wait_until("it is said", || scratch.text("supervise.err") == line);
}

#[test]
fn a_trouble_that_comes_back_is_told_again() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    let mut before = wait_up(&scratch, "a");
    let mut restart = || {
        svc(&scratch, "-t", "a");
        before = testkit::wait_for("another is up", || super::world::pid(&scratch, "a").filter(|&pid| pid != before));
    };
    let line = "supervise: warning: using a/notification-fd: it takes the place of stdout\n";
    for round in 1..=3 {
        for number in ["1", "1", if round == 1 { "7" } else { "" }] {
            match number {
                "" => std::fs::remove_file(scratch.path("a/notification-fd")).expect("it is there"),
                number => drop(scratch.write("a/notification-fd", number)),
            }
            restart();
            assert_eq!(scratch.text("supervise.err"), line.repeat(round), "{round} {number}");
        }
    }
}
