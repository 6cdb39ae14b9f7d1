//! Programs that services of these tests become, chosen by the environment. The file of this test target is the only program that is sure
//! to be built.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use sys::process::Signal;
use sys::signals::Signals;

/// Becomes the program that `HELPER` names.
#[test]
#[ignore = "a program that other tests run"]
fn helper() {
    // Not so where all ignored tests are run.
    let Ok(name) = std::env::var("HELPER") else {
        return;
    };
    match name.as_str() {
        "server" => server(),
        "shut" => shut(),
        "flooder" => flooder(),
        "messenger" => notify_ready(),
        "notifier" => notifier(),
        other => panic!("there is no {other}"),
    }
}

/// A server: accepts from descriptor 3, reads a byte, answers with its pid. TERM ends it when what it has accepted is answered.
fn server() {
    assert_eq!(std::env::var("LISTEN_PID"), Ok(std::process::id().to_string()));
    assert_eq!(std::env::var("LISTEN_FDS").as_deref(), Ok("1"));
    let signals = Signals::catch(&[Signal::SIGTERM]).expect("signals");
    let listener = Listener::of(sys::sealed::inherit(3).expect("a socket"));
    // Another copy may be quicker.
    sys::fd::set_nonblocking(listener.fd()).expect("a socket");
    notify_ready();
    loop {
        let [came, _] = sys::poll::readable([signals.fd(), listener.fd()], None).expect("poll");
        if came {
            return;
        }
        while let Some(connection) = listener.accept() {
            answer(connection);
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn of(socket: OwnedFd) -> Listener {
        let listener = TcpListener::from(socket);
        match listener.local_addr() {
            Ok(_) => Listener::Tcp(listener),
            Err(_) => Listener::Unix(OwnedFd::from(listener).into()),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }

    /// A connection that waits; `None` if none does.
    fn accept(&self) -> Option<OwnedFd> {
        let accepted = match self {
            Listener::Tcp(listener) => listener.accept().map(|(connection, _)| connection.into()),
            Listener::Unix(listener) => listener.accept().map(|(connection, _)| connection.into()),
        };
        match accepted {
            Ok(connection) => Some(connection),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                None
            }
        }
    }
}

fn answer(connection: OwnedFd) {
    let mut connection = std::fs::File::from(connection);
    let _ = connection.read_exact(&mut [0]);
    let _ = connection.write_all(format!("{}\n", std::process::id()).as_bytes());
}

/// Says by sd_notify that it is ready, if anybody listens.
fn notify_ready() {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET") {
        send(&name.to_string_lossy(), b"READY=1\n");
    }
}

/// Sends a datagram to the abstract socket `name`, written as in `NOTIFY_SOCKET`.
pub fn send(name: &str, bytes: &[u8]) {
    let address = SocketAddr::from_abstract_name(name.strip_prefix('@').expect("an abstract name")).expect("a name");
    let sent = UnixDatagram::unbound().expect("a socket").send_to_addr(bytes, &address);
    assert_eq!(sent.expect("sent"), bytes.len());
}

/// Does not stop to say that it needs more time, many times in each datagram.
fn flooder() {
    let name = std::env::var("NOTIFY_SOCKET").expect("a socket");
    let address = SocketAddr::from_abstract_name(name.strip_prefix('@').expect("an abstract name")).expect("a name");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let words = "EXTEND_TIMEOUT_USEC=1\n".repeat(180);
    for sent in 0_u64.. {
        if sent == 10_000 {
            std::fs::write("flood", "").expect("a file of ours");
        }
        match socket.send_to_addr(words.as_bytes(), &address) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Shuts the socket down, for all who have it.
fn shut() {
    let socket = TcpStream::from(sys::sealed::inherit(3).expect("a socket"));
    socket.shutdown(std::net::Shutdown::Both).expect("anybody may");
}

/// Says by sd_notify what `SAY` holds, and lives on.
fn notifier() {
    let name = std::env::var("NOTIFY_SOCKET").expect("a socket");
    send(&name, std::env::var("SAY").expect("words").as_bytes());
    let nothing: [BorrowedFd<'_>; 0] = [];
    sys::poll::readable(nothing, None).expect("poll");
}
