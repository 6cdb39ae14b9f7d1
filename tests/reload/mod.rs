//! hupwatch from outside: what it runs, what it says, and what becomes of both.

mod broken;
mod example;
mod helper;
mod leaving;
mod load;
mod messages;
mod readiness;
mod reloading;
mod sockets;
mod usage;
mod world;
