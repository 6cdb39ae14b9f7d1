//! A small web server that can be replaced without losing a request: `server FILE` answers every request with the contents that the
//! file had when the server started.
//!
//! It gets its sockets already open (LISTEN_FDS), writes a newline to descriptor 10 when it is ready (notification-fd), and on TERM
//! takes no more connections and ends when those that it has are answered. A server needs nothing more for that.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use sys::process::Signal;
use sys::signals::Signals;

/// The first of the descriptors that LISTEN_FDS counts.
const FIRST: i32 = 3;
/// How long a client may keep silent.
const PATIENCE: Duration = Duration::from_secs(10);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Client: Read + Write + Send {}
impl<T: Read + Write + Send> Client for T {}

impl Listener {
    /// Takes over a socket. During a replacement both copies wait for the same connections, so one must not block when
    /// the other was faster.
    fn new(socket: OwnedFd) -> io::Result<Listener> {
        let tcp = TcpListener::from(socket.try_clone()?);
        if tcp.local_addr().is_ok() {
            tcp.set_nonblocking(true)?;
            return Ok(Listener::Tcp(tcp));
        }
        let unix = UnixListener::from(socket);
        unix.set_nonblocking(true)?;
        Ok(Listener::Unix(unix))
    }

    fn accept(&self) -> io::Result<Box<dyn Client>> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (client, _) = listener.accept()?;
                client.set_nonblocking(false)?;
                client.set_read_timeout(Some(PATIENCE))?;
                Box::new(client)
            }
            Listener::Unix(listener) => {
                let (client, _) = listener.accept()?;
                client.set_nonblocking(false)?;
                client.set_read_timeout(Some(PATIENCE))?;
                Box::new(client)
            }
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}

fn main() -> ExitCode {
    let file = std::env::args_os().nth(1);
    match file.ok_or_else(|| io::Error::other("usage: server file")).and_then(|file| serve(file.as_ref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "server: fatal: {error}");
            ExitCode::from(111)
        }
    }
}

/// Serves the file until TERM.
pub fn serve(file: &Path) -> io::Result<()> {
    let page = std::fs::read(file)?;
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<i32>().ok()).unwrap_or(0);
    let sockets = (FIRST..FIRST + count).map(|number| sys::sealed::inherit(number).and_then(Listener::new));
    let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
    let signals = Signals::catch(&[Signal::SIGTERM])?;
    let (end, ending) = io::pipe()?;
    // Without descriptor 10 there is no supervisor to tell.
    if let Ok(mut ready) = OpenOptions::new().write(true).open("/dev/fd/10") {
        let _ = ready.write_all(b"\n");
    }
    // The scope ends when every client has been answered.
    thread::scope(|threads| {
        for socket in &sockets {
            threads.spawn(|| accept_until(end.as_fd(), socket, |client| drop(threads.spawn(|| answer(client, &page)))));
        }
        while !signals.arrived(Signal::SIGTERM) {
            let _ = sys::poll::readable([signals.fd()], None);
        }
        // The other end is readable now, for all threads.
        drop(ending);
    });
    Ok(())
}

/// Accepts clients until `end` is at end of file.
fn accept_until(end: BorrowedFd<'_>, listener: &Listener, serve: impl Fn(Box<dyn Client>)) {
    loop {
        match sys::poll::readable([listener.as_fd(), end], None) {
            Ok([_, true]) | Err(_) => return,
            Ok([false, _]) => {}
            // An error means that the other copy was faster, or that the client has gone.
            Ok([true, _]) => listener.accept().into_iter().for_each(&serve),
        }
    }
}

/// Reads a request up to the empty line, and answers.
fn answer(mut client: Box<dyn Client>, page: &[u8]) {
    let mut lines = BufReader::new(&mut client).take(1 << 16).lines();
    if lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", page.len());
        drop(lines);
        let _ = client.write_all(&[head.as_bytes(), page].concat());
    }
}
