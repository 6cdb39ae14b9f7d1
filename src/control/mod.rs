//! Clients of a service directory.

mod home;
pub mod svc;
pub mod svok;
pub mod svstat;
mod wait;

use std::io;

use home::Home;

/// Whether a FIFO could not be opened because no supervise reads it.
fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(sys::fd::NO_READER)
}
