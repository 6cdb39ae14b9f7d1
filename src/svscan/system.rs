//! [`System`], the interface of the loop of svscan to the kernel, files and processes. The program implements it with
//! [`Kernel`](super::kernel::Kernel). The tests have another implementation, in which anything can happen between two calls.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cli::Text;
use machine::scan::{Id, Role};
use machine::{Pid, Tick};
use svdir::Record;
use sys::process::{Change, Signal};

use super::dependencies::Needed;
use super::leftovers::Spared;
use super::upgrade::ScanState;
use crate::service::log_pipe::PipeEnds;

/// A supervise that is not a child, and the FIFO that reports its end.
pub type Known<O> = (Id, Role, O);

/// The reasons why a sleep has ended.
#[derive(Debug, Default)]
pub struct Woken {
    /// A signal came.
    pub signalled: bool,
    /// There are changes in the scan directory.
    pub changed: bool,
    /// The places, in the list of supervises that are not children, of those that have ended.
    pub ended: Vec<usize>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Sight {
    /// A directory.
    Directory(Id),
    /// Something else.
    Other,
    /// There is no such name.
    Gone,
    /// It could not be examined.
    Unclear(io::Error),
}

/// The result of a look into the scan directory.
pub struct Pass {
    /// Whether the kernel reports changes from now on, or why not.
    pub watched: io::Result<()>,
    /// Whether the directory is locked by a process that may not serve it.
    pub locked_by_a_stranger: bool,
    /// Every name.
    pub names: io::Result<Vec<OsString>>,
}

/// What a change in the scan directory calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// A look at every name.
    Everything,
    /// A look at this name.
    Name(OsString),
    /// A look at all names of this directory, which has no executable `run` yet.
    Filling(Id),
}

/// What a new child shall execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// The supervise of this directory.
    Supervise {
        /// The service directory, or its `log`.
        dir: &'a OsStr,
        /// Whether `dir` is the service directory or its `log`.
        role: Role,
        /// Whether svscan ends with the service.
        is_last: bool,
    },
    /// The copier of the service with this name.
    Copier(&'a OsStr),
}

/// A new child.
pub struct Spawned {
    /// The child.
    pub pid: Pid,
    /// Why it could not execute its program, if it could not.
    pub unable: Option<(Text, io::Error)>,
    /// Why its OOM score could not be restored, so that it has that of svscan.
    pub oom: Option<io::Error>,
}

/// The requests of the loop.
pub trait System {
    /// The pipe from a service to its logger, with both ends.
    type Pipe;
    /// The write end of a FIFO of a supervise.
    type Fifo;

    /// Returns the present time.
    fn now(&self) -> Tick;
    /// Sleeps until one of `others` ends, a signal comes, the scan directory changes (only if `changes` is true), or the deadline has passed.
    fn wait(&mut self, others: &[Known<Self::Fifo>], changes: bool, deadline: Option<Tick>) -> io::Result<Woken>;
    /// Sleeps for a second, because [`wait`](System::wait) failed.
    fn rest(&mut self);
    /// Returns the next change of a child, if there is one.
    fn reap(&mut self) -> Option<(Pid, Change)>;
    /// Forgets that signals have come. Call it before asking [`arrived`](System::arrived).
    fn drain(&mut self);
    /// Returns whether the signal has come since the last call.
    fn arrived(&mut self, signal: Signal) -> bool;
    /// Holds signals back from now on, or delivers them again.
    fn hold_signals(&mut self, hold: bool);

    /// Looks into the scan directory, and has its changes reported from then on.
    fn look_into_directory(&mut self) -> Pass;
    /// Returns the looks that the reported changes call for. After an error no change is reported any more.
    fn changes(&mut self) -> io::Result<Vec<Look>>;
    /// Has changes in the service directory `id`, which has this name, reported from now on, if that is possible.
    fn watch_filling(&mut self, name: &OsStr, id: Id);
    /// Watches only those service directories from now on for which `waited_for` is true.
    fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool);
    /// Returns what a path leads to.
    fn examine(&self, path: &Path) -> Sight;
    /// Returns whether the file can be executed.
    fn can_run(&self, path: &Path) -> bool;
    /// Returns whether nothing was made in the directory, renamed or removed for as long as a directory may take to be filled.
    fn has_rested(&self, dir: &Path) -> bool;
    /// Returns whether the name leads into another file system that may be dead, so that a look at it may never return.
    fn leads_elsewhere(&mut self, name: &OsStr) -> bool;
    /// Starts a child that looks at the name, and exits when the look has returned.
    fn look_by_child(&mut self, name: &OsStr) -> io::Result<Spawned>;

    /// Returns the supervise that runs in a directory, with its pid if that is known.
    fn find_supervise(&mut self, dir: &Path) -> io::Result<Option<(Self::Fifo, Option<Pid>)>>;
    /// Reads the record that the supervise of a directory has written.
    fn record(&self, dir: &Path) -> Option<Record>;
    /// Notes in the record of a directory that svscan has ended with its essential service.
    fn note_end(&mut self, dir: &Path) -> io::Result<()>;
    /// Returns whether the supervise of a directory was killed, and has left a service behind.
    fn was_left_behind(&self, dir: &Path) -> bool;
    /// Starts a child. A service gets the write end of `pipe` as its stdout; a logger or copier gets the read end as its stdin.
    fn start(&mut self, start: Start<'_>, pipe: Option<&Self::Pipe>) -> io::Result<Spawned>;
    /// Writes letters to the supervise of a directory. Returns its FIFO if the letters last only as long as the FIFO is open.
    fn tell(&mut self, dir: &Path, letters: &[u8]) -> io::Result<Option<Self::Fifo>>;
    /// Tells the supervise of a logger to exit when the logger is down. Returns false if the supervise has just ended.
    fn release(&mut self, logger: Pid) -> io::Result<bool>;

    /// Returns the pipe that still connects the service with this name and its logger, or a new one if there is none.
    fn recover_pipe(&mut self, name: &OsStr) -> io::Result<Self::Pipe>;
    /// Makes a new pipe.
    fn new_pipe(&mut self) -> io::Result<Self::Pipe>;
    /// Opens the write end of a pipe again if it was closed.
    fn reopen(&mut self, pipe: &mut Self::Pipe) -> io::Result<()>;
    /// Closes the write end of a pipe.
    fn close_writer(&mut self, pipe: &mut Self::Pipe);
    /// Returns whether a pipe holds anything unread.
    fn has_unread(&self, pipe: &Self::Pipe) -> bool;
    /// Returns the inode number of a pipe.
    fn pipe_id(&self, pipe: &Self::Pipe) -> Option<u64>;

    /// Returns the state for the next program in this process, without the services.
    fn state(&self) -> ScanState;
    /// Returns the descriptor numbers of the ends of a pipe.
    fn pipe_ends(&self, pipe: &Self::Pipe) -> PipeEnds;
    /// Returns the descriptor number of a FIFO.
    fn fifo_number(&self, fifo: &Self::Fifo) -> i32;
    /// Takes over a pipe that the program before this one has left open.
    fn inherit_pipe(&mut self, ends: PipeEnds) -> io::Result<Self::Pipe>;
    /// Takes over a FIFO that the program before this one has left open.
    fn inherit_fifo(&mut self, number: i32) -> io::Result<Self::Fifo>;
    /// Starts the file that now has the name of this program, to ask it whether it understands the state.
    fn ask_successor(&mut self, state: &[u8]);
    /// Takes note of a change of a child. If the child was the file that was asked, and its answer was yes, returns the program to execute.
    fn hear_answer(&mut self, pid: Pid, change: Change) -> Option<PathBuf>;
    /// Executes this program in place of svscan. Returns only if that has failed, after a warning.
    fn succeed(&mut self, program: &Path, state: &[u8], pipes: &[&Self::Pipe], others: &[Known<Self::Fifo>]);

    /// Takes note that the stop begins: closes the descriptors that were held for it, and watches nothing any more.
    fn begin_stop(&mut self);
    /// Reads what the service directory `id`, to which `dir` leads, says that its service needs.
    fn needs(&mut self, dir: &Path, id: Id) -> Needed;
    /// Remembers the sessions of a service and its supervise, to find the processes that the service leaves behind.
    fn remember_session(&mut self, supervise: Option<Pid>, dir: Option<&Path>);
    /// Signals all services and what they have left behind, except the processes in `spared`.
    fn signal_leftovers(&mut self, spared: &Spared, signal: Signal);
    /// Kills all descendants, and these supervises. As process 1, kills all other processes.
    fn kill_all(&mut self, supervises: &[Pid]);
}
