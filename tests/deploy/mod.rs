//! The files of a service directory that daemontools does not have: knobs, readiness, sockets, and what svc can do with them. Without
//! any of these files everything is as with daemontools, which the other tests check.

#![cfg(target_os = "linux")]

#[path = "../differences/world.rs"]
#[allow(dead_code)] // Not all of it is needed here.
pub mod world;

mod cannot_run;
mod fd_store;
pub mod helper;
mod knobs;
mod readiness;
mod reload;
mod replace;
mod sd_notify;
mod signals;
mod sockets;
mod speakers;
mod wait;
