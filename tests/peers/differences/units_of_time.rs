//! A time in a file is a number of milliseconds to s6; anything else is not valid. Ours takes `300ms`, `5s`, `1m` too, and says so once where it cannot. Why: a number
//! without a unit is what people get wrong.

use std::time::Duration;

use testkit::holds_for;

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn a_time_may_have_a_unit() {
    both(S6, |stand| {
        stand.script("run", "trap '' TERM\necho >>starts\nwhile :; do sleep 0.05; done");
        stand.script("finish", "echo \"$1 $2\" >>ends");
        stand.put("timeout-kill", "0.3s\n");
        let stand = stand.supervised();
        stand.wait_count("starts", 1);
        stand.wait_up();
        stand.send("d");
        if stand.is_ours() {
            stand.wait_text("ends", "256 9\n");
        } else {
            holds_for(Duration::from_secs(1), "it lives", || stand.text("ends").is_empty());
        }
    });
}
