//! runsv does not look at how `finish` ends. With ours a `finish` that exits 125 says that the service has failed, as with s6. Why: one word for it in both families,
//! and no script for runit is known that exits 125 by chance.

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn a_finish_that_exits_125_is_the_end_of_it() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexit 1");
        stand.script("finish", "exit 125");
        let stand = stand.supervised();
        if stand.is_ours() {
            stand.wait_down();
            stand.stays(1);
        } else {
            stand.wait_count("starts", 3);
        }
    });
}
