//! What supervise is called with, and how it speaks.

use cli::{Program, Voice};

/// What supervise is called with.
pub const PROGRAM: Program = Program {
    name: "supervise",
    synopsis: "dir",
    usage: "supervise: usage: supervise dir",
    usage_exit: cli::USAGE,
    about: "Runs the service in dir: starts dir/run, and again whenever it ends.",
    options: &[("dir", "the service directory")],
};

/// How supervise speaks.
pub const VOICE: Voice = PROGRAM.voice();
