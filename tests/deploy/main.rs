//! The files of a service directory that daemontools does not have: knobs, readiness, sockets, and what svc can do with them. Without
//! any of these files everything is as with daemontools, which the other tests check.

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

/// An address on the loopback interface that nobody else asks for, with a port: clients of other tests have other addresses.
fn address() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    format!("127.{}.{low}.{}:8080", 1 + high % 250, COUNT.fetch_add(1, Ordering::Relaxed))
}
