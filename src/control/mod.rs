//! Clients of a service directory.

pub mod svc;
pub mod svok;
pub mod svstat;
