//! s6-supervise starts `run` with the name of the service as its argument, ours, as daemontools and runit, with none. Why: a `run` that passes `"$@"` on would break. `finish`
//! gets the name, as with s6.

use crate::stand::Peer::{Runit, S6};
use crate::stand::both;

#[test]
fn run_is_started_without_arguments() {
    let run = "echo \"$# $1\" >>words\nexec sleep 100000";
    both(S6, |stand| {
        stand.script("run", run);
        let stand = stand.supervised();
        stand.wait_text("words", if stand.is_ours() { "0 \n" } else { "1 web\n" });
    });
    both(Runit, |stand| {
        stand.script("run", run);
        stand.supervised().wait_text("words", "0 \n");
    });
}
