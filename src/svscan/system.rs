//! What the loop of svscan asks of the system that it runs on, and of the files and processes there. [`Kernel`](super::kernel::Kernel) is the only one that a program has; the
//! tests have another, in which everything can happen between two calls.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cli::Text;
use machine::scan::{Id, Role};
use machine::{Pid, Tick};
use svdir::Record;
use sys::process::{Change, Signal};

use super::leftovers::Spared;
use super::upgrade::ScanState;
use crate::service::log_pipe::PipeEnds;

/// A supervise that is no child, and what tells of its end.
pub type Known<O> = (Id, Role, O);

/// What has ended a sleep.
#[derive(Debug, Default)]
pub struct Woken {
    /// A signal came.
    pub signalled: bool,
    /// There are changes in the scan directory.
    pub changed: bool,
    /// Of the supervises that are no children, the places of those that have ended.
    pub ended: Vec<usize>,
}

/// What a name leads to.
#[derive(Debug)]
pub enum Sight {
    /// A directory.
    Directory(Id),
    /// Something else.
    Other,
    /// There is no such name.
    Gone,
    /// That cannot be seen.
    Unclear(io::Error),
}

/// A look into the scan directory.
pub struct Pass {
    /// Whether the kernel tells of changes from now on, or why not.
    pub watched: io::Result<()>,
    /// Somebody has locked it who may not serve it.
    pub locked_by_a_stranger: bool,
    /// Every name.
    pub names: io::Result<Vec<OsString>>,
}

/// What a change in the scan directory calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// A look at every name.
    Everything,
    /// A look at this one.
    Name(OsString),
    /// A look at whatever names this directory has.
    Filling(Id),
}

/// What a new child is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// The supervise of this directory.
    Supervise {
        /// The service directory, or its `log`.
        dir: &'a OsStr,
        /// Which of the two.
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
    /// Why it could not become what it should.
    pub unable: Option<(Text, io::Error)>,
    /// Why it has the OOM score of svscan.
    pub oom: Option<io::Error>,
}

/// What the loop asks for.
pub trait System {
    /// The pipe from a service to its logger, with both ends.
    type Pipe;
    /// A write end of a FIFO of a supervise.
    type Fifo;

    /// The present moment.
    fn now(&self) -> Tick;
    /// Sleeps until one of `others` ends, a signal comes, the scan directory changes if that is asked for, or the deadline is there.
    fn wait(&mut self, others: &[Known<Self::Fifo>], changes: bool, deadline: Option<Tick>) -> io::Result<Woken>;
    /// Sleeps for a second, because [`wait`](System::wait) failed.
    fn rest(&mut self);
    /// The next change of a child, if there is one.
    fn reap(&mut self) -> Option<(Pid, Change)>;
    /// Forgets that signals have come. Call it before asking [`arrived`](System::arrived).
    fn drain(&mut self);
    /// Whether the signal has come since this was asked.
    fn arrived(&mut self, signal: Signal) -> bool;
    /// Lets signals wait from now on, or not any more.
    fn hold_signals(&mut self, hold: bool);

    /// Looks into the scan directory, and has its changes told from then on.
    fn look_into_directory(&mut self) -> Pass;
    /// What the changes that have come call for. If they cannot be read, none is told any more.
    fn changes(&mut self) -> io::Result<Vec<Look>>;
    /// From now on a change in the directory `id`, which has this name, is told, if that can be had.
    fn watch_filling(&mut self, name: &OsStr, id: Id);
    /// Of those directories only these are watched from now on.
    fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool);
    /// What is at a path.
    fn examine(&self, path: &Path) -> Sight;
    /// Whether the file can be executed.
    fn can_run(&self, path: &Path) -> bool;
    /// Whether a look at the name could last for ever.
    fn leads_elsewhere(&self, name: &OsStr) -> bool;
    /// Has a child look at the name, which ends when it has come back.
    fn look_by_child(&mut self, name: &OsStr) -> io::Result<Pid>;

    /// The supervise that runs in a directory, with its pid if that is known.
    fn find_supervise(&mut self, dir: &Path) -> io::Result<Option<(Self::Fifo, Option<Pid>)>>;
    /// What the supervise of a directory has written of itself.
    fn record(&self, dir: &Path) -> Option<Record>;
    /// Whether the supervise of a directory was killed, and has left a service behind.
    fn was_left_behind(&self, dir: &Path) -> bool;
    /// Starts a child, between the ends of this pipe.
    fn start(&mut self, start: Start<'_>, pipe: Option<&Self::Pipe>) -> io::Result<Spawned>;
    /// Writes letters to the supervise of a directory; returns its FIFO where they last only as long as that is open.
    fn tell(&mut self, dir: &Path, letters: &[u8]) -> io::Result<Option<Self::Fifo>>;
    /// Tells the supervise of a logger to leave when that is down. `false` if it has just ended.
    fn release(&mut self, logger: Pid) -> io::Result<bool>;

    /// The pipe that still connects the service of this name and its logger, or else a new one.
    fn recover_pipe(&mut self, name: &OsStr) -> io::Result<Self::Pipe>;
    /// A new pipe.
    fn new_pipe(&mut self) -> io::Result<Self::Pipe>;
    /// Opens its write end again if that was closed.
    fn reopen(&mut self, pipe: &mut Self::Pipe) -> io::Result<()>;
    /// Closes its write end.
    fn close_writer(&mut self, pipe: &mut Self::Pipe);
    /// Whether something is in it that nobody has read.
    fn has_unread(&self, pipe: &Self::Pipe) -> bool;
    /// Its inode number.
    fn pipe_id(&self, pipe: &Self::Pipe) -> Option<u64>;

    /// What the next program in this process needs to know, but for the services.
    fn state(&self) -> ScanState;
    /// The numbers of the ends of a pipe.
    fn pipe_ends(&self, pipe: &Self::Pipe) -> PipeEnds;
    /// The number of a FIFO.
    fn fifo_number(&self, fifo: &Self::Fifo) -> i32;
    /// The pipe that the program before this one has left.
    fn inherit_pipe(&mut self, ends: PipeEnds) -> io::Result<Self::Pipe>;
    /// The FIFO that it has left.
    fn inherit_fifo(&mut self, number: i32) -> io::Result<Self::Fifo>;
    /// Asks the file that has the name of this program now whether it understands the state.
    fn ask_successor(&mut self, state: &[u8]);
    /// A process ended: the program to become, if it was the one that was asked.
    fn hear_answer(&mut self, pid: Pid, change: Change) -> Option<PathBuf>;
    /// Becomes this program. Returns only if that failed, which was said.
    fn succeed(&mut self, program: &Path, state: &[u8], pipes: &[&Self::Pipe], others: &[Known<Self::Fifo>]);

    /// The stop begins: gives up what was spared for it, and watches nothing any more.
    fn begin_stop(&mut self);
    /// Remembers the session of a service, to find what it leaves behind.
    fn remember_session(&mut self, supervise: Option<Pid>, dir: Option<&Path>);
    /// Signals what the services have left behind.
    fn signal_leftovers(&mut self, spared: &Spared, signal: Signal);
    /// Kills everything, these supervises too.
    fn kill_all(&mut self, supervises: &[Pid]);
}
