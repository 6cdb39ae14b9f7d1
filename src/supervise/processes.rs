//! The processes of the two copies and of the script for which the service waits, under the slots that the machine has for them.

use std::os::fd::BorrowedFd;

use machine::supervise::controls::MOST;
use machine::supervise::{Job, Slot, Target};
use machine::{Pid, Signal};
use svdir::record::handover::Key;
use sys::adopted::Adopted;
use sys::proc;
use sys::process;

use super::readiness::ReadyPipe;

/// How many processes may be watched at a time that are not children: two copies, a script for which the service waits, and
/// those of `control/`.
pub const WATCHED: usize = 3 + MOST;

/// What is known of one process.
#[derive(Default)]
pub struct Known {
    /// Its pidfd, if the process is not our child: it was a child of our predecessor, or the service has named it.
    pub adopted: Option<Adopted>,
    /// The pipe on which it says that it is ready.
    pub ready: ReadyPipe,
}

/// Both copies, and the script.
#[derive(Default)]
pub struct Processes {
    /// The main copy.
    pub main: Known,
    /// The second copy, beside the main one.
    pub second: Known,
    /// The script for which the service waits: `start`, `control/u`, `finish` or `stop`.
    pub hook: Known,
    /// The scripts of `control/` that run and are not our children.
    pub controls: [Option<Adopted>; MOST],
}

impl Processes {
    /// What is known of the process in this slot.
    pub const fn of(&self, slot: Slot) -> &Known {
        match slot {
            Slot::Second => &self.second,
            Slot::Job(Job::Hook(_)) => &self.hook,
            Slot::Main | Slot::Job(_) => &self.main,
        }
    }

    /// What is known of the process in this slot, to be changed.
    pub const fn of_mut(&mut self, slot: Slot) -> &mut Known {
        match slot {
            Slot::Second => &mut self.second,
            Slot::Job(Job::Hook(_)) => &mut self.hook,
            Slot::Main | Slot::Job(_) => &mut self.main,
        }
    }

    /// Exchanges the two copies, and stops listening for the readiness of the one that becomes the second.
    pub fn promote(&mut self) {
        std::mem::swap(&mut self.main, &mut self.second);
        self.second.ready = ReadyPipe::default();
    }

    /// Takes out the adopted processes that have ended.
    pub fn take_ended(&mut self) -> [Option<Adopted>; WATCHED] {
        let has_ended = |adopted: &mut Adopted| adopted.has_ended().unwrap_or(false);
        let [first, second] = &mut self.controls;
        let [main, beside, hook] = [&mut self.main, &mut self.second, &mut self.hook].map(|known| &mut known.adopted);
        [main, beside, hook, first, second].map(|adopted| adopted.take_if(has_ended))
    }

    /// Sends a signal. The pid of a child that was not reaped cannot belong to another process; a process that is not a
    /// child is reached through its pidfd.
    ///
    /// # Errors
    /// The error of the system. It is no error if the process has just ended.
    pub fn signal(&self, target: Target, Signal(signal): Signal) -> std::io::Result<()> {
        let sent = match target {
            // The rest of it is dealt with by who knows what descends from whom.
            Target::Orphans(_) => Ok(()),
            Target::Process(pid) | Target::Tree(pid, _) => {
                let pid = process_of(pid);
                let adopted = [&self.main.adopted, &self.second.adopted].into_iter().flatten();
                match adopted.into_iter().find(|adopted| adopted.pid() == pid) {
                    Some(adopted) => adopted.signal(signal),
                    None => process::signal(pid, signal),
                }
            }
            Target::Job(pid) => {
                let pid = process_of(pid);
                let mut jobs = self.controls.iter().chain([&self.hook.adopted]).flatten();
                match jobs.find(|job| job.pid() == pid) {
                    // If it has ended, another process group may have its number.
                    Some(job) if job.has_ended().unwrap_or(true) => Ok(()),
                    Some(_) | None => process::signal_group(pid, signal),
                }
            }
            Target::Led(pid, leader) => {
                if self.is_in(pid, leader) {
                    // A member that lives, or that was not reaped, keeps the number of the group.
                    process::signal_group(process_of(leader), signal)
                } else {
                    signal_leftovers(leader, signal);
                    return self.signal(Target::Process(pid), Signal(signal));
                }
            }
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

    /// Returns whether this process, a copy, is in the process group that `leader` leads or has led.
    fn is_in(&self, pid: Pid, Pid(leader): Pid) -> bool {
        let pid = process_of(pid);
        let group = process::group_of(pid);
        let mut adopted = [&self.main.adopted, &self.second.adopted].into_iter().flatten();
        // This is asked after the question above: if the process still lives, the answer was about it. A child of ours
        // keeps its pid until it is reaped.
        let adopted = adopted.find(|adopted| adopted.pid() == pid);
        let lives = adopted.is_none_or(|adopted| adopted.has_ended().is_ok_and(|ended| !ended));
        lives && group == Some(process_of(Pid(leader)))
    }

    /// All descriptors, to be handed over in an upgrade.
    pub fn descriptors(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let copies = [(&self.main, Key::MAIN, Key::MAIN_READY), (&self.second, Key::SECOND, Key::SECOND_READY)];
        let hook = self.hook.adopted.as_ref().map(|adopted| (Key::HOOK, adopted.fd()));
        let copies = copies.into_iter().flat_map(|(known, process, ready)| {
            let adopted = known.adopted.as_ref().map(|adopted| (process, adopted.fd()));
            adopted.into_iter().chain(known.ready.fd().map(|pipe| (ready, pipe)))
        });
        let controls = Key::CONTROLS.into_iter().zip(&self.controls);
        let controls = controls.filter_map(|(key, adopted)| Some((key, adopted.as_ref()?.fd())));
        copies.chain(hook).chain(controls)
    }
}

/// Converts a pid of the machine into one of `sys`.
pub fn process_of(Pid(pid): Pid) -> process::Pid {
    process::Pid::from_raw(pid.cast_signed())
}

/// Converts a pid of `sys` into one of the machine.
pub fn pid_of(pid: process::Pid) -> Pid {
    Pid(pid.as_raw().unsigned_abs())
}

/// Returns whether the number of a group, whose leader has ended, is that of a process that lives and is no child of ours.
/// As long as the group has members, no other process gets the pid of its leader, even if that ended long ago. So such a
/// group is empty.
pub fn is_anothers(group: process::Pid) -> bool {
    let lives = match Adopted::open(group) {
        Ok(found) => found.is_some(),
        // Without pidfds, only children of ours lead such a group.
        Err(error) => !matches!(error.raw_os_error(), Some(sys::ENOSYS | sys::EPERM)),
    };
    lives && proc::parent(group) != Some(process::own_pid())
}

/// Signals the processes that are left of a process group.
#[inline(never)]
fn signal_leftovers(leader: Pid, signal: u8) {
    let leader = process_of(leader);
    if !is_anothers(leader) {
        // ESRCH means that nothing is left.
        let _ = process::signal_group(leader, signal);
    }
}
