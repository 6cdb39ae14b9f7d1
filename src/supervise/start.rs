//! Starts processes of every kind: supervise makes a plan, and a child carries it out.
//!
//! A child shares the memory of supervise if the system can do that, so it must neither allocate nor free any. Code that
//! allocates belongs to the [`Plan`]; [`Birth::become_it`] is the only code that runs in a child.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use machine::Pid;
use svdir::record::Born;
use sys::cgroup::Entrance;
use sys::exec::Prepared;
use sys::limits::{self, Resource};
use sys::passed::{LISTEN_PID, PassedFd, PassedFds};
use sys::{clock, environ, fd, process};

use super::processes::pid_of;
use crate::service::record::Slot;

/// The program to start, and how to start it.
pub struct Plan<'a> {
    argv: Vec<CString>,
    /// The environment; `None` for that of supervise.
    environment: Option<Vec<CString>>,
    handed: PassedFds<'a>,
    /// The file that the process gets as stdin and stdout.
    nowhere: Option<File>,
    /// The process leads a process group of its own.
    group: bool,
    /// The way into the cgroup in which the process is to be, and whether it is started only there.
    entrance: Option<(Entrance, bool)>,
}

/// The error if two descriptors ask for the same number.
pub use sys::passed::Clash;

/// A process that was made.
pub struct Made {
    /// Its pid.
    pub pid: Pid,
    /// When it was born.
    pub born: Born,
    /// Whether the process has written its own record; false if that is unknown.
    pub recorded: bool,
    /// Why the process has not executed its program; then it ends at once.
    pub failed: Option<Failure>,
}

impl Made {
    /// Returns the process, once it has executed its program.
    ///
    /// # Errors
    /// Why it has not. It ends by itself, and will be reaped without anybody waiting for it.
    pub fn executed(self) -> io::Result<Made> {
        match self.failed {
            Some(Failure::Record(error) | Failure::Cgroup(error) | Failure::Exec(error)) => Err(error),
            None => Ok(self),
        }
    }
}

/// Why a process has not executed its program.
pub enum Failure {
    /// Its record could not be written, so no successor would know of the process.
    Record(io::Error),
    /// It could not enter its cgroup.
    Cgroup(io::Error),
    /// A descriptor could not be placed, or the exec failed.
    Exec(io::Error),
}

impl<'a> Plan<'a> {
    /// Plans to execute `file`, a program in the service directory, with these words after its name, these changes of
    /// the environment, and these descriptors.
    ///
    /// # Errors
    /// If two descriptors ask for the same number.
    pub fn new(
        file: &CStr,
        words: &[CString],
        changes: &[(&str, Option<Vec<u8>>)],
        passed: &[PassedFd<'a>],
    ) -> Result<Plan<'a>, Clash> {
        let handed = PassedFds::new(passed)?;
        let argv = std::iter::once(file.to_owned()).chain(words.iter().cloned()).collect();
        let counted = handed.is_counted().then(|| handed.variables());
        let changes: Vec<_> = counted.into_iter().flatten().chain(changes.iter().cloned()).collect();
        let environment = (!changes.is_empty()).then(|| environ::changed(&changes));
        Ok(Plan { argv, environment, handed, nowhere: None, group: false, entrance: None })
    }

    /// Makes the process the leader of a process group of its own, by which the processes that it leaves behind are
    /// found.
    #[must_use]
    pub fn in_group(self) -> Plan<'a> {
        Plan { group: true, ..self }
    }

    /// Puts the process into a cgroup before it executes the program.
    #[must_use]
    pub fn within(self, entrance: Entrance) -> Plan<'a> {
        Plan { entrance: Some((entrance, true)), ..self }
    }

    /// Puts the process into a cgroup before it executes the program. If that fails, it executes the program where it is.
    #[must_use]
    pub fn within_if_it_can(self, entrance: Entrance) -> Plan<'a> {
        Plan { entrance: Some((entrance, false)), ..self }
    }

    /// Gives the process `nowhere` as stdin and stdout: otherwise its stdin could be the log pipe, or its output would
    /// go into the log.
    #[must_use]
    pub fn with_nothing(self, nowhere: File) -> Plan<'a> {
        Plan { nowhere: Some(nowhere), ..self }
    }

    /// Makes the process. Before it executes the program, the process writes the record that `record` makes from its
    /// pid and the time of its birth. `record` runs in the child and must not allocate.
    ///
    /// # Errors
    /// If no further process can be made.
    pub fn start<'r>(mut self, record: Option<&'r dyn Fn(Pid, Born) -> Slot<'r>>) -> io::Result<Made> {
        let program = Prepared::new(&self.argv, self.environment.as_deref());
        let program = if self.handed.is_counted() { program.telling_pid(LISTEN_PID) } else { program };
        let earliest = clock::since_boot();
        let (announced, mut failed) = (Cell::new(None), None);
        let mut birth = Birth {
            file: self.argv.first().map_or(c"", CString::as_c_str),
            program: &program,
            handed: &mut self.handed,
            nowhere: self.nowhere.as_ref(),
            group: self.group,
            entrance: self.entrance.as_ref(),
            earliest,
            record,
            announced: &announced,
        };
        let pid = process::spawn(|| birth.become_it(), |failure| failed = Some(failure))?;
        // If the child does not share our memory, nothing is known of what it did.
        let (born, recorded) = announced.get().unwrap_or((Born { earliest, latest: clock::since_boot() }, false));
        Ok(Made { pid: pid_of(pid), born, recorded, failed })
    }
}

/// All that a child needs to carry out a plan.
struct Birth<'a, 'b, 'r> {
    file: &'a CStr,
    program: &'a Prepared<'a>,
    handed: &'a mut PassedFds<'b>,
    nowhere: Option<&'a File>,
    group: bool,
    entrance: Option<&'a (Entrance, bool)>,
    earliest: u64,
    record: Option<&'r dyn Fn(Pid, Born) -> Slot<'r>>,
    /// The time of birth, and whether the record was written. The child sets this for supervise.
    announced: &'a Cell<Option<(Born, bool)>>,
}

impl Birth<'_, '_, '_> {
    /// In the child: executes the program. Returns only if that failed, with the reason.
    ///
    /// The record is written first. The child holds a copy of the lock until it executes the program. So if supervise
    /// is killed meanwhile, its successor gets the lock only when the record is there.
    fn become_it(&mut self) -> Failure {
        let born = Born { earliest: self.earliest, latest: clock::since_boot() };
        let written = self.record.map_or(Ok(()), |record| record(pid_of(process::own_pid()), born).write());
        self.announced.set(Some((born, written.is_ok())));
        let entered = || match self.entrance {
            Some((entrance, true)) => entrance.enter(),
            Some((entrance, false)) => entrance.enter().or(Ok(())),
            None => Ok(()),
        };
        match written.map_err(Failure::Record).and_then(|()| entered().map_err(Failure::Cgroup)) {
            Err(failure) => failure,
            Ok(()) => Failure::Exec(self.prepare().err().unwrap_or_else(|| self.program.exec(self.file))),
        }
    }

    fn prepare(&mut self) -> io::Result<()> {
        if self.group {
            // This cannot fail in a new process.
            let _ = process::new_group();
        }
        if let Some(nowhere) = self.nowhere {
            fd::place(nowhere.as_fd(), 0)?;
            fd::place(nowhere.as_fd(), 1)?;
        }
        place(self.handed)
    }
}

/// Puts the descriptors for the process in their places. On the way each may need a second number for a moment, so if
/// there are many, the limit of open files is raised meanwhile.
fn place(handed: &mut PassedFds<'_>) -> io::Result<()> {
    const FEW: usize = 100;
    let limit = if handed.count() > FEW { limits::get(Resource::RLIMIT_NOFILE).ok() } else { None };
    if let Some(limit) = limit {
        let _ = limits::set_soft(Resource::RLIMIT_NOFILE, limit.hard);
    }
    let placed = handed.place();
    if let Some(limit) = limit {
        limits::set_soft(Resource::RLIMIT_NOFILE, limit.soft)?;
    }
    placed
}
