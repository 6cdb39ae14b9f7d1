//! The original serves at most 1,000 services and looks each of them up in a table from the front. Ours has no limit but the
//! system's, and finds a service by its directory at once.

use std::os::unix::fs::symlink;

use testkit::{Scratch, wait_until};

use crate::{is_up, make_services, room_for, turn, wait_all_up};

const MANY: usize = 5_000;

#[test]
fn five_thousand_services_are_all_served() {
    let _turn = turn();
    if !room_for(MANY) {
        return;
    }
    let scratch = Scratch::new();
    make_services(&scratch, MANY);
    let svscan = scratch.start("svscan", "svscan", &["scan"]);
    wait_all_up(&scratch, MANY);
    assert_eq!(scratch.text("svscan.err"), "");
    // One more is found among them.
    let dir = scratch.service("one-more", "exec sleep 1000");
    symlink(dir, scratch.path("scan/one-more")).expect("a link");
    wait_until("it is up", || is_up(&scratch, "scan/one-more"));
    drop(svscan);
}
