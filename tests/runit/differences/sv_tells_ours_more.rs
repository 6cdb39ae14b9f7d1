//! To a supervise of this suite our sv sends other letters than runit's does: `up` even if the service is wanted up, since it may have given up; `exit` as down and exit, since `x` alone waits there until
//! the service ends; and a restart as such, so that `timeout-kill` holds.

use testkit::wait_until;

use crate::stand::{STUBBORN, each};

#[test]
fn a_service_that_has_given_up_is_started_again() {
    each(|mut stand| {
        if !stand.is_ours() {
            return;
        }
        stand.write("a/final-exits", "3");
        stand.service("a", "[ -e good ] || exit 3\nexec sleep 100000");
        stand.supervise("a");
        wait_until("it has given up", || {
            let told = testkit::finish(stand.scratch.suite().command("svstat").arg(stand.path("a"))).out();
            told.contains("failed")
        });
        stand.write("a/good", "");
        stand.check("-w 60 start a", 0, "ok: run: a: (pid N) Ss\n");
    });
}

#[test]
fn a_restart_kills_what_does_not_end() {
    each(|mut stand| {
        if !stand.is_ours() {
            return;
        }
        stand.write("b/timeout-kill", "100");
        stand.write("b/down", "");
        stand.run("b", STUBBORN);
        stand.check("start b", 0, "ok: run: b: (pid N) Ss, normally down\n");
        stand.wait_trapped("b");
        stand.check("-w 60 restart b", 0, "ok: run: b: (pid N) Ss, normally down\n");
    });
}
