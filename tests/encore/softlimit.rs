//! The values of softlimit that are no numbers: `-` and `unlimited` lift the hard limit too, and `hard` is `=`.

use std::process::Command;

use testkit::{Scratch, finish};

use super::{printed, refused};

#[test]
fn a_dash_lifts_both_limits_and_hard_is_the_hard_one() {
    let scratch = Scratch::new();
    let sh = |script: String| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).arg(scratch.lend("softlimit")).current_dir(scratch.root());
        shell
    };
    let show = "/bin/sh -c 'echo $(ulimit -Sc) $(ulimit -Hc) $(ulimit -St) $(ulimit -Ht)'";
    let with = |options: &str| {
        let limits = "ulimit -Sc 0; ulimit -Hc 2; ulimit -St 1000; ulimit -Ht 2000";
        sh(format!("{limits}; exec \"$0\" {options} {show}"))
    };
    printed(&finish(&mut with("-c hard -t500")), "2 2 500 2000\n");
    let may_raise = finish(&mut sh("ulimit -Hc 2; ulimit -Hc unlimited".to_owned())).code == 0;
    let has_none = finish(&mut sh("ulimit -Ht".to_owned())).out() == "unlimited\n";
    for value in ["-", "unlimited"] {
        let mut ordinary = scratch.as_ordinary(with(&format!("-t hard -c {value}")));
        refused(&finish(&mut ordinary), 111, "softlimit: fatal: setrlimit failed: permission denied\n");
        if may_raise {
            printed(&finish(&mut with(&format!("-c {value} -t hard"))), "unlimited unlimited 2000 2000\n");
            printed(&finish(&mut with(&format!("-c{value} -c0 -t="))), "0 unlimited 2000 2000\n");
        } else {
            // Root in a container may be no more than anybody.
            let denied = "softlimit: fatal: setrlimit failed: permission denied\n";
            refused(&finish(&mut with(&format!("-c {value} -t hard"))), 111, denied);
        }
        if has_none {
            // What has no hard limit, anybody may lift.
            let mut ordinary = scratch.as_ordinary(sh(format!("ulimit -St 1000; exec \"$0\" -t {value} {show}")));
            assert!(finish(&mut ordinary).out().ends_with(" unlimited unlimited\n"), "{value}");
        }
    }
}
