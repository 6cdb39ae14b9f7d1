//! The descriptors that the service has given to supervise, to get them back at its next start: connections, memory, whatever it cannot open again.
//!
//! Closing such a descriptor may take as long as its service likes, so supervise closes none itself: a child does. As long as a descriptor was not
//! closed, it counts as kept, so a service that gives and takes back cannot fill up supervise.
//!
//! Nothing brings back what a supervise has kept that was killed, except that the service may have it open too. `supervise/stored` says what it was.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cli::{Warnings, text};
use machine::{SECOND, Tick};
use svdir::names;
use svdir::notify::Notice;
use svdir::record::handover::Stored;
use svdir::stored::{self, Entry};
use sys::adopted::Adopted;
use sys::descriptors::{self, Identity};
use sys::notify::Socket;
use sys::passed::{FIRST, PassedFd};
use sys::{fd, process, sealed};

use super::knobs;
use crate::service::notify::Message;
use crate::service::{files, tick};

/// The time after which it is tried again to start a child that closes descriptors, in nanoseconds.
const REST: u64 = SECOND;

/// One descriptor.
struct Kept {
    name: Vec<u8>,
    descriptor: OwnedFd,
    /// `None` if nobody could recognize it.
    identity: Option<Identity>,
}

/// What is kept for the service, in the order in which it came.
#[derive(Default)]
pub struct Store {
    kept: Vec<Kept>,
    /// How many may be kept, as `fd-store` says.
    most: usize,
    /// Kept no longer, and not closed yet.
    left: Vec<OwnedFd>,
    /// The child that closes others.
    closer: Option<process::Pid>,
    /// When it is tried again to start one.
    again: Option<Tick>,
    /// The list is that of this supervise, and not what another one has left.
    is_listed: bool,
}

impl Store {
    /// Learns from the service directory, which messages call `dir`, how many are kept from now on. `is_asked` means that it has the file `fd-store`.
    /// What came last is given up if there are too many.
    pub fn limit(&mut self, is_asked: bool, dir: &OsStr, said: &mut Warnings) {
        self.most = if is_asked { knobs::fd_store(dir, said) } else { 0 };
        if !is_asked {
            said.over(names::FD_STORE);
        }
        said.over("keep");
        if self.kept.len() > self.most {
            let surplus = self.kept.split_off(self.most);
            self.give_up(surplus);
            self.note(dir, said);
        } else if is_asked && !self.is_listed {
            self.note(dir, said);
        }
    }

    /// Keeps the descriptors of a datagram that waits in `socket`, if the service asks for that in it. Those that are kept already are not kept twice.
    #[inline(never)]
    pub fn take_in(&mut self, message: Message<'_>, socket: &Socket, dir: &OsStr, said: &mut Warnings) {
        let name = message.words().find_map(|word| match word {
            Notice::Store(name) => Some(name),
            _ => None,
        });
        let Some(name) = name.filter(|_| self.most > 0) else {
            return;
        };
        let before = self.kept.len();
        if let Err(error) = self.copy_from(socket, name) {
            said.warning("keep", text!("unable to keep all descriptors of ", dir, ", closing the others"), &error);
        }
        if self.kept.len() > before {
            log::info!("{}: keeping {} more as {}", dir.display(), self.kept.len() - before, name.escape_ascii());
            self.note(dir, said);
        }
    }

    /// Copies what is to be kept. Fails if there is more than that.
    fn copy_from(&mut self, socket: &Socket, name: &[u8]) -> io::Result<()> {
        let copies = socket.copies()?;
        let mut result = if copies.cut { Err(io::Error::from_raw_os_error(sys::EMFILE)) } else { Ok(()) };
        for descriptor in copies.descriptors {
            let identity = Identity::of(descriptor.as_fd());
            if self.keeps(&descriptor, identity) {
                continue;
            }
            if self.kept.len() + self.left.len() >= self.most {
                result = Err(io::Error::other(format!("{} allows {}", names::FD_STORE, self.most)));
            } else if descriptors::has_room_for(descriptor.as_fd()) {
                self.kept.push(Kept { name: name.to_vec(), descriptor, identity });
            } else {
                result = Err(io::Error::from_raw_os_error(sys::EMFILE));
            }
        }
        result
    }

    /// Returns whether the open file is kept already.
    fn keeps(&self, descriptor: &OwnedFd, identity: Option<Identity>) -> bool {
        let is_same = |kept: &Kept| {
            kept.identity == identity && descriptors::is_same(kept.descriptor.as_fd(), descriptor.as_fd())
        };
        self.kept.iter().any(is_same)
    }

    /// Gives up what the service does not want to be kept any more, as it says in this message.
    pub fn hear(&mut self, message: Message<'_>, dir: &OsStr, said: &mut Warnings) {
        if !self.kept.is_empty() {
            message.words().for_each(|word| {
                if let Notice::Unstore(name) = word {
                    self.remove(name, dir, said);
                }
            });
        }
    }

    #[inline(never)]
    fn remove(&mut self, name: &[u8], dir: &OsStr, said: &mut Warnings) {
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| kept.name == name);
        self.kept = kept;
        if !gone.is_empty() {
            self.give_up(gone);
            self.note(dir, said);
        }
    }

    /// Gives up everything, because nobody wants the service up any more.
    #[inline(never)]
    pub fn clear(&mut self, dir: &OsStr, said: &mut Warnings) {
        if !self.kept.is_empty() {
            let all = std::mem::take(&mut self.kept);
            self.give_up(all);
            self.note(dir, said);
        }
    }

    /// Gives up everything, because supervise exits.
    #[inline(never)]
    pub fn leave(&mut self) {
        let all = std::mem::take(&mut self.kept);
        if !all.is_empty() {
            self.give_up(all);
            // Its successor takes nothing over.
            let _ = self.write();
        }
        // One that closes others may take its time, but not that of whoever waits for the end of supervise.
        self.closer = None;
        self.close();
    }

    fn give_up(&mut self, kept: Vec<Kept>) {
        self.left.extend(kept.into_iter().map(|kept| kept.descriptor));
        self.close();
    }

    /// Lets a child close what is kept no longer, unless one does that already.
    #[inline(never)]
    fn close(&mut self) {
        if self.closer.is_some() || self.left.is_empty() {
            return;
        }
        self.again = None;
        match descriptors::close_elsewhere(&mut self.left) {
            Ok(closer) => self.closer = Some(closer),
            Err(error) => {
                log::info!("unable to close descriptors, trying again in a second: {}", cli::reason(&error));
                self.again = Some(tick().after(REST));
            }
        }
    }

    /// When [`close_late`](Store::close_late) is due.
    pub const fn deadline(&self) -> Option<Tick> {
        self.again
    }

    /// Closes what could not be closed before, if that is due.
    pub fn close_late(&mut self) {
        if self.again.is_some_and(|again| again <= tick()) {
            self.close();
        }
    }

    /// Takes in the end of a process. Returns whether it was one that closes descriptors.
    pub fn ended(&mut self, pid: process::Pid) -> bool {
        let is_closer = self.closer.take_if(|closer| *closer == pid).is_some();
        if is_closer {
            self.close();
        }
        is_closer
    }

    /// Adds what is kept to the descriptors that the service gets, behind those without a number. If there is a number in the way, the service gets only
    /// those before it.
    pub fn pass<'a>(&'a self, passed: &mut Vec<PassedFd<'a>>, dir: &OsStr, said: &mut Warnings) {
        if self.kept.is_empty() {
            said.over("pass");
        } else {
            self.pass_some(passed, dir, said);
        }
    }

    #[inline(never)]
    fn pass_some<'a>(&'a self, passed: &mut Vec<PassedFd<'a>>, dir: &OsStr, said: &mut Warnings) {
        let counted = passed.iter().filter(|fd| fd.number.is_none()).count();
        let first = FIRST.saturating_add(i32::try_from(counted).unwrap_or(i32::MAX));
        let in_the_way = passed.iter().filter_map(|fd| fd.number).filter(|&number| number >= first).min();
        let room = in_the_way.map_or(usize::MAX, |number| number.abs_diff(first) as usize);
        match in_the_way.filter(|_| room < self.kept.len()) {
            Some(number) => {
                let why =
                    format!("descriptor {number} is given to it as something else, see sockets/ and notification-fd");
                let text = text!("unable to give ", dir, " all descriptors that are kept for it");
                said.warning("pass", text, &io::Error::other(why));
            }
            None => said.over("pass"),
        }
        let stored = |kept: &'a Kept| PassedFd { fd: kept.descriptor.as_fd(), name: &kept.name, number: None };
        passed.extend(self.kept.iter().take(room).map(stored));
    }

    /// Copies from the processes of the service what the supervise with the pid `predecessor` has kept, which was killed.
    #[inline(never)]
    pub fn adopt(processes: [Option<&Adopted>; 2], predecessor: u32, dir: &OsStr, said: &mut Warnings) -> Store {
        let mut store = Store { most: knobs::fd_store(dir, said), ..Store::default() };
        let list = if store.most > 0 { read_list() } else { Ok(Vec::new()) };
        let list = list.unwrap_or_else(|error| {
            let shown = files::shown(dir, names::STORED);
            said.warning(names::STORED, text!("unable to read ", shown.0.as_slice()), &error);
            Vec::new()
        });
        let mut wanted: Vec<(usize, Entry<'_>)> = stored::decode(predecessor, &list).enumerate().collect();
        if wanted.is_empty() {
            return store;
        }
        let (mut found, mut trouble) = (Vec::new(), None);
        for process in processes.into_iter().flatten() {
            if let Err(error) = search(process, &mut wanted, &mut found) {
                trouble.get_or_insert(error);
            }
        }
        found.sort_unstable_by_key(|&(at, _)| at);
        store.kept = found.into_iter().map(|(_, kept)| kept).collect();
        if !wanted.is_empty() {
            let count = format!("{} of {}", wanted.len(), wanted.len() + store.kept.len());
            let text = text!("unable to take over ", count.as_str(), " descriptors that were kept for ", dir);
            let why = trouble.unwrap_or_else(|| io::Error::other("the service does not have them open itself"));
            said.warning("adopt stored", text, &why);
        }
        store.note(dir, said);
        store
    }

    /// Takes over what was kept before an upgrade. `is_asked` means that the service directory has the file `fd-store`.
    #[inline(never)]
    pub fn inherit(left: &[Stored], is_asked: bool, dir: &OsStr, said: &mut Warnings) -> io::Result<Store> {
        let mut store = Store { most: if is_asked { knobs::fd_store(dir, said) } else { 0 }, ..Store::default() };
        for Stored { number, name } in left {
            let descriptor = sealed::inherit(*number)?;
            if name.is_empty() {
                store.left.push(descriptor);
            } else {
                let identity = Identity::of(descriptor.as_fd());
                store.kept.push(Kept { name: name.clone(), descriptor, identity });
            }
        }
        store.close();
        Ok(store)
    }

    /// Describes everything, to be handed over in an upgrade.
    pub fn hand_over(&self) -> Vec<Stored> {
        let stored = |(descriptor, name): (BorrowedFd<'_>, &[u8])| Stored {
            number: sealed::number(descriptor),
            name: name.to_vec(),
        };
        self.all().map(stored).collect()
    }

    /// All descriptors, to be handed over in an upgrade.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all().map(|(descriptor, _)| descriptor)
    }

    fn all(&self) -> impl Iterator<Item = (BorrowedFd<'_>, &[u8])> {
        let kept = self.kept.iter().map(|kept| (kept.descriptor.as_fd(), kept.name.as_slice()));
        kept.chain(self.left.iter().map(|left| (left.as_fd(), &b""[..])))
    }

    /// Writes down what is kept, for a successor.
    #[inline(never)]
    fn note(&mut self, dir: &OsStr, said: &mut Warnings) {
        match self.write() {
            Ok(()) => {
                self.is_listed = true;
                said.over(names::STORED);
            }
            Err(error) => {
                let shown = files::shown(dir, names::STORED);
                said.warning(names::STORED, text!("unable to write ", shown.0.as_slice()), &error);
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let [new, path] = [names::STORED_NEW, names::STORED].map(files::here);
        if self.kept.is_empty() {
            return match std::fs::remove_file(&*path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let entries = self.kept.iter().filter_map(|kept| {
            let Identity { device, inode, kind, access } = kept.identity?;
            Some(Entry { device, inode, kind, access, name: &kept.name })
        });
        let file = fd::open_own_truncate(&*new)?;
        fd::write_all(file.as_fd(), &stored::encode(process::own_pid().as_raw().unsigned_abs(), entries))?;
        fd::rename(&*new, &*path)
    }
}

/// Reads the list of the predecessor; nothing if there is none.
fn read_list() -> io::Result<Vec<u8>> {
    let file = match fd::open_read(&*files::here(names::STORED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(stored::LONGEST as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Copies one descriptor at a time: the service may have more of them open than this process may.
fn search<'a>(
    process: &Adopted,
    wanted: &mut Vec<(usize, Entry<'a>)>,
    found: &mut Vec<(usize, Kept)>,
) -> io::Result<()> {
    let numbers = if wanted.is_empty() { Vec::new() } else { process.descriptors()? };
    for number in numbers {
        let descriptor = match process.copy(number) {
            Ok(copy) => copy,
            // The process has closed it meanwhile.
            Err(error) if error.raw_os_error() == Some(sys::EBADF) => continue,
            Err(error) => return Err(error),
        };
        let Some(identity) = Identity::of(descriptor.as_fd()) else {
            continue;
        };
        let is_it = |(_, entry): &(usize, Entry<'_>)| {
            let Entry { device, inode, kind, access, .. } = *entry;
            Identity { device, inode, kind, access } == identity
        };
        let is_known = |(_, kept): &(usize, Kept)| descriptors::is_same(kept.descriptor.as_fd(), descriptor.as_fd());
        if let Some(at) = wanted.iter().position(is_it).filter(|_| !found.iter().any(is_known)) {
            let (place, entry) = wanted.remove(at);
            found.push((place, Kept { name: entry.name.to_vec(), descriptor, identity: Some(identity) }));
        }
        if wanted.is_empty() {
            break;
        }
    }
    Ok(())
}
