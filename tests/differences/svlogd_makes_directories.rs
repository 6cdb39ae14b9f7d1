//! runit's svlogd leaves out a log directory that does not exist. Ours makes it, as multilog does, but only at its start and only the last component. Why: a logger that does
//! not start blocks its service, for want of what it could do itself. On HUP a directory that is not there is not made: somebody has taken it away.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use testkit::{Scratch, finish_with, start, wait_until};

#[test]
fn a_directory_that_does_not_exist_is_made() {
    let scratch = Scratch::new();
    let done = finish_with(&mut scratch.command("svlogd", &["a", "b/c"]), b"a\n");
    assert_eq!(done.err(), "svlogd: warning: unable to open log directory: b/c: file does not exist\n");
    assert_eq!((done.code, scratch.text("a/current").as_str()), (0, "a\n"));
    assert_eq!(fs::metadata(scratch.path("a")).expect("it is there").permissions().mode() & 0o777, 0o700);
}

#[test]
fn on_hangup_none_is_made_and_where_none_is_left_it_waits_for_one() {
    let scratch = Scratch::new();
    scratch.mkdir("d");
    let mut command = scratch.command("svlogd", &["d"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = start(command.stderr(File::create(scratch.path("err")).expect("a file")));
    let mut input = running.child().stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"a\n").expect("read");
    wait_until("it is read", || scratch.text("d/current") == "a\n");
    fs::rename(scratch.path("d"), scratch.path("away")).expect("renames");
    running.signal("HUP");
    let said = "svlogd: warning: unable to open log directory: d: file does not exist\n\
                svlogd: warning: no functional log directories, trying again in 5 seconds.\n";
    wait_until("it waits", || scratch.text("err") == said);
    std::io::Write::write_all(&mut input, b"b\n").expect("it has room");
    fs::rename(scratch.path("away"), scratch.path("d")).expect("renames");
    wait_until("it goes on", || scratch.text("d/current") == "a\nb\n");
    drop(input);
    assert_eq!(running.end(), 0);
}

#[test]
fn term_ends_the_wait() {
    let scratch = Scratch::new();
    scratch.mkdir("d");
    let mut command = scratch.command("svlogd", &["d"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = start(command.stderr(File::create(scratch.path("err")).expect("a file")));
    wait_until("it runs", || scratch.path("d/current").exists());
    fs::remove_dir_all(scratch.path("d")).expect("removes");
    running.signal("HUP");
    wait_until("it waits", || scratch.text("err").contains("trying again"));
    running.signal("TERM");
    assert_eq!(running.end(), 111);
}
