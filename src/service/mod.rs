//! What every program knows of a service directory and of those who serve it. The rooms stand on this one, and import no other room.

pub mod account;
pub mod client;
pub mod exec;
pub mod facts;
pub mod files;
pub mod holder;
pub mod listeners;
pub mod log_pipe;
pub mod notify;
pub mod processes;
pub mod programs;
pub mod record;
pub mod running;
pub mod scan_dir;
pub mod successor;

/// The signals that begin the stop of an init, and the second time cut it short.
pub const STOP: [sys::process::Signal; 2] = [sys::process::Signal::SIGTERM, sys::process::Signal::SIGINT];

/// Names the service whose output a svscan copies, and so makes it a copier.
pub const COPIER: &str = "UPHOLD_PREFIX";

/// Set by svscan for the supervise of a service with a log pipe, which takes it out of what the service sees: the pipe on stdout is that one.
/// Any other pipe there is svscan's own stdout, which belongs to somebody else.
pub const BELOW_SVSCAN: &str = "UPHOLD_SVSCAN";

/// Asks the kernel to kill anything else first when memory runs out. Children get `original` back, or what this process has now. Where it is not
/// permitted, nothing changes.
pub fn be_spared(original: Option<i16>) {
    match original {
        Some(original) => sys::oom::resume(original),
        None => {
            if let Err(error) = sys::oom::lower() {
                log::debug!("the OOM score stays as it is: {}", cli::reason(&error));
            }
        }
    }
}

/// Set by `svscan --exit-with` for the supervise of that service, which takes it out of what the service sees: a `run` that ends by itself
/// is the end.
pub const LAST_RUN: &str = "UPHOLD_LAST_RUN";

/// Now, as the machines count time.
pub fn tick() -> machine::Tick {
    machine::Tick(sys::clock::monotonic())
}

/// The wall clock, as a label.
pub fn now() -> tai::Label {
    let (seconds, nanos) = sys::clock::wall();
    tai::Label::from_unix(seconds, nanos)
}
