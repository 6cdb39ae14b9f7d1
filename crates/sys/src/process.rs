//! Processes: children and their ends, signals, process groups.

use std::io;

use nix::errno::Errno;
pub use nix::sys::signal::Signal;
use nix::sys::wait::WaitPidFlag;
pub use nix::unistd::Pid;

pub use crate::spawn::{fork, spawn};

/// What happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It exited with this code.
    Exited(u8),
    /// This signal ended it.
    Killed(i32),
    /// It was stopped.
    Stopped,
    /// It was continued.
    Continued,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Exited(code) => write!(f, "exited {code}"),
            Change::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Change::Stopped => f.write_str("was stopped"),
            Change::Continued => f.write_str("was continued"),
        }
    }
}

/// Collects the next change of any child, without waiting; `None` if there is none, or no child.
pub fn reap() -> Option<(Pid, Change)> {
    reap_with(Pid::from_raw(-1), WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED).ok().flatten()
}

/// Waits for the end of `pid`.
pub fn wait(pid: Pid) -> io::Result<Change> {
    loop {
        if let Some((_, change)) = reap_with(pid, WaitPidFlag::empty())? {
            return Ok(change);
        }
    }
}

/// Collects the end of `pid`, if it has ended already.
pub fn try_wait(pid: Pid) -> io::Result<Option<Change>> {
    Ok(reap_with(pid, WaitPidFlag::WNOHANG)?.map(|(_, change)| change))
}

/// Returns the next change of any child as [`reap`] does. A child that has ended is not reaped yet, so that nothing else gets its pid, nor the number of
/// a process group that it has led. On systems that cannot do that, it is reaped.
pub fn peek() -> Option<(Pid, Change)> {
    #[cfg(target_os = "linux")]
    loop {
        let ends = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED;
        let (pid, change) = look(libc::P_ALL, 0, ends | libc::WNOWAIT).ok().flatten()?;
        if matches!(change, Change::Exited(_) | Change::Killed(_)) {
            return Some((pid, change));
        }
        // The child may have ended since, or have gone on.
        let id = libc::id_t::from(pid.as_raw().unsigned_abs());
        if let Ok(Some(told)) = look(libc::P_PID, id, libc::WSTOPPED | libc::WCONTINUED) {
            return Some(told);
        }
    }
    #[cfg(not(target_os = "linux"))]
    reap()
}

/// Returns whether a child is in this process group, even one that has ended and was not reaped.
pub fn has_child_in(group: Pid) -> bool {
    #[cfg(target_os = "linux")]
    {
        let id = libc::id_t::from(group.as_raw().unsigned_abs());
        !matches!(look(libc::P_PGID, id, libc::WEXITED | libc::WNOWAIT), Err(Errno::ECHILD))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = group;
        false
    }
}

/// The change of a child that waitid tells of, without waiting.
#[cfg(target_os = "linux")]
fn look(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> nix::Result<Option<(Pid, Change)>> {
    // SAFETY: a zeroed siginfo_t is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid takes numbers and a place for what it tells, which is ours.
    Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, flags | libc::WNOHANG) })?;
    // SAFETY: waitid has filled in what it tells of a child, or left zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let change = match info.si_code {
        libc::CLD_EXITED => Change::Exited(status as u8),
        libc::CLD_KILLED | libc::CLD_DUMPED => Change::Killed(status),
        libc::CLD_CONTINUED => Change::Continued,
        _ => Change::Stopped,
    };
    Ok((pid != 0).then_some((Pid::from_raw(pid), change)))
}

fn reap_with(pid: Pid, flags: WaitPidFlag) -> io::Result<Option<(Pid, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: waitpid takes two numbers and a place for the status, which is ours.
        match Errno::result(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, flags.bits()) }) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), change(status)))),
        }
    }
}

/// Decodes a status of waitpid. nix's own waitpid fails for a real-time signal, when the kernel has already forgotten
/// the child.
pub(crate) fn change(status: i32) -> Change {
    if libc::WIFEXITED(status) {
        Change::Exited(libc::WEXITSTATUS(status) as u8)
    } else if libc::WIFSIGNALED(status) {
        Change::Killed(libc::WTERMSIG(status))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped
    } else {
        Change::Continued
    }
}

/// The pid of this process.
pub fn own_pid() -> Pid {
    Pid::this()
}

/// The pid of the parent of this process.
pub fn own_parent() -> Pid {
    Pid::parent()
}

/// The path of the file of this program, by the name under which it was executed; if that file was replaced, the path of
/// the new one.
pub fn own_program() -> io::Result<std::path::PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: the kernel passes a C string that lives as long as the process, or 0 where it passes none.
        let name = unsafe {
            let address = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
            (!address.is_null()).then(|| std::ffi::CStr::from_ptr(address))
        };
        let path = name.map(|name| std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())));
        if let Some(path) = path.filter(|path| path.is_absolute() && path.exists()) {
            return Ok(path.to_path_buf());
        }
    }
    let path = std::env::current_exe()?;
    // The kernel adds this when the file was removed or replaced.
    let replaced = path.to_str().and_then(|name| name.strip_suffix(" (deleted)")).map(Into::into);
    Ok(replaced.unwrap_or(path))
}

/// Makes this process, in place of init, the parent of descendants whose parent ends, if the system can do that; or makes it no such parent any more. That
/// stays so over an exec.
pub fn adopt_orphans(adopt: bool) {
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes numbers. It fails on kernels before 3.4 only, where orphans stay init's.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(adopt), 0, 0, 0);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = adopt;
}

/// Sends a signal to one process.
pub fn kill(pid: Pid, signal: Signal) -> io::Result<()> {
    Ok(nix::sys::signal::kill(pid, signal)?)
}

/// The numbers of the real-time signals, as in glibc. The kernel has two more, which C libraries keep for themselves.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;
/// The numbers of the real-time signals: none on this system.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::reversed_empty_ranges, reason = "there is none")]
const REAL_TIME: std::ops::RangeInclusive<u8> = 1..=0;

/// Returns whether this is the number of a signal.
pub fn is_signal(number: u8) -> bool {
    Signal::try_from(i32::from(number)).is_ok() || REAL_TIME.contains(&number)
}

/// The number of the signal with this name: `SIGTERM` and the like, or `SIGRTMIN`, `SIGRTMIN+N`, `SIGRTMAX` or `SIGRTMAX-N`.
pub fn signal_named(name: &str) -> Option<u8> {
    let offset = |base: &str, sign: char| {
        let rest = name.strip_prefix(base)?;
        if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse().ok() }
    };
    let from_least = || offset("SIGRTMIN", '+').and_then(|offset: u8| REAL_TIME.start().checked_add(offset));
    let from_most = || offset("SIGRTMAX", '-').and_then(|offset: u8| REAL_TIME.end().checked_sub(offset));
    let real_time = || from_least().or_else(from_most).filter(|number| REAL_TIME.contains(number));
    name.parse::<Signal>().map_or_else(|_| real_time(), |signal| Some(signal as u8))
}

/// Sends the signal with this number to one process; it may be a real-time signal, which [`Signal`] does not have.
pub fn signal(pid: Pid, number: u8) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), i32::from(number)) })?;
    Ok(())
}

/// Sends a signal to a process group as [`kill_group`] does, by its number.
pub fn signal_group(leader: Pid, number: u8) -> io::Result<()> {
    if leader.as_raw() <= 1 {
        return Err(Errno::EINVAL.into());
    }
    // SAFETY: the call takes two numbers.
    Errno::result(unsafe { libc::killpg(leader.as_raw(), i32::from(number)) })?;
    Ok(())
}

/// Sends KILL to every process that this one may signal, but not to itself. As process 1, that is every process of its namespace.
pub fn kill_everything() {
    // There may be no such process.
    let _ = nix::sys::signal::kill(Pid::from_raw(-1), Signal::SIGKILL);
}

/// Returns whether there is a child, even one that has ended and was not reaped.
pub fn has_children() -> bool {
    // SAFETY: waitid takes numbers and a place for what it tells, which is ours; a zeroed one is valid. WNOWAIT leaves the child as it is.
    let found = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
    };
    Errno::result(found) != Err(Errno::ECHILD)
}

/// Makes this process the leader of a new process group, in the same session.
pub fn new_group() -> io::Result<()> {
    Ok(nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?)
}

/// The process group of `pid`; `None` if there is no such process.
pub fn group_of(pid: Pid) -> Option<Pid> {
    nix::unistd::getpgid(Some(pid)).ok()
}

/// Returns whether `pid` leads a process group.
pub fn leads_group(pid: Pid) -> bool {
    nix::unistd::getpgid(Some(pid)) == Ok(pid)
}

/// Sends a signal to every process of the group that `leader` leads or has led. ESRCH if the group is empty; EINVAL for a `leader` of 1 or
/// less, which to the kernel would mean every process, or our own group.
pub fn kill_group(leader: Pid, signal: Signal) -> io::Result<()> {
    if leader.as_raw() <= 1 {
        return Err(Errno::EINVAL.into());
    }
    Ok(nix::sys::signal::killpg(leader, signal)?)
}

/// Returns whether there is a process in the group, including one that has ended and was not reaped.
pub fn group_exists(leader: Pid) -> bool {
    // EPERM means that there is a process of another user.
    nix::sys::signal::killpg(leader, None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn real_time_signals_are_named_as_a_shell_names_them() {
        let numbers = ["SIGTERM", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-1", "SIGRTMAX"].map(signal_named);
        assert_eq!(numbers, [15, 34, 37, 63, 64].map(Some));
        for none in ["SIGRTMIN+31", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+", "SIGRT", ""] {
            assert_eq!(signal_named(none), None, "{none}");
        }
        assert!(is_signal(1) && is_signal(64) && !is_signal(0) && !is_signal(32) && !is_signal(65));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_is_in_its_group_until_it_is_reaped() {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("1000").process_group(0).spawn().expect("a child");
        let group = Pid::from_raw(child.id().cast_signed());
        let lives = (group_of(group), group_exists(group), has_child_in(group));
        child.kill().expect("it is ours");
        while crate::proc::stat(group).expect("it was not reaped").lives() {
            std::thread::yield_now();
        }
        let zombie = (group_of(group), group_exists(group), has_child_in(group));
        child.wait().expect("it is ours");
        assert_eq!([lives, zombie], [(Some(group), true, true); 2]);
        assert_eq!((group_of(group), group_exists(group), has_child_in(group)), (None, false, false));
    }

    #[test]
    fn no_group_is_everybodys_nor_our_own() {
        for leader in [1, 0, -1, -7] {
            // One that does nothing to those who do not ask for it.
            let error = kill_group(Pid::from_raw(leader), Signal::SIGWINCH).expect_err("it is refused");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{leader}");
        }
    }
}
