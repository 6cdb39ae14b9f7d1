//! hupwatch, tested from outside: its copies, its messages, and how both end.

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
