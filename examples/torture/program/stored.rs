//! Descriptors that supervise keeps for a service: they come back at its next start.
//!
//! The service keeps a file open, and has it kept as well. As soon as the list in `supervise/stored` says that it is kept, the service writes down, in `proof`, which
//! supervise keeps it. If its next life has that supervise for its parent, and was not given the descriptor, it reports itself. That is a violation unless
//! somebody did not want the service up meanwhile.
//!
//! While nothing is done to it, the supervise that runs must have the descriptor in its list. What that one had got which was killed, the service says again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Instant;

use svdir::stored;
use sys::descriptors::Identity;
use sys::{fd, notify, sealed};

use super::line::{Incarnation, Micros};
use super::report::Kind;
use super::service::tell;
use super::unit::Expect;
use super::world::World;

/// The file that says how many descriptors are kept.
pub const KEEPS: &str = "fd-store";
/// The report of a service that was not given what was kept for it.
pub const LOST: &str = "descriptor lost that was kept for";
/// The report of a service that was given something else.
pub const STRANGE: &str = "descriptor that it does not know";
/// The name of what is kept, and of the file.
const TREASURE: &str = "treasure";
/// The file that says who keeps it, and in which life the service has written that.
const PROOF: &str = "proof";
/// The list of what is kept, and the supervise that has written it.
const LIST: &str = "supervise/stored";
/// A file with a byte for each time that it came back.
const RETURNS: &str = "returns";
/// The first of the descriptors that are given.
const FIRST: i32 = 3;

/// What is kept for this service.
pub struct Parked {
    by: Incarnation,
    socket: OsString,
    treasure: OwnedFd,
    proven: Option<u32>,
}

impl Parked {
    /// Takes what was given, or opens it; `None` if nothing is to be kept for this service.
    pub fn take(name: &str, by: Incarnation) -> io::Result<Option<Parked>> {
        if !Path::new(KEEPS).exists() {
            return Ok(None);
        }
        let given = given(name, by)?;
        let treasure = match given {
            Some(given) => {
                OpenOptions::new().append(true).create(true).open(RETURNS)?.write_all(b".")?;
                given
            }
            None => {
                let proof = fs::read_to_string(PROOF).unwrap_or_default();
                let proof = proof.split_once(' ');
                if let Some((_, life)) = proof.filter(|(supervise, _)| *supervise == parent()) {
                    tell(name, by, &format!("{LOST} {life}"))?;
                }
                let _ = fs::remove_file(PROOF);
                fd::open_append(Path::new(TREASURE))?.into()
            }
        };
        let socket = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        Ok(Some(Parked { by, socket, treasure, proven: None }))
    }

    /// Says that this process is ready and, unless it is kept already, what is to be kept. If there is no supervise, nobody hears that.
    pub fn turn(&mut self) -> io::Result<()> {
        let list = fs::read(LIST).unwrap_or_default();
        let keeper = keeper(&list).filter(|&keeper| is_in(&list, keeper, self.treasure.as_fd()));
        let _ = match keeper {
            Some(_) => self.say("READY=1", &[]),
            None => self.say(&format!("READY=1\nFDSTORE=1\nFDNAME={TREASURE}"), &[&self.treasure]),
        };
        if keeper.is_some() && keeper != self.proven {
            let new = format!("{PROOF}.{}", self.by.pid);
            fs::write(&new, format!("{} {}", keeper.unwrap_or_default(), self.by))?;
            fs::rename(new, PROOF)?;
            self.proven = keeper;
        }
        Ok(())
    }

    fn say(&self, text: &str, given: &[&OwnedFd]) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        match self.socket.as_bytes().strip_prefix(b"@") {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect(&self.socket)?,
        }
        socket.set_nonblocking(true)?;
        let given: Vec<_> = given.iter().map(|given| given.as_fd()).collect();
        notify::send(socket.as_fd(), text.as_bytes(), &given)
    }
}

/// The descriptor that this process was given.
fn given(name: &str, by: Incarnation) -> io::Result<Option<OwnedFd>> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if variable("LISTEN_PID") != by.pid.to_string() {
        return Ok(None);
    }
    let names = variable("LISTEN_FDNAMES");
    let count: i32 = variable("LISTEN_FDS").parse().unwrap_or(0);
    let mut first = None;
    for (number, called) in (FIRST..FIRST + count).zip(names.split(':')) {
        let given = File::from(sealed::inherit(number)?);
        let (found, expected) = (given.metadata()?, fs::metadata(TREASURE)?);
        if called != TREASURE || (found.dev(), found.ino()) != (expected.dev(), expected.ino()) {
            tell(name, by, STRANGE)?;
        }
        first.get_or_insert(given);
    }
    Ok(first.map(OwnedFd::from))
}

fn parent() -> String {
    std::os::unix::process::parent_id().to_string()
}

/// The supervise that has written this list.
fn keeper(list: &[u8]) -> Option<u32> {
    let first = std::str::from_utf8(list.split(|&byte| byte == b'\n').next()?).ok()?;
    first.rsplit(' ').next()?.parse().ok()
}

/// Whether the supervise with this pid says in this list that it keeps the file that is open here.
fn is_in(list: &[u8], supervise: u32, file: BorrowedFd<'_>) -> bool {
    let kept = |file: Identity| {
        stored::decode(supervise, list).any(|entry| (entry.device, entry.inode) == (file.device, file.inode))
    };
    Identity::of(file).is_some_and(kept)
}

/// How often what was kept for the service in this directory came back.
pub fn returns(dir: &Path) -> u64 {
    fs::metadata(dir.join(RETURNS)).map_or(0, |file| file.len())
}

impl World {
    /// A service that lives and was left alone has its descriptor kept, by the supervise that lives.
    pub(super) fn check_stored(&mut self, unit: usize) {
        let (target, disturbed) = (&self.units[unit], self.disturbed(unit));
        let rests = target.expect == Expect::Up && target.pending.is_none() && !target.overlaps.lasts();
        if !target.rules.parks || !rests || disturbed.elapsed() <= self.grace {
            return;
        }
        let is_old = |since: Instant| since.elapsed() > self.grace;
        let process = target.process.filter(|known| !known.doomed && is_old(known.since));
        let (Some(process), Some(supervise)) = (process, target.supervise.filter(|known| is_old(known.since))) else {
            return;
        };
        let list = fs::read(target.dir.join(LIST)).unwrap_or_default();
        let treasure = File::open(target.dir.join(TREASURE));
        if !treasure.is_ok_and(|treasure| is_in(&list, supervise.pid, treasure.as_fd())) {
            let (name, history) = (&self.units[unit].name, self.history(unit));
            let list = String::from_utf8_lossy(&list).into_owned();
            let evidence =
                format!("{name}: supervise {} of pid {} has the list {list:?}; {history}", supervise.pid, process.pid);
            // Once for each time.
            self.units[unit].disturbed = Instant::now();
            self.violate(Kind::NotKept, evidence);
        }
    }

    /// Whether the descriptor was lost since somebody did not want the service up.
    pub(super) fn may_be_lost(&self, unit: usize, line: &str) -> bool {
        let life = line.split_once(LOST).and_then(|(_, rest)| Incarnation::parse(rest.trim().split(':').next()?));
        let since: Micros = life.map_or(0, |life| life.birth);
        self.units[unit].unwanted.iter().any(|&when| when >= since)
    }
}
