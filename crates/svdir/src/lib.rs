//! What a service directory says: the names of its files, its knobs, the status record, the command letters.
//!
//! Everything here is bytes in, values out. The files are opened by somebody else.

#![forbid(unsafe_code)]

mod command;
pub mod knob;
mod more;
pub mod names;
mod status;

pub use command::{Command, Mark, UPGRADE};
pub use more::{Born, Exit, More};
pub use status::{Run, Status, TooShort, Want};
