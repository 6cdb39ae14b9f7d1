//! Chain programs: each prepares the process and then becomes another program.

pub mod chpst;
pub mod envdir;
pub mod envuidgid;
pub mod fghack;
mod ids;
mod limits;
pub mod pgrphack;
pub mod setlock;
pub mod setuidgid;
pub mod softlimit;
