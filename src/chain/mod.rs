//! Programs that prepare the process and then become another.

pub mod envdir;
pub mod envuidgid;
pub mod fghack;
pub mod pgrphack;
pub mod setlock;
pub mod setuidgid;
pub mod softlimit;
