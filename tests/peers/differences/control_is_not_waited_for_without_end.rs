//! A script in `control/` that a signal has killed counts as one that has kept the signal back with runsv, which also waits for each of them without end. With ours only an
//! exit by 0 keeps it back, and after ten seconds the script is killed. Why: a script that crashes has done nothing, and one that hangs must not make the service deaf.

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn a_script_that_was_killed_has_not_kept_the_signal_back() {
    both(Runit, |stand| {
        stand.script(
            "run",
            "trap 'echo HUP >>told' HUP\ntrap 'echo USR1 >>told' USR1\necho run >>told\nwhile :; do sleep 0.02; done",
        );
        stand.script("control/h", "echo h >>told\nkill -9 $$");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        stand.wait_up();
        stand.send("h");
        stand.wait_text("told", if stand.is_ours() { "run\nh\nHUP\n" } else { "run\nh\n" });
        // This shows that nothing else came of it.
        stand.send("1");
        stand.wait_text("told", if stand.is_ours() { "run\nh\nHUP\nUSR1\n" } else { "run\nh\nUSR1\n" });
    });
}

#[test]
fn a_script_that_hangs_is_given_ten_seconds() {
    both(Runit, |stand| {
        stand.script("run", "trap 'echo HUP >>told' HUP\necho run >>told\nwhile :; do sleep 0.02; done");
        stand.script("control/h", "echo h >>told\nexec sleep 100000");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        stand.wait_up();
        stand.send("h");
        if stand.is_ours() {
            stand.wait_text("told", "run\nh\nHUP\n");
        } else {
            let period = std::time::Duration::from_millis(11_500);
            testkit::holds_for(period, "it is waited for", || stand.text("told") != "run\nh\nHUP\n");
        }
    });
}
