//! The upgrade in place, on supervise's side: what it hands over to its new file, and how that goes on from it.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
#[cfg(feature = "from-the-future")]
use std::os::fd::AsFd;
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::Context;
use cli::{Text, Warnings, text};
use svdir::record::handover::{Handover, Key};
use sys::sealed;

/// Whether a program of this release can go on from this state: it is understood, and none of its descriptors has the place of a standard one.
#[inline(never)]
pub fn is_understood(state: &[u8]) -> bool {
    Handover::decode(state).is_some_and(|handover| {
        let sockets = handover.sockets.iter().map(|socket| socket.number);
        handover.descriptors.iter().map(|&(_, number)| number).chain(sockets).all(|number| number > 2)
    })
}

/// A descriptor that no other release knows, where this is to be one of the future.
#[cfg(feature = "from-the-future")]
pub fn unknown_descriptor() -> Option<(Key, BorrowedFd<'static>)> {
    static FILE: std::sync::OnceLock<Option<std::fs::File>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::fs::File::open("/").ok()).as_ref()?;
    Some((Key(svdir::record::sections::UNKNOWN), file.as_fd()))
}

/// A descriptor that no other release knows: there is none.
#[cfg(not(feature = "from-the-future"))]
pub const fn unknown_descriptor() -> Option<(Key, BorrowedFd<'static>)> {
    None
}

/// The descriptors that a predecessor in the same process has left open, until each has an owner.
pub struct Inherited(RefCell<Vec<(Key, OwnedFd)>>);

impl Inherited {
    /// All that `handover` names.
    ///
    /// # Errors
    /// If one is not open.
    pub fn of(handover: &Handover) -> io::Result<Inherited> {
        let take = |&(key, number): &(Key, i32)| Ok((key, sealed::inherit(number)?));
        Ok(Inherited(RefCell::new(handover.descriptors.iter().map(take).collect::<io::Result<_>>()?)))
    }

    /// Takes the one with this key, if it is there. What is not taken, as what a later release has left, is closed in the end.
    pub fn take(&self, key: Key) -> Option<OwnedFd> {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|&(known, _)| known == key)?;
        Some(all.swap_remove(at).1)
    }
}

/// The state that was handed over to this program.
///
/// # Errors
/// If it cannot be understood, though it was asked.
pub fn decode(dir: &OsStr, state: &[u8]) -> anyhow::Result<Handover> {
    Handover::decode(state).with_context(|| unable(dir))
}

/// What could not be done.
pub fn unable(dir: &OsStr) -> Text {
    text!("unable to go on in ", dir)
}

/// Says that what was handed over cannot be used, and goes on without.
pub fn without<T: Default>(result: io::Result<T>, what: &'static str, dir: &OsStr, said: &mut Warnings) -> T {
    result.unwrap_or_else(|error| {
        said.warning(what, text!("unable to go on with ", what, " of ", dir), &error);
        T::default()
    })
}
