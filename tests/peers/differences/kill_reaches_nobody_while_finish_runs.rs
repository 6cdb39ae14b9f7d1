//! A `k` that comes while `finish` runs makes runsv forget it: a `u` then starts `run`, though `finish` has not ended. With ours, as with s6, signals reach nobody
//! meanwhile and change nothing. Why: what `finish` cleans up would be taken from the next life of the service.

use std::time::Duration;

use testkit::{holds_for, lives, wait_for};

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn run_is_not_started_before_finish_has_ended() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        let note = "echo \"$2\" >>ends\necho $$ >pid.new && mv pid.new pid";
        stand.script("finish", &format!("{note}\nwhile [ -e hold ]; do sleep 0.02; done"));
        stand.put("timeout-finish", "0");
        stand.put("hold", "");
        let stand = stand.supervised();
        let run = stand.kill_run(1);
        let finish: u32 = wait_for("finish runs", || stand.text("pid").trim_end().parse().ok());
        stand.send("ku");
        if stand.is_ours() {
            holds_for(Duration::from_millis(1500), "it is not started", || stand.count("starts") == 1);
            assert!(lives(finish));
            stand.remove("hold");
            stand.wait_restart(run);
            assert_eq!(stand.text("ends"), "9\n");
        } else {
            stand.wait_count("starts", 2);
        }
    });
}
