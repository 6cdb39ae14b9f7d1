//! runsv never looks at `log/finish`. Ours runs it, as s6 does. Why: a logger is a service like any other.

use std::time::Duration;

use testkit::{holds_for, signal, wait_for};

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn a_logger_has_a_finish_of_its_own() {
    both(Runit, |stand| {
        stand.script("run", "echo begins\nexec sleep 100000");
        stand.script("log/run", "echo $$ >pid.new && mv pid.new pid\nexec cat >>../logged");
        stand.script("log/finish", "echo \"$@\" >>../ends");
        let stand = stand.scanned();
        let logger = || stand.text("log/pid").trim_end().parse::<u32>().ok();
        let first = wait_for("the logger runs", logger);
        signal(first, "KILL");
        wait_for("another runs", || logger().filter(|&pid| pid != first));
        if stand.is_ours() {
            stand.wait_text("ends", "256 9 web/log\n");
        } else {
            holds_for(Duration::from_millis(500), "it is not run", || stand.text("ends").is_empty());
        }
    });
}
