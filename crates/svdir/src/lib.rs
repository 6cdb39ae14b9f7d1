//! What a service directory says: the names of its files, its knobs, the status record, the command letters, addresses to listen on.
//!
//! Everything here is bytes in, values out. The files are opened by somebody else.

#![forbid(unsafe_code)]

mod command;
pub mod finals;
pub mod knob;
pub mod listener;
pub mod names;
pub mod notify;
pub mod record;
mod status;

pub use command::{Command, Mark, UPGRADE};
pub use listener::Listener;
pub use record::{Exit, Record};
pub use status::{Run, Status, TooShort, Want};
