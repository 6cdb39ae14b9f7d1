//! What a service directory says: the names of its files, its knobs, the status record, the command letters, addresses to listen on.
//!
//! Everything here is bytes in, values out. The files are opened by somebody else.

#![forbid(unsafe_code)]

mod command;
pub mod knob;
pub mod listener;
mod more;
pub mod names;
pub mod notify;
mod status;

pub use command::{Command, Mark, UPGRADE};
pub use listener::Listener;
pub use more::{Born, Exit, More, Role, Second};
pub use status::{Run, Status, TooShort, Want};
