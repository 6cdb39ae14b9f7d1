//! The command line of supervise, and the prefix of its messages.

use cli::{Program, Voice};

/// The description of the program and its command line.
pub const PROGRAM: Program = Program {
    name: "supervise",
    synopsis: "dir",
    usage: "supervise: usage: supervise dir",
    usage_exit: cli::USAGE,
    about: "Runs the service in dir: starts dir/run, and again whenever it ends.",
    options: &[("dir", "the service directory")],
};

/// Prints the messages of supervise.
pub const VOICE: Voice = PROGRAM.voice();
