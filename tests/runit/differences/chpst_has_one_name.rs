//! runit's chpst behaves as another program under the names `setuidgid`, `envuidgid`, `envdir`, `pgrphack`, `setlock` and `softlimit`, also with a `d` in front, and calls itself in its
//! usage by the name that it has. Ours is chpst under any name: those are daemontools' programs here, and runit's setlock fails where daemontools' waits.

use std::os::unix::fs::symlink;
use std::process::Command;

use testkit::{Scratch, finish};

use crate::chpst::USAGE;

#[test]
fn it_is_chpst_under_any_name() {
    let scratch = Scratch::new();
    for name in ["envdir", "setlock", "dchpst", "other"] {
        symlink(scratch.suite().path("chpst"), scratch.path(name)).expect("a link");
        let ran = finish(&mut Command::new(scratch.path(name)));
        let expected = match (scratch.suite().is_runit(), name) {
            (false, _) | (true, "dchpst") => USAGE.to_owned(),
            (true, "envdir") => "usage: envdir dir child\n\n".to_owned(),
            (true, "setlock") => "usage: setlock [ -nNxX ] file program [ arg ... ]\n\n".to_owned(),
            (true, _) => USAGE.replace("usage: chpst", "usage: other"),
        };
        assert_eq!((ran.code, ran.err()), (100, expected), "{name}");
    }
}
