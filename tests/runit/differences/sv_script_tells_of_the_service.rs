//! As an init script for a service with a logger, runit's sv exits with what it knows of the logger: `status` is 0 for a service that is down while its logger runs. Ours exits with
//! what it knows of the service, which is what was asked.

use crate::stand::{SLEEPER, each};

#[test]
fn the_exit_code_is_that_of_the_service() {
    each(|mut stand| {
        stand.service("down/log", SLEEPER);
        stand.write("down/down", "");
        stand.run("down", SLEEPER);
        stand.wait_up("down/log");
        stand.service("up/log", SLEEPER);
        stand.write("up/log/down", "");
        stand.run("up", SLEEPER);
        let [down, up] = if stand.scratch.suite().is_runit() { [0, 3] } else { [3, 0] };
        stand.check_script("down", "status", down, "down: down: Ss; run: log: (pid N) Ss\n");
        stand.check_script("up", "status", up, "run: up: (pid N) Ss; down: log: Ss\n");
    });
}
