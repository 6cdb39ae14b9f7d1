//! Injected faults: strace makes a system call of a running program fail, and the program must live on, warn once for each
//! cause, and get to the wanted state. If strace is not installed or may not trace, the tests say so and are skipped.

#![cfg(target_os = "linux")]

mod birth;
mod multilog;
mod sandbox;
mod scene;
mod strace;
mod supervise;
mod svscan;

#[test]
#[ignore = "takes a minute: `cargo test --test faults -- --ignored`"]
fn a_start_for_which_there_is_no_process_is_made_by_itself_after_a_minute() {
    if strace::needs_strace() {
        supervise::no_start_for_a_while(strace::FORK, "EAGAIN", false);
    }
}
