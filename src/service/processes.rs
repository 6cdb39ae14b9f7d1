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

/// Converts a table of pids and parents to the type of the machine.
pub fn known(processes: &[(process::Pid, process::Pid)]) -> Vec<Process> {
    processes.iter().map(|&(pid, parent)| Process { pid: machine_pid(pid), parent: machine_pid(parent) }).collect()
}

/// Converts a pid to the type of the machine.
pub fn machine_pid(pid: process::Pid) -> Pid {
    Pid(pid.as_raw().unsigned_abs())
}

/// Converts a pid of the machine to the type of the kernel calls.
pub fn kernel_pid(Pid(pid): Pid) -> process::Pid {
    process::Pid::from_raw(pid.cast_signed())
}

/// Drops the result of sending a signal. If it failed, the process has ended, and SIGCHLD will report that; or it has changed its user, and this
/// process may not signal it any more.
pub fn signalled(_: std::io::Result<()>) {}
