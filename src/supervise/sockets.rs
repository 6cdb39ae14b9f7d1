//! The sockets that supervise holds for its service, one for each file in `sockets/`. They outlive every process of the
//! service: whoever connects while the service is down waits, and is not refused.
//!
//! The files are read again at each start. A socket stays open if a file still has its address. The other sockets are
//! closed, and new ones are opened. While an old copy runs beside a new one, the sockets that only the old one has are
//! kept until it is replaced, because the replacement may fail. If a socket cannot be opened, the service is not
//! started: without sockets it might listen for itself.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use cli::{Text, Warnings, text};
use svdir::listener::Address;
use svdir::record::handover::Socket;
use svdir::{Listener, names};
use sys::adopted::Adopted;
use sys::listen::Place;
use sys::passed::PassedFd;
use sys::sealed;

use super::voice::VOICE;
use crate::service::listeners;
use crate::service::look_ups::LookUps;

/// One socket.
struct HeldSocket {
    /// The name of its file.
    name: Vec<u8>,
    listener: Listener,
    socket: OwnedFd,
    /// The copy that was started last got it.
    given: bool,
}

impl HeldSocket {
    /// Returns whether the file `name`, which was parsed as `listener`, still asks for this socket. If the file cannot
    /// be read, its name decides.
    fn is_still(&self, name: &OsStr, listener: &io::Result<Listener>) -> bool {
        match listener {
            Ok(listener) => is_same_place(&self.listener.address, &listener.address),
            Err(_) => self.name == name.as_bytes(),
        }
    }
}

/// The sockets that were given, sorted by name, then the others; and the look-ups of names for them.
#[derive(Default)]
pub struct Sockets(Vec<HeldSocket>, LookUps);

impl Sockets {
    /// Opens and closes what has changed in `sockets/` of the current directory, which messages call `dir`. Closes
    /// nothing if the service is started as the `second` copy.
    ///
    /// # Errors
    /// The first reason why a socket cannot be opened, after warnings about all of them.
    #[inline(never)]
    pub fn refresh(&mut self, second: bool, dir: &OsStr, said: &mut Warnings) -> Result<(), Text> {
        let entries = match listeners::list() {
            Ok(entries) => entries,
            Err(error) => return Err(complain(dir, names::SOCKETS.as_ref(), &error, said)),
        };
        said.retain(b"sockets/", |name| entries.iter().any(|entry| entry.as_bytes() == name));
        let listed: Vec<_> = entries.into_iter().map(|name| (listeners::read(&name), name)).collect();
        if !second {
            // Close first: a new address may be an old one in other words.
            self.0.retain(|held| listed.iter().any(|(listener, name)| held.is_still(name, listener)));
        }
        let (mut failed, mut held) = (None, Vec::new());
        for (listener, name) in listed {
            let file = Path::new(names::SOCKETS).join(&name);
            match listener.and_then(|listener| self.get(&name, listener)) {
                Ok(socket) => {
                    said.over(file.as_os_str().as_bytes());
                    held.push(socket);
                }
                Err(error) => {
                    failed.get_or_insert(complain(dir, file.as_os_str(), &error, said));
                }
            }
        }
        self.give_none();
        held.append(&mut self.0);
        self.0 = held;
        failed.map_or(Ok(()), Err)
    }

    /// Notes that the copy that is started next gets no sockets.
    pub fn give_none(&mut self) {
        self.0.iter_mut().for_each(|held| held.given = false);
    }

    /// Closes the sockets that the copy that was started last did not get.
    pub fn close_others(&mut self) {
        self.0.retain(|held| held.given);
    }

    /// Listens again on sockets that were shut down by a process of the service, which has ended: other processes use
    /// them too.
    pub fn listen_again(&self, dir: &OsStr, said: &mut Warnings) {
        for held in &self.0 {
            let file = Path::new(names::SOCKETS).join(OsStr::from_bytes(&held.name));
            match sys::listen::again(&held.socket, listeners::manner(&held.listener)) {
                Ok(false) => {}
                Ok(true) => VOICE.warn(&text!(
                    dir,
                    "/",
                    file.as_os_str(),
                    " was shut down by a process of the service, listening again"
                )),
                Err(error) => drop(complain(dir, file.as_os_str(), &error, said)),
            }
        }
    }

    /// Returns the socket for a file: the one that is held for its address, or a new one.
    fn get(&mut self, name: &OsStr, listener: Listener) -> io::Result<HeldSocket> {
        let same = |held: &HeldSocket| is_same_place(&held.listener.address, &listener.address);
        let socket = match self.0.iter().position(same) {
            Some(at) => self.0.remove(at).socket,
            None => listeners::open_or_look_up(&listener, &mut self.1)?,
        };
        Ok(HeldSocket { name: name.as_bytes().into(), listener, socket, given: true })
    }

    /// Copies the sockets from a process whose supervise was killed.
    #[inline(never)]
    pub fn adopt(process: &Adopted, dir: &OsStr, said: &mut Warnings) -> Sockets {
        let names = listeners::list().unwrap_or_default();
        let mut wanted: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let listener = listeners::read(&name).ok()?;
                let place = listeners::place(&listener).ok()?;
                Some((name, listener, place))
            })
            .collect();
        let mut sockets = Sockets::default();
        if let Err(error) = sockets.search(process, &mut wanted) {
            let text = text!("unable to take over the sockets of ", dir, ", opening them anew at the next start");
            said.warning("adopt", text, &error);
        }
        sockets
    }

    /// Copies one descriptor at a time: the service may have more of them open than this process may.
    fn search(&mut self, process: &Adopted, wanted: &mut Vec<(OsString, Listener, Place)>) -> io::Result<()> {
        let numbers = if wanted.is_empty() { Vec::new() } else { process.descriptors()? };
        for number in numbers {
            let copy = match process.copy(number) {
                Ok(copy) => copy,
                // The process has closed it meanwhile.
                Err(error) if error.raw_os_error() == Some(sys::EBADF) => continue,
                Err(error) => return Err(error),
            };
            if let Some(at) = wanted.iter().position(|(_, _, place)| sys::listen::is_at(&copy, place)) {
                let (name, listener, _) = wanted.remove(at);
                self.0.push(HeldSocket { name: name.into_vec(), listener, socket: copy, given: true });
            }
        }
        Ok(())
    }

    /// Takes over the sockets that were open before an upgrade.
    pub fn inherit(left: &[Socket]) -> io::Result<Sockets> {
        let held = left.iter().map(|left| {
            let listener = Listener::from_file(&left.line).map_err(|wrong| io::Error::other(wrong.to_string()))?;
            Ok(HeldSocket {
                name: left.name.clone(),
                listener,
                socket: sealed::inherit(left.number)?,
                given: left.given,
            })
        });
        Ok(Sockets(held.collect::<io::Result<_>>()?, LookUps::default()))
    }

    /// Describes the sockets, to be handed over in an upgrade.
    pub fn leave(&self) -> Vec<Socket> {
        let left = |held: &HeldSocket| Socket {
            number: sealed::number(held.socket.as_fd()),
            given: held.given,
            name: held.name.clone(),
            line: line(&held.listener),
        };
        self.0.iter().map(left).collect()
    }

    /// The descriptors of all sockets.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|held| held.socket.as_fd())
    }

    /// The descriptors that the service gets.
    pub fn passed(&self) -> impl Iterator<Item = PassedFd<'_>> {
        let given = self.0.iter().filter(|held| held.given);
        given.map(|held| PassedFd { fd: held.socket.as_fd(), name: &held.name, number: held.listener.fd })
    }
}

/// Warns that a socket cannot be opened, unless a look-up only takes a little longer. Returns the reason, for the
/// record.
fn complain(dir: &OsStr, file: &OsStr, error: &io::Error, said: &mut Warnings) -> Text {
    let why = text!(file, ": ", cli::reason(error).as_ref());
    if error.kind() == io::ErrorKind::TimedOut {
        return why;
    }
    said.warning(file.as_bytes(), text!("unable to listen for ", dir, "/", file), error);
    why
}

/// Returns whether two sockets cannot be open at both addresses, because these are the same place.
fn is_same_place(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Unix(one), Address::Unix(other)) => one.path == other.path,
        _ => one == other,
    }
}

/// Writes the line that a file would have for this listener: only its address and its number. Its other options were
/// used when it was opened.
fn line(listener: &Listener) -> Vec<u8> {
    let mut line = match &listener.address {
        Address::Tcp(host, port) => format!("tcp {host}:{port}").into_bytes(),
        Address::Udp(host, port) => format!("udp {host}:{port}").into_bytes(),
        Address::Unix(file) => [b"unix ", file.path.as_slice()].concat(),
    };
    if let Some(number) = listener.fd {
        line.extend(format!(" fd={number}").into_bytes());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_same_place() {
        for file in [
            "tcp 127.0.0.1:80 fd=0 backlog=7",
            "udp *:53 reuseport",
            "tcp [::1]:8080",
            "unix run/a.sock mode=600",
            "tcp localhost:1",
        ] {
            let listener = Listener::from_file(file.as_bytes()).expect(file);
            let again = Listener::from_file(&line(&listener)).expect(file);
            assert!(is_same_place(&listener.address, &again.address), "{file}");
            assert_eq!(listener.fd, again.fd);
        }
    }
}
