//! About a `log` that nobody has supervised, runit's sv says so and then prints the status of the service again, as that of the logger. Ours says so and no more.

use std::fs;

use crate::stand::{SLEEPER, each};

#[test]
fn a_logger_that_nobody_supervises_has_no_status() {
    each(|mut stand| {
        stand.run("a", SLEEPER);
        fs::create_dir(stand.path("a/log")).expect("a directory");
        let line = "run: a: (pid N) Ss; warning: a/log: unable to open supervise/ok: file does not exist\n";
        let more = if stand.scratch.suite().is_runit() { "run: log: (pid N) Ss\n" } else { "" };
        stand.check("status a", 1, &format!("{line}{more}"));
    });
}
