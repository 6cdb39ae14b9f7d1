//! The programs that prepare a process and execute another program, compared with daemontools 0.76.

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
