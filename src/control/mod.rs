//! Clients of a service directory.

mod home;
mod supervised;
pub mod svc;
pub mod svok;
pub mod svstat;
mod wait;

use home::Home;
