//! What a service directory may hold beyond daemontools': knobs, readiness, sockets, and what svc can do with them. Where none of these
//! files exists, nothing of this is seen; the other suites of tests are about that.

#![cfg(target_os = "linux")]

#[path = "../differences/world.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod world;

mod cannot_run;
mod helper;
mod knobs;
mod readiness;
mod replace;
mod sd_notify;
mod signals;
mod sockets;
mod speakers;
mod wait;
