//! runsv gives `finish` two words, and -1 as the first where a signal has ended `run`. Ours gives 256 there, as s6 does, and the name of the service behind the two.
//! Why: scripts in use ask for 256, and none was found that asks for -1.

use crate::stand::Peer::Runit;
use crate::stand::both;

#[test]
fn the_first_word_after_a_signal_is_256() {
    both(Runit, |stand| {
        stand.script("run", "echo >>starts\nexec sleep 100000");
        stand.script("finish", "echo \"$@\" >>ends");
        let stand = stand.supervised();
        stand.kill_run(1);
        stand.wait_text("ends", if stand.is_ours() { "256 9 web\n" } else { "-1 9\n" });
    });
}
