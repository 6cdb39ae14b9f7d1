//! Opening what a [`Listener`] names.
//!
//! libc's look-ups are not used: in a static program they load shared objects and can crash. A host is an address in digits or a name of
//! the hosts file; for accounts and groups see [`account`].

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use cli::text;
use svdir::Listener;
use svdir::knob;
use svdir::listener::{self, Address, Host};
use sys::listen::{Kind, Manner, Place, UnixFile};

use super::account;

const HOSTS: &str = "/etc/hosts";

/// Opens the socket and listens.
///
/// # Errors
/// What the system says, or in words `unknown host NAME`, `unknown account NAME`, `unknown group NAME`.
pub fn open(listener: &Listener) -> io::Result<OwnedFd> {
    sys::listen::open(&place(listener)?, manner(listener))
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

/// Removes the files of Unix sockets that are held by nobody but this program.
pub fn remove_files(listeners: &[Listener]) {
    for listener in listeners {
        if let Address::Unix(file) = &listener.address {
            let _ = fs::remove_file(OsStr::from_bytes(&file.path));
        }
    }
}

/// The way in which the socket of this listener listens.
pub const fn manner(listener: &Listener) -> Manner {
    Manner { backlog: listener.backlog, reuse_port: listener.reuse_port }
}

/// The place where the socket of this listener listens, with all names looked up.
///
/// # Errors
/// As [`open`], for a name that cannot be found.
pub fn place(listener: &Listener) -> io::Result<Place> {
    Ok(match &listener.address {
        Address::Tcp(host, port) => inet(Kind::Stream, host, *port)?,
        Address::Udp(host, port) => inet(Kind::Datagram, host, *port)?,
        Address::Unix(file) => Place::Unix(unix(file)?),
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
    // localhost is known without the file.
    let hosts = fs::read(HOSTS).unwrap_or_default();
    listener::find_host(&hosts, name).ok_or_else(|| unknown("host", name))
}

fn unix(file: &listener::UnixFile) -> io::Result<UnixFile> {
    let owner = file.owner.as_deref().map(|name| {
        number(name)
            .or_else(|| account::look_up(OsStr::from_bytes(name)).ok().map(|found| found.uid))
            .ok_or_else(|| unknown("account", name))
    });
    let group = file.group.as_deref().map(|name| {
        number(name).or_else(|| account::look_up_group(OsStr::from_bytes(name))).ok_or_else(|| unknown("group", name))
    });
    Ok(UnixFile {
        path: Path::new(OsStr::from_bytes(&file.path)).into(),
        mode: file.mode,
        owner: owner.transpose()?,
        group: group.transpose()?,
    })
}

/// The id that these digits stand for. Unlike for setuidgid, a number is an id here. The largest is none: to the kernel it means "leave it as it is".
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
        assert_eq!(account::look_up_group(OsStr::new("root")).is_some(), cfg!(target_os = "linux"));
    }
}
