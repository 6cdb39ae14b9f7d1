//! What a service directory may hold beyond daemontools': knobs, readiness, sockets, and what svc can do with them. Where none of these
//! files exists, nothing of this is seen; the other suites of tests are about that.

#![cfg(target_os = "linux")]

#[path = "../differences/world.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod world;

mod helper;
mod knobs;
mod readiness;
mod replace;
mod sd_notify;
mod signals;
mod sockets;
mod wait;

/// Whether there is such a process, and it is no zombie.
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
