//! multilog's parts: the script and its patterns, the engine that decides for each line, and the log directories.
//!
//! [`Script`], [`Pattern`] and [`Engine`] are pure: bytes in, calls of a [`Sink`] out. [`Outputs`] is the sink that
//! writes files. When a write fails, it warns once for each cause and tries again every five seconds; only a TERM ends
//! that.

#![forbid(unsafe_code)]

mod age;
mod directory;
mod engine;
mod log;
mod outputs;
mod patience;
mod pattern;
mod recovery;
mod rotation;
mod script;
mod status;

pub use engine::{Engine, HEAD, Sink};
pub use outputs::{OpenError, Outputs};
pub use patience::{Level, Patience, Report};
pub use pattern::Pattern;
pub use script::{Action, Plan, Script, Stamp, WrongAction};
