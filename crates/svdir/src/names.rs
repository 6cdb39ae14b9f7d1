//! Names of the files of a service directory, relative to it.

use std::ffi::CStr;

/// The program that is the service.
pub const RUN: &str = "run";
/// If it exists, the service is not started by itself.
pub const DOWN: &str = "down";
/// Knob: the signal that ends the service, in place of TERM.
pub const DOWN_SIGNAL: &str = "down-signal";
/// Knob: the signal that makes the service read its configuration again, in place of HUP.
pub const RELOAD_SIGNAL: &str = "reload-signal";
/// Knob: how long the service may take to end before it gets KILL.
pub const TIMEOUT_KILL: &str = "timeout-kill";
/// Knob: the descriptor on which the service writes a newline when it is ready.
pub const NOTIFICATION_FD: &str = "notification-fd";
/// If it exists, the service gets a socket to tell of itself, as systemd's do.
pub const SD_NOTIFY: &str = "sd-notify";
/// Knob: how often a service that has [`SD_NOTIFY`] tells that it is alive.
pub const WATCHDOG: &str = "watchdog";
/// Directory of the sockets that supervise holds for the service, one file each.
pub const SOCKETS: &str = "sockets";
/// The program that succeeds when the service is ready.
pub const CHECK: &str = "check";
/// Knob: how long a new copy may take to get ready before it is given up.
pub const TIMEOUT_READY: &str = "timeout-ready";
/// Knob: how long a new copy that does not tell when it is ready must live before the old one goes.
pub const WARMUP: &str = "warmup";
/// The program that is run after each end of [`RUN`].
pub const FINISH: &str = "finish";
/// Knob: how long [`FINISH`] may take before it is killed.
pub const TIMEOUT_FINISH: &str = "timeout-finish";
/// Knob: which ends of [`RUN`] are final.
pub const FINAL_EXITS: &str = "final-exits";
/// Knob: the longest pace between two starts.
pub const BACKOFF: &str = "backoff";
/// Knob: how often [`RUN`] may end in how much time.
pub const MAX_RESTARTS: &str = "max-restarts";
/// The service directory of the logger.
pub const LOG: &str = "log";
/// Directory of supervise's own files, mode 0700.
pub const SUPERVISE: &str = "supervise";
/// Locked by the supervise that runs here, for as long as it lives.
pub const LOCK: &str = "supervise/lock";
/// FIFO that supervise reads commands from.
pub const CONTROL: &str = "supervise/control";
/// FIFO that has a reader exactly while a supervise runs here.
pub const OK: &str = "supervise/ok";
/// The record of a supervise of ours: what [`STATUS`] has no place for.
pub const RECORD: &str = text(RECORD_FILE);
/// Directory of the socket on which the service tells of itself. Everybody may enter it, and nobody but its owner may read it.
pub const NOTIFY: &str = "supervise/notify";
/// The status: what every suite of the family reads.
pub const STATUS: &str = text(STATUS_FILE);
/// Written first, then renamed to [`STATUS`].
pub const STATUS_NEW: &str = text(STATUS_NEW_FILE);

/// [`RECORD`] as the kernel takes it.
pub const RECORD_FILE: &CStr = c"supervise/record";
/// [`STATUS`] as the kernel takes it.
pub const STATUS_FILE: &CStr = c"supervise/status";
/// [`STATUS_NEW`] as the kernel takes it.
pub const STATUS_NEW_FILE: &CStr = c"supervise/status.new";

const fn text(name: &'static CStr) -> &'static str {
    match name.to_str() {
        Ok(text) => text,
        Err(_) => panic!("the names above are ASCII"),
    }
}

/// The name of the directory of supervise's own files below an absolute `$SUPERVISEDIR`, as daemontools-encore has it: the absolute path of
/// the service directory without its first slash, and with colons for the others.
///
/// Two service directories whose paths differ only by a slash in one and a colon in the other have the same name here.
pub fn below_state_directory(service: &[u8]) -> Vec<u8> {
    with_colons(service.strip_prefix(b"/").unwrap_or(service))
}

/// The name that this suite gave that directory at first, with a colon for the first slash too.
pub fn old_below_state_directory(service: &[u8]) -> Vec<u8> {
    with_colons(service)
}

fn with_colons(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'/' { b':' } else { byte }).collect()
}
