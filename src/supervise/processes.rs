//! The processes of the two copies, as the loop knows them: under the slots that the machine has for them.

use std::os::fd::BorrowedFd;

use machine::supervise::{Slot, Target};
use machine::{Pid, Signal};
use svdir::record::handover::Key;
use sys::adopted::Adopted;
use sys::proc;
use sys::process;

use super::readiness::ReadyPipe;

/// What is known of the process of one copy.
#[derive(Default)]
pub struct Known {
    /// Its descriptor, where it is not our child but was our predecessor's, or one that a child has named.
    pub adopted: Option<Adopted>,
    /// Where it tells that it is ready.
    pub ready: ReadyPipe,
}

/// Both copies.
#[derive(Default)]
pub struct Processes {
    /// The one that serves.
    pub main: Known,
    /// The one beside it.
    pub second: Known,
}

impl Processes {
    /// What is known of the copy in this slot.
    pub const fn of(&self, slot: Slot) -> &Known {
        match slot {
            Slot::Second => &self.second,
            Slot::Main | Slot::Job(_) => &self.main,
        }
    }

    /// What is known of the copy in this slot, to be changed.
    pub const fn of_mut(&mut self, slot: Slot) -> &mut Known {
        match slot {
            Slot::Second => &mut self.second,
            Slot::Main | Slot::Job(_) => &mut self.main,
        }
    }

    /// The two change places, and nobody waits for the second to get ready.
    pub fn promote(&mut self) {
        std::mem::swap(&mut self.main, &mut self.second);
        self.second.ready = ReadyPipe::default();
    }

    /// Takes out those of the adopted ones that have ended.
    pub fn take_ended(&mut self) -> [Option<Adopted>; 2] {
        let has_ended = |adopted: &mut Adopted| adopted.has_ended().unwrap_or(false);
        [self.main.adopted.take_if(has_ended), self.second.adopted.take_if(has_ended)]
    }

    /// Sends a signal. A pid is that of a child which was not reaped, so it can be nobody else's; one that is not a child is reached through its descriptor.
    ///
    /// # Errors
    /// What the system says. That the process has just ended is none.
    pub fn signal(&self, target: Target, Signal(signal): Signal) -> std::io::Result<()> {
        let sent = match target {
            Target::Process(pid) => {
                let pid = process_of(pid);
                let adopted = [&self.main.adopted, &self.second.adopted].into_iter().flatten();
                match adopted.into_iter().find(|adopted| adopted.pid() == pid) {
                    Some(adopted) => adopted.signal(signal),
                    None => process::signal(pid, signal),
                }
            }
            Target::Job(pid) => process::signal_group(process_of(pid), signal),
            Target::Group(leader) => {
                signal_leftovers(leader, signal);
                Ok(())
            }
        };
        match sent {
            Err(error) if error.raw_os_error() == Some(sys::ESRCH) => Ok(()),
            sent => sent,
        }
    }

    /// The descriptors, for a successor in the same process.
    pub fn descriptors(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let copies = [(&self.main, Key::MAIN, Key::MAIN_READY), (&self.second, Key::SECOND, Key::SECOND_READY)];
        copies.into_iter().flat_map(|(known, process, ready)| {
            let adopted = known.adopted.as_ref().map(|adopted| (process, adopted.fd()));
            adopted.into_iter().chain(known.ready.fd().map(|pipe| (ready, pipe)))
        })
    }
}

/// The same process, as `sys` calls it.
pub fn process_of(Pid(pid): Pid) -> process::Pid {
    process::Pid::from_raw(pid.cast_signed())
}

/// The same process, as the machine calls it.
pub fn pid_of(pid: process::Pid) -> Pid {
    Pid(pid.as_raw().unsigned_abs())
}

/// Signals what is left of a process group. The pid of its leader, which may have ended long ago, is given to nobody else while there is anybody in
/// it; so where a process has that which lives and is no child of ours, nothing is left.
#[inline(never)]
fn signal_leftovers(leader: Pid, signal: u8) {
    let leader = process_of(leader);
    let lives = match Adopted::open(leader) {
        Ok(found) => found.is_some(),
        // There nothing is led by anybody but a child of ours.
        Err(error) => !matches!(error.raw_os_error(), Some(sys::ENOSYS | sys::EPERM)),
    };
    if !lives || proc::parent(leader) == Some(process::own_pid()) {
        // ESRCH: it has left nothing behind.
        let _ = process::signal_group(leader, signal);
    }
}
