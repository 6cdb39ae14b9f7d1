//! Proves that nothing kills it: kills and upgrades everything that supervises fifty services, and replaces these, for as long as it is
//! told to, and checks that no service notices.
//!
//!     cargo run --release --example torture -- --seconds 60 --seed 1
//!
//! It makes a scan directory of its own and touches no process but those that it started there. The exit code is 0 if
//! every promise was kept, 1 if one was broken.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main(std::env::args_os().skip(1).collect())
}
