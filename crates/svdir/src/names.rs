//! Names of the files of a service directory, relative to it.

use std::ffi::CStr;

use crate::Command;

/// The program that is the service.
pub const RUN: &str = "run";
/// If this file exists, the service is not started until a command says so.
pub const DOWN: &str = "down";
/// Knob: the signal that ends the service, in place of TERM.
pub const DOWN_SIGNAL: &str = "down-signal";
/// Knob: the signal that makes the service read its configuration again, in place of HUP.
pub const RELOAD_SIGNAL: &str = "reload-signal";
/// Knob: how long the service may take to end before it gets KILL.
pub const TIMEOUT_KILL: &str = "timeout-kill";
/// Knob: the descriptor on which the service writes a newline when it is ready.
pub const NOTIFICATION_FD: &str = "notification-fd";
/// If this file exists, the service gets a notify socket, as from systemd.
pub const SD_NOTIFY: &str = "sd-notify";
/// Knob: the interval within which a service that has [`SD_NOTIFY`] must say that it is alive.
pub const WATCHDOG: &str = "watchdog";
/// Knob: how many descriptors of the service supervise keeps for its next start.
pub const FD_STORE: &str = "fd-store";
/// Directory of the sockets that supervise holds for the service, one file each.
pub const SOCKETS: &str = "sockets";
/// Directory of the limits of the service: one file for each file of its cgroup that is to be written.
pub const CGROUP: &str = "cgroup";
/// The program that succeeds when the service is ready.
pub const CHECK: &str = "check";
/// Knob: how long a copy that says when it is ready may take for that.
pub const TIMEOUT_READY: &str = "timeout-ready";
/// Knob: how long a new copy that does not say when it is ready must live before the old one is told to end.
pub const WARMUP: &str = "warmup";
/// The program that is run before [`RUN`], once each time when the service comes up.
pub const START: &str = "start";
/// Directory of the programs that are run at commands.
pub const CONTROL_SCRIPTS: &str = "control";
/// The program that is run before each start of [`RUN`].
pub const CONTROL_UP: &str = "control/u";
/// The program that is told of each start and end of a process of the service.
pub const NOTIFY_SCRIPT: &str = "notify";
/// The program that is run when the service is down, once each time.
pub const STOP: &str = "stop";
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
/// Knob: what of the service must have ended before it is started again.
pub const KILL_MODE: &str = "kill-mode";
/// Of s6: [`KILL_MODE`] is `mixed`.
pub const FLAG_TIMEOUT_KILLPG: &str = "flag-timeout-killpg";
/// Of s6: the service has a PID namespace of its own, which this suite does not make.
pub const FLAG_NEWPIDNS: &str = "flag-newpidns";
/// Knob: how many ends of [`RUN`] are kept in the death tally.
pub const MAX_DEATH_TALLY: &str = "max-death-tally";
/// The program that finds out again and again whether the service still works.
pub const HEALTH: &str = "health";
/// Knob: the time from the end of one run of [`HEALTH`] to the next.
pub const HEALTH_INTERVAL: &str = "health-interval";
/// Knob: how many runs of [`HEALTH`] must fail in a row.
pub const HEALTH_FAILS: &str = "health-fails";
/// If this file exists when the service is down for good by itself, svscan as an init ends with it.
pub const ESSENTIAL: &str = "essential";
/// Directory of empty files, one for each service that must be ready before this one is started.
pub const DEPENDENCIES: &str = "dependencies.d";
/// Directory of empty files, one for each service that is waited for before a start if it is coming.
pub const WANTS: &str = "wants.d";
/// The service directory of the logger.
pub const LOG: &str = "log";
/// Directory of supervise's own files, mode 0700.
pub const SUPERVISE: &str = "supervise";
/// The file that the supervise which runs here has locked, for as long as it lives.
pub const LOCK: &str = "supervise/lock";
/// The death tally ([`crate::tally`]).
pub const DEATH_TALLY: &str = "supervise/death_tally";
/// The next death tally, before it is renamed.
pub const DEATH_TALLY_NEW: &str = "supervise/death_tally.new";
/// The path of the cgroup of a service that has [`CGROUP`], in the hierarchy.
pub const CGROUP_PATH: &str = "supervise/cgroup";
/// The next path, before it is renamed.
pub const CGROUP_PATH_NEW: &str = "supervise/cgroup.new";
/// The list of the descriptors that supervise keeps for the service ([`crate::stored`]).
pub const STORED: &str = "supervise/stored";
/// The next list, before it is renamed.
pub const STORED_NEW: &str = "supervise/stored.new";
/// FIFO from which supervise reads commands.
pub const CONTROL: &str = "supervise/control";
/// FIFO that has a reader exactly while a supervise runs here.
pub const OK: &str = "supervise/ok";
/// The record of a supervise of this suite, which has more than [`STATUS`].
pub const RECORD: &str = text(RECORD_FILE);
/// Directory of the notify socket of the service. Everybody may enter it, but only its owner may list it.
pub const NOTIFY: &str = "supervise/notify";
/// The status, which every suite of the family reads.
pub const STATUS: &str = text(STATUS_FILE);
/// The next status while it is written; then it is renamed to [`STATUS`].
pub const STATUS_NEW: &str = text(STATUS_NEW_FILE);

/// The files that decide about a service, for who looks for misspelt ones.
pub const FILES: [&str; 29] = [
    RUN,
    DOWN,
    DOWN_SIGNAL,
    RELOAD_SIGNAL,
    TIMEOUT_KILL,
    NOTIFICATION_FD,
    SD_NOTIFY,
    WATCHDOG,
    FD_STORE,
    CHECK,
    TIMEOUT_READY,
    WARMUP,
    START,
    NOTIFY_SCRIPT,
    STOP,
    FINISH,
    TIMEOUT_FINISH,
    FINAL_EXITS,
    BACKOFF,
    MAX_RESTARTS,
    KILL_MODE,
    FLAG_TIMEOUT_KILLPG,
    FLAG_NEWPIDNS,
    MAX_DEATH_TALLY,
    HEALTH,
    HEALTH_INTERVAL,
    HEALTH_FAILS,
    ESSENTIAL,
    LOG,
];

/// The directories that do, and the one of supervise.
pub const DIRECTORIES: [&str; 7] = [SOCKETS, CGROUP, CONTROL_SCRIPTS, DEPENDENCIES, WANTS, LOG, SUPERVISE];

/// [`RECORD`] as a C string.
pub const RECORD_FILE: &CStr = c"supervise/record";
/// [`STATUS`] as a C string.
pub const STATUS_FILE: &CStr = c"supervise/status";
/// [`STATUS_NEW`] as a C string.
pub const STATUS_NEW_FILE: &CStr = c"supervise/status.new";

const fn text(name: &'static CStr) -> &'static str {
    match name.to_str() {
        Ok(text) => text,
        Err(_) => panic!("the names above are ASCII"),
    }
}

/// The script of [`CONTROL_SCRIPTS`] with the letter of this command. Commands that have none there have that of the signal that they send.
pub const fn control(command: Command) -> &'static CStr {
    match command {
        Command::Up | Command::Once => c"control/u",
        Command::Down => c"control/d",
        Command::Exit => c"control/x",
        Command::Pause => c"control/p",
        Command::Continue => c"control/c",
        Command::Hup | Command::Reload => c"control/h",
        Command::Alarm => c"control/a",
        Command::Interrupt => c"control/i",
        Command::Term | Command::Restart | Command::Replace => c"control/t",
        Command::Kill => c"control/k",
        Command::Quit => c"control/q",
        Command::Usr1 => c"control/1",
        Command::Usr2 => c"control/2",
        Command::Winch => c"control/w",
    }
}

/// [`control`] as text.
pub const fn control_name(command: Command) -> &'static str {
    text(control(command))
}

/// The name of the directory of supervise's own files below an absolute `$SUPERVISEDIR`, as in daemontools-encore: the absolute path of the
/// service directory without its first slash, and with colons for the other slashes.
///
/// Two service directories whose paths differ only by a slash in one and a colon in the other have the same name here.
pub fn below_state_directory(service: &[u8]) -> Vec<u8> {
    with_colons(service.strip_prefix(b"/").unwrap_or(service))
}

/// The name that earlier versions of this suite gave to that directory, with a colon for the first slash too.
pub fn old_below_state_directory(service: &[u8]) -> Vec<u8> {
    with_colons(service)
}

fn with_colons(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'/' { b':' } else { byte }).collect()
}
