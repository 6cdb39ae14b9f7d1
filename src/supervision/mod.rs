//! The effectful loops: svscan, supervise, and the way to start them at boot.

mod beginning;
pub(crate) mod files;
mod handover;
mod held;
mod init;
mod knobs;
mod log_pipe;
mod other;
mod peer;
mod prefix;
mod readiness;
mod record;
mod said;
mod scan_directory;
mod scan_state;
pub(crate) mod servers;
mod sockets;
mod stop;
pub mod supervise;
pub mod svscan;
pub mod svscanboot;
pub(crate) mod usual;

/// Set by svscan for the supervise of a service with a log pipe, which takes it out of what the service sees: the pipe on stdout is that one.
/// Any other pipe there is svscan's own stdout, which belongs to somebody else.
const BELOW_SVSCAN: &str = "UPHOLD_SVSCAN";

/// Asks the kernel to kill anything else first when memory runs out. Children get `original` back, or what this process has now. Where it is not
/// permitted, nothing changes.
fn be_spared(original: Option<i16>) {
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
const LAST_RUN: &str = "UPHOLD_LAST_RUN";

/// Now, as the machines count time.
fn tick() -> machine::Tick {
    machine::Tick(sys::clock::monotonic())
}
