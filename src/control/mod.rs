//! Clients of a service directory.

mod order;
mod supervised;
pub mod sv;
pub mod svc;
pub mod svok;
pub mod svstat;
pub mod svup;
mod wait;
