//! While something fails runit's svlogd says so every three seconds, and obeys no signal. Ours says it once for each cause, goes on trying every three seconds, and after TERM once
//! more before it ends. Why: its messages go to the log of somebody else, and a full disk must not keep a machine from stopping.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use testkit::{Scratch, start, wait_until};

#[test]
fn a_cause_is_told_once_and_term_ends_the_pause() {
    let scratch = Scratch::new();
    scratch.write("d/config", "s10\n");
    let mut command = scratch.command("svlogd", &["-l", "5", "d"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = start(command.stderr(File::create(scratch.path("err")).expect("a file")));
    let mut input = running.child().stdin.take().expect("piped");
    input.write_all(b"a\n").expect("read");
    wait_until("it is read", || scratch.text("d/current") == "a\n");
    fs::rename(scratch.path("d/current"), scratch.path("d/hidden")).expect("renames");
    input.write_all(b"1234567\n").expect("read");
    let paused = "svlogd: pausing: unable to rename current: d: file does not exist\n";
    wait_until("it pauses", || scratch.text("err") == paused);
    running.signal("TERM");
    assert_eq!(running.end(), 111);
    assert_eq!(scratch.text("err"), format!("{paused}svlogd: warning: unable to finish log, ending: d\n"));
    assert_eq!(scratch.text("d/hidden"), "a\n1234567\n");
}
