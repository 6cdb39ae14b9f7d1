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
    /// It cannot be examined now.
    Unclear,
}

/// What may fail.
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
    /// Children that look at a name do not come back.
    Proof,
    /// Services do not end when they are told to.
    Stubborn,
    Wait,
}

#[derive(Clone, Debug)]
pub enum Happening {
    /// A name is now that of something, and that is told if anything is.
    Link(u8, Target),
    Unlink(u8),
    /// What it leads to is another directory, and nobody is told.
    Retarget(u8, Target),
    /// It leads into another file system, or not.
    Elsewhere(u8, bool),
    Fill(u64),
    Log(u64, Log),
    /// One of the processes ends, with that code or by a signal.
    Dies(usize, Option<u8>),
    /// Somebody starts a supervise by hand.
    ByHand(u64, Role),
    /// svscan is killed.
    Kill,
    Signal(Signal),
    Fault(Fault, bool),
    /// Changes were lost.
    Overflow,
}

/// What happens after so many calls of the loop, or after that time if it sleeps.
#[derive(Clone)]
pub struct Step {
    pub calls: u8,
    pub after: u64,
    pub what: Happening,
}

impl Debug for Step {
    /// On one line.
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
