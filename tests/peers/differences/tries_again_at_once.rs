//! Where `run` cannot be executed, s6-supervise tries again after ten seconds. Ours does a second later, as daemontools. Why: whoever has mended it need not wait.

use std::time::Duration;

use testkit::{holds_for, wait_until};

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn a_run_that_could_not_be_executed_is_tried_each_second() {
    both(S6, |stand| {
        stand.put("run", "#!/bin/sh\nexec sleep 100000\n");
        let stand = stand.supervised();
        let tried = || stand.scratch.text("err").matches("unable to ").count();
        if stand.is_ours() {
            wait_until("it is tried three times", || tried() >= 3);
        } else {
            // The child says why, and s6-supervise how long it waits.
            wait_until("it is tried", || tried() == 2);
            holds_for(Duration::from_secs(4), "it is not tried again", || tried() == 2);
        }
    });
}
