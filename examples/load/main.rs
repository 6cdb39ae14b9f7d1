//! Loads a web server with requests, each on a connection of its own, and counts the outcome of each.
//!
//!     cargo run --release --example load -- --seconds 10 tcp:127.0.0.1:8080
//!     cargo run --release --example load -- --expect 'release ' unix:/srv/site/web.sock
//!
//! Without `--seconds` it goes on until it is sent TERM or INT. The exit code is 0 if every request got its answer, else 1.

#[allow(dead_code, unused_imports)] // Not all of it is needed here.
mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main(&std::env::args_os().skip(1).collect::<Vec<_>>())
}
