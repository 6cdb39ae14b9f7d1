//! How every program of the suite talks: what it was called with, its options, its messages, its exit code, its help.
//!
//! Messages are bytes, not text: names of files are not UTF-8. They go to stderr in one `write` each, and a
//! stderr that is closed or full is no error of ours.

#![forbid(unsafe_code)]

mod help;
mod logger;
mod message;
mod options;
mod program;
mod reason;
mod warnings;

pub use logger::init as init_log;
pub use message::{Piece, Text, Voice, print_error, write_errors_with};
pub use options::{LongWords, Options, WrongOption};
pub use program::{Call, Exit, Program, TEMPORARY, USAGE, Usage, Word, WrongWord};
pub use reason::reason;
pub use warnings::Warnings;
