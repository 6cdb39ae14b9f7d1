//! While it waits, runit's sv forgets that a name which ends with a slash is a path, and fails though the command was sent. Ours takes it for a path throughout.

use crate::stand::{SLEEPER, each};

#[test]
fn a_name_with_a_slash_behind_it_is_a_path_in_a_wait_too() {
    each(|mut stand| {
        stand.run("a", SLEEPER);
        if stand.scratch.suite().is_runit() {
            stand.check("start sd/a/", 1, "fail: sd/a/: unable to change to service directory: file does not exist\n");
        } else {
            stand.check("start sd/a/", 0, "ok: run: sd/a/: (pid N) Ss\n");
        }
    });
}
