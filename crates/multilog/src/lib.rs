//! The parts of multilog and svlogd: the script and its patterns, the engine that decides for each line, and the log directories.
//!
//! [`Script`], [`Pattern`] and [`Engine`] are pure: bytes in, calls of a [`Sink`] out. [`Outputs`] is multilog's sink, which
//! writes files, and [`svlogd::Logs`] is svlogd's. When a write fails, they warn once for each cause and try again every few seconds; only a TERM ends
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
pub mod svlogd;

pub use engine::{Engine, Sink};
pub use outputs::{OpenError, Outputs};
pub use patience::{Level, Patience, Report};
pub use pattern::Pattern;
pub use rules::{Actions, HEAD, Prefix, Rules};
pub use script::{Action, Plan, Script, Stamp, WrongAction, number};
