//! What daemontools-encore adds to the programs that prepare a process and execute another one.

#![cfg(target_os = "linux")]

mod accounts;
mod environment;
mod softlimit;

use testkit::Finished;

/// Asserts what a program answered on stderr, that it printed nothing, and its exit code.
#[track_caller]
fn refused(ran: &Finished, code: i32, err: &str) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (code, "", err));
}

/// Asserts that a program ended well and printed this.
#[track_caller]
fn printed(ran: &Finished, out: &str) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (0, out, ""));
}
