//! The user interface of every program of the suite: its command line, its options, its messages, its exit code, its
//! help.
//!
//! Messages are bytes, not text, since file names need not be UTF-8. They go to stderr in one `write` each. It is not
//! an error if stderr is closed or full.

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
pub use options::{LongWords, Options, WrongOption, anywhere};
pub use program::{Call, Exit, Program, TEMPORARY, USAGE, Usage, Word, WrongWord};
pub use reason::reason;
pub use warnings::Warnings;
