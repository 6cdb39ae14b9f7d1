//! The processes below this one, by their parents, and how to kill all of them.

use machine::Pid;
use machine::stop::{Process, victims};
use sys::proc;
use sys::process::{self, Signal};

/// Sends KILL to all descendants of this process.
pub fn kill_descendants() {
    if let Ok(processes) = proc::all() {
        kill(&victims(own(), &known(&processes), &[], &[]));
    }
}

/// Sends KILL to each of these processes.
pub fn kill(pids: &[Pid]) {
    pids.iter().for_each(|&pid| signalled(process::kill(kernel_pid(pid), Signal::SIGKILL)));
}

/// The pid of this process.
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

/// Drops the result of sending a signal. If it failed, the process has ended, and SIGCHLD will tell; or it has changed its user, and is not ours
/// to signal any more.
pub fn signalled(_: std::io::Result<()>) {}
