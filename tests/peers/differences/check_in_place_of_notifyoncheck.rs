//! `s6-notifyoncheck` in a `run` listens to the events of s6-supervise, and ends where there are none, so such a service does not start with ours. A `check` takes its place: supervise
//! runs that itself. Why: events cost a directory of FIFOs for each service, which nothing else of ours reads.

use testkit::wait_until;

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn a_run_that_needs_the_events_of_s6_does_not_start() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexec s6-notifyoncheck -s 50 -w 100 -n 0 sleep 100000");
        stand.script("data/check", "[ -e up ]");
        stand.put("notification-fd", "3\n");
        let stand = stand.supervised();
        if stand.is_ours() {
            wait_until("it says why", || stand.scratch.text("err").contains("s6-notifyoncheck: fatal: "));
            stand.script("check", "exec ./data/check");
            stand.script("run.new", "echo >>starts\nexec sleep 100000");
            std::fs::rename(stand.path("run.new"), stand.path("run")).expect("files of ours");
            stand.put("up", "");
            wait_until("it is ready", || stand.our_client("svc", &["--wait=ready", "--timeout=1s", "web"]).code == 0);
        } else {
            stand.wait_count("starts", 1);
            let ready = || stand.client("s6-svstat", &["-o", "ready", "web"]).out() == "true\n";
            testkit::holds_for(std::time::Duration::from_millis(500), "it is not ready", || !ready());
            stand.put("up", "");
            wait_until("it is ready", ready);
        }
    });
}
