//! One service: its two supervises, the reader of its output, and the pipe between them.

use std::ffi::OsStr;
use std::rc::Rc;

use crate::{Pid, Tick};

/// The identity of a service directory, under whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// Which supervise of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The supervise of the service directory.
    Main,
    /// The supervise of its `log/`.
    Log,
}

/// Whether a supervise runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It does not run.
    #[default]
    None,
    /// It runs as a child of this svscan.
    Child(Pid),
    /// It runs as the child of another process; its pid, if that is known.
    Other(Option<Pid>),
}

impl Life {
    /// The pid of the supervise, if it runs and the pid is known.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Life::None => None,
            Life::Child(pid) => Some(pid),
            Life::Other(pid) => pid,
        }
    }
}

/// What reads the output of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// The logger in its `log/`, which has a supervise.
    #[default]
    Logger,
    /// A process that copies the output to the stdout of svscan. It is a child of svscan itself, in the place of a log
    /// supervise.
    Copier,
}

/// What is to be done about the pipe of a service that is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: there is no pipe, or its rest is still being read.
    Nothing,
    /// Use the present pipe; its write end may have to be opened again.
    Reopen,
    /// Set a pipe by [`Scan::set_pipe`](super::Scan::set_pipe): the one that still connects service and reader, or a
    /// new one.
    Make,
    /// Set a new pipe by [`Scan::change_pipe`](super::Scan::change_pipe): the reader of the present pipe is not to be the reader of this
    /// service any more, and would never come to the end of file.
    Replace,
    /// Close the pipe, by [`Scan::set_pipe`](super::Scan::set_pipe).
    Close,
}

#[derive(Debug, Default)]
pub(super) struct Supervise {
    pub life: Life,
    /// The time before which it is not started again.
    pub earliest: Tick,
    /// Whether the last one could not begin.
    pub failed: bool,
    pub due: Option<Tick>,
}

impl Supervise {
    /// Returns whether it neither runs nor is due.
    pub fn is_forgotten(&self) -> bool {
        !self.runs() && self.due.is_none()
    }

    pub fn runs(&self) -> bool {
        self.life != Life::None
    }
}

/// A service.
#[derive(Debug)]
pub(super) struct Slot<P> {
    /// Its names in the scan directory, oldest first.
    pub names: Vec<Rc<OsStr>>,
    pub main: Supervise,
    pub log: Supervise,
    /// Whether a logger or a copier has the place of the log supervise.
    pub reader: Reader,
    pub pipe: Option<P>,
    /// While the directory is being filled: the time since which it is known.
    pub filling: Option<Tick>,
    pub released: bool,
}

impl<P> Slot<P> {
    pub fn supervise(&mut self, role: Role) -> &mut Supervise {
        match role {
            Role::Main => &mut self.main,
            Role::Log => &mut self.log,
        }
    }

    pub fn is_idle(&self) -> bool {
        !self.main.runs() && !self.log.runs()
    }

    /// What is to be done about the pipe if `wanted` is to read the output from the next start on.
    pub fn need(&self, wanted: Option<Reader>) -> Need {
        match wanted {
            None if self.log.runs() || self.pipe.is_none() => Need::Nothing,
            None => Need::Close,
            Some(Reader::Logger) if self.log.runs() && self.reader == Reader::Copier => Need::Replace,
            Some(_) if self.pipe.is_some() => Need::Reopen,
            Some(_) => Need::Make,
        }
    }

    /// Returns whether the service is gone and unlisted, so that nobody writes to the pipe any more, but its logger was
    /// not told to exit.
    pub fn is_drained(&self) -> bool {
        self.names.is_empty() && !self.main.runs() && self.log.runs() && !self.released
    }
}

/// The state of a supervise that is handed over at an upgrade of svscan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOverSupervise {
    /// Whether it runs.
    pub life: Life,
    /// Not started again before this.
    pub earliest: Tick,
}

/// The state of a service that is handed over at an upgrade of svscan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOverService<P> {
    /// Its directory.
    pub id: Id,
    /// Its names, oldest first; none if it runs on unlisted.
    pub names: Vec<Rc<OsStr>>,
    /// The supervise of the service directory.
    pub main: HandedOverSupervise,
    /// The supervise of its `log/`, or a copier.
    pub log: HandedOverSupervise,
    /// Which of these two `log` is.
    pub reader: Reader,
    /// The pipe from the service to its reader.
    pub pipe: Option<P>,
    /// Whether the logger was told to exit at end of file.
    pub released: bool,
}
