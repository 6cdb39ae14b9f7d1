//! One service: its two supervises, what reads its output, and the pipe between.

use std::ffi::OsStr;
use std::rc::Rc;

use crate::{Pid, Tick};

/// Which directory it is, under whatever name.
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
    /// That of the service directory.
    Main,
    /// That of its `log/`.
    Log,
}

/// Whether a supervise runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It does not.
    #[default]
    None,
    /// As a child of ours.
    Child(Pid),
    /// As somebody else's; its pid, if it is known.
    Other(Option<Pid>),
}

impl Life {
    /// The pid of what runs, if it is known.
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
    /// A process that copies it to the stdout of svscan. It stands in the place of a log supervise, and has none.
    Copier,
}

/// What is to be done about the pipe of a service that is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: there is none, or what is left of it is still read.
    Nothing,
    /// There is one, and its write end may be closed.
    Reopen,
    /// The one that still connects service and reader, or a new one, by [`Scan::set_pipe`](super::Scan::set_pipe).
    Make,
    /// A new one, by [`Scan::change_pipe`](super::Scan::change_pipe): what reads the present one is no reader of this service any more, and
    /// would never come to its end.
    Replace,
    /// It is to be closed, by [`Scan::set_pipe`](super::Scan::set_pipe).
    Close,
}

#[derive(Debug, Default)]
pub(super) struct Supervise {
    pub life: Life,
    /// Not started again before this.
    pub earliest: Tick,
    /// Whether the last one could not begin.
    pub failed: bool,
    pub due: Option<Tick>,
}

impl Supervise {
    /// Whether it neither runs nor is due.
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
    /// What runs as its log supervise.
    pub reader: Reader,
    pub pipe: Option<P>,
    /// Since when it is known without an executable `run`.
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

    /// What the service needs that is to be read by `wanted` from its next start on.
    pub fn need(&self, wanted: Option<Reader>) -> Need {
        match wanted {
            None if self.log.runs() || self.pipe.is_none() => Need::Nothing,
            None => Need::Close,
            Some(Reader::Logger) if self.log.runs() && self.reader == Reader::Copier => Need::Replace,
            Some(_) if self.pipe.is_some() => Need::Reopen,
            Some(_) => Need::Make,
        }
    }

    /// Whether nobody writes to the pipe any more, and the logger does not know it.
    pub fn is_drained(&self) -> bool {
        self.names.is_empty() && !self.main.runs() && self.log.runs() && !self.released
    }
}

/// A supervise, as far as another svscan needs to know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptSupervise {
    /// Whether it runs.
    pub life: Life,
    /// Not started again before this.
    pub earliest: Tick,
}

/// A service, as far as another svscan needs to know of it to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<P> {
    /// Which directory.
    pub id: Id,
    /// Its names, oldest first; none for one that runs on unlisted.
    pub names: Vec<Rc<OsStr>>,
    /// That of the service directory.
    pub main: KeptSupervise,
    /// That of its `log/`, or a copier.
    pub log: KeptSupervise,
    /// Which of the two.
    pub reader: Reader,
    /// The pipe between the two.
    pub pipe: Option<P>,
    /// Whether the logger was told to exit at end of file.
    pub released: bool,
}
