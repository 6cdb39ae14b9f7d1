//! The listeners in `sockets/`: what is wrong with each, and who else has its address.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use svdir::{Listener, names};
use sys::in_use::{self, Internet};
use sys::listen::{Kind, Place};
use sys::passed;
use sys::proc;
use sys::process::Pid;

use super::found::Found;
use super::knob::is_odd_in;
use crate::service::look_ups::LookUps;
use crate::service::{client, knobs, listeners};
use crate::words::shown;

/// The sockets of one service.
pub struct Sockets {
    /// What the service is called.
    name: String,
    /// Which directory it is, whatever leads there.
    identity: (u64, u64),
    /// It is normally down: perhaps it takes the place of another one.
    spare: bool,
    held: Vec<Held>,
    /// The processes that may have the sockets already.
    own: Vec<Pid>,
}

/// One socket.
struct Held {
    /// Its file, as it is shown.
    file: String,
    listener: Listener,
    /// The path of a Unix socket is absolute here.
    place: Place,
}

/// What can be at one place only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Internet(bool, u16),
    Unix(PathBuf),
}

/// Reads the sockets of the service `name`, whose directory is the current one; `None` if it has none.
pub fn read(name: &str, look_ups: &mut LookUps, found: &mut Found) -> Option<Sockets> {
    fs::symlink_metadata(names::SOCKETS).ok()?;
    let files = match listeners::list() {
        Ok(files) => files,
        Err(error) => {
            found.failed(names::SOCKETS, &error);
            return None;
        }
    };
    let mut held = Vec::new();
    for name in files {
        let file = format!("{}/{}", names::SOCKETS, shown::name(&name));
        if is_odd_in(names::SOCKETS, &name) {
            found.about(&file, "it is not a regular file");
            continue;
        }
        let listener = match listeners::read(&name) {
            Ok(listener) => listener,
            Err(error) => {
                found.failed(&file, &error);
                continue;
            }
        };
        match listeners::place_or_look_up(&listener, look_ups) {
            Ok(place) => held.push(Held { file, listener, place: absolute(place) }),
            // What takes a name service so long may be known to it.
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
            Err(error) => found.failed(&file, &error),
        }
    }
    clash(&held, found);
    let here = fs::metadata(".").ok()?;
    Some(Sockets {
        name: name.to_owned(),
        identity: (here.dev(), here.ino()),
        spare: fs::metadata(names::DOWN).is_ok(),
        held,
        own: own(),
    })
}

fn absolute(place: Place) -> Place {
    match place {
        Place::Unix(mut file) => {
            let path = std::env::current_dir().unwrap_or_default().join(&file.path);
            let above = path.parent().and_then(|above| fs::canonicalize(above).ok());
            file.path = above.zip(path.file_name()).map_or(path.clone(), |(above, name)| above.join(name));
            Place::Unix(file)
        }
        place => place,
    }
}

/// Looks whether the service would get two descriptors under one number.
fn clash(held: &[Held], found: &mut Found) {
    let notification = knobs::notification_fd(u64::MAX);
    let regular = fs::metadata(notification.name).is_ok_and(|file| file.is_file());
    let notified: Option<RawFd> = if regular { notification.read().ok() } else { None };
    let wanted: Vec<Option<RawFd>> = held.iter().map(|held| held.listener.fd).chain(notified.map(Some)).collect();
    if let Err(clash) = passed::numbers(&wanted) {
        let file = |at: usize| held.get(at).map_or(notification.name, |held| held.file.as_str());
        found.about(file(clash.second), &format!("descriptor {} is that of {} too", clash.number, file(clash.first)));
    }
}

/// The processes of the service of the current directory: its supervise, and its copies.
fn own() -> Vec<Pid> {
    let Ok(facts) = client::read() else {
        return Vec::new();
    };
    let pid = |pid: u32| Pid::from_raw(pid.cast_signed());
    let summary = facts.summary(true, crate::service::tick());
    let copies = [summary.pid, summary.second].into_iter().flatten().map(|copy| pid(copy.get()));
    let supervise = client::find().is_ok().then(|| pid(facts.author().0));
    supervise.into_iter().chain(copies).collect()
}

/// The sockets of all services of which anything is known.
#[derive(Default)]
pub struct All {
    all: Vec<Sockets>,
    at: BTreeMap<Key, Vec<(usize, usize)>>,
}

impl All {
    /// Adds those of a service.
    pub fn add(&mut self, sockets: Sockets) {
        let service = self.all.len();
        if self.all.iter().any(|other| other.identity == sockets.identity) {
            return;
        }
        for (number, held) in sockets.held.iter().enumerate() {
            self.at.entry(key(&held.place)).or_default().push((service, number));
        }
        self.all.push(sockets);
    }

    /// Looks at the addresses of the service that was added under this name.
    pub fn look(&self, name: &str, kernel: &Kernel, found: &mut Found) {
        let Some(service) = self.all.iter().position(|sockets| sockets.name == name) else {
            return;
        };
        let sockets = &self.all[service];
        for (number, held) in sockets.held.iter().enumerate() {
            let others = self.at.get(&key(&held.place)).into_iter().flatten();
            let other = others.filter(|&&at| at != (service, number)).find_map(|&(service, number)| {
                let (other, held_there) = (&self.all[service], &self.all[service].held[number]);
                let is_spare = other.identity != sockets.identity && (other.spare || sockets.spare);
                (!is_spare && excludes(held, held_there)).then_some((other, held_there))
            });
            let address = held.listener.to_string();
            if let Some((other, there)) = other {
                let whose = if other.identity == sockets.identity { "" } else { &format!("{}, ", other.name) };
                found.about(&held.file, &format!("{address} is also a listener of {whose}{}", there.file));
            } else if let Some(why) = kernel.in_use(held, &sockets.own) {
                found.about(&held.file, &format!("{address} {why}"));
            }
        }
    }
}

fn key(place: &Place) -> Key {
    match place {
        Place::Ip(kind, address) => Key::Internet(*kind == Kind::Stream, address.port()),
        Place::AnyIp(kind, port) => Key::Internet(*kind == Kind::Stream, *port),
        Place::Unix(file) => Key::Unix(file.path.clone()),
    }
}

/// Returns whether two sockets with one key cannot be open at a time.
fn excludes(one: &Held, other: &Held) -> bool {
    let overlap = match (&one.place, &other.place) {
        (Place::Ip(_, one), Place::Ip(_, other)) => {
            let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
            one == other || is_any && one.is_ipv4() == other.is_ipv4()
        }
        _ => true,
    };
    overlap && !(one.listener.reuse_port && other.listener.reuse_port)
}

/// What listens on this machine.
pub struct Kernel {
    internet: Vec<Internet>,
    unix: Vec<(Vec<u8>, u64)>,
}

impl Kernel {
    /// Asks the kernel.
    pub fn look() -> Kernel {
        Kernel { internet: in_use::internet(), unix: in_use::unix() }
    }

    /// Why the address cannot be had, if none of the processes `own` has it; `None` if it can, or that cannot be seen.
    fn in_use(&self, held: &Held, own: &[Pid]) -> Option<String> {
        if held.listener.reuse_port {
            return None;
        }
        let holders = match &held.place {
            Place::Unix(file) => {
                let there = fs::symlink_metadata(&file.path).ok()?;
                if !there.file_type().is_socket() {
                    return Some("is a file that is no socket".to_owned());
                }
                self.unix
                    .iter()
                    .filter(|(path, _)| path == file.path.as_os_str().as_bytes())
                    .map(|&(_, inode)| inode)
                    .collect()
            }
            place => self
                .internet
                .iter()
                .filter(|there| is_in_the_way(place, there))
                .map(|there| there.inode)
                .collect::<Vec<_>>(),
        };
        if holders.is_empty() {
            return None;
        }
        for &pid in own.iter().filter(|&&pid| proc::exists(pid)) {
            // One that may not be looked into may have it.
            let sockets = proc::sockets(pid).ok()?;
            if holders.iter().any(|inode| sockets.contains(inode)) {
                return None;
            }
        }
        let who = proc::pids()
            .ok()?
            .find(|&pid| proc::sockets(pid).is_ok_and(|sockets| holders.iter().any(|inode| sockets.contains(inode))));
        Some(match who {
            Some(pid) => {
                let name = proc::name(pid).unwrap_or_default();
                format!("is in use by {}, pid {pid}", shown::bytes(&name))
            }
            None => "is in use by another process".to_owned(),
        })
    }
}

/// Returns whether a socket that is there keeps one from this place. Of one on all addresses of IPv6 it is not known whether it has those of IPv4 too.
fn is_in_the_way(place: &Place, there: &Internet) -> bool {
    let any = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(ip) => ip == Ipv6Addr::UNSPECIFIED,
    };
    match place {
        Place::AnyIp(kind, port) => *kind == there.kind && *port == there.address.port(),
        Place::Ip(kind, address) => {
            let same = *address == there.address;
            let overlap = address.is_ipv4() == there.address.is_ipv4() && (any(*address) || any(there.address));
            *kind == there.kind && address.port() == there.address.port() && (same || overlap)
        }
        Place::Unix(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_address_or_all_addresses_is_in_the_way() {
        let there = |address: &str| Internet { kind: Kind::Stream, address: address.parse().expect(address), inode: 1 };
        let at = |address: &str| Place::Ip(Kind::Stream, address.parse().expect(address));
        for (place, other, expected) in [
            (at("127.0.0.1:80"), "127.0.0.1:80", true),
            (at("127.0.0.1:80"), "127.0.0.1:81", false),
            (at("127.0.0.1:80"), "127.0.0.2:80", false),
            (at("127.0.0.1:80"), "0.0.0.0:80", true),
            (at("0.0.0.0:80"), "127.0.0.1:80", true),
            (at("127.0.0.1:80"), "[::]:80", false),
            (at("[::1]:80"), "[::]:80", true),
            (Place::AnyIp(Kind::Stream, 80), "[::1]:80", true),
            (Place::AnyIp(Kind::Datagram, 80), "127.0.0.1:80", false),
        ] {
            assert_eq!(is_in_the_way(&place, &there(other)), expected, "{place:?} {other}");
        }
    }
}
