//! The messages of sd_notify: datagrams of lines `KEY=VALUE`.
//!
//! Unknown keys and wrong values are ignored: that is the protocol's rule for messages of newer services.

use crate::knob;

/// The name of descriptors that are kept without one, as in systemd.
pub const STORED: &[u8] = b"stored";

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// `READY=1`: a start, or a reload, is complete.
    Ready,
    /// `RELOADING=1`: the service reads its configuration again; [`Notice::Ready`] follows. With it comes the moment at which that began, by
    /// `MONOTONIC_USEC=` in the same datagram, in nanoseconds on the monotonic clock, if the service says it.
    Reloading(Option<u64>),
    /// `STOPPING=1`: the service is ending.
    Stopping,
    /// `STATUS=`: a line for people, as it was sent.
    Status(&'a [u8]),
    /// `MAINPID=`: the pid of the process that is the service from now on. Never 0.
    MainPid(u32),
    /// `WATCHDOG=1`: the service is alive.
    Watchdog,
    /// `WATCHDOG=trigger`: the service hangs.
    WatchdogTrigger,
    /// `WATCHDOG_USEC=`: the new watchdog interval, in nanoseconds; 0 for no watchdog.
    WatchdogInterval(u64),
    /// `EXTEND_TIMEOUT_USEC=`: the service needs at least this many more nanoseconds for its start or end.
    ExtendTimeout(u64),
    /// `FDSTORE=1`: the descriptors that come with it are to be kept for the next start, under the name of `FDNAME=`, or [`STORED`].
    Store(&'a [u8]),
    /// `FDSTOREREMOVE=1`: the descriptors with the name of `FDNAME=` are to be kept no longer. What else there is to be kept in the same datagram, is not.
    Unstore(&'a [u8]),
    /// `BARRIER=1`: the descriptor that comes with it is to be closed when all earlier messages were handled.
    Barrier,
}

impl Notice<'_> {
    /// The kind of the message, as a bit. Messages that contradict each other, such as alive and hanging, are of
    /// different kinds.
    fn kind(&self) -> u16 {
        1 << match self {
            Notice::Ready => 0,
            Notice::Reloading(_) => 1,
            Notice::Stopping => 2,
            Notice::Status(_) => 3,
            Notice::MainPid(_) => 4,
            Notice::Watchdog => 5,
            Notice::WatchdogTrigger => 6,
            Notice::WatchdogInterval(_) => 7,
            Notice::ExtendTimeout(_) => 8,
            Notice::Barrier => 9,
            Notice::Store(_) => 10,
            Notice::Unstore(_) => 11,
        }
    }
}

/// Returns the messages of a datagram in order, and of each kind only the first, as systemd does. So the work for one datagram is
/// bounded, whatever its sender has filled it with. If the datagram was `cut` for lack of room, its last line does not count.
pub fn parse(datagram: &[u8], cut: bool) -> impl Iterator<Item = Notice<'_>> {
    let mut kinds = 0_u16;
    let end = match datagram.iter().rposition(|&byte| byte == b'\n') {
        Some(newline) if cut => newline,
        None if cut => 0,
        Some(_) | None => datagram.len(),
    };
    let is_first = move |notice: &Notice<'_>| {
        let first = kinds & notice.kind() == 0;
        kinds |= notice.kind();
        first
    };
    let datagram = &datagram[..end];
    datagram
        .split(|&byte| byte == b'\n')
        .filter_map(line)
        .filter(is_first)
        .filter_map(|notice| complete(notice, datagram))
}

/// Adds to a message what other lines of its datagram say about it. `None` if that makes it no message.
fn complete<'a>(notice: Notice<'a>, datagram: &'a [u8]) -> Option<Notice<'a>> {
    let name = || value(datagram, b"FDNAME").filter(|name| is_stored_name(name));
    match notice {
        Notice::Reloading(_) => Some(Notice::Reloading(value(datagram, b"MONOTONIC_USEC").and_then(microseconds))),
        Notice::Store(_) if value(datagram, b"FDSTOREREMOVE") == Some(b"1") => None,
        Notice::Store(stored) => Some(Notice::Store(name().unwrap_or(stored))),
        Notice::Unstore(_) => name().map(Notice::Unstore),
        notice => Some(notice),
    }
}

/// Returns whether descriptors can be kept under this name: 1 to 255 printable characters of ASCII without a colon, which separates names in
/// `LISTEN_FDNAMES`.
pub fn is_stored_name(name: &[u8]) -> bool {
    let length = 1..=255;
    length.contains(&name.len()) && name.iter().all(|&byte| (b' '..=b'~').contains(&byte) && byte != b':')
}

/// The value of the first line of the datagram that has this key.
fn value<'a>(datagram: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut lines = datagram.split(|&byte| byte == b'\n');
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(b"="))
}

fn line(line: &[u8]) -> Option<Notice<'_>> {
    let equals = line.iter().position(|&byte| byte == b'=')?;
    let value = &line[equals + 1..];
    match (&line[..equals], value) {
        (b"READY", b"1") => Some(Notice::Ready),
        (b"RELOADING", b"1") => Some(Notice::Reloading(None)),
        (b"STOPPING", b"1") => Some(Notice::Stopping),
        (b"STATUS", text) => Some(Notice::Status(text)),
        (b"MAINPID", digits) => {
            let pid = u32::try_from(knob::digits(digits)?).ok()?;
            (pid > 0 && pid <= i32::MAX.unsigned_abs()).then_some(Notice::MainPid(pid))
        }
        (b"WATCHDOG", b"1") => Some(Notice::Watchdog),
        (b"WATCHDOG", b"trigger") => Some(Notice::WatchdogTrigger),
        (b"WATCHDOG_USEC", digits) => Some(Notice::WatchdogInterval(microseconds(digits)?)),
        (b"EXTEND_TIMEOUT_USEC", digits) => Some(Notice::ExtendTimeout(microseconds(digits)?)),
        (b"FDSTORE", b"1") => Some(Notice::Store(STORED)),
        (b"FDSTOREREMOVE", b"1") => Some(Notice::Unstore(STORED)),
        (b"BARRIER", b"1") => Some(Notice::Barrier),
        _ => None,
    }
}

/// Parses microseconds into nanoseconds. More than 584 years count as 584 years.
fn microseconds(digits: &[u8]) -> Option<u64> {
    Some(knob::digits(digits)?.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(datagram: &str) -> Vec<Notice<'_>> {
        parse(datagram.as_bytes(), false).collect()
    }

    #[test]
    fn each_line_is_one_thing() {
        assert_eq!(said("READY=1"), [Notice::Ready]);
        assert_eq!(
            said("RELOADING=1\nMONOTONIC_USEC=5\nSTATUS=re=reading\nREADY=1\nSTOPPING=1\n"),
            [Notice::Reloading(Some(5_000)), Notice::Status(b"re=reading"), Notice::Ready, Notice::Stopping]
        );
        assert_eq!(
            said("MAINPID=12\nWATCHDOG=1\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=30\nBARRIER=1"),
            [
                Notice::MainPid(12),
                Notice::Watchdog,
                Notice::WatchdogTrigger,
                Notice::ExtendTimeout(30_000),
                Notice::Barrier
            ]
        );
        assert_eq!(said("STATUS="), [Notice::Status(b"")]);
        for (value, nanoseconds) in [("2000000", 2_000_000_000), ("0", 0)] {
            assert_eq!(said(&format!("WATCHDOG_USEC={value}")), [Notice::WatchdogInterval(nanoseconds)]);
        }
    }

    #[test]
    fn of_each_kind_the_first_counts() {
        assert_eq!(said(&"MAINPID=12\nMAINPID=13\n".repeat(100)), [Notice::MainPid(12)]);
        assert_eq!(said(&"READY=1\nRELOADING=1\n".repeat(100)), [Notice::Ready, Notice::Reloading(None)]);
        assert_eq!(said("MAINPID=x\nMAINPID=7\nREADY=0\nREADY=1"), [Notice::MainPid(7), Notice::Ready]);
        let all = "READY=1\nRELOADING=1\nSTOPPING=1\nSTATUS=\nMAINPID=1\nWATCHDOG=1\nWATCHDOG=trigger\n\
                   WATCHDOG_USEC=1\nEXTEND_TIMEOUT_USEC=1\nBARRIER=1\nFDSTORE=1\n";
        let kinds: Vec<u16> = said(all).iter().map(Notice::kind).collect();
        assert_eq!(kinds, (0..11).map(|bit| 1 << bit).collect::<Vec<u16>>());
        assert_eq!(said(&all.repeat(3)), said(all));
    }

    #[test]
    fn descriptors_are_kept_and_not_kept_under_a_name() {
        assert_eq!(said("FDSTORE=1"), [Notice::Store(b"stored")]);
        assert_eq!(said("FDSTORE=1\nFDPOLL=0\nFDNAME=a b"), [Notice::Store(b"a b")]);
        assert_eq!(said("FDNAME=a\nFDNAME=b\nFDSTORE=1\nREADY=1"), [Notice::Store(b"a"), Notice::Ready]);
        assert_eq!(said("FDSTOREREMOVE=1\nFDNAME=a"), [Notice::Unstore(b"a")]);
        assert_eq!(said("FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=a"), [Notice::Unstore(b"a")]);
        let longest = "x".repeat(255);
        assert_eq!(said(&format!("FDSTORE=1\nFDNAME={longest}")), [Notice::Store(longest.as_bytes())]);
        for wrong in ["", "a:b", "\x7f", "\t", "\u{e4}", &"x".repeat(256)] {
            assert_eq!(said(&format!("FDSTORE=1\nFDNAME={wrong}")), [Notice::Store(b"stored")], "{wrong:?}");
            assert_eq!(said(&format!("FDSTOREREMOVE=1\nFDNAME={wrong}")), [], "{wrong:?}");
        }
        assert_eq!(said("FDSTOREREMOVE=1"), []);
        assert_eq!(said("FDNAME=a"), []);
    }

    #[test]
    fn a_reload_has_the_moment_that_stands_beside_it() {
        let reloading = |began| [Notice::Reloading(began)];
        assert_eq!(said("MONOTONIC_USEC=7\nRELOADING=1"), reloading(Some(7_000)));
        assert_eq!(said("RELOADING=1\nMONOTONIC_USEC=8\nMONOTONIC_USEC=9"), reloading(Some(8_000)));
        assert_eq!(said("RELOADING=1\nMONOTONIC_USEC=18446744073709551615"), reloading(Some(u64::MAX)));
        for none in ["", "\nMONOTONIC_USEC=", "\nMONOTONIC_USEC=-1", "\nMONOTONIC_USEC", "\nXMONOTONIC_USEC=1"] {
            assert_eq!(said(&format!("RELOADING=1{none}")), reloading(None), "{none:?}");
        }
        assert_eq!(said("MONOTONIC_USEC=7"), []);
        let cut = parse(b"RELOADING=1\nMONOTONIC_USEC=12", true);
        assert_eq!(cut.collect::<Vec<_>>(), reloading(None), "its digits may not be all");
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        for datagram in ["", "\n\n", "READY", "READY=", "READY=0", "READY=11", " READY=1", "ready=1", "=1", "FDSTORE=0"]
        {
            assert_eq!(said(datagram), [], "{datagram:?}");
        }
        for value in ["", "0", "-1", "+1", "1x", "2147483648", "99999999999999999999"] {
            assert_eq!(said(&format!("MAINPID={value}")), [], "{value}");
        }
        assert_eq!(said("EXTEND_TIMEOUT_USEC=18446744073709551615"), [Notice::ExtendTimeout(u64::MAX)]);
        assert_eq!(said("WATCHDOG_USEC=18446744073709551615"), [Notice::WatchdogInterval(u64::MAX)]);
        assert_eq!(said("WATCHDOG_USEC=\nWATCHDOG_USEC=1s\nWATCHDOG=0\nWATCHDOG=Trigger"), []);
        assert_eq!(parse(b"\xff=\xff\nREADY=1\n\0", false).collect::<Vec<_>>(), [Notice::Ready]);
    }

    #[test]
    fn the_last_line_of_what_was_cut_does_not_count() {
        assert_eq!(parse(b"READY=1\nMAINPID=12", true).collect::<Vec<_>>(), [Notice::Ready]);
        assert_eq!(parse(b"READY=1", true).collect::<Vec<_>>(), []);
    }
}
