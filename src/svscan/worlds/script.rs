//! What may happen in a world, and when.

use std::ffi::OsString;
use std::fmt::{Debug, Formatter};

use machine::scan::{Id, Role};
use sys::process::Signal;

/// What a name in the scan directory leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Directory(u64),
    File,
    Dangling,
}

/// What a directory has as its `log`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Log {
    #[default]
    Missing,
    There,
    /// The kernel does not say whether it is there.
    Unclear,
}

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Fork,
    Exec,
    Pipe,
    Find,
    Names,
    Watch,
    Changes,
    Release,
    Reopen,
    Upgrade,
    Answer,
    /// The looks of children do not return.
    Proof,
    /// Services ignore the request to end.
    Stubborn,
    Wait,
}

#[derive(Clone, Debug)]
pub enum Happening {
    /// A name now leads to something, and this is reported if the directory is watched.
    Link(u8, Target),
    Unlink(u8),
    /// A name that exists now leads to something else, and this is not reported.
    Retarget(u8, Target),
    /// A name leads into another file system, or no longer does.
    Elsewhere(u8, bool),
    Fill(u64),
    Log(u64, Log),
    /// A directory says that its service needs the one with this name.
    Needs(u64, u8),
    /// One of the processes ends, with this code or, if it is `None`, by a signal.
    Dies(usize, Option<u8>),
    /// A service, which is essential, is down for good.
    EndsForGood(u64),
    /// Somebody starts a supervise by hand.
    ByHand(u64, Role),
    /// svscan is killed.
    Kill,
    Signal(Signal),
    Fault(Fault, bool),
    /// Changes were lost.
    Overflow,
}

/// One thing that happens, after `calls` calls of the loop, or after `after` nanoseconds of sleep, whichever comes first.
#[derive(Clone)]
pub struct Step {
    pub calls: u8,
    pub after: u64,
    pub what: Happening,
}

impl Debug for Step {
    /// Writes the step on one line.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Step { calls, after, what } = self;
        f.write_str(&format!("{calls} {after} {what:?}"))
    }
}

pub fn name(letter: u8) -> OsString {
    char::from(b'a' + letter).to_string().into()
}

pub fn id(inode: u64) -> Id {
    Id { device: 1, inode }
}
