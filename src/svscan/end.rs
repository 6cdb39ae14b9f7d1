//! How `svscan --init` ends, as the first process of a container or of a machine: its exit code, and the end of all processes that are left.

use std::ffi::{CString, OsStr, OsString};
use std::path::Path;

use cli::text;
use machine::SECOND;
use machine::scan::{Id, Role};
use svdir::{Exit, Record};
use sys::exec::{Prepared, c_string};
use sys::process;
use sys::signals::Signals;

use super::arguments::VOICE;
use super::services::Services;
use super::system::System;
use crate::service::processes::kill_descendants;
use crate::service::tick;

/// How long processes that were left behind may take to die of KILL, in nanoseconds.
const LAST_LOOK: u64 = SECOND / 2;
/// The time in nanoseconds after which the svscan of a machine, which must not end, tries again to begin or to execute its halt program.
const AGAIN: u64 = 5 * SECOND;

/// The service of `--exit-with`, if there is one, and the exit code of svscan.
pub struct Last {
    name: Option<OsString>,
    /// The exit code of svscan, once it is known.
    code: Option<u8>,
}

impl Last {
    /// Makes a `Last` for the service `name`, without an exit code yet.
    pub fn new(name: Option<OsString>) -> Last {
        Last { name, code: None }
    }

    /// Returns the exit code of svscan.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or(0)
    }

    /// Takes note that a supervise has exited. If it was the supervise of this service, and a stop has begun or `run` ended by itself, svscan exits with
    /// the last exit code of `run`. Returns whether the stop has to begin now.
    pub fn see_exit<S: System>(
        &mut self,
        system: &S,
        services: &Services<S>,
        id: Id,
        role: Role,
        stopping: bool,
    ) -> bool {
        let is_it = |name: &&OsStr| role == Role::Main && services.is_called(system, id, name);
        let Some(name) = self.name.as_deref().filter(is_it) else {
            return false;
        };
        let record = system.record(Path::new(name));
        let Some(Record { decided, .. }) = record.filter(|record| record.observed.supervise.exited) else {
            return false;
        };
        let ended = decided.service.ended;
        if stopping || ended {
            self.code = self.code.or(decided.pace.last_exit.map(code));
        }
        if ended && !stopping {
            log::info!("{}: ended, and svscan with it", Path::new(name).display());
        }
        ended && !stopping
    }
}

/// Returns the exit code that a shell gives for the end of a process.
fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128_u8.saturating_add(signal),
        Exit::Unknown => cli::TEMPORARY,
    }
}

/// Kills and reaps what the services have left behind. Then returns if `halt` is `None`; otherwise executes `halt`, and tries again for ever if
/// that fails.
pub fn end(signals: &Signals, halt: Option<&Path>) {
    // When process 1 of a container ends, the kernel kills all other processes there, faster than svscan could.
    let first = process::own_pid().as_raw() == 1;
    if first && halt.is_none() {
        return;
    }
    kill_leftovers(signals, first);
    let Some(halt) = halt else {
        return;
    };
    loop {
        let argv: [CString; 1] = [c_string(halt.as_os_str())];
        let failed = Prepared::new(&argv, None).exec(&argv[0]);
        VOICE.warning(&text!("unable to start ", halt, ", trying again in 5 seconds"), &failed);
        let until = tick().after(AGAIN);
        while tick() < until {
            reap(signals, tick().until(until));
        }
    }
}

fn kill_leftovers(signals: &Signals, first: bool) {
    let until = tick().after(LAST_LOOK);
    loop {
        if first {
            process::kill_everything();
        } else {
            kill_descendants();
        }
        while process::reap().is_some() {}
        if !process::has_children() || until <= tick() {
            return;
        }
        reap(signals, tick().until(until));
    }
}

/// Waits until a signal comes or `time` nanoseconds are over, then reaps the children that have ended.
fn reap(signals: &Signals, time: u64) {
    if sys::poll::readable([signals.fd()], signals.timeout(Some(time))).is_err() {
        sys::poll::rest();
    }
    signals.drain();
    while process::reap().is_some() {}
}

/// Waits for five seconds before the next attempt to begin, and reaps children meanwhile.
pub fn wait_to_begin_again() {
    let until = tick().after(AGAIN);
    while tick() < until {
        while process::reap().is_some() {}
        sys::poll::rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_what_a_shell_gives() {
        let codes = [Exit::Code(0), Exit::Code(255), Exit::Signal(9), Exit::Signal(64), Exit::Unknown].map(code);
        assert_eq!(codes, [0, 255, 137, 192, 111]);
    }
}
