//! runsv waits for `finish` without end. Ours, as s6, kills it after five seconds, unless `timeout-finish` says otherwise. Why: a `finish` that hangs is a service
//! that stays down, and nobody is told.

use std::time::Duration;

use testkit::{holds_for, lives};

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn a_finish_that_hangs_is_killed_after_five_seconds() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo $$ >>pids\nexec sleep 100000");
        let stand = stand.supervised();
        stand.kill_run(1);
        stand.wait_count("pids", 1);
        let finish: u32 = stand.text("pids").trim_end().parse().expect("a pid");
        if stand.is_ours() {
            stand.wait_count("starts", 2);
            assert!(!lives(finish));
        } else {
            holds_for(Duration::from_millis(6500), "it is waited for", || lives(finish));
        }
    });
}
