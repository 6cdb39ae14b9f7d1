//! How a process is started, whatever it is: its plan is made first, and then a child becomes what the plan says.
//!
//! A child borrows the memory of supervise, and may take none. So all that takes memory is in the [`Plan`], and [`Birth::become_it`] is the only code that runs in a child.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use machine::Pid;
use svdir::record::Born;
use sys::exec::Prepared;
use sys::handed::{Gift, Handed, LISTEN_PID};
use sys::limits::{self, Resource};
use sys::{clock, environ, fd, process};

use super::processes::pid_of;
use crate::service::record::Slot;

/// What is to be started, and how.
pub struct Plan<'a> {
    argv: Vec<CString>,
    /// `None` for the environment of supervise.
    environment: Option<Vec<CString>>,
    handed: Handed<'a>,
    /// It gets this in place of stdin and stdout.
    nowhere: Option<File>,
    /// It leads a process group of its own.
    group: bool,
}

/// Two descriptors were to have the same number.
pub use sys::handed::Clash;

/// A process that was made.
pub struct Made {
    /// It.
    pub pid: Pid,
    /// When it was born.
    pub born: Born,
    /// Whether it has written its own record; false where nothing is known of what it did.
    pub recorded: bool,
    /// Why it has not become what it should; it ends at once.
    pub failed: Option<Failure>,
}

/// Why a process has not become what it should.
pub enum Failure {
    /// Nobody would know of it: its record could not be written.
    Record(io::Error),
    /// The rest.
    Exec(io::Error),
}

impl<'a> Plan<'a> {
    /// The program `file` of the service directory with these words behind its name, this change of the environment, and these descriptors.
    ///
    /// # Errors
    /// If two descriptors are to have one number.
    pub fn new(
        file: &CStr,
        words: &[CString],
        changes: &[(&str, Option<Vec<u8>>)],
        gifts: &[Gift<'a>],
    ) -> Result<Plan<'a>, Clash> {
        let handed = Handed::new(gifts)?;
        let argv = std::iter::once(file.to_owned()).chain(words.iter().cloned()).collect();
        let counted = handed.is_counted().then(|| handed.variables());
        let changes: Vec<_> = counted.into_iter().flatten().chain(changes.iter().cloned()).collect();
        let environment = (!changes.is_empty()).then(|| environ::changed(&changes));
        Ok(Plan { argv, environment, handed, nowhere: None, group: false })
    }

    /// It leads a process group of its own, by which is found what it leaves behind.
    #[must_use]
    pub fn in_group(self) -> Plan<'a> {
        Plan { group: true, ..self }
    }

    /// It reads from nowhere and writes to nowhere: its input would be the log, and its output would come into that.
    #[must_use]
    pub fn with_nothing(self, nowhere: File) -> Plan<'a> {
        Plan { nowhere: Some(nowhere), ..self }
    }

    /// Makes the process. `record` makes the record that it writes before it becomes what it shall be, from the moment of its birth; it runs in the child, and takes no memory.
    ///
    /// # Errors
    /// If there can be no further process.
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
            earliest,
            record,
            announced: &announced,
        };
        let pid = process::spawn(|| birth.become_it(), |failure| failed = Some(failure))?;
        // Where the child's memory is not ours, nothing is known of what it did.
        let (born, recorded) = announced.get().unwrap_or((Born { earliest, latest: clock::since_boot() }, false));
        Ok(Made { pid: pid_of(pid), born, recorded, failed })
    }
}

/// A plan with all that a child needs in hand.
struct Birth<'a, 'b, 'r> {
    file: &'a CStr,
    program: &'a Prepared<'a>,
    handed: &'a mut Handed<'b>,
    nowhere: Option<&'a File>,
    group: bool,
    earliest: u64,
    record: Option<&'r dyn Fn(Pid, Born) -> Slot<'r>>,
    /// When it was born, and whether its record was written.
    announced: &'a Cell<Option<(Born, bool)>>,
}

impl Birth<'_, '_, '_> {
    /// In the child: becomes the program. Returns only if that failed, with the reason.
    ///
    /// The record comes first of all. Should supervise be killed meanwhile, its successor gets the lock, of
    /// which the child holds a copy until it has become the program, only when the record is there.
    fn become_it(&mut self) -> Failure {
        let born = Born { earliest: self.earliest, latest: clock::since_boot() };
        let written = self.record.map_or(Ok(()), |record| record(pid_of(process::own_pid()), born).write());
        self.announced.set(Some((born, written.is_ok())));
        match written {
            Err(error) => Failure::Record(error),
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

/// Gives the process what is handed to it. On the way each may need a second number for a moment, and so more than it shall have.
fn place(handed: &mut Handed<'_>) -> io::Result<()> {
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
