//! A runsv or s6-supervise that follows one that was killed starts a second copy of the service beside the first. Ours takes over the one that runs. Why: of a service,
//! two never run at once.

use testkit::{lives, signal, wait_until};

use crate::stand::all;

#[test]
fn the_next_one_takes_over_what_the_killed_one_has_left() {
    all(|stand| {
        stand.script("run", "echo $$ >>starts\nexec sleep 100000");
        stand.script("finish", "echo >>ends");
        let mut stand = stand.supervised();
        stand.wait_count("starts", 1);
        let first = stand.wait_up();
        stand.supervisor().signal("KILL");
        assert_eq!(stand.supervisor().end(), 1009);
        stand.supervise();
        if stand.is_ours() {
            assert_eq!(stand.wait_up(), first);
            stand.stays(1);
            stand.send("d");
            wait_until("it is told to end", || !lives(first));
            stand.wait_text("ends", "\n");
        } else {
            stand.wait_count("starts", 2);
            assert!(lives(first));
            signal(first, "KILL");
        }
    });
}
