//! runit's sv knows times to the second only, so right after a start it may take the old process for the new one. For ours a restart is another start than the one before. What
//! runit's says depends on the moment, so it is not asked.

use crate::stand::{SLEEPER, each};

#[test]
fn right_after_a_start_a_restart_is_waited_for() {
    each(|mut stand| {
        if stand.scratch.suite().is_runit() {
            return;
        }
        stand.run("a", SLEEPER);
        let mut pid = stand.wait_up("a");
        for words in ["restart", "-v term", "-v kill", "restart"] {
            stand.check(&format!("-w 60 {words} a"), 0, "ok: run: a: (pid N) Ss\n");
            let (now, [_, _, _, run]) = stand.status("a");
            assert!(run == 1 && now != pid, "{words}");
            pid = now;
        }
    });
}
