//! runit's `check` is run by `sv`, each time that somebody waits. Ours runs it itself, from the start of the service until it succeeds for the first time, and `svc --wait=ready`
//! waits for that. `sv` runs it all the same. Why: whoever asks is told at once, as any user, and a replacement or another service can wait for it.

use std::time::Duration;

use testkit::holds_for;

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn check_is_run_without_being_asked_for() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("check", "echo >>checks\n[ -e bus ]");
        let stand = stand.supervised();
        stand.wait_count("starts", 1);
        if stand.is_ours() {
            stand.wait_count("checks", 2);
            assert_eq!(stand.our_client("svc", &["--wait=ready", "--timeout=50ms", "web"]).code, 1);
            stand.put("bus", "");
            assert_eq!(stand.our_client("svc", &["--wait=ready", "web"]).code, 0);
        } else {
            holds_for(Duration::from_millis(1200), "it is not run", || stand.text("checks").is_empty());
            stand.put("bus", "");
        }
        let before = stand.count("checks");
        // With its stdout closed the script cannot write into it, but to a file it can.
        assert_eq!(stand.client("sv", &["-w", "60", "check", "./web"]).code, 0);
        assert!(stand.count("checks") > before);
    });
}
