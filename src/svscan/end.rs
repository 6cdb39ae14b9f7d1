//! How `svscan --init` ends: what the first process of a container or of a machine has to do besides, in order and with the right code.

use std::ffi::{CString, OsString};
use std::path::Path;

use cli::text;
use machine::SECOND;
use machine::scan::{Id, Role};
use svdir::{Exit, Record};
use sys::exec::{Prepared, c_string};
use sys::process;
use sys::signals::Signals;

use super::arguments::VOICE;
use super::services::id_of;
use super::system::System;
use crate::service::processes::kill_descendants;
use crate::service::tick;

/// How long what was left behind may take to die of KILL.
const LAST_LOOK: u64 = SECOND / 2;
/// A machine's svscan that cannot begin tries again so much later: it must not end.
const AGAIN: u64 = 5 * SECOND;

/// The service with which svscan ends, if it is to end with one.
pub struct Last {
    name: Option<OsString>,
    /// What svscan ends with, once that is known.
    code: Option<u8>,
}

impl Last {
    /// The one of this name.
    pub fn new(name: Option<OsString>) -> Last {
        Last { name, code: None }
    }

    /// What svscan ends with.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or(0)
    }

    /// A supervise ended. If it is that of this service, its code is the one of svscan, once a stop has begun or if `run` ended by itself. Returns whether
    /// that begins the stop.
    pub fn see_end(&mut self, system: &impl System, id: Id, role: Role, stopping: bool) -> bool {
        let Some(name) = self.name.as_deref().filter(|name| role == Role::Main && id_of(system, name) == Some(id))
        else {
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

/// The code of a process's end, as a shell gives it.
fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128_u8.saturating_add(signal),
        Exit::Unknown => cli::TEMPORARY,
    }
}

/// All services are gone. Ends what they have left behind, collects it, and becomes `halt` if there is one. Returns if there is none, or
/// tries for ever.
pub fn end(signals: &Signals, halt: Option<&Path>) {
    // As process 1 this one takes everything with it when it ends, quicker than it could do that itself.
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

/// Collects children that end, until a signal comes or the time is over.
fn reap(signals: &Signals, time: u64) {
    if sys::poll::readable([signals.fd()], signals.timeout(Some(time))).is_err() {
        sys::poll::rest();
    }
    signals.drain();
    while process::reap().is_some() {}
}

/// Waits before the next attempt to begin, as the init of a machine has to.
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
