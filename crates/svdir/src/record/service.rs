//! The service as a whole in the record: what is wanted, and the starts so far.

use super::sections::{Fields, Writer};
use crate::Want;

/// What is wanted of the service and of its supervise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// What the operator wants of the service.
    pub want: Want,
    /// Supervise exits as soon as the service is down.
    pub exiting: bool,
    /// A start that `u` or `o` asked for is due.
    pub start_due: bool,
    /// Supervise exits when `run` ends by itself.
    pub last_run: bool,
    /// svscan is to end with the service, and has not yet: `run` has ended by itself, with `last_run`, or an essential service is down for good.
    pub ended: bool,
    /// Another replacement is asked for.
    pub replace_due: bool,
    /// svscan is an init: it ends with an essential service.
    pub below_init: bool,
}

impl Service {
    /// Writes want, as in the status, and flags.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        section.byte(self.want.byte());
        section.flags([self.exiting, self.start_due, self.last_run, self.ended, self.replace_due, self.below_init]);
    }

    /// Reads what [`encode`](Service::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Service {
        let want = Want::from_byte(section.byte());
        let [exiting, start_due, last_run, ended, replace_due, below_init] = section.flags();
        Service { want, exiting, start_due, last_run, ended, replace_due, below_init }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
    /// It is unknown how it ended.
    Unknown,
}

impl Exit {
    pub(super) const fn bytes(last: Option<Exit>) -> [u8; 2] {
        match last {
            None => [0, 0],
            Some(Exit::Code(code)) => [1, code],
            Some(Exit::Signal(signal)) => [2, signal],
            Some(Exit::Unknown) => [3, 0],
        }
    }

    pub(super) const fn from_bytes(bytes: [u8; 2]) -> Option<Exit> {
        match bytes {
            [0, _] => None,
            [1, code] => Some(Exit::Code(code)),
            [2, signal] => Some(Exit::Signal(signal)),
            [_, _] => Some(Exit::Unknown),
        }
    }
}

/// The starts of `run` so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How often `run` was started.
    pub starts: u32,
    /// How the last run ended; `None` if none has ended yet.
    pub last_exit: Option<Exit>,
    /// The next one is not before this moment of the monotonic clock, in nanoseconds, if that is longer than a second after the last one.
    pub next: Option<u64>,
}

impl Pace {
    /// Writes the number of starts, and how the last one ended: 0 not yet, 1 exited, 2 killed, 3 unknown; then its exit code or signal; then the moment of the next start, or 0.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        section.number(self.starts);
        section.put(&Exit::bytes(self.last_exit));
        section.long(self.next.unwrap_or(0));
    }

    /// Reads what [`encode`](Pace::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Pace {
        let (starts, last_exit) = (section.number(), Exit::from_bytes(section.array()));
        Pace { starts, last_exit, next: Some(section.long()).filter(|&next| next != 0) }
    }
}
