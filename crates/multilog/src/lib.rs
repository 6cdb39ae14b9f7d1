//! multilog's parts: the script and its patterns, the engine that decides for each line, and the log directories.
//!
//! [`Script`], [`Pattern`] and [`Engine`] are pure: bytes in, calls of a [`Sink`] out. [`Outputs`] is the sink that
//! writes files. When a write fails, it warns once for each cause and tries again every five seconds; only a TERM ends
//! that.

#![forbid(unsafe_code)]

mod age;
mod alerts;
mod directory;
mod engine;
mod finished;
mod log;
mod outputs;
mod patience;
mod pattern;
mod processor;
mod recovery;
mod rotation;
mod rules;
mod script;
mod status;

pub use engine::{Engine, Sink};
pub use outputs::{OpenError, Outputs};
pub use patience::{Level, Patience, Report};
pub use pattern::Pattern;
pub use rules::{Actions, HEAD, Prefix, Rules};
pub use script::{Action, Plan, Script, Stamp, WrongAction};
