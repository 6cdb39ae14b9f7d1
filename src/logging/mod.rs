//! The programs that handle the lines which services write.

pub mod multilog;
mod reader;
pub mod readproctitle;
pub mod svlogd;
pub mod tai64n;
pub mod tai64nlocal;
