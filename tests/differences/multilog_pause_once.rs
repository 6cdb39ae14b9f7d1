//! While something fails daemontools 0.76 says so every five seconds, which fills whatever its stderr goes to. Ours says it
//! once, again when the cause is another, and goes on trying every five seconds.

use std::io::Write;
use std::process::Stdio;

use testkit::{Scratch, Suite, start, wait_until};

#[test]
fn a_cause_is_told_once_and_again_when_it_changes() {
    let scratch = Scratch::with(Suite::under_test());
    let processor = "!echo tried >>../tries; test -e ../allowed";
    let mut command = scratch.command("multilog", &["s4096", processor, "./log"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = start(command.stderr(std::fs::File::create(scratch.path("err")).expect("a file")));
    let mut input = running.child().stdin.take().expect("piped");
    input.write_all("0123456789\n".repeat(250).as_bytes()).expect("read");
    wait_until("two tries", || scratch.text("tries").lines().count() == 2);
    assert_eq!(scratch.text("err"), "multilog: warning: processor failed in ./log, pausing\n");

    std::fs::remove_file(scratch.path("log/state")).expect("was there");
    let changed = "multilog: warning: processor failed in ./log, pausing\n\
                   multilog: fatal: unable to run echo tried >>../tries; test -e ../allowed: file does not exist\n\
                   multilog: warning: processor failed in ./log, pausing\n";
    wait_until("the new cause", || scratch.text("err") == changed);
    scratch.write("log/state", "");
    scratch.write("allowed", "");
    drop(input);
    assert_eq!(running.end(), 0);
    assert_eq!(scratch.text("err"), changed);
}
