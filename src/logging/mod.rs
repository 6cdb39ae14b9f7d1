//! What becomes of the lines that services write.

pub mod multilog;
pub mod readproctitle;
pub mod tai64n;
pub mod tai64nlocal;
