//! A log that was ended cleanly but lacks its `state` (an administrator tidied up) makes every processor of daemontools 0.76
//! fail for ever, and the log stands still. Ours makes an empty one, as in a new directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::{Scratch, Suite, finish_with};

#[test]
fn a_missing_state_is_made_on_a_clean_restart() {
    let scratch = Scratch::with(Suite::under_test());
    let words = ["s4096", "!cat", "./log"];
    assert_eq!(finish_with(&mut scratch.command("multilog", &words), b"a\n").code, 0);
    fs::remove_file(scratch.path("log/state")).expect("was there");
    let finished = finish_with(&mut scratch.command("multilog", &words), "0123456789\n".repeat(250).as_bytes());
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    assert_eq!(scratch.text("log/state"), "");
    assert_eq!(fs::metadata(scratch.path("log/state")).expect("state").permissions().mode() & 0o777, 0o644);
    assert!(scratch.text("log/current").len() < 1000, "it was rotated");
}

#[test]
fn a_state_that_is_there_is_kept() {
    let scratch = Scratch::with(Suite::under_test());
    assert_eq!(finish_with(&mut scratch.command("multilog", &["./log"]), b"a\n").code, 0);
    scratch.write("log/state", "kept");
    assert_eq!(finish_with(&mut scratch.command("multilog", &["./log"]), b"b\n").code, 0);
    assert_eq!(scratch.text("log/state"), "kept");
}
