//! The upgrade in place, in supervise: what the new program takes over from the old one, and whether it can.

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

/// Returns whether this release can go on from the state: it understands the state, and no descriptor has the number of
/// a standard one.
#[inline(never)]
pub fn is_understood(state: &[u8]) -> bool {
    Handover::decode(state).is_some_and(|handover| {
        let sockets = handover.sockets.iter().map(|socket| socket.number);
        let stored = handover.stored.iter().map(|stored| stored.number);
        let others = sockets.chain(stored);
        handover.descriptors.iter().map(|&(_, number)| number).chain(others).all(|number| number > 2)
    })
}

/// A descriptor that no other release knows, for the tests of upgrades from a later release.
#[cfg(feature = "from-the-future")]
pub fn unknown_descriptor() -> Option<(Key, BorrowedFd<'static>)> {
    static FILE: std::sync::OnceLock<Option<std::fs::File>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::fs::File::open("/").ok()).as_ref()?;
    Some((Key(svdir::record::sections::UNKNOWN), file.as_fd()))
}

/// A descriptor that no other release knows; a release has none.
#[cfg(not(feature = "from-the-future"))]
pub const fn unknown_descriptor() -> Option<(Key, BorrowedFd<'static>)> {
    None
}

/// The descriptors that were open before an upgrade and have no owner yet.
pub struct Inherited(RefCell<Vec<(Key, OwnedFd)>>);

impl Inherited {
    /// Takes all descriptors that `handover` names.
    ///
    /// # Errors
    /// If one of them is not open.
    pub fn of(handover: &Handover) -> io::Result<Inherited> {
        let take = |&(key, number): &(Key, i32)| Ok((key, sealed::inherit(number)?));
        Ok(Inherited(RefCell::new(handover.descriptors.iter().map(take).collect::<io::Result<_>>()?)))
    }

    /// Takes the descriptor with this key, if there is one. Descriptors that nobody takes, such as unknown ones of a
    /// later release, are closed in the end.
    pub fn take(&self, key: Key) -> Option<OwnedFd> {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|&(known, _)| known == key)?;
        Some(all.swap_remove(at).1)
    }
}

/// Decodes the state that was handed over to this program.
///
/// # Errors
/// If this program cannot understand the state, although it has said that it can.
pub fn decode(dir: &OsStr, state: &[u8]) -> anyhow::Result<Handover> {
    Handover::decode(state).with_context(|| unable(dir))
}

/// The text of an error about an upgrade.
pub fn unable(dir: &OsStr) -> Text {
    text!("unable to go on in ", dir)
}

/// Returns the value, or warns that it cannot be taken over and goes on with the default.
pub fn without<T: Default>(result: io::Result<T>, what: &'static str, dir: &OsStr, said: &mut Warnings) -> T {
    result.unwrap_or_else(|error| {
        said.warning(what, text!("unable to go on with ", what, " of ", dir), &error);
        T::default()
    })
}
