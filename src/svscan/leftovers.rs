//! What services leave behind when they end, found in `/proc` by what the kernel says of it: being below this svscan, or in the session of a service.
//!
//! Having a log pipe open says nothing: a service can send its stdout to any process of the system. It only says why a logger does not come to its
//! end.

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

/// Sessions that no process has come into but by being born there.
#[derive(Default)]
pub struct Sessions(BTreeSet<process::Pid>);

impl Sessions {
    /// Adds those of a service and its supervise: that of a service that was taken over is older than its supervise.
    pub fn add(&mut self, supervise: Option<Pid>, dir: Option<&Path>) {
        let service = dir.and_then(service_of);
        // What else is in the session of svscan may have come from whoever started it.
        let own = proc::session(process::own_pid());
        let found = supervise.map(kernel_pid).into_iter().chain(service).filter_map(proc::session);
        self.0.extend(found.filter(|&session| Some(session) != own));
    }
}

/// The process of the service in `dir`, by its record, if it lives.
fn service_of(dir: &Path) -> Option<process::Pid> {
    let Record { decided, observed } = record::read(dir).ok()?.record?;
    let pid = process::Pid::from_raw(decided.main?.pid.get().cast_signed());
    Adopted::find(pid, record::birth(observed.main.born)).ok().flatten().map(|found| found.pid())
}

/// The supervises, and the pipes from services to loggers.
pub struct Spared {
    /// Supervises of services.
    pub mains: Vec<Pid>,
    /// Supervises of loggers, and copiers.
    pub loggers: Vec<Pid>,
    /// The inode number of each log pipe, and the service that writes to it.
    pub pipes: Vec<(u64, Rc<OsStr>)>,
}

impl Spared {
    /// Sends `signal` to what is neither a supervise nor below that of a logger, and says which of it keeps a logger from its end if it is KILL.
    /// Where there is no `/proc`, nothing is found.
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
        // What a service of a svscan before this one has left behind is not below us.
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
