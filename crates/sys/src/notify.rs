//! The socket on which services say of themselves how they are: sd_notify's.
//!
//! It lies in the abstract namespace, so no file is left behind, and the kernel chooses its name. Everybody on the machine can write to
//! it; so the kernel is asked who did, and the caller decides whom it listens to. Only Linux has either.

use std::os::unix::fs::MetadataExt;

use crate::process::Pid;

/// The variable that names the socket.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The variable that says within how many microseconds a service tells again that it is alive.
pub const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The variable that says which process that is for; without it, it is for whoever looks.
pub const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// The longest datagram that is read whole: what systemd reads.
pub const LONGEST: usize = 4096;

/// One datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Whether it was longer, and its end is lost.
    pub cut: bool,
    /// Who sent it, as the kernel says. 0 for one that this process cannot see.
    pub sender: Pid,
    /// Which user that was.
    pub user: u32,
}

/// Whether `pid` is `of` or belongs to its process group.
pub fn is_of(pid: Pid, of: Pid) -> bool {
    pid == of || nix::unistd::getpgid(Some(pid)) == Ok(of)
}

/// Whether `pid` is `of`, belongs to its process group, or descends from it as far as `/proc` tells: a service's helper has its group
/// from further above.
pub fn descends(pid: Pid, of: Pid) -> bool {
    /// No tree of processes is deeper that is about one service.
    const DEEPEST: usize = 32;
    std::iter::successors(Some(pid), |&pid| parent(pid)).take(DEEPEST).any(|pid| is_of(pid, of))
}

/// Whether `pid` was executed with `name` as its [`NOTIFY_SOCKET`], or comes from a process that was. No if that cannot be told: it is a
/// process of another user, or has overwritten its environment.
pub fn was_told(pid: Pid, name: &[u8]) -> bool {
    let variable = [NOTIFY_SOCKET.as_bytes(), b"=", name].concat();
    let environment = environment(pid);
    !name.is_empty() && environment.split(|&byte| byte == 0).any(|string| string == variable)
}

/// The environment that a process was executed with. In the middle of an exec it has none for a moment, and no event tells when that is
/// over: so one that is empty is believed only after a while.
fn environment(pid: Pid) -> Vec<u8> {
    const TRIES: u32 = 50;
    const MILLISECOND: u64 = 1_000_000;
    for _ in 0..TRIES {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).map_err(|_| ());
        if environment != Ok(Vec::new()) {
            return environment.unwrap_or_default();
        }
        crate::poll::rest_for(MILLISECOND);
    }
    Vec::new()
}

/// The user that a process runs as; `None` if it is gone.
pub fn user(pid: Pid) -> Option<u32> {
    Some(std::fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// The parent of a process. None above init.
pub fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; behind it stand state and parent.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let parent = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    (parent > 1).then(|| Pid::from_raw(parent))
}

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

    use libc::{sa_family_t, sockaddr_un, socklen_t};
    use nix::errno::Errno;

    use super::{Datagram, LONGEST};
    use crate::process::Pid;

    /// Where services write to.
    pub struct Socket {
        socket: OwnedFd,
        name: Vec<u8>,
    }

    /// Room for the sender and as many descriptors as the kernel lets one datagram carry (253), aligned as headers are.
    const ROOM: usize = 256;

    impl Socket {
        /// A new one, close-on-exec and non-blocking.
        pub fn open() -> io::Result<Socket> {
            let socket = Socket::unbound()?;
            let name = bind_anywhere(&socket)?;
            Ok(Socket { socket, name })
        }

        /// The one that a process which is no more had under this name, made anew.
        ///
        /// # Errors
        /// EADDRINUSE if somebody has taken the name meanwhile.
        pub fn open_again(name: &[u8]) -> io::Result<Socket> {
            let socket = Socket::unbound()?;
            bind_to(&socket, name)?;
            Ok(Socket { socket, name: name.into() })
        }

        /// The one that another program has left in this process, and its name.
        pub fn inherit(socket: OwnedFd, name: &[u8]) -> io::Result<Socket> {
            Ok(Socket { socket, name: name.into() })
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
            self.socket.as_fd()
        }

        /// The value of [`NOTIFY_SOCKET`](super::NOTIFY_SOCKET).
        pub fn name(&self) -> &[u8] {
            &self.name
        }

        /// Takes the next datagram; `None` if there is none. Descriptors that came with it are closed, which is what a barrier
        /// waits for, once all that was received before is done.
        pub fn receive<'a>(&self, buffer: &'a mut [u8; LONGEST]) -> io::Result<Option<Datagram<'a>>> {
            let mut control = [MaybeUninit::<u64>::uninit(); ROOM];
            let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            // SAFETY: numbers and pointers; all zero is a value of theirs.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control) as _;
            let count = loop {
                // SAFETY: the message points to memory of ours, and says how much there is.
                let count = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
                match Errno::result(count) {
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => return Ok(None),
                    received => break received?,
                }
            };
            let (sender, user) = take_control(&message);
            let cut = message.msg_flags & libc::MSG_TRUNC != 0;
            Ok(Some(Datagram { bytes: &buffer[..count as usize], cut, sender, user }))
        }
    }

    /// `name` has `@` in place of the NUL at its front.
    fn bind_to(socket: &OwnedFd, name: &[u8]) -> io::Result<()> {
        // SAFETY: plain numbers; all zero is a value of theirs.
        let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as sa_family_t;
        if name.len() > raw.sun_path.len() || name.first() != Some(&b'@') {
            return Err(Errno::EINVAL.into());
        }
        for (place, &byte) in raw.sun_path.iter_mut().zip(name).skip(1) {
            *place = byte as libc::c_char;
        }
        let size = (size_of::<sa_family_t>() + name.len()) as socklen_t;
        // SAFETY: the address is at least as long as it is said to be.
        Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), size) })?;
        Ok(())
    }

    /// Lets the kernel choose a name: it is what comes behind the NUL, for which `@` is written.
    fn bind_anywhere(socket: &OwnedFd) -> io::Result<Vec<u8>> {
        // SAFETY: plain numbers; all zero is a value of theirs.
        let mut raw: sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as sa_family_t;
        let head = size_of::<sa_family_t>() as socklen_t;
        // SAFETY: the address is at least as long as it is said to be.
        Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), head) })?;
        let mut size = size_of::<sockaddr_un>() as socklen_t;
        // SAFETY: there is as much room as is said.
        Errno::result(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut raw).cast(), &raw mut size) })?;
        let length = size.saturating_sub(head) as usize;
        // Characters are signed on some processors.
        let mut name: Vec<u8> = raw.sun_path.iter().take(length).map(|&byte| byte as _).collect();
        match name.first_mut() {
            Some(first) => *first = b'@',
            None => return Err(Errno::EADDRNOTAVAIL.into()),
        }
        Ok(name)
    }

    /// Who sent it. Closes what came with it.
    fn take_control(message: &libc::msghdr) -> (Pid, u32) {
        let mut sender = (Pid::from_raw(0), u32::MAX);
        // SAFETY: the kernel has filled what `message` points to, and said how much. The macros stay within that.
        unsafe {
            let mut at = libc::CMSG_FIRSTHDR(message);
            while !at.is_null() {
                let data = libc::CMSG_DATA(at);
                let length = (*at).cmsg_len as usize - (data as usize - at as usize);
                match ((*at).cmsg_level, (*at).cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                        for place in 0..length / size_of::<c_int>() {
                            drop(OwnedFd::from_raw_fd(data.cast::<c_int>().add(place).read_unaligned()));
                        }
                    }
                    (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                        let who = data.cast::<libc::ucred>().read_unaligned();
                        sender = (Pid::from_raw(who.pid), who.uid);
                    }
                    _ => {}
                }
                at = libc::CMSG_NXTHDR(message, at);
            }
        }
        sender
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use super::{Datagram, LONGEST};

    /// Where services would write to, if the system could say who does.
    pub struct Socket(OwnedFd);

    impl Socket {
        /// ENOSYS.
        pub fn open() -> io::Result<Socket> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// ENOSYS.
        pub fn open_again(_: &[u8]) -> io::Result<Socket> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// ENOSYS.
        pub fn inherit(_: OwnedFd, _: &[u8]) -> io::Result<Socket> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// What to poll.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        /// The value of [`NOTIFY_SOCKET`](super::NOTIFY_SOCKET).
        pub fn name(&self) -> &[u8] {
            b""
        }

        /// Never anything.
        pub fn receive<'a>(&self, _: &'a mut [u8; LONGEST]) -> io::Result<Option<Datagram<'a>>> {
            Ok(None)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;
    use crate::{fd, process};

    /// A socket to write to `socket` with.
    fn writer(socket: &Socket) -> UnixDatagram {
        let name = socket.name();
        assert_eq!(name.first(), Some(&b'@'));
        let writer = UnixDatagram::unbound().expect("a socket");
        writer.connect_addr(&SocketAddr::from_abstract_name(&name[1..]).expect("a name")).expect("connected");
        writer
    }

    #[test]
    fn what_is_sent_is_received_with_its_sender() {
        let socket = Socket::open().expect("a socket");
        let mut buffer = [0; LONGEST];
        assert_eq!(socket.receive(&mut buffer).expect("no error"), None);
        let writer = writer(&socket);
        for text in [&b"READY=1"[..], b"", &[b'x'; LONGEST]] {
            writer.send(text).expect("sent");
            let datagram = socket.receive(&mut buffer).expect("no error").expect("a datagram");
            assert_eq!((datagram.bytes, datagram.cut), (text, false));
            assert_eq!(datagram.sender, process::own_pid());
        }
        assert_eq!(socket.receive(&mut buffer).expect("no error"), None);
    }

    #[test]
    fn one_that_is_made_anew_has_its_name() {
        let first = Socket::open().expect("a socket");
        let name = first.name().to_vec();
        assert!(Socket::open_again(&name).is_err() && Socket::open_again(b"").is_err());
        drop(first);
        let second = Socket::open_again(&name).expect("the name is free");
        writer(&second).send(b"READY=1").expect("sent");
        let mut buffer = [0; LONGEST];
        assert!(second.receive(&mut buffer).expect("no error").is_some_and(|datagram| datagram.bytes == b"READY=1"));
    }

    #[test]
    fn a_datagram_of_64_kilobytes_is_cut() {
        let socket = Socket::open().expect("a socket");
        writer(&socket).send(&[b'x'; 65_536]).expect("sent");
        let mut buffer = [0; LONGEST];
        let datagram = socket.receive(&mut buffer).expect("no error").expect("a datagram");
        assert_eq!((datagram.bytes.len(), datagram.cut), (LONGEST, true));
        assert_eq!(socket.receive(&mut buffer).expect("no error"), None);
    }

    #[test]
    fn descriptors_that_come_with_it_are_closed() {
        let socket = Socket::open().expect("a socket");
        let (reader, barrier) = fd::pipe().expect("a pipe");
        send_with(&writer(&socket), b"BARRIER=1", &[&barrier; 200]);
        drop(barrier);
        fd::set_nonblocking(std::os::fd::AsFd::as_fd(&reader)).expect("no error");
        let mut byte = [0];
        let read = |byte: &mut [u8]| fd::read(std::os::fd::AsFd::as_fd(&reader), byte);
        assert!(read(&mut byte).is_err(), "it is open while the datagram waits");
        let mut buffer = [0; LONGEST];
        let datagram = socket.receive(&mut buffer).expect("no error").expect("a datagram");
        assert_eq!((datagram.bytes, datagram.sender), (&b"BARRIER=1"[..], process::own_pid()));
        // A child of another test may have a copy for a moment, until it executes.
        while read(&mut byte).is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_is_of_itself_and_of_its_group() {
        let own = process::own_pid();
        assert!(is_of(own, own));
        assert!(is_of(own, nix::unistd::getpgrp()));
        assert!(!is_of(Pid::from_raw(1), own) || own.as_raw() == 1);
    }

    #[test]
    fn who_was_told_of_a_socket_has_it_in_its_environment() {
        let with = |name: &str| {
            let mut command = std::process::Command::new("sleep");
            let child = command.arg("1000").env(NOTIFY_SOCKET, name).spawn().expect("a child");
            (Pid::from_raw(child.id().cast_signed()), child)
        };
        let (pid, mut child) = with("@00abc");
        let told = [&b"@00abc"[..], b"@00ab", b"@00abcd", b""].map(|name| was_told(pid, name));
        let of = (user(pid), parent(pid));
        child.kill().and_then(|()| child.wait()).expect("it is ours");
        assert_eq!(told, [true, false, false, false]);
        assert_eq!(of, (user(process::own_pid()), Some(process::own_pid())));
        assert!(!was_told(pid, b"@00abc"));
    }

    fn send_with(writer: &UnixDatagram, bytes: &[u8], descriptors: &[&OwnedFd]) {
        let numbers: Vec<i32> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
        let size = size_of_val(numbers.as_slice());
        // SAFETY: the control message is made as CMSG_LEN and CMSG_DATA say, in room that CMSG_SPACE says is enough.
        unsafe {
            let mut control = vec![0_u64; libc::CMSG_SPACE(size as u32) as usize / 8 + 1];
            let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size as u32) as _;
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(size as u32) as _;
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), libc::CMSG_DATA(head), size);
            assert_eq!(libc::sendmsg(writer.as_raw_fd(), &raw const message, 0), bytes.len() as isize);
        }
    }
}
