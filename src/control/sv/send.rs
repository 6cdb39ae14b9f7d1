//! Commands the service of the current directory.

use std::ffi::OsStr;
use std::fs::File;

use cli::reason;
use svdir::{Want, names};

use crate::service::client::{self, Unreachable};
use crate::service::files;

use super::judge::Seen;
use super::look::{Look, look, unreachable};
use super::said::Said;
use super::verb::{Act, CHECK};

/// A service whose supervise can be commanded.
pub struct Reached {
    /// What was known of it before.
    pub before: Seen,
    /// The write end of a FIFO of its supervise: of `control` if there are letters to send.
    pub fifo: File,
    /// What is to be sent.
    pub letters: &'static [u8],
}

/// Reaches the service, which messages call `name`. `None` if that is not possible, which was said.
pub fn reach(act: &Act, name: &OsStr, said: &mut Said) -> Option<Reached> {
    let Look::Seen(before) = look(name, act.exits(), said) else { return None };
    let letters = letters(act, &before);
    let (file, fifo) = if letters.is_empty() {
        let fifo = sys::fd::open_write(&*files::here(names::OK)).map_err(Unreachable::System);
        (names::OK, fifo)
    } else {
        (names::CONTROL, client::reach())
    };
    match fifo {
        Ok(fifo) => Some(Reached { before, fifo, letters }),
        Err(why) => {
            unreachable(name, file, act.exits(), &why, said);
            None
        }
    }
}

/// The letters for a service. One that is wanted up, or down, already is not told so again; but one that is up, though not wanted so, and was not told to end, is told down.
/// A supervise of this suite is always told up: it may have given up, or be told by somebody else in this moment.
fn letters(act: &Act, before: &Seen) -> &'static [u8] {
    let is_wanted = match (act.letters.first(), before.status.want) {
        (Some(b'u'), Want::Up) => !before.ours,
        (Some(b'd'), Want::Down) => before.status.got_term,
        (first, _) => first == Some(&CHECK),
    };
    match is_wanted {
        true => b"",
        false if before.ours => act.our_letters(),
        false => act.letters,
    }
}

/// Sends the letters.
pub fn send(reached: &Reached, name: &OsStr, said: &mut Said) {
    if let Err(error) = client::send(&reached.fifo, reached.letters) {
        said.warn(name, "unable to write to supervise/control", &reason(&error));
    }
}
