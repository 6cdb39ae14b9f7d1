//! The processes that services leave behind when they end. They are found in `/proc`: they descend from this svscan, or are in the session of a
//! service.
//!
//! An open log pipe does not mark such a process, since a service can pass its stdout to any process of the system. It only explains why a logger
//! does not come to the end of its input.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::rc::Rc;

use cli::text;
use machine::Pid;
use machine::stop::victims;
use svdir::Record;
use sys::adopted::Adopted;
use sys::proc;
use sys::process::{self, Signal};

use super::arguments::VOICE;
use crate::service::processes::{kernel_pid, known, machine_pid, own, signalled};
use crate::service::record;

/// The sessions of services and their supervises. A process can only be born into such a session; it cannot enter it later.
#[derive(Default)]
pub struct Sessions(BTreeSet<process::Pid>);

impl Sessions {
    /// Adds the session of the supervise with the pid `supervise`, and the session of the service in `dir`. The two differ if the supervise has
    /// taken the service over.
    pub fn add(&mut self, supervise: Option<Pid>, dir: Option<&Path>) {
        let service = dir.into_iter().flat_map(processes_of);
        // Other processes in the session of svscan may belong to the program that started svscan.
        let own = proc::session(process::own_pid());
        let found = supervise.map(kernel_pid).into_iter().chain(service).filter_map(proc::session);
        self.0.extend(found.filter(|&session| Some(session) != own));
    }
}

/// Returns the pids of the service in `dir`, and of the script for which it waits, according to its record, of those processes that are alive.
fn processes_of(dir: &Path) -> impl Iterator<Item = process::Pid> {
    let record = record::read(dir).ok().and_then(|found| found.record).unwrap_or_default();
    let Record { decided, observed } = record;
    let main = decided.main.map(|main| (main.pid, observed.main.born));
    let hook = decided.hook.map(|hook| (hook.pid, observed.hook));
    [main, hook].into_iter().flatten().filter_map(|(pid, born)| {
        let pid = process::Pid::from_raw(pid.get().cast_signed());
        Some(Adopted::find(pid, record::birth(born)).ok()??.pid())
    })
}

/// The supervises and copiers, which get no signal, and the log pipes.
pub struct Spared {
    /// Supervises of services.
    pub mains: Vec<Pid>,
    /// Supervises of loggers, and copiers.
    pub loggers: Vec<Pid>,
    /// The inode number of each log pipe, and the service that writes to it.
    pub pipes: Vec<(u64, Rc<OsStr>)>,
}

impl Spared {
    /// Sends `signal` to all services and to what they have left behind, but not to supervises, copiers, or descendants of a logger's supervise.
    /// Before KILL, warns about each process that has a log pipe open. Without `/proc` no process is found.
    pub fn signal_others(&self, sessions: &Sessions, signal: Signal) {
        let Ok(processes) = proc::all() else {
            return;
        };
        let below = |parent, mains: &[Pid], loggers: &[Pid]| victims(parent, &known(&processes), mains, loggers);
        let mut found = below(own(), &self.mains, &self.loggers);
        let readers = self.loggers.iter().flat_map(|&logger| [vec![logger], below(logger, &[], &[])].concat());
        let spared: BTreeSet<Pid> =
            readers.chain(self.mains.iter().copied()).chain([own()]).chain(found.clone()).collect();
        let is_kin = |pid: process::Pid| proc::session(pid).is_some_and(|session| sessions.0.contains(&session));
        // Processes that a service of an earlier svscan has left behind are not our descendants.
        let kin =
            processes.iter().map(|&(pid, _)| pid).filter(|&pid| !spared.contains(&machine_pid(pid)) && is_kin(pid));
        found.extend(kin.map(machine_pid));
        log::info!("{signal} for {} processes", found.len());
        for pid in found.into_iter().map(kernel_pid) {
            if signal == Signal::SIGKILL {
                self.say(pid);
            }
            signalled(process::kill(pid, signal));
        }
    }

    fn say(&self, pid: process::Pid) {
        let held = proc::pipes(pid);
        for (_, service) in self.pipes.iter().filter(|(pipe, _)| held.contains(pipe)) {
            let name: Vec<u8> = proc::name(pid).unwrap_or_default();
            let name: Vec<u8> =
                name.into_iter().map(|byte| if byte.is_ascii_control() { b'?' } else { byte }).collect();
            let number = pid.to_string();
            VOICE.warn(&text!(
                "unable to end the log of ",
                &**service,
                ", killing process ",
                number.as_str(),
                " (",
                name.as_slice(),
                "), which has it open"
            ));
        }
    }
}
