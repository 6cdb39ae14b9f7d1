//! The sockets that supervise holds for its service: one for each file in `sockets/`. They outlive every process of the service, so
//! whoever connects while none runs waits, and is refused by nobody.
//!
//! The files are read again at each start. A socket whose address still stands there is kept as it is; the others are closed, and
//! new ones opened. While an old copy serves beside a new one, what only it has is kept until it is replaced: it may stay.
//! A service that does not get all of them is not started: it could take it for an order to listen for itself.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cli::{Text, Warnings, text};
use svdir::listener::{Address, is_name};
use svdir::record::handover::Socket;
use svdir::{Listener, names};
use sys::adopted::Adopted;
use sys::handed::Gift;
use sys::listen::Place;
use sys::{fd, sealed};

use super::voice::VOICE;
use crate::service::listeners;
use crate::service::look_ups::LookUps;

/// A file that holds more is none of these: the longest path and every option are shorter by far.
const LONGEST: usize = 1024;

/// One of them.
struct HeldSocket {
    /// The name of its file.
    name: Vec<u8>,
    listener: Listener,
    socket: OwnedFd,
    /// Whether the copy that was started last got it.
    given: bool,
}

impl HeldSocket {
    /// Whether it is what a file tells of. One that cannot be read may do so.
    fn is_still(&self, name: &OsStr, listener: &io::Result<Listener>) -> bool {
        match listener {
            Ok(listener) => is_same_place(&self.listener.address, &listener.address),
            Err(_) => self.name == name.as_bytes(),
        }
    }
}

/// The sockets, in the order of their names, and then those that were not given; and the names that are looked up for them.
#[derive(Default)]
pub struct Sockets(Vec<HeldSocket>, LookUps);

impl Sockets {
    /// Opens and closes what has changed in `sockets/` of the current directory, which messages call `dir`. Where the service is
    /// started beside an old copy, nothing is closed.
    ///
    /// # Errors
    /// Why a socket cannot be had; each is said.
    #[inline(never)]
    pub fn refresh(&mut self, beside: bool, dir: &OsStr, said: &mut Warnings) -> Result<(), Text> {
        let entries = match list() {
            Ok(entries) => entries,
            Err(error) => return Err(complain(dir, names::SOCKETS.as_ref(), &error, said)),
        };
        said.retain(b"sockets/", |name| entries.iter().any(|entry| entry.as_bytes() == name));
        let listed: Vec<_> = entries.into_iter().map(|name| (read(&name), name)).collect();
        if !beside {
            // First of all: a new address may be an old one in other words.
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

    /// The copy that is started next gets none.
    pub fn give_none(&mut self) {
        self.0.iter_mut().for_each(|held| held.given = false);
    }

    /// Closes what the copy that was started last did not get.
    pub fn close_others(&mut self) {
        self.0.retain(|held| held.given);
    }

    /// Listens again where a process of the service, which has ended, has shut down what others have too.
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

    /// The socket of a file: the one that is held for its address, or a new one.
    fn get(&mut self, name: &OsStr, listener: Listener) -> io::Result<HeldSocket> {
        let same = |held: &HeldSocket| is_same_place(&held.listener.address, &listener.address);
        let socket = match self.0.iter().position(same) {
            Some(at) => self.0.remove(at).socket,
            None => listeners::open_or_look_up(&listener, &mut self.1)?,
        };
        Ok(HeldSocket { name: name.as_bytes().into(), listener, socket, given: true })
    }

    /// Takes what a process, whose supervise was killed, has of them.
    #[inline(never)]
    pub fn adopt(process: &Adopted, dir: &OsStr, said: &mut Warnings) -> Sockets {
        let names = list().unwrap_or_default();
        let mut wanted: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let listener = read(&name).ok()?;
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

    /// One descriptor at a time: a service may have more of them than this process may.
    fn search(&mut self, process: &Adopted, wanted: &mut Vec<(OsString, Listener, Place)>) -> io::Result<()> {
        let numbers = if wanted.is_empty() { Vec::new() } else { process.descriptors()? };
        for number in numbers {
            let copy = match process.copy(number) {
                Ok(copy) => copy,
                // It was closed in this moment.
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

    /// What another program has left in this process.
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

    /// For another program in this process.
    pub fn leave(&self) -> Vec<Socket> {
        let left = |held: &HeldSocket| Socket {
            number: sealed::number(held.socket.as_fd()),
            given: held.given,
            name: held.name.clone(),
            line: line(&held.listener),
        };
        self.0.iter().map(left).collect()
    }

    /// Their descriptors.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|held| held.socket.as_fd())
    }

    /// What the service gets.
    pub fn gifts(&self) -> impl Iterator<Item = Gift<'_>> {
        let given = self.0.iter().filter(|held| held.given);
        given.map(|held| Gift { fd: held.socket.as_fd(), name: &held.name, number: held.listener.fd })
    }
}

/// Says why a socket cannot be had, unless it is a matter of a moment. Returns that for the status.
fn complain(dir: &OsStr, file: &OsStr, error: &io::Error, said: &mut Warnings) -> Text {
    let why = text!(file, ": ", cli::reason(error).as_ref());
    if error.kind() == io::ErrorKind::TimedOut {
        return why;
    }
    said.warning(file.as_bytes(), text!("unable to listen for ", dir, "/", file), error);
    why
}

/// The names of the files, sorted. Those that begin with a dot are none.
fn list() -> io::Result<Vec<OsString>> {
    let names: io::Result<Vec<OsString>> =
        std::fs::read_dir(names::SOCKETS)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names?;
    names.retain(|name| !name.as_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

#[inline(never)]
fn read(name: &OsStr) -> io::Result<Listener> {
    if !is_name(name.as_bytes()) {
        return Err(io::Error::other("the name has a colon, a blank or an odd byte in it"));
    }
    let path: PathBuf = Path::new(names::SOCKETS).join(name);
    let file = fd::open_read(&path)?;
    let mut bytes = [0; LONGEST];
    let count = fd::read(file.as_fd(), &mut bytes)?;
    if count == bytes.len() {
        return Err(io::Error::other("it is too long"));
    }
    Listener::from_file(&bytes[..count]).map_err(|wrong| io::Error::other(wrong.to_string()))
}

/// Whether two sockets could not have both addresses, whatever else is said about them.
fn is_same_place(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Unix(one), Address::Unix(other)) => one.path == other.path,
        _ => one == other,
    }
}

/// What would stand in its file: where it is, and which number it gets. The rest was done when it was opened.
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
