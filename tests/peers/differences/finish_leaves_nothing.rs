//! A `finish` that takes too long gets KILL from s6-supervise, and what it has started lives on. Ours kills its whole process group. Why: what a `finish` waits for
//! in vain would be left behind at each end of the service.

use testkit::{lives, wait_until};

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn what_a_finish_has_started_is_killed_with_it() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "sleep 100000 & echo $! >>pids\nwait");
        stand.put("timeout-finish", "300\n");
        let stand = stand.supervised();
        stand.kill_run(1);
        stand.wait_count("starts", 2);
        let helper: u32 = stand.text("pids").lines().next().and_then(|pid| pid.parse().ok()).expect("a pid");
        if stand.is_ours() {
            wait_until("it is gone", || !lives(helper));
        } else {
            assert!(lives(helper));
        }
    });
}
