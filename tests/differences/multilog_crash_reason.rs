//! Behind `processor crashed in DIR, pausing` daemontools 0.76 gives the text of whatever errno was left over from something
//! else. Ours names the signal there.

use std::process::Stdio;

use testkit::{Scratch, Suite, start, wait_until};

#[test]
fn the_signal_that_killed_a_processor_is_named() {
    let scratch = Scratch::with(Suite::under_test());
    let input = scratch.write("input", "0123456789\n".repeat(250));
    let mut command = scratch.command("multilog", &["s4096", "!kill -9 $$", "./log"]);
    command.stdin(std::fs::File::open(input).expect("written")).stdout(Stdio::null());
    let _running = start(command.stderr(std::fs::File::create(scratch.path("err")).expect("a file")));
    let expected = "multilog: warning: processor crashed in ./log, pausing: signal 9\n\
                    multilog: warning: processor failed in ./log, pausing\n";
    wait_until("both lines", || scratch.text("err") == expected);
}
