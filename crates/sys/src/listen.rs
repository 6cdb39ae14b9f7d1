//! Listening sockets for other programs, which accept the connections.
//!
//! They are opened close-on-exec and blocking, as systemd passes them on. The file of a Unix socket has its permissions as soon as it
//! exists, and its owner before anybody can connect. A file that a dead process has left is replaced, but never that of a living one.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use libc::{c_int, sa_family_t, sockaddr_in, sockaddr_in6, sockaddr_un, socklen_t};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::fd;

/// How many connections may wait by default. The kernel's own limit is usually lower.
const BACKLOG: u32 = 4096;

/// The greatest length of the path of a Unix socket, in bytes; one more is for the NUL.
pub(crate) const LONGEST_PATH: usize = size_of::<sockaddr_un>() - std::mem::offset_of!(sockaddr_un, sun_path) - 1;

/// The type of an Internet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream socket (TCP).
    Stream,
    /// A datagram socket (UDP).
    Datagram,
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One address. `[::]` means IPv6 only, whatever the system's default is.
    Ip(Kind, SocketAddr),
    /// This port on all addresses, IPv6 and IPv4; only IPv4 if there is no IPv6.
    AnyIp(Kind, u16),
    /// A Unix stream socket.
    Unix(UnixFile),
}

/// The file of a Unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Its permissions; `None` for those of the umask.
    pub mode: Option<u32>,
    /// The id of its owner; `None` for the user of the process.
    pub owner: Option<u32>,
    /// The id of its group; `None` for the group of the process.
    pub group: Option<u32>,
}

/// The options of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// How many connections may wait; `None` for as many as the system allows.
    pub backlog: Option<u32>,
    /// Whether other sockets may use the same address.
    pub reuse_port: bool,
}

/// Opens a socket and listens. A datagram socket is only bound.
///
/// # Errors
/// EADDRINUSE if another socket has the address; ENOTSOCK if a file of another kind has the name of a Unix socket. On failure
/// nothing is left behind.
pub fn open(place: &Place, manner: Manner) -> io::Result<OwnedFd> {
    match place {
        Place::Ip(kind, address) => inet(*kind, *address, true, manner),
        Place::AnyIp(kind, port) => {
            let both = inet(*kind, (Ipv6Addr::UNSPECIFIED, *port).into(), false, manner);
            match both {
                Err(error) if is_without_ipv6(&error) => {
                    inet(*kind, (Ipv4Addr::UNSPECIFIED, *port).into(), true, manner)
                }
                opened => opened,
            }
        }
        Place::Unix(file) => unix(file, manner),
    }
}

/// Listens again on a stream socket if another process that has it has shut it down; returns whether that was so. A shutdown, unlike a
/// close, is for all processes that have the socket. For a Unix socket a shutdown cannot be detected, and it cannot listen again.
///
/// # Errors
/// Those of the system: EADDRINUSE if another socket has taken the address.
pub fn again(socket: &OwnedFd, manner: Manner) -> io::Result<bool> {
    let shut = get_option(socket, libc::SO_TYPE)? == libc::SOCK_STREAM && get_option(socket, libc::SO_ACCEPTCONN)? == 0;
    if shut {
        listen(socket, manner)?;
    }
    Ok(shut)
}

/// Returns whether `socket` is one that [`open`] would make for this place.
pub fn is_at(socket: &OwnedFd, place: &Place) -> bool {
    let number = |option| get_option(socket, option).ok();
    let is_kind = |kind| match kind {
        Kind::Stream => number(libc::SO_TYPE) == Some(libc::SOCK_STREAM) && number(libc::SO_ACCEPTCONN) == Some(1),
        Kind::Datagram => number(libc::SO_TYPE) == Some(libc::SOCK_DGRAM),
    };
    // std reads the address of any kind of socket, whatever the type here; anything but a socket has none.
    let Ok(copy) = socket.try_clone() else {
        return false;
    };
    match place {
        Place::Ip(kind, address) => {
            is_kind(*kind) && TcpListener::from(copy).local_addr().is_ok_and(|at| at == *address)
        }
        Place::AnyIp(kind, port) => {
            let is_any = |at: SocketAddr| at.ip().is_unspecified() && at.port() == *port;
            is_kind(*kind) && TcpListener::from(copy).local_addr().is_ok_and(is_any)
        }
        Place::Unix(file) => {
            let is_there = |at: std::os::unix::net::SocketAddr| at.as_pathname() == Some(&file.path);
            is_kind(Kind::Stream) && UnixListener::from(copy).local_addr().is_ok_and(is_there)
        }
    }
}

fn get_option(socket: &OwnedFd, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as socklen_t;
    let value_at = (&raw mut value).cast();
    // SAFETY: there is room for a c_int, which these options are, and both live until the call returns.
    let got = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value_at, &raw mut size) };
    Errno::result(got)?;
    Ok(value)
}

/// Returns whether the error means that the kernel has no IPv6, or has it turned off.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

fn inet(kind: Kind, address: SocketAddr, only_ipv6: bool, manner: Manner) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    let socket = new_socket(family, kind)?;
    // With this option, connections that a dead process has left in TIME_WAIT do not keep its successor out. Datagram sockets have
    // no TIME_WAIT; there the option would let two sockets have the same port.
    if kind == Kind::Stream {
        turn_on(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, true)?;
    }
    if manner.reuse_port {
        reuse_port(&socket)?;
    }
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: plain numbers; all zero is a value of theirs.
            let mut raw: sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            bind(&socket, &raw, size_of::<sockaddr_in>())?;
        }
        SocketAddr::V6(v6) => {
            turn_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only_ipv6)?;
            // SAFETY: as above.
            let mut raw: sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            bind(&socket, &raw, size_of::<sockaddr_in6>())?;
        }
    }
    match kind {
        Kind::Stream => listen(&socket, manner)?,
        Kind::Datagram => {}
    }
    Ok(socket)
}

/// Opens a Unix socket. This never waits, since the loop of supervise calls it.
fn unix(file: &UnixFile, manner: Manner) -> io::Result<OwnedFd> {
    let address = unix_address(&file.path)?;
    remove_stale(&file.path, &address)?;
    let socket = new_socket(libc::AF_UNIX, Kind::Stream)?;
    bind_with_mode(&socket, &address, file.mode)?;
    // Nobody can connect before the socket listens, so nobody connects before it has its owner.
    let listens = give(file).and_then(|()| listen(&socket, manner));
    if listens.is_err() {
        let _ = fs::remove_file(&file.path);
    }
    listens.map(|()| socket)
}

/// Removes the file of a socket that no process has any more. Only one program of this suite does so at a time: the second of two that find
/// one stale file must not remove the new socket of the first.
///
/// # Errors
/// EADDRINUSE if a process has the socket, or another program of this suite is just taking the place of one that nobody has.
fn remove_stale(path: &Path, address: &sockaddr_un) -> io::Result<()> {
    if !is_stale(path, address)? {
        return Ok(());
    }
    let _lock = RemovalLock::take(path)?;
    // Whoever had the lock before may have made room, and have a new socket there by now.
    if is_stale(path, address)? { fs::remove_file(path) } else { Ok(()) }
}

/// A lock on the removal of one stale file: a file of its own beside that. A lock on the directory would not do, since others have one for as long as they live, as svscan
/// has on its scan directory. Nor may the directory be opened: to close it again would take the mark ([`crate::presence`]) away that supervise has on its own.
struct RemovalLock {
    path: PathBuf,
    _file: fs::File,
}

impl RemovalLock {
    /// Takes the lock. `None` if there can be none, in a directory that may not be written to, for example, or in a file system without locks.
    ///
    /// # Errors
    /// EADDRINUSE if another process has it, or had it until now: the address is about to be that process's.
    fn take(path: &Path) -> io::Result<Option<RemovalLock>> {
        let name = [b".", path.file_name().unwrap_or_default().as_bytes(), b".lock"].concat();
        let path = path.with_file_name(OsStr::from_bytes(&name));
        let Ok(file) = fd::open_own_append(&*path) else {
            return Ok(None);
        };
        match fd::try_lock(&file) {
            Ok(()) if file.metadata()?.nlink() > 0 => Ok(Some(RemovalLock { path, _file: file })),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(None),
            Ok(()) | Err(_) => Err(Errno::EADDRINUSE.into()),
        }
    }
}

impl Drop for RemovalLock {
    /// Removes the file while it is still locked. Whoever has opened it meanwhile sees that it has no name any more.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns whether there is the file of a socket that no process has.
fn is_stale(path: &Path, address: &sockaddr_un) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => return Err(Errno::ENOTSOCK.into()),
        Ok(_) => {}
    }
    match knock(address) {
        Some(Errno::ECONNREFUSED) => Ok(true),
        Some(Errno::ENOENT) => Ok(false),
        Some(errno @ (Errno::EACCES | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)) => Err(errno.into()),
        // It is a stream socket (EPROTOTYPE), or one for datagrams, which may be another's (EPERM).
        None | Some(_) => Err(Errno::EADDRINUSE.into()),
    }
}

/// Tries to connect with a socket for datagrams, and returns why that failed. To a stream socket that somebody has, listening or not yet, this is an attempt of the wrong type, and
/// nothing comes of it: it takes no place in the queue of a server that lives.
fn knock(address: &sockaddr_un) -> Option<Errno> {
    let connect = || {
        let socket = new_socket(libc::AF_UNIX, Kind::Datagram)?;
        fd::set_nonblocking(socket.as_fd())?;
        let size = size_of::<sockaddr_un>() as socklen_t;
        // SAFETY: the address is one of a Unix socket, and as long as it is said to be.
        Errno::result(unsafe { libc::connect(socket.as_raw_fd(), std::ptr::from_ref(address).cast(), size) })?;
        io::Result::Ok(())
    };
    let failed = connect().err()?;
    Some(Errno::from_raw(failed.raw_os_error().unwrap_or(libc::EADDRINUSE)))
}

/// Binds a Unix socket so that its file has the mode from the beginning: the kernel gives it all permissions but those
/// of the umask.
fn bind_with_mode(socket: &OwnedFd, address: &sockaddr_un, mode: Option<u32>) -> io::Result<()> {
    let before = mode.map(|mode| fd::set_umask(0o777 & !mode));
    let bound = bind(socket, address, size_of::<sockaddr_un>());
    if let Some(before) = before {
        fd::set_umask(before);
    }
    bound
}

/// Changes the owner of the file. A user who may write to the directory could have replaced the file; so it must be a socket with
/// only this name.
fn give(file: &UnixFile) -> io::Result<()> {
    if file.owner.is_none() && file.group.is_none() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
        use nix::sys::stat::{Mode, SFlag, fstat};
        use nix::unistd::{Gid, Uid, fchownat};
        // std's options cannot do this: with musl they drop O_PATH, as they take it for a part of the access mode.
        let made = openat(AT_FDCWD, &file.path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
        let found = fstat(&made)?;
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK || found.st_nlink != 1 {
            return Err(Errno::ENOTSOCK.into());
        }
        let (owner, group) = (file.owner.map(Uid::from_raw), file.group.map(Gid::from_raw));
        fchownat(&made, c"", owner, group, AtFlags::AT_EMPTY_PATH)?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    std::os::unix::fs::lchown(&file.path, file.owner, file.group)
}

/// Makes the address of the Unix socket with the file `path`.
pub(crate) fn unix_address(path: &Path) -> io::Result<sockaddr_un> {
    // SAFETY: plain numbers; all zero is a value of theirs.
    let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
    raw.sun_family = libc::AF_UNIX as sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Errno::EINVAL.into());
    }
    if bytes.len() > LONGEST_PATH {
        return Err(Errno::ENAMETOOLONG.into());
    }
    for (place, &byte) in raw.sun_path.iter_mut().zip(bytes) {
        *place = byte as libc::c_char;
    }
    Ok(raw)
}

/// Makes a socket. It becomes close-on-exec by a second call, since not every system has the flag.
fn new_socket(family: c_int, kind: Kind) -> io::Result<OwnedFd> {
    let kind = match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    };
    // SAFETY: socket takes numbers.
    let number = Errno::result(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel has just given it to us.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(socket)
}

fn turn_on(socket: &OwnedFd, level: c_int, option: c_int, on: bool) -> io::Result<()> {
    let value = c_int::from(on);
    let size = size_of::<c_int>() as socklen_t;
    // SAFETY: the option's value is a c_int, and lives until the call returns.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    Errno::result(set)?;
    Ok(())
}

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
fn reuse_port(socket: &OwnedFd) -> io::Result<()> {
    turn_on(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, true)
}

/// Fails: the libc crate does not have the option for this system.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
fn reuse_port(_: &OwnedFd) -> io::Result<()> {
    Err(Errno::ENOTSUP.into())
}

/// Binds the socket. `address` is of the socket's family and has `size` bytes.
fn bind<A>(socket: &OwnedFd, address: &A, size: usize) -> io::Result<()> {
    debug_assert_eq!(size, size_of::<A>(), "the size is the address's");
    // SAFETY: the address lives until the call returns, and is as long as it is said to be.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(address).cast(), size as socklen_t) };
    Errno::result(bound)?;
    Ok(())
}

fn listen(socket: &OwnedFd, manner: Manner) -> io::Result<()> {
    let backlog = c_int::try_from(manner.backlog.unwrap_or(BACKLOG)).unwrap_or(c_int::MAX);
    // SAFETY: listen takes two numbers.
    Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ip(address: &str) -> Place {
        Place::Ip(Kind::Stream, address.parse().expect("an address"))
    }

    fn at(path: &Path) -> UnixFile {
        UnixFile { path: path.into(), ..UnixFile::default() }
    }

    fn code(opened: io::Result<OwnedFd>) -> Option<i32> {
        opened.err().and_then(|error| error.raw_os_error())
    }

    fn errno(place: &Place) -> Option<i32> {
        code(open(place, Manner::default()))
    }

    fn port(socket: &OwnedFd) -> u16 {
        let listener = TcpListener::from(socket.try_clone().expect("a copy"));
        listener.local_addr().expect("an address").port()
    }

    #[test]
    fn tcp_takes_connections_and_is_close_on_exec() {
        let socket = open(&ip("127.0.0.1:0"), Manner::default()).expect("a socket");
        let flags = fcntl(&socket, FcntlArg::F_GETFD).expect("flags");
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        TcpStream::connect(("127.0.0.1", port(&socket))).expect("a connection");
        assert_eq!(errno(&ip(&format!("127.0.0.1:{}", port(&socket)))), Some(libc::EADDRINUSE));
    }

    #[test]
    fn any_address_is_that_of_both_families() {
        let socket = open(&Place::AnyIp(Kind::Stream, 0), Manner::default()).expect("a socket");
        TcpStream::connect(("127.0.0.1", port(&socket))).expect("a connection by IPv4");
        if UdpSocket::bind("[::1]:0").is_ok() {
            TcpStream::connect(("::1", port(&socket))).expect("a connection by IPv6");
        }
    }

    #[test]
    fn two_may_share_a_port_where_both_say_so() {
        let sharing = Manner { reuse_port: true, ..Manner::default() };
        let first = open(&ip("127.0.0.1:0"), sharing).expect("a socket");
        let place = ip(&format!("127.0.0.1:{}", port(&first)));
        open(&place, sharing).expect("a second one");
        assert_eq!(errno(&place), Some(libc::EADDRINUSE));
    }

    #[test]
    fn datagrams_come_through() {
        let place = Place::Ip(Kind::Datagram, "127.0.0.1:0".parse().expect("an address"));
        let socket = UdpSocket::from(open(&place, Manner::default()).expect("a socket"));
        let address = socket.local_addr().expect("an address");
        let taken = Place::Ip(Kind::Datagram, address);
        assert_eq!(errno(&taken), Some(libc::EADDRINUSE));
        UdpSocket::bind("127.0.0.1:0").expect("a socket").send_to(b"x", address).expect("sent");
        assert_eq!(socket.recv(&mut [0; 8]).expect("a datagram"), 1);
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let own = fs::metadata(directory.path()).expect("it exists");
        // Other tests make directories meanwhile, which their owner must be able to enter.
        let file = UnixFile { mode: Some(0o740), owner: Some(own.uid()), group: Some(own.gid()), ..at(&path) };
        let _socket = open(&Place::Unix(file), Manner { backlog: Some(1), ..Manner::default() }).expect("a socket");
        let made = fs::metadata(&path).expect("it exists");
        assert_eq!((made.permissions().mode() & 0o7777, made.uid(), made.gid()), (0o740, own.uid(), own.gid()));
        UnixStream::connect(&path).expect("a connection");
        // The umask is as it was.
        fs::write(directory.path().join("f"), "").expect("a file");
        assert_ne!(fs::metadata(directory.path().join("f")).expect("it exists").mode() & 0o200, 0);
    }

    #[test]
    fn a_look_at_a_socket_that_lives_takes_no_place_in_its_queue() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = Place::Unix(at(&directory.path().join("s")));
        let busy = UnixListener::from(open(&file, Manner { backlog: Some(1), ..Manner::default() }).expect("a socket"));
        for _ in 0..4 {
            assert_eq!(errno(&file), Some(libc::EADDRINUSE));
        }
        busy.set_nonblocking(true).expect("it is a socket");
        assert_eq!(busy.accept().expect_err("nobody connects").kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn one_that_does_not_listen_yet_lives() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let address = unix_address(&path).expect("short enough");
        let made = new_socket(libc::AF_UNIX, Kind::Stream).expect("a socket");
        bind(&made, &address, size_of::<sockaddr_un>()).expect("the address is free");
        assert_eq!(errno(&Place::Unix(at(&path))), Some(libc::EADDRINUSE));
        drop(made);
        open(&Place::Unix(at(&path)), Manner::default()).expect("nobody has it");
    }

    #[test]
    fn who_removes_a_stale_one_excludes_others_and_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let place = Place::Unix(at(&path));
        drop(UnixListener::bind(&path).expect("a socket"));
        // The file of one that was killed is there; nobody has it locked.
        let lock = directory.path().join(".s.lock");
        let left = fd::open_own_append(&*lock).expect("a file");
        fd::lock(&left).expect("it is free");
        assert_eq!(errno(&place), Some(libc::EADDRINUSE));
        // Not by closing it: a child of another test may have a copy.
        left.unlock().expect("it is ours");
        let held = RemovalLock::take(&path).expect("nobody has it").expect("there are locks");
        let late = fd::open_own_append(&*lock).expect("a file");
        assert!(RemovalLock::take(&path).is_err());
        drop(held);
        assert_eq!(late.metadata().expect("it is open").nlink(), 0, "who has opened it meanwhile sees that");
        // Others may have the directory locked for as long as they like.
        let above = fs::File::open(directory.path()).expect("it is there");
        fd::lock(&above).expect("it is free");
        let _socket = open(&place, Manner::default()).expect("nobody has it");
        let names: Vec<_> = fs::read_dir(directory.path()).expect("it is there").flatten().collect();
        assert_eq!(names.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>(), ["s"]);
    }

    #[test]
    fn of_many_that_find_a_stale_socket_one_gets_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        for _ in 0..20 {
            drop(UnixListener::bind(&path).expect("a socket"));
            let start = std::sync::Barrier::new(4);
            let opened: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            open(&Place::Unix(at(&path)), Manner::default())
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
            });
            assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
            UnixStream::connect(&path).expect("it listens");
            drop(opened);
            fs::remove_file(&path).expect("it is there");
        }
    }

    #[test]
    fn another_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        fs::write(&path, "x").expect("a file");
        assert_eq!(errno(&Place::Unix(at(&path))), Some(libc::ENOTSOCK));
        assert_eq!(fs::read(&path).expect("it is there"), b"x");
        assert_eq!(errno(&Place::Unix(at(&directory.path().join("no/s")))), Some(libc::ENOENT));
        let long = directory.path().join("n".repeat(108));
        assert_eq!(errno(&Place::Unix(at(&long))), Some(libc::ENAMETOOLONG));
    }

    #[test]
    fn a_socket_that_was_shut_down_listens_again() {
        // A port that the kernel chose would be lost.
        let free = port(&open(&ip("127.0.0.1:0"), Manner::default()).expect("a socket"));
        let socket = open(&ip(&format!("127.0.0.1:{free}")), Manner::default()).expect("a socket");
        assert!(!again(&socket, Manner::default()).expect("it listens"));
        let address = SocketAddr::from(([127, 0, 0, 1], free));
        let copy = TcpStream::from(socket.try_clone().expect("a copy"));
        copy.shutdown(std::net::Shutdown::Both).expect("anybody may");
        TcpStream::connect(address).expect_err("nobody listens");
        assert!(again(&socket, Manner::default()).expect("nobody else has the address"));
        TcpStream::connect(address).expect("it listens");
        let datagrams = open(&Place::Ip(Kind::Datagram, address), Manner::default()).expect("a socket");
        assert!(!again(&datagrams, Manner::default()).expect("nothing is done"));
    }

    #[test]
    fn a_socket_is_known_by_where_it_listens() {
        let directory = tempfile::tempdir().expect("a directory");
        let free = |kind| match kind {
            Kind::Stream => TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one"),
            Kind::Datagram => UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one"),
        };
        let (stream, datagram) = (free(Kind::Stream), free(Kind::Datagram));
        let places = [
            Place::Ip(Kind::Stream, stream),
            Place::Ip(Kind::Datagram, datagram),
            Place::AnyIp(Kind::Stream, free(Kind::Stream).port()),
            Place::Unix(at(&directory.path().join("s"))),
            Place::Unix(at(&directory.path().join("t"))),
        ];
        let sockets: Vec<OwnedFd> =
            places.iter().map(|place| open(place, Manner::default()).expect("it is free")).collect();
        for (mine, socket) in sockets.iter().enumerate() {
            for (its, place) in places.iter().enumerate() {
                assert_eq!(is_at(socket, place), mine == its, "{mine} {its}");
            }
        }
        let no_socket = OwnedFd::from(tempfile::tempfile().expect("a file"));
        assert!(places.iter().all(|place| !is_at(&no_socket, place)));
    }
}
