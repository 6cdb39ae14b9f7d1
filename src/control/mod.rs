//! Clients of a service directory.

mod order;
mod reload;
mod supervised;
pub mod svc;
pub mod svok;
pub mod svstat;
pub mod svup;
mod wait;
