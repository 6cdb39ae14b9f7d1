//! One request on a connection of its own.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::options::Options;
use super::tally::Outcome;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

/// The largest answer in bytes: a server that sends more is wrong.
const LARGEST: u64 = 1 << 20;

impl Target {
    /// Reads `tcp:HOST:PORT` or `unix:PATH`.
    pub fn parse(word: &OsStr) -> Option<Target> {
        if let Some(path) = word.as_bytes().strip_prefix(b"unix:") {
            return Some(Target::Unix(OsStr::from_bytes(path).into()));
        }
        let address = word.to_str()?.strip_prefix("tcp:")?.to_socket_addrs().ok()?.next()?;
        Some(Target::Tcp(address))
    }
}

/// Sends one request. Returns its outcome, with the body of the answer or what was wrong.
pub fn ask(options: &Options) -> (Outcome, String) {
    let deadline = Instant::now() + options.timeout;
    let asked = match &options.target {
        Target::Tcp(address) => TcpStream::connect_timeout(address, options.timeout).map(|stream| {
            stream
                .set_write_timeout(Some(options.timeout))
                .and_then(|()| exchange(&stream, options, |stream| stream.set_read_timeout(Some(left(deadline)?))))
        }),
        Target::Unix(path) => UnixStream::connect(path).map(|stream| {
            stream
                .set_write_timeout(Some(options.timeout))
                .and_then(|()| exchange(&stream, options, |stream| stream.set_read_timeout(Some(left(deadline)?))))
        }),
    };
    match asked {
        Err(error) => (unconnected(&error), error.to_string()),
        Ok(Err(error)) => (unanswered(&error), error.to_string()),
        Ok(Ok(answer)) => judge(&answer, &options.expect),
    }
}

/// The time left until the deadline; an error if it is over.
fn left(deadline: Instant) -> std::io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Sends the request and reads until the server closes.
fn exchange<S>(stream: &S, options: &Options, limit: impl Fn(&S) -> std::io::Result<()>) -> std::io::Result<Vec<u8>>
where
    for<'a> &'a S: Read + Write,
{
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", options.path);
    let mut both = stream;
    // A server may have answered and closed already (because it is busy, for example): then the answer counts.
    let sent = both.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        limit(stream)?;
        match both.read(&mut part) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() as u64 > LARGEST {
            break;
        }
    }
    if answer.is_empty() { sent.map(|()| answer) } else { Ok(answer) }
}

/// The outcome of a failed connect: nobody listens, or there is no such file.
fn unconnected(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => Outcome::Refused,
        _ => unanswered(error),
    }
}

fn unanswered(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Outcome::Reset,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Outcome::Timeout,
        _ => Outcome::Other,
    }
}

/// Judges an answer: a right one has status 200, a complete body, and the expected beginning.
fn judge(answer: &[u8], expect: &str) -> (Outcome, String) {
    if answer.is_empty() {
        return (Outcome::Empty, "closed without an answer".to_owned());
    }
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return (Outcome::Wrong, format!("no end of the header: {:?}", short(&text)));
    };
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return (Outcome::Wrong, status.to_owned());
    }
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim()).next();
    // Without a length, the end of the connection is the end of the body, complete or not.
    if length.is_some_and(|length| length.parse() != Ok(answer.len() - head.len() - 4)) {
        return (Outcome::Wrong, format!("{} bytes of {}", body.len(), length.unwrap_or_default()));
    }
    if !body.starts_with(expect) {
        return (Outcome::Wrong, format!("body {:?}", short(body)));
    }
    (Outcome::Ok, short(body.lines().next().unwrap_or_default()).to_owned())
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answer: &str) -> Outcome {
        judge(answer.as_bytes(), "release ").0
    }

    #[test]
    fn only_a_complete_answer_with_the_expected_body_is_right() {
        assert_eq!(judged("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nrelease 1"), Outcome::Ok);
        assert_eq!(judged("HTTP/1.0 200 OK\r\n\r\nrelease 1"), Outcome::Ok);
        assert_eq!(judged("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nrelease 1"), Outcome::Wrong);
        assert_eq!(judged("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"), Outcome::Wrong);
        assert_eq!(judged("HTTP/1.1 502 Bad Gateway\r\n\r\nrelease 1"), Outcome::Wrong);
        assert_eq!(judged("HTTP/1.1 200 OK\r\n"), Outcome::Wrong);
        assert_eq!(judged(""), Outcome::Empty);
    }
}
