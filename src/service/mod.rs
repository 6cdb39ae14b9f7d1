//! What all programs know about a service directory and the processes that serve it. Each room of `src` uses this one, and no room uses another.

pub mod account;
pub mod cgroup;
pub mod client;
pub mod details;
pub mod exec;
pub mod facts;
pub mod files;
pub mod holder;
pub mod home;
pub mod knobs;
pub mod listeners;
pub mod local_time;
pub mod log_pipe;
pub mod look_ups;
pub mod needs;
pub mod notify;
pub mod over;
#[cfg(test)]
pub mod overheard;
pub mod processes;
pub mod programs;
pub mod ready_pipe;
pub mod record;
pub mod reload;
pub mod running;
pub mod scan_dir;
pub mod successor;
pub mod summary;
pub mod tally;
pub mod trouble;
pub mod wait;

/// The signals that make svscan as an init, and svscanboot, stop everything. A second one cuts the stop short.
pub const STOP: [sys::process::Signal; 2] = [sys::process::Signal::SIGTERM, sys::process::Signal::SIGINT];

/// The variable that makes a svscan a copier, and names the service whose output it copies.
pub const COPIER: &str = "UPHOLD_PREFIX";

/// The variable by which svscan tells a supervise that the pipe on its stdout is the log pipe. Without the variable, a pipe there is svscan's own
/// stdout, which some other program reads. supervise removes the variable from the environment of the service.
pub const BELOW_SVSCAN: &str = "UPHOLD_SVSCAN";

/// Asks the kernel to kill anything else before this process when memory runs out. Children get the OOM score `original`; if that is `None`, they
/// get the score that this process has now. If the kernel does not permit this, nothing changes.
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

/// The variable by which `svscan --exit-with` tells the supervise of that service to exit when `run` ends by itself. supervise removes it from
/// the environment of the service.
pub const LAST_RUN: &str = "UPHOLD_LAST_RUN";

/// The variable by which a svscan that is an init tells the supervise of a service that it ends with the service, if that is essential. supervise
/// removes it from the environment of the service.
pub const BELOW_INIT: &str = "UPHOLD_INIT";

/// Removes from the environment the variables that are meant for this process or for one above it, so that no service
/// takes them for its own.
pub fn keep_to_ourselves() {
    use sys::notify::{NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC};
    for name in [NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        sys::environ::take(name);
    }
}

/// The current time, on the clock of the machines.
pub fn tick() -> machine::Tick {
    machine::Tick(sys::clock::monotonic())
}

/// The wall clock time, as a label.
pub fn now() -> tai::Label {
    let (seconds, nanos) = sys::clock::wall();
    tai::Label::from_unix(seconds, nanos)
}
