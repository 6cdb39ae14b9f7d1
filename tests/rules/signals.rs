//! The letters of `svc` that send a signal: to the process alone, whatever `kill-mode` says about an end.

use std::fs;
use std::time::Duration;

use testkit::{group, holds_for, lives, signal, state, wait_for, wait_until};

use super::service::{Service, for_each_user};

/// The letters, and their signals.
const LETTERS: [(&str, &str); 8] = [
    ("-h", "HUP"),
    ("-a", "ALRM"),
    ("-i", "INT"),
    ("-q", "QUIT"),
    ("-1", "USR1"),
    ("-2", "USR2"),
    ("-w", "WINCH"),
    ("-t", "TERM"),
];

/// Shell commands that note each of these signals in `ends`, by whom.
fn notes(who: &str) -> String {
    LETTERS.map(|(_, name)| format!("trap 'echo {who} {name} >>ends' {name}; ")).concat()
}

#[test]
fn a_signal_goes_to_the_process_alone_in_every_mode() {
    // A shell has what it starts in the background ignore INT and QUIT.
    let run = notes("run")
        + "env --default-signal=INT,QUIT sh ./helper & echo >>starts; while :; do wait $! || sleep 0.02; done";
    let helper_does = notes("helper") + "echo $$ >pid.new; mv pid.new helper.pid; while :; do sleep 0.02; done";
    for_each_user(|user| {
        testkit::for_each(&["process", "mixed", "group", "tree"], |&mode| {
            let service = Service::new(user, &run, &[("kill-mode", mode), ("helper", &helper_does)]).start();
            service.wait_starts(1);
            let read = || fs::read_to_string(service.scratch.path("web/helper.pid")).ok()?.trim_end().parse().ok();
            let (run, helper): (u32, u32) = (service.wait_up(), wait_for("a helper runs", read));
            assert_eq!(group(run), group(helper));
            let mut told = String::new();
            for (letter, name) in LETTERS {
                service.svc(letter);
                told += &format!("run {name}\n");
                service.wait_ends(&told);
            }
            service.svc("-p");
            wait_until("it is paused", || state(run) == Some('T'));
            holds_for(Duration::from_millis(200), "its helper is not", || state(helper) != Some('T'));
            service.svc("-c");
            wait_until("it goes on", || state(run) != Some('T'));
            holds_for(Duration::from_millis(300), "nobody else is told", || service.ends() == told);
            // It would have noted each of them.
            for (_, name) in LETTERS {
                signal(helper, name);
                told += &format!("helper {name}\n");
                service.wait_ends(&told);
            }
            service.svc("-k");
            wait_until("it is killed", || !lives(run));
            match mode {
                "process" => {
                    service.wait_restart(run);
                    assert!(lives(helper));
                    signal(helper, "KILL");
                }
                "mixed" => wait_until("what is left of it is killed", || !lives(helper)),
                // What is left is told to end, so it has not got KILL before.
                _ => service.wait_ends(&(told + "helper TERM\n")),
            }
        });
    });
}
