//! The programs that prepare a process and become another: what daemontools 0.76 does, and so do we.

mod accounts;
mod common;
mod envdir;
mod exec;
mod fghack;
mod inherit;
mod jail;
mod pgrphack;
mod setlock;
mod softlimit;
mod usage;
