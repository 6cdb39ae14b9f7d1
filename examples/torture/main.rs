//! Shows that nothing kills the suite: it kills and upgrades everything that supervises fifty services, and replaces the services, for
//! a given time, and checks that no service notices. Most services have files that say what comes before their starts and what follows their ends: they need other
//! services, must be ready in time, have descriptors kept, a cgroup, or a `finish`; `program/rules.rs` says which. With an odd seed svscan is an init, which
//! would end with an `essential` service that is down for good: some services are essential, are killed more often than the others, and must never end it.
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
