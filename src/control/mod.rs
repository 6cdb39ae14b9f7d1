//! Clients of a service directory.

mod home;
mod order;
mod reload;
mod supervised;
pub mod svc;
pub mod svok;
pub mod svstat;
pub mod svup;
mod wait;

use home::Home;
