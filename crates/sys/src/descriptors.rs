//! Descriptors that came from other processes: which open file each is, and how to close it without waiting.
//!
//! Whoever has sent a descriptor decides what it costs to use it: to ask a file of FUSE for its size, or to close it, may take as long as the program that
//! serves it likes. So nothing here asks a file system anything, and the last to close such a descriptor is never this process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::limits::{self, Resource};
use crate::process::{self, Pid};

/// How many descriptors stay free for the work of this process, however many it keeps for others.
const SPARE: u64 = 64;

/// Which file is open, and how. Two descriptors with the same one need not be of the same open file: a file may be open twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device of the file.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
    /// Its kind: the bits of `S_IFMT`.
    pub kind: u32,
    /// What it may be used for: the bits of `O_ACCMODE`.
    pub access: u32,
}

impl Identity {
    /// Finds out which file it is, without asking its file system. `None` if it cannot be told from others: many files that are no files, such as timers,
    /// have one inode together.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Identity> {
        // SAFETY: the call takes numbers.
        let flags = Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }).ok()?;
        let access = flags.cast_unsigned() & libc::O_ACCMODE.cast_unsigned();
        imp::identity(fd, access).filter(|identity| identity.kind != 0)
    }
}

/// Returns whether both are the same open file, so that one of them is enough.
pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    imp::is_same(one, other).unwrap_or_else(|| {
        let identity = Identity::of(one);
        identity.is_some() && identity == Identity::of(other)
    })
}

/// Returns whether this process has room to keep the descriptor beside its own. A child that gets such descriptors under other numbers may need each twice.
pub fn has_room_for(fd: BorrowedFd<'_>) -> bool {
    let number = u64::from(fd.as_raw_fd().unsigned_abs());
    limits::get(Resource::RLIMIT_NOFILE).is_ok_and(|limit| number.saturating_mul(2).saturating_add(SPARE) < limit.soft)
}

/// Closes standard input (0), output (1) or error (2), for the program that this process becomes.
///
/// # Errors
/// EBADF if it is not open, or `number` is none of the three.
pub fn close_standard(number: u8) -> io::Result<()> {
    if number > 2 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: no value owns a standard descriptor, or it is one that was left open for the next program.
    Errno::result(unsafe { libc::close(number.into()) })?;
    Ok(())
}

/// Closes the descriptors, however long that takes: a child that has them too closes them last, by exiting. The child must be reaped. It has
/// nothing else open.
///
/// # Errors
/// If there can be no further process, or there is no descriptor left for a pipe. Then nothing is closed.
pub fn close_elsewhere(descriptors: &mut Vec<OwnedFd>) -> io::Result<Pid> {
    let (reader, writer) = crate::fd::pipe()?;
    descriptors.sort_unstable_by_key(AsRawFd::as_raw_fd);
    let (numbers, wait) = (Numbers(descriptors), reader.as_fd());
    let child = process::fork(|| {
        // The number of a standard descriptor, so none of those that are to be closed last.
        let placed = crate::fd::place(wait, 0).is_ok();
        numbers.close_others();
        // It reads until the parent has closed them, or has died.
        while placed && matches!(crate::fd::read(crate::fd::stdin(), &mut [0]), Ok(1..)) {}
    })?;
    descriptors.clear();
    drop(writer);
    Ok(child)
}

/// Descriptors in the order of their numbers.
struct Numbers<'a>(&'a [OwnedFd]);

impl Numbers<'_> {
    /// Closes everything but these and 0. Runs in a child, and allocates no memory.
    fn close_others(&self) {
        let mut lowest = 1;
        for fd in self.0 {
            close_from(lowest, fd.as_raw_fd() - 1);
            lowest = fd.as_raw_fd() + 1;
        }
        close_from(lowest, RawFd::MAX);
    }
}

/// Closes the descriptors with these numbers, and those between them.
fn close_from(first: RawFd, last: RawFd) {
    if first > last || imp::close_range(first, last) {
        return;
    }
    let limit = limits::get(Resource::RLIMIT_NOFILE).map_or(1024, |limit| limit.soft.min(65_536) as RawFd);
    for number in first..=last.min(limit) {
        // SAFETY: the process is a child that uses none of them.
        unsafe { libc::close(number) };
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{AsRawFd, BorrowedFd, Identity, RawFd};

    /// The first fields of `struct statx` of linux/stat.h, and room for the others.
    #[repr(C)]
    struct Statx {
        mask: u32,
        block_size: u32,
        attributes: u64,
        links: u32,
        user: u32,
        group: u32,
        mode: u16,
        spare: u16,
        inode: u64,
        size: u64,
        blocks: u64,
        attributes_mask: u64,
        times: [u64; 8],
        special_device: [u32; 2],
        device: [u32; 2],
        more: [u64; 14],
    }

    /// STATX_TYPE and STATX_INO.
    const WANTED: u32 = 0x1 | 0x100;
    /// AT_STATX_DONT_SYNC: take what the kernel knows, and ask no server.
    const DONT_SYNC: libc::c_int = 0x4000;

    pub(super) fn identity(fd: BorrowedFd<'_>, access: u32) -> Option<Identity> {
        const _: () = assert!(size_of::<Statx>() == 256, "as long as the kernel's");
        // SAFETY: plain numbers; all zero is a value of theirs.
        let mut found: Statx = unsafe { std::mem::zeroed() };
        // SAFETY: the path is a C string, and `found` is as long as what the kernel writes.
        let done = unsafe {
            let flags = libc::AT_EMPTY_PATH | DONT_SYNC;
            libc::syscall(libc::SYS_statx, fd.as_raw_fd(), c"".as_ptr(), flags, WANTED, &raw mut found)
        };
        let [major, minor] = found.device.map(u64::from);
        let kind = u32::from(found.mode) & libc::S_IFMT;
        let told = done == 0 && found.mask & WANTED == WANTED;
        told.then_some(Identity { device: major << 32 | minor, inode: found.inode, kind, access })
    }

    /// `None` if the kernel does not say.
    pub(super) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Option<bool> {
        /// KCMP_FILE
        const FILE: libc::c_int = 0;
        let own = crate::process::own_pid().as_raw();
        // SAFETY: the call takes numbers.
        let order = unsafe { libc::syscall(libc::SYS_kcmp, own, own, FILE, one.as_raw_fd(), other.as_raw_fd()) };
        (order >= 0).then_some(order == 0)
    }

    /// Returns false if the kernel (before 5.9) or a sandbox does not know the call.
    pub(super) fn close_range(first: RawFd, last: RawFd) -> bool {
        // SAFETY: the process is a child that uses none of them.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{BorrowedFd, Identity, RawFd};

    /// `None`: here no descriptors come from other processes.
    pub(super) fn identity(_: BorrowedFd<'_>, _: u32) -> Option<Identity> {
        None
    }

    /// `None`: the system does not say.
    pub(super) fn is_same(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Option<bool> {
        None
    }

    /// False: the system does not know the call.
    pub(super) fn close_range(_: RawFd, _: RawFd) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fd;

    fn copy(fd: &impl AsFd) -> OwnedFd {
        fd.as_fd().try_clone_to_owned().expect("a descriptor")
    }

    #[test]
    fn each_open_file_is_known_from_others() {
        let (reader, writer) = fd::pipe().expect("a pipe");
        let [one, other] = [1, 2].map(|_| tempfile::tempfile().expect("a file"));
        let again = File::open(format!("/proc/self/fd/{}", one.as_raw_fd())).expect("it is there");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let all: [BorrowedFd<'_>; 6] =
            [reader.as_fd(), writer.as_fd(), one.as_fd(), other.as_fd(), again.as_fd(), listener.as_fd()];
        for (at, first) in all.iter().enumerate() {
            for (other, second) in all.iter().enumerate() {
                assert_eq!(is_same(*first, *second), at == other, "{at} {other}");
            }
            assert!(is_same(*first, copy(first).as_fd()));
            assert_eq!(Identity::of(*first), Identity::of(copy(first).as_fd()));
        }
        let identities = [&reader, &writer].map(|fd| Identity::of(fd.as_fd()).expect("it has one"));
        assert_eq!(identities[0].inode, identities[1].inode);
        assert_ne!(identities[0].access, identities[1].access);
        assert_ne!(Identity::of(one.as_fd()), Identity::of(other.as_fd()));
    }

    #[test]
    fn what_has_an_inode_with_others_has_no_identity() {
        let watcher = crate::watch::Watcher::new().expect("it can be had");
        assert_eq!(Identity::of(watcher.fd()), None);
    }

    #[test]
    fn all_are_closed_and_nothing_else() {
        let (reader, writer) = fd::pipe().expect("a pipe");
        fd::set_nonblocking(reader.as_fd()).expect("a pipe");
        let mut many: Vec<OwnedFd> = (0..100).map(|_| copy(&writer)).collect();
        many.rotate_left(50);
        let child = close_elsewhere(&mut many).expect("a child");
        assert!(many.is_empty());
        assert_eq!(fd::write(writer.as_fd(), b"x").expect("it is open"), 1);
        process::wait(child).expect("a child");
        drop(writer);
        assert_eq!(fd::read(reader.as_fd(), &mut [0; 9]).expect("it is open"), 1);
        // A child of another test may have a copy for a moment, until it executes.
        while fd::read(reader.as_fd(), &mut [0]).is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn nobody_waits_for_a_descriptor_whose_close_takes_long() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("it has one")).expect("a connection");
        let (peer, _) = listener.accept().expect("a connection");
        // Nobody reads what is sent, so the connection cannot be closed in order.
        stream.set_nonblocking(true).expect("a socket");
        while stream.write(&[b'x'; 65_536]).is_ok() {}
        let linger = libc::linger { l_onoff: 1, l_linger: 30 };
        // SAFETY: the option's value is a linger, and lives until the call returns.
        let set = unsafe {
            let (level, size) = (libc::SOL_SOCKET, size_of::<libc::linger>() as libc::socklen_t);
            libc::setsockopt(stream.as_raw_fd(), level, libc::SO_LINGER, (&raw const linger).cast(), size)
        };
        assert_eq!(set, 0);
        let begun = Instant::now();
        let child = close_elsewhere(&mut vec![stream.into()]).expect("a child");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        drop(peer);
        process::wait(child).expect("a child");
    }
}
