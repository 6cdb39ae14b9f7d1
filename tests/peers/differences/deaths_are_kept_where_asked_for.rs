//! s6-supervise keeps the last hundred deaths of each service, and forgets them when it begins. Ours keeps none where `max-death-tally` does not ask for them, and goes on
//! with those that are there. Why: a file that is absent costs nothing, and a supervisor that was killed is no reason to forget.

use testkit::wait_until;

use crate::stand::Peer::S6;
use crate::stand::both;

#[test]
fn there_is_no_tally_where_nobody_asks_for_one() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\nexit 1");
        let stand = stand.supervised();
        stand.wait_count("starts", 3);
        assert_eq!(stand.path("supervise/death_tally").exists(), !stand.is_ours());
    });
}

#[test]
fn what_is_there_is_kept_by_the_next_supervisor() {
    both(S6, |stand| {
        stand.script("run", "echo >>starts\n. ./end");
        stand.put("max-death-tally", "100\n");
        stand.put("end", "exit 3");
        let mut stand = stand.supervised();
        let deaths =
            |code: &str| stand.client("s6-svdt", &["web"]).out().matches(&format!("exitcode {code}\n")).count();
        wait_until("there are some", || deaths("3") >= 2);
        stand.send("d");
        stand.wait_down();
        stand.send("x");
        assert_eq!(stand.supervisor().end(), 0);
        stand.put("end", "exit 4");
        stand.supervise();
        let deaths =
            |code: &str| stand.client("s6-svdt", &["web"]).out().matches(&format!("exitcode {code}\n")).count();
        wait_until("there is another", || deaths("4") >= 1);
        assert_eq!(deaths("3") >= 2, stand.is_ours());
    });
}
