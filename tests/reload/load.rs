//! Twenty reloads under load: no request fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use testkit::wait_until;

use super::world::{Watch, exec_helper};

const RELOADS: usize = 20;
const CLIENTS: usize = 8;

/// Where clients connect to.
enum Target {
    Tcp(String),
    Unix(PathBuf),
}

impl Target {
    /// One request on a connection of its own; the answer names who answered.
    fn ask(&self) -> std::io::Result<u32> {
        match self {
            Target::Tcp(address) => exchange(TcpStream::connect(address)?),
            Target::Unix(path) => exchange(UnixStream::connect(path)?),
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> std::io::Result<u32> {
    stream.write_all(b"?")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer.trim_end().parse().map_err(|_| std::io::Error::other(format!("answer {answer:?}")))
}

/// Replaces a server twenty times while clients ask it without pause, and counts what fails.
fn reload_under_load(listen: &str, target: impl FnOnce(&Watch) -> Target) {
    let server = format!("echo start $$ >>notes\n{}", exec_helper("server"));
    let watch = Watch::begun(&["--ready", "notify", "--listen", listen], &server);
    let target = target(&watch);
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let client = || {
            let mut failures = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                if let Err(error) = target.ask() {
                    failures.push(error.to_string());
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
            failures
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        // Clients end in any case, also where a wait below panics.
        let stopper = Stopper(&stop);
        for reload in 1..=RELOADS {
            let before = asked.load(Ordering::Relaxed);
            wait_until("requests between reloads", || asked.load(Ordering::Relaxed) >= before + 20);
            watch.hup();
            watch.wait_for_reloads(reload);
        }
        drop(stopper);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    let asked = asked.load(Ordering::Relaxed);
    assert!(failures.is_empty(), "{} of {asked} requests failed: {:?}", failures.len(), failures.first());
    assert_eq!(watch.said_times("HUP: Old process quit with code: 0"), RELOADS);
    assert_eq!(watch.said_times("ERROR"), 0);
    let new = *watch.starts().last().expect("a start");
    assert_eq!(target.ask().expect("an answer"), new);
    assert_eq!(watch.alive(), [new]);
}

struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn twenty_reloads_over_tcp_lose_no_request() {
    let address = testkit::address();
    reload_under_load(&format!("tcp:{address}"), |_| Target::Tcp(address.clone()));
}

#[test]
fn twenty_reloads_over_a_unix_socket_lose_no_request() {
    reload_under_load("unix:web.sock", |watch| Target::Unix(watch.scratch.path("web.sock")));
}
