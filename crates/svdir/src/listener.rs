//! An address to listen on, as in the files of `sockets/` and the option `--listen`.
//!
//! | in a file | as an argument |
//! |---|---|
//! | `tcp 127.0.0.1:8080` | `tcp:127.0.0.1:8080` |
//! | `udp [::1]:53 reuseport` | `udp:[::1]:53,reuseport` |
//! | `unix run/web.sock mode=0660 owner=www` | `unix:run/web.sock,mode=0660,owner=www` |
//!
//! A host is a numeric address, a name, or `*` or nothing for every address of the machine. Options: `backlog=N`, `reuseport` and `fd=N`
//! for all; `mode=`, `owner=` and `group=` for `unix`. Names are not looked up here, but [`find_host`] reads the format of the hosts
//! file.

use std::fmt;
use std::net::IpAddr;

use crate::knob::digits;

/// The greatest length of the path of a Unix socket, in bytes: one less than the kernel's field.
pub const LONGEST_PATH: usize = 107;
/// The largest descriptor that `fd=` can ask for. No process has more than the kernel's `fs.nr_open`, which is this by default.
pub const LARGEST_FD: i32 = 1_048_575;

/// An address to listen on, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address.
    pub address: Address,
    /// How many connections may wait; `None` for as many as the system allows.
    pub backlog: Option<u32>,
    /// Whether other sockets may use the same address.
    pub reuse_port: bool,
    /// The descriptor as which the program gets the socket; `None` for the next one that `LISTEN_FDS` counts.
    pub fd: Option<i32>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP: host and port.
    Tcp(Host, u16),
    /// UDP: host and port.
    Udp(Host, u16),
    /// A Unix stream socket.
    Unix(UnixFile),
}

/// The file of a Unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixFile {
    /// The path of the file; never empty.
    pub path: Vec<u8>,
    /// Its permissions; `None` for those of the umask.
    pub mode: Option<u32>,
    /// Its owner: a name or a number.
    pub owner: Option<Vec<u8>>,
    /// Its group: a name or a number.
    pub group: Option<Vec<u8>>,
}

/// A host of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Every address of the machine, IPv4 and IPv6.
    Any,
    /// This address. `0.0.0.0` is all of IPv4 and `::` all of IPv6, without IPv4.
    Ip(IpAddr),
    /// A name that is to be looked up.
    Name(Vec<u8>),
}

/// Why a text is not a [`Listener`]. Its own text is one line that quotes the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The text is empty.
    Empty,
    /// There is more than one line.
    SecondLine,
    /// The kind is not `tcp`, `udp` or `unix`.
    Kind(Vec<u8>),
    /// There is a kind, but no address.
    NoAddress,
    /// The address has no colon and port.
    NoPort(Vec<u8>),
    /// The port is not a number from 1 to 65535.
    Port(Vec<u8>),
    /// The host is neither an address nor a name.
    Host(Vec<u8>),
    /// The path contains a NUL, or names the abstract namespace.
    Path(Vec<u8>),
    /// The path has more than [`LONGEST_PATH`] bytes.
    LongPath(Vec<u8>),
    /// There is no such option, or not for this kind.
    Option(Vec<u8>),
    /// The option is there twice.
    Twice(Vec<u8>),
    /// The option cannot have this value.
    Value(Vec<u8>),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, bytes): (&str, &[u8]) = match self {
            Wrong::Empty => return f.write_str("it is empty"),
            Wrong::SecondLine => return f.write_str("it has more than one line"),
            Wrong::NoAddress => return f.write_str("address missing"),
            Wrong::Kind(bytes) => ("neither tcp, udp nor unix", bytes),
            Wrong::NoPort(bytes) => ("port missing", bytes),
            Wrong::Port(bytes) => ("wrong port", bytes),
            Wrong::Host(bytes) => ("wrong host", bytes),
            Wrong::Path(bytes) => ("wrong path", bytes),
            Wrong::LongPath(bytes) => ("path too long for a socket", bytes),
            Wrong::Option(bytes) => ("unknown option", bytes),
            Wrong::Twice(bytes) => ("option given twice", bytes),
            Wrong::Value(bytes) => ("wrong value", bytes),
        };
        write!(f, "{what}: {}", bytes.escape_ascii())
    }
}

impl std::error::Error for Wrong {}

impl Listener {
    /// Parses a file of `sockets/`: one line, with words separated by blanks.
    ///
    /// # Errors
    /// [`Wrong`] for the first part that is wrong.
    pub fn from_file(bytes: &[u8]) -> Result<Listener, Wrong> {
        let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let line = lines.next().ok_or(Wrong::Empty)?;
        if lines.next().is_some() {
            return Err(Wrong::SecondLine);
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let kind = words.next().ok_or(Wrong::Empty)?;
        Listener::of(kind, words.next(), words)
    }

    /// Parses the value of `--listen`: the kind and a colon, the address, then options, each after a comma.
    ///
    /// # Errors
    /// [`Wrong`] for the first part that is wrong.
    pub fn from_argument(bytes: &[u8]) -> Result<Listener, Wrong> {
        if bytes.is_empty() {
            return Err(Wrong::Empty);
        }
        let (kind, rest) = match bytes.iter().position(|&byte| byte == b':') {
            Some(colon) => (&bytes[..colon], &bytes[colon + 1..]),
            None => (bytes, &b""[..]),
        };
        let mut words = rest.split(|&byte| byte == b',');
        Listener::of(kind, words.next().filter(|address| !address.is_empty()), words)
    }

    fn of<'a>(
        kind: &[u8],
        address: Option<&'a [u8]>,
        options: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Listener, Wrong> {
        let place: fn(&[u8]) -> Result<Address, Wrong> = match kind {
            b"tcp" => |bytes| inet(bytes).map(|(host, port)| Address::Tcp(host, port)),
            b"udp" => |bytes| inet(bytes).map(|(host, port)| Address::Udp(host, port)),
            b"unix" => |bytes| unix(bytes).map(Address::Unix),
            _ => return Err(Wrong::Kind(kind.into())),
        };
        let address = place(address.ok_or(Wrong::NoAddress)?)?;
        let mut listener = Listener { address, backlog: None, reuse_port: false, fd: None };
        for option in options {
            listener.set(option)?;
        }
        Ok(listener)
    }

    /// Sets one option.
    fn set(&mut self, option: &[u8]) -> Result<(), Wrong> {
        if option == b"reuseport" && !self.is_unix() {
            let twice = std::mem::replace(&mut self.reuse_port, true);
            return if twice { Err(Wrong::Twice(option.into())) } else { Ok(()) };
        }
        let Some(equals) = option.iter().position(|&byte| byte == b'=') else {
            return Err(Wrong::Option(option.into()));
        };
        let value = &option[equals + 1..];
        match (&option[..equals], &mut self.address) {
            (b"backlog", Address::Tcp(..) | Address::Unix(_)) => {
                let number = number(value).filter(|&number| number > 0 && number <= i32::MAX.unsigned_abs());
                once(&mut self.backlog, number, option)
            }
            (b"fd", _) => {
                let number = number(value).and_then(|number| i32::try_from(number).ok());
                once(&mut self.fd, number.filter(|&number| number <= LARGEST_FD), option)
            }
            (b"mode", Address::Unix(file)) => once(&mut file.mode, mode(value), option),
            (b"owner", Address::Unix(file)) => once(&mut file.owner, account(value), option),
            (b"group", Address::Unix(file)) => once(&mut file.group, account(value), option),
            _ => Err(Wrong::Option(option.into())),
        }
    }

    fn is_unix(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }
}

/// Writes the kind and the address in the form of an argument.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) => write!(f, "tcp:{host}:{port}"),
            Address::Udp(host, port) => write!(f, "udp:{host}:{port}"),
            Address::Unix(file) => write!(f, "unix:{}", file.path.escape_ascii()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => f.write_str("*"),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Name(name) => write!(f, "{}", name.escape_ascii()),
        }
    }
}

/// Sets a value that was not set before.
fn once<T>(place: &mut Option<T>, value: Option<T>, option: &[u8]) -> Result<(), Wrong> {
    let value = value.ok_or_else(|| Wrong::Value(option.into()))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Wrong::Twice(option.into())),
    }
}

/// Parses `HOST:PORT`; an IPv6 address is in brackets.
fn inet(bytes: &[u8]) -> Result<(Host, u16), Wrong> {
    let colon = bytes.iter().rposition(|&byte| byte == b':').ok_or_else(|| Wrong::NoPort(bytes.into()))?;
    let (name, digits) = (&bytes[..colon], &bytes[colon + 1..]);
    let port = number(digits).and_then(|number| u16::try_from(number).ok()).filter(|&port| port > 0);
    let host = host(name).ok_or_else(|| Wrong::Host(name.into()))?;
    Ok((host, port.ok_or_else(|| Wrong::Port(digits.into()))?))
}

fn host(name: &[u8]) -> Option<Host> {
    match name {
        b"" | b"*" => Some(Host::Any),
        [b'[', ip @ .., b']'] => text(ip)?.parse().ok().map(|ip| Host::Ip(IpAddr::V6(ip))),
        _ if name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') => {
            text(name)?.parse().ok().map(|ip| Host::Ip(IpAddr::V4(ip)))
        }
        _ if name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)) => {
            Some(Host::Name(name.into()))
        }
        _ => None,
    }
}

fn unix(path: &[u8]) -> Result<UnixFile, Wrong> {
    if path.len() > LONGEST_PATH {
        return Err(Wrong::LongPath(path.into()));
    }
    // Other programs mean the abstract namespace by `@`; a file whose name begins so can be written as `./@`.
    if path.contains(&0) || path.starts_with(b"@") {
        return Err(Wrong::Path(path.into()));
    }
    Ok(UnixFile { path: path.into(), ..UnixFile::default() })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn number(bytes: &[u8]) -> Option<u32> {
    digits(bytes).and_then(|number| u32::try_from(number).ok())
}

/// Parses permissions in octal digits.
fn mode(bytes: &[u8]) -> Option<u32> {
    let digits = text(bytes).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    u32::from_str_radix(digits, 8).ok().filter(|&mode| mode <= 0o777)
}

fn account(bytes: &[u8]) -> Option<Vec<u8>> {
    (!bytes.is_empty() && !bytes.contains(&0)).then(|| bytes.into())
}

/// Finds the first address of `name` in the text of a hosts file. `localhost` is known even if it is not there.
pub fn find_host(hosts: &[u8], name: &[u8]) -> Option<IpAddr> {
    let found = hosts.split(|&byte| byte == b'\n').find_map(|line| {
        let line = line.split(|&byte| byte == b'#').next()?;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let ip = text(words.next()?)?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    });
    found.or_else(|| name.eq_ignore_ascii_case(b"localhost").then_some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)))
}

/// Returns whether `name` can be in `LISTEN_FDNAMES`: 1 to 255 printable bytes without a colon.
pub fn is_name(name: &[u8]) -> bool {
    matches!(name.len(), 1..=255) && name.iter().all(|&byte| byte.is_ascii_graphic() && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(address: Address) -> Listener {
        Listener { address, backlog: None, reuse_port: false, fd: None }
    }

    fn ip(text: &str) -> Host {
        Host::Ip(text.parse().expect("an address"))
    }

    #[test]
    fn both_forms_mean_the_same() {
        let file = UnixFile {
            path: b"run/web.sock".into(),
            mode: Some(0o660),
            owner: Some(b"www".into()),
            group: Some(b"12".into()),
        };
        let cases = [
            ("tcp 127.0.0.1:8080\n", "tcp:127.0.0.1:8080", plain(Address::Tcp(ip("127.0.0.1"), 8080))),
            (" tcp\t[::1]:80 \n\n", "tcp:[::1]:80", plain(Address::Tcp(ip("::1"), 80))),
            ("tcp *:80", "tcp:*:80", plain(Address::Tcp(Host::Any, 80))),
            ("tcp :80", "tcp::80", plain(Address::Tcp(Host::Any, 80))),
            ("udp web-1.local:53\n", "udp:web-1.local:53", plain(Address::Udp(Host::Name(b"web-1.local".into()), 53))),
            (
                "tcp localhost:65535 backlog=10 reuseport fd=0",
                "tcp:localhost:65535,backlog=10,reuseport,fd=0",
                Listener {
                    backlog: Some(10),
                    reuse_port: true,
                    fd: Some(0),
                    ..plain(Address::Tcp(Host::Name(b"localhost".into()), 65535))
                },
            ),
            (
                "unix run/web.sock mode=0660 owner=www group=12 backlog=1\n",
                "unix:run/web.sock,mode=660,owner=www,group=12,backlog=1",
                Listener { backlog: Some(1), ..plain(Address::Unix(file)) },
            ),
        ];
        for (file, argument, expected) in cases {
            assert_eq!(Listener::from_file(file.as_bytes()).as_ref(), Ok(&expected), "{file}");
            assert_eq!(Listener::from_argument(argument.as_bytes()).as_ref(), Ok(&expected), "{argument}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("unix:{}", "p".repeat(LONGEST_PATH + 1));
        for (argument, line) in [
            ("", "it is empty"),
            ("tcp", "address missing"),
            ("tcp:", "address missing"),
            ("unix:", "address missing"),
            ("unix:,mode=0600", "address missing"),
            ("http:*:80", "neither tcp, udp nor unix: http"),
            ("tcp:80", "port missing: 80"),
            ("tcp:*:", "wrong port: "),
            ("tcp:*:0", "wrong port: 0"),
            ("tcp:*:65536", "wrong port: 65536"),
            ("tcp:*:+80", "wrong port: +80"),
            ("tcp:*:http", "wrong port: http"),
            ("tcp:::1:80", "wrong host: ::1"),
            ("tcp:[::1:80", "wrong host: [::1"),
            ("tcp:[1.2.3.4]:80", "wrong host: [1.2.3.4]"),
            ("tcp:1.2.3:80", "wrong host: 1.2.3"),
            ("tcp:a b:80", "wrong host: a b"),
            ("unix:@x", "wrong path: @x"),
            ("unix:x,", "unknown option: "),
            ("unix:x,color=red", "unknown option: color=red"),
            ("unix:x,reuseport", "unknown option: reuseport"),
            ("unix:x,mode", "unknown option: mode"),
            ("tcp:*:80,mode=0600", "unknown option: mode=0600"),
            ("udp:*:80,backlog=5", "unknown option: backlog=5"),
            ("unix:x,mode=0888", "wrong value: mode=0888"),
            ("unix:x,mode=1777", "wrong value: mode=1777"),
            ("unix:x,mode=", "wrong value: mode="),
            ("unix:x,owner=", "wrong value: owner="),
            ("unix:x,fd=-1", "wrong value: fd=-1"),
            ("unix:x,fd=1048576", "wrong value: fd=1048576"),
            ("unix:x,fd=99999999999", "wrong value: fd=99999999999"),
            ("unix:x,backlog=0", "wrong value: backlog=0"),
            ("unix:x,fd=3,fd=4", "option given twice: fd=4"),
            ("tcp:*:80,reuseport,reuseport", "option given twice: reuseport"),
        ] {
            let wrong = Listener::from_argument(argument.as_bytes()).expect_err(argument);
            assert_eq!(wrong.to_string(), line, "{argument}");
        }
        assert!(Listener::from_argument(&long.as_bytes()[..long.len() - 1]).is_ok());
        assert!(matches!(Listener::from_argument(long.as_bytes()), Err(Wrong::LongPath(_))));
    }

    #[test]
    fn a_file_holds_one_line() {
        for (file, wrong) in [
            ("", Wrong::Empty),
            (" \n\t\n", Wrong::Empty),
            ("tcp *:80\ntcp *:81\n", Wrong::SecondLine),
            ("tcp\n*:80\n", Wrong::SecondLine),
            ("tcp", Wrong::NoAddress),
            ("unix a\0b", Wrong::Path(b"a\0b".into())),
            ("unix \"a b\"", Wrong::Option(b"b\"".into())),
        ] {
            assert_eq!(Listener::from_file(file.as_bytes()), Err(wrong), "{file:?}");
        }
        assert_eq!(Wrong::Kind(b"\xff\n".into()).to_string(), "neither tcp, udp nor unix: \\xff\\n");
    }

    #[test]
    fn an_address_is_shown_as_an_argument_names_it() {
        for argument in ["tcp:*:80", "udp:[::1]:53", "tcp:10.0.0.1:1", "unix:run/web.sock", "tcp:www:80"] {
            let listener = Listener::from_argument(argument.as_bytes()).expect(argument);
            assert_eq!(listener.to_string(), argument);
        }
    }

    #[test]
    fn the_first_line_of_a_hosts_file_that_has_the_name_counts() {
        let hosts = b"127.0.0.1 localhost # me web\n\n# 1.1.1.1 web\n10.0.0.1\tdb WEB.local web\nx web\n::2 web six\n";
        for (name, address) in [
            ("web", Some("10.0.0.1")),
            ("web.LOCAL", Some("10.0.0.1")),
            ("six", Some("::2")),
            ("me", None),
            ("10.0.0.1", None),
            ("localhost", Some("127.0.0.1")),
        ] {
            assert_eq!(find_host(hosts, name.as_bytes()), address.map(|ip| ip.parse().expect("an address")), "{name}");
        }
        assert_eq!(find_host(b"", b"localhost").map(|ip| ip.to_string()).as_deref(), Some("127.0.0.1"));
        assert_eq!(find_host(b"::1 localhost", b"localhost").map(|ip| ip.to_string()).as_deref(), Some("::1"));
    }

    #[test]
    fn names_of_descriptors_are_printable_and_have_no_colon() {
        assert!(is_name(b"web.sock") && is_name(&[b'x'; 255]));
        assert!(!is_name(b"") && !is_name(b"a:b") && !is_name(b"a b") && !is_name(b"\xff") && !is_name(&[b'x'; 256]));
    }
}
