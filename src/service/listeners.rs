//! Reads the files of `sockets/`, and opens the sockets that [`Listener`]s describe.
//!
//! libc's look-ups are not used: in a static program they load shared objects and can crash. A host is a numeric address or a name in
//! the hosts file; for accounts and groups see [`account`](super::account).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;
use svdir::knob;
use svdir::listener::{self, Address, Host};
use svdir::{Listener, names};
use sys::fd;
use sys::listen::{Kind, Manner, Place, UnixFile};

use super::account::Database;
use super::look_ups::LookUps;

const HOSTS: &str = "/etc/hosts";
/// From this length on, in bytes, a file in `sockets/` is too long. The longest path with every option is far shorter.
const LONGEST: usize = 1024;

/// Opens the socket and listens. Waits for as long as it takes to look up a name.
///
/// # Errors
/// The error of the system, or a text: `unknown host NAME`, `unknown account NAME`, `unknown group NAME`.
pub fn open(listener: &Listener) -> io::Result<OwnedFd> {
    open_with(listener, |database, name| Ok(database.id(OsStr::from_bytes(name))))
}

/// Opens the socket and listens, without waiting for a name service: if a name is not known at once, this fails while
/// it is being looked up.
///
/// # Errors
/// As [`open`], and as [`LookUps::id`].
pub fn open_or_look_up(listener: &Listener, look_ups: &mut LookUps) -> io::Result<OwnedFd> {
    open_with(listener, |database, name| look_ups.id(database, name))
}

fn open_with(listener: &Listener, id: impl FnMut(Database, &[u8]) -> io::Result<Option<u32>>) -> io::Result<OwnedFd> {
    sys::listen::open(&place_with(listener, id)?, manner(listener))
}

/// The place at which [`open_or_look_up`] would open the socket, with its owner.
///
/// # Errors
/// As [`open_or_look_up`], for a name that cannot be found.
pub fn place_or_look_up(listener: &Listener, look_ups: &mut LookUps) -> io::Result<Place> {
    place_with(listener, |database, name| look_ups.id(database, name))
}

fn place_with(listener: &Listener, id: impl FnMut(Database, &[u8]) -> io::Result<Option<u32>>) -> io::Result<Place> {
    Ok(match (place(listener)?, &listener.address) {
        (Place::Unix(place), Address::Unix(file)) => Place::Unix(owned(place, file, id)?),
        (place, _) => place,
    })
}

/// Opens all sockets, or none: if one cannot be opened, the files of those before it are removed again.
///
/// # Errors
/// As [`open`], with the address of the socket that could not be opened.
pub fn open_all(listeners: &[Listener]) -> anyhow::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    for (before, listener) in listeners.iter().enumerate() {
        let opened = open(listener).inspect_err(|_| remove_files(&listeners[..before]));
        sockets.push(opened.with_context(|| text!("unable to listen on ", listener.to_string().as_str()))?);
    }
    Ok(sockets)
}

/// Removes the files of the Unix sockets that this program has made for `listeners`.
pub fn remove_files(listeners: &[Listener]) {
    for listener in listeners {
        if let Address::Unix(file) = &listener.address {
            let _ = fs::remove_file(OsStr::from_bytes(&file.path));
        }
    }
}

/// Lists the files in `sockets/` of the current directory, sorted by name, without those whose names begin with a dot.
///
/// # Errors
/// If it is no directory, or cannot be read.
pub fn list() -> io::Result<Vec<OsString>> {
    let names: io::Result<Vec<OsString>> =
        std::fs::read_dir(names::SOCKETS)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names?;
    names.retain(|name| !name.as_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

/// Reads a file in `sockets/` of the current directory.
///
/// # Errors
/// Those of the system, or a text: why it describes no listener.
#[inline(never)]
pub fn read(name: &OsStr) -> io::Result<Listener> {
    if !listener::is_name(name.as_bytes()) {
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

/// The options with which the socket of this listener is opened.
pub const fn manner(listener: &Listener) -> Manner {
    Manner { backlog: listener.backlog, reuse_port: listener.reuse_port }
}

/// The address at which the socket of this listener listens. The owner of the file of a Unix socket is not looked up.
///
/// # Errors
/// As [`open`], for a host that cannot be found.
pub fn place(listener: &Listener) -> io::Result<Place> {
    Ok(match &listener.address {
        Address::Tcp(host, port) => inet(Kind::Stream, host, *port)?,
        Address::Udp(host, port) => inet(Kind::Datagram, host, *port)?,
        Address::Unix(file) => Place::Unix(unix(file)),
    })
}

fn inet(kind: Kind, host: &Host, port: u16) -> io::Result<Place> {
    Ok(match host {
        Host::Any => Place::AnyIp(kind, port),
        Host::Ip(ip) => Place::Ip(kind, SocketAddr::new(*ip, port)),
        Host::Name(name) => Place::Ip(kind, SocketAddr::new(look_up(name)?, port)),
    })
}

fn look_up(name: &[u8]) -> io::Result<IpAddr> {
    // Without the file, localhost is still known.
    let hosts = fs::read(HOSTS).unwrap_or_default();
    listener::find_host(&hosts, name).ok_or_else(|| unknown("host", name))
}

fn unix(file: &listener::UnixFile) -> UnixFile {
    UnixFile { path: Path::new(OsStr::from_bytes(&file.path)).into(), mode: file.mode, ..UnixFile::default() }
}

/// The place of a Unix socket, with the ids of its owner and group.
fn owned(
    place: UnixFile,
    file: &listener::UnixFile,
    mut id: impl FnMut(Database, &[u8]) -> io::Result<Option<u32>>,
) -> io::Result<UnixFile> {
    let mut find = |database: Database, name: Option<&[u8]>| {
        let Some(name) = name else {
            return Ok(None);
        };
        let found = number(name).map_or_else(|| id(database, name), |id| Ok(Some(id)))?;
        found.ok_or_else(|| unknown(database.noun(), name)).map(Some)
    };
    let owner = find(Database::Accounts, file.owner.as_deref())?;
    Ok(UnixFile { owner, group: find(Database::Groups, file.group.as_deref())?, ..place })
}

/// The id that these digits stand for. Here a number is an id, unlike for setuidgid. The largest number is not: to the kernel it means "leave it as
/// it is".
fn number(name: &[u8]) -> Option<u32> {
    knob::digits(name).and_then(|id| u32::try_from(id).ok()).filter(|&id| id < u32::MAX)
}

fn unknown(what: &str, name: &[u8]) -> io::Error {
    io::Error::other(format!("unknown {what} {}", name.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(argument: &str) -> String {
        let listener = Listener::from_argument(argument.as_bytes()).expect(argument);
        open(&listener).expect_err("an error").to_string()
    }

    #[test]
    fn names_that_nobody_knows_are_said() {
        assert_eq!(refused("tcp:no-such-host.invalid:80"), "unknown host no-such-host.invalid");
        assert_eq!(refused("unix:s,owner=no-such-account"), "unknown account no-such-account");
        assert_eq!(refused("unix:s,group=no-such-group"), "unknown group no-such-group");
        assert_eq!(refused("unix:s,owner=4294967295"), "unknown account 4294967295");
    }

    #[test]
    fn numbers_and_names_are_ids() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"4294967294"), Some(4_294_967_294));
        for name in [&b""[..], b"x", b"-1", b"4294967295", b"4294967296"] {
            assert_eq!(number(name), None, "{}", name.escape_ascii());
        }
        assert_eq!(Database::Groups.id(OsStr::new("root")).is_some(), cfg!(target_os = "linux"));
    }
}
