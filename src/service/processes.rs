//! Processes by their parents: what is below this one, and how all of that is ended.

use machine::Pid;
use machine::stop::{Process, victims};
use sys::proc;
use sys::process::{self, Signal};

/// KILL for everything below this process.
pub fn kill_descendants() {
    if let Ok(processes) = proc::all() {
        kill(&victims(own(), &known(&processes), &[], &[]));
    }
}

/// KILL for each of these, which may have ended.
pub fn kill(pids: &[Pid]) {
    pids.iter().for_each(|&pid| signalled(process::kill(kernel_pid(pid), Signal::SIGKILL)));
}

/// This process.
pub fn own() -> Pid {
    machine_pid(process::own_pid())
}

/// The processes of a table, as the machine knows them.
pub fn known(processes: &[(process::Pid, process::Pid)]) -> Vec<Process> {
    processes.iter().map(|&(pid, parent)| Process { pid: machine_pid(pid), parent: machine_pid(parent) }).collect()
}

/// A pid as the machine knows it.
pub fn machine_pid(pid: process::Pid) -> Pid {
    Pid(pid.as_raw().unsigned_abs())
}

/// A pid of the machine, as the kernel knows it.
pub fn kernel_pid(Pid(pid): Pid) -> process::Pid {
    process::Pid::from_raw(pid.cast_signed())
}

/// A signal that could not be sent: the process has ended, and we shall be told; or it became somebody else's, and is none of ours.
pub fn signalled(_: std::io::Result<()>) {}
