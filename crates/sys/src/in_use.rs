//! The addresses at which sockets of this machine listen, as the kernel lists them. Nothing is opened for this, so nobody's connections are taken.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::listen::Kind;

/// An Internet socket that listens, or, for datagrams, is bound and not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Internet {
    /// Its type.
    pub kind: Kind,
    /// Its address.
    pub address: SocketAddr,
    /// Its inode number, by which it is found among the descriptors of a process.
    pub inode: u64,
}

/// The Internet sockets of this network namespace; none where the kernel does not tell.
pub fn internet() -> Vec<Internet> {
    let lists = [
        ("tcp", Kind::Stream, "0A"),
        ("tcp6", Kind::Stream, "0A"),
        ("udp", Kind::Datagram, "07"),
        ("udp6", Kind::Datagram, "07"),
    ];
    let read = |(name, kind, state)| {
        let list = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        list.lines().filter_map(|line| internet_line(line, kind, state)).collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(read).collect()
}

fn internet_line(line: &str, kind: Kind, wanted: &str) -> Option<Internet> {
    let mut fields = line.split_ascii_whitespace();
    let (address, state, inode) = (fields.nth(1)?, fields.nth(1)?, fields.nth(5)?);
    if state != wanted {
        return None;
    }
    let (ip, port) = address.split_once(':')?;
    // Each word of the address is written as the number that its bytes are to this machine.
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = if ip.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for at in 0..4 {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
        }
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let address = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
    Some(Internet { kind, address, inode: inode.parse().ok()? })
}

/// The paths, as their processes have given them, and the inode numbers of the Unix stream sockets that listen; none where the kernel does not tell.
pub fn unix() -> Vec<(Vec<u8>, u64)> {
    let list = fs::read("/proc/net/unix").unwrap_or_default();
    list.split(|&byte| byte == b'\n').filter_map(unix_line).collect()
}

fn unix_line(line: &[u8]) -> Option<(Vec<u8>, u64)> {
    // Its flags say that it listens.
    const LISTENS: &[u8] = b"00010000";
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_ascii_start();
        let (field, behind) = rest.split_at(rest.iter().position(|&byte| byte == b' ')?);
        rest = behind;
        Some(field)
    };
    let fields = [field()?, field()?, field()?, field()?, field()?, field()?, field()?];
    if fields[3] != LISTENS || fields[4] != b"0001" {
        return None;
    }
    Some((rest.strip_prefix(b" ")?.to_vec(), std::str::from_utf8(fields[6]).ok()?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::{proc, process};

    #[test]
    fn what_listens_is_listed_and_is_found_among_the_descriptors() {
        let own = || proc::sockets(process::own_pid()).expect("it is visible");
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(tcp) = TcpListener::bind(local) else { continue };
            let address = tcp.local_addr().expect("it is bound");
            let found = internet().into_iter().find(|found| found.kind == Kind::Stream && found.address == address);
            assert!(own().contains(&found.expect("it listens").inode), "{local}");
            let udp = UdpSocket::bind(local).expect("a free port");
            let address = udp.local_addr().expect("it is bound");
            let found = internet().into_iter().find(|found| found.kind == Kind::Datagram && found.address == address);
            assert!(own().contains(&found.expect("it is bound").inode), "{local}");
        }
    }

    #[test]
    fn the_path_of_a_unix_socket_is_the_rest_of_the_line() {
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/a b ";
        assert_eq!(unix_line(line), Some((b"/run/a b ".to_vec(), 12345)));
        for other in [
            &b"0000000000000000: 00000003 00000000 00000000 0001 03 12345 /run/a"[..],
            b"0000000000000000: 00000002 00000000 00010000 0005 01 12345 /run/a",
            b"0000000000000000: 00000002 00000000 00010000 0001 01 12345",
            b"Num       RefCount Protocol Flags    Type St Inode Path",
            b"",
        ] {
            assert_eq!(unix_line(other), None);
        }
    }
}
