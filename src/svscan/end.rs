//! How `svscan --init` ends, as the first process of a container or of a machine: its exit code, and the end of all processes that are left.

use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};

use cli::text;
use machine::SECOND;
use machine::scan::{Id, Role};
use svdir::{Exit, Record, names};
use sys::exec::{Prepared, c_string};
use sys::process;
use sys::signals::Signals;

use super::arguments::VOICE;
use super::proofs::Proofs;
use super::services::Services;
use super::system::System;
use crate::service::processes::kill_descendants;
use crate::service::{files, tick};

/// How long processes that were left behind may take to die of KILL, in nanoseconds.
const LAST_LOOK: u64 = SECOND / 2;
/// The time in nanoseconds after which the svscan of a machine, which must not end, tries again to begin or to execute its halt program.
const AGAIN: u64 = 5 * SECOND;

/// The services with which an init ends: that of `--exit-with`, if there is one, and those that are essential. And the exit code of svscan.
pub struct Last {
    name: Option<OsString>,
    /// The exit code of svscan, once it is known.
    code: Option<u8>,
    /// The essential services that are down for good. Their records say that svscan is to end, until it has.
    essential: Vec<(Id, PathBuf)>,
}

impl Last {
    /// Makes a `Last` for the service `name`, without an exit code yet.
    pub fn new(name: Option<OsString>) -> Last {
        Last { name, code: None, essential: Vec::new() }
    }

    /// Returns the exit code of svscan.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or(0)
    }

    /// Takes note that the supervise of a service, not of a logger, has exited. If `run` has ended by itself and the service is that of `--exit-with`, or
    /// the service is essential and down for good, svscan exits with the last exit code of `run`; so it does if a stop has begun and the service is that
    /// of `--exit-with`. `is_named` says whether its name leads to it and can be looked at. Returns whether the stop has to begin now.
    pub fn see_exit<S: System>(
        &mut self,
        system: &S,
        services: &Services<S>,
        id: Id,
        is_named: bool,
        stopping: bool,
    ) -> bool {
        let name = self.name.as_deref().filter(|name| services.is_called(system, id, name));
        let dir = name.map(PathBuf::from).or_else(|| services.named(id, Role::Main).filter(|_| is_named));
        let record = dir.and_then(|dir| Some((system.record(&dir)?, dir)));
        let Some((record, dir)) = record.filter(|(record, _)| record.observed.supervise.exited) else {
            return false;
        };
        let is_essential = record.ends_init();
        let Record { decided, .. } = record;
        let ends = is_essential || (name.is_some() && decided.service.ended);
        if ends || (name.is_some() && stopping) {
            self.code = self.code.or(decided.pace.last_exit.map(code));
        }
        if ends && !stopping {
            log::info!("{}: ended, and svscan with it", dir.display());
        }
        if is_essential {
            self.essential.push((id, dir));
        }
        ends && !stopping
    }

    /// Takes note that svscan has ended with the essential services that are down for good, so that the next svscan does not.
    pub fn note_end<S: System>(&mut self, system: &mut S, services: &mut Services<S>, proofs: &mut Proofs) {
        for (id, dir) in std::mem::take(&mut self.essential) {
            if !services.may_look(system, proofs, id) || !services.is_named(system, id) {
                continue;
            }
            if let Err(error) = system.note_end(&dir) {
                let record = files::of(&dir, names::RECORD);
                VOICE.warning(&text!("unable to write ", record, ", the next svscan will end at once"), &error);
            }
        }
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
