//! `timeout-kill` is about `d` only with s6-supervise. With ours it is about `r` too. Why: whoever restarts a service that hangs wants it to come back.

use std::time::Duration;

use testkit::holds_for;

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn a_service_that_is_to_be_restarted_is_killed_in_time() {
    both(S6, |stand| {
        stand.script("run", "trap '' TERM\necho >>starts\nwhile :; do sleep 0.05; done");
        stand.script("finish", "echo \"$1 $2\" >>ends");
        stand.put("timeout-kill", "300\n");
        let stand = stand.supervised();
        stand.wait_count("starts", 1);
        stand.wait_up();
        stand.send("r");
        if stand.is_ours() {
            stand.wait_count("starts", 2);
        } else {
            holds_for(Duration::from_secs(1), "it lives", || stand.text("ends").is_empty());
            stand.send("d");
        }
        stand.wait_text("ends", "256 9\n");
    });
}
