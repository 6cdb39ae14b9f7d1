//! The formats of a service directory: the names of its files, its knobs, the status, the record, the command letters, addresses to
//! listen on.
//!
//! This crate turns bytes into values and back. It opens no files.

#![forbid(unsafe_code)]

mod command;
pub mod finals;
mod kill_mode;
pub mod knob;
pub mod listener;
pub mod names;
pub mod notify;
pub mod record;
mod status;
pub mod stored;
pub mod tally;

pub use command::{Command, Mark, UPGRADE};
pub use kill_mode::{KillMode, Unknown as UnknownKillMode};
pub use listener::Listener;
pub use record::{Exit, Record};
pub use status::{Run, Status, TooShort, Want};
