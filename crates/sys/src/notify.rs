//! The notify socket, to which services send their sd_notify messages.
//!
//! It is either a file, to which only processes can write that know its name and can reach it, or it is in the abstract namespace, where
//! everybody on the machine can write to it. The kernel tells which process has written, and the caller decides whether the message counts.
//! Both exist only on Linux.
//!
//! A datagram may carry descriptors, and closing one may take as long as its sender likes: a TCP socket with SO_LINGER waits for its peer,
//! and a file of FUSE for a program of any user. So this process never receives them. It looks at the datagram without them first; then a
//! child receives the datagram, and closes the descriptors by exiting. In between, this process may make copies of them, to keep them: as long as the
//! datagram is there, it is not the last to close one.

use std::os::fd::OwnedFd;

use crate::process::Pid;

/// The variable that names the socket.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The variable that holds the watchdog interval, in microseconds.
pub const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The variable that holds the pid of the process for which the interval is meant; without it, it is meant for any
/// process.
pub const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// The greatest length of the path of a socket, in bytes.
pub const LONGEST_PATH: usize = crate::listen::LONGEST_PATH;
/// The greatest length of a datagram that is read whole, in bytes: the same as for systemd.
pub const LONGEST: usize = 4096;

/// One datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its contents.
    pub bytes: &'a [u8],
    /// Whether it was longer, so that its end is lost.
    pub cut: bool,
    /// The pid of the sender, from the kernel; 0 if this process cannot see the sender.
    pub sender: Pid,
    /// The user id of the sender.
    pub user: u32,
    /// It carries descriptors.
    pub carries: bool,
}

/// Copies of the descriptors in a datagram.
#[derive(Debug, Default)]
pub struct Copies {
    /// The copies, which are close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// There are more, for which this process has no room.
    pub cut: bool,
}

#[cfg(target_os = "linux")]
pub use crate::message::send;
#[cfg(target_os = "linux")]
pub use linux::Socket;
#[cfg(not(target_os = "linux"))]
pub use other::Socket;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_int;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::path::Path;

    use libc::{sa_family_t, sockaddr_un, socklen_t};
    use nix::errno::Errno;

    use super::{Copies, Datagram, LONGEST};
    use crate::limits::{self, Resource};
    use crate::message::{self, look};
    use crate::process::{self, Pid};

    /// The socket to which services write.
    pub struct Socket(OwnedFd);

    /// Room for the sender and as many descriptors as the kernel lets one datagram carry (253), aligned as headers are.
    const ROOM: usize = 256;
    /// The limit of open files for the child that receives descriptors, so that there is room for them beside those of
    /// this process.
    const ENOUGH: u64 = 1024;

    impl Socket {
        /// Makes a socket with a name in the abstract namespace that the kernel chooses. It is close-on-exec and
        /// non-blocking.
        pub fn open() -> io::Result<Socket> {
            let socket = Socket::unbound()?;
            // SAFETY: plain numbers; all zero is a value of theirs.
            let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
            raw.sun_family = libc::AF_UNIX as sa_family_t;
            bind(&socket, &raw, HEAD)?;
            Ok(Socket(socket))
        }

        /// Makes a socket with the name in the abstract namespace that a dead process had. In `name`, `@` stands for the NUL at the
        /// front.
        ///
        /// # Errors
        /// EADDRINUSE if another process has taken the name meanwhile.
        pub fn open_again(name: &[u8]) -> io::Result<Socket> {
            let socket = Socket::unbound()?;
            bind_to_name(&socket, name)?;
            Ok(Socket(socket))
        }

        /// Makes a socket with the file `path`, to which only its owner may write until it gets another mode.
        ///
        /// # Errors
        /// EADDRINUSE if there is a file of that name; ENAMETOOLONG.
        pub fn open_file(path: &Path) -> io::Result<Socket> {
            let socket = Socket::unbound()?;
            let raw = crate::listen::unix_address(path)?;
            let before = crate::fd::set_umask(0o077);
            let bound = bind(&socket, &raw, size_of::<sockaddr_un>());
            crate::fd::set_umask(before);
            bound.map(|()| Socket(socket))
        }

        /// Takes over the socket that was open in this process before an upgrade.
        ///
        /// # Errors
        /// ENOSYS on a system without such sockets.
        pub fn inherit(socket: OwnedFd) -> io::Result<Socket> {
            Ok(Socket(socket))
        }

        fn unbound() -> io::Result<OwnedFd> {
            let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            // SAFETY: socket takes numbers.
            let number = Errno::result(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
            // SAFETY: the kernel has just given it to us.
            let socket = unsafe { OwnedFd::from_raw_fd(number) };
            let (on, size) = (1 as c_int, size_of::<c_int>() as socklen_t);
            // SAFETY: the option's value is a c_int, and lives until the call returns.
            let set =
                unsafe { libc::setsockopt(number, libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), size) };
            Errno::result(set)?;
            Ok(socket)
        }

        /// What to poll.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        /// The name of the socket in the abstract namespace, with `@` in place of the NUL at the front, as in
        /// [`NOTIFY_SOCKET`](super::NOTIFY_SOCKET). `None` if it is a file.
        pub fn abstract_name(&self) -> Option<Vec<u8>> {
            // SAFETY: plain numbers; all zero is a value of theirs.
            let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
            let mut size = size_of::<sockaddr_un>() as socklen_t;
            // SAFETY: there is as much room as is said.
            let asked = unsafe { libc::getsockname(self.0.as_raw_fd(), (&raw mut raw).cast(), &raw mut size) };
            let length = (size as usize).saturating_sub(HEAD);
            // Characters are signed on some processors.
            let mut name: Vec<u8> = raw.sun_path.iter().take(length).map(|&byte| byte as _).collect();
            let first = name.first_mut().filter(|first| asked == 0 && **first == 0)?;
            *first = b'@';
            Some(name)
        }

        /// Looks at the next datagram, which stays in the queue; `None` if there is none. It is taken out by [`take`](Socket::take).
        ///
        /// # Errors
        /// Those of the system.
        pub fn peek<'a>(&self, buffer: &'a mut [u8; LONGEST]) -> io::Result<Option<Datagram<'a>>> {
            // There is room only for the sender, not for descriptors.
            let mut control = [MaybeUninit::<u64>::uninit(); 4];
            let Some((count, message)) = look(self.fd(), buffer, &mut control, libc::MSG_PEEK)? else {
                return Ok(None);
            };
            // SAFETY: `control` is there.
            let (sender, user) = unsafe { message::sender(&message) };
            let has = |flag| message.msg_flags & flag != 0;
            let (cut, carries) = (has(libc::MSG_TRUNC), has(libc::MSG_CTRUNC));
            Ok(Some(Datagram { bytes: &buffer[..count], cut, sender, user, carries }))
        }

        /// Takes the next datagram out of the queue, at which [`peek`](Socket::peek) has looked. If it `carries` descriptors, returns the child that has
        /// received them, closes them by exiting, and must be reaped. A barrier waits for that, so all earlier datagrams must be handled before the call.
        ///
        /// # Errors
        /// If a child is needed but cannot be started. Then the datagram stays in the queue.
        pub fn take(&self, carries: bool) -> io::Result<Option<Pid>> {
            if carries {
                return take_in_child(self.fd()).map(Some);
            }
            look(self.fd(), &mut [], &mut [], 0)?;
            Ok(None)
        }

        /// Makes copies of the descriptors in the next datagram, which stays in the queue. To close a copy before that is taken out takes no time.
        ///
        /// Not inlined, so that its buffers are not on the stack for every datagram.
        ///
        /// # Errors
        /// Those of the system.
        #[inline(never)]
        pub fn copies(&self) -> io::Result<Copies> {
            let mut control = [MaybeUninit::<u64>::uninit(); ROOM];
            let Some((_, message)) = look(self.fd(), &mut [], &mut control, libc::MSG_PEEK)? else {
                return Ok(Copies::default());
            };
            // SAFETY: `control` is there, and each call of `look` makes descriptors of its own.
            let descriptors = unsafe { message::descriptors(&message) };
            Ok(Copies { descriptors, cut: message.msg_flags & libc::MSG_CTRUNC != 0 })
        }
    }

    /// The length of the part of an address before the name, in bytes.
    const HEAD: usize = size_of::<sa_family_t>();

    /// Starts a child that receives the next datagram with its descriptors, and exits. This process goes on when the exit of the child
    /// has begun: the child has received the datagram by then, and closes everything after that. So this process waits for no peer.
    ///
    /// Not inlined, so that its buffers are not on the stack for every datagram.
    #[inline(never)]
    fn take_in_child(socket: BorrowedFd<'_>) -> io::Result<Pid> {
        let take = || {
            // Descriptors for which there is no free number would be closed before the child exits. Only root may raise
            // the hard limit.
            let _ = limits::raise(Resource::RLIMIT_NOFILE, ENOUGH);
            let mut control = [MaybeUninit::<u64>::uninit(); ROOM];
            let _ = look(socket, &mut [], &mut control, 0);
        };
        process::spawn(take, drop)
    }

    fn bind(socket: &OwnedFd, address: &sockaddr_un, size: usize) -> io::Result<()> {
        debug_assert!(size <= size_of::<sockaddr_un>(), "the address is as long as it is said to be");
        let size = size as socklen_t;
        // SAFETY: the address lives until the call returns, and is at least as long as it is said to be.
        Errno::result(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(address).cast(), size) })?;
        Ok(())
    }

    /// Binds the socket to a name in the abstract namespace. `name` has `@` in place of the NUL at the front.
    fn bind_to_name(socket: &OwnedFd, name: &[u8]) -> io::Result<()> {
        // SAFETY: plain numbers; all zero is a value of theirs.
        let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as sa_family_t;
        if name.len() > raw.sun_path.len() || name.first() != Some(&b'@') {
            return Err(Errno::EINVAL.into());
        }
        for (place, &byte) in raw.sun_path.iter_mut().zip(name).skip(1) {
            *place = byte as libc::c_char;
        }
        bind(socket, &raw, HEAD + name.len())
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::path::Path;

    use super::{Copies, Datagram, LONGEST};
    use crate::process::Pid;

    /// The notify socket. There is none on this system, which cannot tell who has written.
    pub enum Socket {}

    impl Socket {
        /// Fails with ENOSYS.
        pub fn open() -> io::Result<Socket> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// Fails with ENOSYS.
        pub fn open_again(_: &[u8]) -> io::Result<Socket> {
            Socket::open()
        }

        /// Fails with ENOSYS.
        pub fn open_file(_: &Path) -> io::Result<Socket> {
            Socket::open()
        }

        /// Fails with ENOSYS.
        pub fn inherit(_: OwnedFd) -> io::Result<Socket> {
            Socket::open()
        }

        /// Never called.
        pub fn fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }

        /// Never called.
        pub fn abstract_name(&self) -> Option<Vec<u8>> {
            match *self {}
        }

        /// Never called.
        pub fn peek<'a>(&self, _: &'a mut [u8; LONGEST]) -> io::Result<Option<Datagram<'a>>> {
            match *self {}
        }

        /// Never called.
        pub fn take(&self, _: bool) -> io::Result<Option<Pid>> {
            match *self {}
        }

        /// Never called.
        pub fn copies(&self) -> io::Result<Copies> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{fd, process};

    /// A socket to write to `socket` with.
    fn writer(socket: &Socket) -> UnixDatagram {
        let name = socket.abstract_name().expect("it has one");
        assert_eq!(name.first(), Some(&b'@'));
        let writer = UnixDatagram::unbound().expect("a socket");
        writer.connect_addr(&SocketAddr::from_abstract_name(&name[1..]).expect("a name")).expect("connected");
        writer
    }

    /// Takes the next datagram out of the queue, with the child that has received its descriptors.
    fn receive<'a>(socket: &Socket, buffer: &'a mut [u8; LONGEST]) -> Option<(Datagram<'a>, Option<Pid>)> {
        let datagram = socket.peek(buffer).expect("no error")?;
        Some((datagram, socket.take(datagram.carries).expect("no error")))
    }

    fn send_with(writer: &UnixDatagram, bytes: &[u8], sent: &[&OwnedFd]) {
        let sent: Vec<_> = sent.iter().map(|fd| fd.as_fd()).collect();
        send(writer.as_fd(), bytes, &sent).expect("sent");
    }

    #[test]
    fn what_is_sent_is_received_with_its_sender() {
        let socket = Socket::open().expect("a socket");
        let mut buffer = [0; LONGEST];
        assert_eq!(receive(&socket, &mut buffer), None);
        let writer = writer(&socket);
        for text in [&b"READY=1"[..], b"", &[b'x'; LONGEST]] {
            writer.send(text).expect("sent");
            let (datagram, closer) = receive(&socket, &mut buffer).expect("a datagram");
            assert_eq!((datagram.bytes, datagram.cut, closer), (text, false, None));
            assert_eq!(datagram.sender, process::own_pid());
        }
        assert_eq!(receive(&socket, &mut buffer), None);
    }

    #[test]
    fn one_that_is_made_anew_has_its_name() {
        let first = Socket::open().expect("a socket");
        let name = first.abstract_name().expect("it has one");
        assert!(Socket::open_again(&name).is_err() && Socket::open_again(b"").is_err());
        drop(first);
        let second = Socket::open_again(&name).expect("the name is free");
        assert_eq!(second.abstract_name(), Some(name));
        writer(&second).send(b"READY=1").expect("sent");
        let mut buffer = [0; LONGEST];
        assert!(receive(&second, &mut buffer).is_some_and(|(datagram, _)| datagram.bytes == b"READY=1"));
    }

    #[test]
    fn one_that_is_a_file_is_for_its_owner_alone_at_first() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let socket = Socket::open_file(&path).expect("a socket");
        assert_eq!(socket.abstract_name(), None);
        let mode = std::fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o077, 0);
        assert_eq!(Socket::open_file(&path).err().and_then(|error| error.raw_os_error()), Some(libc::EADDRINUSE));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("it is ours");
        UnixDatagram::unbound().and_then(|writer| writer.send_to(b"READY=1", &path)).expect("sent");
        let mut buffer = [0; LONGEST];
        assert!(receive(&socket, &mut buffer).is_some_and(|(datagram, _)| datagram.bytes == b"READY=1"));
    }

    #[test]
    fn a_datagram_of_64_kilobytes_is_cut() {
        let socket = Socket::open().expect("a socket");
        writer(&socket).send(&[b'x'; 65_536]).expect("sent");
        let mut buffer = [0; LONGEST];
        let (datagram, _) = receive(&socket, &mut buffer).expect("a datagram");
        assert_eq!((datagram.bytes.len(), datagram.cut), (LONGEST, true));
        assert_eq!(receive(&socket, &mut buffer), None);
    }

    #[test]
    fn descriptors_that_come_with_it_are_closed() {
        let socket = Socket::open().expect("a socket");
        let (reader, barrier) = fd::pipe().expect("a pipe");
        let writer = writer(&socket);
        send_with(&writer, b"BARRIER=1", &[&barrier; 200]);
        writer.send(b"READY=1").expect("sent");
        drop(barrier);
        fd::set_nonblocking(reader.as_fd()).expect("no error");
        let mut byte = [0];
        let read = |byte: &mut [u8]| fd::read(reader.as_fd(), byte);
        assert!(read(&mut byte).is_err(), "it is open while the datagram waits");
        let mut buffer = [0; LONGEST];
        let (datagram, closer) = receive(&socket, &mut buffer).expect("a datagram");
        assert_eq!((datagram.bytes, datagram.sender), (&b"BARRIER=1"[..], process::own_pid()));
        process::wait(closer.expect("somebody closes them")).expect("a child");
        // A child of another test may have a copy for a moment, until it executes.
        while read(&mut byte).is_err() {
            std::thread::yield_now();
        }
        let (datagram, closer) = receive(&socket, &mut buffer).expect("a datagram");
        assert_eq!((datagram.bytes, closer), (&b"READY=1"[..], None));
    }

    #[test]
    fn what_was_copied_stays_when_the_datagram_is_gone() {
        let socket = Socket::open().expect("a socket");
        assert!(socket.copies().expect("no error").descriptors.is_empty());
        let (reader, pipe) = fd::pipe().expect("a pipe");
        send_with(&writer(&socket), b"FDSTORE=1", &[&pipe; 253]);
        drop(pipe);
        let mut buffer = [0; LONGEST];
        assert!(socket.peek(&mut buffer).expect("no error").is_some_and(|datagram| datagram.carries));
        for _ in 0..2 {
            let copies = socket.copies().expect("no error");
            assert_eq!((copies.descriptors.len(), copies.cut), (253, false));
        }
        let copies = socket.copies().expect("no error").descriptors;
        let (datagram, closer) = receive(&socket, &mut buffer).expect("a datagram");
        assert_eq!(datagram.bytes, b"FDSTORE=1");
        process::wait(closer.expect("somebody closes them")).expect("a child");
        assert_eq!(fd::write(copies[252].as_fd(), b"x").expect("it is open"), 1);
        assert_eq!(fd::read(reader.as_fd(), &mut [0; 9]).expect("it is open"), 1);
    }

    #[test]
    fn nobody_waits_for_a_descriptor_whose_close_takes_long() {
        let socket = Socket::open().expect("a socket");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("it has one")).expect("a connection");
        let (_peer, _) = listener.accept().expect("a connection");
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
        send_with(&writer(&socket), b"READY=1", &[&OwnedFd::from(stream)]);
        let (begun, mut buffer) = (Instant::now(), [0; LONGEST]);
        let (_, closer) = receive(&socket, &mut buffer).expect("a datagram");
        process::wait(closer.expect("somebody closes it")).expect("a child");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
