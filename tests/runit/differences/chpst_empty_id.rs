//! runit's chpst takes an empty id for 0: with `-u :1:` the group is root's, and with `-u :$USER_ID:100` and a variable that is not set, so is the user. Ours says that this is wrong
//! usage: nobody means root by nothing.

use testkit::{Scratch, needs_root};

use crate::chpst::{USAGE, check};

#[test]
fn an_empty_id_is_wrong_usage_and_not_roots() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    for (ids, out) in [(":1:", "1 0\n"), ("::5", "0 5\n"), (":1:2:", "1 2\n"), ("::", "0 0\n"), (":1::3", "1 0\n")] {
        for (option, told) in [("-u", "echo $(id -u) $(id -g)"), ("-U", "echo $UID $GID")] {
            let words = [option, ids, "sh", "-c", told];
            if scratch.suite().is_runit() {
                check(&scratch, &(&words, 0, out, ""));
            } else {
                check(&scratch, &(&words, 100, "", USAGE));
            }
        }
    }
}
