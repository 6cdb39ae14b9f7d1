//! A stdin that another program set to non-blocking (they share the open pipe) and that has nothing at the moment is the end
//! of input for daemontools 0.76, and the log is over. Ours waits for input.

use std::io::Write;
use std::process::{Command, Stdio};

use testkit::{Scratch, Suite, needs_program, start, wait_until};

#[test]
fn a_nonblocking_stdin_without_data_is_waited_for() {
    let Some(python) = needs_program("python3") else {
        return;
    };
    let scratch = Scratch::with(Suite::under_test());
    let mut command = Command::new(python);
    command.args(["-c", "import os, sys; os.set_blocking(0, False); os.execv(sys.argv[1], sys.argv[1:])"]);
    command.arg(scratch.suite().path("multilog")).arg("./log").current_dir(scratch.root());
    let mut running = start(command.stdin(Stdio::piped()).stdout(Stdio::null()));
    let mut input = running.child().stdin.take().expect("piped");
    let mut expected = String::new();
    for line in ["one\n", "two\n"] {
        // Between two lines there is nothing to read; a read that fails must not end it.
        wait_until("the log is open", || scratch.path("log/current").exists());
        input.write_all(line.as_bytes()).expect("still read");
        expected.push_str(line);
        wait_until("the line", || scratch.text("log/current") == expected);
    }
    assert!(running.ended().is_none());
    drop(input);
    assert_eq!(running.end(), 0);
}
