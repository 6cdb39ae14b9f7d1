//! After `x`, runsv tells the service to end, and so do runsv and s6-supervise when they get TERM. Ours waits after `x` until the service ends, and leaves it running
//! after TERM. Why: daemontools does, and whoever has sent `x` to one that should be up would end it.

use std::time::Duration;

use testkit::{holds_for, lives, wait_until};

use crate::stand::Peer::Runit;
use crate::stand::{all, both};

#[test]
fn x_does_not_end_the_service() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo \"$2\" >>ends");
        let mut stand = stand.supervised();
        stand.wait_count("starts", 1);
        let pid = stand.wait_up();
        stand.send("x");
        if stand.is_ours() {
            holds_for(Duration::from_millis(500), "it lives", || lives(pid));
            assert_eq!(stand.supervisor().ended(), None);
            stand.send("d");
        }
        assert_eq!(stand.supervisor().end(), 0);
        assert_eq!(stand.text("ends"), "15\n");
    });
}

#[test]
fn term_to_the_supervisor_does_not_end_the_service() {
    all(|stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo \"$2\" >>ends");
        let mut stand = stand.supervised();
        stand.wait_count("starts", 1);
        let pid = stand.wait_up();
        stand.supervisor().signal("TERM");
        let code = stand.supervisor().end();
        if stand.is_ours() {
            assert!(code == 1015 && lives(pid), "{code}");
            assert_eq!(stand.text("ends"), "");
        } else {
            wait_until("it has ended", || !lives(pid));
            assert_eq!((code, stand.text("ends").as_str()), (0, "15\n"));
        }
    });
}
