//! Where `run` cannot be executed, runsv runs `finish` with 111 and 0, once a second. Ours does not run it, and neither does s6. Why: nothing has lived that could be
//! cleaned up behind.

use testkit::wait_until;

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn finish_is_not_run_where_run_could_not_be_executed() {
    both(Runit, |stand| {
        stand.put("run", "#!/bin/sh\n");
        stand.script("finish", "echo \"$@\" >>ends");
        let stand = stand.supervised();
        if stand.is_ours() {
            wait_until("it is tried twice", || stand.scratch.text("err").lines().count() >= 2);
            assert_eq!(stand.text("ends"), "");
        } else {
            wait_until("it is run", || stand.text("ends").starts_with("111 0\n111 0\n"));
        }
    });
}
