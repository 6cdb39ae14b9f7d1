//! Chain programs: each prepares the process and then becomes another program.

pub mod envdir;
pub mod envuidgid;
pub mod fghack;
mod limits;
pub mod pgrphack;
pub mod setlock;
pub mod setuidgid;
pub mod softlimit;
