//! s6-supervise gives each service a session of its own. With ours it stays in the session and process group of supervise, as with daemontools and runit. Why: a session
//! changes terminals and job control for services that work today.

use testkit::{group, session};

use crate::stand::Peer::{Runit, S6};
use crate::stand::{Stand, both};

fn leads(stand: Stand) -> (bool, bool, bool) {
    stand.script("run", "echo >>starts\nexec sleep 100000");
    let stand = stand.supervised();
    stand.wait_count("starts", 1);
    let pid = stand.wait_up();
    (session(pid) == Some(pid), group(pid) == Some(pid), stand.is_ours())
}

#[test]
fn a_service_stays_in_the_session_of_its_supervisor() {
    both(S6, |stand| {
        let (own_session, own_group, is_ours) = leads(stand);
        assert_eq!((own_session, own_group), (!is_ours, !is_ours));
    });
    both(Runit, |stand| {
        let (own_session, own_group, _) = leads(stand);
        assert_eq!((own_session, own_group), (false, false));
    });
}
