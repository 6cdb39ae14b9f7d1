//! Shows that nothing kills the suite: it kills and upgrades everything that supervises fifty services, and replaces the services, for
//! a given time, and checks that no service notices.
//!
//!     cargo run --release --example torture -- --seconds 60 --seed 1
//!
//! It makes a scan directory of its own, and touches only processes that it has started there. The exit code is 0 if every promise was
//! kept, 1 if one was broken.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main(std::env::args_os().skip(1).collect())
}
